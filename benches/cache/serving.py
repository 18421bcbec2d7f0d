"""How fast an answer from the cache is served, beside a call that reaches its provider, measured with ``gwbench``.

    .venv/bin/python benches/cache/serving.py --gwbench target/gwbench

One worker on core 0, load and upstream on core 1; everything is on, as in ``benches/gateway.py``. The supervisor and
PostgreSQL are on the worker's core, or with ``--worker-alone`` on the load's. Calls with ``x-tollway-cache: off``,
calls that are looked up and miss, and exact hits take turns, so that a machine that is slower for a while is slower
for all of them. Prints the median of each, hits over calls, and what a look-up adds; and what the worker took of its
core for each call, which tells the same where others have the machine as well. A hit has no provider to be
subtracted: all that it takes is the gateway's. What of it is the server's, the loop's and the machine's is told by
``bare.py`` in turns with it: a route that answers by itself on the worker's core.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches.gateway import GATEWAY_CORE, LOAD_CORE, leave_alone, load, settings
from tests.fakes.gateway import Gateway, free_port

KINDS: Mapping[str, Sequence[str]] = {
    "off": ("--header", "x-tollway-cache: off"),
    "miss": ("--unique",),
    "exact": (),
}
RATE = "300"
"""Calls a second at which times are taken: no queue of calls hides what each takes."""


def number(text: str, name: str, field: str) -> float:
    """A figure of what gwbench prints: of the line ``name`` the ``field``."""
    found = re.search(rf"{name}.*?\b{field}=([0-9.]+)", text)
    if found is None:
        raise SystemExit(f"gwbench did not tell {name} {field}:\n{text}")
    return float(found[1])


def cpu_s(gateway: Gateway) -> float:
    """Seconds of a core that the worker has had."""
    (worker,) = gateway.workers()
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(name: str, kinds: Mapping[str, Sequence[float]], unit: str) -> str:
    """A line of medians."""
    medians = ", ".join(f"{kind} {statistics.median(values):,.0f}" for kind, values in kinds.items())
    return f"{name}: {medians} {unit}"


def measure(gwbench: str, gateway: Gateway, bare: str, rounds: int, seconds: str, more: Sequence[str]) -> None:
    """Takes turns, then prints. ``bare`` is the address of the route that answers by itself."""
    url = f"{gateway.base_url}/chat/completions"
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    totals: dict[str, list[float]] = {kind: [] for kind in KINDS}
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    added: dict[str, list[float]] = {kind: [] for kind in KINDS if kind != "exact"}
    floor = dict[str, list[float]](p50=[], p99=[], over_p50=[], over_p99=[])
    for _ in range(rounds):
        for kind, options in KINDS.items():
            before = cpu_s(gateway)
            fast = load(gwbench, url, "--seconds", seconds, "--warmup", "0", *more, *options)
            costs[kind].append((cpu_s(gateway) - before) * 1e6 / number(fast, "connections", "ok"))
            slow = load(gwbench, url, "--seconds", seconds, "--rate", RATE, *more, *options)
            rates[kind].append(number(fast, "connections", "rps"))
            totals[kind].append(number(slow, "total_us", "p99"))
            if kind in added:  # the upstream stamps its answers with the time; a kept one has an old stamp
                added[kind].append(number(slow, "added", "p99"))
        alone = load(gwbench, bare, "--seconds", seconds, "--rate", RATE)
        for which in ("p50", "p99"):
            floor[which].append(number(alone, "total_us", which))
            floor[f"over_{which}"].append(number(slow, "total_us", which) - floor[which][-1])
    ratios = [hit / call for hit, call in zip(rates["exact"], rates["off"], strict=True)]
    print(told("rate", rates, "a second"))
    print(f"exact over off: {statistics.median(ratios):.2f} (rounds: {', '.join(f'{each:.2f}' for each in ratios)})")
    print(told("the worker's own time", costs, "µs a call"))
    print(told(f"p99 at {RATE} a second, in all", totals, "µs"))
    print(told(f"a route that answers by itself, and what an exact hit takes more, at {RATE} a second", floor, "µs"))
    print(told(f"p99 at {RATE} a second, added to the provider's time", added, "µs"))


def main() -> None:
    """Runs them all, whole and streamed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gwbench", required=True, help="the built gwbench")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--semantic", action="store_true", help="with a semantic look-up behind the exact one")
    parser.add_argument("--worker-alone", action="store_true", help="supervisor and PostgreSQL on the load's core")
    options = parser.parse_args()
    port = free_port()
    upstream = subprocess.Popen(["taskset", "-c", LOAD_CORE, options.gwbench, "upstream", "--port", str(port)])
    bare_port = free_port()
    command = [sys.executable, "-m", "benches.cache.bare", str(bare_port)]
    bare = subprocess.Popen(["taskset", "-c", GATEWAY_CORE, *command], cwd=Path(__file__).parents[2])
    address = f"http://127.0.0.1:{bare_port}/v1/chat/completions"
    try:
        with tempfile.TemporaryDirectory() as directory:
            os.sched_setaffinity(0, {int(GATEWAY_CORE)})  # inherited by everything the gateway starts
            Path(directory).chmod(0o755)
            cache: dict[str, object] = {"exact": {"max_temperature": 2}, "semantic": {} if options.semantic else None}
            configured = {**settings(f"http://127.0.0.1:{port}/v1"), "cache": cache}
            with Gateway(configured, Path(directory)) as gateway:
                if options.worker_alone:
                    leave_alone(gateway)
                time.sleep(2)
                print("whole answers")
                measure(options.gwbench, gateway, address, options.rounds, options.seconds, ())
                print("streams of 50 chunks")
                measure(options.gwbench, gateway, address, options.rounds, options.seconds, ("--stream",))
    finally:
        for process in (upstream, bare):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
