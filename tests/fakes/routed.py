"""Several scripted providers behind one alias: their part of a config, questions to ask, and what came of them."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
from tests.fakes.gateway import KEY, Gateway, plain
from tests.fakes.scripts import Script, completion, deltas, sse, whole
from tests.fakes.upstream import Chooser, FakeUpstream, Seen

PRICE = {"input_per_1m": 1000, "output_per_1m": 2000}
SECRET = "sk-upstream-canary-0123456789"
QUICK_BREAKER = {"consecutive": 3, "cooldown": "1s", "max_cooldown": "2s", "probes": 1, "slow_start": "0s"}
"""One that a test can wait for."""
NEVER_OPENS = {"consecutive": 1000, "failure_rate": "100%", "minimum_calls": 10_000}


def answering(text: str = "Hello there.", *, delay_s: float = 0.0) -> Chooser:
    """A provider that is well: a whole answer or a stream, as it is asked."""

    def choose(seen: Seen) -> Script:
        if seen.json.get("stream"):
            return sse(deltas(text), delay_s=delay_s)
        return whole(completion(text), delay_s=delay_s)

    return choose


def in_turn(*scripts: Script | Chooser) -> Chooser:
    """One script after the other, the last one from then on."""
    left, lock = list(scripts), threading.Lock()

    def choose(seen: Seen) -> Script:
        with lock:
            script = left.pop(0) if len(left) > 1 else left[0]
        return script if isinstance(script, Script) else script(seen)

    return choose


@contextmanager
def upstreams(*names: str) -> Iterator[dict[str, FakeUpstream]]:
    """Providers that are well, by name, until the block ends."""
    with ExitStack() as running:
        yield {name: running.enter_context(FakeUpstream(default=answering(f"I am {name}."))) for name in names}


def provider(upstream: FakeUpstream, **more: Any) -> dict[str, Any]:
    """A provider's part of the config."""
    given = more if "keys" in more else {"api_key": SECRET, **more}
    return {"kind": "openai", "base_url": upstream.base_url, **given}


def alias(*targets: str | tuple[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """A model that these may answer for, in this order unless a strategy says otherwise: ``provider/model``, with what
    else is said of it."""
    made: list[dict[str, Any]] = []
    for number, target in enumerate(targets, 1):
        name, said = (target, {}) if isinstance(target, str) else target
        at, _, model = name.partition("/")
        made.append({"provider": at, "model": model, "priority": number, **said})
    return {"strategy": "priority", "targets": made, "price": PRICE, **more}


def routed(dsn: str, running: Mapping[str, FakeUpstream], models: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A config with ``running`` as providers; ``breaker`` among ``changes`` is every provider's."""
    breaker = changes.pop("breaker", None)
    said = {} if breaker is None else {"breaker": breaker}
    providers = {name: provider(upstream, **said) for name, upstream in running.items()}
    return plain(dsn, **{"providers": providers, "models": dict(models), **changes})


def question(model: str, **fields: Any) -> dict[str, Any]:
    """A small chat request."""
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}


def ask(
    gateway: Gateway, model: str, *, key: str = KEY, headers: Mapping[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    """One call, and its answer read to the end."""
    given = {"authorization": f"Bearer {key}", **(headers or {})}
    return httpx2.post(
        f"{gateway.base_url}/chat/completions", json=question(model, **fields), headers=given, timeout=60
    )


async def ask_all(
    gateways: list[Gateway],
    model: str,
    count: int,
    *,
    at_once: int = 100,
    key: str = KEY,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> list[httpx2.Response]:
    """``count`` calls, so many at once, each gateway in its turn."""
    given, room = {"authorization": f"Bearer {key}", **(headers or {})}, asyncio.Semaphore(at_once)
    limits = httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx2.AsyncClient(headers=given, timeout=60, limits=limits) as client:

        async def one(number: int) -> httpx2.Response:
            async with room:
                url = f"{gateways[number % len(gateways)].base_url}/chat/completions"
                return await client.post(url, json=question(model, **fields))

        return await asyncio.gather(*(one(number) for number in range(count)))


def attempts(answer: httpx2.Response) -> int:
    """How many calls of providers the answer took, as it says itself."""
    return int(answer.headers["x-tollway-attempts"])


def status_of(gateway: Gateway, target: str) -> Mapping[str, Any]:
    """How a target stands, as ``/metrics`` tells it: the value of each family that has its name as a label."""
    found: dict[str, Any] = {}
    for line in gateway.metrics().splitlines():
        if f'target="{target}"' in line:
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


Wait = Callable[[Callable[[], Any], str], None]
