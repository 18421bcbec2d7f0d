"""Publishing: settings and prices in, one immutable snapshot for the data plane out.

All irregularity of the file form ends here: names are resolved, defaults filled in, unconfigured targets dropped,
addresses completed, and keys reduced to digests. It decides and does no I/O.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from tollway.contract.cache import CachePolicy
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.limits import LimitRule, LimitValues, Queueing
from tollway.contract.prices import Price
from tollway.contract.routing import Breaker, FallbackCause, Hedge, Probe, Retries, Rule, When
from tollway.contract.snapshot import (
    AwsCredentials,
    EntraCredentials,
    GoogleCredentials,
    Overrule,
    ProviderAccess,
    ProviderKey,
    ProviderKind,
    Route,
    Shadow,
    Snapshot,
    Target,
    Timeouts,
)
from tollway.control.billing.prices import Prices, configured_price, tenant_prices
from tollway.control.budgets.rules import declared_budgets
from tollway.control.cache.policies import cache_space, declared_cache
from tollway.control.policies import declared_policy
from tollway.settings import (
    BreakerSettings,
    EntraSettings,
    FallbackSettings,
    HedgeSettings,
    KeySettings,
    LimitRuleSettings,
    LimitSettings,
    ModelSettings,
    ProbeSettings,
    ProviderSettings,
    RetriesSettings,
    RuleSettings,
    Settings,
    ShadowSettings,
    TargetSettings,
    TenantSettings,
    TimeoutSettings,
    WhenSettings,
    read_account,
)

DEFAULT: Final = "default"
"""The limits of tenants that name none."""

BASE_URLS: Final[Mapping[ProviderKind, str]] = {
    "openai": "https://api.openai.com/v1",
    "xai": "https://api.x.ai/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "together": "https://api.together.xyz/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "cohere": "https://api.cohere.ai/compatibility/v1",
    "bedrock": "https://bedrock-runtime.{region}.amazonaws.com",
}
"""Where the kinds live that have one home, or one a region."""

AZURE_API_VERSION: Final = "2024-10-21"
"""A generally available version of Azure OpenAI's data plane (learn.microsoft.com, Azure OpenAI REST API reference)."""


def publish(settings: Settings, prices: Prices, version: int) -> Snapshot:
    """The snapshot that ``settings`` ask for. ``version`` grows with every publication."""
    asked = {name: _asked(name, provider, settings) for name, provider in settings.providers.items()}
    return Snapshot(
        version=version,
        routes={alias: _route(alias, model, settings, asked, prices) for alias, model in settings.models.items()},
        policies={name: declared_policy(name, policy) for name, policy in settings.guardrails.items()},
        default_limits=_limits(None, settings) or LimitValues(),
        file_keys=tuple(_keys(settings)),
        budgets=declared_budgets(settings),
        refuses_unpriced=settings.billing.unpriced == "refuse",
        limit_rules=tuple(_limit_rule(rule, settings) for rule in settings.limit_rules),
        queueing=None if settings.queue is None else Queueing(**msgspec.structs.asdict(settings.queue)),
        cache=declared_cache(settings.cache) or CachePolicy(),
        cache_space=cache_space(settings.cache),
    )


def _version(provider: ProviderSettings) -> str | None:
    """Azure's version; ``None`` is its v1 path, which has none."""
    if provider.api_version == "v1":
        return None
    return provider.api_version or (AZURE_API_VERSION if provider.kind == "azure" else None)


def base_url_of(provider: ProviderSettings) -> str:
    """Where a provider is: its own address, or the one home of its kind; empty for the simulator.

    Vertex has a home a location; ``global`` has none of its own (cloud.google.com, "Vertex AI locations").
    """
    if provider.base_url is not None or provider.kind != "vertex":
        return provider.base_url or _home(provider)
    if provider.location == "global":
        return "https://aiplatform.googleapis.com"
    if provider.location in ("us", "eu"):
        return f"https://aiplatform.{provider.location}.rep.googleapis.com"
    return f"https://{provider.location}-aiplatform.googleapis.com"


def _access(name: str, provider: ProviderSettings) -> ProviderAccess:
    return ProviderAccess(
        name=name,
        kind=provider.kind,
        base_url=base_url_of(provider).rstrip("/"),
        api_key=provider.api_key.reveal() if provider.api_key else None,
        api_version=_version(provider),
        google=_service_account(provider) if provider.kind == "vertex" and provider.is_configured else None,
        entra=_application(provider.entra) if provider.entra else None,
        aws=_aws(provider),
    )


def _application(entra: EntraSettings) -> EntraCredentials:
    """The application, with what its tokens are for: in sovereign clouds another address of the same service."""
    authority = entra.authority.rstrip("/")
    end = "us" if authority.endswith(".us") else "cn" if authority.endswith(".cn") else "com"
    return EntraCredentials(
        token_url=f"{authority}/{entra.tenant_id}/oauth2/v2.0/token",
        client_id=entra.client_id,
        client_secret=entra.client_secret.reveal(),
        scope=f"https://cognitiveservices.azure.{end}/.default",
    )


def _service_account(provider: ProviderSettings) -> GoogleCredentials:
    """The account of a checked configuration."""
    text = provider.credentials.reveal() if provider.credentials else ""
    account = read_account(text, any_token_uri=provider.token_url is not None)
    return GoogleCredentials(
        project=provider.project or account.project_id or "",
        location=provider.location or "",
        client_email=account.client_email,
        private_key=account.private_key,
        token_url=provider.token_url or account.token_uri,
        private_key_id=account.private_key_id,
    )


def _home(provider: ProviderSettings) -> str:
    """The kind's own address. Amazon's regions in China have a domain of theirs."""
    region = provider.region or ""
    home = BASE_URLS.get(provider.kind, "").replace("{region}", region)
    return f"{home}.cn" if region.startswith("cn-") else home


def _aws(provider: ProviderSettings) -> AwsCredentials | None:
    if not provider.signs or provider.access_key_id is None or provider.secret_access_key is None:
        return None
    return AwsCredentials(
        region=provider.region or "",
        access_key_id=provider.access_key_id.reveal(),
        secret_access_key=provider.secret_access_key.reveal(),
        session_token=provider.session_token.reveal() if provider.session_token else None,
    )


def _asked(name: str, provider: ProviderSettings, settings: Settings) -> Target:
    """What every target of a provider has of it; the model is still to come.

    With several keys the first of them stands for all: who knows only of one way to ask asks with it.
    """
    access = _access(name, provider)
    keys = tuple(
        ProviderKey(
            access=msgspec.structs.replace(access, api_key=key.api_key.reveal(), key_name=key.name),
            weight=key.weight,
            limits=_limits(key.limits, settings) if key.limits is not None else None,
        )
        for key in provider.filled_keys
    )
    return Target(
        provider=keys[0].access if keys else access,
        model="",
        weight=1,
        price=None,
        keys=keys,
        breaker=_breaker(provider.breaker),
        probe=_probe(provider.probe) if provider.probe else None,
    )


def _breaker(breaker: BreakerSettings) -> Breaker:
    """The longest is at least as long as the first: here, of a probe and of retries, what is not written follows."""
    longest_s = max(breaker.cooldown_s, breaker.max_cooldown_s)
    return Breaker(**(msgspec.structs.asdict(breaker) | {"max_cooldown_s": longest_s}))


def _probe(probe: ProbeSettings) -> Probe:
    return Probe(**(msgspec.structs.asdict(probe) | {"timeout_s": min(probe.timeout_s, probe.every_s)}))


def _retries(retries: RetriesSettings) -> Retries:
    return Retries(
        **(msgspec.structs.asdict(retries) | {"max_backoff_s": max(retries.backoff_s, retries.max_backoff_s)})
    )


def _route(alias: str, model: ModelSettings, settings: Settings, asked: Mapping[str, Target], prices: Prices) -> Route:
    own_price = configured_price(model.price, alias) if model.price else None
    targets = (
        _target(alias, target, asked[target.provider], own_price, prices)
        for target in settings.answering(model.targets)
    )
    shadow = model.shadow if model.shadow and settings.can_ask(model.shadow.provider) else None
    return Route(
        alias=alias,
        targets=tuple(targets),
        timeouts=_timeouts(model.timeouts),
        strategy=model.strategy,
        rules=tuple(_rule(rule) for rule in model.rules),
        retries=_retries(model.retries),
        fallbacks=_fallbacks(model.fallbacks),
        sticky_by=model.sticky_by or "conversation",
        hedge=_hedge(model.hedge) if model.hedge else None,
        shadow=_shadow(alias, shadow, asked[shadow.provider], prices) if shadow else None,
        guardrails=model.guardrails,
    )


def _target(alias: str, target: TargetSettings, asked: Target, own_price: Price | None, prices: Prices) -> Target:
    return msgspec.structs.replace(
        asked,
        model=target.model,
        weight=target.weight,
        price=own_price or _listed(alias, asked, target.model, prices),
        takes=Overrule(**msgspec.structs.asdict(target.takes)),
        tags=frozenset(target.tags),
        tier=target.priority,
    )


def _listed(alias: str, asked: Target, model: str, prices: Prices) -> Price | None:
    return prices.find(asked.provider.kind, asked.provider.base_url, model, alias)


def _shadow(alias: str, shadow: ShadowSettings, asked: Target, prices: Prices) -> Shadow:
    """The alias's own price is not the shadow's: that is another model."""
    target = msgspec.structs.replace(
        asked,
        model=shadow.model,
        price=_listed(alias, asked, shadow.model, prices),
        takes=Overrule(**msgspec.structs.asdict(shadow.takes)),
    )
    return Shadow(target=target, share=shadow.share)


def _rule(rule: RuleSettings) -> Rule:
    return Rule(name=rule.name, to=frozenset(rule.to), when=_when(rule.when), share=rule.share)


def _when(when: WhenSettings) -> When:
    return When(
        headers={name.lower(): frozenset(values) for name, values in when.header.items()},
        metadata={name: frozenset(values) for name, values in when.metadata.items()},
        tenants=frozenset(when.tenant or ()),
        needs=frozenset(when.needs or ()),
        tokens_over=when.tokens_over,
        tokens_up_to=when.tokens_up_to,
    )


def _fallbacks(fallbacks: Sequence[str] | FallbackSettings) -> dict[FallbackCause, tuple[str, ...]]:
    """By cause; a plain list is for what another model can mend whatever the request is."""
    if not isinstance(fallbacks, FallbackSettings):
        fallbacks = FallbackSettings(error=tuple(fallbacks), rate_limit=tuple(fallbacks))
    by_cause: dict[FallbackCause, tuple[str, ...]] = {
        "error": fallbacks.error,
        "rate_limit": fallbacks.rate_limit,
        "context_window": fallbacks.context_window,
        "content_policy": fallbacks.content_policy,
    }
    return {cause: aliases for cause, aliases in by_cause.items() if aliases}


def _hedge(hedge: HedgeSettings) -> Hedge:
    return Hedge(
        after_s=None if hedge.after_s == "p95" else hedge.after_s,
        budget=hedge.budget,
        max_cost_picousd=hedge.max_cost_picousd,
    )


def _timeouts(timeouts: TimeoutSettings) -> Timeouts:
    return Timeouts(
        connect_s=timeouts.connect_s,
        first_token_s=timeouts.first_token_s,
        idle_s=timeouts.idle_s,
        total_s=timeouts.total_s,
        keep_alive_s=None if timeouts.keep_alive_s == "off" else timeouts.keep_alive_s,
    )


def _keys(settings: Settings) -> Iterator[tuple[bytes, KeyRecord]]:
    for tenant_name, tenant in settings.tenants.items():
        for key_name, key in tenant.keys.items():
            digest = hashlib.sha256(key.key.reveal().encode()).digest()
            yield digest, _record(tenant_name, tenant, key_name, key, settings)


def _record(tenant_name: str, tenant: TenantSettings, key_name: str, key: KeySettings, settings: Settings) -> KeyRecord:
    return KeyRecord(
        key_id=f"{tenant_name}/{key_name}",
        key_name=key_name,
        tenant_id=tenant_name,
        tenant_name=tenant_name,
        scopes=frozenset({GATEWAY_USE}),
        is_active=True,
        environment=key.environment,
        expires_at_ms=key.expires_at_ms,
        tenant_limits=_limits(tenant.limits, settings),
        # A key that names no limits has only its tenant's: the default is not laid on every key again.
        key_limits=_limits(key.limits, settings) if key.limits is not None else None,
        allowed_models=None if "*" in tenant.allowed_models else frozenset(tenant.allowed_models),
        policy=key.guardrails or tenant.guardrails,
        may_spend=tenant.monthly_budget_picousd != 0,
        prices=tenant_prices(tenant_name, tenant),
        cache=declared_cache(key.cache) or declared_cache(tenant.cache),
    )


def _limits(limits: LimitSettings | str | None, settings: Settings) -> LimitValues | None:
    """Inline limits, or those of a name; ``None`` names the default."""
    found = limits if isinstance(limits, LimitSettings) else settings.limits.get(limits or DEFAULT)
    return LimitValues(**msgspec.structs.asdict(found)) if found else None


def _limit_rule(rule: LimitRuleSettings, settings: Settings) -> LimitRule:
    return LimitRule(
        name=rule.name,
        limits=_limits(rule.limits, settings) or LimitValues(),
        per=rule.per,
        tenants=frozenset(rule.tenant) or None,
        keys=frozenset(rule.key) or None,
        users=frozenset(rule.user) or None,
        models=frozenset(rule.model) or None,
        on_exceed=rule.on_exceed,
    )
