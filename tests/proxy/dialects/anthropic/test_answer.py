"""Whole answers and errors in Anthropic's terms, beyond what the records show."""

import json
from typing import Any

import anthropic
import pytest
from tests.proxy.dialects.sdk import ASKED, check_message, client, heard, read_whole

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.anthropic.signatures import MAX_PACKED_BYTES, unpack
from tollway.proxy.dialects.port import Refused

DIALECT = MessagesDialect()


def answer(message: Any, finish: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"id": "c1", "model": "m1", "choices": [choice], **more}).encode()


def told(message: Any, finish: str = "stop", **more: Any) -> dict[str, Any]:
    said = DIALECT.writer(b"{}", "alias").whole(answer(message, finish, **more))
    check_message(said)
    message = json.loads(said)
    assert isinstance(message, dict)
    return message


def call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


def test_every_field_of_a_message_is_there() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert told({"role": "assistant", "content": "Hi"}, usage=usage) == {
        "type": "message",
        "id": "c1",
        "role": "assistant",
        "model": "m1",
        "content": [{"type": "text", "text": "Hi", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 4,
        },
    }


def test_thoughts_come_first_then_text_then_calls() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    message = {
        "content": "So",
        "tool_calls": [call('{"n": 1.50}')],
        "thinking_blocks": [thought, hidden],
        "reasoning_content": "hm",
    }
    content = told(message, "tool_calls")["content"]
    assert content[:2] == [thought, hidden]
    assert [block["type"] for block in content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert '"input":{"n": 1.50}' in DIALECT.writer(b"{}", "m").whole(answer(message, "tool_calls")).decode()


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_a_thought_that_nobody_signed_has_an_empty_signature(name: str) -> None:
    content = told({"content": "So", name: "hm"})["content"]
    assert content[0] == {"type": "thinking", "thinking": "hm", "signature": ""}


@pytest.mark.parametrize("content", [None, "", []])
def test_an_answer_that_says_nothing_has_no_blocks(content: Any) -> None:
    assert told({"content": content})["content"] == []


@pytest.mark.parametrize("arguments", ["", " ", "null", None, "{}"])
def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    assert told({"tool_calls": [call(arguments)]}, "tool_calls")["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '"x"', "{}x", ["a"], "[" * 100_000])
def test_arguments_that_are_no_object_are_an_error(arguments: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the writer's promise is the type
        DIALECT.writer(b"{}", "m").whole(answer({"tool_calls": [call(arguments)]}, "tool_calls"))


def test_a_call_that_the_limit_cut_short_is_left_out() -> None:
    message = told({"content": "So", "tool_calls": [call("{}"), call('{"x": "y')]}, "length")
    assert ([block["type"] for block in message["content"]], message["stop_reason"]) == (
        ["text", "tool_use"],
        "max_tokens",
    )


def test_calls_without_an_id_or_with_the_same_get_their_own() -> None:
    calls = [call("{}"), call("{}"), {**call("{}"), "id": None}, {**call("{}"), "id": ""}]
    ids = [block["id"] for block in told({"tool_calls": calls}, "tool_calls")["content"]]
    assert ids[0] == "a"
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("finish", "with_call", "stop"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("length", False, "max_tokens"),
        ("content_filter", True, "refusal"),
        ("function_call", True, "tool_use"),
        ("from_the_future", True, "tool_use"),
    ],
)
def test_reasons_are_said_in_anthropics_words(finish: str, with_call: bool, stop: str) -> None:
    assert told({"content": "x", "tool_calls": [call("{}")] if with_call else None}, finish)["stop_reason"] == stop


def test_a_refusal_of_the_model_is_text_and_one_of_a_filter_a_reason() -> None:
    message = told({"content": None, "refusal": "I won't"})
    assert (message["content"][0]["text"], message["stop_reason"]) == ("I won't", "refusal")
    message = told({"content": "So", "refusal": "Bad"}, "content_filter")
    assert (message["content"][0]["text"], message["stop_reason"]) == ("So", "refusal")
    assert message["stop_details"] == {"type": "refusal", "explanation": "Bad", "category": None}


def test_signatures_of_another_vendor_ride_on_a_thought() -> None:
    extra = {"google": {"thought_signature": "c2ln"}, "anthropic": {"x": 1}, "Bad Vendor": {"x": 1}, "empty": {}}
    content = told({"content": "So", "tool_calls": [call("{}", extra_content=extra)]}, "tool_calls")["content"]
    assert [block["type"] for block in content] == ["text", "thinking", "tool_use"]
    unpacked = unpack(content[1]["signature"])
    assert unpacked is not None
    vendor, packed = unpacked
    assert (vendor, packed.message, packed.calls) == ("google", {}, {"a": {"thought_signature": "c2ln"}})


def test_what_is_packed_is_bounded_and_signatures_go_before_pictures() -> None:
    picture = {"inlineData": {"data": "x" * MAX_PACKED_BYTES}}
    extra = {"google": {"thought_signature": "c2ln", "parts": [picture]}}
    content = told({"content": "So", "extra_content": extra})["content"]
    unpacked = unpack(content[1]["signature"])
    assert unpacked is not None
    assert unpacked[1].message == {"thought_signature": "c2ln"}
    extra = {"google": {"thought_signature": "x" * MAX_PACKED_BYTES}}
    assert len(told({"content": "So", "extra_content": extra})["content"]) == 1


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, (0, 0, 0, 0, 0)),
        ({}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": None, "completion_tokens": "x", "total_tokens": True}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": 12.0, "completion_tokens": 1.5}, (12, 0, 0, 0, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, (10, 0, 0, 5, 0)),
        ({"prompt_tokens": 10, "total_tokens": 15}, (10, 0, 0, 5, 0)),
        (
            {
                "prompt_tokens": 7310,
                "completion_tokens": 5,
                "total_tokens": 7315,
                "prompt_tokens_details": {"cached_tokens": 7000, "cache_write_tokens": 300},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (10, 7000, 300, 5, 3),
        ),
        # xAI leaves reasoning out of the completion.
        (
            {
                "prompt_tokens": 140,
                "completion_tokens": 38,
                "total_tokens": 322,
                "completion_tokens_details": {"reasoning_tokens": 144},
            },
            (140, 0, 0, 182, 144),
        ),
        # Azure has told more cached tokens than the prompt has.
        ({"prompt_tokens": 293, "prompt_tokens_details": {"cached_tokens": 387}}, (0, 293, 0, 0, 0)),
        ({"prompt_tokens": 64, "num_cached_tokens": 32}, (32, 32, 0, 0, 0)),
        ({"prompt_tokens": 64, "prompt_cache_hit_tokens": 32, "prompt_tokens_details": None}, (32, 32, 0, 0, 0)),
    ],
)
def test_cached_tokens_stand_beside_the_input(usage: Any, counts: tuple[int, ...]) -> None:
    said = DIALECT.writer(b"{}", "m").whole(answer({"content": "x"}, usage=usage))
    assert heard(read_whole(said)).usage == counts


def test_writes_to_a_cache_for_an_hour_are_told_apart() -> None:
    details = {"cache_write_tokens": 300, "cache_write_1h_tokens": 100}
    usage = told({"content": "x"}, usage={"prompt_tokens": 900, "prompt_tokens_details": details})["usage"]
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": 1, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}',
        b'{"choices": [{"message": {"thinking_blocks": {"a": 1}}}]}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the writer's promise is the type
        DIALECT.writer(b"{}", "m").whole(body)


ERRORS: list[tuple[int, str, type[anthropic.APIStatusError]]] = [
    (400, "invalid_request_error", anthropic.BadRequestError),
    (401, "authentication_error", anthropic.AuthenticationError),
    (403, "permission_error", anthropic.PermissionDeniedError),
    (404, "not_found_error", anthropic.NotFoundError),
    (409, "api_error", anthropic.ConflictError),
    (413, "request_too_large", anthropic.RequestTooLargeError),
    (429, "rate_limit_error", anthropic.RateLimitError),
    (500, "api_error", anthropic.InternalServerError),
    (502, "api_error", anthropic.InternalServerError),
    (503, "overloaded_error", anthropic.ServiceUnavailableError),
    (504, "timeout_error", anthropic.DeadlineExceededError),
]


@pytest.mark.parametrize(("status", "kind", "error"), ERRORS, ids=lambda case: str(case))
def test_an_error_is_raised_by_the_sdk_as_what_it_is(status: int, kind: str, error: type[Exception]) -> None:
    body = DIALECT.envelope(Refused(status, "server_error", None, "So it is", None, "req_1"))
    assert json.loads(body) == {
        "type": "error",
        "error": {"type": kind, "message": "So it is"},
        "request_id": "req_1",
    }
    with pytest.raises(error) as raised:
        client(body, "application/json", status).messages.create(**ASKED)
    assert isinstance(raised.value, anthropic.APIStatusError)
    assert raised.value.type == kind


def test_an_error_in_a_stream_is_raised_by_the_sdk() -> None:
    event = DIALECT.fault_event(Refused(503, "server_error", "overloaded", "So it is", None, "req_1"))
    with (
        client(event, "text/event-stream").messages.stream(**ASKED) as stream,
        pytest.raises(anthropic.APIStatusError, match="So it is"),
    ):
        stream.get_final_message()
