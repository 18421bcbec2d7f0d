"""JSON schemas as Anthropic's structured outputs take them.

Objects must be closed, and constraints on numbers, lengths and patterns are refused with a 400. They are moved to the
description, where the model reads them at least; Anthropic's own SDKs do the same.
Source: platform.claude.com, "Structured outputs", section "JSON Schema limitations".
"""

from typing import Any

import msgspec

from tollway.errors import InvalidRequest

MAX_DEPTH = 64
"""Schemas nested deeper are refused: this module recurses."""

_KEPT = ("type", "enum", "const", "title", "default", "$ref", "required", "format")
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_MAPS = ("properties", "$defs", "definitions")
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_IGNORED = frozenset({"$schema", "$id", "$comment", "additionalProperties", "description"})


def closed(schema: Any, param: str, depth: int = 0) -> dict[str, Any]:
    """The schema with every object closed and without the keywords that are refused.

    Raises:
        InvalidRequest: it is no JSON schema, or too deep; ``param`` names it.
    """
    if depth > MAX_DEPTH:
        raise InvalidRequest("The JSON schema is nested too deeply.", param=param)
    if not isinstance(schema, dict):
        raise InvalidRequest("A JSON schema must be an object.", param=param)
    kept = _inner(schema, param, depth + 1)
    moved: dict[str, Any] = {}
    for keyword, value in schema.items():
        if _is_kept(keyword, value):
            kept[keyword] = value
        elif keyword not in _IGNORED and _LISTS.get(keyword, keyword) not in kept:
            moved[keyword] = value
    if "properties" in kept or schema.get("type") == "object":
        kept["additionalProperties"] = False
    description = schema.get("description")
    words = [description] if isinstance(description, str) else []
    if moved:
        words.append(msgspec.json.encode(moved).decode())
    if words:
        kept["description"] = "\n\n".join(words)
    return kept


def _inner(schema: dict[str, Any], param: str, depth: int) -> dict[str, Any]:
    """The schemas inside this one, closed."""
    inner: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _MAPS and isinstance(value, dict):
            inner[keyword] = {name: closed(each, param, depth) for name, each in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            inner.setdefault(_LISTS[keyword], []).extend(closed(each, param, depth) for each in value)
        elif keyword == "items" and isinstance(value, dict):
            inner["items"] = closed(value, param, depth)
    return inner


def _is_kept(keyword: str, value: Any) -> bool:
    if keyword == "format":
        return value in _FORMATS if isinstance(value, str) else False
    if keyword == "minItems":
        return value in (0, 1)
    return keyword in _KEPT
