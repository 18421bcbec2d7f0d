"""The protocol of leases, as several hosts live it on a real database: whatever happens to hosts, questions, answers
and rows, all that is spent of a budget stays below it, and what nobody spends comes back."""

import asyncio
import itertools
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import closing
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.fakes.telemetry import Recording
from tests.storage.test_usage import ROW

from tollway.contract.budgets import Ask, Budget, Purse
from tollway.contract.usage import UsageRow
from tollway.storage.budgets import PostgresBank
from tollway.storage.pool import connect
from tollway.storage.usage import insert_usage
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics, prepare

AMOUNT = 1_000
DAY_S = 86_400

Result = TypeVar("Result")


class Account(msgspec.Struct):
    """What one host keeps of one purse. ``told`` is what the bank has heard of as spent, ``asked`` are all its
    questions, so that they can be asked again too late."""

    granted: int = 0
    spent: int = 0
    told: int = 0
    alive: bool = False
    reserved: list[int] = []
    asked: list[Ask] = []

    @property
    def free(self) -> int:
        return self.granted - self.spent - sum(self.reserved) if self.alive else 0


class Floor:
    """A database for all examples, and the loop on which it is asked."""

    def __init__(self, dsn: str, log: Log, metrics: Metrics) -> None:
        self.loop = asyncio.new_event_loop()
        self.pool = self.run(connect(dsn, application_name="test"))
        self.bank = PostgresBank(self.pool, log, metrics, patience_s=30.0, lease_s=3_600.0)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.pool.close())
        self.loop.close()


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Log, Metrics]]:
    directory = tmp_path_factory.mktemp("telemetry")
    prepare(directory / "metrics")
    with closing(Recording(directory / "log")) as recording, closing(Metrics(directory / "metrics", "w")) as metrics:
        yield recording.log, metrics


@pytest.fixture(scope="module")
def floor(lasting_dsn: str, telemetry: tuple[Log, Metrics]) -> Iterator[Floor]:
    with closing(Floor(lasting_dsn, *telemetry)) as opened:
        yield opened


HOSTS = st.sampled_from(("a", "a", "a", "b", "b", "c"))
SOME = st.sampled_from((0, 1, 7, 100, 333, AMOUNT)) | st.integers(min_value=0, max_value=AMOUNT)


class Leasing(RuleBasedStateMachine):
    """Three hosts and a budget for a day. ``beyond`` is what may be spent above it after all: what a host had spent and
    not told, or had under way, when others were lent its share."""

    floor: Floor

    def __init__(self) -> None:
        super().__init__()
        budget_id = f"file:{uuid.uuid4()}"
        self.tenant = self.floor.run(self._new_tenant(budget_id))
        self.budget = Budget(
            id=budget_id, name="b", amount_picousd=AMOUNT, period="day", warn_at=(50, 100), tenant_id=self.tenant
        )
        self.now_s = 1_000 * DAY_S
        self.turn = 0
        self.accounts: dict[tuple[str, str], Account] = {}
        self.rows: dict[str, list[UsageRow]] = {"a": [], "b": [], "c": []}
        self.beyond: dict[str, int] = {}
        self.shipped: dict[str, UsageRow] = {}
        self.settled: dict[str, int] = {}

    async def _new_tenant(self, name: str) -> str:
        found: str = await self.floor.pool.fetchval("insert into tenants (name) values ($1) returning id", name)
        return found

    @property
    def purse(self) -> Purse:
        return self.budget.purse(key_id="k", user=None, model="m", now_s=self.now_s)

    def account(self, host: str, name: str | None = None) -> Account:
        return self.accounts.setdefault((host, name or self.purse.name), Account())

    def _ask(
        self, host: str, purse: Purse, wanted: int, needed: int | None = None, *, back: int = 0, lost: bool = False
    ) -> None:
        account = self.account(host, purse.name)
        self.turn += 1
        account.granted -= min(account.free, back)
        ask = Ask(purse, account.granted, account.spent, wanted, self.turn, needed)
        account.asked.append(ask)
        answers = self.floor.run(self.floor.bank.renew(self._id(host), [ask]))
        account.told = account.spent
        if lost:
            return
        (answer,) = answers
        assert answer.name == purse.name
        account.granted, account.alive = answer.granted, True

    def _id(self, host: str) -> str:
        return f"{host}-{self.budget.id}"

    @rule(host=HOSTS, wanted=SOME, needed=st.none() | SOME, back=SOME | st.just(0), lost=st.booleans())
    def asks(self, host: str, wanted: int, needed: int | None, back: int, lost: bool) -> None:
        self._ask(host, self.purse, wanted, needed, back=back, lost=lost)

    @rule(host=HOSTS)
    def wants_all_there_is(self, host: str) -> None:
        self._ask(host, self.purse, AMOUNT)

    @rule(host=HOSTS)
    def tells_only(self, host: str) -> None:
        self._ask(host, self.purse, 0)

    @rule(host=HOSTS, amount=SOME)
    def reserves(self, host: str, amount: int) -> None:
        account = self.account(host)
        if amount <= account.free:
            account.reserved.append(amount)

    @rule(host=HOSTS, amount=SOME, cost=SOME)
    def calls(self, host: str, amount: int, cost: int) -> None:
        """All of a call at once, for as much as there is."""
        if not any(account.reserved for (owner, _), account in self.accounts.items() if owner == host):
            self.reserves(host, min(amount, max(self.account(host).free, 0)))
            self.settles(host, cost)

    @rule(host=HOSTS, cost=SOME)
    def settles(self, host: str, cost: int) -> None:
        """The oldest call of any period ends, for at most what was reserved."""
        for (owner, name), account in self.accounts.items():
            if owner == host and account.reserved:
                cost = min(cost, account.reserved.pop(0))
                account.spent += cost
                self.settled[name] = self.settled.get(name, 0) + cost
                self.rows[host].append(self._row(name, cost))
                return

    def _row(self, purse: str, cost: int) -> UsageRow:
        at_us = int(purse.split("|")[1]) * 1_000_000 + self.turn
        return msgspec.structs.replace(
            ROW, id=str(uuid.uuid4()), at_us=at_us, tenant_id=self.tenant, cost_picousd=cost, charged=(purse,)
        )

    @rule(host=HOSTS, again=st.booleans())
    def ships(self, host: str, again: bool) -> None:
        rows = self.rows[host]
        self.rows[host] = []
        self.floor.run(self._ship(host, rows + (rows[:2] if again else []), again))

    async def _ship(self, host: str, rows: list[UsageRow], again: bool) -> None:
        async with self.floor.pool.acquire() as connection:
            for _ in range(2 if again else 1):
                await insert_usage(connection, rows, self._id(host))
        self.shipped.update({row.id: row for row in rows})

    @rule(host=HOSTS, telling=st.booleans(), dies=st.booleans(), forgets=st.booleans())
    def is_not_heard_of(self, host: str, telling: bool, dies: bool, forgets: bool) -> None:
        """For a lease's time. What it ``dies`` of ends its calls; else they go on."""
        for (owner, name), account in self.accounts.items():
            if owner != host:
                continue
            if dies or forgets:
                account.reserved.clear()
            if telling and account.alive and name == self.purse.name:
                self._ask(host, self.purse, 0)
            if account.alive:
                untold = account.spent - account.told
                self.beyond[name] = self.beyond.get(name, 0) + untold + sum(account.reserved)
            account.alive = False
            if forgets:
                account.granted = account.spent = account.told = 0
                account.asked.clear()
        self.floor.run(
            self.floor.pool.execute("update budget_leases set expires_at = '-infinity' where host = $1", self._id(host))
        )

    @precondition(lambda self: any(account.asked for account in self.accounts.values()))
    @rule(data=st.data())
    def an_old_question_arrives(self, data: st.DataObject) -> None:
        """After a newer one of the same host, as long as its lease lives; its answer goes nowhere."""
        key = data.draw(st.sampled_from([key for key, account in self.accounts.items() if account.asked]))
        account = self.accounts[key]
        if account.alive:
            ask = data.draw(st.sampled_from(account.asked))
            answers = self.floor.run(self.floor.bank.renew(self._id(key[0]), [ask]))
            assert answers == [] or not account.granted, "it may still make a lease, which nobody uses"

    @rule()
    def a_day_passes(self) -> None:
        if self.now_s < 1_002 * DAY_S:
            self.now_s += DAY_S

    @invariant()
    def no_more_can_be_spent_than_there_is(self) -> None:
        for name in {name for _, name in self.accounts}:
            own = [account for (_, purse), account in self.accounts.items() if purse == name]
            spendable = sum(max(account.free, 0) + sum(account.reserved) for account in own)
            assert self.settled.get(name, 0) + spendable <= AMOUNT + self.beyond.get(name, 0)

    def teardown(self) -> None:
        """All hosts go; what they had not spent is there for whoever comes."""
        for host in ("a", "b", "c"):
            self.is_not_heard_of(host, telling=True, dies=True, forgets=False)
            self.ships(host, again=False)
        self.floor.run(self._closes())

    async def _closes(self) -> None:
        pool = self.floor.pool
        cost = sum(row.cost_picousd or 0 for row in self.shipped.values())
        assert await pool.fetchval("select current_spend * 1e12 from tenants where id = $1", self.tenant) == cost
        for number, name in enumerate({name for _, name in self.accounts}):
            spent = self.settled.get(name, 0)
            purse = Purse(self.budget, "", int(name.split("|")[1]))
            (answer,) = await self.floor.bank.renew(f"new-{number}", [Ask(purse, 0, 0, AMOUNT, 1)])
            assert answer.granted == max(0, AMOUNT - spent)
            assert answer.exhausted
            kept = await pool.fetchrow(
                "select spent, (select sum(cost) from budget_spend as hour where hour.purse = $1) as by_hour "
                "from budget_purses where purse = $1",
                name,
            )
            assert kept is not None
            assert (kept["spent"], kept["by_hour"] or 0) == (spent, spent)
            told = await pool.fetch("select per_cent from budget_events where purse = $1 order by id", name)
            passed = [50] * (spent * 2 >= AMOUNT) + [100] * (spent >= AMOUNT)
            assert [row["per_cent"] for row in told] == passed


def test_the_ceiling_holds_and_nothing_leaks(floor: Floor) -> None:
    machine = type("OnThisFloor", (Leasing,), {"floor": floor})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50, stateful_step_count=35, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


async def test_twenty_at_once_share_a_purse_to_its_last_part(postgres_dsn: str, telemetry: tuple[Log, Metrics]) -> None:
    """Each a host of its own with a connection of its own, asking for one call at a time until nothing is left."""
    budget = Budget(id="file:b", name="b", amount_picousd=1_003, period="month")
    purses = [Purse(budget, subject) for subject in ("", "user=a", "user=b")]

    async def host(number: int) -> dict[str, int]:
        bank = PostgresBank(pool, *telemetry, patience_s=60.0)
        granted = {purse.name: 0 for purse in purses}
        order = purses if number % 2 else purses[::-1]
        for turn in itertools.count(1):
            asked = [Ask(purse, granted[purse.name], granted[purse.name], 10, turn, 10) for purse in order]
            answers = await bank.renew(f"host-{number}", asked)
            assert len(answers) == len(purses)
            granted |= {answer.name: answer.granted for answer in answers}
            if all(answer.exhausted for answer in answers):
                break
        return granted

    pool = await connect(postgres_dsn, application_name="test", max_size=20)
    shares = await asyncio.gather(*(host(number) for number in range(20)))
    await pool.close()
    assert [sum(share[purse.name] for share in shares) for purse in purses] == [1_003] * 3
