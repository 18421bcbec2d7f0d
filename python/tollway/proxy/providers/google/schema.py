"""JSON Schema, cut down to what Gemini reads.

The result is for ``parametersJsonSchema`` and ``responseJsonSchema``, not for ``parameters`` and ``responseSchema``.
Those take OpenAPI's subset, in which maps (``additionalProperties``), tuples, numeric enums and ``null`` among types
can't be said, so a tool with a ``dict`` argument would lose it. Google documents which keywords the JSON fields read
(``GenerationConfig.responseJsonSchema``); all others are taken out here.

References are put in place instead of being sent: a schema may keep its definitions anywhere, and Gemini reads
``$defs`` at the root only. A cycle is unrolled a few times and then left open, which is what Gemini does itself.
"""

from typing import Any, TypeGuard
from urllib.parse import unquote

from tollway.errors import InvalidRequest

MAX_DEPTH = 64
"""Schemas nested deeper are refused."""

MAX_UNROLLED = 2
"""How often a definition is put inside itself."""

MAX_INLINED_DEPTH = 32
"""Below this depth, references are left open: definitions that refer to each other go deep without end."""

MAX_INLINED_NODES = 2_000
"""Once references have brought this many parts, further ones are left open: they can multiply without end."""

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FORMATS = frozenset({"date-time", "date", "time", "int32", "int64", "float", "double"})
_TEXTS = ("title", "description")
_NUMBERS = ("minimum", "maximum")
_COUNTS = ("minItems", "maxItems")

Schema = dict[str, Any]


def cut(schema: Any, param: str) -> Schema:
    """The schema as Gemini takes it; ``param`` names it in errors.

    Raises:
        InvalidRequest: it is no schema, is nested too deeply, or refers to what is not there.
    """
    return _Cutter(schema, param).cut(schema, 0, ())


class _Cutter:
    """Cuts one schema; ``opened`` are the references whose definitions are being written at the moment."""

    def __init__(self, root: Any, param: str) -> None:
        self._root = root
        self._param = param
        self._inlined_nodes = 0

    def cut(self, node: Any, depth: int, opened: tuple[str, ...]) -> Schema:
        """One schema and all that is below it."""
        if isinstance(node, bool):
            return {}
        if depth > MAX_DEPTH:
            raise self._wrong("is nested too deeply")
        node, opened = self._flattened(node, opened, depth)
        result: Schema = {key: node[key] for key in _TEXTS if isinstance(node.get(key), str)}
        _put_type(result, node)
        _put_values(result, node)
        _put_bounds(result, node)
        self._put_members(result, node, depth, opened)
        self._put_elements(result, node, depth, opened)
        if options := node.get("anyOf") or node.get("oneOf"):
            result["anyOf"] = [self.cut(option, depth + 1, opened) for option in self._list(options, "anyOf")]
        return result

    def _put_members(self, result: Schema, node: Schema, depth: int, opened: tuple[str, ...]) -> None:
        properties = node.get("properties")
        if properties is not None:
            if not isinstance(properties, dict):
                raise self._wrong("has 'properties' that are no object")
            result["properties"] = {name: self.cut(each, depth + 1, opened) for name, each in properties.items()}
            for key in ("required", "propertyOrdering"):
                told = node.get(key)
                names = [name for name in told if name in result["properties"]] if _are_texts(told) else []
                if names:
                    result[key] = names
        extra = node.get("additionalProperties")
        patterns = node.get("patternProperties")
        if not isinstance(extra, dict) and isinstance(patterns, dict) and patterns and not properties:
            kinds = list(patterns.values())  # a map whose keys have a pattern: a map all the same
            extra = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if isinstance(extra, bool):
            result["additionalProperties"] = extra
        elif extra is not None:
            result["additionalProperties"] = self.cut(extra, depth + 1, opened)

    def _put_elements(self, result: Schema, node: Schema, depth: int, opened: tuple[str, ...]) -> None:
        items, prefix = node.get("items"), node.get("prefixItems")
        if isinstance(items, list):  # a tuple before draft 2020-12
            items, prefix = node.get("additionalItems"), items
        if prefix:
            result["prefixItems"] = [self.cut(each, depth + 1, opened) for each in self._list(prefix, "prefixItems")]
        if isinstance(items, dict):
            result["items"] = self.cut(items, depth + 1, opened)

    def _flattened(self, node: Any, opened: tuple[str, ...], depth: int) -> tuple[Schema, tuple[str, ...]]:
        """The schema with its own reference and its ``allOf`` put in place."""
        if depth > MAX_DEPTH:
            raise self._wrong("is nested too deeply")
        self._inlined_nodes += 1 if opened else 0
        if isinstance(node, bool):
            return {}, opened
        if not isinstance(node, dict):
            raise self._wrong("holds something that is no schema")
        own = {key: value for key, value in node.items() if key not in ("$ref", "allOf")}
        parts: list[Schema] = []
        if (reference := node.get("$ref")) is not None and not _leads_elsewhere(reference):
            target = self._resolved(reference)
            is_cycle = opened.count(reference) > MAX_UNROLLED
            if is_cycle or depth > MAX_INLINED_DEPTH or self._inlined_nodes > MAX_INLINED_NODES:
                parts.append({key: target[key] for key in ("type", *_TEXTS) if key in target})
            else:
                part, opened = self._flattened(target, (*opened, reference), depth + 1)
                parts.append(part)
        for each in self._list(node.get("allOf") or [], "allOf"):
            part, opened = self._flattened(each, opened, depth + 1)
            parts.append(part)
        merged: Schema = {}
        for part in (*parts, own):
            merged = _merged(merged, part)
        return merged, opened

    def _resolved(self, reference: Any) -> Schema:
        """What a JSON pointer (RFC 6901) into this schema points to."""
        if not isinstance(reference, str) or not reference:
            raise self._wrong("has a '$ref' that does not point into it")
        found = self._root
        for step in reference[2:].split("/") if reference != "#" else ():
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict) and step in found:
                found = found[step]
            else:
                raise self._wrong("has a '$ref' to what is not there")
        if isinstance(found, bool):
            return {}
        if not isinstance(found, dict):
            raise self._wrong("has a '$ref' to what is no schema")
        return found

    def _list(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._wrong(f"has '{key}' that is no list")
        return value

    def _wrong(self, what: str) -> InvalidRequest:
        return InvalidRequest(f"The JSON schema {what}.", param=self._param)


def _leads_elsewhere(reference: Any) -> bool:
    """Whether a reference names another document, or an anchor: nobody looks there, so it is left open."""
    return isinstance(reference, str) and bool(reference) and reference != "#" and not reference.startswith("#/")


def _merged(one: Schema, other: Schema) -> Schema:
    """Both schemas' demands; where they can't be joined, the second's."""
    result = {**one, **other}
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        if isinstance(one.get(key), dict) and isinstance(other.get(key), dict):
            result[key] = {**one[key], **other[key]}
    if _are_texts(one.get("required")) and _are_texts(other.get("required")):
        result["required"] = [*one["required"], *(name for name in other["required"] if name not in one["required"])]
    return result


def _put_type(result: Schema, node: Schema) -> None:
    told = node.get("type")
    types = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    types = [each.lower() for each in types if isinstance(each, str) and each.lower() in _TYPES]
    if node.get("nullable") is True and types and "null" not in types:  # OpenAPI 3.0
        types.append("null")
    if types:
        result["type"] = types[0] if len(types) == 1 else types
    if isinstance(node.get("format"), str) and node["format"] in _FORMATS:
        result["format"] = node["format"]


def _put_values(result: Schema, node: Schema) -> None:
    """Enumerated values: Gemini reads those of strings and of numbers."""
    values = [node["const"]] if "const" in node else node.get("enum")
    if not isinstance(values, list) or not values:
        return
    told = [value for value in values if value is not None]
    if told and all(isinstance(value, str) for value in told):
        kind = "string"
    elif told and all(isinstance(value, int | float) and not isinstance(value, bool) for value in told):
        kind = "integer" if all(isinstance(value, int) for value in told) else "number"
    else:
        if "type" not in result and all(isinstance(value, bool) for value in values):
            result["type"] = "boolean"
        return
    result["enum"] = told
    if "type" not in result:
        result["type"] = kind if len(told) == len(values) else [kind, "null"]


def _put_bounds(result: Schema, node: Schema) -> None:
    for key in _NUMBERS:
        if _is_number(node.get(key)):
            result[key] = node[key]
    for key in _COUNTS:
        if isinstance(node.get(key), int) and not isinstance(node[key], bool) and node[key] >= 0:
            result[key] = node[key]
    if result.get("type") == "integer":  # Gemini reads no exclusive bounds; for whole numbers there is another way
        for key, exclusive, step in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
            bound = node.get(exclusive)
            if key not in result and isinstance(bound, int) and not isinstance(bound, bool):
                result[key] = bound + step


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
