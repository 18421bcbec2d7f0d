"""Parameters of tools, as people write them: those of the records that differ most, and a set that leaves nothing out.

Each of :data:`MADE` stands beside arguments that it takes; whatever a provider is sent must take them, too. Those of
:data:`AT_ROOT` have something at their root that no provider takes there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.fakes.records import DIRECTORY

HOW_MANY = 30


class Tool(NamedTuple):
    """A function that a model may call."""

    name: str
    parameters: dict[str, Any]


def recorded() -> list[Tool]:
    """Thirty tools out of the records: each the one that has most keywords, in places, that those before it lack."""
    left = {json.dumps(tool, sort_keys=True): tool for tool in _offered()}
    chosen: list[Tool] = []
    seen: set[str] = set()
    while left and len(chosen) < HOW_MANY:
        best = max(sorted(left), key=lambda text: (len(_shape(left[text].parameters) - seen), len(text)))
        tool = left.pop(best)
        seen |= _shape(tool.parameters)
        if all(other.parameters != tool.parameters for other in chosen):
            chosen.append(tool)
    return chosen


def _offered() -> Iterator[Tool]:
    for path in sorted(DIRECTORY.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                asked = json.loads(line)["request"].get("json")
                tools = asked.get("tools") if isinstance(asked, dict) else None
                for tool in tools if isinstance(tools, list) else []:
                    yield from _functions(tool)


def _functions(tool: Mapping[str, Any]) -> Iterator[Tool]:
    for told in (tool.get("function"), tool, *tool.get("functionDeclarations", ())):
        if isinstance(told, Mapping) and isinstance(told.get("name"), str):
            for field in ("parameters", "input_schema", "parametersJsonSchema"):
                if isinstance(told.get(field), dict) and told[field].get("type") == "object":
                    yield Tool(told["name"], told[field])


def _shape(schema: Any, place: str = "") -> set[str]:
    """The keywords of a schema with the keywords above them; names of properties count for nothing."""
    found: set[str] = set()
    if isinstance(schema, list):
        for each in schema:
            found |= _shape(each, place)
    if not isinstance(schema, dict):
        return found
    for keyword, value in schema.items():
        here = f"{place}/{keyword}={value}" if keyword in ("type", "format") else f"{place}/{keyword}"
        found.add(here)
        named = keyword in ("properties", "$defs", "definitions", "patternProperties")
        for below in value.values() if named and isinstance(value, dict) else [value]:
            found |= _shape(below, f"{place}/{keyword}")
    return found


def _object(required: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties) if required is None else required,
    }


_TEXT = {"type": "string"}
_TREE = {
    "type": "object",
    "properties": {
        "label": _TEXT,
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["label"],
}

MADE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"type": "object"}, {}),
    "nothing_closed": ({"type": "object", "properties": {}, "additionalProperties": False}, {}),
    "anything": ({"type": "object", "additionalProperties": True}, {"x": [1, None]}),
    "read_file": (
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "ReadFileArguments",
            "additionalProperties": False,
            **_object(
                ["path"],
                path={"type": "string", "minLength": 1, "description": "An absolute path"},
                offset={"type": "integer", "minimum": 0, "default": 0},
                limit={"type": ["integer", "null"], "exclusiveMinimum": 0, "maximum": 2000},
            ),
        },
        {"path": "/etc/hosts", "limit": None},
    ),
    "edit_files": (
        _object(
            ["edits"],
            edits={
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {
                    **_object(["path", "old", "new"], path=_TEXT, old=_TEXT, new=_TEXT, all={"type": "boolean"}),
                    "additionalProperties": False,
                },
            },
        ),
        {"edits": [{"path": "a", "old": "b", "new": ""}]},
    ),
    "run_command": (
        _object(
            ["command"],
            command={"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
            environment={"type": "object", "additionalProperties": _TEXT},
            timeout_ms={"type": "number", "minimum": 1, "maximum": 600000, "multipleOf": 1},
        ),
        {"command": ["ls", "-l"], "environment": {"LANG": "C"}},
    ),
    "create_issue": (
        _object(
            ["owner", "repo", "title"],
            owner=_TEXT,
            repo={"type": "string", "pattern": "^[A-Za-z0-9._-]+$"},
            title={"type": "string", "maxLength": 256},
            labels={"type": "array", "items": _TEXT, "uniqueItems": True},
            assignees={"type": "array", "items": {"type": "string", "format": "email"}},
            due={"type": "string", "format": "date-time", "examples": ["2026-01-01T00:00:00Z"]},
        ),
        {"owner": "o", "repo": "r", "title": "t", "labels": ["bug"]},
    ),
    "one_of_with_tags": (
        _object(
            shape={
                "oneOf": [
                    _object(kind={"const": "circle"}, radius={"type": "number", "exclusiveMinimum": 0}),
                    _object(kind={"const": "square"}, side={"type": "number"}),
                ],
                "discriminator": {"propertyName": "kind"},
            }
        ),
        {"shape": {"kind": "circle", "radius": 2.5}},
    ),
    "all_of": (
        _object(who={"allOf": [_object(name=_TEXT), _object(["age"], age={"type": "integer"})]}),
        {"who": {"name": "Ada", "age": 36}},
    ),
    "references": (
        {
            **_object(["home"], home={"$ref": "#/$defs/Address"}, work={"$ref": "#/$defs/Address"}),
            "$defs": {
                "Address": _object(["street"], street=_TEXT, country={"$ref": "#/$defs/Country"}),
                "Country": {"type": "string", "enum": ["DE", "FR"]},
            },
        },
        {"home": {"street": "s", "country": "FR"}},
    ),
    "old_references": (
        {**_object(p={"$ref": "#/definitions/Pair"}), "definitions": {"Pair": {"type": "array", "items": _TEXT}}},
        {"p": ["a"]},
    ),
    "reference_with_words": (
        {**_object(c={"$ref": "#/$defs/C", "description": "Which"}), "$defs": {"C": {"enum": ["a", "b"]}}},
        {"c": "b"},
    ),
    "recursive": (
        {**_object(root={"$ref": "#/$defs/Node"}), "$defs": {"Node": _TREE}},
        {"root": {"label": "a", "children": [{"label": "b", "children": [{"label": "c"}]}]}},
    ),
    "recursive_at_the_root": (
        {"type": "object", "properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}},
        {"value": 1, "next": {"value": 2}},
    ),
    "enumerations": (
        _object(
            unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
            level={"type": "integer", "enum": [1, 2, 3]},
            mixed={"enum": ["auto", 0, None, True]},
            empty_word={"enum": ["", "a"]},
            fixed={"const": 7},
        ),
        {"unit": "celsius", "level": 2, "mixed": None, "empty_word": "", "fixed": 7},
    ),
    "formats": (
        _object(
            day={"type": "string", "format": "date"},
            address={"type": "string", "format": "uri"},
            ident={"type": "string", "format": "uuid"},
            host={"type": "string", "format": "ipv4"},
            count={"type": "integer", "format": "int64"},
            share={"type": "number", "format": "double"},
        ),
        {
            "day": "2026-01-01",
            "address": "https://a.b",
            "ident": "7a1b6c9e-7d1c-4f64-9c1e-0d6b6a4f8a11",
            "host": "10.0.0.1",
            "count": 1,
            "share": 0.5,
        },
    ),
    "nullable": (
        _object(
            ["a"],
            a={"type": ["string", "null"]},
            b={"type": "string", "nullable": True},
            c={"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            d={"type": ["string", "integer", "array"], "items": _TEXT},
        ),
        {"a": None, "c": None, "d": ["x"]},
    ),
    "patterns": (
        {"type": "object", "patternProperties": {"^x-": _TEXT, "^n-": {"type": "integer"}}, "minProperties": 1},
        {"x-a": "b", "n-a": 1},
    ),
    "names": (
        {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]+$"},
            "additionalProperties": {"type": "array", "items": {"type": "number"}},
        },
        {"a": [1, 2.5]},
    ),
    "unicode": (
        {
            "type": "object",
            "properties": {
                "größe": {"type": "number", "description": "Größe in m ≥ 0 🙂"},
                "都市": _TEXT,
                "a b": _TEXT,
            },
            "required": ["都市"],
        },
        {"都市": "東京", "größe": 1.5, "a b": "c"},
    ),
    "keywords_as_names": (
        _object(
            ["type", "properties", "$ref"],
            **{
                "type": _TEXT,
                "properties": {"type": "object"},
                "required": {"type": "boolean"},
                "$ref": _TEXT,
                "enum": {"type": "array", "items": _TEXT},
                "description": {"type": "string", "description": "A description"},
            },
        ),
        {"type": "t", "properties": {}, "$ref": "r", "enum": ["x"], "required": True},
    ),
    "tuples": (
        _object(pair={"type": "array", "prefixItems": [_TEXT, {"type": "number"}], "items": False, "minItems": 2}),
        {"pair": ["a", 1]},
    ),
    "untyped": (_object(any={}, yes=True, list={"type": "array"}), {"any": {"x": 1}, "yes": "no", "list": [1, "a"]}),
    "conditions": (
        {
            **_object(["mode"], mode={"enum": ["a", "b"]}, extra=_TEXT),
            "if": {"properties": {"mode": {"const": "b"}}},
            "then": {"required": ["extra"]},
            "dependentRequired": {"extra": ["mode"]},
            "not": {"required": ["forbidden"]},
        },
        {"mode": "b", "extra": "x"},
    ),
    "deep": (
        _object(a=_object(b=_object(c=_object(d=_object(e={"type": "array", "items": {"type": "array"}}))))),
        {"a": {"b": {"c": {"d": {"e": [[1]]}}}}},
    ),
    "many": (
        _object(
            [], **{f"field_{number}": {"type": "string", "description": f"Field {number}"} for number in range(80)}
        ),
        {"field_3": "x"},
    ),
    "booleans_in_places": (
        {
            **_object([], a={"type": "object", "additionalProperties": False}, b={"type": "array", "items": True}),
            "unevaluatedProperties": False,
        },
        {"a": {}, "b": [1]},
    ),
    "bounds": (
        _object(
            n={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            i={"type": "integer", "minimum": -(2**53), "maximum": 2**53},
            s={"type": "string", "minLength": 0, "maxLength": 10_000},
            o={"type": "object", "minProperties": 0, "maxProperties": 3},
        ),
        {"n": 0.5, "i": 7, "s": "", "o": {}},
    ),
    "annotations": (
        _object(
            [],
            key={
                **_TEXT,
                "$comment": "not for models",
                "deprecated": True,
                "readOnly": False,
                "x-order": 3,
                "contentEncoding": "base64",
                "example": "QQ==",
            },
        ),
        {"key": "QQ=="},
    ),
    "one_of_at_the_root": (
        {
            "type": "object",
            "description": "A shape",
            "oneOf": [
                {**_object(kind={"const": "circle"}, radius={"type": "number"}), "additionalProperties": False},
                {"$ref": "#/$defs/Square"},
            ],
            "$defs": {
                "Square": {**_object(kind={"const": "square"}, side=_TEXT), "additionalProperties": False},
            },
        },
        {"kind": "square", "side": "1"},
    ),
    "all_of_at_the_root": (
        {
            "allOf": [_object(a=_TEXT), {"$ref": "#/definitions/More"}],
            "definitions": {"More": _object(["b"], b={"type": "integer"}, c=_TEXT)},
        },
        {"a": "x", "b": 1},
    ),
    "reference_at_the_root": (
        {"$ref": "#/$defs/Node", "$defs": {"Node": _TREE}},
        {"label": "a", "children": [{"label": "b"}]},
    ),
    "nullable_at_the_root": ({"type": ["object", "null"], "properties": {"a": _TEXT}}, {"a": "x"}),
    "any_of_at_the_root": (
        {"type": "object", "properties": {"a": _TEXT, "b": _TEXT}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"b": "x"},
    ),
}

AT_ROOT = [name for name in MADE if name.endswith("_at_the_root") and name != "recursive_at_the_root"]
