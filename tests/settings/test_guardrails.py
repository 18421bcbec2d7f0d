"""The words of ``guardrails``, in the file and in the API: what they become, and every fault with its place."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.settings.marked import only_fault

from tollway.contract import guardrails as contract
from tollway.contract.snapshot import OPERATIONS
from tollway.settings import (
    BadConfiguration,
    ContentCheckSettings,
    GuardrailSettings,
    InjectionCheckSettings,
    ModerationCheckSettings,
    PiiCheckSettings,
    PresidioCheckSettings,
    Secret,
    SecretsCheckSettings,
    Settings,
    WebhookCheckSettings,
    decode,
    encode,
    read,
    read_policy,
)
from tollway.settings.guardrail_checks import MODERATING
from tollway.settings.guardrails import Action, OnError

BASE = """\
version: 1
providers: {mistral: {kind: mistral, api_key: "0123456789abcdef"}, sim: {kind: simulator}}
models:
  moderation: {targets: [{provider: mistral, model: mistral-moderation-latest}]}
  plain: {targets: [{provider: sim, model: plain}]}
guardrails:
  g:
"""
LARGE = ", ".join(rf"'\w{{60}}{number}'" for number in range(4))
"""Patterns each of which may be, but not all of them in one check."""
LOADED = read(BASE.replace("  g:\n", "  g: {}\n"), {})


def policy(text: str) -> GuardrailSettings:
    loaded = read(f"{BASE}    {text}\n", {"SIGNING": "0123456789abcdef"})
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"
    return loaded.guardrails["g"]


def checked(check: str) -> object:
    (found,) = policy(f"input: [{check}]").input
    return found


def fault(text: str) -> tuple[str, str]:
    path, message = only_fault(f"{BASE}    {text}\n")
    return path.removeprefix("guardrails.g."), message


def faults_of(body: object, known: Settings = LOADED) -> list[tuple[str, str]]:
    with pytest.raises(BadConfiguration) as raised:
        read_policy(msgspec.json.encode(body), known)
    return [(found.path, found.message) for found in raised.value.faults]


def test_a_policy_that_says_nothing_checks_nothing() -> None:
    assert LOADED.guardrails["g"] == GuardrailSettings()
    assert GuardrailSettings().mode == "enforce"


def test_personal_data_is_all_there_is_of_it_unless_given() -> None:
    assert checked("{check: pii, action: mask}") == PiiCheckSettings(action="mask")
    text = (
        "{check: pii, entities: [email], action: redact, actions: {credit_card: block}, threshold: 0.75, restore: true}"
    )
    assert checked(text) == PiiCheckSettings(
        action="redact", entities=("email",), actions={"credit_card": "block"}, threshold=0.75, restore=True
    )


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (
            "{check: secrets, action: block, actions: {jwt: redact}, threshold: 1}",
            SecretsCheckSettings(action="block", actions={"jwt": "redact"}, threshold=1.0),
        ),
        (
            "{check: injection, threshold: 0.9, action: block, where: [tool]}",
            InjectionCheckSettings(action="block", threshold=0.9, where=("tool",)),
        ),
        (
            "{check: content, name: words, deny: [a b], patterns: ['x+'], topics: [drugs], allow: [ab], action: hash}",
            ContentCheckSettings(
                action="hash", name="words", deny=("a b",), patterns=("x+",), topics=("drugs",), allow=("ab",)
            ),
        ),
        (
            "{check: content, languages: [en, de], max_characters: 10, action: flag}",
            ContentCheckSettings(action="flag", languages=("en", "de"), max_characters=10),
        ),
        (
            "{check: moderation, model: moderation, action: flag, categories: [hate/threatening], on_error: open}",
            ModerationCheckSettings(
                action="flag", model="moderation", categories=("hate/threatening",), on_error="open"
            ),
        ),
        (
            "{check: webhook, url: 'https://dlp.test/x', secret: '${SIGNING}', timeout: 250ms}",
            WebhookCheckSettings(url="https://dlp.test/x", secret=Secret("0123456789abcdef"), timeout_s=0.25),
        ),
        (
            "{check: presidio, url: 'http://10.0.0.1:5002', entities: [PERSON], action: redact, actions: {NRP: flag}}",
            PresidioCheckSettings(
                url="http://10.0.0.1:5002", action="redact", entities=("PERSON",), actions={"NRP": "flag"}
            ),
        ),
    ],
)
def test_every_check_is_read(text: str, check: object) -> None:
    assert checked(text) == check


def test_a_policy_watches_a_part_of_the_calls() -> None:
    assert policy("{mode: monitor, sample: 10%, on_block: refusal}") == GuardrailSettings(
        mode="monitor", sample=0.1, on_block="refusal"
    )


def test_the_secret_of_a_webhook_is_kept_out_of_the_log() -> None:
    loaded = read(
        BASE + "    output: [{check: webhook, url: 'https://dlp.test', secret: '${SIGNING}'}]\n",
        {"SIGNING": "signing-secret-canary"},
    )
    assert "signing-secret-canary" in loaded.secrets
    assert "canary" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("input: [§{action: block}]", "input[0]", '"check" is missing: one of pii, secrets, injection, content,'),
        ("input: [{check: §secret, action: block}]", "input[0].check", 'did you mean "secrets"?'),
        ("input: [§pii]", "input[0]", "should be a mapping"),
        ("input: [{check: secrets, action: block, §entities: [jwt]}]", "input[0].entities", "there is no such key"),
        ("input: [{check: injection, action: §redact}]", "input[0].action", "should be one of block, flag"),
        ("input: [{check: pii, action: block, threshold: §1.5}]", "input[0].threshold", "out of range: from 0 to 1"),
        ("input: [{check: pii, action: block, threshold: §50%}]", "input[0].threshold", "a number from 0 to 1"),
        (
            "input: [{check: pii, action: block, actions: {§emial: flag}}]",
            "input[0].actions.emial",
            'should be one of 92 words; did you mean "email"?',
        ),
        ("{mode: enforce, sample: §10%}", "sample", "belongs to the mode monitor alone"),
        ("{sample: §10%}", "sample", "belongs to the mode monitor alone"),
        ("{mode: monitor, sample: §0.1}", "sample", "percent sign"),
        ("output: [{check: pii, action: redact, restore: §true}]", "output[0].restore", "belongs to input"),
        ("input: [{check: pii, action: mask, restore: §true}]", "input[0].restore", "goes with the action redact"),
        ("input: [{check: secrets, action: hash, restore: §true}]", "input[0].restore", "goes with the action redact"),
        ("output: [{check: §injection, action: block}]", "output[0].check", "belongs to input"),
        ("input: [§{check: content, action: block}]", "input[0]", "looks for nothing"),
        ("input: [{check: content, action: block, allow: §[a]}]", "input[0].allow", "goes with deny, patterns or"),
        (
            "input: [{check: content, action: §redact, max_characters: 5}]",
            "input[0].action",
            "redact is for parts of a text: what max_characters finds",
        ),
        ("input: [{check: content, action: flag, languages: [§eng]}]", "input[0].languages[0]", "should match"),
        ("input: [{check: content, action: flag, json_schema: §'{}'}]", "input[0].json_schema", "belongs to output"),
        ("output: [{check: content, action: flag, json_schema: §'{x'}]", "output[0].json_schema", "is not JSON"),
        (
            "input: [{check: secrets, action: block, actions: {jwtt: §flag}}]",
            "input[0].actions.jwtt",
            'there is no kind of secret "jwtt"; did you mean "jwt"?',
        ),
        (
            "input: [{check: content, action: flag, topics: [drugs, §weapon]}]",
            "input[0].topics[1]",
            'there is no topic "weapon"; did you mean "weapons"?',
        ),
        ("input: [{check: content, action: flag, languages: [§qq]}]", "input[0].languages[0]", "there is no language"),
        ("input: [{check: content, action: flag, patterns: ['ok', §'(a']}]", "input[0].patterns[1]", "unclosed group"),
        (
            f"input: [{{check: content, action: flag, patterns: §[{LARGE}]}}]",
            "input[0].patterns",
            "the patterns together: too large when compiled",
        ),
        ("input: [{check: content, action: flag, deny: [a, §' ']}]", "input[0].deny[1]", "is empty"),
        ("input: [{check: content, action: flag, deny: [a], allow: [§' ']}]", "input[0].allow[0]", "is empty"),
        (
            """output: [{check: content, action: flag, json_schema: §'{"type": 7}'}]""",
            "output[0].json_schema",
            "",
        ),
        ("output: [{check: content, action: flag, json_schema: §'[1]'}]", "output[0].json_schema", "a JSON object"),
        (
            "input: [{check: moderation, model: §moderatoin, action: block}]",
            "input[0].model",
            'there is no "moderatoin" under models; did you mean "moderation"?',
        ),
        (
            "input: [{check: moderation, model: §plain, action: block}]",
            "input[0].model",
            "no target of plain can be asked for moderations: that takes one of mistral, openai, openai_compatible",
        ),
        ("input: [{check: webhook, url: §'ftp://x'}]", "input[0].url", "should match"),
        ("input: [{check: webhook, url: §'https://a:b@x.test'}]", "input[0].url", "no user name or password"),
        ("input: [{check: webhook, url: §'https://x.test/?t=1'}]", "input[0].url", "should end before any ? or #"),
        ("input: [{check: webhook, url: 'https://x.test', secret: §short}]", "input[0].secret", "at least 16"),
        ("input: [{check: webhook, url: 'https://x.test', timeout: §3s}]", "input[0].timeout", "from 0.01 s to 2 s"),
        ("input: [{check: webhook, url: 'https://x.test', timeout: §500}]", "input[0].timeout", "with its unit"),
        (
            "input: [{check: presidio, url: §'https://', entities: [PERSON], action: flag}]",
            "input[0].url",
            "should match",
        ),
        (
            "input: [{check: presidio, url: 'https://x.test', entities: [§person], action: flag}]",
            "input[0].entities[0]",
            "should match",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_told_once_and_where_it_stands(text: str, path: str, why: str) -> None:
    told, message = fault(text)
    assert told == path
    assert why in message


def test_every_pattern_at_fault_is_told() -> None:
    body = {"input": [{"check": "content", "action": "flag", "patterns": ["(a", "ok", "[b", "c"]}]}
    assert [path for path, _ in faults_of(body)] == ["input[0].patterns[0]", "input[0].patterns[2]"]


def test_what_follows_a_refused_check_is_not_judged_by_another_place() -> None:
    text = "input: [{check: pii, action: §blok}, {check: content, action: block}]"
    assert fault(text)[0] == "input[0].action"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tenants: {t: {keys: {k: {key: 0123456789abcdef-, guardrails: §h}}}}", "tenants.t.keys.k.guardrails"),
        ("limits: {}\nmodels: {p: {targets: [{provider: sim, model: m}], guardrails: §h}}", "models.p.guardrails"),
    ],
)
def test_a_policy_that_is_bound_must_be_there(text: str, path: str) -> None:
    base = "version: 1\nproviders: {sim: {kind: simulator}}\nguardrails: {g: {}}\n"
    told, message = only_fault(base + text)
    assert (told, message) == (path, 'there is no "h" under guardrails')


def test_a_model_that_is_faulty_itself_is_no_second_fault() -> None:
    text = BASE.replace("moderation: {targets: [{", "moderation: {targets: §[], hedge: [{") + "    {}\n"
    with pytest.raises(BadConfiguration) as raised:
        read(
            text.replace("§", "").replace(
                "    {}", "    input: [{check: moderation, model: moderation, action: flag}]"
            ),
            {},
        )
    assert not [told for told in raised.value.faults if told.path.startswith("guardrails")]


def test_settings_and_contract_speak_of_the_same_actions_and_providers() -> None:
    # They can't import each other: the contract is above the settings.
    assert get_args(Action) == get_args(contract.Action)
    assert get_args(OnError) == get_args(contract.OnError)
    assert {kind for kind, asked in OPERATIONS.items() if "moderations" in asked} == MODERATING


def test_the_api_reads_what_the_file_reads() -> None:
    text = (
        '{"mode": "monitor", "sample": "5%", "input": [{"check": "pii", "action": "redact", "threshold": 0.25, '
        '"restore": true}, {"check": "moderation", "model": "moderation", "action": "block", "timeout": "1s"}]}'
    )
    assert read_policy(text.encode(), LOADED) == policy(text)


@pytest.mark.parametrize(
    ("body", "path", "why"),
    [
        ({"input": [{"check": "pii"}]}, "input[0]", '"action" is missing'),
        ({"input": {}}, "input", "should be a list, not a mapping"),
        ({"sample": "10%"}, "sample", "belongs to the mode monitor"),
        ({"modes": 1}, "modes", 'there is no such key; did you mean "mode"?'),
        ({"input": [{"check": "content", "action": "flag", "deny": ["a\0"]}]}, "input[0].deny[0]", "U+0000"),
        ({"input": [{"check": "moderation", "model": "x", "action": "flag"}]}, "input[0].model", 'there is no "x"'),
        ({"input": [{"check": "pii", "action": "flag", "threshold": 1e300}]}, "input[0].threshold", "from 0 to 1"),
        ({"input": [{"check": "content", "action": "flag", "deny": ["${HOME}", 5]}]}, "input[0].deny[1]", "number"),
        ([], "", "should be a mapping"),
        (None, "", "should be a mapping"),
    ],
)
def test_a_fault_of_the_api_names_its_path(body: object, path: str, why: str) -> None:
    ((told, message),) = faults_of(body)
    assert told == path
    assert why in message


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b'{"input":' * 40 + b"1" + b"}" * 40]
)
def test_what_is_no_json_is_a_fault_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(BadConfiguration):
        read_policy(data, LOADED)


_WORDS = st.sampled_from(
    "mode sample on_block input output check action actions entities threshold restore where deny patterns topics "
    "allow languages max_characters json_schema model categories timeout on_error url secret language name".split()
)
_VALUES = st.sampled_from(
    "pii secrets injection content moderation webhook presidio block redact monitor 10% 1s".split()
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_WORDS, _ANY, max_size=6))
def test_any_json_is_a_policy_or_has_faults(body: dict[str, object]) -> None:
    try:
        read_policy(msgspec.json.encode(body), LOADED)
    except BadConfiguration as bad:
        if not bad.faults or not all(found.message for found in bad.faults):
            raise
