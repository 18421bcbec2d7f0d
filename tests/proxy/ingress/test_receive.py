"""Receive: the body is bounded, read once, and understood or refused."""

import json

import pytest
from tests.proxy.edge import HELLO, Client, arrive, principal
from tests.proxy.ingress.test_multipart import BOUNDARY, form

from tollway.contract.snapshot import Operation
from tollway.errors import BodyTooLarge, InvalidRequest
from tollway.proxy.exchange import Identified, Received
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.receive import FORMS, INLINE_BYTES, Receiver

PROMPT = b'Content-Disposition: form-data; name="prompt"'


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


@pytest.mark.parametrize("operation", sorted(FORMS))
async def test_a_form_is_read_as_one_and_json_as_json(operation: Operation) -> None:
    body = form((b'Content-Disposition: form-data; name="model"', b"m"), (PROMPT, b"Greet"))
    for content_type, sent in (
        (b"multipart/form-data; boundary=" + BOUNDARY, body),
        (b"application/json", b'{"model": "m", "prompt": "Greet"}'),
    ):
        arrival = arrive(Client(sent), headers={b"content-type": content_type}, operation=operation)
        received = await Receiver(len(body), Intake()).receive(Identified(arrival, principal()))
        assert json.loads(received.request.body) == {"model": "m", "prompt": "Greet"}
        assert (arrival.connection.upload is None) == (content_type == b"application/json")


async def test_a_form_where_none_is_asked_for_is_no_json() -> None:
    arrival = arrive(Client(form()), headers={b"content-type": b"multipart/form-data; boundary=" + BOUNDARY})
    with pytest.raises(InvalidRequest):
        await Receiver(1000, Intake()).receive(Identified(arrival, principal()))
