"""Forms as uploads: what the stations learn of one, and what a provider gets, whatever the order of its parts."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.proxy.edge import Client, arrive, principal
from tests.proxy.ingress.test_multipart import BOUNDARY, cut, form, read

from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation
from tollway.errors import BodyTooLarge, ContentBlocked, InvalidRequest, RequestTimeout
from tollway.proxy.connection import ClientGone, Connection
from tollway.proxy.exchange import Identified
from tollway.proxy.ingress.form import MOST_FILES, MOST_TEXT_BYTES, MOST_TEXTS, SHORTEST_BOUNDARY, Forms
from tollway.proxy.ingress.multipart import boundary_of

LIMIT = 10 * 1024 * 1024
SOUND = bytes(range(256)) * 500


def text(name: str, value: str = "x") -> tuple[bytes, bytes]:
    return f'Content-Disposition: form-data; name="{name}"'.encode(), value.encode()


def file(name: str = "file", value: bytes = SOUND) -> tuple[bytes, bytes]:
    head = f'Content-Disposition: form-data; name="{name}"; filename="a.mp3"\r\nContent-Type: audio/mpeg'
    return head.encode(), value


MODEL, PROMPT, FILE = text("model", "m"), text("prompt", "Greet"), file()


class Asked(NamedTuple):
    """A form whose request is read."""

    request: ChatRequest
    connection: Connection
    held: list[int]


async def asked(
    body: bytes | Sequence[bytes],
    operation: Operation = "transcriptions",
    *,
    boundary: bytes = BOUNDARY,
    declared: bool = True,
    complete: bool = True,
    limit: int = LIMIT,
) -> Asked:
    pieces = [body[at : at + 4096] for at in range(0, len(body), 4096)] if isinstance(body, bytes) else body
    size = str(sum(map(len, pieces))).encode()
    headers = {b"content-length": size} if declared else {}
    arrival = arrive(Client(*pieces, complete=complete), headers=headers, operation=operation)
    held: list[int] = []
    try:
        request = await Forms(limit).receive(Identified(arrival, principal()), boundary, held.append)
    except Exception:
        assert arrival.connection.upload is not None or limit < LIMIT
        close(arrival.connection)
        raise
    return Asked(request, arrival.connection, held)


def close(connection: Connection) -> None:
    """What the boundary does when a call is over."""
    connection.unwatch()
    if connection.upload is not None:
        connection.upload.close()


async def sent(form_asked: Asked, request: ChatRequest | None = None) -> tuple[int | None, bytes]:
    """The length that is told to the provider, and what it gets."""
    upload = form_asked.connection.upload
    assert upload is not None
    streamed = upload.streamed(request or form_asked.request, "provider-model")
    boundary = boundary_of(streamed.content_type.encode())
    assert boundary is not None
    assert boundary != BOUNDARY
    try:
        body = b"".join([piece async for piece in streamed.pieces])
    finally:
        close(form_asked.connection)
    assert upload.is_read
    return streamed.length_bytes, body.replace(boundary, BOUNDARY.ljust(len(boundary), b"-")[: len(boundary)])


ORDERS: list[list[tuple[bytes, bytes]]] = [
    [MODEL, PROMPT, FILE],
    [FILE, MODEL, PROMPT],
    [MODEL, FILE, PROMPT],
    [PROMPT, FILE, MODEL, file("mask", b"")],
    [MODEL, FILE, file("image[]"), file("image[]", b"")],
    [MODEL, PROMPT],
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.integers(0, len(ORDERS) - 1),
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=20),
    declared=st.booleans(),
)
@example(order=2, sizes=[1], declared=True)
async def test_a_form_reaches_the_provider_whole_however_it_is_cut(
    order: int, sizes: list[int], declared: bool
) -> None:
    parts = [(head, value[:2000]) for head, value in ORDERS[order]]
    body = form(*parts)
    given_form = await asked([piece for piece in cut(body, sizes) if piece], declared=declared)
    assert given_form.request.model == "m"
    length, got = await sent(given_form)
    assert length in (None, len(got))
    found = read(got)
    assert [value for _, value in found] == [b"provider-model" if head == MODEL[0] else value for head, value in parts]
    assert [(part.name, part.filename) for part, _ in found] == [(part.name, part.filename) for part, _ in read(body)]


async def test_a_form_that_declares_its_length_is_passed_on_with_one() -> None:
    body = form(MODEL, FILE, PROMPT)
    length, got = await sent(await asked(body))
    assert length == len(got) == len(body) + len("provider-model") - len("m")


@pytest.mark.parametrize("tail", [b"", b"\r\n\r\n", b" " * 101])
async def test_what_stands_behind_the_form_is_filled_up_with_line_ends(tail: bytes) -> None:
    body = form(MODEL, FILE) + tail
    length, got = await sent(await asked(body))
    assert length == len(got)
    assert got.endswith(b"--" + b"\r\n" * (1 + len(tail) // 2) + b"\n" * (len(tail) % 2))


async def test_a_form_without_its_last_line_end_is_whole() -> None:
    body = form(MODEL, FILE).removesuffix(b"\r\n")
    length, got = await sent(await asked(body))
    assert length == len(got)
    assert got.endswith(b"--")


async def test_a_part_that_would_not_fit_into_the_length_is_refused() -> None:
    tight = (b'content-disposition:form-data;name="mask";filename="\\"\\"\\""', b"x")
    with pytest.raises(InvalidRequest, match="texts before its files"):
        await sent(await asked(form(MODEL, FILE, tight)))
    _, got = await sent(await asked(form(MODEL, FILE, tight), declared=False))
    assert [value for _, value in read(got)] == [b"provider-model", SOUND, b"x"]


@pytest.mark.parametrize("size", [1, SHORTEST_BOUNDARY - 1, SHORTEST_BOUNDARY, 70])
async def test_a_boundary_that_a_file_could_hold_is_never_used(size: int) -> None:
    boundary = b"b" * size
    given_form = await asked(form(MODEL, FILE, boundary=boundary), boundary=boundary)
    upload = given_form.connection.upload
    assert upload is not None
    streamed = upload.streamed(given_form.request, "m")
    own = boundary_of(streamed.content_type.encode())
    assert own is not None
    assert len(own) == max(size, SHORTEST_BOUNDARY)
    assert (streamed.length_bytes is None) == (size < SHORTEST_BOUNDARY)
    got = b"".join([piece async for piece in streamed.pieces])
    assert [value for _, value in read(got, boundary=own)] == [b"m", SOUND]
    close(given_form.connection)


async def test_only_what_is_held_takes_room() -> None:
    streamed = await asked(form(MODEL, FILE))
    stored = await asked(form(FILE, MODEL))
    assert sum(streamed.held) <= 4096
    assert sum(stored.held) <= 4096
    assert not streamed.connection.upload.is_read  # type: ignore[union-attr]
    assert stored.connection.upload.is_read  # type: ignore[union-attr]
    for each in streamed, stored:
        close(each.connection)


async def test_what_the_stations_need_is_read_from_the_texts() -> None:
    fields = [text("stream", "True"), text("n", "3"), text("user", "u-1"), text("size", "auto"), PROMPT, MODEL]
    given_form = await asked(form(*fields, file("image")), "image_edits")
    close(given_form.connection)
    request = given_form.request
    assert (request.operation, request.model, request.stream, request.n) == ("image_edits", "m", True, 3)
    assert json.loads(request.body) == {"stream": True, "n": 3, "user": "u-1", "prompt": "Greet", "model": "m"}


async def redacting(name: str, value: str) -> str:
    return value.replace("secret", "[HIDDEN]")


@pytest.mark.parametrize(
    "order", [[MODEL, text("keywords[]", "a secret"), FILE], [FILE, text("keywords[]", "a secret"), MODEL]]
)
async def test_texts_are_screened_by_name_and_sent_as_they_are_left(order: list[tuple[bytes, bytes]]) -> None:
    given_form = await asked(form(*order))
    assert given_form.connection.upload is not None
    await given_form.connection.upload.screen(redacting)
    length, got = await sent(given_form)
    assert length == len(got)
    assert b"a [HIDDEN]" in [value for _, value in read(got)]


@pytest.mark.parametrize("name", ["prompt", "keywords[]", "x-own"])
@pytest.mark.parametrize("value", ["a secret", "a secret" + "x" * 20_000], ids=["inline", "in a thread"])
async def test_a_text_behind_a_file_that_would_change_is_refused(name: str, value: str) -> None:
    given_form = await asked(form(MODEL, FILE, text(name, value)))
    assert given_form.connection.upload is not None
    await given_form.connection.upload.screen(redacting)
    with pytest.raises(ContentBlocked, match="before files") as refused:
        await sent(given_form)
    assert refused.value.param == name


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([FILE], "model"),
        ([MODEL, MODEL, FILE], "model"),
        ([PROMPT, PROMPT, MODEL], "prompt"),
        ([file("model", b"m"), FILE], "model"),
        ([MODEL, text("stream", "perhaps")], "stream"),
        ([MODEL, text("n", "-1")], "n"),
        ([MODEL, text("n", "many")], "n"),
        ([MODEL, text("prompt", "x" * (MOST_TEXT_BYTES + 1))], "prompt"),
        ([MODEL, *[text(f"f{n}", "x" * MOST_TEXT_BYTES) for n in range(4)]], "f3"),
        ([MODEL, *[text("f")] * MOST_TEXTS], None),
        ([*[file("image[]", b"x")] * (MOST_FILES + 1), MODEL], None),
        ([(PROMPT[0], b"\xff"), MODEL], "prompt"),
    ],
)
async def test_a_form_that_can_mean_two_things_or_too_much_is_refused(
    parts: list[tuple[bytes, bytes]], param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await asked(form(*parts))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("late", "param"), [(MODEL, "model"), ((PROMPT[0], b"\xff"), "prompt"), (file("stream", b"true"), "stream")]
)
async def test_a_fault_behind_the_file_is_found_as_it_passes(late: tuple[bytes, bytes], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await sent(await asked(form(MODEL, FILE, late)))
    assert refused.value.param == param


async def test_an_end_that_does_not_come_is_told_as_what_it_is() -> None:
    half = form(MODEL, FILE)[:-9]
    with pytest.raises(InvalidRequest, match="last boundary"):
        await sent(await asked(half))
    with pytest.raises(InvalidRequest, match="last boundary"):
        await asked(form(FILE, MODEL)[:-9])


@pytest.mark.parametrize("order", [[MODEL, FILE], [FILE, MODEL]])
async def test_a_form_beyond_the_bound_is_refused_before_or_while_it_arrives(order: list[tuple[bytes, bytes]]) -> None:
    body = form(*order)
    with pytest.raises(BodyTooLarge):
        await asked(body, limit=len(body) - 1)
    with pytest.raises(BodyTooLarge):
        await sent(await asked(body, declared=False, limit=len(body) - 1))


async def test_a_client_that_leaves_is_noticed_by_who_reads() -> None:
    body = form(MODEL, FILE)
    given_form = await asked(body[: len(body) // 2], declared=False, complete=False)
    client: Client = given_form.connection._receive.__self__  # type: ignore[attr-defined]
    client.hang_up()
    with pytest.raises(ClientGone):
        await sent(given_form)
    assert given_form.connection.gone


async def test_a_client_that_pauses_too_long_is_told_so() -> None:
    client = Client(b"x", complete=False)
    connection = arrive(client).connection
    body = connection.arriving(100, piece_s=0.02)
    assert await body.piece() == b"x"
    with pytest.raises(RequestTimeout):
        await body.piece()


async def test_a_form_that_ends_nowhere_leaves_no_file(tmp_path: Path) -> None:
    arrival = arrive(Client(form(FILE, MODEL)[:-20]), operation="transcriptions")
    with pytest.raises(InvalidRequest):
        await Forms(LIMIT, tmp_path).receive(Identified(arrival, principal()), BOUNDARY, lambda _: None)
    assert os.listdir(tmp_path) == []
    close(arrival.connection)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_whatever_comes_is_a_request_or_refused(data: st.DataObject) -> None:
    body = bytearray(form(MODEL, PROMPT, file(value=SOUND[:200]), text("late"), file("mask", b"y")))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=30))
    try:
        length, got = await sent(await asked(bytes(body), declared=data.draw(st.booleans())))
    except InvalidRequest:
        return
    assert length in (None, len(got))
