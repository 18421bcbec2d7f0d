"""What a caller of the control plane may be allowed: permissions, and the roles that are sets of them. Plain data."""

from tollway.contract.keys import GATEWAY_USE

ADMIN: frozenset[str] = frozenset(
    {
        "alerts:update",
        "alerts:view",
        "api_keys:create",
        "api_keys:delete",
        "api_keys:view",
        "audit:view",
        "billing:update",
        "billing:view",
        "cache:update",
        "cache:view",
        "guardrails:test",
        "guardrails:update",
        "guardrails:view",
        "router:update",
        "router:view",
        "tenants:update",
        "tenants:view",
        "users:create",
        "users:delete",
        "users:update",
        "users:view",
    }
)
"""Every permission of the control plane: the scopes of an admin key unless fewer are asked for."""

EVERY: frozenset[str] = ADMIN | {GATEWAY_USE}

_VIEW = frozenset(name for name in ADMIN if name.endswith(":view"))

ROLES: dict[str, frozenset[str]] = {
    "platform_admin": EVERY,
    "tenant_admin": EVERY - {"billing:update", "router:update"},
    "developer": frozenset(
        {GATEWAY_USE, "api_keys:view", "api_keys:create", "api_keys:delete", "guardrails:test", "guardrails:view"}
        | {"router:view", "billing:view", "cache:view"}
    ),
    "billing": frozenset({"billing:view", "billing:update", "tenants:view", "alerts:view", "alerts:update"}),
    "auditor": frozenset({"audit:view", "billing:view", "tenants:view", "users:view", "api_keys:view"}),
    "viewer": _VIEW - {"audit:view"},
}
