"""Streams of OpenAI's Responses as whole answers: the last event has all of it, and is held against the others."""

import json
from typing import Any

import pytest
from tests.proxy.cache.forms.streams import DONE

from tollway.proxy.cache import forms

ITEM = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi there", "annotations": [], "logprobs": []}],
}
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c", "name": "look", "arguments": "{}"}


def response(*items: Any, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return {"id": "r", "object": "response", "status": "completed", "output": list(items), "usage": usage, **more}


def streamed(last: dict[str, Any], **changed: Any) -> list[dict[str, Any]]:
    """The events of one message and one call, as far as they matter here, and ``last``."""
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.in_progress", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM | {"content": []}},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi "},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "there"},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
        {"type": "response.output_item.added", "output_index": 1, "item": CALL | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": CALL},
        {"type": f"response.{last['status']}", "response": last, **changed},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


def whole(events: list[Any], end: bytes = b"") -> Any:
    framed = [f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    said = forms.whole("responses", b"".join(framed) + end)
    return None if said is None else json.loads(said)


WHOLE = response(ITEM, CALL, service_tier="flex", unheard_of={"a": [1]})
GOOD = streamed(WHOLE)


def test_the_last_event_is_the_answer() -> None:
    assert whole(GOOD) == WHOLE


def test_a_done_behind_the_last_event_is_passed_over() -> None:
    assert whole(GOOD, DONE) == WHOLE


def test_an_answer_that_a_limit_ended_is_whole_all_the_same() -> None:
    given = response(ITEM | {"status": "incomplete"}, CALL, status="incomplete")
    assert whole(streamed(given)) == given


def test_events_without_numbers_are_taken_as_they_come() -> None:
    assert whole([{name: event[name] for name in event if name != "sequence_number"} for event in GOOD]) == WHOLE


def test_events_of_other_kinds_repeat_what_the_answer_has() -> None:
    other = {"type": "response.web_search_call.searching", "output_index": 0, "sequence_number": 0}
    events = [GOOD[0], other, {"type": "keepalive"}, *GOOD[1:]]
    assert whole([event | {"sequence_number": number} for number, event in enumerate(events)]) == WHOLE


def without(place: int) -> list[dict[str, Any]]:
    return [*GOOD[:place], *GOOD[place + 1 :]]


def changed(place: int, **fields: Any) -> list[dict[str, Any]]:
    return [*GOOD[:place], GOOD[place] | fields, *GOOD[place + 1 :]]


SPOILT: list[dict[str, Any]] = [
    {"status": "in_progress"},
    {"status": None},
    {"output": None},
    {"output": []},
    {"output": [ITEM]},
    {"output": [ITEM, CALL, CALL]},
    {"output": [ITEM, CALL | {"status": "incomplete"}]},
    {"error": {"code": "server_error", "message": "x"}},
]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param(GOOD[:-1], id="no end"),
        pytest.param(GOOD[-1:], id="the end alone"),
        pytest.param(without(0), id="no beginning"),
        *(pytest.param(without(place), id=f"without event {place}") for place in (2, 4, 5, 6, 7, 9)),
        pytest.param([GOOD[1], GOOD[0], *GOOD[2:]], id="another order at the beginning"),
        pytest.param([*GOOD[:4], GOOD[5], GOOD[4], *GOOD[6:]], id="another order"),
        pytest.param([*GOOD[:6], GOOD[7], GOOD[6], *GOOD[8:]], id="another order of items"),
        pytest.param([*GOOD, GOOD[-1]], id="two ends"),
        pytest.param([*GOOD[:3], GOOD[0], *GOOD[3:]], id="two beginnings"),
        pytest.param([*GOOD, {"type": "error", "message": "x"}], id="an error at the end"),
        pytest.param([*GOOD[:5], {"type": "error", "message": "x"}, *GOOD[5:]], id="an error"),
        pytest.param([*GOOD[:5], {"type": "surprise"}, *GOOD[5:]], id="an event that is not known"),
        pytest.param([*GOOD[:-1], GOOD[-1] | {"type": "response.failed"}], id="a failure"),
        pytest.param(changed(4, delta="Ho "), id="another text"),
        pytest.param(changed(4, delta=None), id="a text that is null"),
        pytest.param(changed(4, content_index=5), id="a text of no part"),
        pytest.param(changed(8, delta="{"), id="other arguments"),
        pytest.param(changed(6, item=CALL), id="another item"),
        pytest.param(changed(6, item=None), id="no item"),
        pytest.param(changed(10, response=None), id="no response"),
        *(
            pytest.param(changed(10, response=WHOLE | fields), id=f"a response with {sorted(fields)}")
            for fields in SPOILT
        ),
    ],
)
def test_what_is_not_whole_for_sure_is_not_told(events: list[Any]) -> None:
    assert whole(events) is None
