"""What leaves for OpenAI-like providers: the client's bytes, or bodies put right."""

import json
from typing import Any

import pytest

from tollway.contract.snapshot import Operation
from tollway.errors import InvalidRequest
from tollway.proxy.providers.port import UpstreamCall
from tollway.proxy.providers.presets import PRESETS
from tollway.proxy.providers.wording import INLINE_BYTES, worded

TURN = {"role": "user", "content": "Hi"}


def call(
    body: Any, *, operation: Operation = "chat", is_translated: bool = False, strict: bool = False
) -> UpstreamCall:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UpstreamCall("m", written, [], 1.0, lambda: None, strict, operation, is_translated)


async def test_a_clients_own_chat_leaves_as_the_very_bytes_it_came_in() -> None:
    asked = call({"model": "m", "messages": [TURN], "made_up": 1.50, "top_k": 3})
    body, lost = await worded(asked, PRESETS["openai"])
    assert body is asked.body
    assert lost == ()


async def test_what_another_vendor_left_in_a_chat_is_cut() -> None:
    turn = {"role": "assistant", "content": "Yes", "thinking_blocks": [{"type": "thinking"}]}
    body, _ = await worded(call({"model": "m", "messages": [TURN, turn], "made_up": 1}), PRESETS["openai"])
    assert json.loads(body) == {
        "model": "m",
        "messages": [TURN, {"role": "assistant", "content": "Yes"}],
        "made_up": 1,
    }


@pytest.mark.parametrize("size", [1, INLINE_BYTES])
async def test_a_chat_made_of_another_dialect_loses_the_hubs_extensions_and_says_so(size: int) -> None:
    hub = {"model": "m", "messages": [{"role": "user", "content": "x" * size}], "top_k": 3}
    body, lost = await worded(call(hub, is_translated=True), PRESETS["openai"])
    assert "top_k" not in json.loads(body)
    assert lost == ("top_k",)
    with pytest.raises(InvalidRequest) as refused:
        await worded(call(hub, is_translated=True, strict=True), PRESETS["openai"])
    assert refused.value.param == "top_k"


async def test_other_operations_are_nobodys_to_put_right() -> None:
    asked = call(b'{"input": "\\"thinking_blocks\\""}', operation="responses")
    assert (await worded(asked, PRESETS["openai"]))[0] is asked.body


@pytest.mark.parametrize("body", [b"[]", b'{"extra_content"', b'{"a": "\xff", "extra_content": 1}'])
async def test_what_can_not_be_read_is_the_clients_fault(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await worded(call(body, is_translated=True), PRESETS["openai"])
