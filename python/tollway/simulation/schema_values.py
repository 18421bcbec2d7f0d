"""Values that satisfy a JSON schema: the arguments of tool calls, and answers in a given form.

Honours type, enum, const, anyOf, oneOf, allOf, $ref, properties, required, additionalProperties, minProperties, items,
prefixItems, minItems, maxItems, uniqueItems, minLength, maxLength, pattern, format, minimum, maximum (also exclusive)
and multipleOf. What else restricts a value (``not``, ``if``, ``contains``…) is refused, as OpenAI's structured outputs
refuse it. A schema comes from a client: the size, the depth and the time of what is made of it are bounded.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from tollway.simulation.patterns import UnsupportedPattern, matching

UNSUPPORTED = frozenset(
    {"not", "if", "contains", "dependentRequired", "dependentSchemas", "propertyNames", "unevaluatedProperties"}
)

_NODES_ALLOWED = 2_000
_NODES_PER_PATTERN = 30
_DEPTH_ALLOWED = 40
_DEPTH_FULL = 4  # below it, optional properties and items are left out, so that recursive schemas end
_LENGTH_ALLOWED = 10_000
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper")

_FORMATS = {
    "date": "2026-05-17",
    "time": "09:30:00Z",
    "date-time": "2026-05-17T09:30:00Z",
    "duration": "PT15M",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "www.example.com",
    "idn-hostname": "www.example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/amber",
    "uri-reference": "/amber",
    "iri": "https://example.com/amber",
    "uuid": "6f1c2e0a-9d5b-4c3e-8a17-2b4f60d9c1e5",
    "json-pointer": "/amber",
    "regex": "amber",
}


class UnsupportedSchema(Exception):
    """No value is made: the schema contradicts itself, is too large, or uses what is not honoured."""


def value(schema: Any, random: Random, words: Sequence[str] = ()) -> Any:
    """A value that satisfies ``schema``; free strings are taken from ``words`` first.

    Raises:
        UnsupportedSchema: see there.
    """
    return _Maker(schema, random, [*words] or list(_WORDS)).make(schema, 0)


class _Maker:
    def __init__(self, root: Any, random: Random, words: list[str]) -> None:
        self._root = root
        self._random = random
        self._words = words
        self._nodes = 0

    def make(self, schema: Any, depth: int) -> Any:
        schema = self._resolved(_mapping(schema), depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._one_of(_listed(schema, "enum"))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._branch(schema, key, depth)
        return self._typed(schema, depth)

    def _resolved(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """``schema`` with ``$ref`` and ``allOf`` written out."""
        self._spend(1)
        if depth > _DEPTH_ALLOWED:
            raise UnsupportedSchema("the schema asks for too deep a value")
        for _ in range(_DEPTH_ALLOWED):
            if not UNSUPPORTED.isdisjoint(schema):
                raise UnsupportedSchema(f"{min(UNSUPPORTED & schema.keys())!r} is not supported")
            if "$ref" in schema:
                rest = {key: given for key, given in schema.items() if key != "$ref"}
                schema = _merged(self._referred(schema["$ref"]), rest)
            elif "allOf" in schema:
                merged = {key: given for key, given in schema.items() if key != "allOf"}
                for part in _listed(schema, "allOf"):
                    merged = _merged(merged, self._resolved(_mapping(part), depth + 1))
                schema = merged
            else:
                return schema
        raise UnsupportedSchema("references that never end")

    def _spend(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > _NODES_ALLOWED:
            raise UnsupportedSchema("the schema asks for too large a value")

    def _referred(self, reference: Any) -> dict[str, Any]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise UnsupportedSchema("only references inside the schema are followed")
        found = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise UnsupportedSchema(f"{reference!r} leads nowhere")
            found = found[name]
        return _mapping(found)

    def _branch(self, schema: dict[str, Any], key: str, depth: int) -> Any:
        """One of the alternatives; deep down the smallest, since it's the one that ends."""
        rest = {name: given for name, given in schema.items() if name != key}
        branches = [_merged(rest, self._resolved(_mapping(branch), depth + 1)) for branch in _listed(schema, key)]
        if depth < _DEPTH_FULL:
            return self.make(self._one_of(branches), depth + 1)
        return self.make(min(branches, key=_weight), depth + 1)

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type") or _implied_type(schema)
        if isinstance(kind, list):
            scalars = [name for name in kind if name != "null"]
            kind = "null" if not scalars or ("null" in kind and depth >= _DEPTH_FULL) else scalars[0]
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
        raise UnsupportedSchema(f"{kind!r} is no type")

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = _mapping(schema.get("properties", {}))
        required = set(_names(schema))
        least = _whole(schema, "minProperties", 0)
        made = {
            name: self.make(inner, depth + 1)
            for name, inner in properties.items()
            if name in required or (depth < _DEPTH_FULL and self._random.random() < 0.5)
        }
        for name, inner in properties.items():
            if len(made) < least and name not in made:
                made[name] = self.make(inner, depth + 1)
        extra = schema.get("additionalProperties", True)
        missing = sorted(required - made.keys())
        missing += [f"{_WORDS[i % len(_WORDS)]}_{i}" for i in range(least - len(made) - len(missing))]
        if missing and extra is False:
            raise UnsupportedSchema("required properties that are not allowed")
        for name in missing:
            made[name] = self.make(extra, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix = _listed(schema, "prefixItems") if "prefixItems" in schema else []
        least = max(_whole(schema, "minItems", 0), len(prefix))
        most = _whole(schema, "maxItems", least + 2)
        if least > most:
            raise UnsupportedSchema("minItems is above maxItems")
        length = least if depth >= _DEPTH_FULL else self._random.randint(max(least, min(1, most)), min(most, least + 2))
        items = schema.get("items", True)
        made: list[Any] = []
        attempts = 0
        while len(made) < length:
            attempts += 1
            inner = prefix[len(made)] if len(made) < len(prefix) else items
            item = self.make(inner, depth + 1)
            if schema.get("uniqueItems") and item in made:
                if attempts <= 20 * length:
                    continue
                if len(made) >= least:
                    break
                raise UnsupportedSchema("not enough different items")
            made.append(item)
        return made

    def _string(self, schema: dict[str, Any]) -> str:
        least, most = _whole(schema, "minLength", 0), _whole(schema, "maxLength", _LENGTH_ALLOWED)
        if least > most:
            raise UnsupportedSchema("minLength is above maxLength")
        if "pattern" in schema:
            return self._patterned(str(schema["pattern"]), least, most)
        text = _FORMATS.get(str(schema.get("format"))) or self._one_of(self._words)
        while len(text) < least:
            text = f"{text} {self._one_of(self._words)}"
        return text[:most]

    def _patterned(self, pattern: str, least: int, most: int) -> str:
        for _ in range(20):
            self._spend(_NODES_PER_PATTERN)
            try:
                text = matching(pattern, self._random)
            except UnsupportedPattern as unsupported:
                raise UnsupportedSchema(str(unsupported)) from unsupported
            if least <= len(text) <= most:
                return text
        raise UnsupportedSchema("no text of that pattern and length was found")

    def _integer(self, schema: dict[str, Any]) -> int:
        step = _number(schema, "multipleOf") or Decimal(1)
        if step % 1:
            raise UnsupportedSchema("an integer that is a multiple of a fraction")
        return int(self._multiple(schema, step))

    def _number(self, schema: dict[str, Any]) -> float:
        step = _number(schema, "multipleOf")
        if step is not None:
            return float(self._multiple(schema, step))
        low, high = _bounds(schema)
        if low > high:
            raise UnsupportedSchema("minimum is above maximum")
        share = Decimal(self._random.randint(1, 99)) / 100  # never an end, so exclusive bounds hold
        between = low + (high - low) * share
        return float(round(between, 6) if high - low > 1 else between)

    def _multiple(self, schema: dict[str, Any], step: Decimal) -> Decimal:
        low, high = _bounds(schema)
        first, last = math.ceil(low / step), math.floor(high / step)
        first += step * first == _number(schema, "exclusiveMinimum")
        last -= step * last == _number(schema, "exclusiveMaximum")
        if first > last:
            raise UnsupportedSchema("no number lies between the bounds")
        return step * self._random.randint(first, min(last, first + 100))

    def _one_of(self, choices: Sequence[Any]) -> Any:
        return choices[self._random.randrange(len(choices))]


def _bounds(schema: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """The smallest and the largest number; where only one is given, a stretch that starts or ends there."""
    lows = [bound for name in ("minimum", "exclusiveMinimum") if (bound := _number(schema, name)) is not None]
    highs = [bound for name in ("maximum", "exclusiveMaximum") if (bound := _number(schema, name)) is not None]
    stretch = max(100, 20 * (_number(schema, "multipleOf") or 0))
    if lows:
        return max(lows), min(highs, default=max(lows) + stretch)
    high = min(highs, default=Decimal(stretch))
    return min(Decimal(0), high - stretch), high


def _number(schema: Mapping[str, Any], name: str) -> Decimal | None:
    given = schema.get(name)
    if given is None or isinstance(given, bool):
        return None
    if not isinstance(given, int | float) or not abs(given) < 1e15:
        raise UnsupportedSchema(f"{name!r} is no number that fits")
    if name == "multipleOf" and given <= 0:
        raise UnsupportedSchema("'multipleOf' is not above zero")
    return Decimal(str(given))


def _whole(schema: Mapping[str, Any], name: str, default: int) -> int:
    given = schema.get(name, default)
    if name.startswith("max") and isinstance(given, int):
        given = min(given, _LENGTH_ALLOWED)
    if not isinstance(given, int) or not 0 <= given <= _LENGTH_ALLOWED:
        raise UnsupportedSchema(f"{name!r} is no count, or too large a one")
    return given


def _listed(schema: Mapping[str, Any], name: str) -> list[Any]:
    given = schema[name]
    if not isinstance(given, list) or not given:
        raise UnsupportedSchema(f"{name!r} is no list, or an empty one")
    return given


def _names(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("required", [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise UnsupportedSchema("'required' is no list of names")
    return given


def _mapping(given: Any) -> dict[str, Any]:
    if given is True:
        return {}
    if not isinstance(given, dict):
        raise UnsupportedSchema("not a schema, or one that nothing satisfies")
    return given


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both at once; where they say the same keyword, ``second`` wins, but for properties, which add up."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**_mapping(first["properties"]), **_mapping(second["properties"])}
    if "required" in first and "required" in second:
        merged["required"] = [*_names(first), *_names(second)]
    return merged


def _implied_type(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "required" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if any(name in schema for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
        return "number"
    return "string"


def _weight(schema: Mapping[str, Any]) -> int:
    """How much below a schema has to be made: nothing for a scalar, least for what has no required properties."""
    if schema.get("type") == "null" or "const" in schema or "enum" in schema:
        return 0
    if _implied_type(schema) == "object" or schema.get("type") == "object":
        return 2 + len(_names(schema))
    return 1
