"""A policy tried on a text, for people: what its checks find, and what they make of it. Nothing is kept or counted.

In: a policy and a text, or the body of a request. Out: findings with their places, and what would pass. Checks that ask
somebody else are made only where that is asked for: they send the text away.
"""

import asyncio
from collections.abc import Iterator

import msgspec

from tollway._native import chat, guardrails
from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import NATIVE, Action, Direction, Policy
from tollway.contract.snapshot import Operation
from tollway.errors import InvalidRequest
from tollway.proxy.outside import External, Judgement, Monitored, OpenExternal

TENANT = ""
"""Whose digests and placeholders a trial shows: no tenant's, so that nobody can look up a value by trying."""

_PROMPT: Operation = "completions"
"""What a text is said as, so that it is a request."""


class Place(msgspec.Struct, frozen=True):
    """What a check found, and how often; of a text also from which character to before which, and how surely.

    External checks see what the native ones have left: their places are in that.
    """

    check: str
    kind: str
    action: Action
    count: int = 1
    start: int | None = None
    end: int | None = None
    confidence: float | None = None


class Tried(msgspec.Struct, frozen=True):
    """What came of it. ``passed`` is the text or the body as it would pass; nothing does where it ``is_blocked``."""

    is_blocked: bool
    places: tuple[Place, ...]
    passed: str | bytes


class Trying:
    """A policy in one direction, compiled for a trial. Making it may take milliseconds: for a thread.

    Raises:
        InvalidRequest: one of its native checks can't be made; the message says which and why.
    """

    def __init__(self, policy: Policy, secret: bytes, direction: Direction) -> None:
        try:
            self._native = guardrails.Policy(msgspec.json.encode(policy), secret)
        except ValueError as error:
            raise InvalidRequest(f"policy: {error}.", param="policy") from error
        self._direction = direction
        self._is_monitor = policy.mode == "monitor"
        checks = policy.input if direction == "input" else policy.output
        self._others = [check for check in checks if not isinstance(check, NATIVE)]

    @property
    def others(self) -> tuple[str, ...]:
        """The kinds of its checks that ask somebody else."""
        return tuple(dict.fromkeys(str(type(check).__struct_config__.tag) for check in self._others))

    def text(self, text: str) -> Tried:
        """What the native checks find in a text, and what they make of it."""
        passed, found = self._native.examine(text, self._direction, TENANT)
        places = tuple(
            msgspec.convert((check, kind, action, 1, start, end, confidence), _Place).place
            for check, kind, start, end, confidence, action in found
        )
        return Tried(any(place.action == "block" for place in places), places, passed)

    def request(self, operation: Operation, body: bytes) -> Tried:
        """What the native checks find in all texts of a request, and what they make of it.

        Raises:
            InvalidRequest: this is no request of the operation.
        """
        session = self._native.session(TENANT)
        try:
            asked = chat.read_request(body, operation)
        except chat.InvalidRequest as error:
            raise InvalidRequest(f"request: {error}", param="request") from None
        passed = session.request(asked)
        places = tuple(
            msgspec.convert((check, kind, action, count, None, None, None), _Place).place
            for _, check, kind, action, count in session.found()
        )
        return Tried(session.blocked is not None, places, passed.body)

    async def ask(self, tried: Tried, operation: Operation, open_external: OpenExternal) -> Tried:
        """What the external checks find in what the native ones have left, and what they make of it.

        Raises:
            InvalidRequest: one of them can't be made.
        """
        if tried.is_blocked or not self._others:
            return tried
        is_text = isinstance(tried.passed, str)
        session = self._native.session(TENANT)
        request = await asyncio.to_thread(_request, tried.passed, operation)
        texts = [text for _, text in await asyncio.to_thread(session.texts, request)]
        checks = self._opened(open_external)
        said = await asyncio.gather(*[check.judge(texts, self._direction, TENANT) for check in checks])
        edits = [
            (edit.text, edit.start, edit.end, check.name, edit.kind, edit.action, False)
            for check, judgement in zip(checks, said, strict=True)
            for edit in judgement.edits
        ]
        if edits:
            request = await asyncio.to_thread(session.edit, request, edits)
        places = tuple(_places(checks, said, is_text=is_text))
        is_blocked = any(place.action == "block" for place in places)
        return Tried(is_blocked, tried.places + places, _said(request) if is_text else request.body)

    def _opened(self, open_external: OpenExternal) -> list[External]:
        try:
            opened = [open_external(check) for check in self._others]
        except ValueError as error:
            raise InvalidRequest(f"policy: {error}.", param="policy") from error
        return [Monitored(check) for check in opened] if self._is_monitor else opened


class _Place(msgspec.Struct, array_like=True):
    check: str
    kind: str
    action: Action
    count: int
    start: int | None
    end: int | None
    confidence: float | None

    @property
    def place(self) -> Place:
        """The same, with names."""
        return Place(**msgspec.structs.asdict(self))


class _Prompt(msgspec.Struct):
    prompt: str
    model: str = "trial"


def _request(passed: str | bytes, operation: Operation) -> ChatRequest:
    if isinstance(passed, str):
        return chat.read_request(msgspec.json.encode(_Prompt(passed)), _PROMPT)
    return chat.read_request(passed, operation)


def _said(request: ChatRequest) -> str:
    return msgspec.json.decode(request.body, type=_Prompt).prompt


def _places(checks: list[External], said: list[Judgement], *, is_text: bool) -> Iterator[Place]:
    for check, judgement in zip(checks, said, strict=True):
        for edit in judgement.edits:
            start, end = (edit.start, edit.end) if is_text else (None, None)
            yield Place(check.name, edit.kind, edit.action, start=start, end=end)
        yield from (Place(check.name, remark.kind, remark.action) for remark in judgement.remarks)
