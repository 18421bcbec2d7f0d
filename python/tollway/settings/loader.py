"""A file and an environment in, checked settings out; or everything that is wrong with them, at once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tollway.settings import cache_checks, checks, document, guardrail_checks, json_document, price_checks
from tollway.settings.cache import CachePolicySettings
from tollway.settings.conversion import Struct, convert
from tollway.settings.faults import BadConfiguration, Fault
from tollway.settings.guardrails import GuardrailSettings
from tollway.settings.structs import Settings, TenantPriceSettings

Check = Callable[[Struct, document.Document], list[Fault]]
"""What looks for faults between fields, once each of them has been read; the document has the faults of that."""


def load(path: str | Path, environ: Mapping[str, str]) -> Settings:
    """The settings in the file at ``path``, its variables taken from ``environ``.

    Raises:
        BadConfiguration: the file can't be read or has faults.
    """
    return read(_text(path), environ, name=str(path))


def read(text: str, environ: Mapping[str, str], *, name: str = "tollway.yaml") -> Settings:
    """``load`` for a text at hand; ``name`` is what faults call it.

    Raises:
        BadConfiguration: the text has faults.
    """
    return _parse(text, environ, name, Settings, checks.check)


def load_struct(path: str | Path, struct: type[Struct], check: Check[Struct]) -> Struct:
    """Another YAML file, read by the same rules but without variables: ``prices.yaml``.

    Raises:
        BadConfiguration: the file can't be read or has faults.
    """
    return _parse(_text(path), None, str(path), struct, check)


def read_policy(data: bytes, settings: Settings) -> GuardrailSettings:
    """A guardrail policy as JSON, by the rules of the file; what it names of models is what ``settings`` have.

    Raises:
        BadConfiguration: it has faults; their paths begin inside the policy.
    """

    def check(policy: GuardrailSettings, parsed: document.Document) -> list[Fault]:
        found = guardrail_checks.check_policy((), policy, settings, parsed)
        return [Fault(document.dotted(path), 1, 1, message) for path, message in found]

    return _convert(json_document.read_json(data), "policy", GuardrailSettings, check)


def read_tenant_prices(data: bytes, settings: Settings) -> TenantPriceSettings:
    """A tenant's own prices as JSON, by the rules of the file; their models are those that ``settings`` have.

    Raises:
        BadConfiguration: they have faults.
    """

    def check(prices: TenantPriceSettings, parsed: document.Document) -> list[Fault]:
        found = price_checks.check_tenant_prices((), prices, settings)
        return [Fault(document.dotted(path), 1, 1, message) for path, message in found]

    return _convert(json_document.read_json(data), "prices", TenantPriceSettings, check)


def read_cache_policy(data: bytes, settings: Settings) -> CachePolicySettings:
    """What a tenant or a key says of the cache as JSON, by the rules of the file; its embedder is one that ``settings``
    have.

    Raises:
        BadConfiguration: it has faults; their paths begin inside the policy.
    """

    def check(policy: CachePolicySettings, parsed: document.Document) -> list[Fault]:
        if policy.semantic is None or parsed.is_faulty(("semantic", "embedder")):
            return []
        path = ("semantic", "embedder")
        found = cache_checks.check_embedder(path, policy.semantic.embedder, settings)
        return [Fault(document.dotted(path), 1, 1, message) for path, message in found]

    return _convert(json_document.read_json(data), "cache", CachePolicySettings, check)


def _parse(
    text: str, environ: Mapping[str, str] | None, name: str, struct: type[Struct], check: Check[Struct]
) -> Struct:
    return _convert(document.read(text, environ), name, struct, check)


def _convert(parsed: document.Document, name: str, struct: type[Struct], check: Check[Struct]) -> Struct:
    value, faults = convert(parsed, struct)
    if value is not None:
        faults += check(value, replace(parsed, faults=tuple(faults)))
    if value is None or faults:
        raise BadConfiguration(name, faults)
    return value


def _text(path: str | Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(document.TEXT_LIMIT_BYTES + 1)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadConfiguration(str(path), [Fault("", 1, 1, f"can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadConfiguration(str(path), [Fault("", line, 1, "is not UTF-8")]) from None
