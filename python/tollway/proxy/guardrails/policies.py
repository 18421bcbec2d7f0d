"""The policies of a snapshot, compiled, and those of them that hold for one call."""

import random
from collections.abc import Callable
from typing import Literal

import msgspec

from tollway._native import guardrails
from tollway.contract.guardrails import NATIVE, Check, Policy
from tollway.contract.snapshot import Route, Snapshot
from tollway.errors import DependencyUnavailable, InternalError
from tollway.proxy.outside import External, Monitored, OpenExternal

DEFAULT_POLICY = "default"

_UNTOLD = "Guardrail policies can't be read at the moment, and there may be one for this call. Try again shortly."

MOST_JOINED = 1024
"""So many combinations of policies are kept; a caller's and a model's make one."""


class Compiled(msgspec.Struct, frozen=True):
    """One policy, ready for calls; or several as one, the first one's checks before the others'.

    ``is_strict``: the input must be seen, or the call is refused. Policies that differ in ``on_block`` make it an
    error.
    """

    native: guardrails.Policy
    input: tuple[External, ...]
    output: tuple[External, ...]
    is_strict: bool
    on_block: Literal["error", "refusal"]

    @property
    def inspects_input(self) -> bool:
        """Whether anybody looks at requests."""
        return self.native.inspects_input or bool(self.input)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is looked at."""
        return not (self.inspects_input or self.native.inspects_output or self.output)

    def beside(self, other: "Compiled") -> "Compiled":
        """Both."""
        return Compiled(
            self.native.beside(other.native),
            self.input + other.input,
            self.output + other.output,
            self.is_strict or other.is_strict,
            self.on_block if self.on_block == other.on_block else "error",
        )


class _Held(msgspec.Struct):
    """The policies of one snapshot: what they say and what was made of it; ``None``, of one that can't be used."""

    secret: bytes
    said: dict[str, Policy]
    compiled: dict[str, Compiled | None]
    routes: dict[str, tuple[str, ...]]
    """The policies of each alias that has any, its fallbacks' included."""
    joined: dict[tuple[str, ...], Compiled]
    is_partial: bool = False
    """Whether there may be policies that nobody has told of yet."""


class Policies:
    """Every policy, compiled. ``chance`` returns a number from 0 up to 1, by which calls are sampled."""

    def __init__(
        self,
        snapshot: Snapshot,
        open_external: OpenExternal,
        *,
        broken: Callable[[str, str], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._open = open_external
        self._broken = broken
        self._chance = chance
        self._held = _Held(b"", {}, {}, {}, {})
        self.follow(snapshot)

    def follow(self, snapshot: Snapshot) -> None:
        """The policies of another snapshot hold from now on. What did not change stays as it is; of one that can't be
        compiled the last good form holds. This takes its time: call it from a thread."""
        held = self._held
        compiled: dict[str, Compiled | None] = {}
        for name, policy in snapshot.policies.items():
            last = held.compiled.get(name)
            if last is not None and held.said.get(name) == policy and held.secret == snapshot.guardrail_secret:
                compiled[name] = last
                continue
            try:
                compiled[name] = self._compile(policy, snapshot.guardrail_secret)
            except ValueError as error:
                self._broken(name, str(error))
                compiled[name] = last
        compiled |= dict.fromkeys(snapshot.unreadable)
        routes = {alias: names for alias in snapshot.routes if (names := _of_route(snapshot.routes, alias))}
        said = dict(snapshot.policies)
        self._held = _Held(snapshot.guardrail_secret, said, compiled, routes, {}, snapshot.is_partial)

    def of(self, name: str | None, alias: str) -> Compiled | None:
        """What holds for a call: the caller's policy (``default`` where it names none), and the model's besides.
        ``None`` where nothing is looked at.

        Raises:
            DependencyUnavailable: a policy that may hold is not known yet.
            InternalError: a policy that should hold is not known.
        """
        held = self._held
        if name is None and (DEFAULT_POLICY in held.compiled or held.is_partial):
            name = DEFAULT_POLICY
        names = (() if name is None else (name,)) + held.routes.get(alias, ())
        if not names:
            return None
        holding = tuple(name for name in dict.fromkeys(names) if self._is_drawn(held, name))
        if not holding:
            return None
        joined = held.joined.get(holding)
        if joined is None:
            joined = _join(held, holding)
            if len(held.joined) >= MOST_JOINED:
                held.joined.clear()
            held.joined[holding] = joined
        return None if joined.is_idle else joined

    def _is_drawn(self, held: _Held, name: str) -> bool:
        """Whether a policy looks at this call: one that only watches may do so of a share of all."""
        policy = held.said.get(name)
        if held.compiled.get(name) is None or policy is None or policy.mode == "enforce" or policy.sample >= 1:
            return True
        return self._chance() < policy.sample

    def _compile(self, policy: Policy, secret: bytes) -> Compiled:
        is_monitor = policy.mode == "monitor"
        return Compiled(
            guardrails.Policy(msgspec.json.encode(policy), secret),
            self._opened(policy.input, is_monitor=is_monitor),
            self._opened(policy.output, is_monitor=is_monitor),
            bool(policy.input) and not is_monitor,
            policy.on_block,
        )

    def _opened(self, checks: tuple[Check, ...], *, is_monitor: bool) -> tuple[External, ...]:
        opened = [self._open(check) for check in checks if not isinstance(check, NATIVE)]
        return tuple(Monitored(check) for check in opened) if is_monitor else tuple(opened)


def _join(held: _Held, names: tuple[str, ...]) -> Compiled:
    joined: Compiled | None = None
    for name in names:
        compiled = held.compiled.get(name)
        if held.is_partial and name not in held.said:
            raise DependencyUnavailable(_UNTOLD, inside=f"stored policies are not known: {name!r}", retry_after_s=1.0)
        if compiled is None:  # closed: a policy that is gone must not let texts through unscreened
            raise InternalError("This call's guardrail policy is not known here.", inside=f"unknown policy {name!r}")
        joined = compiled if joined is None else joined.beside(compiled)
    if joined is None:
        raise ValueError("no policies to join")
    return joined


def _of_route(routes: dict[str, Route], alias: str) -> tuple[str, ...]:
    """The policies of an alias and of all that it may fall back to: where a call ends is not known beforehand."""
    names: dict[str, None] = {}
    seen, ahead = {alias}, [alias]
    while ahead:
        route = routes.get(ahead.pop(0))
        if route is None:
            continue
        if route.guardrails is not None:
            names[route.guardrails] = None
        for fallbacks in route.fallbacks.values():
            new = [fallback for fallback in fallbacks if fallback not in seen]
            seen.update(new)
            ahead.extend(new)
    return tuple(names)
