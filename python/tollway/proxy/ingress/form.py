"""Forms: a few texts beside files, which pass as they arrive.

In: a form's body, at its beginning. Out: what the stations need of it as a small JSON request, and an
:class:`~tollway.proxy.connection.Upload` that writes the form anew for a provider: with a boundary of its own, the
provider's name of the model and the screened texts. Texts that stand before the first file are known by then; files
are never held, and wait on disk only where the ``model`` stands behind one.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import msgspec

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.errors import ContentBlocked, InvalidRequest
from tollway.proxy.connection import Arriving, Connection
from tollway.proxy.exchange import Identified
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.multipart import End, Event, FormReader, Part, head_of
from tollway.proxy.ingress.spool import Spool
from tollway.proxy.pieces import Streamed

MOST_TEXTS = 64
MOST_TEXT_BYTES = 64 * 1024
MOST_TEXTS_BYTES = 256 * 1024
"""Of all texts of a form together."""

MOST_FILES = 32

DISK_BYTES = 8 * 1024 * 1024 * 1024
"""Of forms that wait on disk, one worker keeps so much; one tenant half of it."""

SLICE_BYTES = 16 * 1024
"""So much of a form is read before others have their turn: the reader goes byte by byte where boundaries are near."""

SHORTEST_BOUNDARY = 24
"""A boundary of this length or more, chosen at random, occurs in no file; a client's own that is shorter can't be
replaced by one as long."""

MOST_PADDING_BYTES = 4096
"""A form may be shorter here than the client wrote it by so much: line ends behind it fill up the length declared."""

_STEERING = frozenset({"model", "prompt", "stream", "n", "user", "response_format"})
"""Texts of which a form has one."""

_UNREAD = frozenset(
    {"model", "prompt", "stream", "n", "user", "temperature", "size", "output_compression", "partial_images"}
)
"""Texts that no model reads as such, or that were screened with the request."""

_MEDIA = frozenset({"file", "image", "image[]", "mask", "known_speaker_references", "known_speaker_references[]"})
"""Files by their name, though they come without a file name: sound and images inline."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}


class _Text(msgspec.Struct):
    part: Part
    text: str


class _Stored(msgspec.Struct, frozen=True):
    part: Part
    start: int
    end: int


class Forms:
    """Reads forms of up to ``max_body_bytes``."""

    def __init__(self, max_body_bytes: int, directory: Path | None = None) -> None:
        self._max_body_bytes = max_body_bytes
        self._directory = directory
        self._disk = Intake(DISK_BYTES, DISK_BYTES // 2)

    async def receive(self, identified: Identified, boundary: bytes, take: Callable[[int], None]) -> ChatRequest:
        """The request of the form's texts. The connection has the rest as its ``upload`` from now on.

        ``take`` is told the size of each piece that is held.

        Raises:
            tollway.errors.ClientError: it is too long, too slow, malformed, or no request for this operation.
            tollway.errors.ServerBusy: there is no room for it.
            tollway.proxy.connection.ClientGone: the client left.
        """
        arrival = identified.arrival
        body = arrival.connection.arriving(self._max_body_bytes)
        spool = Spool(self._directory, self._disk.room(identified.principal.record.tenant_id))
        form = Form(arrival.connection, body, boundary, spool)
        arrival.connection.upload = form
        await form.collect(take)
        try:
            return chat.read_request(form.asked(), arrival.operation)
        except chat.InvalidRequest as error:
            raise InvalidRequest(str(error), param=error.param) from None


class Form:
    """One form on its way; see :class:`~tollway.proxy.connection.Upload`."""

    def __init__(self, connection: Connection, body: Arriving, boundary: bytes, spool: Spool) -> None:
        self._connection = connection
        self._body = body
        self._boundary = boundary
        self._reader = FormReader(boundary)
        self._spool = spool
        self._take: Callable[[int], None] = _nothing
        self._slices: deque[bytes] = deque()
        self._events: deque[Event] = deque()
        self._items: list[_Text | _Stored] = []
        self._names: set[str] = set()
        self._texts = 0
        self._texts_bytes = 0
        self._files = 0
        self._opened: Part | None = None
        self._check: Callable[[str, str], Awaitable[str]] | None = None
        self.is_read = False

    async def collect(self, take: Callable[[int], None]) -> None:
        """Reads up to the first file if the model is known by then, else to the end. Errors: :meth:`Forms.receive`."""
        self._take = take
        while (event := await self._next()) is not None:
            if not isinstance(event, Part):
                raise InvalidRequest("The form is malformed: it has bytes outside of its parts.")
            if not self._is_file(event):
                self._items.append(_Text(event, await self._text(event)))
                continue
            self._take = _nothing
            if "model" in self._names and not self._spool.size_bytes:
                self._opened = event
                return
            await self._store(event)
        if self._spool.size_bytes:
            await self._spool.flush()
        self.is_read = True

    def asked(self) -> bytes:
        """What the texts ask for, as JSON."""
        given: dict[str, str | bool | int] = {}
        for item in self._items:
            if isinstance(item, _Text) and item.part.name in _STEERING:
                given[item.part.name] = item.text
        given.pop("response_format", None)
        if "stream" in given:
            stream = _BOOLEANS.get(str(given["stream"]).lower())
            if stream is None:
                raise InvalidRequest("Invalid 'stream': expected true or false.", param="stream")
            given["stream"] = stream
        if "n" in given:
            text = str(given["n"])
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise InvalidRequest("Invalid 'n': expected an integer.", param="n")
            given["n"] = int(text)
        return msgspec.json.encode(given)

    async def screen(self, check: Callable[[str, str], Awaitable[str]]) -> None:
        """Of the texts that are here, all that did not go into the request; of the others, all."""
        self._check = check
        for item in self._items:
            if isinstance(item, _Text) and item.part.name not in _UNREAD:
                item.text = await self._checked(item.part.name, item.text)

    def streamed(self, request: ChatRequest, model: str) -> Streamed:
        """As :class:`~tollway.proxy.connection.Upload` says."""
        prompt = msgspec.json.decode(request.body, type=_Prompt).prompt
        for item in self._items:
            if isinstance(item, _Text):
                item.text = {"model": model, "prompt": prompt or ""}.get(item.part.name, item.text)
        size = max(len(self._boundary), SHORTEST_BOUNDARY)
        boundary = secrets.token_hex(size)[:size].encode()
        kind = f"multipart/form-data; boundary={boundary.decode()}"
        heads, length = self._written(boundary)
        if self._opened is None:
            return Streamed(kind, length, self._stored(heads, _closing(boundary)))
        head = b"".join(heads) + head_of(self._opened, boundary, is_first=not heads)
        declared = self._body.declared_bytes
        if declared is None or size != len(self._boundary):
            return Streamed(kind, None, self._passed(boundary, head, None))
        length = len(head) + declared - self._opened.begins_at
        return Streamed(kind, length, self._passed(boundary, head, length))

    def close(self) -> None:
        """As :class:`~tollway.proxy.connection.Upload` says."""
        self._spool.close()

    def _written(self, boundary: bytes) -> tuple[list[bytes], int]:
        """The items with their heads (of what is on disk, the heads alone), and the length of the whole form."""
        heads: list[bytes] = []
        length = len(_closing(boundary))
        for item in self._items:
            head = head_of(item.part, boundary, is_first=not heads)
            if isinstance(item, _Text):
                head += item.text.encode()
            else:
                length += item.end - item.start
            heads.append(head)
            length += len(head)
        return heads, length

    async def _stored(self, heads: list[bytes], closing: bytes) -> AsyncGenerator[bytes, None]:
        """A form that is all here."""
        for item, head in zip(self._items, heads, strict=True):
            yield head
            if isinstance(item, _Stored):
                async for piece in self._spool.read(item.start, item.end):
                    yield piece
        yield closing

    async def _passed(self, boundary: bytes, head: bytes, length: int | None) -> AsyncGenerator[bytes, None]:
        """A form that is still arriving, from its beginning."""
        sent = len(head)
        yield head
        closing = _closing(boundary)[:-2]
        while (event := await self._next()) is not None:
            piece = event if isinstance(event, bytes) else await self._following(event, boundary)
            sent += len(piece)
            if piece and (length is None or sent + len(closing) <= length):
                yield piece
        padding = 2 if length is None else length - sent - len(closing)
        if padding < 0:  # told here and not at once: a form that lacks its end has been told so by now
            raise InvalidRequest("This form can't be passed on as it arrives. Put its texts before its files.")
        if padding > MOST_PADDING_BYTES:
            raise InvalidRequest("There are bytes behind the end of the form.")
        self.is_read = True
        self._connection.watch()
        yield closing + b"\r\n" * (padding // 2) + b"\n" * (padding % 2)

    async def _following(self, event: Part | End, boundary: bytes) -> bytes:
        """What is written of a part behind the first file, beside its bytes."""
        if isinstance(event, End):
            return b""
        if self._is_file(event):
            return head_of(event, boundary, is_first=False)
        text = await self._text(event)
        if self._check is not None and event.name not in _UNREAD - {"prompt"} and await self._is_changed(event, text):
            field = event.name[:64]
            message = f"The field '{field}' holds what may not be sent. Put texts before files to have it taken out."
            raise ContentBlocked(message, param=field)
        return head_of(event, boundary, is_first=False) + text.encode()

    async def _is_changed(self, part: Part, text: str) -> bool:
        return await self._checked(part.name, text) != text

    async def _checked(self, name: str, text: str) -> str:
        if self._check is None or not text:
            return text
        return await self._check(name, text)

    async def _next(self) -> Event | None:
        """What comes next; ``None`` at the end of the body."""
        while not self._events:
            if self._slices:
                await asyncio.sleep(0)
            else:
                piece = await self._body.piece()
                if piece is None:
                    self._reader.finish()
                    return None
                self._take(len(piece))
                self._slices.extend(piece[at : at + SLICE_BYTES] for at in range(0, len(piece), SLICE_BYTES))
                continue
            self._events.extend(self._reader.feed(self._slices.popleft()))
        return self._events.popleft()

    def _is_file(self, part: Part) -> bool:
        """Whether a part that begins is a file; a form has so many parts, and of some texts one."""
        name = part.name
        if part.filename is not None or name in _MEDIA:
            if name in _STEERING or name in _UNREAD:
                raise InvalidRequest(f"The field '{name}' must be a text, not a file.", param=name)
            self._files += 1
            if self._files > MOST_FILES:
                raise InvalidRequest(f"A form may hold {MOST_FILES} files.")
            return True
        if name in _STEERING and name in self._names:
            raise InvalidRequest(f"Duplicate parameter: '{name}'.", param=name)
        self._names.add(name)
        self._texts += 1
        if self._texts > MOST_TEXTS:
            raise InvalidRequest(f"A form may hold {MOST_TEXTS} texts.")
        return False

    async def _text(self, part: Part) -> str:
        """The text of a part that has begun."""
        text = b""
        while isinstance(event := await self._next(), bytes):
            self._texts_bytes += len(event)
            if len(text) + len(event) > MOST_TEXT_BYTES or self._texts_bytes > MOST_TEXTS_BYTES:
                message = f"Texts of a form may have {MOST_TEXT_BYTES} bytes each, and {MOST_TEXTS_BYTES} in all."
                raise InvalidRequest(message, param=part.name[:64])
            text += event
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest("Texts of a form must be UTF-8.", param=part.name[:64]) from None

    async def _store(self, part: Part) -> None:
        start = self._spool.size_bytes
        while isinstance(event := await self._next(), bytes):
            await self._spool.write(event)
        self._items.append(_Stored(part, start, self._spool.size_bytes))


class _Prompt(msgspec.Struct):
    prompt: str | None = None


def _closing(boundary: bytes) -> bytes:
    return b"\r\n--" + boundary + b"--\r\n"


def _nothing(size_bytes: int) -> None:
    """What is not held takes no room."""
