"""One worker process: the ASGI application on Granian, with uvloop.

Started by the supervisor, which writes the settings to its standard input and keeps that pipe open: when the
supervisor dies, the pipe ends, and the worker stops taking calls and finishes those it has. SIGTERM asks it to drain
(serve on, say "not ready", end when idle), SIGINT the same without a grace, SIGQUIT to end at once. SIGTERM may come
twice, from the supervisor and from a service manager that signals the whole group: the second must not cut calls.
"""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from tollway.app import Gateway, build
from tollway.charge import Charge, Places, read_charge
from tollway.telemetry.bridge import bridge
from tollway.telemetry.logs import open_log
from tollway.telemetry.metrics import Metrics

MAX_HEAD_BYTES = 4 * 1024 * 1024
"""Room for a request's head: a key of a megabyte must be answered with 401, not with a closed connection."""

BACKLOG = 2048
BACKPRESSURE = 65_536
"""Requests that one worker takes at once; open streams count."""

GRACE_S = 1.0
"""A draining worker listens at least this long, so that balancers see "not ready" before they see a closed port."""

LISTEN_S = 5.0
"""It listens no longer than this, though calls go on arriving: then only those under way are served to their end."""


SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter from the event loop (Python's default is ten times as long)."""


COLLECT_AFTER = (10_000, 20, 50)
"""Thresholds of the garbage collector (Python's default is 700, 10, 10): calls leave few cycles behind, and looking
for them costs 3 % at the default."""


class Drain:
    """How a worker ends. Each step is asked for from outside and never undone."""

    def __init__(self, gateway: Gateway, server: Server, drain_s: float) -> None:
        self._gateway = gateway
        self._server = server
        self._drain_s = drain_s
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    def begin(self, grace_s: float = GRACE_S) -> None:
        """Serve on until idle, for at most the configured time. Again: nothing more."""
        if self._task is not None:
            return
        self._gateway.health.draining = True
        self._task = asyncio.get_running_loop().create_task(self._run(grace_s))

    def hurry(self) -> None:
        """End now: calls under way are cut, and settled."""
        self.begin(grace_s=0.0)
        self._now.set()

    def orphaned(self) -> None:
        """The supervisor is dead: another one may start at any moment, so take no more calls, and finish these."""
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._server.stop()  # type: ignore[no-untyped-call]
        self.begin(grace_s=0.0)

    async def _run(self, grace_s: float) -> None:
        hurry = asyncio.create_task(self._now.wait())
        idle = asyncio.create_task(self._idle_after(grace_s))
        await asyncio.wait({hurry, idle}, timeout=self._drain_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        idle.cancel()
        self._gateway.in_flight.cancel_all()
        self._server.stop()  # type: ignore[no-untyped-call]

    async def _idle_after(self, grace_s: float) -> None:
        await asyncio.sleep(grace_s)
        try:
            async with asyncio.timeout(LISTEN_S):
                await self._gateway.in_flight.idle()
        except TimeoutError:
            self._server.stop()  # type: ignore[no-untyped-call]
            await self._gateway.in_flight.idle()


async def serve(charge: Charge) -> None:
    """Serves until told to end."""
    settings = charge.settings
    places = Places(Path(settings.storage.data_dir))
    metrics = Metrics(places.metrics, f"worker-{charge.index}")
    level = settings.telemetry.logs.level
    log = open_log(level, secrets=settings.secrets, on_drop=metrics.dropped_log_lines)
    gateway = await build(settings, charge.snapshot, charge.dsn, places, charge.host, charge.index, log, metrics)
    server = Server(
        gateway.asgi,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        log_enabled=False,
    )
    bridged = bridge(log, "warning" if level == "info" else level)
    drain = Drain(gateway, server, charge.drain_s)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, drain.begin)
    loop.add_signal_handler(signal.SIGQUIT, drain.hurry)
    loop.add_signal_handler(signal.SIGINT, lambda: drain.begin(grace_s=0.0))  # Ctrl-C: no balancer is waiting
    loop.add_reader(sys.stdin.fileno(), drain.orphaned)
    gateway.start()
    gc.freeze()  # what is there now stays: the collector need not walk it again
    gc.set_threshold(*COLLECT_AFTER)
    log.info("worker_started", worker=charge.index, pid=os.getpid())
    try:
        await server.serve()
    finally:
        await gateway.close()
        log.info("worker_ended", worker=charge.index, pid=os.getpid())
        bridged.close()
        log.close()


def main() -> None:
    """The process's entry point."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    charge = read_charge(sys.stdin.fileno())
    uvloop.run(serve(charge))


if __name__ == "__main__":
    main()
