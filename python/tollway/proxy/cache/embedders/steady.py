"""An embedder that holds nobody up: it answers within its time, or is left out for a while.

In: a text. Out: its vector, or :class:`~tollway.proxy.cache.port.EmbedderDown` after a second at most. After failures
in a row nobody waits any more: the question that finds out whether it is back is asked beside the calls.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from tollway.contract.keys import KeyRecord
from tollway.errors import GatewayError
from tollway.proxy.breaker import Breaker
from tollway.proxy.cache.embedders.source import NotThis, Source
from tollway.proxy.cache.port import EmbedderDown
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

PATIENCE_S = 1.0
"""A vector that takes longer is none."""

FAILURES = 2
"""So many in a row, and it is left out: each has cost somebody a second."""

LEFT_OUT_S = 5.0
"""So long; then one question tries."""

MOST_AT_ONCE = 32
"""Texts under way at one embedder of one worker; who comes then gets no vector."""

Result = Literal["answered", "failed", "late", "left_out", "busy"]


class Steady:
    """An embedder around a :class:`~.source.Source`. ``clock`` is in seconds and never goes back."""

    def __init__(
        self, source: Source, log: Log, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = source.name
        self._source = source
        self._log = log
        self._metrics = metrics
        self._breaker = Breaker(clock, failures=FAILURES, left_out_s=LEFT_OUT_S)
        self._under_way = 0
        self._probe: asyncio.Task[None] | None = None

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """The vector of ``text``.

        Raises:
            EmbedderDown: there is none; after :data:`PATIENCE_S` at most, and at once where it is left out.
        """
        if self._under_way >= MOST_AT_ONCE:
            self._metrics.embedded(self.name, "busy")
            raise EmbedderDown("busy")
        if not self._breaker.may_ask():
            self._metrics.embedded(self.name, "left_out")
            raise EmbedderDown("left out")
        if self._breaker.is_open:
            self._probe = asyncio.get_running_loop().create_task(self._try(text, record))
            self._metrics.embedded(self.name, "left_out")
            raise EmbedderDown("left out")
        return await self._ask(text, record)

    async def _try(self, text: str, record: KeyRecord) -> None:
        try:
            await self._ask(text, record)
        except EmbedderDown:  # as before
            return
        except Exception as error:  # noqa: BLE001 -- a task of its own, so nobody else would tell of a defect
            self._log.error("defect", error=error)

    async def _ask(self, text: str, record: KeyRecord) -> bytes:
        self._under_way += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                vector = await self._source.vector(text, record)
        except TimeoutError:
            raise self._failed("late", "timeout") from None
        except NotThis:
            self._answered("failed")
            raise
        except EmbedderDown as error:
            raise self._failed("failed", str(error)) from None
        except GatewayError as error:
            raise self._failed("failed", error.code) from None
        except BaseException:  # whoever asked has left, or this is a defect of ours, which is to be seen
            self._breaker.given_up()
            raise
        finally:
            self._under_way -= 1
        self._answered("answered")
        return vector

    def _answered(self, result: Result) -> None:
        if self._breaker.is_open:
            self._log.info("embedder_answers", embedder=self.name)
        self._breaker.answered()
        self._metrics.embedded(self.name, result)

    def _failed(self, result: Result, cause: str) -> EmbedderDown:
        was_open = self._breaker.is_open
        self._breaker.failed()
        self._metrics.embedded(self.name, result)
        if self._breaker.is_open and not was_open:
            self._log.warning("embedder_left_out", embedder=self.name, cause=cause)
        return EmbedderDown(cause)

    async def prepare(self) -> None:
        """Loads what takes long to load."""
        await self._source.prepare()

    async def close(self) -> None:
        """Ends it."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        await self._source.close()
