"""Whether a value satisfies a JSON schema: a plain reading of the keywords that the simulator honours."""

import re
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(value: Any, schema: Any, root: Any = None) -> list[str]:
    """What is wrong with ``value``; nothing when it conforms."""
    root = schema if root is None else root
    if schema is True:
        return []
    if schema is False:
        return ["nothing conforms"]
    found = list(_own_faults(value, schema))
    if "$ref" in schema:
        found += faults(value, _referred(schema["$ref"], root), root)
    for part in schema.get("allOf", ()):
        found += faults(value, part, root)
    for key in ("anyOf", "oneOf"):
        if key in schema and all(faults(value, branch, root) for branch in schema[key]):
            found.append(f"no branch of {key} fits {value!r}")
    if isinstance(value, dict):
        found += _object_faults(value, schema, root)
    if isinstance(value, list):
        found += _array_faults(value, schema, root)
    return found


def _referred(reference: str, root: Any) -> Any:
    for step in reference.removeprefix("#").split("/")[1:]:
        root = root[step]
    return root


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _own_faults(value: Any, schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    checks = {
        "type": not kinds or any(_is(value, kind) for kind in kinds),
        "const": "const" not in schema or value == schema["const"],
        "enum": "enum" not in schema or value in schema["enum"],
    }
    if isinstance(value, str):
        checks["minLength"] = len(value) >= schema.get("minLength", 0)
        checks["maxLength"] = len(value) <= schema.get("maxLength", len(value))
        checks["pattern"] = re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks["minimum"] = value >= schema.get("minimum", value)
        checks["maximum"] = value <= schema.get("maximum", value)
        checks["exclusiveMinimum"] = value > schema.get("exclusiveMinimum", value - 1)
        checks["exclusiveMaximum"] = value < schema.get("exclusiveMaximum", value + 1)
        step = schema.get("multipleOf", 0)
        checks["multipleOf"] = not step or abs(value / step - round(value / step)) < 1e-9
    return [f"{name} of {schema} does not hold for {value!r}" for name, holds in checks.items() if not holds]


def _object_faults(value: dict[str, Any], schema: dict[str, Any], root: Any) -> list[str]:
    found = [f"{name!r} is missing" for name in schema.get("required", ()) if name not in value]
    if len(value) < schema.get("minProperties", 0):
        found.append("too few properties")
    extra = schema.get("additionalProperties", True)
    for name, inner in value.items():
        found += faults(inner, schema.get("properties", {}).get(name, extra), root)
    return found


def _array_faults(value: list[Any], schema: dict[str, Any], root: Any) -> list[str]:
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{len(value)} items")
    if schema.get("uniqueItems") and any(item in value[:place] for place, item in enumerate(value)):
        found.append("items twice")
    prefix = schema.get("prefixItems", [])
    for place, item in enumerate(value):
        found += faults(item, prefix[place] if place < len(prefix) else schema.get("items", True), root)
    return found
