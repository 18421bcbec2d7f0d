"""Settings: ``tollway.yaml`` and the environment in, one frozen value out.

``load`` reports everything that is wrong at once, each fault with its path, line and column. Only ``environment``
reads the process environment; nothing here opens a socket or a database.

::

    settings = load("config/tollway.yaml", environment())
"""

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
from tollway.settings.loader import load, load_struct, read, read_policy
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
    PriceSettings,
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
    KeySettings,
    LogSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TelemetrySettings,
    TenantSettings,
    decode,
    encode,
)
from tollway.settings.values import Entity, LimitSettings, Secret

__all__ = [
    "BadConfiguration",
    "BreakerSettings",
    "CheckSettings",
    "ContentCheckSettings",
    "Entity",
    "EntraSettings",
    "FallbackSettings",
    "Fault",
    "GuardrailSettings",
    "HedgeSettings",
    "InjectionCheckSettings",
    "KeySettings",
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
    "RetriesSettings",
    "RuleSettings",
    "Secret",
    "SecretsCheckSettings",
    "ServerSettings",
    "ServiceAccount",
    "Settings",
    "ShadowSettings",
    "StorageSettings",
    "TakesSettings",
    "TargetSettings",
    "TelemetrySettings",
    "TenantSettings",
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
    "read_policy",
    "schema",
    "schema_text",
]
