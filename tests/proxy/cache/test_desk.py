"""What people see of a worker's answers: everything but what was asked and answered."""

from collections.abc import Sequence

import msgspec

from tollway.contract.cache import EntryFacts, Selection, ShelfFacts
from tollway.control.cache.view import CacheDesk
from tollway.proxy.cache.desk import Desk
from tollway.proxy.cache.entry import Entry

ENTRY = Entry(
    key=b"k" * 32,
    tenant_id="acme",
    key_id="acme/ci",
    model="chat",
    operation="messages",
    provider="openai",
    provider_model="mini",
    filled_at_ms=1,
    expires_at_ms=2,
    body_bytes=3,
    prompt_tokens=4,
    completion_tokens=5,
    cost_picousd=6,
    namespace=b"n" * 32,
    question="a question that nobody else may read",
)


class Counted(msgspec.Struct, frozen=True):
    entries: int = 1
    bytes: int = 2
    questions: int = 3
    namespaces: int = 4
    evicted: int = 5
    expired: int = 6
    removed: int = 7


class Answers:
    """A worker's that has one entry."""

    def __init__(self) -> None:
        self.asked: list[tuple[Selection, int, bytes]] = []
        self.removed: list[Selection] = []

    def find(self, key: bytes) -> Entry | None:
        return ENTRY if key == ENTRY.key else None

    def entries(self, selection: Selection, most: int, after: bytes = b"") -> Sequence[Entry]:
        self.asked.append((selection, most, after))
        return [ENTRY]

    def stats(self) -> Counted:
        return Counted()

    async def remove(self, selection: Selection) -> bool:
        self.removed.append(selection)
        return len(self.removed) > 1


FACTS = EntryFacts(
    key=b"k" * 32,
    tenant_id="acme",
    key_id="acme/ci",
    model="chat",
    operation="messages",
    provider="openai",
    provider_model="mini",
    filled_at_ms=1,
    expires_at_ms=2,
    body_bytes=3,
    prompt_tokens=4,
    completion_tokens=5,
    cost_picousd=6,
    is_semantic=True,
)


async def test_facts_are_told_and_questions_are_not() -> None:
    answers = Answers()
    desk: CacheDesk = Desk(answers, is_shared=True)
    meant = Selection(tenant_id="acme")
    assert desk.find(ENTRY.key) == FACTS
    assert desk.find(b"?" * 32) is None
    assert list(desk.entries(meant, 7, b"a")) == [FACTS]
    assert answers.asked == [(meant, 7, b"a")]
    assert desk.stats() == ShelfFacts(
        entries=1, bytes=2, questions=3, namespaces=4, is_shared=True, evicted=5, expired=6, removed=7
    )
    assert [await desk.remove(meant), await desk.remove(Selection())] == [False, True]
    assert answers.removed == [meant, Selection()]
