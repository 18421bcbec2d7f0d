"""Somebody to ask: says what it is told to, and remembers what it was asked."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

Say = Callable[[bytes], Awaitable[tuple[int, bytes]]]


class Scripted:
    """An asker and a moderator that sends nothing."""

    def __init__(self, said: object = None, *, status: int = 200, say: Say | None = None) -> None:
        self.said = said if isinstance(said, bytes) else msgspec.json.encode(said)
        self.status = status
        self.say = say
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    async def ask(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes, limit_bytes: int
    ) -> tuple[int, bytes]:
        self.asked.append((url, dict(headers), body))
        if self.say is not None:
            return await self.say(body)
        return self.status, self.said

    async def moderate(self, model: str, body: bytes, limit_bytes: int) -> tuple[int, bytes]:
        return await self.ask(model, (), body, limit_bytes)
