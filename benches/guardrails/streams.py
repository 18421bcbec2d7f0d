"""What screening a model's answer costs a stream: its rate, and the delay of its first event.

The relay of a worker is run in process, between a scripted provider and a client that takes everything, with a policy
that redacts and without one by turns; an event a piece. Network and server are left out, which cost as much again: a
real gateway's ratio is nearer to 1.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from tests.proxy import edge
from tests.proxy.edge import Answer, Client, called, dispatched

from tollway._native.guardrails import Policy
from tollway._native.sse import Relay
from tollway.proxy.guard import Guard

PIECES, STREAMS, ROUNDS = 50, 60, 15
WORDS = (
    "The aqueducts of Rome carried water over long distances by gravity alone, and many of them still stand. ".split()
)
ACTIONS = ("email", "phone", "credit_card", "iban", "us_ssn", "ip")
BAR_RATIO, BAR_DELAY_MS = 0.8, 1.0


def policy() -> Policy:
    """Everything that a default policy looks for is redacted."""
    check = {"check": "pii", "actions": dict.fromkeys(ACTIONS, "redact")}
    return Policy(msgspec.json.encode({"name": "p", "version": "1", "input": [], "output": [check]}), b"secret")


def events() -> list[bytes]:
    """A chat's stream: 50 pieces of prose."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    words = [f"{WORDS[at % len(WORDS)]} {WORDS[(at * 7) % len(WORDS)]} " for at in range(PIECES)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


async def run(script: Sequence[bytes], guarded: Policy | None) -> float:
    """Processor time of so many streams, in seconds."""
    begun = time.process_time()
    for _ in range(STREAMS):
        call = called(Answer(*script, content_type="text/event-stream"), stream=True, client=Client())
        if guarded is not None:
            guard = Guard(guarded.session("acme"), "acme", inspects_output=True)
            call = msgspec.structs.replace(call, guard=guard)
        await edge.relayed(call, dispatched())
    return time.process_time() - begun


async def ratio() -> tuple[float, float, float]:
    """Streams per second of processor time without and with redaction, and the median of the ratios of each round."""
    script, compiled = events(), policy()
    await run(script, None)
    await run(script, compiled)
    rounds = [(await run(script, None), await run(script, compiled)) for _ in range(ROUNDS)]
    plain, screened = (statistics.median(times) for times in zip(*rounds, strict=True))
    return STREAMS / plain, STREAMS / screened, statistics.median(one / other for one, other in rounds)


def fed(make: Callable[[], Relay], script: Sequence[bytes]) -> float:
    """Processor time for the events up to the first that says something, in milliseconds: the median of many."""
    times = []
    for _ in range(2_000):
        relay = make()
        begun = time.process_time_ns()
        for piece in script[:2]:
            relay.feed(piece)
        times.append((time.process_time_ns() - begun) / 1e6)
    return statistics.median(times)


def report(data: Path) -> str:
    """The section of ``make bench-guardrails``; needs nothing of ``data``."""
    del data
    plain, screened, share = asyncio.run(ratio())
    script, compiled = events(), policy()
    without = fed(lambda: Relay(True), script)
    delay = fed(lambda: Relay(True, guard=compiled.session("acme")), script) - without
    rows = [
        ("streams of 50 events, per second of processor time, without screening", f"{plain:,.0f}", ""),
        ("the same with output redaction", f"{screened:,.0f}", ""),
        ("ratio", f"{share:.2f}", f"≥ {BAR_RATIO}"),
        ("added delay of the first event that says something", f"{delay:.4f} ms", f"≤ {BAR_DELAY_MS} ms"),
    ]
    lines = [f"| {what} | {value} | {bar} |" for what, value, bar in rows]
    return "\n".join(["### Streams", "", "| measurement | value | bar |", "|---|---|---|", *lines, ""])


if __name__ == "__main__":
    print(report(Path()))
