"""What the configuration language knows but this version does not do yet.

A part is accepted only once it works, and a file that asks for it is told so plainly, instead of hearing that the
key is unknown or, worse, nothing. Whoever builds a part deletes its line here. Paths are those of ``conversion.Place``:
``*`` stands for any name, ``[]`` for any item.
"""

from collections.abc import Mapping

KEYS: Mapping[str, str] = {
    "server.trusted_proxies": "trusting proxies",
    "telemetry.otlp": "OpenTelemetry export",
    "telemetry.trace_sample": "tracing",
    "alerts": "alerts",
    "tenants.*.logging_policy": "logging of payloads",
}
"""Keys; they may stand in a file as long as they are off."""


def sentence(what: str) -> str:
    """What a file is told that asks for an absent part."""
    return f"{what} is not part of this version; remove it"
