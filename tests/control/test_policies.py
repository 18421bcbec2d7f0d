"""Policies as the data plane is told of them: of the file, of the API, and of both together."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tollway.contract.guardrails import (
    ContentCheck,
    InjectionCheck,
    ModerationCheck,
    PiiCheck,
    PresidioCheck,
    SecretsCheck,
    WebhookCheck,
)
from tollway.contract.snapshot import Snapshot
from tollway.control.billing.prices import PACKAGED, load_prices
from tollway.control.policies import PolicyBook, external_of, made_policy
from tollway.control.publish import publish
from tollway.settings import BadConfiguration, Settings, read
from tollway.storage.policies import StoredPolicies, StoredPolicy

CONFIG = """\
version: 1
providers: {mistral: {kind: mistral, api_key: "0123456789abcdef"}}
models: {moderation: {targets: [{provider: mistral, model: mistral-moderation-latest}], guardrails: every}}
guardrails:
  every:
    input:
      - {check: pii, entities: [email], action: redact, actions: {iban: block}, threshold: 0.6, restore: true}
      - {check: secrets, action: block, actions: {jwt: mask}}
      - {check: injection, action: flag, threshold: 0.9, where: [user]}
      - {check: content, action: hash, name: words, deny: [a], patterns: [b], topics: [drugs], allow: [d]}
      - {check: moderation, model: moderation, action: block, timeout: 1s}
      - {check: webhook, url: "https://dlp.test/a", secret: signing-secret-canary, on_error: open}
      - {check: presidio, url: "http://presidio.test", entities: [PERSON], action: mask, actions: {NRP: flag}}
    output:
      - {check: content, action: flag, json_schema: "{}"}
      - {check: webhook, url: "https://dlp.test/b"}
  watched: {mode: monitor, sample: 25%, on_block: refusal}
"""
SECRET = bytes(range(32))
PRICES = load_prices(PACKAGED)


@pytest.fixture(scope="module")
def loaded() -> Settings:
    return read(CONFIG, {})


@pytest.fixture(scope="module")
def declared(loaded: Settings) -> Snapshot:
    return publish(loaded, PRICES, 1)


def stored(**bodies: Any) -> StoredPolicies:
    """Policies of the API, each in its first version."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    policies = (StoredPolicy(name, 1, made, msgspec.json.encode(body)) for name, body in bodies.items())
    return StoredPolicies(SECRET, tuple(policies))


def test_every_check_of_the_file_reaches_the_data_plane(declared: Snapshot) -> None:
    every = declared.policies["every"]
    assert every.input == (
        PiiCheck({"email": "redact", "iban": "block"}, threshold=0.6, restore=True),
        SecretsCheck("block", {"jwt": "mask"}),
        InjectionCheck("flag", 0.9, ("user",)),
        ContentCheck("hash", "words", ("a",), ("b",), ("drugs",), ("d",)),
        ModerationCheck("block", "moderation", timeout_s=1.0),
        WebhookCheck("https://dlp.test/a", secret="signing-secret-canary", on_error="open"),
        PresidioCheck("http://presidio.test", {"PERSON": "mask", "NRP": "flag"}),
    )
    assert every.output == (ContentCheck("flag", json_schema="{}"), WebhookCheck("https://dlp.test/b"))
    assert declared.routes["moderation"].guardrails == "every"


def test_how_a_policy_is_applied_reaches_the_data_plane(declared: Snapshot) -> None:
    every, watched = declared.policies["every"], declared.policies["watched"]
    assert (every.mode, every.sample, every.on_block) == ("enforce", 1.0, "error")
    assert (watched.mode, watched.sample, watched.on_block) == ("monitor", 0.25, "refusal")


def test_no_representation_shows_what_webhooks_are_signed_with(loaded: Settings, declared: Snapshot) -> None:
    assert "canary" not in repr(declared)
    assert "canary" not in repr(external_of(loaded))


def test_stored_policies_stand_beside_those_of_the_file(loaded: Settings, declared: Snapshot) -> None:
    known = PolicyBook(declared, loaded).with_stored(stored(own={"output": [{"check": "pii", "action": "mask"}]}))
    assert known.policies.keys() == {"every", "watched", "own"}
    assert known.policies["own"].version == "1"
    assert known.policies["every"] == declared.policies["every"]
    assert (known.guardrail_secret, known.unreadable) == (SECRET, frozenset())


def test_a_stored_policy_never_takes_the_name_of_one_of_the_file(loaded: Settings, declared: Snapshot) -> None:
    known = PolicyBook(declared, loaded).with_stored(stored(every={}, watched={"check": "nonsense"}))
    assert known.policies == declared.policies
    assert known.unreadable == frozenset()


def test_what_was_stored_and_is_not_any_more_is_gone(loaded: Settings, declared: Snapshot) -> None:
    book = PolicyBook(declared, loaded)
    assert "own" in book.with_stored(stored(own={})).policies
    assert "own" not in book.with_stored(stored()).policies


def test_what_has_not_changed_is_the_same_object(loaded: Settings, declared: Snapshot) -> None:
    book = PolicyBook(declared, loaded)
    first, second = book.with_stored(stored(own={})), book.with_stored(stored(own={}, other={}))
    assert first.policies["own"] is second.policies["own"]


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"check": "clairvoyance"}]},
        {"input": [{"check": "webhook", "url": "https://gone.test"}]},
        {"input": [{"check": "presidio", "url": "http://gone.test", "entities": ["PERSON"], "action": "flag"}]},
        {"input": [{"check": "moderation", "model": "gone", "action": "flag"}]},
        [],
    ],
    ids=["newer", "webhook", "presidio", "model", "no policy"],
)
def test_a_stored_policy_that_is_not_understood_here_is_named(
    loaded: Settings, declared: Snapshot, body: object
) -> None:
    known = PolicyBook(declared, loaded).with_stored(stored(own=body, good={}))
    assert known.unreadable == {"own"}
    assert "own" not in known.policies
    assert "good" in known.policies


def test_while_nobody_knows_what_is_stored_those_who_name_no_policy_may_have_one(
    loaded: Settings, declared: Snapshot
) -> None:
    book = PolicyBook(declared, loaded)
    assert book.without_stored().is_partial
    assert book.without_stored().policies == declared.policies
    assert not book.with_stored(stored()).is_partial


def made(body: object, loaded: Settings) -> list[tuple[str, str]]:
    """What is wrong with a policy of the API."""
    with pytest.raises(BadConfiguration) as raised:
        made_policy("own", msgspec.json.encode(body), loaded)
    return [(fault.path, fault.message) for fault in raised.value.faults]


def test_a_webhook_of_the_api_is_signed_to_as_the_file_says(loaded: Settings) -> None:
    body = {"input": [{"check": "webhook", "url": "https://dlp.test/a", "name": "mine"}]}
    (check,) = made_policy("own", msgspec.json.encode(body), loaded).input
    assert check == WebhookCheck("https://dlp.test/a", name="mine", secret="signing-secret-canary")


@pytest.mark.parametrize(
    "url",
    ["https://dlp.test", "https://dlp.test/a/", "http://169.254.169.254/a", "http://presidio.test", "http://[::1]/"],
)
def test_the_api_can_send_texts_nowhere_that_the_file_does_not_name(loaded: Settings, url: str) -> None:
    ((path, why),) = made({"output": [{"check": "webhook", "url": url}]}, loaded)
    assert path == "output[0].url"
    assert "is not the address of any webhook check of the configuration file" in why


def test_the_api_stores_no_secret(loaded: Settings) -> None:
    check = {"check": "webhook", "url": "https://dlp.test/a", "secret": "0123456789abcdef"}
    ((path, why),) = made({"input": [check]}, loaded)
    assert path == "input[0].secret"
    assert "configuration file" in why
    assert "0123" not in why
