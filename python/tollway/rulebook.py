"""The rulebook: the guardrail policies that hold in one worker, those of the file and those that people make.

In: what the file declares, and what the database has stored, whenever that changes. Out: a screener and a feed that
follow; and for people, what a policy makes of a text.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from tollway.contract.guardrails import Policy
from tollway.contract.snapshot import Snapshot
from tollway.control.guardrails.view import Examined, Finding, Trial
from tollway.control.policies import PolicyBook
from tollway.errors import InvalidRequest
from tollway.proxy.feed import Feed
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.guardrails.trial import Tried, Trying
from tollway.proxy.outside import OpenExternal
from tollway.settings import Settings
from tollway.storage.policies import PolicyChanges, StoredPolicies
from tollway.telemetry.logs import Log

MOST_NAMED = 20
"""Policies that one line of the log names."""


class Rulebook:
    """One worker's."""

    def __init__(
        self,
        settings: Settings,
        snapshot: Snapshot,
        screener: Screener,
        feed: Feed,
        open_external: OpenExternal,
        dsn: str,
        copy: Path,
        log: Log,
    ) -> None:
        self._open_external = open_external
        self._book = PolicyBook(snapshot, settings)
        self._known = snapshot
        self._screener = screener
        self._feed = feed
        self._log = log
        self._changes = PolicyChanges(dsn, self._stored, copy, log)

    async def learn(self) -> None:
        """Before anybody is served: no text may pass a policy that is there but not known yet."""
        if not await self._changes.learn():
            await self._hold(self._book.without_stored)

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._changes.follow()

    def policy(self, name: str) -> Policy | None:
        """The policy that holds under a name."""
        return self._known.policies.get(name)

    async def examine(self, policy: Policy, trial: Trial) -> Examined:
        """What a policy finds in a trial, and what it makes of it.

        Raises:
            InvalidRequest: the policy, or the request, can't be used.
        """
        trying, tried = await asyncio.to_thread(native_only, policy, self._known.guardrail_secret, trial)
        if not trial.external:
            return examined(tried, trying.others)
        return examined(await trying.ask(tried, trial.operation, self._open_external), ())

    async def _stored(self, stored: StoredPolicies) -> None:
        await self._hold(lambda: self._book.with_stored(stored))

    async def _hold(self, read: Callable[[], Snapshot]) -> None:
        """Policies are read and compiled on a thread; then one reference is swapped."""

        def taken() -> Snapshot:
            known = read()
            self._screener.follow(known)
            return known

        self._known = await asyncio.to_thread(taken)
        self._feed.follow(self._known)
        if self._known.is_partial:
            self._log.error("guardrails_unknown", policies=len(self._known.policies))
        else:
            self._log.info("guardrails_hold", policies=len(self._known.policies))
        if self._known.unreadable:
            some = sorted(self._known.unreadable)[:MOST_NAMED]
            self._log.error("guardrails_not_understood", policies=len(self._known.unreadable), some=some)


def native_only(policy: Policy, secret: bytes, trial: Trial) -> tuple[Trying, Tried]:
    """What the native checks of a policy find in a trial, and what they make of it. For a thread.

    Raises:
        InvalidRequest: the policy, or the request, can't be used.
    """
    trying = Trying(policy, secret, trial.direction)
    if trial.request is None:
        return trying, trying.text(trial.text or "")
    if trial.direction == "output":
        raise InvalidRequest("request: an answer is tried as a text.", param="request")
    return trying, trying.request(trial.operation, trial.request)


def examined(tried: Tried, skipped: tuple[str, ...]) -> Examined:
    """What came of a trial, as people see it."""
    passed = None if tried.is_blocked else tried.passed
    return Examined(
        blocked=tried.is_blocked,
        findings=tuple(Finding(**msgspec.structs.asdict(place)) for place in tried.places),
        text=passed if isinstance(passed, str) else None,
        request=msgspec.Raw(passed) if isinstance(passed, bytes) else None,
        skipped=skipped,
    )
