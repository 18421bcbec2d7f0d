"""Converse's answers as chat: what OpenAI's SDK reads of ours is what Amazon's reads of theirs."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.fakes.converse import Read, botocore_stream, botocore_whole, exception, failure, frame, frames, whole
from tests.fakes.records import payloads

from tollway.proxy.causes import Cause
from tollway.proxy.providers.bedrock.answer import BedrockReader
from tollway.proxy.providers.bedrock.events import EventFraming
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import DONE

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "stop",
    "malformed_tool_use": "stop",
}
TEXT = {"text": "Grüße, 世界 👩‍👧"}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": "c2ln/+=="}}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
REDACTED = {"reasoningContent": {"redactedContent": base64.b64encode(b"\x00secret").decode()}}
CALL = {"toolUse": {"toolUseId": "tooluse_1", "name": "look_up", "input": {"city": "Zürich", "n": 1}}}
BARE = {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}}
PAGE = {"title": "A page", "location": {"web": {"url": "https://a.example/", "domain": "a.example"}}}
DOCUMENT = {"title": "Yours", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
CITED = {"citationsContent": {"content": [{"text": "It is so."}], "citations": [PAGE, DOCUMENT]}}
CACHED = {"inputTokens": 10, "outputTokens": 3, "cacheReadInputTokens": 7351, "cacheWriteInputTokens": 5}
ANSWERS = {
    "text": whole([TEXT]),
    "nothing": whole([]),
    "calls": whole([TEXT, CALL, BARE], "tool_use", CACHED),
    "only a call": whole([CALL], "tool_use"),
    "thoughts": whole([THOUGHT, REDACTED, TEXT, CALL], "tool_use"),
    "an unsigned thought": whole([UNSIGNED, TEXT]),
    "two texts": whole([TEXT, {"text": " And more."}], "max_tokens"),
}


def read(body: bytes, model: str = "m") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(BedrockReader(model).whole(body))
    return answer


def run(stream: bytes, size: int) -> bytes:
    reader, framing, said = BedrockReader("m"), EventFraming(), b""
    for at in range(0, len(stream), size):
        for payload in framing.feed(stream[at : at + size]):
            said += reader.event(payload)
    framing.finish()
    return said + reader.end()


def as_read(message: dict[str, Any], finish: str, usage: dict[str, Any]) -> Read:
    blocks = message.get("thinking_blocks") or []
    calls = message.get("tool_calls") or []
    return {
        "text": message.get("content") or "",
        "thoughts": message.get("reasoning_content") or "",
        "signed": [(block["thinking"], block["signature"]) for block in blocks if block["type"] == "thinking"],
        "redacted": [base64.b64decode(block["data"]) for block in blocks if block["type"] == "redacted_thinking"],
        "calls": [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls],
        "stop": finish,
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "cached": usage["prompt_tokens_details"]["cached_tokens"],
    }


def of_sdk(answer: bytes) -> Read:
    """Through the types of OpenAI's SDK."""
    told = ChatCompletion.model_validate_json(answer)
    assert told.usage is not None
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens
    (choice,) = told.choices
    return as_read(choice.message.model_dump(), choice.finish_reason, told.usage.model_dump())


def of_chunks(said: bytes) -> Read:
    """A stream through the same types, put together as a client would."""
    assert said.endswith(DONE)
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "thinking_blocks": [], "tool_calls": []}
    finishes, usages, names = [], [], set()
    for payload in payloads(said.decode()):
        chunk = ChatCompletionChunk.model_validate(payload)
        names.add((chunk.id, chunk.created, chunk.model))
        usages += [chunk.usage] if chunk.usage is not None else []
        for choice in chunk.choices:
            delta = choice.delta.model_dump()
            finishes += [choice.finish_reason] if choice.finish_reason else []
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content") or ""
            message["thinking_blocks"] += delta.get("thinking_blocks") or []
            for piece in delta.get("tool_calls") or []:
                if piece["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(piece)
                    piece["function"]["arguments"] = piece["function"]["arguments"] or ""
                else:
                    assert piece["id"] is None
                    message["tool_calls"][piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    (finish,), (usage,) = finishes, usages
    assert len(names) == 1
    return as_read(message, finish, usage.model_dump())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_says_what_botocore_reads_of_it(name: str) -> None:
    body = json.dumps(ANSWERS[name]).encode()
    expected = botocore_whole(body)
    assert of_sdk(BedrockReader("m").whole(body)) == {**expected, "stop": FINISHES[expected["stop"]]}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_says_what_botocore_reads_of_it_however_it_is_cut(name: str) -> None:
    told = frames(ANSWERS[name])
    expected = botocore_stream(told)
    stream = b"".join(told)
    for size in (*range(1, 65), len(stream)):
        assert of_chunks(run(stream, size)) == {**expected, "stop": FINISHES[expected["stop"]]}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_says_what_the_whole_answer_says(name: str) -> None:
    body = json.dumps(ANSWERS[name]).encode()
    assert of_chunks(run(b"".join(frames(ANSWERS[name])), 4096)) == of_sdk(BedrockReader("m").whole(body))


@pytest.mark.parametrize("stop", FINISHES)
def test_every_stop_reason_has_its_finish_reason(stop: str) -> None:
    body = json.dumps(whole([TEXT], stop)).encode()
    assert read(body)["choices"][0]["finish_reason"] == FINISHES[stop]
    assert of_chunks(run(b"".join(frames(whole([TEXT], stop))), 64))["stop"] == FINISHES[stop]


def test_a_stop_reason_that_is_new_ends_a_turn() -> None:
    assert read(json.dumps(whole([TEXT], "tired")).encode())["choices"][0]["finish_reason"] == "stop"
    assert read(json.dumps(whole([CALL], "tired")).encode())["choices"][0]["finish_reason"] == "tool_calls"


def test_cached_tokens_are_inside_the_prompts() -> None:
    usage = read(json.dumps(whole([TEXT], usage=CACHED)).encode())["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7366, 3, 7369)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 7351, "cache_write_tokens": 5}


def test_an_answer_has_the_model_that_was_asked_for_and_an_id_of_its_own() -> None:
    body = json.dumps(whole([TEXT])).encode()
    one, other = read(body, "eu.amazon.nova-lite-v1:0"), read(body)
    assert one["model"] == "eu.amazon.nova-lite-v1:0"
    assert one["id"] != other["id"]


def test_numbers_in_arguments_stay_as_they_were_written() -> None:
    body = (
        json.dumps(whole([CALL], "tool_use")).encode().replace(b'"n": 1', b'"n": 1.0, "big": 12345678901234567890123')
    )
    (call,) = read(body)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"city":"Z\\u00fcrich","n":1.0,"big":12345678901234567890123}'


def test_web_sources_are_annotations_and_others_are_not() -> None:
    page = {"start_index": 3, "end_index": 12, "url": "https://a.example/", "title": "A page"}
    answer = whole([{"text": "So:"}, CITED])
    message = read(json.dumps(answer).encode())["choices"][0]["message"]
    assert message["content"] == "So:It is so."
    assert message["annotations"] == [{"type": "url_citation", "url_citation": page}]
    deltas = [chunk["choices"][0]["delta"] for chunk in payloads(run(b"".join(frames(answer)), 50).decode())[:-1]]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [message["annotations"]]


def test_a_call_of_amazons_own_tool_is_no_call_of_the_clients() -> None:
    own = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {"q": "x"}, "type": "server_tool_use"}}
    answer = whole([own, TEXT])
    assert "tool_calls" not in read(json.dumps(answer).encode())["choices"][0]["message"]
    told = of_chunks(run(b"".join(frames(answer)), 40))
    assert (told["calls"], told["text"]) == ([], TEXT["text"])


def test_a_call_without_arguments_has_an_empty_object() -> None:
    said = run(b"".join(frames(whole([BARE], "tool_use"))), 30)
    pieces = [c["choices"][0]["delta"].get("tool_calls") for c in payloads(said.decode()) if c["choices"]]
    (head,), (arguments,) = [piece for piece in pieces if piece]
    assert head["function"] == {"name": "now", "arguments": ""}
    assert arguments["function"]["arguments"] == "{}"


def test_the_first_words_leave_before_the_end() -> None:
    told = frames(whole([TEXT]))
    reader, framing = BedrockReader("m"), EventFraming()
    said = [b"".join(reader.event(payload) for payload in framing.feed(each)) for each in told]
    assert b'"role":"assistant"' in said[0]
    assert b'"content":"Gr' in said[1]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_that_is_cut_before_its_stop_has_no_end(name: str) -> None:
    told = frames(ANSWERS[name])
    for count in range(len(told) - 1):
        assert DONE not in run(b"".join(told[:count]), 64)
    assert run(b"".join(told[:-1]), 64).endswith(DONE)  # only usage is missing


def test_a_stream_that_is_cut_within_a_frame_is_broken() -> None:
    stream = b"".join(frames(whole([TEXT])))
    with pytest.raises(ValueError, match="within a frame"):
        run(stream[:-3], 64)


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (exception("throttlingException", "Slow down."), Cause.RATE_LIMIT),
        (exception("modelStreamErrorException", "It broke."), Cause.SERVER),
        (exception("internalServerException", "It broke."), Cause.SERVER),
        (exception("serviceUnavailableException", "Not now."), Cause.OVERLOADED),
        (exception("validationException", "Input is too long for requested model."), Cause.CONTEXT_WINDOW),
        (failure("InternalFailure", "It broke."), Cause.SERVER),
        (failure("SomethingNew", "It broke."), Cause.SERVER),
    ],
)
def test_a_fault_within_a_stream_is_told_with_its_cause(told: bytes, cause: Cause) -> None:
    for before in ([], frames(whole([TEXT]))[:3]):
        with pytest.raises(StreamFault) as raised:
            run(b"".join([*before, told]), 40)
        assert raised.value.fault.cause is cause
        assert raised.value.fault.message


def test_what_is_newer_than_this_is_passed_over() -> None:
    told = frames(whole([TEXT]))
    new = [
        frame("contentBlockStart", {"contentBlockIndex": 9, "start": {"image": {"format": "png"}}}),
        frame("contentBlockDelta", {"contentBlockIndex": 9, "delta": {"image": {}}}),
        frame("contentBlockDelta", {"contentBlockIndex": 8, "delta": {"hologram": {}}}),
        frame("contentBlockStop", {"contentBlockIndex": 9}),
        frame("weather", {"sunny": True}),
        frame("metadata", {}),
    ]
    assert of_chunks(run(b"".join([told[0], *new, *told[1:]]), 70))["text"] == TEXT["text"]


BEGIN = frame("messageStart", {"role": "assistant"})
BROKEN = {
    "begins twice": [BEGIN, BEGIN],
    "says something first": [frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}})],
    "opens a block twice": [
        BEGIN,
        *[frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a", "name": "b"}}})]
        * 2,
    ],
    "has arguments without a call": [
        BEGIN,
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "x"}}}),
    ],
    "has a text within a call": [
        BEGIN,
        frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a", "name": "b"}}}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
    ],
    "has a thought within a text": [
        BEGIN,
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "x"}}}),
    ],
    "has a blob that is none": [
        BEGIN,
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "*"}}}),
    ],
    "never closes a block": [
        BEGIN,
        *[frame("contentBlockDelta", {"contentBlockIndex": n, "delta": {"text": "x"}}) for n in range(65)],
    ],
    "is no JSON": [BEGIN, frame("contentBlockDelta", b"{")],
    "is nested without end": [BEGIN, frame("messageStop", b'{"stopReason": ' + b"[" * 5000 + b"]" * 5000 + b"}")],
    "goes on behind its stop": [
        BEGIN,
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
    ],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_is_broken_that(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which one does not matter: none is shown
        run(b"".join(BROKEN[name]), 33)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output": {}, "stopReason": "end_turn"}',
        b'{"output": {"message": {"content": "Hi"}}, "stopReason": "end_turn"}',
        b'{"output": {"message": {"content": []}}}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        BedrockReader("m").whole(body)


def test_arguments_that_are_no_object_are_a_value_error() -> None:
    odd = {"toolUse": {"toolUseId": "t", "name": "n", "input": [1]}}
    with pytest.raises(ValueError, match="no object"):
        BedrockReader("m").whole(json.dumps(whole([odd])).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def changed(value: Any, data: st.DataObject) -> Any:
    """``value`` with one place in it replaced."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        copied: Any = value.copy()
        copied[key] = changed(value[key], data)
        return copied
    return data.draw(JSON)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(ANSWERS.values())), st.data())
def test_a_changed_answer_is_read_or_refused(answer: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps(changed(answer, data)).encode()
    for each in (body, body[: data.draw(st.integers(0, len(body)))]):
        try:
            BedrockReader("m").whole(each)
        except ValueError:
            pass


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(ANSWERS.values())), st.data())
def test_a_changed_stream_is_read_or_refused(answer: dict[str, Any], data: st.DataObject) -> None:
    framing, reader = EventFraming(), BedrockReader("m")
    names = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    told = [payload for each in frames(answer) for payload in framing.feed(each)]
    place = data.draw(st.integers(0, len(told) - 1))
    event = json.loads(told[place])
    event["body"] = changed(event["body"], data)
    event["name"] = data.draw(st.sampled_from([event["name"], *names]))
    told[place] = json.dumps(event).encode()
    try:
        for payload in told:
            reader.event(payload)
        reader.end()
    except (ValueError, StreamFault):
        pass
