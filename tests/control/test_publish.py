"""Publishing: what the data plane gets to see of a configuration."""

import hashlib
import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.fakes.identity import account

from tollway.contract import snapshot as contract
from tollway.contract.keys import GATEWAY_USE
from tollway.contract.limits import LimitValues
from tollway.contract.snapshot import (
    AwsCredentials,
    EntraCredentials,
    GoogleCredentials,
    Overrule,
    PiiCheck,
    Policy,
    Price,
    Snapshot,
    Timeouts,
)
from tollway.control.billing.prices import PACKAGED, load_prices
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


def test_policies_are_published_by_name(published: Snapshot) -> None:
    assert published.policies["default"] == Policy("default", (PiiCheck(("email", "iban"), "redact"),))
    assert published.policies["strict"].input[0].entities == ("email", "credit_card", "us_ssn", "phone", "iban", "ip")


def test_a_key_of_the_file_is_known_by_its_digest_alone(published: Snapshot) -> None:
    digests = [digest for digest, _ in published.file_keys]
    assert digests[0] == hashlib.sha256(b"plain-key-0123456").digest()
    assert b"acme-ci-key-012345" not in msgspec.msgpack.encode(published.file_keys)


def test_a_tenant_that_names_nothing_has_the_defaults(published: Snapshot) -> None:
    _, record = published.file_keys[0]
    assert (record.key_id, record.tenant_id, record.tenant_name, record.key_name) == ("plain/k", "plain", "plain", "k")
    assert (record.is_active, record.scopes, record.environment) == (True, frozenset({GATEWAY_USE}), "live")
    assert (record.tenant_limits, record.key_limits) == (LimitValues(rpm=600), None)
    assert (record.allowed_models, record.policy, record.expires_at_ms) == (None, "default", None)
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


def test_a_snapshot_travels_as_bytes(published: Snapshot) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(published), type=Snapshot) == published


def test_settings_and_contract_speak_of_the_same_kinds_and_timeouts() -> None:
    # They can't import each other: the contract is above the settings.
    assert set(get_args(ProviderKind)) == set(get_args(contract.ProviderKind))
    own, other = TimeoutSettings(), Timeouts()
    assert msgspec.structs.asdict(own) == msgspec.structs.asdict(other)
