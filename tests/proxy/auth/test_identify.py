"""Station 1: who calls, asked once, remembered, and forgotten when it changes."""

import asyncio
import time

import pytest
from tests.fakes.telemetry import counted
from tests.proxy.edge import arrive, record

from tollway._native import keys
from tollway.contract.keys import GATEWAY_USE, KeyChange, KeyRecord
from tollway.errors import DependencyUnavailable, Forbidden, Unauthenticated
from tollway.proxy.auth.identify import ASKING_CAPACITY, Authenticator, group_of, presented
from tollway.proxy.exchange import Principal
from tollway.telemetry.metrics import Metrics

SECRET = keys.generate("live").encode()


class Source:
    """Keys in memory. It answers what was true when it was asked, once ``answers`` is set."""

    def __init__(self) -> None:
        self.records: dict[bytes, KeyRecord] = {}
        self.asked: list[bytes] = []
        self.is_down = False
        self.answers = asyncio.Event()
        self.answers.set()

    def add(self, secret: bytes, known: KeyRecord) -> None:
        self.records[keys.digest(secret)] = known

    async def find(self, digest: bytes) -> KeyRecord | None:
        self.asked.append(digest)
        found = self.records.get(digest)
        await self.answers.wait()
        if self.is_down:
            raise DependencyUnavailable("The key can't be checked now.")
        return found


@pytest.fixture
def source() -> Source:
    made = Source()
    made.add(SECRET, record())
    return made


@pytest.fixture
def authenticator(source: Source, metrics: Metrics) -> Authenticator:
    return Authenticator(source, lambda known: Principal(known, None), metrics)


async def identify(authenticator: Authenticator, secret: bytes = SECRET) -> KeyRecord:
    """The caller's record, by a bearer token."""
    identified = await authenticator.identify(arrive(headers={b"authorization": b"Bearer " + secret}))
    return identified.principal.record


async def until(source: Source, asked: int) -> None:
    for _ in range(100_000):
        if len(source.asked) >= asked:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"asked {len(source.asked)} times, not {asked}")


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({b"authorization": b"Bearer abc"}, b"abc"),
        ({b"authorization": b"bearer abc"}, b"abc"),
        ({b"authorization": b"BEARER   abc "}, b"abc"),
        ({b"x-api-key": b"abc"}, b"abc"),
        ({b"api-key": b"abc"}, b"abc"),
        ({b"x-api-key": b"abc", b"api-key": b"def"}, b"abc"),
        ({b"x-api-key": b"", b"api-key": b"def"}, b"def"),
        ({b"authorization": b"Bearer abc", b"x-api-key": b"def"}, b"abc"),
        ({b"authorization": b"Basic abc", b"x-api-key": b"def"}, None),
        ({b"authorization": b"abc"}, None),
        ({b"authorization": b"Bearer"}, b""),
        ({b"authorization": b""}, None),
        ({}, None),
    ],
)
def test_a_secret_is_taken_from_the_header_that_brings_it(headers: dict[bytes, bytes], secret: bytes | None) -> None:
    assert presented(headers) == secret


async def test_a_known_key_names_its_caller_and_is_asked_once(
    authenticator: Authenticator, source: Source, metrics: Metrics
) -> None:
    assert [await identify(authenticator) for _ in range(3)] == [record()] * 3
    assert source.asked == [keys.digest(SECRET)]
    assert counted(metrics, "tollway_auth_total") == {("asked",): 1.0, ("known",): 2.0}


@pytest.mark.parametrize("headers", [{}, {b"authorization": b"Bearer "}, {b"authorization": b"Basic eDp5"}])
async def test_a_call_without_a_key_is_told_how_to_send_one(
    authenticator: Authenticator, source: Source, metrics: Metrics, headers: dict[bytes, bytes]
) -> None:
    with pytest.raises(Unauthenticated, match="no API key"):
        await authenticator.identify(arrive(headers=headers))
    assert source.asked == []
    assert counted(metrics, "tollway_auth_total") == {("missing",): 1.0}


@pytest.mark.parametrize(
    "secret",
    [b"wrong", b"tw_live_", SECRET[:-1], SECRET + b"x", SECRET.swapcase(), b"tw_live_" + b"A" * 49, b"\xff\x00" * 99],
    ids=["word", "prefix", "short", "long", "swapped", "letters", "bytes"],
)
async def test_a_malformed_key_never_asks_the_source(
    authenticator: Authenticator, source: Source, secret: bytes
) -> None:
    with pytest.raises(Unauthenticated, match="missing, wrong, revoked or expired"):
        await identify(authenticator, secret)
    assert source.asked == []


async def test_fifty_callers_with_one_unknown_key_ask_once(authenticator: Authenticator, source: Source) -> None:
    source.answers.clear()
    callers = [asyncio.create_task(identify(authenticator)) for _ in range(50)]
    await until(source, 1)
    source.answers.set()
    assert await asyncio.gather(*callers) == [record()] * 50
    assert len(source.asked) == 1


async def test_a_caller_that_hangs_up_does_not_take_the_answer_from_the_others(
    authenticator: Authenticator, source: Source
) -> None:
    source.answers.clear()
    first, second = (asyncio.create_task(identify(authenticator)) for _ in range(2))
    await until(source, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.answers.set()
    assert await second == record()
    assert len(source.asked) == 1


async def test_the_answer_is_kept_even_if_every_caller_has_left(authenticator: Authenticator, source: Source) -> None:
    source.answers.clear()
    caller = asyncio.create_task(identify(authenticator))
    await until(source, 1)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    source.answers.set()
    assert await identify(authenticator) == record()
    assert len(source.asked) == 1


async def test_an_unknown_key_is_neither_let_in_nor_refused_while_the_source_is_down(
    authenticator: Authenticator, source: Source
) -> None:
    source.is_down = True
    for _ in range(2):
        with pytest.raises(DependencyUnavailable):
            await identify(authenticator)
    source.is_down = False
    assert await identify(authenticator) == record()


def remember_as_stale(authenticator: Authenticator) -> None:
    """What the table holds of the key a minute after it was asked."""
    stale = Principal(record(key_name="as it was"), None)
    authenticator._table.insert(keys.digest(SECRET), stale, group_of("tenant-1"), 0, None)


async def test_a_stale_key_is_served_while_it_is_asked_anew_in_the_background(
    authenticator: Authenticator, source: Source
) -> None:
    remember_as_stale(authenticator)
    assert (await identify(authenticator)).key_name == "as it was"
    await until(source, 1)
    assert await identify(authenticator) == record()
    assert len(source.asked) == 1


async def test_a_stale_key_is_asked_by_one_of_many_callers(authenticator: Authenticator, source: Source) -> None:
    remember_as_stale(authenticator)
    source.answers.clear()
    for _ in range(20):
        assert (await identify(authenticator)).key_name == "as it was"
        await asyncio.sleep(0)
    assert len(source.asked) == 1
    source.answers.set()


async def test_a_stale_key_keeps_being_served_while_the_source_is_down(
    authenticator: Authenticator, source: Source
) -> None:
    remember_as_stale(authenticator)
    source.is_down = True
    for expected in range(1, 4):
        assert (await identify(authenticator)).key_name == "as it was"
        await until(source, expected)
        await asyncio.sleep(0)


async def test_a_stale_key_that_was_revoked_is_refused_from_the_next_call_on(
    authenticator: Authenticator, source: Source
) -> None:
    remember_as_stale(authenticator)
    source.add(SECRET, record(is_active=False))
    assert (await identify(authenticator)).key_name == "as it was"
    await until(source, 1)
    await asyncio.sleep(0)
    with pytest.raises(Unauthenticated):
        await identify(authenticator)


@pytest.mark.parametrize("known", [None, record(is_active=False), record(expires_at_ms=1)], ids=["no", "off", "old"])
async def test_a_refusal_is_remembered_until_the_key_changes(
    authenticator: Authenticator, source: Source, metrics: Metrics, known: KeyRecord | None
) -> None:
    source.records = {} if known is None else {keys.digest(SECRET): known}
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await identify(authenticator)
    assert len(source.asked) == 1
    assert counted(metrics, "tollway_auth_total") == {("refused",): 3.0}
    source.add(SECRET, record())
    authenticator.forget(KeyChange(keys.digest(SECRET), None))
    assert await identify(authenticator) == record()


async def test_a_changed_key_is_asked_anew(authenticator: Authenticator, source: Source) -> None:
    await identify(authenticator)
    source.add(SECRET, record(key_name="renamed"))
    assert await identify(authenticator) == record()
    authenticator.forget(KeyChange(keys.digest(SECRET), None))
    assert await identify(authenticator) == record(key_name="renamed")


@pytest.mark.parametrize(
    "change",
    [KeyChange(keys.digest(SECRET), None), KeyChange(None, "tenant-1"), None],
    ids=["of the key", "of its tenant", "that was missed"],
)
async def test_a_change_while_the_source_is_being_asked_is_not_lost(
    authenticator: Authenticator, source: Source, change: KeyChange | None
) -> None:
    """The source has read the row, the key is revoked and announced, and only then the answer arrives."""
    source.answers.clear()
    caller = asyncio.create_task(identify(authenticator))
    await until(source, 1)
    source.add(SECRET, record(is_active=False))
    if change is None:
        authenticator.forget_all()
    else:
        authenticator.forget(change)
    source.answers.set()
    assert await caller == record(), "it asked before the change"
    with pytest.raises(Unauthenticated):
        await identify(authenticator)


async def test_a_change_of_a_tenant_forgets_all_its_keys_and_no_other(
    authenticator: Authenticator, source: Source
) -> None:
    secrets = [keys.generate("live").encode() for _ in range(4)]
    for number, secret in enumerate(secrets):
        source.add(secret, record(key_id=str(number), tenant_id="other" if number == 3 else "tenant-1"))
        await identify(authenticator, secret)
    source.asked.clear()
    authenticator.forget(KeyChange(None, "tenant-1"))
    for secret in secrets:
        await identify(authenticator, secret)
    assert source.asked == [keys.digest(secret) for secret in secrets[:3]]


async def test_keys_of_the_file_outlive_every_change_and_may_have_any_form(
    authenticator: Authenticator, source: Source
) -> None:
    authenticator.pin(keys.digest(b"key of the file"), record(key_id="acme/ci"))
    await identify(authenticator)
    authenticator.forget_all()
    authenticator.forget(KeyChange(keys.digest(b"key of the file"), "tenant-1"))
    assert (await identify(authenticator, b"key of the file")).key_id == "acme/ci"
    source.is_down = True
    assert (await identify(authenticator, b"key of the file")).key_id == "acme/ci"
    with pytest.raises(DependencyUnavailable):
        await identify(authenticator)


async def test_a_key_of_the_file_that_has_expired_is_refused(authenticator: Authenticator, source: Source) -> None:
    authenticator.pin(keys.digest(SECRET), record(expires_at_ms=1))
    with pytest.raises(Unauthenticated):
        await identify(authenticator)
    assert source.asked == []


async def test_a_remembered_key_is_refused_once_it_has_expired(authenticator: Authenticator, source: Source) -> None:
    source.add(SECRET, record(expires_at_ms=time.time_ns() // 1_000_000 + 300))
    await identify(authenticator)
    await asyncio.sleep(0.4)
    with pytest.raises(Unauthenticated):
        await identify(authenticator)


async def test_a_key_without_the_scope_is_told_so(
    authenticator: Authenticator, source: Source, metrics: Metrics
) -> None:
    source.add(SECRET, record(scopes=frozenset({"admin"})))
    for _ in range(2):
        with pytest.raises(Forbidden, match=GATEWAY_USE):
            await identify(authenticator)
    assert counted(metrics, "tollway_auth_total") == {("forbidden",): 2.0}


async def test_a_flood_of_unknown_keys_is_turned_away_beyond_a_bound_while_known_ones_pass(
    authenticator: Authenticator, source: Source
) -> None:
    await identify(authenticator)
    source.answers.clear()
    flood = [keys.generate("live").encode() for _ in range(ASKING_CAPACITY)]
    callers = [asyncio.create_task(identify(authenticator, secret)) for secret in flood]
    await until(source, 1 + ASKING_CAPACITY)
    with pytest.raises(DependencyUnavailable, match="too many unknown keys") as caught:
        await identify(authenticator, keys.generate("live").encode())
    assert caught.value.retry_after_s == 1.0
    assert await identify(authenticator) == record()
    source.answers.set()
    told = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(each) for each in told} == {Unauthenticated}
    with pytest.raises(Unauthenticated):
        await identify(authenticator, keys.generate("live").encode())


async def test_a_stale_key_is_served_though_too_many_others_are_being_asked(
    authenticator: Authenticator, source: Source
) -> None:
    source.answers.clear()
    flood = [keys.generate("live").encode() for _ in range(ASKING_CAPACITY)]
    callers = [asyncio.create_task(identify(authenticator, secret)) for secret in flood]
    await until(source, ASKING_CAPACITY)
    remember_as_stale(authenticator)
    assert (await identify(authenticator)).key_name == "as it was"
    source.answers.set()
    await asyncio.gather(*callers, return_exceptions=True)
    assert keys.digest(SECRET) not in source.asked


class Outage:
    """What the listener says of the database."""

    def __init__(self) -> None:
        self.since: float | None = None

    def begin(self) -> None:
        self.since = time.monotonic()

    def end(self) -> None:
        self.since = None


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def informed(source: Source, metrics: Metrics, outage: Outage) -> Authenticator:
    """An authenticator that is told of outages."""
    return Authenticator(source, lambda known: Principal(known, None), metrics, down_since=lambda: outage.since)


def unknown() -> bytes:
    return keys.generate("live").encode()


async def test_in_a_known_outage_one_unknown_key_at_a_time_tries_the_source_and_the_others_are_told_at_once(
    informed: Authenticator, source: Source, outage: Outage
) -> None:
    await identify(informed)
    outage.begin()
    source.is_down = True
    source.answers.clear()
    probe = asyncio.create_task(identify(informed, unknown()))
    await until(source, 2)
    for _ in range(1_000):
        with pytest.raises(DependencyUnavailable, match="database is out of reach") as caught:
            await identify(informed, unknown())
    assert caught.value.retry_after_s == 1.0
    assert len(source.asked) == 2
    assert await identify(informed) == record(), "a known key is served as ever"
    source.answers.set()
    with pytest.raises(DependencyUnavailable):
        await probe


async def test_who_brings_the_key_that_is_being_tried_waits_for_its_answer(
    informed: Authenticator, source: Source, outage: Outage
) -> None:
    outage.begin()
    source.answers.clear()
    callers = [asyncio.create_task(identify(informed)) for _ in range(20)]
    await until(source, 1)
    source.answers.set()
    assert await asyncio.gather(*callers) == [record()] * 20


async def test_an_answer_ends_the_outage_before_the_listener_knows(
    informed: Authenticator, source: Source, outage: Outage
) -> None:
    outage.begin()
    await identify(informed)
    source.answers.clear()
    callers = [asyncio.create_task(identify(informed, unknown())) for _ in range(5)]
    await until(source, 6)
    source.answers.set()
    assert {type(each) for each in await asyncio.gather(*callers, return_exceptions=True)} == {Unauthenticated}


@pytest.mark.parametrize("way", ["a question that fails", "a later outage"])
async def test_an_answer_of_before_counts_no_more_after(
    informed: Authenticator, source: Source, outage: Outage, way: str
) -> None:
    outage.begin()
    await identify(informed)
    if way == "a later outage":
        outage.begin()
    source.is_down = True
    if way != "a later outage":
        with pytest.raises(DependencyUnavailable):
            await identify(informed, unknown())
    source.answers.clear()
    asked = len(source.asked)
    callers = [asyncio.create_task(identify(informed, unknown())) for _ in range(5)]
    await until(source, asked + 1)
    await asyncio.sleep(0.01)
    assert len(source.asked) == asked + 1
    source.answers.set()
    await asyncio.gather(*callers, return_exceptions=True)


async def test_stale_keys_are_served_in_a_known_outage_and_asked_one_at_a_time(
    informed: Authenticator, source: Source, outage: Outage
) -> None:
    outage.begin()
    source.answers.clear()
    secrets = [unknown() for _ in range(20)]
    for secret in secrets:
        stale = Principal(record(key_name="as it was"), None)
        informed._table.insert(keys.digest(secret), stale, group_of("tenant-1"), 0, None)
    for secret in secrets:
        assert (await identify(informed, secret)).key_name == "as it was"
    await until(source, 1)
    assert len(source.asked) == 1
    source.answers.set()
