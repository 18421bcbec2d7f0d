"""Guardrail policies: all that hold, as soon as they change, through outages, and from a copy where all else fails."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from tests.fakes.telemetry import Recording

from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.policies import MOST_POLICIES, PolicyChanges, StoredPolicies

MUTED = "alter table guardrail_policies disable trigger announce"
MAKE = "insert into guardrail_policies (name, version, body, created_by) values ($1, $2, $3, 'test')"
END = "update guardrail_policies set is_active = false where name = $1"
NOWHERE = "postgresql://tollway@127.0.0.1:1/tollway"

Told = list[StoredPolicies]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


class Following:
    """What hears of changes, and where it keeps its copy."""

    def __init__(self, tmp_path: Path, recording: Recording) -> None:
        self.told: Told = []
        self.copy = tmp_path / "guardrails"
        self.fails = 0
        self.recording = recording

    async def hear(self, stored: StoredPolicies) -> None:
        """Takes it, unless it is to fail."""
        if self.fails:
            self.fails -= 1
            raise ConnectionResetError
        self.told.append(stored)

    def changes(self, dsn: str, poll_s: float = 0.05) -> PolicyChanges:
        """A follower."""
        return PolicyChanges(dsn, self.hear, self.copy, self.recording.log, poll_s=poll_s)

    @contextlib.asynccontextmanager
    async def follow(self, dsn: str, poll_s: float = 0.05) -> AsyncIterator[PolicyChanges]:
        """One that follows."""
        changes = self.changes(dsn, poll_s)
        task = asyncio.create_task(changes.follow())
        try:
            yield changes
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def holding(self) -> list[tuple[str, int, object]]:
        """What holds by the last that was told."""
        return [(each.name, each.version, msgspec.json.decode(each.body)) for each in self.told[-1].policies]


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    """A log that can be read back."""
    opened = Recording(tmp_path / "log")
    yield opened
    opened.close()


@pytest.fixture
def following(tmp_path: Path, recording: Recording) -> Following:
    return Following(tmp_path, recording)


@pytest.mark.parametrize("way", ["heard", "found by asking"])
async def test_all_policies_are_told_whenever_one_is_made_changed_or_taken_away(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following, way: str
) -> None:
    if way != "heard":
        await pool.execute(MUTED)
    async with following.follow(postgres_dsn, 3600.0 if way == "heard" else 0.05) as changes:
        await _until(lambda: changes.connected)
        assert following.holding() == []
        await pool.execute(MAKE, "b", 1, '{"mode": "monitor"}')
        await _until(lambda: len(following.told) == 2)
        await pool.execute(MAKE, "a", 1, "{}")
        await _until(lambda: len(following.told) == 3)
        assert following.holding() == [("a", 1, {}), ("b", 1, {"mode": "monitor"})]
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(END, "b")
            await connection.execute(MAKE, "b", 2, '{"mode": "enforce"}')
        await _until(lambda: len(following.told) == 4)
        assert following.holding() == [("a", 1, {}), ("b", 2, {"mode": "enforce"})]
        await pool.execute(END, "a")
        await _until(lambda: len(following.told) == 5)
        assert following.holding() == [("b", 2, {"mode": "enforce"})]


async def test_the_secret_is_made_once_and_is_the_same_for_all(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    for _ in range(2):
        assert await following.changes(postgres_dsn).learn()
    assert following.told[0].secret == following.told[1].secret
    assert len(following.told[0].secret) == 32
    assert following.told[0].secret.hex()[:8] not in repr(following.told[0])
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute("insert into guardrail_secret (secret) select secret from guardrail_secret")


async def test_what_has_not_changed_is_not_told_again(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    async with following.follow(postgres_dsn, 0.01) as changes:
        await _until(lambda: changes.connected)
        await pool.execute(MAKE, "a", 1, "{}")
        await _until(lambda: len(following.told) == 2)
        await asyncio.sleep(0.1)
    assert len(following.told) == 2


async def test_a_change_that_could_not_be_taken_is_told_again(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    await pool.execute(MAKE, "a", 1, "{}")
    following.fails = 2
    async with following.follow(postgres_dsn, 0.01):
        await _until(lambda: following.told)
    assert [name for name, _, _ in following.holding()] == ["a"]


async def test_a_worker_that_starts_in_an_outage_begins_with_the_copy(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    await pool.execute(MAKE, "a", 7, '{"mode": "monitor"}')
    assert await following.changes(postgres_dsn).learn()
    assert os.stat(following.copy).st_mode & 0o777 == 0o600
    assert [path.name for path in following.copy.parent.glob("guardrails*")] == ["guardrails"]
    assert await following.changes(NOWHERE).learn()
    assert following.told[0] == following.told[1]
    assert following.recording.events() == ["guardrails_from_copy"]


async def test_the_database_overrules_the_copy_when_it_is_back(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    assert await following.changes(postgres_dsn).learn()
    await pool.execute(MAKE, "a", 1, "{}")
    assert await following.changes(NOWHERE).learn()
    assert following.holding() == []
    async with following.follow(postgres_dsn):
        await _until(lambda: following.holding())


@pytest.mark.parametrize(
    "content", [None, b"", b"\xc1", b"\x92\xa0"], ids=["none", "empty", "garbled", "of another kind"]
)
async def test_without_a_database_and_without_a_good_copy_nothing_is_known(
    following: Following, content: bytes | None
) -> None:
    if content is not None:
        following.copy.write_bytes(content)
    assert not await following.changes(NOWHERE).learn()
    assert following.told == []


async def test_a_copy_that_can_not_be_written_is_no_reason_to_go_without_policies(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    await pool.execute(MAKE, "a", 1, "{}")
    following.copy = following.copy.parent / "missing" / "guardrails"
    assert await following.changes(postgres_dsn).learn()
    assert [name for name, _, _ in following.holding()] == ["a"]
    assert following.recording.events() == ["guardrails_not_copied"]


async def test_a_version_stays_as_it_is_and_one_of_a_name_holds(pool: asyncpg.Pool) -> None:
    await pool.execute(MAKE, "a", 1, "{}")
    for statement in (
        'update guardrail_policies set body = \'{"mode": "monitor"}\'',
        "update guardrail_policies set created_by = 'somebody'",
        "delete from guardrail_policies",
    ):
        with pytest.raises(asyncpg.RaiseError, match="stays as it is"):
            await pool.execute(statement)
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(MAKE, "a", 2, "{}")


async def test_no_more_policies_are_heeded_than_can_be_held(
    pool: asyncpg.Pool, postgres_dsn: str, following: Following
) -> None:
    await pool.execute(
        "insert into guardrail_policies (name, version, body, created_by) "
        "select 'p' || lpad(n::text, 5, '0'), 1, '{}', 'test' from generate_series(0, $1) n",
        MOST_POLICIES,
    )
    assert await following.changes(postgres_dsn).learn()
    assert len(following.told[-1].policies) == MOST_POLICIES
    assert following.told[-1].policies[-1].name == f"p{MOST_POLICIES - 1:05}"


async def test_it_starts_without_the_database_and_keeps_what_it_knows_through_an_outage(
    own_postgres: EmbeddedPostgres, following: Following
) -> None:
    dsn = own_postgres.start()
    own_postgres.stop()
    async with following.follow(dsn) as changes:
        await asyncio.sleep(0.2)
        assert following.told == []
        own_postgres.start()
        await migrate(dsn)
        await _until(lambda: changes.connected)
        own_postgres.stop()
        await _until(lambda: not changes.connected)
        await asyncio.sleep(0.2)
        assert len(following.told) == 1, "an outage takes nothing away"
        own_postgres.start()
        connection = await asyncpg.connect(dsn)
        await connection.execute(MAKE, "a", 1, "{}")
        await connection.close()
        await _until(lambda: len(following.told) == 2)
