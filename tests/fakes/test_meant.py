"""The reading of records by the providers' own SDKs, against answers made by hand and an older, plainer reading."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from tests.e2e import test_translated as plainly
from tests.fakes.meant import (
    Meant,
    Usage,
    arguments_of,
    class_of,
    of_chunks,
    of_completion,
    of_events,
    of_response,
    usage_of_chat,
)
from tests.fakes.records import Record, needs_records, records
from tests.fakes.sdks import OwnSdk

OPENAI_LIKE = (
    "openai", "azure", "xai", "vllm", "groq", "mistral", "deepseek", "together", "openrouter", "ollama",
    "cerebras", "gpustack", "perplexity",
)  # fmt: skip

FAULT = re.compile(r'"error":\s*[{"]')


@pytest.fixture(scope="module")
def own() -> Iterator[OwnSdk]:
    with OwnSdk.opened() as opened:
        yield opened


def made(operation: str, body: Any, *, status: int = 200, stream: bool = False) -> Record:
    """A record of one's own making."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Record("made", "made", operation, stream, "made", "made", (), {}, status, (), text)


def events(*told: Any) -> str:
    return "".join(f"event: {each.get('type', 'message')}\ndata: {json.dumps(each)}\n\n" for each in told)


def chunk(**choice: Any) -> Any:
    usage = choice.pop("usage", None)
    return ChatCompletionChunk.construct(
        **json.loads(json.dumps({"id": "c", "choices": [{"index": 0, **choice}], "usage": usage}))
    )


def piece(**call: Any) -> Any:
    return chunk(delta={"tool_calls": [call]})


def test_a_chat_answer() -> None:
    message = {
        "content": "Hi",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
    }
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}
    meant = of_completion(ChatCompletion.construct(**json.loads(json.dumps(body))))
    assert meant == Meant("Hi", (("f", {"x": 1}),), "tool_calls", Usage(5, 3, 8, 2, 1), thought="hm")
    assert meant.ids == ("a",)


def test_reasoning_that_stands_beside_the_completion_is_taken_in(own: OwnSdk) -> None:
    usage = {
        "prompt_tokens": 140,
        "completion_tokens": 38,
        "total_tokens": 322,
        "completion_tokens_details": {"reasoning_tokens": 144},
    }
    body = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": usage}
    assert own.meant(made("chat", body)).usage == Usage(140, 182, 322, 0, 144)
    inside = {**usage, "completion_tokens": 182}
    assert own.meant(made("chat", {**body, "usage": inside})).usage == Usage(140, 182, 322, 0, 144)
    assert usage_of_chat(None) == Usage()


@pytest.mark.parametrize(
    "pieces",
    [
        [dict(index=0, id="a", function={"name": "f", "arguments": "{}"}),
         dict(index=1, id="b", function={"name": "g", "arguments": '{"y": 2}'})],
        [dict(id="a", function={"name": "f", "arguments": "{}"}),
         dict(id="b", function={"name": "g", "arguments": '{"y": 2}'})],
        [dict(index=0, id="a", function={"name": "f", "arguments": "{}"}),
         dict(index=0, id="b", function={"name": "g", "arguments": '{"y": 2}'})],
        [dict(index=0, id="a", function={"name": "f", "arguments": ""}),
         dict(index=7, id="b", function={"name": "g", "arguments": '{"y"'}),
         dict(index=0, id=None, function={"name": None, "arguments": "{}"}),
         dict(index=7, function={"arguments": ": 2}"})],
    ],
    ids=["in order", "no index", "one index for all", "interleaved and jumping"],
)  # fmt: skip
def test_calls_are_put_together_however_they_are_told(pieces: list[dict[str, Any]]) -> None:
    meant = of_chunks([*(piece(**each) for each in pieces), chunk(delta={}, finish_reason="tool_calls")])
    assert meant == Meant("", (("f", {}), ("g", {"y": 2})), "tool_calls")
    assert meant.ids == ("a", "b")


def test_a_stream_with_two_finish_reasons_is_no_answer() -> None:
    with pytest.raises(AssertionError, match="more than one finish"):
        of_chunks([chunk(delta={}, finish_reason="stop"), chunk(delta={}, finish_reason="length")])


def test_arguments_that_were_cut_stay_text() -> None:
    assert arguments_of('{"x": ') == '{"x": '
    assert arguments_of(" ") == {}


def test_a_message_of_anthropics(own: OwnSdk) -> None:
    body = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Hi "},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": "there"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        ],
        "stop_reason": "pause_turn",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 7351,
            "cache_creation_input_tokens": 4,
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 9},
        },
    }
    meant = own.meant(made("messages", body))
    assert meant == Meant("Hi there", (("f", {}),), "stop", Usage(7365, 20, 7385, 7351, 9), thought="hm")


def test_the_last_word_of_a_message_stream_counts(own: OwnSdk) -> None:
    usage = {"input_tokens": 2225, "output_tokens": 1}
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "c", "usage": usage}
    tool = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    last = {"input_tokens": 9447, "output_tokens": 5}
    body = events(
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": tool},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": last},
        {"type": "message_stop"},
    )
    meant = own.meant(made("messages", body, stream=True))
    assert meant == Meant("", (("f", {}),), "tool_calls", Usage(9447, 5, 9452))


def test_an_answer_of_geminis(own: OwnSdk) -> None:
    parts = [{"text": "hm", "thought": True}, {"functionCall": {"name": "f"}}, {"text": "Hi"}]
    usage = {
        "promptTokenCount": 5,
        "toolUsePromptTokenCount": 2,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 1,
        "totalTokenCount": 10,
    }
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
    meant = own.meant(made("generate_content", body))
    assert meant == Meant("Hi", (("f", {}),), "tool_calls", Usage(7, 3, 10, 1, 3), thought="hm")


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        ({"candidates": [{"finishReason": "SAFETY"}]}, "content_filter"),
        ({"candidates": [{"content": {}, "finishReason": "UNEXPECTED_TOOL_CALL"}]}, "stop"),
        ({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}, "length"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "content_filter"),
    ],
)
def test_geminis_empty_answers_have_a_reason(own: OwnSdk, body: Any, finish: str) -> None:
    assert own.meant(made("generate_content", body)).finish == finish


def response(**more: Any) -> Any:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "name": "f", "arguments": '{"x": 1}', "call_id": "a", "id": "fc"}
    reasoning = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}
    usage = {
        "input_tokens": 5,
        "output_tokens": 3,
        "total_tokens": 8,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    output = [reasoning, message, call]
    return {"id": "r", "object": "response", "status": "completed", "output": output, "usage": usage, **more}


def test_an_answer_of_the_responses_api(own: OwnSdk) -> None:
    meant = own.meant(made("responses", response()))
    assert meant == Meant("Hi", (("f", {"x": 1}),), "tool_calls", Usage(5, 3, 8, 2, 1), thought="hm")
    cut = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert own.meant(made("responses", cut)).finish == "length"
    assert of_response(Response.construct(**response(output=[], usage=None))) == Meant("", (), "stop")


def test_deltas_that_are_not_the_whole_response_are_a_fault(own: OwnSdk) -> None:
    delta = {"type": "response.output_text.delta", "output_index": 1, "content_index": 0}
    arguments = {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"x": 1}'}
    end = {"type": "response.completed", "response": response()}
    told = events({**delta, "delta": "H"}, {**delta, "delta": "i"}, arguments, end)
    assert own.meant(made("responses", told, stream=True)).text == "Hi"
    with pytest.raises(AssertionError, match="not the whole text"):
        own.meant(made("responses", events({**delta, "delta": "H"}, arguments, end), stream=True))
    with pytest.raises(AssertionError, match="not the whole arguments"):
        own.meant(made("responses", events({**delta, "delta": "Hi"}, end), stream=True))
    with pytest.raises(AssertionError, match="no end"):
        of_events([])


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (400, {"message": "no"}, "invalid"),
        (400, {"details": [{"reason": "API_KEY_INVALID"}]}, "key"),
        (400, {"message": "Incorrect API key provided"}, "key"),
        (402, {}, "rate"),
        (429, {}, "rate"),
        (529, {}, "server"),
        (None, {"type": "overloaded_error"}, "server"),
        (None, {"type": "invalid_request_error"}, "invalid"),
        (None, {"code": 400}, "invalid"),
        (None, {"code": "429"}, "rate"),
    ],
)
def test_errors_have_a_class(status: int | None, words: dict[str, Any], told: str) -> None:
    assert class_of(status, words) == told


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("chat", {"error": {"message": "no such model", "type": "invalid_request_error"}}),
        ("messages", {"type": "error", "error": {"type": "not_found_error", "message": "no such model"}}),
        ("responses", {"error": {"message": "no such model", "type": "invalid_request_error"}}),
        ("generate_content", {"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}),
    ],
)
def test_refusals_are_read_with_their_words(own: OwnSdk, operation: str, body: Any) -> None:
    meant = own.meant(made(operation, body, status=404))
    assert (meant.error, meant.message) == ("missing", "no such model")


def test_a_stream_keeps_what_it_said_before_its_error(own: OwnSdk) -> None:
    said = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    failed = {"error": {"message": "busy", "type": "server_error"}}
    meant = own.meant(made("chat", events(said, failed), stream=True))
    assert (meant.text, meant.error, meant.finish) == ("Hi", "server", None)


def plain(meant: Meant) -> plainly.Read:
    return meant.text, list(meant.calls), str(meant.finish), meant.usage.prompt, meant.usage.completion


@needs_records
def test_recorded_messages_mean_what_a_plainer_reading_says(own: OwnSdk) -> None:
    for record in plainly.good("anthropic", "messages", stream=False):
        assert plain(own.meant(record)) == plainly.of_anthropic(json.loads(record.body)), record.id
    for record in plainly.good("anthropic", "messages", stream=True):
        assert plain(own.meant(record)) == plainly.of_anthropic_stream(record.body), record.id


@needs_records
@pytest.mark.parametrize("provider", ["gemini", "vertex"])
def test_recorded_contents_mean_what_a_plainer_reading_says(own: OwnSdk, provider: str) -> None:
    for record in plainly.good(provider, "generate_content", stream=False):
        assert plain(own.meant(record)) == plainly.of_gemini(json.loads(record.body)), record.id
    for record in plainly.good(provider, "generate_content", stream=True):
        assert plain(own.meant(record)) == plainly.of_gemini(*plainly.gemini_chunks(record.body)), record.id


@needs_records
@pytest.mark.parametrize("provider", OPENAI_LIKE)
@pytest.mark.parametrize("operation", ["chat", "responses"])
def test_every_recorded_answer_has_a_reason_or_an_error(own: OwnSdk, provider: str, operation: str) -> None:
    for record in records(provider, operation):
        meant = own.meant(record)
        assert (meant.finish is None) == (meant.error is not None), record.id
        assert bool(meant.calls) or meant.finish != "tool_calls" or '"function_call"' in record.body, record.id
        assert (record.status == 200) == (meant.error is None) or FAULT.search(record.body), record.id
