"""How fast usage rows get from the journal into PostgreSQL, in what memory, and what dashboards wait for afterwards.

``make bench-ingestion ROWS=10000000``: an embedded PostgreSQL as the gateway starts it, the journal's own segments, the
shipper. Segments are written beforehand, some hundred thousand rows at a time, and only the shipping is measured. Rows
are those of 50 tenants with ten keys each and five models, a third of a million a day; one in four has a tag. With
``--purses 2`` each row is paid from so many of 500 purses, as calls under budgets are. At the end the rows and their
sums are counted, and dashboards' questions are asked of the sums and of the rows.
"""

import argparse
import asyncio
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from tollway.contract.budgets import Ask, Budget, Purse
from tollway.contract.usage import Costs, UsageRow
from tollway.proxy.usage.journal import Journal
from tollway.storage import partitions
from tollway.storage.budgets import PostgresBank
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect
from tollway.storage.shipper import Shipper
from tollway.telemetry.logs import Log, open_log
from tollway.telemetry.metrics import Metrics, prepare

ROWS_A_DAY = 333_333
"""As many as ten million in thirty days: how many rows a sum has decides what it costs."""

CHUNK_ROWS = 200_000
TENANTS, KEYS, MODELS = 50, 10, ("small", "large", "reasoning", "cheap", "vision")
REPEATS = 5

HOST = "bench"
BUDGET = Budget(id="file:bench", name="bench", amount_picousd=10**18, period="total", warn_at=(50, 80))
PURSES = tuple(Purse(BUDGET, f"user={number}") for number in range(500))

DASHBOARDS: tuple[tuple[str, str, str], ...] = (
    (
        "cost by day, everybody",
        "select bucket, sum(calls), sum(cost) from usage_daily where bucket >= $1 and bucket < $2 and role <> 'shadow' "
        "group by bucket order by bucket",
        "select date_trunc('day', created_at, 'UTC'), count(*), sum(cost) from usage_logs "
        "where created_at >= $1 and created_at < $2 and role <> 'shadow' group by 1 order by 1",
    ),
    (
        "cost by tenant and model",
        "select tenant_id, model, sum(calls), sum(cost) from usage_daily "
        "where bucket >= $1 and bucket < $2 and role <> 'shadow' group by 1, 2 order by 1, 2",
        "select tenant_id, model, count(*), sum(cost) from usage_logs "
        "where created_at >= $1 and created_at < $2 and role <> 'shadow' group by 1, 2 order by 1, 2",
    ),
    (
        "one tenant by hour and key",
        "select bucket, api_key_id, sum(calls), sum(cost) from usage_hourly where bucket >= $1 and bucket < $2 "
        "and tenant_id = 'tenant-7' and role <> 'shadow' group by 1, 2 order by 1, 2",
        "select date_trunc('hour', created_at, 'UTC'), api_key_id, count(*), sum(cost) from usage_logs "
        "where created_at >= $1 and created_at < $2 and tenant_id = 'tenant-7' and role <> 'shadow' "
        "group by 1, 2 order by 1, 2",
    ),
    (
        "one tenant by tag",
        "select tag, sum(calls), sum(cost) from usage_tags_hourly where bucket >= $1 and bucket < $2 "
        "and tenant_id = 'tenant-7' and role <> 'shadow' group by 1 order by 1",
        "select tag, count(*), sum(cost) from usage_logs cross join unnest(tags) as tagged (tag) "
        "where created_at >= $1 and created_at < $2 and tenant_id = 'tenant-7' and role <> 'shadow' "
        "group by 1 order by 1",
    ),
    (
        "the newest hundred rows of one tenant",
        "",
        "select * from usage_logs where created_at >= $1 and created_at < $2 and tenant_id = 'tenant-7' "
        "order by created_at desc, id desc limit 100",
    ),
)
"""A question, and how it is put to the sums and to the rows."""


def made(count: int, first: int, since: datetime, purses: int) -> Iterator[UsageRow]:
    """Rows ``first`` to ``first + count``, in the order of time, each paid from so many purses."""
    chance = random.Random(first)  # noqa: S311 -- numbers to count with, no secret
    step_us = 86_400_000_000 // ROWS_A_DAY
    for number in range(first, first + count):
        tenant, key, cost = chance.randrange(TENANTS), chance.randrange(KEYS), chance.randrange(10**9)
        at_us = int(since.timestamp()) * 1_000_000 + number * step_us
        yield UsageRow(
            id=f"{at_us:013x}-7abc-8def-{number:016x}",
            request_id=f"request-{number:016x}",
            at_us=at_us,
            tenant_id=f"tenant-{tenant}",
            api_key_id=f"key-{tenant}-{key}",
            user_id=None,
            model=chance.choice(MODELS),
            provider="openai",
            provider_model="gpt-4o-mini-2024-07-18",
            prompt_tokens=chance.randrange(4_000),
            completion_tokens=chance.randrange(1_000),
            cached_tokens=0,
            cache_write_tokens=0,
            reasoning_tokens=0,
            cost_picousd=cost,
            price_version="openai/gpt-4o-mini@2026-01-01",
            usage_source="told",
            outcome="ok",
            http_status=200,
            stream=True,
            latency_ms=chance.randrange(10_000),
            first_token_ms=chance.randrange(1_000),
            attempts=1,
            costs=Costs(input=cost // 3, output=cost - cost // 3),
            tags=(f"team={chance.randrange(8)}",) if chance.randrange(4) == 0 else (),
            charged=tuple(PURSES[(number * 7 + place) % len(PURSES)].name for place in range(purses)),
        )


async def lend(pool: asyncpg.Pool, log: Log, metrics: Metrics) -> None:
    """Makes the purses, as a host that spends from them does."""
    bank = PostgresBank(pool, log, metrics, patience_s=60.0)
    await bank.renew(HOST, [Ask(purse, 0, 0, 10, 1) for purse in PURSES])
    await bank.close()


def resident_mb(pid: int | None = None) -> float:
    """The memory of a process, without what it shares with files."""
    fields = Path(f"/proc/{pid or os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in fields if line.startswith("RssAnon")) / 1024


def processor_s(postmaster: int) -> float:
    """The processor time of a PostgreSQL: of its processes that live, and of those that it has seen end."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    ticks = 0
    for pid in (str(postmaster), *children):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(int(field) for field in fields[11 : 15 if pid == str(postmaster) else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


async def ship_all(total: int, home: Path, pool: asyncpg.Pool, since: datetime, server_pid: int, purses: int) -> float:
    """Ships ``total`` rows and returns the seconds that it took."""
    journal_dir = home / "journal"
    journal_dir.mkdir()
    prepare(home / "metrics")
    log = open_log(descriptor=2)
    shipped_s = 0.0
    with closing(Metrics(home / "metrics", "supervisor")) as metrics:
        if purses:
            await lend(pool, log, metrics)
        shipper = Shipper(journal_dir, pool, log, metrics, host=HOST)
        for first in range(0, total, CHUNK_ROWS):
            count = min(CHUNK_ROWS, total - first)
            with closing(Journal(journal_dir)) as journal:
                for row in made(count, first, since, purses):
                    journal.append(row)
            began, began_cpu, began_database = time.perf_counter(), time.process_time(), processor_s(server_pid)
            stored = await shipper.ship()
            took_s, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
            if stored != count:
                raise SystemExit(f"{count} rows were written, and {stored} arrived")
            shipped_s += took_s
            database_cpu = processor_s(server_pid) - began_database
            print(
                f"{first + count:>11,} rows  {count / took_s:>8,.0f} rows/s  processor time a row: shipper "
                f"{took_cpu / count * 1e6:4.1f} us, database {database_cpu / count * 1e6:4.1f} us; shipper holds "
                f"{resident_mb():5.1f} MB",
                flush=True,
            )
    return shipped_s


async def ask(pool: asyncpg.Pool, since: datetime) -> None:
    """Puts every dashboard's question to the sums and to the rows, and prints the median of what it took."""
    until = since + timedelta(days=3650)
    print(f"\n{'question':42} {'sums':>10} {'rows':>10}   answers")
    for name, of_sums, of_rows in DASHBOARDS:
        shown = []
        found = 0
        for query in (of_sums, of_rows):
            if not query:
                shown.append("")
                continue
            took_ms = []
            for _ in range(REPEATS if query == of_sums else 1):
                began = time.perf_counter()
                found = len(await pool.fetch(query, since, until))
                took_ms.append((time.perf_counter() - began) * 1e3)
            shown.append(f"{sorted(took_ms)[len(took_ms) // 2]:,.1f} ms")
        print(f"{name:42} {shown[0]:>10} {shown[1]:>10}   {found:,}")


async def check(pool: asyncpg.Pool, total: int) -> None:
    """Says whether the sums are those of the rows."""
    rows = await pool.fetchrow("select count(*), sum(cost) from usage_logs")
    for table in ("usage_hourly", "usage_daily"):
        sums = await pool.fetchrow(f"select sum(calls)::bigint, sum(cost), count(*) from {table}")  # noqa: S608 -- ours
        if rows is None or sums is None or tuple(rows) != tuple(sums)[:2] or rows[0] != total:
            raise SystemExit(f"{table} is not the sum of the rows")
        print(f"{table}: {sums[2]:,} lines, the sum of {total:,} rows to the pico-dollar")


async def measure(total: int, home: Path, dsn: str, server_pid: int, purses: int) -> None:
    """All of it."""
    days = total // ROWS_A_DAY + 1
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    await migrate(dsn)
    pool = await connect(dsn, application_name="bench", max_size=2, statement_timeout_s=600.0)
    async with pool.acquire() as connection:
        await partitions.ensure(connection, since, ahead_days=days)
    shipped_s = await ship_all(total, home, pool, since, server_pid, purses)
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{total:,} rows in {shipped_s:,.1f} s: {total / shipped_s:,.0f} rows/s, at most {most_mb:,.0f} MB resident"
    )
    await check(pool, total)
    size = await pool.fetchval(
        "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'usage_logs'::regclass"
    )
    print(f"usage_logs: {int(size) / total:,.0f} bytes a row with its indexes")
    await pool.execute("analyze usage_logs; analyze usage_hourly; analyze usage_daily; analyze usage_tags_hourly")
    await ask(pool, since)
    await pool.close()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--directory", help="where to work, with room for about 700 bytes a row; else a temporary one")
    parser.add_argument("--purses", type=int, default=0, choices=range(17), metavar="0…16")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tollway-ingestion-", dir=asked.directory))
    server = EmbeddedPostgres(home)
    try:
        dsn = server.start()
        if server.pid is not None:
            asyncio.run(measure(asked.rows, home, dsn, server.pid, asked.purses))
    finally:
        server.stop()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
