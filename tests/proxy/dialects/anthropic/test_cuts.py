"""However a provider's bytes are cut and framed on the way in, a Messages client hears the same."""

import asyncio
import json
from collections.abc import Callable

import pytest
from tests.fakes.records import Record, needs_records
from tests.proxy.dialects.anthropic.test_records import CUT, reader_of, writer
from tests.proxy.edge import Answer

from tollway._native.sse import Payloads
from tollway.proxy.providers.translated import TranslatedAnswer

pytestmark = needs_records

FRAMINGS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda wire: wire.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "comments": lambda wire: b": hello\n\n" + wire.replace(b"\r\n", b"\n").replace(b"\n\n", b"\n: ping\n\n: ping\n\n"),
    "no last blank line": lambda wire: wire.rstrip(b"\r\n"),
    "no space behind the colon": lambda wire: wire.replace(b"\ndata: ", b"\ndata:"),
}


async def _told(record: Record, wire: bytes, size: int) -> bytes:
    """What the client is told when the provider's bytes come in pieces of ``size``."""
    pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
    reader, says, cut, said = reader_of(record), writer(), Payloads(), b""
    answer = Answer(*pieces)
    chat = answer if reader is None else await TranslatedAnswer.begin(answer, reader, stream=True, warnings=())
    while True:
        piece = None if chat.ended else await chat.piece()
        payloads = cut.finish() if piece is None else cut.feed(piece)
        said += b"".join(says.event(payload) for payload in payloads if payload != b"[DONE]")
        if piece is None:
            return said + says.end()


def told(record: Record, wire: bytes, size: int) -> list[tuple[str, str]]:
    """The same, joined. No test of this file needs more than one kind of event loop."""
    return joined(asyncio.run(_told(record, wire, size)))


def joined(said: bytes) -> list[tuple[str, str]]:
    """The blocks with their deltas joined, the end and the counts; without ids, some of which are made."""
    blocks: list[tuple[str, str]] = []
    for line in said.decode().split("\n"):
        if not line.startswith("data: "):
            continue
        event = json.loads(line.removeprefix("data: "))
        if event["type"] == "content_block_start":
            blocks.append((event["content_block"]["type"], event["content_block"].get("name", "")))
        elif event["type"] == "content_block_delta":
            kind, text = blocks.pop()
            delta = event["delta"]
            blocks.append((kind, text + delta.get("text", delta.get("thinking", delta.get("partial_json", "")))))
        elif event["type"] == "message_delta":
            blocks.append((event["delta"]["stop_reason"], json.dumps(event["usage"])))
    return blocks


@pytest.mark.parametrize("place", range(len(CUT)), ids=lambda place: CUT[place].id)
def test_a_stream_is_told_the_same_in_pieces_of_every_size(place: int) -> None:
    """Some streams in every size from 1 to 64 bytes, the others in every eighth: each size has many."""
    record, wire = CUT[place], CUT[place].body.encode()
    expected = told(record, wire, len(wire))
    for size in range(1, 65) if place % 32 == 0 else range(1 + place % 8, 65, 8):
        assert told(record, wire, size) == expected, f"pieces of {size} bytes"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("record", CUT[::8], ids=lambda record: record.id)
def test_a_stream_is_told_the_same_however_it_is_framed(record: Record, framing: str) -> None:
    wire = record.body.encode()
    framed = FRAMINGS[framing](wire)
    expected = told(record, wire, len(wire))
    for size in (1, 7, len(framed)):
        assert told(record, framed, size) == expected
