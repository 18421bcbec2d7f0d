"""The supervisor: the process behind ``tollway serve``. It runs workers and PostgreSQL and ships usage rows.

In: settings. Out: an exit code. It serves no request itself, so nothing it does can delay one. Order at the start:
lock the data directory, start PostgreSQL when it is ours, migrate, start workers. Order at the end: drain the
workers, ship what they wrote, stop PostgreSQL.
"""

import asyncio
import fcntl
import os
import random
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import asyncpg

from tollway._native.limits import Ledger, LedgerError
from tollway._native.purses import Purses
from tollway.charge import Charge, Places, encode_charge
from tollway.contract.snapshot import Snapshot
from tollway.ending import end
from tollway.settings import JournalSettings, Settings
from tollway.storage import partitions, rollups
from tollway.storage.embedded import EmbeddedPostgres, give_way
from tollway.storage.known_spend import sweep
from tollway.storage.migrate import MigrationRefused, migrate
from tollway.storage.pool import OUT_OF_REACH, connect
from tollway.storage.shipper import Shipper
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics, forget, prepare

SHIP_AT_END_S = 10.0
"""How long the last rows may take to reach PostgreSQL at the end; what is left is shipped by the next start."""

KILL_AFTER_S = 10.0
"""A worker that does not end this long after it was told twice is killed."""

PARTITIONS_EVERY_S = 3600.0
PARTITIONS_RETRY_S = 30.0
KEEPING_S = 900.0
"""How long one statement may take that makes partitions or sums: a server that is gone never says that it is."""

POSTGRES_EVERY_S = 1.0
RESPAWN_CAP_S = 5.0
STEADY_S = 10.0
"""A worker that lived this long is started again at once; one that did not waits, a little longer each time."""


_REFUSED: tuple[type[Exception], ...] = (*OUT_OF_REACH, asyncpg.PostgresError)


class CannotStart(Exception):
    """The gateway can't start; the message says why and what to do."""


class Supervisor:
    """One gateway on one host."""

    def __init__(
        self, settings: Settings, snapshot: Snapshot, log: Log, *, on_ready: Callable[[str], Coroutine[Any, Any, None]]
    ) -> None:
        self._settings = settings
        self._host = uuid.uuid4().hex
        self._snapshot = snapshot
        self._log = log
        self._on_ready = on_ready
        self._places = Places(Path(settings.storage.data_dir).absolute())
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._ending = asyncio.Event()
        self._signals = 0
        self._ask = signal.SIGTERM
        self._keeper: asyncpg.Connection[asyncpg.Record] | None = None

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT.

        Raises:
            CannotStart: something it needs is not there, is taken, or does not fit.
        """
        self._places.make()
        held = hold(self._places.lock)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        metrics = self._prepare_metrics()
        embedded = self._embedded()
        try:
            dsn = await asyncio.to_thread(embedded.start) if embedded else self._settings.storage.postgres.reveal()
            _check_port(self._settings.server.host, self._settings.server.port)
            await self._serve(dsn, metrics, embedded)
        finally:
            if embedded:
                await asyncio.to_thread(embedded.stop)
            metrics.close()
            held.close()

    def _prepare_metrics(self) -> Metrics:
        prepare(self._places.metrics)
        return Metrics(self._places.metrics, "supervisor")

    def _embedded(self) -> EmbeddedPostgres | None:
        if not self._settings.storage.is_embedded:
            return None
        return EmbeddedPostgres(
            self._places.data_dir, tell=lambda sentence: self._log.info("postgres", message=sentence)
        )

    async def _serve(self, dsn: str, metrics: Metrics, embedded: EmbeddedPostgres | None) -> None:
        migrated = await self._try_to_migrate(dsn)
        shipping = Shipping(self._places, dsn, self._settings.storage.journal, self._log, metrics)
        count = self._settings.server.worker_count
        self._discard_snapshots(0 if self._settings.storage.redis else count)
        tasks = [asyncio.create_task(self._keep_worker(index, dsn, metrics)) for index in range(count)]
        side = [
            asyncio.create_task(asyncio.to_thread(shipping.run)),
            asyncio.create_task(self._keep_schema(dsn, migrated=migrated)),
        ]
        if embedded is not None:
            side.append(asyncio.create_task(self._keep_postgres(embedded)))
        self._log.info(
            "gateway_started", workers=count, host=self._settings.server.host, port=self._settings.server.port
        )
        try:
            ready = asyncio.create_task(self._on_ready(dsn)) if migrated else None
            await asyncio.wait(
                [*tasks, *side, asyncio.create_task(self._ending.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            if ready is not None and not ready.done():
                ready.cancel()
            for task in [*tasks, *side]:
                if task.done():
                    task.result()  # a defect: end loudly rather than serve without it
        finally:
            await self._end(tasks)
            shipping.end()
            if self._keeper is not None:  # else its cancellation waits for the server to confirm it
                self._keeper.terminate()
            await asyncio.gather(side[0], end(side[1:]), return_exceptions=True)

    def _discard_snapshots(self, workers: int) -> None:
        """With Redis there are none to be read; and of a worker that is no more nobody would forget what is erased."""
        try:
            self._places.discard_snapshots(workers)
        except OSError as error:
            self._log.error("cache_snapshots_left", error=error)

    async def _try_to_migrate(self, dsn: str) -> bool:
        try:
            applied = await migrate(dsn)
        except MigrationRefused as error:
            raise CannotStart(str(error)) from error
        except OUT_OF_REACH as error:
            self._log.warning("database_unreachable", cause=type(error).__name__)
            return False
        for migration in applied:
            self._log.info("migrated", version=migration.version, name=migration.name)
        return True

    async def _keep_schema(self, dsn: str, *, migrated: bool) -> None:
        """Migrates as soon as the database can be reached; then keeps partitions ready ahead of time, and sweeps."""
        while not migrated:
            await asyncio.sleep(1.0)
            migrated = await self._try_to_migrate(dsn)
        while True:
            try:
                connection = await asyncpg.connect(dsn, timeout=5.0, command_timeout=KEEPING_S)
                self._keeper = connection
                try:
                    await partitions.ensure(connection, datetime.now(UTC))
                    dropped = await partitions.drop(connection, datetime.now(UTC), self._kept())
                    if dropped:
                        self._log.info("usage_dropped", partitions=dropped)
                    while (day := await rollups.catch_up(connection)) is not None:
                        self._log.info("usage_summed", day=day.isoformat())
                    await sweep(connection)
                finally:
                    self._keeper = None
                    await connection.close(timeout=2.0)
            except _REFUSED as error:  # rows go to the default partition meanwhile
                self._log.warning("partitions_wait", error=error)
                await asyncio.sleep(PARTITIONS_RETRY_S)
                continue
            await asyncio.sleep(PARTITIONS_EVERY_S)

    def _kept(self) -> dict[str, timedelta]:
        """How long the partitions of each table are kept; what is not named is kept for ever."""
        retention = self._settings.storage.retention
        kept = {
            "usage_logs": retention.usage_s,
            "usage_hourly": retention.hourly_s,
            "usage_tags_hourly": retention.hourly_s,
            "usage_daily": retention.daily_s,
        }
        return {table: timedelta(seconds=seconds) for table, seconds in kept.items() if seconds is not None}

    async def _keep_postgres(self, embedded: EmbeddedPostgres) -> None:
        """Starts our PostgreSQL again when it died; its address stays the same, so everyone finds it again.

        It ends only when no start is under way: whoever stops the server afterwards stops the last one.
        """
        while True:
            await asyncio.sleep(POSTGRES_EVERY_S)
            if embedded.is_alive:
                continue
            self._log.error("postgres_died")
            starting = asyncio.create_task(asyncio.to_thread(embedded.start))
            try:
                await asyncio.shield(starting)
            except asyncio.CancelledError:
                await asyncio.wait({starting})  # a thread can't be cancelled
                raise
            except Exception as error:  # noqa: BLE001 -- whatever it is, calls are served and rows wait in the journal
                self._log.error("postgres_does_not_start", error=error)

    async def _keep_worker(self, index: int, dsn: str, metrics: Metrics) -> None:
        """Runs one worker, again and again until the gateway ends."""
        failures = 0
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                process = await self._start_worker(index, dsn)
                code = await process.wait()
                del self._workers[index]
                if self._ending.is_set():
                    return
                failures = 0 if time.monotonic() - began > STEADY_S else failures + 1
                metrics.worker_restarted()
                self._log.error("worker_died", worker=index, pid=process.pid, exit_code=code, failures=failures)
                forget(self._places.metrics, f"worker-{index}")
            except Exception as error:  # noqa: BLE001 -- no process or no file to be had now: try on
                failures += 1
                left = self._workers.pop(index, None)
                if left is not None and left.returncode is None:
                    left.kill()
                self._log.error("worker_does_not_start", worker=index, error=error, failures=failures)
            if failures > 1:
                await self._pause(random.uniform(0.5, 1.0) * min(RESPAWN_CAP_S, 0.2 * 2 ** min(failures, 6)))  # noqa: S311 -- jitter

    async def _pause(self, seconds: float) -> None:
        """Waits, but not beyond the moment when the gateway is told to end."""
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _start_worker(self, index: int, dsn: str) -> asyncio.subprocess.Process:
        charge = encode_charge(
            Charge(index, self._settings, self._snapshot, dsn, self._settings.server.drain_s, self._host)
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tollway.worker", stdin=asyncio.subprocess.PIPE
        )
        self._workers[index] = process
        if self._ending.is_set():  # the others were told while this one was being made
            self._tell_workers(self._ask)
        assert process.stdin is not None  # noqa: S101 -- for the type checker: PIPE above
        process.stdin.write(charge)
        try:
            await process.stdin.drain()
        except ConnectionError:
            pass  # it died before it had read all: `wait` tells
        return process

    def _signalled(self, number: signal.Signals) -> None:
        self._signals += 1
        self._ask = number
        self._ending.set()
        if self._signals > 1:
            self._tell_workers(signal.SIGQUIT)

    def _tell_workers(self, number: signal.Signals) -> None:
        for process in tuple(self._workers.values()):
            try:
                process.send_signal(number)
            except ProcessLookupError:
                continue

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Drains the workers, within the configured time; then presses on."""
        self._ending.set()
        self._log.info("gateway_draining", seconds=self._settings.server.drain_s)
        self._tell_workers(self._ask)
        waiting = asyncio.gather(*tasks, return_exceptions=True)
        for patience_s, then in (
            (self._settings.server.drain_s + 2.0, signal.SIGQUIT),
            (KILL_AFTER_S, signal.SIGKILL),
            (KILL_AFTER_S, None),
        ):
            if self._signals > 1 and then is signal.SIGQUIT:
                patience_s = 0.0
            done, _ = await asyncio.wait([waiting], timeout=patience_s)
            if done:
                return
            if then is not None:
                self._tell_workers(then)


class Shipping:
    """The shipper on a thread of its own, which gives way to the workers wherever the system can be told so."""

    def __init__(self, places: Places, dsn: str, keeping: JournalSettings, log: Log, metrics: Metrics) -> None:
        self._places = places
        self._dsn = dsn
        self._keeping = keeping
        self._log = log
        self._metrics = metrics
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()

    def run(self) -> None:
        """Ships until :meth:`end`, then what is left, for a bounded time."""
        if sys.platform == "linux":  # where a priority can be a thread's own
            give_way(threading.get_native_id())
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._ship())

    def end(self) -> None:
        """From another thread: no more rows will come."""
        self._loop.call_soon_threadsafe(self._ending.set)

    async def _ship(self) -> None:
        pool = await connect(self._dsn, application_name="tollway shipper", max_size=2, statement_timeout_s=60.0)
        shipper = Shipper(
            self._places.journal,
            pool,
            self._log,
            self._metrics,
            max_bytes=self._keeping.max_bytes,
            sync_s=self._keeping.sync_s,
            host=self._host(),
        )
        working = asyncio.create_task(shipper.run())
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()  # a defect: the supervisor ends loudly rather than serve without shipping
        working.cancel()
        rest = asyncio.create_task(self._ship_rest(working, shipper))
        await asyncio.wait({rest}, timeout=SHIP_AT_END_S)
        pool.terminate()  # first: what is cancelled while it has a connection waits for the server to confirm it
        await end([rest])
        failure = TimeoutError() if rest.cancelled() else rest.exception()
        if isinstance(failure, OUT_OF_REACH):
            self._log.warning("usage_waits", cause=type(failure).__name__, until="the next start")
        elif failure is not None:
            raise failure

    @staticmethod
    async def _ship_rest(working: asyncio.Task[None], shipper: Shipper) -> None:
        await asyncio.gather(working, return_exceptions=True)
        await shipper.ship()

    def _host(self) -> str:
        """What the bank of budgets knows this host by: workers ask it by the same ledger."""
        try:
            ledger = Ledger(self._places.ledger)
            try:
                return Purses(ledger).host_id
            finally:
                ledger.close()
        except (LedgerError, OSError) as error:  # no worker can serve without it either
            self._log.error("ledger_unusable", error=error)
            return ""


def hold(path: Path) -> IO[str]:
    """Takes the data directory (its ``Places.lock``) for this process alone, until the returned file is closed.

    A killed gateway's lock is free again at once.

    Raises:
        CannotStart: another process has it.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CannotStart(
            f"Another gateway is using {path.parent.parent}. Stop it, or give this one its own directory: --data-dir."
        ) from None
    os.set_inheritable(file.fileno(), False)
    return file


def _check_port(host: str, port: int) -> None:
    """Workers share the port among themselves, so a stranger on it would go unnoticed: look before.

    Raises:
        CannotStart: the address is not of this machine, or something listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Can't listen on {host}:{port}: {error.strerror}. Choose another with --host and --port."
            ) from error
