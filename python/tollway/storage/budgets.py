"""The bank: budgets' money is lent to hosts in PostgreSQL, so that all that they spend together is never more.

In: what hosts ask for, many purses in one question. Out: what each may spend. One transaction answers a question; it
locks the purses' rows in the order of their names, and so do the rows of usage that are shipped (a trigger of
``usage_logs``), so that what is leased and what is spent is seen as a whole. See ``lending`` for how much is granted.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import asyncpg

from tollway.contract.budgets import ROLLING_H, Ask, Budget, Granted, Purse
from tollway.errors import DependencyUnavailable
from tollway.storage.known_spend import KnownTerms
from tollway.storage.lending import Lease, Standing, lend
from tollway.storage.pool import FAILED, Connection
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

LEASE_S = 10.0
"""A lease is good for so long; a host counts from when it asked, and so never beyond what is counted here."""
PATIENCE_S = 2.0
"""How long a question is waited for, in all."""

# An upsert locks a row though it leaves it as it is, and takes the rows in the order in which it is given them.
_LOCK = """
    insert into budget_purses as known
        (purse, budget_id, period_start_s, subject, name, tenant_id, amount, period, window_h, warn_at)
    select purse, budget_id, period_start_s, subject, name, tenant_id, amount, period, window_h, warn_at::integer[]
    from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::text[],
                $9::integer[], $10::text[])
        as asked (purse, budget_id, period_start_s, subject, name, tenant_id, amount, period, window_h, warn_at)
    order by purse
    on conflict (purse) do update
        set name = excluded.name, amount = excluded.amount, warn_at = excluded.warn_at
        where (known.name, known.amount, known.warn_at) is distinct from
              (excluded.name, excluded.amount, excluded.warn_at)
"""

# What the database says of a budget of its own is newer than what a host remembers with a key.
_STANDINGS = """
    select known.purse,
           coalesce(
               (select amount from budgets where id = known.budget_id),
               (select least(trunc(monthly_budget * 1000000000000), 9000000000000000000) from tenants
                where known.budget_id like 'tenant:%' and id = substr(known.budget_id, 8)),
               known.amount
           ) as amount,
           budget_spent(known) as spent,
           coalesce(others.held, 0) as held_by_others, coalesce(others.alive, 0) as other_hosts,
           own.host is not null as has_own, own.base, own.granted, own.spent as own_spent, own.shipped, own.turn,
           own.expires_at > statement_timestamp() as is_live
    from budget_purses as known
    left join budget_leases as own on own.purse = known.purse and own.host = $2
    left join lateral (
        select sum(budget_held(lease)) as held,
               count(*) filter (where lease.expires_at > statement_timestamp()) as alive
        from budget_leases as lease where lease.purse = known.purse and lease.host <> $2
    ) as others on true
    where known.purse = any ($1)
"""

_WRITE = """
    insert into budget_leases (purse, host, base, granted, spent, shipped, turn, expires_at)
    select purse, $2, base, granted, spent, shipped, turn, clock_timestamp() + make_interval(secs => $8)
    from unnest($1::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::bigint[])
        as lease (purse, base, granted, spent, shipped, turn)
    on conflict (purse, host) do update
        set base = excluded.base, granted = excluded.granted, spent = excluded.spent, turn = excluded.turn,
            expires_at = excluded.expires_at
"""

# If nobody has renewed anything for the time of a lease: then those that were good when somebody last did are so again.
# What another transaction has locked is being renewed. One of these at a time, so that none waits for another's rows.
_REVIVE = """
    update budget_leases set expires_at = clock_timestamp() + make_interval(secs => $1)
    where (purse, host) in (
        select purse, host from budget_leases, (select max(expires_at) as at from budget_leases) as newest
        where newest.at < statement_timestamp() and expires_at > newest.at - make_interval(secs => $1)
        for update of budget_leases skip locked
    )
"""
_REVIVING = 0x746F6C6C627564

_TELL = """
    update budget_events set told_at = clock_timestamp()
    where id in (select id from budget_events where told_at is null order by id limit 100 for update skip locked)
    returning id, budget_id, name, tenant_id, period, per_cent, amount / 1000000000000 as amount_usd,
              spent / 1000000000000 as spent_usd
"""


class PostgresBank:
    """Lends what is left of budgets, in parts, to hosts; what the data plane calls its bank, over a pool.

    Thresholds that were passed anywhere are told here, once over all hosts: a line in the log and a count.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        log: Log,
        metrics: Metrics,
        *,
        patience_s: float = PATIENCE_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._pool = pool
        self._log = log
        self._metrics = metrics
        self._patience_s = patience_s
        self._lease_s = lease_s
        self._terms = KnownTerms(pool)
        self._is_back = True

    async def renew(self, host: str, asked: Sequence[Ask]) -> Sequence[Granted]:
        """What this host may spend of the purses from now on, for :data:`LEASE_S` from when it asked.

        A purse has no answer where a later question has overtaken this one, or while what was spent of its budget
        before it was known is still looked up in the rows. After the bank was out of reach for everybody, leases that
        have lapsed meanwhile are good for :data:`LEASE_S` more: nobody could renew them, and they pay for calls that
        are under way.

        Raises:
            DependencyUnavailable: the database is out of reach, or the answer was lost; ask again.
        """
        asks = {ask.purse.name: ask for ask in asked}
        if not asks:
            return ()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._terms.know(ask.purse for ask in asks.values())
                asks = {name: ask for name, ask in asks.items() if self._terms.is_known(ask.purse)}
                async with self._pool.acquire() as connection:
                    async with connection.transaction():
                        answers = await self._answer(connection, host, asks)
                        told = await connection.fetch(_TELL)
        except FAILED as error:
            self._is_back = False
            raise DependencyUnavailable(
                "What is left of a budget can't be told now, because the database is out of reach. Try again shortly.",
                inside=f"budget leases: {type(error).__name__}",
                retry_after_s=1.0,
            ) from error
        self._is_back = True
        for event in told:
            self._metrics.budget_passed(event["period"])
            self._log.warning("budget_threshold_passed", **event)
        return answers

    async def _answer(self, connection: Connection, host: str, asks: Mapping[str, Ask]) -> list[Granted]:
        await connection.execute(_LOCK, *_columns([_purse_row(ask.purse) for ask in asks.values()], 10))
        rows = await connection.fetch(_STANDINGS, list(asks), host)
        if not self._is_back or any(_could_not_renew(asks[row["purse"]], row) for row in rows):
            await connection.execute("select pg_advisory_xact_lock($1)", _REVIVING)
            await connection.execute(_REVIVE, self._lease_s)
            rows = await connection.fetch(_STANDINGS, list(asks), host)
        leases: list[tuple[str, Lease]] = []
        answers: list[Granted] = []
        for row in rows:
            lease, granted = lend(asks[row["purse"]], _standing(row))
            if lease is not None:
                leases.append((row["purse"], lease))
            if granted is not None:
                answers.append(granted)
        names, *columns = _columns([(name, *_amounts(lease)) for name, lease in leases], 6)
        await connection.execute(_WRITE, names, host, *columns, self._lease_s)
        return answers

    async def close(self) -> None:
        """Ends what is still looked up."""
        await self._terms.close()


async def shipped_by(connection: Connection, host: str) -> None:
    """The rows that the running transaction inserts come from this host's journal: its leases hold so much less.

    What rows cost is added to their purses by a trigger, whoever inserts them; but without this what the host has
    leased and what its rows say is counted twice, until the lease has expired.
    """
    await connection.execute("select set_config('tollway.host', $1, true)", host)


def _could_not_renew(ask: Ask, row: asyncpg.Record) -> bool:
    """A host that lives and has something of a purse has let its lease lapse."""
    return bool(row["has_own"]) and not row["is_live"] and ask.granted > ask.spent


def _amounts(lease: Lease) -> tuple[int, ...]:
    return lease.base, lease.granted, lease.spent, lease.shipped, lease.turn


def _purse_row(purse: Purse) -> tuple[object, ...]:
    budget = purse.budget
    return (
        purse.name,
        budget.id,
        purse.period_start_s,
        purse.subject,
        budget.name,
        budget.tenant_id,
        budget.amount_picousd,
        budget.period,
        window_h(budget),
        f"{{{','.join(map(str, budget.warn_at))}}}",
    )


def window_h(budget: Budget) -> int | None:
    """How many hours a rolling budget looks back; ``None`` for one that does not roll."""
    return ROLLING_H[budget.period] if budget.rolling else None


def _columns(rows: Iterable[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as arrays, one for each column."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _standing(row: asyncpg.Record) -> Standing:
    own = None
    if row["has_own"]:
        own = Lease(
            base=_whole(row["base"]),
            granted=_whole(row["granted"]),
            spent=_whole(row["own_spent"]),
            shipped=_whole(row["shipped"]),
            turn=row["turn"],
            is_live=row["is_live"],
        )
    return Standing(
        amount=_whole(row["amount"]),
        spent=_whole(row["spent"]),
        held_by_others=_whole(row["held_by_others"]),
        other_hosts=row["other_hosts"],
        own=own,
    )


def _whole(value: Decimal) -> int:
    return int(value)
