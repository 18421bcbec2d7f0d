"""Active probes: a provider's server is asked how it is, though nobody calls.

In: what the snapshot says of probes. Out: what is told to the board, for each target of that server. One process of
the host asks, once an interval; what it is answered is thrown away, but for its status.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tollway._native.routing import Board, BreakerPolicy, Change
from tollway.contract.routing import Breaker, Probe
from tollway.contract.snapshot import ProviderAccess, Snapshot, Target
from tollway.errors import UpstreamError, UpstreamTimeout
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import Probed, Provider, Transport, UpstreamRequest
from tollway.telemetry.logs import Log

MOST_AT_ONCE = 16
"""Questions under way at one worker; others wait for their turn."""

READ_BYTES = 64 * 1024
"""Of an answer no more is read; its connection is cut then."""

LATER = 0.2
"""An interval is up to this part longer by chance, so that neither workers nor questions keep step. Never shorter: a
worker that asks too early is told that somebody has asked, and would let an interval pass."""

_REFUSED = frozenset({401, 403})
"""The key's fault, not the server's: another one is tried, where there is one."""


class Question(msgspec.Struct, frozen=True):
    """What is asked of one server, with any of its keys, and which targets its answer is about."""

    provider: str
    requests: tuple[UpstreamRequest, ...]
    every_s: float
    timeout_s: float
    targets: tuple[tuple[str, BreakerPolicy], ...]


class Prober:
    """One worker's probes. ``changed`` is told when a breaker opens or closes by one."""

    def __init__(
        self,
        questions: Sequence[Question],
        transport: Transport,
        board: Board,
        changed: Callable[[Change], None],
        log: Log,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._questions = questions
        self._transport = transport
        self._board = board
        self._changed = changed
        self._log = log
        self._clock_ms = clock_ms
        self._chance = chance
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self) -> None:
        """Asks, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for question in self._questions:
                group.create_task(self._repeat(question))

    async def _repeat(self, question: Question) -> None:
        was_well = True
        await asyncio.sleep(question.every_s * self._chance())
        while True:
            if self._board.claim(question.targets[0][0], round(question.every_s * 1000), self._clock_ms()):
                async with self._turns:
                    why = await self._ask(question)
                self._tell(question, is_well=why is None)
                if was_well and why is not None:
                    self._log.warning("probe_failed", provider=question.provider, cause=why)
                elif not was_well and why is None:
                    self._log.info("probe_answered", provider=question.provider)
                was_well = why is None
            await asyncio.sleep(question.every_s * (1 + LATER * self._chance()))

    def _tell(self, question: Question, *, is_well: bool) -> None:
        for name, policy in question.targets:
            change = self._board.probed(name, policy, is_well, self._clock_ms())
            if change is not None:
                self._changed(change)

    async def _ask(self, question: Question) -> str | None:
        """Why the server is not well; ``None`` when it is."""
        status = 0
        try:
            async with asyncio.timeout(question.timeout_s):
                for request in question.requests:
                    status = await self._status(request)
                    if status not in _REFUSED:
                        break
        except TimeoutError:
            return UpstreamTimeout.code
        except UpstreamError as error:
            return error.code
        return None if status < 400 else f"status {status}"

    async def _status(self, request: UpstreamRequest) -> int:
        answer = await self._transport.send(request)
        try:
            await _read(answer)
        finally:
            await answer.close()
        return answer.status


async def _read(answer: UpstreamAnswer) -> None:
    """To the end, so that the connection can be used again; a long answer, just in part."""
    read_bytes = 0
    while read_bytes <= READ_BYTES and (piece := await answer.piece()) is not None:
        read_bytes += len(piece)


def questions(
    snapshot: Snapshot,
    providers: Mapping[tuple[str, str], Provider],
    policy_of: Callable[[Breaker], BreakerPolicy],
) -> list[Question]:
    """What is to be asked: once a provider, whatever the number of its models and of their aliases."""
    asked: dict[tuple[str, Probe], list[Target]] = {}
    for target in _targets(snapshot):
        if target.probe is not None:
            asked.setdefault((target.provider.name, target.probe), []).append(target)
    found = []
    for (name, probe), targets in asked.items():
        accesses = [key.access for key in targets[0].keys] or [targets[0].provider]
        requests = tuple(_requests(accesses, probe, providers))
        if requests:
            named = tuple((target.name, policy_of(target.breaker)) for target in targets)
            found.append(Question(name, requests, probe.every_s, probe.timeout_s, named))
    return found


def _requests(
    accesses: Iterable[ProviderAccess], probe: Probe, providers: Mapping[tuple[str, str], Provider]
) -> Iterable[UpstreamRequest]:
    for access in accesses:
        provider = providers[access.name, access.key_name]
        if isinstance(provider, Probed) and (request := provider.probe(probe.path, probe.timeout_s)) is not None:
            yield request


def _targets(snapshot: Snapshot) -> Iterable[Target]:
    """Each that a call may be asked of, once, in the order of names."""
    found = {target.name: target for route in snapshot.routes.values() for target in route.targets}
    return [found[name] for name in sorted(found)]
