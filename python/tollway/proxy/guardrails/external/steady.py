"""An external check as station 3 and 7 see it: it decides within its time, whatever the other side does.

In: texts. Out: a judgement, always. Who can't be asked, does not answer in time, or answers nonsense is a finding of
its own (``unavailable``): recorded with ``on_error: open``, a block with ``closed``. Texts and answers are in no error
and in no log line.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from tollway.contract.guardrails import Direction, OnError
from tollway.errors import GatewayError
from tollway.proxy.breaker import Breaker
from tollway.proxy.guardrails.external.asking import Unanswered
from tollway.proxy.outside import UNAVAILABLE, Judgement, Remark
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

DECISION_S_MAX = 1.9
"""No decision takes longer, whatever the configuration says: with all that is around it, 2 s."""

MOST_AT_ONCE = 64
"""Questions of one check under way at one worker; others wait for their turn, within their time."""

Result = Literal["answered", "failed", "late", "left_out"]


class Judge(Protocol):
    """One way of asking somebody."""

    async def ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """What they say of the texts.

        Raises:
            Unanswered: nothing that can be used.
            GatewayError: they can't be reached, or broke off.
        """
        ...


class Steady:
    """A check around a :class:`Judge`; one per check of a policy. ``clock`` is in seconds and never goes back."""

    def __init__(
        self,
        name: str,
        judge: Judge,
        *,
        timeout_s: float,
        on_error: OnError,
        log: Log,
        metrics: Metrics,
        restore: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.restore = restore
        self._judge = judge
        self._timeout_s = min(timeout_s, DECISION_S_MAX)
        self._unavailable = Judgement(remarks=(Remark(UNAVAILABLE, "block" if on_error == "closed" else "flag"),))
        self._log = log
        self._metrics = metrics
        self._breaker = Breaker(clock)
        self._places: asyncio.Semaphore | None = None

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """As :class:`~tollway.proxy.outside.External` says. Without any text nobody is asked."""
        if not any(texts):
            return Judgement()
        if not self._breaker.may_ask():
            self._metrics.asked(self.name, "left_out")
            return self._unavailable
        try:
            judgement = await self._ask(texts, direction, tenant)
        except TimeoutError:
            return self._failed("late", "timeout")
        except Unanswered as error:
            return self._failed("failed", error.cause)
        except GatewayError as error:
            return self._failed("failed", error.code)
        except BaseException:  # whoever asked has left, or this is a defect of ours, which is to be seen
            self._breaker.given_up()
            raise
        if self._breaker.is_open:
            self._log.info("guardrail_check_answers", check=self.name)
        self._breaker.answered()
        self._metrics.asked(self.name, "answered")
        return judgement

    async def _ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        if self._places is None:  # a policy is compiled on a thread, where no loop runs
            self._places = asyncio.Semaphore(MOST_AT_ONCE)
        async with asyncio.timeout(self._timeout_s), self._places:
            return await self._judge.ask(texts, direction, tenant)

    def _failed(self, result: Result, cause: str) -> Judgement:
        was_open = self._breaker.is_open
        self._breaker.failed()
        self._metrics.asked(self.name, result)
        if self._breaker.is_open and not was_open:
            self._log.warning("guardrail_check_left_out", check=self.name, cause=cause)
        elif not was_open:
            self._log.warning("guardrail_check_failed", check=self.name, cause=cause)
        return self._unavailable
