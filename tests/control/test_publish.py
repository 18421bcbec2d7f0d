"""Publishing: what the data plane gets to see of a configuration."""

import hashlib
import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.fakes.identity import account

from tollway._native.pii import ENTITIES
from tollway.contract import snapshot as contract
from tollway.contract.budgets import Budget
from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching, SemanticCaching
from tollway.contract.guardrails import PiiCheck, Policy
from tollway.contract.keys import GATEWAY_USE
from tollway.contract.limits import LimitRule, LimitValues, Queueing
from tollway.contract.routing import Breaker, Hedge, Probe, Retries, Rule, When
from tollway.contract.snapshot import (
    AwsCredentials,
    EntraCredentials,
    GoogleCredentials,
    Overrule,
    Price,
    Route,
    Snapshot,
    Target,
    Timeouts,
)
from tollway.control.billing.prices import PACKAGED, load_prices
from tollway.control.policies import versioned
from tollway.control.publish import publish
from tollway.settings import ProviderKind, TimeoutSettings, load, read

SHIPPED = Path(__file__).parents[2] / "config" / "tollway.yaml"
CONFIG = """\
version: 1
providers:
  openai: {kind: openai, api_key: sk-0123456789}
  idle: {kind: xai, api_key: "${XAI:-}"}
  azure: {kind: azure, base_url: https://me.openai.azure.com/, api_key: azure-key}
  local: {kind: vllm, base_url: http://127.0.0.1:8000/v1/}
  sim: {kind: simulator}
models:
  gpt-4o:
    targets:
      - {provider: openai, model: gpt-4o, weight: 3}
      - {provider: azure, model: mine}
      - {provider: idle, model: grok-4}
      - {provider: sim, model: gpt-4o}
    timeouts: {connect: 2s, first_token: 15s, idle: 20s, total: 10m}
  local: {targets: [{provider: local, model: llama, takes: {images: false, stop: 4, reasoning_effort: []}}]}
  priced: {targets: [{provider: local, model: llama}], price: {input_per_1m: 1, output_per_1m: 2}}
guardrails:
  default: {input: [{check: pii, entities: [email, iban], action: redact}]}
  strict: {input: [{check: pii, action: block}]}
limits:
  default: {rpm: 600}
  gold: {rpm: 6000, tpm: 100}
tenants:
  plain: {keys: {k: {key: plain-key-0123456}}}
  acme:
    limits: {concurrency: 5}
    allowed_models: [gpt-4o, local]
    guardrails: strict
    keys:
      ci: {key: acme-ci-key-012345, limits: gold, environment: test, expires: 1970-01-02}
      cd: {key: acme-cd-key-012345, limits: {rpm: 1}}
"""


@pytest.fixture(scope="module")
def published() -> Snapshot:
    return publish(read(CONFIG, {}), load_prices(PACKAGED), version=7)


def test_the_snapshot_has_its_version(published: Snapshot) -> None:
    assert published.version == 7


def test_a_route_holds_the_targets_that_can_answer(published: Snapshot) -> None:
    route = published.routes["gpt-4o"]
    assert [(target.provider.name, target.model, target.weight) for target in route.targets] == [
        ("openai", "gpt-4o", 3),
        ("azure", "mine", 1),
    ]
    assert route.timeouts == Timeouts(connect_s=2.0, first_token_s=15.0, idle_s=20.0, total_s=600.0)


def test_what_the_operator_says_of_a_target_overrules_what_is_known(published: Snapshot) -> None:
    assert published.routes["local"].targets[0].takes == Overrule(images=False, stop=4, reasoning_effort=())
    assert published.routes["gpt-4o"].targets[0].takes == Overrule()


def test_providers_get_their_address_and_key(published: Snapshot) -> None:
    openai, azure = (target.provider for target in published.routes["gpt-4o"].targets)
    assert (openai.base_url, openai.api_key, openai.api_version) == ("https://api.openai.com/v1", "sk-0123456789", None)
    assert (azure.base_url, azure.api_key, azure.api_version) == (
        "https://me.openai.azure.com",
        "azure-key",
        "2024-10-21",
    )
    (local,) = (target.provider for target in published.routes["local"].targets)
    assert (local.base_url, local.api_key) == ("http://127.0.0.1:8000/v1", None)


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("us-east-1", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_bedrock_has_an_address_a_region_and_its_credentials(region: str, address: str) -> None:
    fields = f"kind: bedrock, region: {region}, access_key_id: AKID, secret_access_key: s"
    text = (
        f"version: 1\nproviders: {{b: {{{fields}}}, t: {{{fields}, session_token: t}}, k: {{{fields}, api_key: k}}}}\n"
    )
    targets = ", ".join(f"{{provider: {name}, model: m}}" for name in "btk")
    found = publish(read(f"{text}models: {{m: {{targets: [{targets}]}}}}", {}), load_prices(PACKAGED), version=1)
    plain, temporary, bearer = (target.provider for target in found.routes["m"].targets)
    assert plain.base_url == address
    assert plain.aws == AwsCredentials(region, "AKID", "s")
    assert temporary.aws == AwsCredentials(region, "AKID", "s", "t")
    assert (bearer.aws, bearer.api_key) == (None, "k")


@pytest.mark.parametrize(
    ("location", "home"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("global, base_url: 'http://127.0.0.1:9/'", "http://127.0.0.1:9"),
    ],
)
def test_vertex_gets_its_account_and_the_home_of_its_location(location: str, home: str) -> None:
    text = (
        "version: 1\n"
        f"providers: {{v: {{kind: vertex, credentials: '${{ACCOUNT}}', location: {location}}}}}\n"
        "models: {m: {targets: [{provider: v, model: gemini-2.5-flash}]}}"
    )
    held = account()
    (target,) = publish(read(text, {"ACCOUNT": json.dumps(held)}), load_prices(PACKAGED), 1).routes["m"].targets
    assert target.provider.base_url == home
    assert target.provider.google == GoogleCredentials(
        "its-project", location.split(",")[0], held["client_email"], held["private_key"], held["token_uri"], "key-1"
    )
    assert target.price is not None


@pytest.mark.parametrize(
    ("more", "authority", "end"),
    [
        ("", "https://login.microsoftonline.com", "com"),
        (", authority: 'https://login.microsoftonline.us/'", "https://login.microsoftonline.us", "us"),
        (", authority: 'https://login.partner.microsoftonline.cn'", "https://login.partner.microsoftonline.cn", "cn"),
    ],
)
def test_azure_gets_its_application_and_the_address_of_its_tokens(more: str, authority: str, end: str) -> None:
    text = (
        "version: 1\nproviders: {a: {kind: azure, base_url: 'https://x.test', api_version: v1, "
        f"entra: {{tenant_id: t-1, client_id: c-1, client_secret: hidden{more}}}}}}}\n"
        "models: {m: {targets: [{provider: a, model: mine}]}}"
    )
    (target,) = publish(read(text, {}), load_prices(PACKAGED), 1).routes["m"].targets
    scope = f"https://cognitiveservices.azure.{end}/.default"
    token_url = f"{authority}/t-1/oauth2/v2.0/token"
    assert target.provider.entra == EntraCredentials(token_url, "c-1", "hidden", scope)
    assert (target.provider.api_key, target.provider.api_version) == (None, None)
    assert "hidden" not in repr(target)


def test_targets_are_priced_by_the_list_and_azure_like_openai(published: Snapshot) -> None:
    openai, azure = (target.price for target in published.routes["gpt-4o"].targets)
    assert openai is not None
    assert openai.input == 2_500_000
    assert azure == openai


def test_an_unpriced_model_has_no_price_and_a_configured_one_goes_first(published: Snapshot) -> None:
    assert published.routes["local"].targets[0].price is None
    assert published.routes["priced"].targets[0].price == Price(
        version="tollway.yaml/priced", input=1_000_000, output=2_000_000
    )


ROUTED = """\
version: 1
providers:
  many:
    kind: openai
    keys: [{name: a, api_key: key-a, weight: 3, limits: {rpm: 500}}, {name: empty, api_key: "${NONE:-}"},
           {name: b, api_key: key-b, limits: gold}, {name: c, api_key: key-c}]
    breaker: {consecutive: 2, failure_rate: 25%, minimum_calls: 4, window: 20s, cooldown: 1s, max_cooldown: 2s,
              probes: 3, slow_start: 4s}
    probe: {path: /health, every: 3s, timeout: 1s}
  local: {kind: vllm, base_url: "http://127.0.0.1:8000/v1"}
  idle: {kind: xai, api_key: "${NONE:-}"}
models:
  plain: {targets: [{provider: local, model: llama}], shadow: {provider: idle, model: grok-4}}
  full:
    strategy: sticky
    sticky_by: user
    targets:
      - {provider: many, model: gpt-4o, weight: 0, priority: 2, tags: [eu, stable], takes: {context_tokens: 9}}
      - {provider: local, model: llama, tags: [canary]}
    rules:
      - name: eu
        when: {tenant: [acme], header: {X-Region: [eu, eea]}, metadata: {Team: [search]}, needs: [vision],
               tokens_over: 1, tokens_up_to: 2}
        to: [eu]
      - {name: canary, share: 5%, to: [canary]}
    retries: {attempts: 2, budget: 10%, backoff: 1ms, max_backoff: 1s}
    fallbacks: {error: [plain], context_window: [full, plain], content_policy: []}
    hedge: {after: 300ms, budget: 1%, max_cost_usd: 0.5}
    shadow: {provider: many, model: gpt-4o-mini, share: 10%, takes: {stop: 1}}
    timeouts: {keep_alive: off}
    price: {input_per_1m: 1, output_per_1m: 2}
  listed:
    targets: [{provider: local, model: llama}]
    fallbacks: [full, plain]
    hedge: {}
limits: {default: {rpm: 1}, gold: {tpm: 9}}
tenants:
  free: {monthly_budget_usd: 0, keys: {k: {key: free-key-0123456}}}
  paying: {monthly_budget_usd: 50, keys: {k: {key: paying-key-0123456}}}
budgets:
  - {name: all, amount_usd: 0.5, period: day, warn_at: [90, 50], per: [user, user]}
  - {name: some, amount_usd: 1, period: week, rolling: true, tenant: paying, key: paying/k, user: u, model: plain,
     tag: a=b}
"""


@pytest.fixture(scope="module")
def routed() -> Snapshot:
    return publish(read(ROUTED, {}), load_prices(PACKAGED), version=1)


def test_a_route_that_says_nothing_has_the_defaults_of_the_contract(routed: Snapshot) -> None:
    plain = routed.routes["plain"]
    assert plain == Route(alias="plain", targets=plain.targets, timeouts=Timeouts())
    (target,) = plain.targets
    assert target == Target(provider=target.provider, model="llama", weight=1, price=None)


def test_several_keys_are_as_many_ways_to_ask_and_the_empty_ones_none(routed: Snapshot) -> None:
    target, _ = routed.routes["full"].targets
    assert [(key.access.key_name, key.access.api_key, key.weight, key.limits) for key in target.keys] == [
        ("a", "key-a", 3, LimitValues(rpm=500)),
        ("b", "key-b", 1, LimitValues(tpm=9)),
        ("c", "key-c", 1, None),
    ]
    assert {(key.access.name, key.access.base_url) for key in target.keys} == {("many", "https://api.openai.com/v1")}
    assert target.provider == target.keys[0].access
    assert target.name == "many/gpt-4o"


def test_a_target_has_its_tier_and_tags_and_its_providers_breaker_and_probe(routed: Snapshot) -> None:
    many, local = routed.routes["full"].targets
    assert (many.weight, many.tier, many.tags) == (0, 2, frozenset({"eu", "stable"}))
    assert many.takes == Overrule(context_tokens=9)
    assert many.breaker == Breaker(
        consecutive=2,
        failure_rate=0.25,
        minimum_calls=4,
        window_s=20.0,
        cooldown_s=1.0,
        max_cooldown_s=2.0,
        probes=3,
        slow_start_s=4.0,
    )
    assert many.probe == Probe(path="/health", every_s=3.0, timeout_s=1.0)
    assert (local.tier, local.tags, local.breaker, local.probe) == (1, frozenset({"canary"}), Breaker(), None)


def test_rules_are_published_with_headers_in_lower_case(routed: Snapshot) -> None:
    eu, canary = routed.routes["full"].rules
    assert eu == Rule(
        name="eu",
        to=frozenset({"eu"}),
        when=When(
            headers={"x-region": frozenset({"eu", "eea"})},
            metadata={"Team": frozenset({"search"})},
            tenants=frozenset({"acme"}),
            needs=frozenset({"vision"}),
            tokens_over=1,
            tokens_up_to=2,
        ),
    )
    assert canary == Rule(name="canary", to=frozenset({"canary"}), share=0.05)


def test_a_route_has_its_strategy_retries_fallbacks_and_hedge(routed: Snapshot) -> None:
    full, listed = routed.routes["full"], routed.routes["listed"]
    assert (full.strategy, full.sticky_by) == ("sticky", "user")
    assert full.retries == Retries(attempts=2, budget=0.1, backoff_s=0.001, max_backoff_s=1.0)
    assert full.fallbacks == {"error": ("plain",), "context_window": ("full", "plain")}
    assert full.hedge == Hedge(after_s=0.3, budget=0.01, max_cost_picousd=500_000_000_000)
    assert full.timeouts == Timeouts(keep_alive_s=None)
    assert listed.fallbacks == {"error": ("full", "plain"), "rate_limit": ("full", "plain")}
    assert listed.hedge == Hedge()


def test_a_shadow_is_another_model_at_its_own_price(routed: Snapshot) -> None:
    shadow = routed.routes["full"].shadow
    assert shadow is not None
    assert (shadow.share, shadow.target.name, shadow.target.takes) == (0.1, "many/gpt-4o-mini", Overrule(stop=1))
    assert shadow.target.keys == routed.routes["full"].targets[0].keys
    assert shadow.target.price is not None
    assert shadow.target.price.version.startswith("openai/gpt-4o-mini@")


def test_a_shadow_whose_provider_is_not_configured_is_none(routed: Snapshot) -> None:
    assert routed.routes["plain"].shadow is None


def test_who_has_a_budget_of_nothing_may_spend_nothing(routed: Snapshot) -> None:
    assert {record.tenant_name: record.may_spend for _, record in routed.file_keys} == {"free": False, "paying": True}


def test_the_files_budgets_are_in_the_snapshot_and_a_budget_of_nothing_is_none(routed: Snapshot) -> None:
    assert routed.budgets == (
        Budget(id="file:all", name="all", amount_picousd=5 * 10**11, period="day", warn_at=(50, 90), per=("user",)),
        Budget(
            id="file:some",
            name="some",
            amount_picousd=10**12,
            period="week",
            rolling=True,
            tenant_id="paying",
            key_id="paying/k",
            user="u",
            model="plain",
            tag="a=b",
        ),
        Budget(id="file:tenant:paying", name="paying", amount_picousd=50 * 10**12, period="month", tenant_id="paying"),
    )
    assert {record.key_id for _, record in routed.file_keys} == {"free/k", "paying/k"}


def test_no_representation_shows_one_of_several_keys(routed: Snapshot) -> None:
    assert not any(key in repr(routed) for key in ("key-a", "key-b", "key-c"))


def test_policies_are_published_by_name(published: Snapshot) -> None:
    default, strict = published.policies["default"], published.policies["strict"]
    check = PiiCheck({"email": "redact", "iban": "redact"})
    assert default == Policy("default", default.version, (check,))
    assert strict.input == (PiiCheck(dict.fromkeys(ENTITIES, "block")),)


def test_a_version_of_a_policy_is_what_it_says() -> None:
    one = versioned(Policy("a", "", (PiiCheck({"email": "redact"}),)))
    other = versioned(Policy("a", "", (PiiCheck({"email": "block"}),)))
    assert versioned(one) == one
    assert one.version != other.version
    assert len(one.version) == 12


def test_limit_rules_are_published_with_the_limits_that_they_name_and_the_queue() -> None:
    text = """
version: 1
limits: {gold: {tpm: 9}}
limit_rules:
  - {name: all, limits: gold}
  - {name: pair, per: [user, model], limits: {rps: 2}, tenant: [acme], user: [alice], on_exceed: cut}
queue: {max_waiting: 9, weights: {acme: 2}}
"""
    found = publish(read(text, {}), load_prices(PACKAGED), 1)
    assert found.queueing == Queueing(2.0, 9, {"acme": 2})
    assert found.limit_rules == (
        LimitRule("all", LimitValues(tpm=9)),
        LimitRule(
            "pair",
            LimitValues(rps=2),
            per=("user", "model"),
            tenants=frozenset({"acme"}),
            users=frozenset({"alice"}),
            on_exceed="cut",
        ),
    )


def test_a_key_has_its_own_cache_else_its_tenants_else_the_files() -> None:
    snapshot = publish(
        read(
            "version: 1\ncache: {exact: {ttl: 2h}, max_entries: 5}\ntenants:\n"
            "  a: {cache: {semantic: {}, scope: user}, keys: {own: {key: 0123456789abcdefg, cache: off},"
            " none: {key: 0123456789abcdefh}}}\n"
            "  b: {keys: {k: {key: 0123456789abcdefi}}}\n",
            {},
        ),
        load_prices(PACKAGED),
        1,
    )
    assert snapshot.cache == CachePolicy(exact=ExactCaching(ttl_s=7200.0))
    assert snapshot.cache_space == CacheSpace(max_entries=5)
    assert {record.key_id: record.cache for _, record in snapshot.file_keys} == {
        "a/own": CachePolicy(),
        "a/none": CachePolicy(semantic=SemanticCaching(), scope="user"),
        "b/k": None,
    }
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


def test_a_file_without_a_cache_publishes_none() -> None:
    snapshot = publish(load(SHIPPED, {}), load_prices(PACKAGED), 1)
    assert (snapshot.cache, snapshot.cache_space) == (CachePolicy(), CacheSpace())


def test_no_representation_shows_the_secret_of_digests(published: Snapshot) -> None:
    assert "canary" not in repr(msgspec.structs.replace(published, guardrail_secret=b"canary"))


def test_a_key_of_the_file_is_known_by_its_digest_alone(published: Snapshot) -> None:
    digests = [digest for digest, _ in published.file_keys]
    assert digests[0] == hashlib.sha256(b"plain-key-0123456").digest()
    assert b"acme-ci-key-012345" not in msgspec.msgpack.encode(published.file_keys)


def test_a_tenant_that_names_nothing_has_the_defaults(published: Snapshot) -> None:
    _, record = published.file_keys[0]
    assert (record.key_id, record.tenant_id, record.tenant_name, record.key_name) == ("plain/k", "plain", "plain", "k")
    assert (record.is_active, record.scopes, record.environment) == (True, frozenset({GATEWAY_USE}), "live")
    assert (record.tenant_limits, record.key_limits) == (LimitValues(rpm=600), None)
    assert (record.allowed_models, record.policy, record.expires_at_ms) == (None, None, None)
    assert published.default_limits == LimitValues(rpm=600)


def test_a_tenant_and_its_keys_have_what_they_name(published: Snapshot) -> None:
    by_name = {record.key_name: record for _, record in published.file_keys}
    ci, cd = by_name["ci"], by_name["cd"]
    assert ci.tenant_limits == cd.tenant_limits == LimitValues(concurrency=5)
    assert (ci.key_limits, cd.key_limits) == (LimitValues(rpm=6000, tpm=100), LimitValues(rpm=1))
    assert (ci.environment, ci.expires_at_ms, ci.policy) == ("test", 86_400_000, "strict")
    assert ci.allowed_models == frozenset({"gpt-4o", "local"})


def test_without_defaults_there_is_no_limit_and_no_policy() -> None:
    bare = publish(
        read("version: 1\ntenants: {t: {keys: {k: {key: 0123456789abcdef-}}}}", {}), load_prices(PACKAGED), 1
    )
    _, record = bare.file_keys[0]
    assert (bare.default_limits, record.tenant_limits, record.policy) == (LimitValues(), None, None)


def test_with_no_provider_key_the_shipped_models_are_the_simulators() -> None:
    shipped = publish(load(SHIPPED, {}), load_prices(PACKAGED), 1)
    targets = [target for route in shipped.routes.values() for target in route.targets]
    assert {target.provider.kind for target in targets} == {"simulator"}
    assert {target.price for target in targets} == {None}
    assert {target.provider.base_url for target in targets} == {""}


def test_a_snapshot_travels_as_bytes(published: Snapshot, routed: Snapshot) -> None:
    for snapshot in (published, routed):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


def test_settings_and_contract_speak_of_the_same_kinds_and_timeouts() -> None:
    # They can't import each other: the contract is above the settings.
    assert set(get_args(ProviderKind)) == set(get_args(contract.ProviderKind))
    own, other = TimeoutSettings(), Timeouts()
    assert msgspec.structs.asdict(own) == msgspec.structs.asdict(other)
