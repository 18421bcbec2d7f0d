"""The JSON schema of ``tollway.yaml``, for editors: drawn from the structs, so it can't lag behind them.

JSON Schema draft 2020-12. It describes what is *written* (``20MiB``), where msgspec's own generator describes what
is kept (20971520); hence our own walk over the same type information. A variable may stand wherever a single value
may. The loader stays the judge: names that must exist and the like are beyond a schema.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import NODEFAULT, inspect

from tollway.settings import absent
from tollway.settings.structs import Settings
from tollway.settings.units import (
    DURATION_PATTERN,
    FACTOR_PATTERN,
    MONEY_PATTERN,
    PRICE_PATTERN,
    SHARE_PATTERN,
    SIZE_PATTERN,
)
from tollway.settings.values import Secret

Schema = dict[str, Any]

_VARIABLE = "#/$defs/Variable"
_WRITTEN: Final[Mapping[str, Schema]] = {
    "size_bytes": {"type": ["integer", "string"], "pattern": SIZE_PATTERN, "examples": ["20MiB"]},
    "duration_s": {"type": "string", "pattern": DURATION_PATTERN, "examples": ["500ms", "2s", "10m"]},
    "confidence": {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.5]},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "examples": [0.7]},
    "share": {"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%", "0.5%"]},
    "picousd": {"type": ["number", "string"], "pattern": MONEY_PATTERN, "minimum": 0, "examples": [0.01]},
    "picousd_per_token": {"type": ["number", "string"], "pattern": PRICE_PATTERN, "minimum": 0, "examples": [0.15]},
    "millionths": {"type": ["number", "string"], "pattern": FACTOR_PATTERN, "minimum": 0, "examples": [1.15]},
    "instant_ms": {"type": "string", "examples": ["2027-01-31", "2027-01-31T12:00:00Z"]},
}

_OFF: Final[list[Any]] = [None, False, [], {}]


def schema_text() -> str:
    """The schema as ``config/tollway.schema.json`` holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The whole schema, ready for ``json.dumps``."""
    definitions: dict[str, Schema] = {
        "Variable": {
            "description": "A value with environment variables in it.",
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
        }
    }
    _describe(inspect.type_info(Settings), "", definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tollway configuration",
        "$ref": "#/$defs/Settings",
        "$defs": dict(sorted(definitions.items())),
    }


def _describe(info: inspect.Type, shape: str, definitions: dict[str, Schema]) -> Schema:
    match info:
        case inspect.Metadata(type=inner, extra=extra, extra_json_schema=more):
            reader = (extra or {}).get("reads")
            described = _or_variable(_WRITTEN[reader]) if reader else _describe(inner, shape, definitions)
            return {**(more or {}), **described}
        case inspect.StructType(cls=cls) if cls is Secret:
            return {"type": "string"}
        case inspect.StructType(cls=cls):
            return _struct(info, cls.__name__, shape, definitions)
        case inspect.DictType(key_type=key, value_type=value, max_length=high):
            described = {
                "type": "object",
                "propertyNames": _plain(key),
                "additionalProperties": _describe(value, f"{shape}.*", definitions),
            }
            return described if high is None else described | {"maxProperties": high}
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            bounds = {"minItems": low, "maxItems": high}
            described = {"type": "array", "items": _describe(item, f"{shape}[]", definitions)}
            return described | {name: bound for name, bound in bounds.items() if bound is not None}
        case inspect.UnionType(types=options):
            return {"anyOf": [_describe(option, shape, definitions) for option in options]}
        case inspect.StrType(pattern=None):
            return _plain(info)
        case inspect.NoneType():
            return {"type": "null"}
    return _or_variable(_plain(info))


def _struct(info: inspect.StructType, name: str, shape: str, definitions: dict[str, Schema]) -> Schema:
    reference = {"$ref": f"#/$defs/{name}"}
    if name in definitions:
        return reference
    definitions[name] = {}  # claimed first, should a struct ever hold itself
    below = f"{shape}." if shape else ""
    tag = info.tag_field
    properties: dict[str, Schema] = {tag: {"enum": [info.tag]}} if tag else {}
    for field in info.fields:
        described = _describe(field.type, below + field.encode_name, definitions)
        if field.default is not NODEFAULT and isinstance(field.default, bool | str | int):
            described = {**described, "default": field.default}
        properties[field.encode_name] = described
    for path, what in absent.KEYS.items():
        parent, _, key = path.rpartition(".")
        if parent == shape:
            properties[key] = {"description": f"{what[0].upper()}{what[1:]}: not part of this version.", "enum": _OFF}
    definitions[name] = {
        "description": (info.cls.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": [*([tag] if tag else []), *_required(info)],
        "additionalProperties": False,
    }
    return reference


def _required(info: inspect.StructType) -> list[str]:
    return [field.encode_name for field in info.fields if field.required]


def _plain(info: inspect.Type) -> Schema:
    match info:
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            bounds = {"minLength": low, "maxLength": high, "pattern": pattern}
            return {"type": "string"} | {name: bound for name, bound in bounds.items() if bound is not None}
        case inspect.IntType(ge=low, le=high):
            bounds = {"minimum": low, "maximum": high}
            return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.LiteralType(values=values):
            return {"enum": list(values)}
    raise TypeError(f"a setting of type {info!r} has no schema yet")


def _or_variable(described: Schema) -> Schema:
    return {"anyOf": [described, {"$ref": _VARIABLE}]}
