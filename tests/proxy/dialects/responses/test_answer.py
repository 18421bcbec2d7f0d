"""The hub's whole answers as responses."""

import json
from typing import Any

import pytest
from tests.fakes.openai_schema import check_response

from tollway.proxy.dialects.port import Refused
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.dialects.responses.sealed import unseal

ASKED: dict[str, Any] = {"model": "alias", "input": "hi"}


def answered(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """The response to a hub's answer, after a strict check; ``more`` lies beside the choices, or in the request."""
    asked = ASKED | more.pop("asked", {})
    choice = {"index": 0, "message": message, "finish_reason": finish, **more.pop("choice", {})}
    body = json.dumps({"id": "x", "choices": [choice], **more}).encode()
    said = ResponsesDialect().writer(json.dumps(asked).encode(), "alias").whole(body)
    assert check_response(said) == []
    told: dict[str, Any] = json.loads(said)
    return told


def output(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answered(message, finish, **more)["output"]
    return items


def call(identity: str | None, arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "look", "arguments": arguments}, **more}


def test_text_is_a_message() -> None:
    told = answered({"role": "assistant", "content": "hello"})
    (item,) = told["output"]
    assert item["id"].startswith("msg_")
    assert item["content"] == [{"type": "output_text", "annotations": [], "logprobs": [], "text": "hello"}]
    assert (told["status"], item["status"], told["model"]) == ("completed", "completed", "alias")
    assert told["id"].startswith("resp_")
    assert told["completed_at"] >= told["created_at"] > 0


def test_calls_keep_their_ids_and_come_after_the_words() -> None:
    message, first, second = output({"content": "I look.", "tool_calls": [call("c1"), call("c2", "")]})
    assert message["type"] == "message"
    assert (first["call_id"], first["name"], first["arguments"]) == ("c1", "look", "{}")
    assert (second["call_id"], second["arguments"]) == ("c2", "{}")
    assert first["id"] != second["id"]


def test_ids_of_calls_are_never_empty_and_never_twice() -> None:
    items = output({"tool_calls": [call("c1"), call("c1"), call(""), call(None)]})
    identities = [item["call_id"] for item in items]
    assert identities[0] == "c1"
    assert len(set(identities)) == 4
    assert all(identities)


def test_a_thought_is_the_summary_of_a_reasoning_item() -> None:
    thought, _ = output({"content": "yes", "reasoning_content": "hm"})
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "encrypted_content" not in thought


def test_what_the_provider_wants_back_is_sealed() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    signed = {"google": {"thought_signature": "AA=="}}
    message = {"content": "x", "thinking_blocks": blocks, "extra_content": signed}
    thought = output(message | {"tool_calls": [call("c1", extra_content=signed)]})[0]
    assert thought["summary"] == []
    carried = unseal(thought["encrypted_content"], "")
    assert carried is not None
    assert [block.signature for block in carried.thinking_blocks[:1]] == ["s"]
    assert (carried.extra, carried.calls, carried.after) == (signed, {"c1": signed}, False)


def test_a_refusal_is_a_part() -> None:
    (item,) = output({"content": None, "refusal": "no"}, "content_filter")
    assert item["content"] == [{"type": "refusal", "refusal": "no"}]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_cut_short_is_incomplete(finish: str, reason: str) -> None:
    told = answered({"content": "hel"}, finish)
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert told["output"][0]["status"] == "incomplete"
    assert told["completed_at"] is None


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "function_call", "made_up", None])
def test_every_other_end_is_an_end(finish: str | None) -> None:
    assert answered({"content": "hello"}, finish)["status"] == "completed"


def test_nothing_said_is_no_item() -> None:
    assert output({"content": ""}) == output({}) == output({"content": None}, "length") == []


def test_a_choice_without_a_message_says_nothing() -> None:
    body = json.dumps({"choices": [{"index": 0, "finish_reason": "content_filter"}]}).encode()
    told = json.loads(ResponsesDialect().writer(json.dumps(ASKED).encode(), "alias").whole(body))
    assert (told["output"], told["status"]) == ([], "incomplete")


def test_usage_is_counted_as_responses_counts() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert answered({"content": "x"}, usage=usage)["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    }


def test_reasoning_beside_the_completion_is_put_inside() -> None:
    usage = {"prompt_tokens": 140, "completion_tokens": 38, "total_tokens": 322}
    told = answered({"content": "x"}, usage=usage | {"completion_tokens_details": {"reasoning_tokens": 144}})
    assert (told["usage"]["output_tokens"], told["usage"]["total_tokens"]) == (182, 322)


@pytest.mark.parametrize("odd", [-1, "12", 12.5, 2**40, True, None, [], {}])
def test_a_count_that_is_none_makes_no_answer_worthless(odd: object) -> None:
    usage = {"prompt_tokens": odd, "completion_tokens": 5.0, "prompt_tokens_details": odd}
    told = answered({"content": "x"}, usage=usage)
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (0, 5)
    assert told["output"][0]["content"][0]["text"] == "x"


def test_usage_that_is_not_told_is_null() -> None:
    assert answered({"content": "x"})["usage"] is None
    assert answered({"content": "x"}, usage=None)["usage"] is None


def test_sources_and_likelihoods_are_kept() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://host", "title": "t", "start_index": 1, "end_index": 3},
    }
    bare = {"type": "url_citation", "url_citation": {"url": "https://host", "end_index": None}}
    unknown = [{"type": "file_citation"}, {"type": "url_citation", "url_citation": {"url": None}}]
    logprobs = {
        "content": [{"token": "é", "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -1, "bytes": [120]}]}]
    }
    (item,) = output({"content": "hello", "annotations": [cited, bare, *unknown]}, choice={"logprobs": logprobs})
    (part,) = item["content"]
    assert part["annotations"] == [
        {"type": "url_citation", "start_index": 1, "end_index": 3, "title": "t", "url": "https://host"},
        {"type": "url_citation", "start_index": 0, "end_index": 0, "title": "", "url": "https://host"},
    ]
    top = [{"token": "x", "logprob": -1.0, "bytes": [120]}]
    assert part["logprobs"] == [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": top}]


def test_what_was_read_is_cited_where_the_text_cites_nothing() -> None:
    read = [{"title": "t", "url": "https://host", "date": "2026-01-01"}, {"title": "no address"}]
    source = {"type": "url_citation", "start_index": 0, "end_index": 0, "title": "t", "url": "https://host"}
    assert answered({"content": "x"}, search_results=read)["output"][0]["content"][0]["annotations"] == [source]


def test_the_response_repeats_its_request() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True, "description": "d"}
    asked = {
        "instructions": "be kind",
        "max_output_tokens": 9,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "tool_choice": "required",
        "top_p": 0.9,
        "user": "u",
        "tools": [tool, {"type": "mcp", "server_label": "x", "authorization": "secret"}],
    }
    told = answered({"content": "x"}, asked=asked)
    for name in asked.keys() - {"reasoning", "text", "tools"}:
        assert told[name] == asked[name]
    assert told["reasoning"] == {"effort": "low", "summary": None}
    assert told["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert told["tools"] == [tool]
    assert told["store"] is False


def test_what_was_not_asked_has_openais_defaults() -> None:
    told = answered({"content": "x"}, service_tier="default")
    assert (told["tool_choice"], told["tools"], told["parallel_tool_calls"]) == ("auto", [], True)
    assert (told["metadata"], told["truncation"], told["top_logprobs"]) == ({}, "disabled", 0)
    assert told["service_tier"] == "default"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": {"message": "x"}}',
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"message": {"content": "x"}}], "search_results": [1]}',
        b'{"choices": {"a": 1}}',
        b'{"choices": [{"message": 1}]}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"tool_calls": [1]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": 1, "function": {"name": "f"}}]}}]}',
        b'{"choices": [{"message": {"thinking_blocks": 1}}]}',
        b'{"choices": [{"message": {"extra_content": {"google": 1}}}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ResponsesDialect().writer(json.dumps(ASKED).encode(), "alias").whole(body)


def test_an_error_has_openais_envelope() -> None:
    refused = Refused(429, "rate_limit_error", "rate_limit_exceeded", "Slow down.", None, "r")
    assert json.loads(ResponsesDialect().envelope(refused)) == {
        "error": {
            "message": "Slow down.",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }


def test_a_passed_stream_ends_with_an_error_event() -> None:
    refused = Refused(502, "server_error", "upstream_broken", "It broke.", None, "r")
    name, data = ResponsesDialect().fault_event(refused).decode().removesuffix("\n\n").split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["message"] == "It broke."


CRM = {"type": "namespace", "name": "crm__", "description": "It.", "tools": [{"type": "function", "name": "look"}]}


@pytest.mark.parametrize("asked", [{"tools": [CRM]}, {"input": [{"type": "additional_tools", "tools": [CRM]}]}])
def test_a_call_of_a_namespaces_function_has_both_names(asked: dict[str, Any]) -> None:
    named = {"id": "c1", "type": "function", "function": {"name": "crm__look", "arguments": "{}"}}
    first, second = output({"tool_calls": [named, call("c2")]}, asked=asked)
    assert (first["namespace"], first["name"]) == ("crm__", "look")
    assert "namespace" not in second
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [named | {"index": 0}]}, "finish_reason": "tool_calls"}]}
    writer = ResponsesDialect().writer(json.dumps(ASKED | asked).encode(), "alias")
    said = writer.event(json.dumps(chunk).encode()) + writer.end()
    assert said.count(b'"namespace":"crm__"') >= 3
    assert b"crm__look" not in said
