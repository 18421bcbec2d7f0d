"""Tool calls survive: however they are streamed every SDK rebuilds them, and what a vendor signed goes back to it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fakes import anthropic_schema, google_schema
from tests.fakes.conversations import HOUR, MARK, MARKED, REDACTED, SIGNATURE, body_of, marks_of
from tests.fakes.replaying import CHAT_ONLY, Replaying
from tests.fakes.scripts import Script, sse, stream, whole

NAMES = ("get_weather", "get_time", "get_nothing")
ARGUMENTS: tuple[Any, ...] = ({"city": "Zürich 🏔", "days": [1, 2]}, {"zone": "Europe/Paris"}, {})
MADE = tuple(zip(NAMES, ARGUMENTS, strict=True))
SIGNED_BY_GOOGLE = "CiQBVKhc7vB0aGluay1zaWduYXR1cmU="

Piece = dict[str, Any]


def first(place: int, index: int | None, arguments: str = "") -> Piece:
    """The piece that begins a call."""
    function = {"name": NAMES[place], "arguments": arguments}
    piece = {"id": f"call_{place}", "type": "function", "function": function}
    return piece if index is None else {"index": index, **piece}


def more(index: int, arguments: str) -> Piece:
    """A piece that goes on with one."""
    return {"index": index, "function": {"arguments": arguments}}


def nulls(index: int, arguments: str) -> Piece:
    """The same as vLLM says it."""
    return {"index": index, "id": None, "function": {"name": None, "arguments": arguments}}


def written(place: int) -> str:
    return json.dumps(ARGUMENTS[place], ensure_ascii=False) if ARGUMENTS[place] else ""


def halves(place: int) -> tuple[str, str]:
    text = written(place)
    return text[: len(text) // 2], text[len(text) // 2 :]


def whole_pieces(*indexes: int | None) -> list[Piece]:
    return [first(place, index, written(place)) for place, index in enumerate(indexes)]


def cut_pieces(*indexes: int) -> list[list[Piece]]:
    """Each call begun, then told in two pieces, one call after the other."""
    told: list[list[Piece]] = []
    for place, index in enumerate(indexes):
        told.append([first(place, index)])
        told += [[more(index, half)] for half in halves(place) if half]
    return told


def interleaved(*indexes: int) -> list[list[Piece]]:
    begun = [[first(place, index)] for place, index in enumerate(indexes)]
    ones = [[more(index, halves(place)[0])] for place, index in enumerate(indexes)]
    others = [[more(index, halves(place)[1])] for place, index in enumerate(indexes)]
    return [*begun, *ones, *others]


LAYOUTS: dict[str, list[list[Piece]]] = {
    "one chunk": [whole_pieces(0, 1, 2)],
    "three chunks": [[piece] for piece in whole_pieces(0, 1, 2)],
    "in pieces": cut_pieces(0, 1, 2),
    "no index, one chunk": [whole_pieces(None, None, None)],
    "no index, three chunks": [[piece] for piece in whole_pieces(None, None, None)],
    "zero for all, one chunk": [whole_pieces(0, 0, 0)],
    "zero for all, in pieces": cut_pieces(0, 0, 0),
    "from one on": cut_pieces(1, 2, 3),
    "jumping": cut_pieces(0, 5, 9),
    "jumping back": cut_pieces(4, 2, 0),
    "interleaved": interleaved(0, 1, 2),
    "interleaved and jumping": interleaved(3, 7, 5),
    "null in later pieces": [
        [first(0, 0)],
        *([nulls(0, half)] for half in halves(0)),
        [first(1, 1, written(1))],
        [first(2, 2)],
    ],
}


def chunks(layout: list[list[Piece]]) -> Script:
    """A streamed chat that makes the calls."""
    shared = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": None}, None)]
    deltas += [({"tool_calls": pieces}, None) for pieces in layout]
    deltas.append(({}, "tool_calls"))
    told = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas]
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return sse([*told, {**shared, "choices": [], "usage": usage}])


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("calls")) as running:
        yield running


@pytest.mark.parametrize("layout", LAYOUTS)
def test_openais_sdk_rebuilds_every_call_of_a_chat(replaying: Replaying, layout: str) -> None:
    headers = replaying.named(chunks(LAYOUTS[layout]))
    ask = replaying.sdks.openai.chat.completions.stream
    with ask(model=CHAT_ONLY, messages=[{"role": "user", "content": "Hi"}], extra_headers=headers) as events:
        message = events.get_final_completion().choices[0].message
    calls = [(call.function.name, json.loads(call.function.arguments or "{}")) for call in message.tool_calls or []]
    assert tuple(calls) == MADE
    assert [call.id for call in message.tool_calls or []] == ["call_0", "call_1", "call_2"]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_other_sdks_rebuild_every_call(replaying: Replaying, layout: str, client: str) -> None:
    asked: dict[str, Any] = (
        {"input": "Hi"} if client == "responses" else {"messages": [{"role": "user", "content": "Hi"}]}
    )
    body = body_of(client, {**asked, "model": CHAT_ONLY, "stream": True})
    meant = replaying.sdks.ask(client, body, replaying.named(chunks(LAYOUTS[layout])))
    assert (meant.error, meant.finish) == (None, "tool_calls")
    assert meant.calls == MADE
    assert meant.ids == ("call_0", "call_1", "call_2")


TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
FIRST_TURN: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]


def events(*told: Any) -> Script:
    return stream("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in told))


def thinking_message(*, streamed: bool) -> Script:
    """Anthropic thinks, hides a thought, and calls."""
    usage = {"input_tokens": 9, "output_tokens": 9}
    blocks: list[Any] = [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": REDACTED},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
    ]
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_sequence": None, "usage": usage}
    if not streamed:
        return whole({**said, "content": blocks, "stop_reason": "tool_use"})
    starts = [
        {"type": "thinking", "thinking": "", "signature": ""},
        blocks[1],
        {**blocks[2], "input": {}},
    ]
    deltas: list[list[Any]] = [
        [{"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": SIGNATURE}],
        [],
        [
            {"type": "input_json_delta", "partial_json": '{"city": '},
            {"type": "input_json_delta", "partial_json": '"Paris"}'},
        ],
    ]
    told: list[Any] = [{"type": "message_start", "message": {**said, "content": [], "stop_reason": None}}]
    for index, (start, pieces) in enumerate(zip(starts, deltas, strict=True)):
        told.append({"type": "content_block_start", "index": index, "content_block": start})
        told += [{"type": "content_block_delta", "index": index, "delta": piece} for piece in pieces]
        told.append({"type": "content_block_stop", "index": index})
    told.append({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": usage})
    return events(*told, {"type": "message_stop"})


def thinking_content(*, streamed: bool) -> Script:
    """Gemini thinks and calls, and signs the call."""
    call = {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": SIGNED_BY_GOOGLE}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
    thought = {"text": "Hm.", "thought": True}

    def chunk(*parts: Any, **more: Any) -> Any:
        return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}], "usageMetadata": usage}

    if not streamed:
        return whole(chunk(thought, call, finishReason="STOP"))
    return sse([chunk(thought), chunk(call), chunk({"text": ""}, finishReason="STOP")], done=False)


def thinking_chat(*, streamed: bool) -> Script:
    """A chat provider thinks aloud and calls."""
    made = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    said = {"role": "assistant", "content": None, "reasoning_content": "Hm."}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    shared = {"id": "c", "created": 1, "model": "m", "object": "chat.completion"}
    if not streamed:
        choice = {"index": 0, "message": {**said, "tool_calls": [made]}, "finish_reason": "tool_calls"}
        return whole({**shared, "choices": [choice], "usage": usage})
    shared["object"] = "chat.completion.chunk"
    told = [(said, None), ({"tool_calls": [{"index": 0, **made}]}, None), ({}, "tool_calls")]
    spoken = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": why}]} for delta, why in told]
    return sse([*spoken, {**shared, "choices": [], "usage": usage}])


SCRIPTS = {"anthropic": thinking_message, "gemini": thinking_content, CHAT_ONLY: thinking_chat}


def two_turns(replaying: Replaying, model: str, *, streamed: bool) -> Any:
    """Asks Anthropic's SDK twice, giving back the first answer as the SDK holds it; what the provider got last."""
    client = replaying.sdks.anthropic
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    asked: dict[str, Any] = {"model": model, "max_tokens": 2000, "tools": TOOLS, "thinking": thinking}
    headers = replaying.named(SCRIPTS[model](streamed=streamed))
    if streamed:
        with client.messages.stream(**asked, messages=FIRST_TURN, extra_headers=headers) as said:
            answer: Any = said.get_final_message()
    else:
        answer = client.messages.create(**asked, messages=FIRST_TURN, extra_headers=headers)
    (use,) = [block for block in answer.content if block.type == "tool_use"]
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"})
    assert next(block.thinking for block in answer.content if block.type == "thinking") == "Hm."
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"}
    turns = [*FIRST_TURN, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    client.messages.create(**asked, messages=turns, extra_headers=replaying.named(SCRIPTS[model](streamed=False)))
    return replaying.upstream.requests[-1].json


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_signatures_come_back_to_it_byte_for_byte(replaying: Replaying, streamed: bool) -> None:
    sent = two_turns(replaying, "anthropic", streamed=streamed)
    assert sent["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": REDACTED},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_geminis_signature_comes_back_to_it_through_a_messages_client(replaying: Replaying, streamed: bool) -> None:
    sent = two_turns(replaying, "gemini", streamed=streamed)
    google_schema.check_request(sent)
    parts = sent["contents"][1]["parts"]
    (called,) = [part for part in parts if "functionCall" in part]
    assert (called["functionCall"]["name"], called["functionCall"]["args"]) == ("get_weather", {"city": "Paris"})
    assert called["thoughtSignature"] == SIGNED_BY_GOOGLE
    assert "tollway" not in json.dumps(sent)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chat_provider_gets_its_call_and_the_result_back(replaying: Replaying, streamed: bool) -> None:
    sent = two_turns(replaying, CHAT_ONLY, streamed=streamed)
    _, made, result = sent["messages"]
    assert made["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert (result["role"], result["tool_call_id"]) == ("tool", made["tool_calls"][0]["id"])
    assert not {"thinking_blocks", "extra_content", "cache_control"} & made.keys()


def test_anthropics_thoughts_come_back_through_a_chat_client(replaying: Replaying) -> None:
    chat = replaying.sdks.openai.chat.completions
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOLS[0]["input_schema"]}}]
    headers = replaying.named(thinking_message(streamed=False))
    answer = chat.create(model="anthropic", messages=FIRST_TURN, tools=tools, extra_headers=headers)
    turns: Any = [
        *FIRST_TURN,
        answer.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": "toolu_1", "content": "18 degrees"},
    ]
    headers = replaying.named(thinking_message(streamed=False))
    chat.create(model="anthropic", messages=turns, tools=tools, reasoning_effort="low", extra_headers=headers)
    sent = replaying.upstream.requests[-1].json
    anthropic_schema.check(sent)
    thoughts = sent["messages"][1]["content"][:2]
    assert [thoughts[0]["signature"], thoughts[1]["data"]] == [SIGNATURE, REDACTED]


@pytest.mark.parametrize("client", MARKED)
def test_cache_marks_arrive_in_all_five_places(replaying: Replaying, client: str) -> None:
    body = {**body_of(client, MARKED[client]), "model": "anthropic"}
    meant = replaying.sdks.ask(client, body, replaying.named(thinking_message(streamed=False)))
    assert meant.error is None
    sent = replaying.upstream.requests[-1].json
    assert marks_of(sent) == [HOUR, HOUR, HOUR, MARK, MARK]
