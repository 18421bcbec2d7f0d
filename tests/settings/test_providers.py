"""The words of ``providers`` for several keys, for breakers and for probes, and every fault with its place."""

import msgspec
import pytest
from tests.settings.marked import only_fault

from tollway.contract import routing as contract
from tollway.settings import (
    BreakerSettings,
    LimitSettings,
    ProbeSettings,
    ProviderKeySettings,
    ProviderSettings,
    Secret,
    decode,
    encode,
    read,
)

KEYS = "[{name: a, api_key: '${A:-}', weight: 3, limits: {rpm: 500}}, {name: b, api_key: '${B:-}', limits: gold}]"


def provider(fields: str, **environ: str) -> ProviderSettings:
    loaded = read(f"version: 1\nlimits: {{gold: {{tpm: 9}}}}\nproviders: {{p: {{{fields}}}}}", environ)
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"
    return loaded.providers["p"]


def fault(fields: str, **environ: str) -> tuple[str, str]:
    path, message = only_fault(f"version: 1\nproviders:\n  p: {{{fields}}}", **environ)
    return path.removeprefix("providers.p."), message


def test_a_provider_may_have_several_keys_with_weights_and_limits() -> None:
    found = provider(f"kind: openai, keys: {KEYS}", A="key-a", B="key-b")
    assert found.keys == (
        ProviderKeySettings(name="a", api_key=Secret("key-a"), weight=3, limits=LimitSettings(rpm=500)),
        ProviderKeySettings(name="b", api_key=Secret("key-b"), weight=1, limits="gold"),
    )
    assert (found.is_configured, found.filled_keys, found.key) == (True, found.keys, Secret("key-a"))
    assert (found.secrets, found.key_name) == (("key-a", "key-b"), "keys")


def test_an_empty_key_is_passed_over_and_a_provider_without_any_other_is_not_configured() -> None:
    found = provider(f"kind: openai, keys: {KEYS}", B="key-b")
    assert [key.name for key in found.filled_keys] == ["b"]
    assert (found.is_configured, found.key, found.secrets) == (True, Secret("key-b"), ("key-b",))
    found = provider(f"kind: openai, keys: {KEYS}")
    assert (found.is_configured, found.filled_keys, found.secrets) == (False, (), ())


def test_a_kind_that_needs_no_key_may_have_several_and_be_asked_without_any() -> None:
    found = provider(f"kind: vllm, base_url: 'http://h', keys: {KEYS}")
    assert (found.is_configured, found.filled_keys) == (True, ())


def test_keys_go_before_credentials_to_sign_with_as_an_api_key_does() -> None:
    signed = "kind: bedrock, region: r, access_key_id: AKID, secret_access_key: s"
    assert not provider(f"{signed}, keys: {KEYS}", A="key-a").signs
    assert provider(f"{signed}, keys: {KEYS}").signs


def test_no_representation_shows_a_key() -> None:
    assert "key-a" not in repr(provider(f"kind: openai, keys: {KEYS}", A="key-a", B="key-b"))


def test_breaker_and_probe_are_read() -> None:
    found = provider(
        "kind: openai, api_key: k, "
        "breaker: {consecutive: 3, failure_rate: 12.5%, minimum_calls: 1, window: 1m, cooldown: 100ms, "
        "max_cooldown: 1h, probes: 2, slow_start: 0s}, probe: {path: '/health?full=1', every: 1s, timeout: 1s}"
    )
    assert found.breaker == BreakerSettings(
        consecutive=3,
        failure_rate=0.125,
        minimum_calls=1,
        window_s=60.0,
        cooldown_s=0.1,
        max_cooldown_s=3600.0,
        probes=2,
        slow_start_s=0.0,
    )
    assert found.probe == ProbeSettings(path="/health?full=1", every_s=1.0, timeout_s=1.0)


def test_a_probe_is_only_made_when_asked_for() -> None:
    assert provider("kind: openai, api_key: k").probe is None
    assert provider("kind: openai, api_key: k, probe: {}").probe == ProbeSettings()


def test_settings_and_contract_have_the_same_defaults() -> None:
    # They can't import each other: the contract is above the settings.
    assert msgspec.structs.asdict(BreakerSettings()) == msgspec.structs.asdict(contract.Breaker())
    assert msgspec.structs.asdict(ProbeSettings()) == msgspec.structs.asdict(contract.Probe())


ONE = "keys: [{name: a, api_key: k}]"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ("kind: openai, keys: §{a: k}", "keys", "should be a list"),
        ("kind: openai, keys: [§k]", "keys[0]", "should be a mapping"),
        ("kind: openai, keys: [§{api_key: k}]", "keys[0]", '"name" is missing'),
        ("kind: openai, keys: [§{name: a}]", "keys[0]", '"api_key" is missing'),
        ("kind: openai, keys: [{name: §a/b, api_key: k}]", "keys[0].name", "should match"),
        ("kind: openai, keys: [{name: §a#b, api_key: k}]", "keys[0].name", "should match"),
        ("kind: openai, keys: [{name: a, api_key: §12345}]", "keys[0].api_key", "put it in quotes"),
        ("kind: openai, keys: [{name: a, api_key: §'k k'}]", "keys[0].api_key", "without blanks"),
        ("kind: openai, keys: [{name: a, api_key: k, weight: §0}]", "keys[0].weight", "from 1 to 1,000,000"),
        ("kind: openai, keys: [{name: a, api_key: k, limits: §x}]", "keys[0].limits", 'there is no "x" under limits'),
        ("kind: openai, keys: [{name: a, api_key: k, limits: {rpm: §0}}]", "keys[0].limits.rpm", "from 1 to"),
        ("kind: openai, keys: [{name: a, api_key: k, §tags: []}]", "keys[0].tags", "there is no such key"),
        (
            "kind: openai, keys: [{name: a, api_key: k}, {name: §a, api_key: l}]",
            "keys[1].name",
            "is the name of providers.p.keys[0] already",
        ),
        (
            "kind: openai, keys: [{name: a, api_key: k}, {name: b, api_key: §k}]",
            "keys[1].api_key",
            "is the same secret as providers.p.keys[0].api_key",
        ),
        (f"kind: openai, api_key: k, {ONE.replace(': [', ': §[')}", "keys", "stand beside an api_key; one of them is"),
        (f"kind: openai, api_key: '', {ONE.replace(': [', ': §[')}", "keys", "stand beside an api_key"),
        (f"kind: simulator, {ONE.replace(': [', ': §[')}", "keys", "simulator has no api_key, nor several"),
        (
            "kind: azure, base_url: 'https://h', entra: {tenant_id: t, client_id: c, client_secret: s}, "
            + ONE.replace(": [", ": §["),
            "keys",
            "stand beside entra; one of them is enough",
        ),
        ("kind: openai, api_key: k, breaker: §off", "breaker", "should be a mapping"),
        ("kind: openai, api_key: k, breaker: {consecutive: §0}", "breaker.consecutive", "from 1 to 10,000"),
        ("kind: openai, api_key: k, breaker: {failure_rate: §0.5}", "breaker.failure_rate", "such as 5% or 0.5%"),
        ("kind: openai, api_key: k, breaker: {failure_rate: §101%}", "breaker.failure_rate", "from 0.01% to 100%"),
        ("kind: openai, api_key: k, breaker: {window: §50ms}", "breaker.window", "from 0.1 s to 600 s"),
        ("kind: openai, api_key: k, breaker: {minimum_calls: §0}", "breaker.minimum_calls", "from 1 to"),
        ("kind: openai, api_key: k, breaker: {probes: §0}", "breaker.probes", "from 1 to 100"),
        ("kind: openai, api_key: k, breaker: {slow_start: §10}", "breaker.slow_start", "a duration with its unit"),
        (
            "kind: openai, api_key: k, breaker: {cooldown: §2m, max_cooldown: 15s}",
            "breaker.cooldown",
            "is longer than max_cooldown, which is 15 s",
        ),
        (
            "kind: openai, api_key: k, breaker: {max_cooldown: §1s}",
            "breaker.max_cooldown",
            "is shorter than cooldown, which is 5 s",
        ),
        ("kind: openai, api_key: k, breaker: {cooldown: §2, max_cooldown: 1s}", "breaker.cooldown", "with its unit"),
        ("kind: openai, api_key: k, probe: §true", "probe", "should be a mapping"),
        ("kind: openai, api_key: k, probe: {path: §models}", "probe.path", "should match"),
        ("kind: openai, api_key: k, probe: {path: §'/a b'}", "probe.path", "should match"),
        ("kind: openai, api_key: k, probe: {path: §'/a#b'}", "probe.path", "should match"),
        ("kind: openai, api_key: k, probe: {every: §0s}", "probe.every", "from 0.1 s to 3,600 s"),
        (
            "kind: openai, api_key: k, probe: {timeout: §20s}",
            "probe.timeout",
            "is longer than every, which is 10 s",
        ),
        ("kind: simulator, probe: §{}", "probe", "the simulator is built in and need not be asked"),
        ("kind: bedrock, region: r, api_key: k, probe: §{}", "probe", "is not for bedrock: it asks with a key alone"),
        (
            "kind: azure, base_url: https://a, entra: {tenant_id: t, client_id: c, client_secret: s}, probe: §{}",
            "probe",
            "is not for entra",
        ),
        ("kind: vertex, location: global, credentials: '', probe: §{}", "probe", "is not for vertex"),
    ],
)
def test_what_can_not_work_is_told_at_its_place(fields: str, path: str, message: str) -> None:
    found_path, found = fault(fields)
    assert found_path == path
    assert message in found


def test_without_any_key_it_is_the_api_key_that_is_missing() -> None:
    assert only_fault("version: 1\nproviders:\n  p: §{kind: openai, keys: []}") == (
        "providers.p",
        '"api_key" is missing; openai needs one',
    )


def test_vertex_has_no_keys() -> None:
    fields = f"kind: vertex, location: global, credentials: '', {ONE.replace(': [', ': §[')}"
    assert fault(fields) == ("keys", "vertex has no api_key, nor several")


def test_keys_that_are_empty_are_not_the_same_secret() -> None:
    assert len(provider(f"kind: openai, keys: {KEYS}").keys) == 2


def test_the_fault_of_a_key_moves_no_other_ones_place() -> None:
    fields = "kind: openai, keys: [§{name: a}, {name: b, api_key: k}, {name: b, api_key: k}]"
    assert fault(fields) == ("keys[0]", '"api_key" is missing')
