"""What other providers left in a conversation is cut where it passes natively, and nothing else."""

import json
from typing import Any

import pytest

from tollway.contract.snapshot import Operation
from tollway.errors import InvalidRequest
from tollway.proxy.providers.traces import OVERLAP_BYTES, STEP_BYTES, found, without_traces

OWN = {"type": "thinking", "thinking": "hm", "signature": "EqQBCg"}
UNSIGNED = {"type": "thinking", "thinking": "hm", "signature": ""}
PACKED = {"type": "thinking", "thinking": "", "signature": "tollway.google.e30="}
TEXT = {"type": "text", "text": "Yes"}
ASKED = {"role": "user", "content": "Hi"}


def messages(*blocks: Any, role: str = "assistant") -> bytes:
    return json.dumps({"model": "m", "messages": [ASKED, {"role": role, "content": list(blocks)}], "x": 1.50}).encode()


@pytest.mark.parametrize("operation", ["messages", "count_tokens"])
@pytest.mark.parametrize("foreign", [UNSIGNED, PACKED])
async def test_thoughts_that_anthropic_did_not_sign_are_cut(operation: Operation, foreign: Any) -> None:
    assert json.loads(await without_traces(messages(foreign, TEXT), operation)) == json.loads(messages(TEXT))
    assert json.loads(await without_traces(messages(OWN, foreign, TEXT), operation)) == json.loads(messages(OWN, TEXT))


async def test_a_turn_that_was_nothing_but_such_a_thought_goes_with_it() -> None:
    assert json.loads(await without_traces(messages(UNSIGNED), "messages"))["messages"] == [ASKED]


@pytest.mark.parametrize(
    "body",
    [
        messages(OWN, TEXT),
        messages({"type": "text", "text": '"signature": "tollway. says a text"'}),
        messages(UNSIGNED, role="user"),
        b'{"messages": "\\"signature\\": \\"\\""}',
    ],
)
async def test_everything_else_stays_as_it_was_written(body: bytes) -> None:
    assert json.loads(await without_traces(body, "messages")) == json.loads(body)


async def test_a_body_without_traces_is_the_very_object() -> None:
    body = messages(OWN, TEXT)
    assert await without_traces(body, "messages") is body
    assert await without_traces(body, "chat") is body
    assert await without_traces(body, "responses") is body


async def test_reasoning_that_openai_did_not_encrypt_is_cut() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    foreign = own | {"encrypted_content": "tollway.e30="}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    body = json.dumps({"model": "m", "input": [ASKED, own, foreign, call]}).encode()
    assert json.loads(await without_traces(body, "responses"))["input"] == [ASKED, own, call]


@pytest.mark.parametrize("before", [STEP_BYTES - 20, STEP_BYTES - 1, STEP_BYTES, 3 * STEP_BYTES - 9])
async def test_a_trace_is_found_wherever_it_lies_in_a_large_body(before: int) -> None:
    blank = b'{"messages": [{"role": "user", "content": "%b"}, ' % (b"x" * (before - 47))
    assistant = json.dumps({"role": "assistant", "content": [UNSIGNED, TEXT]}).encode()
    body = blank + assistant + b"]}"
    assert b'"signature"' not in json.dumps(json.loads(await without_traces(body, "messages"))).encode()


async def test_steps_overlap_by_more_than_what_is_searched_for() -> None:
    body = b"x" * (STEP_BYTES - 5) + b"0123456789" + b"x" * STEP_BYTES
    assert await found(body, lambda part: b"0123456789" in part)
    assert not await found(body, lambda part: b"9876543210" in part)
    assert OVERLAP_BYTES > len('"encrypted_content"') + 16 + len('"tollway.')


@pytest.mark.parametrize("body", [b'{"a": {"signature":""}', b'["signature", {"signature": ""}]'])
async def test_what_can_not_be_read_is_the_clients_fault(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await without_traces(body, "messages")
