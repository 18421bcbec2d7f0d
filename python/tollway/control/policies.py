"""Guardrail policies: those of the file and those that the API has stored become what the data plane is told.

Both are written in the same words. What is stored names no address and no secret that the file does not name: an
external check of the API asks where the operator's own file asks. It decides and does no I/O.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import get_args

import msgspec

from tollway.contract.guardrails import (
    Action,
    Check,
    ContentCheck,
    InjectionCheck,
    ModerationCheck,
    PiiCheck,
    Policy,
    PresidioCheck,
    SecretsCheck,
    WebhookCheck,
)
from tollway.contract.snapshot import Snapshot
from tollway.settings import (
    BadConfiguration,
    CheckSettings,
    ContentCheckSettings,
    Entity,
    Fault,
    GuardrailSettings,
    InjectionCheckSettings,
    ModerationCheckSettings,
    PiiCheckSettings,
    PresidioCheckSettings,
    SecretsCheckSettings,
    Settings,
    WebhookCheckSettings,
    read_policy,
)
from tollway.storage.policies import StoredPolicies, StoredPolicy


class External(msgspec.Struct, frozen=True):
    """The addresses that the file's policies ask: of webhooks, with what signs to them, and of Presidio."""

    webhooks: Mapping[str, str | None]
    presidio: frozenset[str]

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"External(webhooks={sorted(self.webhooks)!r}, presidio={sorted(self.presidio)!r})"


class PolicyBook:
    """What holds: a snapshot's own policies, and those that are stored beside them."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._declared = snapshot
        self._settings = settings
        self._read: dict[StoredPolicy, Policy | None] = {}

    def with_stored(self, stored: StoredPolicies) -> Snapshot:
        """The snapshot with the stored policies; the file's come first where both have a name.

        A stored policy that is not understood here is ``unreadable``: a newer gateway's, or one that asks an address
        that the file does not name any more. What has not changed is not read again.
        """
        theirs = [each for each in stored.policies if each.name not in self._settings.guardrails]
        self._read = {each: self._read[each] if each in self._read else self._understood(each) for each in theirs}
        made = {each.name: policy for each, policy in self._read.items() if policy is not None}
        return msgspec.structs.replace(
            self._declared,
            policies={**self._declared.policies, **made},
            unreadable=frozenset(each.name for each, policy in self._read.items() if policy is None),
            guardrail_secret=stored.secret,
        )

    def without_stored(self) -> Snapshot:
        """The snapshot while nobody knows what is stored. Digests are of this process alone: nobody can guess them."""
        return msgspec.structs.replace(self._declared, is_partial=True, guardrail_secret=secrets.token_bytes(32))

    def _understood(self, stored: StoredPolicy) -> Policy | None:
        try:
            return made_policy(stored.name, stored.body, self._settings, str(stored.version))
        except BadConfiguration:
            return None


def declared_policy(name: str, policy: GuardrailSettings) -> Policy:
    """A policy of the file. Its version is 12 hex digits that are others when it says something else."""
    return versioned(_policy(name, policy))


def versioned(policy: Policy) -> Policy:
    """The policy with a version that is made of what it says."""
    said = msgspec.json.encode(msgspec.structs.replace(policy, version=""))
    return msgspec.structs.replace(policy, version=hashlib.sha256(said).hexdigest()[:12])


def external_of(settings: Settings) -> External:
    """Whom the file's policies ask; the first that names an address says how it is signed to."""
    webhooks: dict[str, str | None] = {}
    presidio: set[str] = set()
    for policy in settings.guardrails.values():
        for check in (*policy.input, *policy.output):
            if isinstance(check, WebhookCheckSettings):
                webhooks.setdefault(check.url, check.secret.reveal() if check.secret else None)
            elif isinstance(check, PresidioCheckSettings):
                presidio.add(check.url)
    return External(webhooks, frozenset(presidio))


def made_policy(name: str, body: bytes, settings: Settings, version: str = "") -> Policy:
    """A policy of the API: JSON in the words of the file.

    Raises:
        BadConfiguration: it has faults, or asks an address that no policy of the file asks.
    """
    found = read_policy(body, settings)
    external = external_of(settings)
    if faults := list(_faults(found, external)):
        raise BadConfiguration(name, faults)
    policy = _policy(name, found)
    return msgspec.structs.replace(
        policy,
        version=version,
        input=tuple(_signed(check, external) for check in policy.input),
        output=tuple(_signed(check, external) for check in policy.output),
    )


def _faults(policy: GuardrailSettings, external: External) -> Iterable[Fault]:
    """What a file may say and the API may not."""
    for direction, checks in (("input", policy.input), ("output", policy.output)):
        for at, check in enumerate(checks):
            path = f"{direction}[{at}]"
            match check:
                case WebhookCheckSettings():
                    if check.secret is not None:
                        yield Fault(f"{path}.secret", 1, 1, "belongs into the configuration file; leave it out here")
                    if check.url not in external.webhooks:
                        yield Fault(f"{path}.url", 1, 1, _unasked("webhook"))
                case PresidioCheckSettings() if check.url not in external.presidio:
                    yield Fault(f"{path}.url", 1, 1, _unasked("presidio"))


def _unasked(kind: str) -> str:
    return (
        f"is not the address of any {kind} check of the configuration file; a policy there that names it, bound to "
        "nobody, is enough"
    )


def _signed(check: Check, external: External) -> Check:
    if isinstance(check, WebhookCheck):
        return msgspec.structs.replace(check, secret=external.webhooks.get(check.url))
    return check


def _policy(name: str, policy: GuardrailSettings) -> Policy:
    return Policy(
        name=name,
        version="",
        input=tuple(_check(check) for check in policy.input),
        output=tuple(_check(check) for check in policy.output),
        mode=policy.mode,
        sample=1.0 if policy.sample is None else policy.sample,
        on_block=policy.on_block,
    )


def _check(check: CheckSettings) -> Check:
    match check:
        case PiiCheckSettings():
            looked_for = get_args(Entity) if check.entities is None else check.entities
            return PiiCheck(_by_kind(looked_for, check), check.threshold, check.restore)
        case SecretsCheckSettings():
            return SecretsCheck(check.action, dict(check.actions), check.threshold, check.restore)
        case InjectionCheckSettings():
            return InjectionCheck(check.action, check.threshold, check.where)
        case ContentCheckSettings():
            return ContentCheck(**msgspec.structs.asdict(check))
        case ModerationCheckSettings():
            return ModerationCheck(**msgspec.structs.asdict(check))
        case WebhookCheckSettings():
            secret = check.secret.reveal() if check.secret else None
            return WebhookCheck(**(msgspec.structs.asdict(check) | {"secret": secret}))
    return PresidioCheck(
        url=check.url,
        actions=_by_kind(check.entities, check),
        language=check.language,
        threshold=check.threshold,
        restore=check.restore,
        timeout_s=check.timeout_s,
        on_error=check.on_error,
    )


def _by_kind(looked_for: Iterable[str], check: PiiCheckSettings | PresidioCheckSettings) -> dict[str, Action]:
    actions: dict[str, Action] = dict.fromkeys(looked_for, check.action)
    for kind, action in check.actions.items():
        actions[kind] = action
    return actions
