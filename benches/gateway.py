"""Throughput and added latency of one worker on one core, measured from outside with ``gwbench``.

    rustc -O -o target/gwbench <path to>/gwbench.rs
    .venv/bin/python benches/gateway.py --gwbench target/gwbench

The worker runs on core 0, ``gwbench``'s upstream and load on core 1, with authentication, limits, the PII scan, usage
rows in PostgreSQL and metrics on. The supervisor and PostgreSQL share the worker's core, or with ``--worker-alone`` the
load's. Prints one line a measurement.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fakes.gateway import KEY, Gateway, config, free_port

GATEWAY_CORE, LOAD_CORE = "0", "1"


def settings(upstream_url: str) -> dict[str, object]:
    """Everything on, and nothing that would refuse a call."""
    price = {"input_per_1m": 0.15, "cached_input_per_1m": 0.075, "output_per_1m": 0.60}
    target = {"provider": "fake", "model": "gpt-4o-mini"}
    plenty = {"rpm": 900_000_000, "tpm": 900_000_000, "concurrency": 1_000_000}
    return config(
        "embedded",
        upstream_url,
        models={"gpt-4o-mini": {"targets": [target], "price": price}},
        tenants={"acme": {"keys": {"ci": {"key": KEY, "limits": plenty}}, "limits": plenty}},
        guardrails={"default": {"input": [{"check": "pii", "action": "redact"}]}},
    )


def leave_alone(gateway: Gateway) -> None:
    """Moves everything but the worker to the load's core: each thread of the supervisor and of its other children."""
    workers = set(gateway.workers())
    kept, found = [gateway.process.pid], list[int]()
    while kept:
        pid = kept.pop()
        found.append(pid)
        kept += [child for child in children_of(pid) if child not in workers]
    for pid in found:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {int(LOAD_CORE)})


def children_of(pid: int) -> list[int]:
    """The processes that ``pid`` started, by any of its threads."""
    listed = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
    return [int(child) for path in listed for child in path.read_text().split()]


def load(gwbench: str, url: str, *options: str) -> str:
    """One measurement; returns what gwbench prints."""
    command = ["taskset", "-c", LOAD_CORE, gwbench, "load", "--url", url, "--key", KEY, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


def main() -> None:
    """Runs them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gwbench", required=True, help="the built gwbench")
    parser.add_argument("--seconds", default="8")
    parser.add_argument("--worker-alone", action="store_true", help="supervisor and PostgreSQL on the load's core")
    options = parser.parse_args()
    port = free_port()
    upstream = subprocess.Popen(["taskset", "-c", LOAD_CORE, options.gwbench, "upstream", "--port", str(port)])
    try:
        with tempfile.TemporaryDirectory() as directory:
            os.sched_setaffinity(0, {int(GATEWAY_CORE)})  # inherited by everything the gateway starts
            Path(directory).chmod(0o755)
            with Gateway(settings(f"http://127.0.0.1:{port}/v1"), Path(directory)) as gateway:
                time.sleep(2)
                if options.worker_alone:
                    leave_alone(gateway)
                url = f"{gateway.base_url}/chat/completions"
                runs = {
                    "requests, 32 connections": (),
                    "requests at 300/s": ("--rate", "300"),
                    "requests at 500/s": ("--rate", "500"),
                    "streams of 50 chunks, 32 connections": ("--stream",),
                    "streams at 100/s": ("--stream", "--rate", "100"),
                }
                for label, more in runs.items():
                    print(load(options.gwbench, url, "--seconds", options.seconds, "--label", label, *more))
                time.sleep(2)
                print(f"usage rows: {len(gateway.rows())}")
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    main()
