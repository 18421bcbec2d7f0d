"""A cache's answers in a dictionary, and calls that ask for them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from tests.proxy.edge import arrive, ask, principal, route, snapshot

from tollway._native.questions import Question
from tollway.contract.cache import CachePolicy, ExactCaching, SemanticCaching
from tollway.contract.snapshot import Operation
from tollway.proxy.cache.entry import Call, Entry, Near
from tollway.proxy.exchange import Screened

EXACT = CachePolicy(exact=ExactCaching())
BOTH = CachePolicy(exact=ExactCaching(), semantic=SemanticCaching(threshold=0.6))


class Kept:
    """Keeps all of it. ``lies``: what it finds is whatever was kept last, whoever asks."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.questions: dict[bytes, Question] = {}
        self.serves: list[bytes] = []
        self.removed: set[str] = set()
        self.is_broken = False
        self.lies = False

    @property
    def only(self) -> tuple[Entry, bytes]:
        """The one entry that is kept, and its body."""
        ((key, entry),) = self.entries.items()
        return entry, self.bodies[key]

    def find(self, key: bytes) -> Entry | None:
        """By key."""
        if self.is_broken:
            raise RuntimeError("broken")
        return next(iter(self.entries.values()), None) if self.lies else self.entries.get(key)

    def near(self, namespace: bytes, question: Question) -> Sequence[Near]:
        """All of the namespace, best first."""
        near = [
            Near(entry, self.questions[key], question.similarity(self.questions[key]))
            for key, entry in self.entries.items()
            if key in self.questions and (self.lies or entry.namespace == namespace)
        ]
        return sorted(near, key=lambda each: -each.similarity)

    async def body(self, entry: Entry) -> bytes | None:
        """By key."""
        return self.bodies.get(entry.key)

    def keep(self, entry: Entry, question: Question | None, body: bytes) -> None:
        """In place of another of its key."""
        self.entries[entry.key] = entry
        self.bodies[entry.key] = body
        if question is not None:
            self.questions[entry.key] = question

    def served(self, entry: Entry) -> None:
        """Notes it."""
        self.serves.append(entry.key)

    def is_removed(self, call: Call, begun_ns: int) -> bool:
        """Whether :attr:`removed` names its tenant."""
        return call.tenant_id in self.removed


class Claims:
    """Nobody else asks."""

    def take(self, key: bytes, now_ms: int, for_ms: int) -> bool:
        """Whoever asks first."""
        return True

    def drop(self, key: bytes) -> None:
        """Nobody waits."""


def screened(
    text: str = "What is the capital of France?",
    *,
    policy: CachePolicy | None = BOTH,
    headers: dict[bytes, bytes] | None = None,
    tenant: str = "tenant-1",
    operation: Operation = "chat",
    file_policy: CachePolicy | None = None,
    key: dict[str, Any] | None = None,
    **fields: Any,
) -> Screened:
    """A call that asks ``text`` and may use a cache as ``policy`` says, its key's own, or ``file_policy``."""
    known = snapshot(route("m"), route("other"))
    if file_policy is not None:
        known = msgspec.structs.replace(known, cache=file_policy)
    fields.setdefault("messages", [{"role": "user", "content": text}])
    model = fields.pop("model", "m")
    caller = principal(tenant_id=tenant, cache=policy, **(key or {}))
    return Screened(arrive(headers=headers, known=known, operation=operation), caller, ask(model, **fields))


def entry_of(key: bytes = b"k" * 32, **changes: Any) -> Entry:
    """An answer of tenant-1's for the model ``m``."""
    plain = Entry(key, "tenant-1", "key-1", "m", "chat", "fake", "m-1", 1_000, 3_601_000, 100, 7, 3, 13_000)
    return msgspec.structs.replace(plain, **changes)
