"""Settings: ``tollway.yaml`` and the environment in, one frozen value out.

``load`` reports everything that is wrong at once, each fault with its path, line and column. Only ``environment``
reads the process environment; nothing here opens a socket or a database.

::

    settings = load("config/tollway.yaml", environment())
"""

from tollway.settings.budgets import BudgetSettings
from tollway.settings.cache import (
    CacheChoice,
    CachePolicySettings,
    CacheSettings,
    ExactSettings,
    FileSemanticSettings,
    SemanticSettings,
)
from tollway.settings.environment import environment
from tollway.settings.faults import BadConfiguration, Fault
from tollway.settings.guardrails import (
    CheckSettings,
    ContentCheckSettings,
    GuardrailSettings,
    InjectionCheckSettings,
    ModerationCheckSettings,
    PiiCheckSettings,
    PresidioCheckSettings,
    SecretsCheckSettings,
    WebhookCheckSettings,
)
from tollway.settings.limit_rules import LimitRuleSettings, QueueSettings
from tollway.settings.loader import load, load_struct, read, read_cache_policy, read_policy, read_tenant_prices
from tollway.settings.prices import (
    DatedSettings,
    LaterSettings,
    PriceSettings,
    RateSettings,
    TariffSettings,
    TierSettings,
)
from tollway.settings.providers import (
    BreakerSettings,
    EntraSettings,
    ProbeSettings,
    ProviderKeySettings,
    ProviderKind,
    ProviderSettings,
)
from tollway.settings.routing import (
    FallbackSettings,
    HedgeSettings,
    ModelSettings,
    RetriesSettings,
    RuleSettings,
    ShadowSettings,
    TakesSettings,
    TargetSettings,
    TimeoutSettings,
    WhenSettings,
)
from tollway.settings.schema import schema, schema_text
from tollway.settings.service_account import ServiceAccount, read_account
from tollway.settings.structs import (
    BillingSettings,
    JournalSettings,
    KeySettings,
    LogSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TelemetrySettings,
    TenantPriceSettings,
    TenantSettings,
    decode,
    encode,
)
from tollway.settings.values import Entity, LimitSettings, Secret

__all__ = [
    "BadConfiguration",
    "BillingSettings",
    "BreakerSettings",
    "BudgetSettings",
    "CacheChoice",
    "CachePolicySettings",
    "CacheSettings",
    "CheckSettings",
    "ContentCheckSettings",
    "DatedSettings",
    "Entity",
    "EntraSettings",
    "ExactSettings",
    "FallbackSettings",
    "Fault",
    "FileSemanticSettings",
    "GuardrailSettings",
    "HedgeSettings",
    "InjectionCheckSettings",
    "JournalSettings",
    "KeySettings",
    "LaterSettings",
    "LimitRuleSettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "ModerationCheckSettings",
    "PiiCheckSettings",
    "PresidioCheckSettings",
    "PriceSettings",
    "ProbeSettings",
    "ProviderKeySettings",
    "ProviderKind",
    "ProviderSettings",
    "QueueSettings",
    "RateSettings",
    "RetentionSettings",
    "RetriesSettings",
    "RuleSettings",
    "Secret",
    "SecretsCheckSettings",
    "SemanticSettings",
    "ServerSettings",
    "ServiceAccount",
    "Settings",
    "ShadowSettings",
    "StorageSettings",
    "TakesSettings",
    "TargetSettings",
    "TariffSettings",
    "TelemetrySettings",
    "TenantPriceSettings",
    "TenantSettings",
    "TierSettings",
    "TimeoutSettings",
    "WebhookCheckSettings",
    "WhenSettings",
    "decode",
    "encode",
    "environment",
    "load",
    "load_struct",
    "read",
    "read_account",
    "read_cache_policy",
    "read_policy",
    "read_tenant_prices",
    "schema",
    "schema_text",
]
