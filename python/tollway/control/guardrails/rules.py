"""What a policy may be called and may say, and how one is shown. Decisions only, no I/O."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from tollway.contract.guardrails import Direction, Policy
from tollway.contract.snapshot import Operation
from tollway.control import fields
from tollway.control.guardrails.queries import Bound, PolicyVersion
from tollway.control.policies import declared_policy, made_policy
from tollway.errors import Conflict, InvalidRequest
from tollway.settings import BadConfiguration, GuardrailSettings, Secret, Settings
from tollway.settings.units import duration, percent

MOST_FAULTS: Final = 10
"""Faults that a refusal names."""

LONGEST_TEXT_BYTES: Final = 256 << 10
"""Of what a policy is tried on, the JSON around it included."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TAKEN = "test"


class TestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trial: of a policy by its name, or of one that is written here; on a text, or on the body of a request."""

    __test__ = False

    policy: msgspec.Raw
    direction: Direction = "input"
    text: str | None = None
    request: msgspec.Raw = msgspec.Raw()
    operation: Operation = "chat"
    external: bool = False


class ShownPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in a list. ``input`` and ``output`` name its checks; the file's version is made of what it says."""

    name: str
    managed_by: Literal["file", "database"]
    version: int | str
    mode: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    created_at: datetime | None = None
    created_by: str | None = None


class FullPolicy(ShownPolicy, frozen=True, kw_only=True):
    """A policy by itself. ``policy`` is what it says, ``bound`` how many of the database it is bound to by name.

    One with ``faults`` is not understood by this gateway as it is configured: whoever it is for is refused.
    """

    policy: dict[str, object]
    bound: Bound
    is_active: bool = True
    faults: tuple[str, ...] = ()


def new_name(name: str, declared: Collection[str]) -> str:
    """The name of a policy that may be made or changed here.

    Raises:
        InvalidRequest: it is no name.
        Conflict: the configuration file declares a policy of this name.
    """
    refuse_declared(name, declared)
    if not _NAME.fullmatch(name):
        raise fields.refused("name", "must have 1 to 128 letters, digits, dots, hyphens and underscores.")
    if name == _TAKEN:
        raise fields.refused("name", f"{_TAKEN} is where policies are tried; choose another.")
    return name


def refuse_declared(name: str, declared: Collection[str]) -> None:
    """What the file declares is changed there.

    Raises:
        Conflict: the file declares this policy.
    """
    if name in declared:
        raise Conflict("This policy is managed by the configuration file; change it there.")


def checked_policy(name: str, body: bytes, settings: Settings) -> Policy:
    """A policy of the API as it would hold.

    Raises:
        InvalidRequest: it has faults; the message names the first of them, and where they are.
    """
    try:
        return made_policy(name, body, settings)
    except BadConfiguration as bad:
        more = len(bad.faults) - MOST_FAULTS
        said = [_line(fault.path, fault.message) for fault in bad.faults[:MOST_FAULTS]]
        told = "; ".join([*said, f"and {more} more"] if more > 0 else said)
        end = "" if told.endswith("?") else "."
        raise InvalidRequest(f"{told}{end}", param=bad.faults[0].path or None) from None


def faults_of(stored: PolicyVersion, settings: Settings) -> tuple[str, ...]:
    """Why a stored policy is not understood here; none if it is."""
    try:
        made_policy(stored.name, bytes(stored.policy), settings)
    except BadConfiguration as bad:
        return tuple(_line(fault.path, fault.message) for fault in bad.faults[:MOST_FAULTS])
    return ()


def listed(stored: Iterable[PolicyVersion], settings: Settings) -> list[ShownPolicy]:
    """All policies by name; where the file declares a name, that is the one that holds."""
    shown = [shown_declared(name, policy) for name, policy in settings.guardrails.items()]
    shown += [shown_stored(each) for each in stored if each.name not in settings.guardrails]
    return sorted(shown, key=lambda policy: policy.name)


def shown_declared(name: str, policy: GuardrailSettings) -> ShownPolicy:
    """A policy of the file, in a list."""
    policy_said = written(policy)
    return ShownPolicy(
        name=name,
        managed_by="file",
        version=declared_policy(name, policy).version,
        mode=policy.mode,
        input=_checks(policy_said.get("input")),
        output=_checks(policy_said.get("output")),
    )


def shown_stored(stored: PolicyVersion) -> ShownPolicy:
    """A policy of the database, in a list."""
    policy_said = said(stored)
    return ShownPolicy(
        name=stored.name,
        managed_by="database",
        version=stored.version,
        mode=str(policy_said.get("mode", "enforce")),
        input=_checks(policy_said.get("input")),
        output=_checks(policy_said.get("output")),
        created_at=stored.created_at,
        created_by=stored.created_by,
    )


def full_declared(name: str, policy: GuardrailSettings, bound: Bound) -> FullPolicy:
    """A policy of the file, by itself."""
    shown = msgspec.structs.asdict(shown_declared(name, policy))
    return FullPolicy(**shown, policy=written(policy), bound=bound)


def full_stored(stored: PolicyVersion, bound: Bound, faults: tuple[str, ...]) -> FullPolicy:
    """A policy of the database, by itself."""
    shown = msgspec.structs.asdict(shown_stored(stored))
    return FullPolicy(**shown, policy=said(stored), bound=bound, is_active=stored.is_active, faults=faults)


def said(stored: PolicyVersion) -> dict[str, object]:
    """What a stored policy says. Whatever else lies in the database says nothing."""
    value = msgspec.json.decode(stored.policy)
    return value if isinstance(value, dict) else {}


def written(policy: GuardrailSettings) -> dict[str, object]:
    """A policy of the file in the words of the file, without its secrets and without what need not be said."""
    return _written(policy)


def _written(struct: msgspec.Struct) -> dict[str, object]:
    config = type(struct).__struct_config__
    found: dict[str, object] = {config.tag_field: config.tag} if config.tag_field else {}
    for each in msgspec.structs.fields(struct):
        value = getattr(struct, each.name)
        made = each.default_factory
        if each.required or value != (each.default if made is msgspec.NODEFAULT else made()):
            found |= _field(each.name, each.encode_name, value)
    return found


def _field(name: str, encode_name: str, value: object) -> dict[str, object]:
    match value:
        case Secret():
            return {}
        case float() if name == "sample":
            return {encode_name: percent(value)}
        case float() if name == "timeout_s":
            return {encode_name: duration(value)}
        case tuple():
            return {encode_name: [_written(item) if isinstance(item, msgspec.Struct) else item for item in value]}
    return {encode_name: value}


def _checks(checks: object) -> tuple[str, ...]:
    found: Sequence[object] = checks if isinstance(checks, list) else ()
    return tuple(str(check.get("check")) for check in found if isinstance(check, dict))


def _line(path: str, message: str) -> str:
    return f"{path}: {message}" if path else f"The policy {message}"
