"""Schemas of tools for providers that ask for a plain object at their root.

OpenAI, Anthropic and Claude at Amazon refuse ``anyOf``, ``oneOf`` and ``allOf`` there, and a root that is a reference;
tools of MCP servers have both. The alternatives' members are put together, so that whatever the schema takes is taken
still, and what can't be said that way moves to the description, where the model reads it.
Sources: OpenAI's refusal "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top
level", and "object schema missing properties"; Anthropic's "input_schema does not support oneOf, allOf, or anyOf at
the top level".
"""

from collections.abc import Sequence
from typing import Any

import msgspec

MAX_FOLLOWED = 16
"""A root that leads through more references and alternatives within each other is left as it is."""

MAX_DEPTH = 64
"""A schema nested deeper is not looked through."""

_HOLDERS = ("anyOf", "items", "prefixItems", "additionalProperties")
_NAMED = ("properties", "$defs", "definitions")

CHOICES = ("anyOf", "oneOf")
OPENAIS_CHOICES = (*CHOICES, "not", "enum")
"""What can't stand at a root and is no list of demands: Anthropic's, and OpenAI's."""

Schema = dict[str, Any]


def rooted(schema: Schema, refused: Sequence[str] = CHOICES) -> Schema:
    """``schema`` with an object at its root and nothing of ``refused`` and no ``allOf`` beside it."""
    plain = _flat(schema, schema, refused, 0)
    told = plain.get("type")
    if told is None or (isinstance(told, list) and "object" in told):
        return {**plain, "type": "object"} if "type" in plain else {"type": "object", **plain}
    return plain


def is_closed(schema: Any, depth: int = 0) -> bool:
    """Whether OpenAI can hold a model to it: every object names all its members, needs them, and has no others."""
    if isinstance(schema, list):
        return all(is_closed(each, depth + 1) for each in schema)
    if not isinstance(schema, dict):
        return True
    if depth > MAX_DEPTH:
        return False
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        names = list(properties) if isinstance(properties, dict) else []
        if schema.get("additionalProperties") is not False or set(names) != set(_texts(schema.get("required"))):
            return False
    inner = [each for name, each in schema.items() if name in _HOLDERS]
    named = [each for name in _NAMED for each in _values(schema.get(name))]
    return all(is_closed(each, depth + 1) for each in (*inner, *named))


def _values(named: Any) -> list[Any]:
    return list(named.values()) if isinstance(named, dict) else []


def _flat(schema: Schema, root: Schema, refused: Sequence[str], followed: int) -> Schema:
    if followed > MAX_FOLLOWED or not any(name in schema for name in ("$ref", "allOf", *refused)):
        return schema
    moved = {name: schema[name] for name in refused if name in schema}
    plain = {name: value for name, value in schema.items() if name not in ("$ref", "allOf", *refused)}
    demands = list(_objects(schema.get("allOf")))
    if isinstance(target := _target(schema.get("$ref"), root), dict):
        demands.insert(0, target)
    for demand in demands:
        flat = _flat(demand, root, refused, followed + 1)
        plain = _both(plain, {name: value for name, value in flat.items() if name not in ("$defs", "definitions")})
    for name in CHOICES:
        options = [_flat(_seen(each, root), root, refused, followed + 1) for each in _objects(moved.get(name))]
        if options:
            plain = _either(plain, options)
    if moved:
        words = [plain["description"]] if isinstance(plain.get("description"), str) else []
        plain["description"] = "\n\n".join([*words, msgspec.json.encode(moved).decode()])
    return plain


def _seen(option: Schema, root: Schema) -> Schema:
    """An option whose only word is a reference, as what it refers to."""
    target = _target(option.get("$ref"), root)
    return _both(target, {name: value for name, value in option.items() if name != "$ref"}) if target else option


def _target(reference: Any, root: Schema) -> Schema | None:
    """The definition that a reference at the root names; ``None`` for any other."""
    if not isinstance(reference, str) or not reference.startswith(("#/$defs/", "#/definitions/")):
        return None
    _, kind, name = reference.split("/", 2)
    defined = root.get(kind)
    found = defined.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(defined, dict) else None
    return found if isinstance(found, dict) else None


def _both(one: Schema, other: Schema) -> Schema:
    """What satisfies the first and the second; of words, the first's."""
    joined = {**other, **one}
    joined |= _members(one, [other], is_choice=False)
    if required := [*_texts(one.get("required")), *_texts(other.get("required"))]:
        joined["required"] = list(dict.fromkeys(required))
    return joined


def _either(one: Schema, options: list[Schema]) -> Schema:
    """What satisfies the first and may satisfy any of the options."""
    joined = one | _members(one, options, is_choice=True)
    needed = [_texts(option.get("required")) for option in options]
    common = [name for name in needed[0] if all(name in each for each in needed)]
    if required := [*_texts(one.get("required")), *common]:
        joined["required"] = list(dict.fromkeys(required))
    closed = all(option.get("additionalProperties") is False for option in options)
    if closed and "additionalProperties" not in one:
        joined["additionalProperties"] = False
    return joined


def _members(one: Schema, others: list[Schema], *, is_choice: bool) -> Schema:
    """``properties`` of all of them. One that several options describe may be as any of them says."""
    told: dict[str, list[Any]] = {}
    for other in others:
        properties = other.get("properties")
        for name, each in properties.items() if isinstance(properties, dict) else ():
            if each not in told.setdefault(name, []):
                told[name].append(each)
    own = one.get("properties")
    mine: Schema = own if isinstance(own, dict) else {}
    word = "anyOf" if is_choice else "allOf"
    found = {name: each[0] if len(each) == 1 else {word: each} for name, each in told.items()}
    joined = {**found, **mine}
    return {"properties": joined} if joined else {}


def _objects(listed: Any) -> list[Schema]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _texts(listed: Any) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
