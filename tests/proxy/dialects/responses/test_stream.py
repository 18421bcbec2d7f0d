"""The hub's chunks as events of a response: their order, their numbers, and what the last one holds."""

import itertools
import json
from typing import Any

import pytest
from tests.fakes.openai_schema import check_response_event

from tollway.proxy.dialects.port import Refused, Writer
from tollway.proxy.dialects.responses import opened
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.dialects.responses.sealed import Sealed, unseal

REFUSED = Refused(502, "server_error", "upstream_broken", "It broke.", None, "r")


def writer() -> Writer:
    return ResponsesDialect().writer(b'{"model": "alias", "input": "hi", "stream": true}', "alias")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    return json.dumps({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}).encode()


def piece(index: int | None, arguments: str = "", identity: str | None = None, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": "look"} if identity else {})
    told = {"index": index, "id": identity, "function": function, **more}
    return {"tool_calls": [{name: value for name, value in told.items() if value is not None}]}


def read(framed: bytes) -> list[dict[str, Any]]:
    """The events, each checked against OpenAI's types and against its own name."""
    events = []
    for block in framed.decode().removesuffix("\n\n").split("\n\n") if framed else ():
        name, data = block.split("\n")
        assert check_response_event(data.removeprefix("data: ").encode()) == []
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def walked(*payloads: bytes) -> list[dict[str, Any]]:
    """All events of a stream that ends well; they are numbered without a gap."""
    telling = writer()
    events = read(b"".join([*map(telling.event, payloads), telling.end()]))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The names in order; deltas in a row count once."""
    named = [event["type"].removeprefix("response.") for event in events]
    return [name for name, _ in itertools.groupby(named)]


def last(*payloads: bytes) -> dict[str, Any]:
    response: dict[str, Any] = walked(*payloads)[-1]["response"]
    return response


def test_text_comes_in_openais_order() -> None:
    events = walked(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "hel"}), chunk({"content": "lo"}, "stop")
    )
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "hello"
    assert len({event["item_id"] for event in events if "item_id" in event}) == 1


def test_a_thought_is_told_before_the_words() -> None:
    events = walked(chunk({"reasoning_content": "h"}), chunk({"reasoning": "m"}), chunk({"content": "yes"}, "stop"))
    assert kinds(events)[2:8] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    thought, message = events[-1]["response"]["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert message["content"][0]["text"] == "yes"
    assert [event["output_index"] for event in events if event["type"].endswith("item.added")] == [0, 1]


def test_calls_are_told_piece_by_piece() -> None:
    events = walked(
        chunk({"content": "I look."}),
        chunk(piece(0, "", "c1", type="function")),
        chunk(piece(0, '{"a"')),
        chunk(piece(0, ":1}")),
        chunk({}, "tool_calls"),
    )
    assert kinds(events)[7:] == [
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    call = events[-1]["response"]["output"][1]
    assert (call["call_id"], call["name"], call["arguments"]) == ("c1", "look", '{"a":1}')


def test_parallel_calls_may_interleave() -> None:
    pieces = [
        piece(0, "", "c1"),
        piece(1, "", "c2"),
        piece(0, '{"a":'),
        piece(1, '{"b":'),
        piece(0, "1}"),
        piece(1, "2}"),
    ]
    calls = last(*map(chunk, pieces))["output"]
    assert [(call["call_id"], call["arguments"]) for call in calls] == [("c1", '{"a":1}'), ("c2", '{"b":2}')]


def test_calls_without_an_index_or_all_with_the_same_are_told_apart() -> None:
    for index in (None, 0):
        calls = last(chunk(piece(index, '{"a":1}', "c1")), chunk(piece(index, "{}", "c2")))["output"]
        assert [(call["call_id"], call["arguments"]) for call in calls] == [("c1", '{"a":1}'), ("c2", "{}")]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = walked(chunk(piece(0, "", "c1")), chunk({}, "tool_calls"))
    deltas = [event["delta"] for event in events if event["type"].endswith("arguments.delta")]
    assert (deltas, events[-1]["response"]["output"][0]["arguments"]) == (["{}"], "{}")


def test_a_call_without_an_id_gets_one() -> None:
    nameless = {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": "{}"}}]}
    assert last(chunk(nameless))["output"][0]["call_id"].startswith("call_")


def test_a_refusal_is_told_as_one() -> None:
    events = walked(chunk({"content": "I "}), chunk({"refusal": "n"}), chunk({"refusal": "o"}, "stop"))
    assert kinds(events)[4:11] == [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]
    text, refusal = events[-1]["response"]["output"][0]["content"]
    assert (text["text"], refusal["refusal"]) == ("I ", "no")


def test_a_thought_after_words_begins_a_new_item() -> None:
    told = last(chunk({"content": "a"}), chunk({"reasoning": "hm"}), chunk({"content": "b"}, "stop"))
    assert [item["type"] for item in told["output"]] == ["message", "reasoning", "message"]


def test_sources_and_likelihoods_are_told() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://host", "title": "t", "start_index": 0, "end_index": 1},
    }
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    events = walked(chunk({"content": "a"}, logprobs=logprobs), chunk({"annotations": [cited]}, "stop"))
    assert "output_text.annotation.added" in kinds(events)
    (part,) = events[-1]["response"]["output"][0]["content"]
    assert part["annotations"][0]["url"] == "https://host"
    assert part["logprobs"] == [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]


def test_what_was_read_is_cited_at_the_end() -> None:
    read = [{"title": "t", "url": "https://host"}]
    told = json.loads(chunk({"content": "a"})) | {"search_results": read}
    events = walked(json.dumps(told).encode(), json.dumps(told).encode(), chunk({}, "stop"))
    assert kinds(events).count("output_text.annotation.added") == 1
    assert events[-1]["response"]["output"][0]["content"][0]["annotations"][0]["url"] == "https://host"


def test_usage_may_come_last_and_is_told_at_the_end() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    events = walked(chunk({"content": "a"}, "stop"), json.dumps({"choices": [], "usage": usage}).encode())
    assert events[-1]["response"]["usage"]["total_tokens"] == 5
    assert events[0]["response"]["usage"] is None


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_stream_cut_short_ends_incomplete(finish: str, reason: str) -> None:
    events = walked(chunk({"content": "hel"}), chunk({}, finish))
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": reason}
    assert events[-2]["item"]["status"] == events[-1]["response"]["output"][0]["status"] == "incomplete"


def test_an_empty_first_chunk_begins_the_response_and_no_item() -> None:
    first = json.dumps({"choices": [], "id": "", "model": "", "created": 0}).encode()
    assert kinds(read(writer().event(first))) == ["created", "in_progress"]


def test_other_choices_and_the_terminator_say_nothing() -> None:
    told = last(chunk({"content": "a"}), chunk({"content": "b"}, index=1), b"[DONE]")
    assert told["output"][0]["content"][0]["text"] == "a"


def _carried(item: dict[str, Any]) -> Sealed:
    carried = unseal(item["encrypted_content"], "")
    assert carried is not None
    return carried


def test_signed_thoughts_are_sealed_in_their_item() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    told = last(
        chunk({"reasoning_content": "hm"}), chunk({"thinking_blocks": [block]}), chunk({"content": "a"}, "stop")
    )
    thought, _ = told["output"]
    assert thought["summary"][0]["text"] == "hm"
    assert _carried(thought).thinking_blocks[0].signature == "s"


def test_a_calls_signature_goes_before_the_call() -> None:
    signed = {"google": {"thought_signature": "AA=="}}
    told = last(chunk(piece(0, "{}", "c1", extra_content=signed)), chunk(piece(1, "{}", "c2")))
    carrier, first, second = told["output"]
    assert (carrier["type"], carrier["summary"]) == ("reasoning", [])
    assert _carried(carrier).calls == {"c1": signed}
    assert (first["call_id"], second["call_id"]) == ("c1", "c2")


def test_a_signature_that_comes_last_goes_behind_the_words() -> None:
    signed = {"google": {"thought_signature": "AA=="}}
    told = last(chunk({"content": "a"}), chunk({"content": "", "extra_content": signed}), chunk({}, "stop"))
    message, carrier = told["output"]
    assert message["status"] == "completed"
    assert (_carried(carrier).extra, _carried(carrier).after) == (signed, True)


def test_a_fault_is_an_error_and_a_failed_response() -> None:
    telling = writer()
    telling.event(chunk({"content": "hel"}))
    telling.event(chunk(piece(0, '{"a"', "c1")))
    error, failed = read(telling.fault(REFUSED))
    assert (error["type"], error["code"], error["message"]) == ("error", "upstream_broken", "It broke.")
    assert error["error"] == {"type": "server_error", "code": "upstream_broken", "message": "It broke.", "param": None}
    response = failed["response"]
    assert (response["status"], response["error"]) == ("failed", {"code": "server_error", "message": "It broke."})
    assert response["output"][0]["content"][0]["text"] == "hel"
    assert (response["output"][1]["status"], response["output"][1]["arguments"]) == ("incomplete", '{"a"')


def test_a_fault_before_the_first_word_has_a_response_to_fail() -> None:
    assert kinds(read(writer().fault(REFUSED))) == ["created", "in_progress", "error", "failed"]


def test_an_error_among_the_chunks_leaves_the_word_to_the_fault() -> None:
    assert writer().event(b'{"error": {"message": "x"}}') == b""


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limit_exceeded"), (400, "invalid_prompt"), (503, "server_error")]
)
def test_a_failure_has_one_of_openais_codes(status: int, code: str) -> None:
    refused = Refused(status, "t", "c", "m", None, "r")
    assert read(writer().fault(refused))[-1]["response"]["error"]["code"] == code


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"choices": 1}',
        b'{"choices": [1]}',
        b'{"choices": [{"delta": 1}]}',
        chunk({"content": 1}),
        chunk({"tool_calls": 1}),
        chunk({"tool_calls": [{"function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"id": 1, "function": {"name": "f"}}]}),
        chunk({"annotations": 1}),
        chunk({"content": "x"}, logprobs={"content": [1]}),
    ],
)
def test_what_is_no_chunk_is_an_error(payload: bytes) -> None:
    telling = writer()
    telling.event(chunk({"content": "a"}))
    with pytest.raises(ValueError, match=r".*"):
        telling.event(payload)


@pytest.mark.parametrize(
    "delta", [{"content": "x" * 60}, {"reasoning": "x" * 60}, {"refusal": "x" * 60}, piece(0, "x" * 60, "c")]
)
def test_what_is_kept_has_a_bound(delta: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MOST_KEPT", opened.FRAME + 100)
    telling = writer()
    telling.event(chunk(delta))
    with pytest.raises(ValueError, match="too long"):
        telling.event(chunk(delta))


def test_the_end_is_said_though_there_is_no_room_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MOST_KEPT", 2 * opened.FRAME + 60)
    telling = writer()
    telling.event(chunk({"content": "x" * 60}))
    telling.event(chunk(piece(0, "", "c1")))
    assert read(telling.end())[-1]["response"]["output"][1]["arguments"] == "{}"
