"""Settings: ``tollway.yaml`` and the environment in, one frozen value out.

``load`` reports everything that is wrong at once, each fault with its path, line and column. Only ``environment``
reads the process environment; nothing here opens a socket or a database.

::

    settings = load("config/tollway.yaml", environment())
"""

from tollway.settings.environment import environment
from tollway.settings.faults import BadConfiguration, Fault
from tollway.settings.loader import load, load_struct, read
from tollway.settings.schema import schema, schema_text
from tollway.settings.service_account import ServiceAccount, read_account
from tollway.settings.structs import (
    Entity,
    EntraSettings,
    GuardrailSettings,
    KeySettings,
    LimitSettings,
    LogSettings,
    ModelSettings,
    PiiCheckSettings,
    PriceSettings,
    ProviderKind,
    ProviderSettings,
    Secret,
    ServerSettings,
    Settings,
    StorageSettings,
    TargetSettings,
    TelemetrySettings,
    TenantSettings,
    TimeoutSettings,
    decode,
    encode,
)

__all__ = [
    "BadConfiguration",
    "Entity",
    "EntraSettings",
    "Fault",
    "GuardrailSettings",
    "KeySettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "PiiCheckSettings",
    "PriceSettings",
    "ProviderKind",
    "ProviderSettings",
    "Secret",
    "ServerSettings",
    "ServiceAccount",
    "Settings",
    "StorageSettings",
    "TargetSettings",
    "TelemetrySettings",
    "TenantSettings",
    "TimeoutSettings",
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
