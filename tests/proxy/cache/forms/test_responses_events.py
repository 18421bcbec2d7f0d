"""Whole answers of OpenAI's Responses as streams, in the documented order."""

import itertools
import json
from typing import Any

import pytest
from openai.types.responses import Response
from tests.fakes.openai_schema import check_response_event
from tests.proxy.cache.forms.streams import Reading, told

from tollway.proxy.cache import forms

TEXT = "Hello there, and welcome to this long text. " * 5
CITED = {"type": "url_citation", "start_index": 0, "end_index": 5, "title": "t", "url": "https://host"}
TOKEN = {
    "token": "Hi",
    "logprob": -1.5,
    "bytes": [72, 105],
    "top_logprobs": [{"token": "Ho", "logprob": -2.5, "bytes": [72]}],
}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": TEXT}, {"type": "summary_text", "text": "And more."}],
    "content": [{"type": "reasoning_text", "text": TEXT}],
    "encrypted_content": "opaque",
}
SAID = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {"type": "output_text", "text": TEXT, "annotations": [CITED], "logprobs": []},
        {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": [TOKEN]},
        {"type": "refusal", "refusal": "No."},
    ],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "c_1",
    "name": "look",
    "arguments": json.dumps({"at": "x" * 200}),
}
CUSTOM = {"id": "ct_1", "type": "custom_tool_call", "call_id": "c_2", "name": "run", "input": TEXT}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}


def response(*items: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 7,
        "completed_at": 8,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": list(items),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 5,
        },
        **more,
    }


ANSWER = response(THOUGHT, SEARCH, SAID, CALL, CUSTOM)


def streamed(given: Any) -> bytes:
    return b"".join(forms.events("responses", json.dumps(given, indent=2).encode()))


def kinds(given: Any) -> list[str]:
    """The types in order; deltas in a row count once."""
    named = [event["type"].removeprefix("response.") for event in told(streamed(given))]
    return [name for name, _ in itertools.groupby(named)]


def test_every_event_is_one_of_openais_and_they_are_numbered_without_a_gap() -> None:
    for number, frame in enumerate(forms.events("responses", json.dumps(ANSWER, indent=2).encode())):
        name, data = frame.decode().removesuffix("\n\n").split("\n")
        assert check_response_event(data.removeprefix("data: ").encode()) == []
        event = json.loads(data.removeprefix("data: "))
        assert (name, event["sequence_number"]) == (f"event: {event['type']}", number)


def test_a_response_begins_empty_and_ends_whole() -> None:
    created, in_progress, *_, last = told(streamed(ANSWER))
    for event in (created, in_progress):
        begun = event["response"]
        assert (begun["status"], begun["output"], begun["usage"], begun["completed_at"]) == (
            "in_progress",
            [],
            None,
            None,
        )
        assert (begun["id"], begun["model"]) == ("resp_1", "m")
    assert last["response"] == ANSWER


def test_a_message_is_told_part_by_part() -> None:
    assert kinds(response(SAID)) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_thoughts_and_calls_are_told_in_pieces() -> None:
    assert kinds(response(THOUGHT, CALL, CUSTOM))[2:-1] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]


def test_an_item_of_another_kind_is_told_as_it_is() -> None:
    added, done = (event for event in told(streamed(response(SEARCH))) if "item" in event)
    assert added["item"] == SEARCH | {"status": "in_progress"}
    assert done["item"] == SEARCH


def test_log_probabilities_come_with_their_tokens_and_without_bytes() -> None:
    deltas = [event for event in told(streamed(response(SAID))) if event["type"] == "response.output_text.delta"]
    told_token = {"token": "Hi", "logprob": -1.5, "top_logprobs": [{"token": "Ho", "logprob": -2.5}]}
    assert deltas[-1]["logprobs"] == [told_token]


def test_openais_sdk_puts_the_very_response_together_again(sdk: Reading) -> None:
    texts: dict[tuple[int, int], str] = {}
    with sdk.given(streamed(ANSWER), stream=True).openai.responses.stream(model="m", input="Hi") as events:
        for event in events:
            if event.type == "response.output_text.delta":
                texts[event.output_index, event.content_index] = event.snapshot
        final = events.get_final_response()
    assert texts == {(2, 0): TEXT, (2, 1): "Hi"}
    assert final.output_text == TEXT + "Hi"
    read = Response.model_validate(ANSWER).to_dict()
    assert [*map(unparsed, final.to_dict()["output"])] == read["output"]  # type: ignore[call-overload]


def unparsed(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what the SDK adds."""
    told = {name: value for name, value in item.items() if name != "parsed_arguments"}
    if told["type"] == "message":
        told["content"] = [{name: part[name] for name in part if name != "parsed"} for part in told["content"]]
    return told


def test_an_answer_that_a_limit_ended_ends_so_as_a_stream() -> None:
    given = response(
        SAID | {"status": "incomplete"}, status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )
    last = told(streamed(given))[-1]
    assert (last["type"], last["response"]) == ("response.incomplete", given)


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "failed"},
        {"status": "in_progress"},
        {"status": None},
        {"output": None},
        {"output": [None]},
        {"output": [{"type": "message", "content": [1]}]},
        {"output": [{"type": "function_call"}]},
        {"output": [{"type": "reasoning", "summary": [{}]}]},
        {"output": [SAID | {"content": [{"type": "output_text", "text": "Hi", "logprobs": [{"top_logprobs": [1]}]}]}]},
    ],
)
def test_what_is_no_answer_has_no_events(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        streamed(ANSWER | changed)
