"""Receive: the body is bounded, read once, and understood or refused."""

import json

import pytest
from tests.proxy.edge import HELLO, Client, arrive, principal

from tollway.errors import BodyTooLarge, InvalidRequest
from tollway.proxy.exchange import Identified, Received
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.receive import INLINE_BYTES, Receiver


async def receive(body: bytes, limit_bytes: int = 10 * 1024 * 1024) -> Received:
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)] or [b""]
    return await Receiver(limit_bytes, Intake()).receive(Identified(arrive(Client(*pieces)), principal()))


@pytest.mark.parametrize("size", [1, INLINE_BYTES, 4 * INLINE_BYTES])
async def test_a_request_is_the_bytes_that_came_whatever_their_number(size: int) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * size}]}).encode()
    received = await receive(body)
    assert received.request.body == body
    assert received.request.model == "m"
    assert [span for span, _ in received.arrival.timing.spans] == ["receive"]


@pytest.mark.parametrize("padding", ["", "x" * INLINE_BYTES], ids=["inline", "in a thread"])
async def test_what_is_no_chat_request_is_refused_with_the_field_at_fault(padding: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await receive(json.dumps({"messages": HELLO, "padding": padding}).encode())
    assert caught.value.param == "model"
    with pytest.raises(InvalidRequest) as caught:
        await receive(f'{{"model": "secret {padding}'.encode())
    assert caught.value.param is None
    assert "secret" not in caught.value.outside


async def test_a_body_over_the_cap_is_refused() -> None:
    body = json.dumps({"model": "m", "messages": HELLO}).encode()
    assert (await receive(body, len(body))).request.body == body
    with pytest.raises(BodyTooLarge):
        await receive(body, len(body) - 1)
