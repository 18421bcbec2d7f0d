"""Settings: ``tollway.yaml`` and the environment in, one frozen value out.

``load`` reports everything that is wrong at once, each fault with its path, line and column. Only ``environment``
reads the process environment; nothing here opens a socket or a database.

::

    settings = load("config/tollway.yaml", environment())
"""

from tollway.settings.environment import environment
from tollway.settings.faults import BadConfiguration, Fault
from tollway.settings.loader import load, load_struct, read
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
    Entity,
    GuardrailSettings,
    KeySettings,
    LogSettings,
    PiiCheckSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TelemetrySettings,
    TenantSettings,
    decode,
    encode,
)
from tollway.settings.values import LimitSettings, Secret

__all__ = [
    "BadConfiguration",
    "BreakerSettings",
    "Entity",
    "EntraSettings",
    "FallbackSettings",
    "Fault",
    "GuardrailSettings",
    "HedgeSettings",
    "KeySettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "PiiCheckSettings",
    "PriceSettings",
    "ProbeSettings",
    "ProviderKeySettings",
    "ProviderKind",
    "ProviderSettings",
    "RetriesSettings",
    "RuleSettings",
    "Secret",
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
    "WhenSettings",
    "decode",
    "encode",
    "environment",
    "load",
    "load_struct",
    "read",
    "read_account",
    "schema",
    "schema_text",
]
