"""One answer on its way to many: what its first hearer is told, for others who follow.

In: the pieces of an answer, in order. Out: the same, for each who follows from the first word on, at its own pace. It
holds a bounded part of it, and never waits for anybody: who is too slow is cut off.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tollway.errors import UpstreamBroken

MOST_BYTES = 2**20
"""Of an answer on its way, so much is held for those who follow: a longer one takes no more of them, and who hears it
too slowly is cut off."""

_CUT = "The answer that this call shared with another was cut before its end."


class Source(msgspec.Struct, frozen=True):
    """Whose answer it is: the provider, its model, and the fields of the request that it can't take."""

    provider: str
    provider_model: str
    warnings: tuple[str, ...] = ()


class Room:
    """What all tapes of a worker hold together. Of ``most_bytes`` on, no more is held for those who may come."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0


class Tape:
    """What the leader has said, for those who began to listen at its first word."""

    def __init__(self, form: bytes | None, room: Room) -> None:
        self.form = form
        self._room = room
        self.readers: set[Following] = set()
        self.is_over = False
        self.is_broken = False
        self.source: Source | None = None
        self.cost_picousd: int | None = None
        self.began = 0
        """The number of the first piece that is still held."""
        self.pieces: list[bytes] = []
        self.has_room = True
        """Whether all of it is held, so that somebody may still come."""
        self._said_bytes = 0
        self._held_bytes = 0

    @property
    def end(self) -> int:
        """The number of the next piece."""
        return self.began + len(self.pieces)

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return self._said_bytes > 0

    def say(self, piece: bytes) -> None:
        """One more piece, for everybody who listens."""
        self.pieces.append(piece)
        self._said_bytes += len(piece)
        self._hold(len(piece))
        if self._said_bytes > MOST_BYTES or self._room.held_bytes > self._room.most_bytes:
            self.has_room = False
        self.shed()
        self._wake()

    def close(self) -> None:
        """Nobody comes any more."""
        self.has_room = False
        self.shed()

    def finish(self, *, is_broken: bool) -> None:
        """Nothing more is said."""
        self.is_over = True
        self.is_broken = is_broken
        self._wake()

    def shed(self) -> None:
        """Where nobody comes any more, lets go of what everybody has heard, and of those who are too far behind."""
        if self.has_room:
            return
        self._forget()
        while self._held_bytes > MOST_BYTES:
            for reader in [reader for reader in self.readers if reader.at == self.began]:
                reader.cut()
            self._forget()

    def _forget(self) -> None:
        until = min((reader.at for reader in self.readers), default=self.end)
        heard = self.pieces[: until - self.began]
        self._hold(-sum(map(len, heard)))
        del self.pieces[: len(heard)]
        self.began = until

    def _hold(self, more_bytes: int) -> None:
        self._held_bytes += more_bytes
        self._room.held_bytes += more_bytes

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake()


class Following:
    """One call that hears another's answer. To be closed, however it ends; ``left`` hears of it."""

    def __init__(self, tape: Tape, left: Callable[[], None]) -> None:
        self._tape = tape
        self._left = left
        self._woken: asyncio.Future[None] | None = None
        self._is_cut = False
        self.at = 0
        """The number of the next piece that it hears."""
        tape.readers.add(self)

    @property
    def ended(self) -> bool:
        """Whether :meth:`piece` would return ``None`` at once."""
        return self._tape.is_over and not self._tape.is_broken and not self._is_cut and self.at == self._tape.end

    @property
    def source(self) -> Source | None:
        """Whose answer it is, where that was told."""
        return self._tape.source

    @property
    def cost_picousd(self) -> int | None:
        """What the answer has cost the one who asked, once it has ended and where that is known."""
        return self._tape.cost_picousd

    async def piece(self) -> bytes | None:
        """What the other has been told since the last time; ``None`` at the end. One at a time.

        Raises:
            UpstreamBroken: the other's answer broke off, or this call was too slow to hear it.
        """
        while True:
            if self._is_cut:
                raise UpstreamBroken(_CUT, inside="too slow for a shared answer")
            tape = self._tape
            if self.at < tape.end:
                heard = b"".join(tape.pieces[self.at - tape.began :])
                self.at = tape.end
                return heard
            if tape.is_over:
                if tape.is_broken:
                    raise UpstreamBroken(_CUT, inside="the leader's call ended")
                return None
            self._woken = asyncio.get_running_loop().create_future()
            try:
                await self._woken
            finally:
                self._woken = None

    def wake(self) -> None:
        """Something has happened to its tape."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def cut(self) -> None:
        """It is too far behind."""
        self._is_cut = True
        self._leave()
        self.wake()

    def close(self) -> None:
        """It listens no longer. Again: nothing more."""
        self._leave()

    def _leave(self) -> None:
        if self in self._tape.readers:
            self._tape.readers.discard(self)
            self._tape.shed()
            self._left()
