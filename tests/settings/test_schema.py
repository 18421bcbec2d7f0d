"""The JSON schema: fresh, in agreement with the loader, and covered by the annotated file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import inspect

from tollway.settings import LimitSettings, Secret, Settings, read, schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = (CONFIG / "tollway.yaml").read_text()
ENVIRON = dict.fromkeys(
    (
        "XAI_API_KEY",
        "AZURE_OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "MISTRAL_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "ELSEWHERE_API_KEY",
        "ACME_CI_KEY",
        "DLP_SECRET",
    ),
    "0123456789abcdef",
)


MODEL = """\
version: 1
providers: {p: {kind: simulator}}
models:
  m:
    targets: [{provider: p, model: m, tags: [a]}]
    """


def in_use(text: str) -> str:
    """The annotated file with everything in it taken into use."""
    return re.sub(r"^( *)#(?=\S)", r"\1", text.replace("tenants: {}\n", ""), flags=re.MULTILINE)


def complaints(value: Any, rule: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """What a validator of JSON Schema would say, for the keywords that our schema uses."""
    if "$ref" in rule:
        yield from complaints(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in rule and all(list(complaints(value, option, root, at)) for option in rule["anyOf"]):
        yield f"{at}: none of the alternatives"
    if "enum" in rule and value not in rule["enum"]:
        yield f"{at}: {value!r} is not in {rule['enum']}"
    kinds = rule.get("type", [])
    if kinds and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{at}: {value!r} is not {kinds}"
    match value:
        case dict():
            yield from _table_complaints(value, rule, root, at)
        case list():
            yield from _list_complaints(value, rule, root, at)
        case str():
            yield from _bounds(len(value), rule, "minLength", "maxLength", at)
            if not re.search(rule.get("pattern", ""), value):
                yield f"{at}: {value!r} does not match {rule['pattern']}"
        case int() | float():
            yield from _bounds(value, rule, "minimum", "maximum", at)


def _table_complaints(value: dict[str, Any], rule: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}: {name} is missing" for name in rule.get("required", []) if name not in value)
    for name, item in value.items():
        yield from complaints(name, rule.get("propertyNames", {}), root, f"{at}.{name}")
        below = rule.get("properties", {}).get(name, rule.get("additionalProperties", {}))
        if below is False:
            yield f"{at}: {name} is unknown"
        else:
            yield from complaints(item, below, root, f"{at}.{name}")


def _list_complaints(value: list[Any], rule: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    yield from _bounds(len(value), rule, "minItems", "maxItems", at)
    for index, item in enumerate(value):
        yield from complaints(item, rule.get("items", {}), root, f"{at}[{index}]")


def _bounds(value: float, rule: dict[str, Any], low: str, high: str, at: str) -> Iterator[str]:
    if not rule.get(low, value) <= value <= rule.get(high, value):
        yield f"{at}: {value} is out of bounds"


def _is(value: Any, kind: str) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "null": (type(None),),
    }
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))


class _EditorsLoader(yaml.SafeLoader):
    """Editors read YAML 1.2, where a date is text."""


_EditorsLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def judged(text: str) -> list[str]:
    return list(complaints(yaml.load(text, _EditorsLoader), schema(), schema()))  # noqa: S506 - a SafeLoader


def test_the_file_in_config_is_fresh() -> None:
    assert (CONFIG / "tollway.schema.json").read_text() == schema_text()
    assert json.loads(schema_text()) == schema()


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', schema_text()))
    assert references == set(schema()["$defs"])


@pytest.mark.parametrize("text", [SHIPPED, in_use(SHIPPED)], ids=["as shipped", "all in use"])
def test_the_annotated_file_agrees_with_the_schema_and_the_loader(text: str) -> None:
    assert judged(text) == []
    read(text, ENVIRON)


def test_the_annotated_file_names_its_schema() -> None:
    assert SHIPPED.startswith("# yaml-language-server: $schema=./tollway.schema.json\n")


@pytest.mark.parametrize(
    "text",
    [
        "server: {}",
        "version: 2",
        "version: 1\nserver: {port: 70000}",
        "version: 1\nserver: {port: [1]}",
        "version: 1\nserver: {workers: many}",
        "version: 1\nserver: {drain: 120}",
        "version: 1\nserver: {max_body: 20 MiB}",
        "version: 1\nsevrer: {}",
        "version: 1\ncache: {exact: {ttl: 3600}}",
        "version: 1\ncache: {exact: {max_temperature: 3}}",
        "version: 1\ncache: {semantic: {max_wrong: 0.01}}",
        "version: 1\ncache: {scope: everybody}",
        "version: 1\ntenants: {a: {cache: {max_entries: 1}}}",
        "version: 1\ntenants: {a: {cache: 'none'}}",
        "version: 1\nproviders: {p: {kind: nobody}}",
        "version: 1\nmodels: {m: {targets: []}}",
        "version: 1\ntenants: {a/b: {}}",
        "version: 1\ntenants: {a: {monthly_budget_usd: -1}}",
        "version: 1\nbudgets: {all: {amount_usd: 1, period: day}}",
        "version: 1\nbudgets: [{name: a, period: day}]",
        "version: 1\nbudgets: [{name: a, amount_usd: 1, period: year}]",
        "version: 1\nbudgets: [{name: a, amount_usd: 1, period: day, warn_at: [101]}]",
        MODEL + "strategy: fastest",
        MODEL + "retries: {budget: 0.2}",
        MODEL + "retries: {attempts: 0}",
        MODEL + "fallbacks: m",
        MODEL + "fallbacks: {errors: [m]}",
        MODEL + "hedge: {after: p99}",
        MODEL + "hedge: {max_cost_usd: -1}",
        MODEL + "shadow: {model: m}",
        MODEL + "timeouts: {keep_alive: never}",
        MODEL + "rules: [{name: r, to: []}]",
        MODEL + "rules: [{name: r, to: [a], when: {needs: [sight]}}]",
        "version: 1\nproviders: {p: {kind: openai, keys: [{name: a}]}}",
        "version: 1\nproviders: {p: {kind: openai, api_key: k, breaker: {failure_rate: 50}}}",
        "version: 1\nproviders: {p: {kind: openai, api_key: k, probe: {path: models}}}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    assert judged(text)


@pytest.mark.parametrize(
    "text",
    [
        "version: 1",
        "version: 1\nserver: {port: '${PORT:-1}', workers: auto, max_body: 4096, trusted_proxies: []}",
        "version: 1\nstorage: {redis: null, postgres: '${PG:-embedded}'}",
        "version: 1\nstorage: {redis: '${REDIS:-}'}",
        "version: 1\ntenants: {a: {monthly_budget_usd: 0}, b: {monthly_budget_usd: null}, c: {monthly_budget_usd: 9}}",
        "version: 1\nbudgets: [{name: a, amount_usd: '${A:-5}', period: day, rolling: true, user: u, per: [model]}]",
        "version: 1\ncache: {exact: {}, semantic: {adaptive: true, shadow: 0%}, scope: user, pace: 80}",
        "version: 1\ncache: null\ntenants: {a: {cache: 'off'}, b: {cache: {exact: {ttl: '${TTL:-5m}'}}}}",
        MODEL + "fallbacks: [m]\n    hedge: {after: 2s, budget: 0.5%, max_cost_usd: 0.01}",
        MODEL + "fallbacks: {error: [m], rate_limit: []}\n    hedge: {after: p95}",
        MODEL + "timeouts: {keep_alive: 'off'}\n    hedge: null\n    retries: {budget: '${B:-5%}'}",
        "version: 1\nlimits: {a: {rpm: 1, tpm: null}}\ntenants: {t: {limits: a}, u: {limits: {rpm: 1}}}",
    ],
)
def test_the_schema_takes_what_the_loader_takes(text: str) -> None:
    read(text, {})
    assert judged(text) == []


def _below(info: inspect.Type) -> list[inspect.Type]:
    """The types that a type is made of, without a name of their own in the file."""
    match info:
        case inspect.Metadata(type=inner) | inspect.DictType(value_type=inner) | inspect.VarTupleType(item_type=inner):
            return [inner]
        case inspect.UnionType(types=options):
            return list(options)
    return []


def _fields(info: inspect.Type) -> list[inspect.Field]:
    return list(info.fields) if isinstance(info, inspect.StructType) and info.cls is not Secret else []


def _keys(info: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the language by its path, names that users give left out."""
    for inner in _below(info):
        yield from _keys(inner, path)
    for field in _fields(info):
        yield (*path, field.encode_name)
        yield from _keys(field.type, (*path, field.encode_name))


def _used(value: Any, info: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys that a file uses, by the same paths."""
    values = [value]
    if isinstance(info, inspect.DictType | inspect.VarTupleType):
        values = list(value.values() if isinstance(value, dict) else value)
    for inner in _below(info):
        for item in values:
            yield from _used(item, inner, path)
    for field in _fields(info):
        if isinstance(value, dict) and field.encode_name in value:
            yield (*path, field.encode_name)
            yield from _used(value[field.encode_name], field.type, (*path, field.encode_name))


def test_the_annotated_file_shows_every_key_there_is() -> None:
    info = inspect.type_info(Settings)
    used = set(_used(yaml.safe_load(in_use(SHIPPED)), info))
    # The limits of a tenant and of a key have the same keys as those under limits, where they are shown in full; and
    # a shadow takes what a target takes.
    limits = {path for path in _keys(info) if "limits" in path[1:] and path[-1] in LimitSettings.__struct_fields__}
    repeated = limits | {path for path in _keys(info) if path[:3] == ("models", "shadow", "takes")}
    # Of checks, input and output have the same keys: each need be shown in one of them.
    repeated |= {
        ("guardrails", direction, *path[2:])
        for direction in ("input", "output")
        for path in used
        if path[0] == "guardrails"
    }
    # Whatever has rates has the same ones, which a model's price shows in full, and a tenant's price is like that.
    price, below = ("models", "price"), {"tiers", "service_tiers", "versions"}
    repeated |= {path for path in _keys(info) if path[:2] == price and path[2:3] and below & set(path[2:-1])}
    repeated |= {path for path in _keys(info) if path[:2] == ("tenants", "prices") and len(path) > 2}
    # A tenant's cache and a key's are written like the file's, where max_entries need stand but once.
    repeated |= {path for path in _keys(info) if path[0] == "tenants" and "cache" in path[:-1]}
    repeated |= {("cache", "semantic", "max_entries")}
    assert set(_keys(info)) - used - repeated == set()
