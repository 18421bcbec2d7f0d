"""Shadow copies: asked beside the call, metered, and otherwise without effect on anybody."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.fakes.money import Purseful
from tests.fakes.telemetry import Recording, counted
from tests.proxy.edge import Answer, Client, arrive, ask, principal, route, target
from tests.proxy.usage.test_journal import rows_in

from tollway._native import chat
from tollway._native.routing import Pool, Ranking
from tollway.contract.routing import Hedge, Retries
from tollway.contract.snapshot import Route, Shadow, Target
from tollway.contract.usage import Outcome, UsageRow
from tollway.errors import GatewayError, NothingToSpend, UpstreamUnavailable
from tollway.proxy.causes import Fault
from tollway.proxy.connection import Upload
from tollway.proxy.exchange import Attempted, Called, Planned, Progress, Relayed, Reserved, Screened
from tollway.proxy.shadowing import MOST, MOST_BYTES, Shadowing
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.settle import Bookkeeper
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.metrics import Metrics

OTHER = target("m-other")
WAY = msgspec.structs.replace(
    route("m", target("m-1")),
    shadow=Shadow(target=OTHER),
    fallbacks={"error": ("another",)},
    hedge=Hedge(),
    retries=Retries(attempts=3),
)


UNRANKED = cast(Pool, None), cast(Ranking, None)
"""What a copy's way does not look at."""


class Begun:
    """An answer of which nothing is to be told."""

    fault: Fault | None = None

    def __init__(self, called: Called) -> None:
        self.called = called

    async def finish(self) -> Relayed:
        """Sends as a stream would, if it is one."""
        connection = self.called.arrival.connection
        if not self.called.request.stream:
            return Relayed(self.called.arrival, 200, [], b"{}", "ok")
        await connection.start(200, [])
        await connection.piece(b"data: {}\n\n")
        return Relayed(self.called.arrival, 200, None, b"", "ok")

    async def close(self) -> None:
        """Nothing to be closed."""


class Nothing:
    """A place that nobody takes."""

    def end(self, outcome: Outcome | None) -> None:
        """It has ended."""


class Till:
    """The money that is held for copies: nothing, unless a test has some."""

    def __init__(self) -> None:
        self.error: GatewayError | None = None
        self.money: Reserved | None = None

    def reserve(self, _: Planned) -> Reserved | None:
        """Between stations 5 and 6."""
        if self.error is not None:
            raise self.error
        return self.money


class Stations:
    """What a copy goes through, scripted: it is dispatched, and waits while ``answers`` is not set."""

    def __init__(self, directory: Path, recording: Recording, metrics: Metrics) -> None:
        self.directory = directory
        self.journal = Journal(directory)
        self.books = Bookkeeper(self.journal, Vocabularies(), recording.log, metrics, lambda trail: {})
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: Exception | None = None
        self.begun = asyncio.Semaphore(0)
        """Released by each copy that begins."""
        self.asked: list[Planned] = []
        self.chance = 0.0
        self.till = Till()
        self.shadowing = Shadowing(
            self.only,
            self.till.reserve,
            self.attempt,
            self.relay,
            partial(self.books.account, role="shadow"),
            lambda: f"copy-{len(self.asked)}",
            recording.log,
            metrics,
            plan=self.plan,
            chance=lambda: self.chance,
        )

    def only(self, screened: Screened, target: Target) -> Planned:
        """Station 5, of one target."""
        way = msgspec.structs.replace(WAY, targets=(target,))
        return Planned(screened.arrival, screened.principal, screened.request, way, *UNRANKED)

    def plan(self, screened: Screened) -> Planned:
        """Station 5, of the call's own model."""
        return Planned(screened.arrival, screened.principal, screened.request, WAY, *UNRANKED)

    async def attempt(self, planned: Planned, progress: Progress) -> Attempted:
        """Station 6."""
        self.asked.append(planned)
        self.begun.release()
        if self.error is not None:
            raise self.error
        arrival, found = planned.arrival, planned.route.targets[0]
        arrival.connection.watch(after_s=0.0)
        arrival.connection.keep_alive(0.001, list)
        progress.planned(planned.route, found)
        progress.sent()
        await self.answers.wait()
        progress.answer = chat.read_answer(b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}', "chat")
        called = Called(
            arrival,
            planned.request,
            planned.route,
            found,
            Answer(),
            1e9,
            arrival.connection.task,
            planned.arrival.operation,
        )
        return Attempted(Begun(called), Nothing(), progress)

    async def relay(self, attempted: Attempted) -> Relayed:
        """As the relay does."""
        return await attempted.begun.finish()

    async def idle(self) -> None:
        """Returns when no copy is under way."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    def planned(self, way: Route = WAY, client: Client | None = None, **fields: Any) -> tuple[Screened, Planned]:
        """A call of ``way`` that is about to be made."""
        screened = Screened(arrive(client), principal(), ask(**fields))
        return screened, Planned(screened.arrival, screened.principal, screened.request, way, *UNRANKED)

    def rows(self) -> list[UsageRow]:
        """The journal."""
        return rows_in(self.directory)


@pytest.fixture
def stations(tmp_path: Path, recording: Recording, metrics: Metrics) -> Iterator[Stations]:
    made = Stations(tmp_path, recording, metrics)
    yield made
    made.journal.close()


async def test_a_copy_is_asked_of_the_shadow_alone_and_leaves_a_row_of_its_own(
    stations: Stations, metrics: Metrics
) -> None:
    client = Client()
    screened, planned = stations.planned(client=client, stream=True)
    stations.shadowing.copy(screened, planned)
    assert stations.asked == [], "the call itself is not held up"
    await stations.idle()
    (asked,) = stations.asked
    assert asked.request is screened.request
    assert asked.route.targets == (OTHER,)
    assert (asked.route.retries.attempts, asked.route.fallbacks) == (1, {})
    assert (asked.route.hedge, asked.route.shadow) == (None, None)
    (row,) = stations.rows()
    assert (row.id, row.request_id) == ("copy-0", screened.arrival.request_id)
    assert (row.model, row.provider_model, row.outcome, row.role) == ("m", "m-other", "ok", "shadow")
    assert (row.prompt_tokens, row.completion_tokens) == (7, 3)
    assert client.sent == []
    assert not screened.arrival.connection.committed
    assert counted(metrics, "tollway_shadow_copies_total") == {("m", "answered"): 1.0}


@pytest.mark.parametrize(
    ("share", "chance", "copies"), [(1.0, 0.999, 1), (0.1, 0.099, 1), (0.1, 0.1, 0), (0.0, 0.0, 0)]
)
async def test_a_share_of_the_calls_is_copied(stations: Stations, share: float, chance: float, copies: int) -> None:
    way = msgspec.structs.replace(WAY, shadow=Shadow(target=OTHER, share=share))
    stations.chance = chance
    stations.shadowing.copy(*stations.planned(way))
    await stations.idle()
    assert len(stations.asked) == copies


async def test_a_route_without_a_shadow_has_no_copies(stations: Stations) -> None:
    stations.shadowing.copy(*stations.planned(route()))
    await stations.idle()
    assert stations.asked == []


async def test_a_form_is_not_copied(stations: Stations) -> None:
    screened, planned = stations.planned()
    screened.arrival.connection.upload = cast(Upload, object())
    stations.shadowing.copy(screened, planned)
    await stations.idle()
    assert stations.asked == []


async def test_a_client_that_leaves_takes_its_copy_not_along(stations: Stations) -> None:
    client = Client()
    stations.answers.clear()

    async def call() -> None:
        stations.shadowing.copy(*stations.planned(client=client))
        await asyncio.Event().wait()

    calling = asyncio.create_task(call())
    await stations.begun.acquire()
    client.hang_up()
    calling.cancel()
    await asyncio.wait([calling])
    stations.answers.set()
    await stations.idle()
    (row,) = stations.rows()
    assert row.outcome == "ok"


async def test_more_copies_than_may_be_under_way_are_dropped_and_counted(stations: Stations, metrics: Metrics) -> None:
    stations.answers.clear()
    for _ in range(MOST + 3):
        stations.shadowing.copy(*stations.planned())
    stations.answers.set()
    await stations.idle()
    stations.shadowing.copy(*stations.planned())
    await stations.idle()
    assert len(stations.asked) == MOST + 1
    assert counted(metrics, "tollway_shadow_copies_total") == {("m", "answered"): MOST + 1, ("m", "dropped"): 3.0}


async def test_copies_hold_on_to_so_many_bytes_and_no_more(stations: Stations, metrics: Metrics) -> None:
    stations.answers.clear()
    large = stations.planned(messages=[{"role": "user", "content": "x" * (MOST_BYTES // 2)}])
    stations.shadowing.copy(*large)
    stations.shadowing.copy(*large)
    stations.answers.set()
    await stations.idle()
    stations.shadowing.copy(*large)
    await stations.idle()
    assert counted(metrics, "tollway_shadow_copies_total") == {("m", "answered"): 2.0, ("m", "dropped"): 1.0}


async def test_a_copy_that_nobody_answers_is_told_in_the_log_and_nowhere_else(
    stations: Stations, recording: Recording, metrics: Metrics
) -> None:
    stations.error = UpstreamUnavailable("No provider can be asked.", inside="all open")
    stations.shadowing.copy(*stations.planned())
    await stations.idle()
    (line,) = recording.lines()
    assert (line["event"], line["code"], line["cause"]) == ("shadow_failed", "upstream_unavailable", "all open")
    assert stations.rows() == []
    assert counted(metrics, "tollway_shadow_copies_total") == {("m", "failed"): 1.0}


async def test_a_defect_in_a_copy_is_told_as_one(stations: Stations, recording: Recording) -> None:
    stations.error = ValueError("a defect")
    stations.shadowing.copy(*stations.planned())
    await stations.idle()
    (line,) = recording.lines()
    assert (line["level"], line["event"]) == ("error", "defect")


async def test_a_shutdown_cuts_copies_and_their_rows_are_written(stations: Stations) -> None:
    stations.answers.clear()
    for _ in range(3):
        stations.shadowing.copy(*stations.planned())
    for _ in range(3):
        await stations.begun.acquire()
    await stations.shadowing.close()
    await stations.books.finish()
    assert [row.outcome for row in stations.rows()] == ["cut"] * 3
    await stations.shadowing.close()


async def test_a_copy_is_paid_from_the_money_that_is_held_for_it(stations: Stations) -> None:
    stations.till.money = money = Purseful("operator")
    stations.shadowing.copy(*stations.planned())
    await stations.idle()
    (row,) = stations.rows()
    assert row.charged == ("operator",)
    assert money.paid == [row.cost_picousd]


async def test_a_copy_that_nothing_is_left_for_is_not_made(stations: Stations, recording: Recording) -> None:
    stations.till.error = NothingToSpend("The budget 'b' has too little left for this call.")
    stations.shadowing.copy(*stations.planned())
    await stations.idle()
    assert (stations.asked, stations.rows()) == ([], [])
    assert recording.events() == ["shadow_failed"]


class Ear:
    """Hears of fresh answers."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes]] = []

    async def hear(self, status: int, body: bytes) -> None:
        """Notes it."""
        self.heard.append((status, body))


async def test_the_calls_own_model_is_asked_again_and_its_answer_heard(stations: Stations, metrics: Metrics) -> None:
    ear = Ear()
    stations.chance = 1.0
    client = Client()
    screened, _ = stations.planned(client=client, stream=True)
    request = ask()
    stations.shadowing.again(screened, request, ear.hear)
    assert stations.asked == [], "the call itself is not held up"
    await stations.idle()
    (asked,) = stations.asked
    assert (asked.request, asked.route.targets) == (request, WAY.targets)
    assert (asked.route.retries.attempts, asked.route.fallbacks, asked.route.hedge) == (1, {}, None)
    assert ear.heard == [(200, b"{}")]
    (row,) = stations.rows()
    assert (row.model, row.provider_model, row.role, row.outcome) == ("m", "m-1", "shadow", "ok")
    assert (client.sent, screened.arrival.connection.committed) == ([], False)
    assert counted(metrics, "tollway_shadow_copies_total") == {("m", "answered"): 1.0}


async def test_what_is_asked_again_is_bounded_and_paid_as_copies_are(stations: Stations, metrics: Metrics) -> None:
    ear = Ear()
    stations.answers.clear()
    stations.till.money = Purseful("operator")
    for _ in range(MOST + 2):
        stations.shadowing.again(stations.planned()[0], ask(), ear.hear)
    stations.answers.set()
    await stations.idle()
    assert len(ear.heard) == MOST
    assert {row.charged for row in stations.rows()} == {("operator",)}
    assert counted(metrics, "tollway_shadow_copies_total")["m", "dropped"] == 2.0


async def test_who_listens_hears_nothing_of_a_failure(stations: Stations, recording: Recording) -> None:
    ear = Ear()
    stations.error = UpstreamUnavailable("No provider can be asked.", inside="all open")
    stations.shadowing.again(stations.planned()[0], ask(), ear.hear)
    await stations.idle()
    assert ear.heard == []
    assert recording.events() == ["shadow_failed"]
