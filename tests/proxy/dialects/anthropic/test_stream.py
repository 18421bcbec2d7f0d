"""The automaton of blocks: what comes of chunks that no record holds."""

import json
from typing import Any

import pytest
from tests.proxy.dialects.sdk import check_order, heard, read_stream

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.anthropic.signatures import unpack
from tollway.proxy.dialects.anthropic.stream import MAX_HELD_CHARACTERS
from tollway.proxy.dialects.port import Refused, Writer

REFUSED = Refused(503, "server_error", "overloaded", "Overloaded", None, "req_1")


def writer() -> Writer:
    return MessagesDialect().writer(b"{}", "alias")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "m1", "choices": [choice], **more}


def call(arguments: str = "", **more: Any) -> dict[str, Any]:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"function": {**name, "arguments": arguments}, **more}


def told(*chunks: dict[str, Any], says: Writer | None = None) -> str:
    says = says or writer()
    said = b"".join(says.event(json.dumps(each).encode()) for each in chunks) + says.end()
    check_order(said)
    return said.decode()


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in said.split("\n") if line.startswith("data: ")]


def content(said: str) -> list[dict[str, Any]]:
    return [block.to_dict() for block in read_stream(said.encode()).content]


def calls(said: str) -> list[tuple[str, Any]]:
    return heard(read_stream(said.encode())).calls


def test_a_stream_is_told_in_the_official_order() -> None:
    said = told(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({"tool_calls": [call(index=0, id="a", name="f")]}),
        chunk({"tool_calls": [call('{"x":', index=0)]}),
        chunk({"tool_calls": [call("1}", index=0)]}),
        chunk({}, "tool_calls"),
        chunk({}, usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}) | {"choices": []},
    )
    usage = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    assert events(said) == [
        {
            "type": "message_start",
            "message": {
                "type": "message",
                "id": "c1",
                "role": "assistant",
                "model": "m1",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "stop_details": None,
                "usage": {"input_tokens": 0, **usage, "output_tokens": 0},
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "text", "text": "", "citations": None},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"x":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None},
            "usage": {"input_tokens": 9, **usage, "output_tokens": 4},
        },
        {"type": "message_stop"},
    ]


def test_a_message_begins_with_the_first_chunk_that_says_whose_it_is() -> None:
    says = writer()
    assert says.event(json.dumps({"id": "", "model": "", "choices": []}).encode()) == b""
    begun = says.event(json.dumps(chunk({"role": "assistant"})).encode())
    assert [event["message"]["id"] for event in events(begun.decode())] == ["c1"]


def test_a_message_of_nobody_has_a_made_id_and_the_name_that_the_client_knows() -> None:
    start = events(told({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}))[0]["message"]
    assert start["id"].startswith("msg_")
    assert start["model"] == "alias"


def test_an_answer_that_says_nothing_is_a_message_without_blocks() -> None:
    assert [event["type"] for event in events(told(chunk({"content": ""}), chunk({}, "stop")))] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


PARTS = [call('{"n":', index=0), call("0}", index=0), call('{"n":', index=1), call("1}", index=1)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 3, 1), (2, 3, 0, 1), (0, 2, 3, 1)])
def test_interleaved_calls_are_told_one_after_the_other(order: tuple[int, ...]) -> None:
    starts = [chunk({"tool_calls": [call(index=place, id=f"c{place}", name=f"f{place}")]}) for place in (0, 1)]
    pieces = [chunk({"tool_calls": [PARTS[place]]}) for place in order]
    assert calls(told(*starts, *pieces, chunk({}, "tool_calls"))) == [("f0", {"n": 0}), ("f1", {"n": 1})]


@pytest.mark.parametrize("indexes", [(None, None, None), (0, 0, 0), (1, 4, 7), (0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("pieces", [1, 3])
def test_three_calls_are_told_whatever_their_indexes_are(indexes: tuple[int | None, ...], pieces: int) -> None:
    chunks = []
    for place, index in enumerate(indexes):
        at: dict[str, Any] = {} if index is None else {"index": index}
        if pieces == 1:
            chunks.append(chunk({"tool_calls": [call('{"n": 1}', id=f"c{place}", name="f", **at)]}))
        else:
            chunks += [
                chunk({"tool_calls": [call(id=f"c{place}", name="f", **at)]}),
                chunk({"tool_calls": [call('{"n":', **at)]}),
                chunk({"tool_calls": [call(" 1}", **at)]}),
            ]
    assert calls(told(*chunks, chunk({}, "tool_calls"))) == [("f", {"n": 1})] * 3


def test_a_call_that_is_whole_makes_room_for_the_next_at_once() -> None:
    says = writer()
    first = chunk({"tool_calls": [call("{}", index=0, id="a", name="f")]})
    second = chunk({"tool_calls": [call('{"y"', index=1, id="b", name="g")]})
    says.event(json.dumps(first).encode())
    kinds = [event["type"] for event in events(says.event(json.dumps(second).encode()).decode())]
    assert kinds == ["content_block_stop", "content_block_start", "content_block_delta"]


@pytest.mark.parametrize("arguments", ["", None])
def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    piece = {"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}
    said = told(chunk({"tool_calls": [piece]}), chunk({}, "tool_calls"))
    assert '"partial_json":"{}"' in said
    assert calls(said) == [("f", {})]


def test_a_call_without_an_id_gets_one() -> None:
    said = told(chunk({"tool_calls": [call("{}", name="f"), call("{}", name="f")]}, "tool_calls"))
    assert [name for name, _ in calls(said)] == ["f", "f"]


def test_a_call_may_begin_with_its_id_alone_and_have_its_arguments_as_an_object() -> None:
    pieces: list[Any] = [{"index": 0, "id": "a"}, {"index": 0, "function": {"name": "f", "arguments": {"n": 1}}}]
    said = told(*[chunk({"tool_calls": [piece]}) for piece in pieces], chunk({}, "tool_calls"), {"usage": {}})
    assert calls(said) == [("f", {"n": 1})]


def test_text_amid_a_call_waits_for_its_end() -> None:
    said = told(
        chunk({"tool_calls": [call('{"x":', index=0, id="a", name="f")]}),
        chunk({"content": "By the way"}),
        chunk({"tool_calls": [call("1}", index=0)]}),
        chunk({}, "tool_calls"),
    )
    assert [block["type"] for block in content(said)] == ["tool_use", "text"]
    assert calls(said) == [("f", {"x": 1})]


def test_what_has_waited_makes_room_again() -> None:
    long = "x" * (MAX_HELD_CHARACTERS // 2)
    chunks = []
    for place in range(0, 10, 2):
        chunks += [
            chunk({"tool_calls": [call('{"a": ', index=place, id=f"c{place}", name="f")]}),
            chunk({"tool_calls": [call(f'{{"b": "{long}"}}', index=place + 1, id=f"c{place + 1}", name="g")]}),
            chunk({"tool_calls": [call("1}", index=place)]}),
        ]
    assert calls(told(*chunks, chunk({}, "tool_calls"))) == [("f", {"a": 1}), ("g", {"b": long})] * 5


def test_what_waits_is_bounded() -> None:
    says = writer()
    open_call = chunk({"tool_calls": [call("{", index=0, id="a", name="f")]})
    says.event(json.dumps(open_call).encode())
    more = json.dumps(chunk({"tool_calls": [call("x" * (MAX_HELD_CHARACTERS // 4), index=1, id="b", name="g")]}))
    for _ in range(4):
        says.event(more.encode())
    with pytest.raises(ValueError, match="waits"):
        says.event(more.encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"7",
        b'{"error": {"message": "x"}}',
        b'{"choices": {"a": 1}}',
        b'{"choices": [1]}',
        b'{"choices": [{"delta": 1}]}',
        b'{"choices": [{"delta": {"content": 1}}]}',
        b'{"choices": [{"delta": {"tool_calls": 1}}]}',
        b'{"choices": [{"delta": {"tool_calls": [1]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": 1}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"name": 1}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": ["a"]}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": "a", "function": {}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"id": "a", "function": {}}]}, "finish_reason": "tool_calls"}]}',
        b'{"choices": [{"delta": {"thinking_blocks": 1}}]}',
        b'{"choices": [{"delta": {"thinking_blocks": [{"type": "thinking", "signature": 1}]}}]}',
        b"[" * 100_000,
    ],
)
def test_a_chunk_that_is_none_is_an_error(payload: bytes) -> None:
    says = writer()
    with pytest.raises(ValueError):  # noqa: PT011
        says.event(payload)


def test_arguments_behind_a_call_that_was_over_are_an_error() -> None:
    says = writer()
    for each in (call("{}", index=0, id="a", name="f"), call("{", index=1, id="b", name="g")):
        says.event(json.dumps(chunk({"tool_calls": [each]})).encode())
    with pytest.raises(ValueError, match="over"):
        says.event(json.dumps(chunk({"tool_calls": [call("1", index=0)]})).encode())


@pytest.mark.parametrize(
    ("finish", "with_call", "stop"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("tool_calls", True, "tool_use"),
        ("content_filter", False, "refusal"),
        ("from_the_future", False, "end_turn"),
        ("from_the_future", True, "tool_use"),
    ],
)
def test_reasons_are_said_in_anthropics_words(finish: str, with_call: bool, stop: str) -> None:
    asked = [chunk({"tool_calls": [call("{}", index=0, id="a", name="f")]})] if with_call else []
    assert heard(read_stream(told(*asked, chunk({}, finish)).encode())).stop == stop


def test_a_stop_sequence_that_is_told_is_passed_on() -> None:
    last = chunk({"content": "x"}, "stop")
    last["choices"][0]["stop_reason"] = "END"
    message = read_stream(told(last).encode())
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_a_refusal_of_the_model_is_text_and_one_of_a_filter_a_reason() -> None:
    message = read_stream(told(chunk({"refusal": "I "}), chunk({"refusal": "won't"}), chunk({}, "stop")).encode())
    assert (heard(message).text, message.stop_reason) == ("I won't", "refusal")
    message = read_stream(told(chunk({"content": "So"}), chunk({"refusal": "Bad"}, "content_filter")).encode())
    assert message.stop_details is not None
    assert (heard(message).text, message.stop_reason, message.stop_details.explanation) == ("So", "refusal", "Bad")


SIGNED = {"type": "thinking", "thinking": "hm, yes", "signature": "c2ln"}


@pytest.mark.parametrize(
    "chunks",
    [
        [{"reasoning_content": "hm,"}, {"reasoning_content": " yes"}, {"thinking_blocks": [SIGNED]}],
        [{"thinking_blocks": [SIGNED]}],
        [{"reasoning_content": "hm, yes", "thinking_blocks": [SIGNED]}],
        [{"thinking_blocks": [{"type": "thinking", "thinking": "hm, "}]}, {"thinking_blocks": [SIGNED]}],
    ],
)
def test_a_signed_thought_is_told_once_and_byte_for_byte(chunks: list[dict[str, Any]]) -> None:
    said = told(*[chunk(delta) for delta in chunks], chunk({"content": "Yes"}, "stop"))
    assert content(said)[0] == SIGNED


def test_thoughts_without_text_keep_their_proofs_in_order() -> None:
    silent = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    said = told(chunk({"thinking_blocks": [silent]}), chunk({"thinking_blocks": [hidden, silent]}), chunk({}, "stop"))
    assert content(said) == [silent, hidden, silent]


GOOGLE = {"google": {"thought_signature": "c2ln"}}


def test_signatures_of_another_vendor_ride_on_a_thought_before_the_calls() -> None:
    said = told(
        chunk({"reasoning_content": "hm"}),
        chunk({"tool_calls": [call("{}", index=0, id="a", name="f", extra_content=GOOGLE)]}),
        chunk({"tool_calls": [call("{}", index=1, id="b", name="f")]}, "tool_calls"),
    )
    thought, *rest = content(said)
    assert [block["type"] for block in rest] == ["tool_use", "tool_use"]
    unpacked = unpack(thought["signature"])
    assert unpacked is not None
    vendor, packed = unpacked
    assert (vendor, packed.message, packed.calls) == ("google", {}, {"a": GOOGLE["google"]})


def test_a_signature_of_a_text_comes_behind_it() -> None:
    said = told(chunk({"content": "Yes", "extra_content": GOOGLE}), chunk({"content": "!"}), chunk({}, "stop"))
    text, thought = content(said)
    assert text["text"] == "Yes!"
    unpacked = unpack(thought["signature"])
    assert unpacked is not None
    assert unpacked[1].message == GOOGLE["google"]


def test_a_fault_is_the_last_word() -> None:
    says = writer()
    says.event(json.dumps(chunk({"content": "Hel"})).encode())
    said = says.fault(REFUSED).decode()
    assert said.startswith("event: error\n")
    error = {"type": "overloaded_error", "message": "Overloaded"}
    assert events(said) == [{"type": "error", "error": error, "request_id": "req_1"}]
    assert says.end() == b""


def test_usage_may_be_told_often_and_its_last_word_holds() -> None:
    said = told(
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}),
        chunk({}, "stop", usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
    )
    assert heard(read_stream(said.encode())).usage == (5, 0, 0, 7, 0)
