"""How fast an answer from the cache is served, beside a call that reaches its provider, measured with ``gwbench``.

    .venv/bin/python benches/cache/serving.py --gwbench target/gwbench

One worker on core 0, load and upstream on core 1; everything is on, as in ``benches/gateway.py``. The supervisor and
PostgreSQL are on the worker's core, or with ``--worker-alone`` on the load's. Calls with ``x-tollway-cache: off``,
calls that are looked up and miss, and exact hits take turns, so that a machine that is slower for a while is slower
for all of them. Prints the median of each, hits over calls, and what a look-up adds; and what the worker took of its
core for each call, which tells the same where others have the machine as well. A hit has no provider to be
subtracted: all that it takes is the gateway's.
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


def measure(gwbench: str, gateway: Gateway, rounds: int, seconds: str, more: Sequence[str]) -> None:
    """Takes turns, then prints."""
    url = f"{gateway.base_url}/chat/completions"
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    totals: dict[str, list[float]] = {kind: [] for kind in KINDS}
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    added: dict[str, list[float]] = {kind: [] for kind in KINDS if kind != "exact"}
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
    ratios = [hit / call for hit, call in zip(rates["exact"], rates["off"], strict=True)]
    print(told("rate", rates, "a second"))
    print(f"exact over off: {statistics.median(ratios):.2f} (rounds: {', '.join(f'{each:.2f}' for each in ratios)})")
    print(told("the worker's own time", costs, "µs a call"))
    print(told(f"p99 at {RATE} a second, in all", totals, "µs"))
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
                measure(options.gwbench, gateway, options.rounds, options.seconds, ())
                print("streams of 50 chunks")
                measure(options.gwbench, gateway, options.rounds, options.seconds, ("--stream",))
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    main()
