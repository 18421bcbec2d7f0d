"""Values made from schemas satisfy them, and no schema costs more than it may."""

import contextlib
import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.conformity import faults

from tollway.simulation.schema_values import UnsupportedSchema, value

KEYWORDS = (
    "type anyOf allOf $ref properties required items enum minItems minLength "
    "uniqueItems minimum multipleOf additionalProperties prefixItems pattern format"
).split()

TREE = {
    "type": "object",
    "properties": {
        "root": {"$ref": "#/$defs/node"},
        "more": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["root", "more"],
    "additionalProperties": False,
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "label": {"type": "string", "minLength": 2, "maxLength": 12},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["label", "children", "next"],
            "additionalProperties": False,
        }
    },
}


def scalars() -> st.SearchStrategy[dict[str, Any]]:
    def between(low: int, high: int) -> dict[str, Any]:
        return {"minimum": min(low, high), "maximum": max(low, high)}

    bounds = st.builds(between, st.integers(-50, 50), st.integers(-50, 50))
    lengths = st.builds(
        lambda low, more: {"minLength": low, "maxLength": low + more}, st.integers(0, 30), st.integers(0, 9)
    )
    return st.one_of(
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string", "format": "date-time"}, {}]),
        bounds.map(lambda limits: {"type": "integer", **limits}),
        bounds.map(lambda limits: {"type": "number", **limits}),
        st.builds(
            lambda low: {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": low + 2}, st.integers(-9, 9)
        ),
        st.builds(
            lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 1}, st.integers(-9, 9)
        ),
        st.builds(lambda step: {"type": "integer", "multipleOf": step}, st.integers(1, 9)),
        st.builds(lambda step: {"type": "number", "multipleOf": step / 10, "minimum": 3}, st.integers(1, 9)),
        lengths.map(lambda limits: {"type": "string", **limits}),
        st.lists(st.one_of(st.integers(), st.text(max_size=5)), min_size=1, max_size=4).map(lambda of: {"enum": of}),
        st.integers().map(lambda only: {"const": only}),
        st.just({"type": ["string", "null"]}),
    )


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["city", "days", "unit", "tags"])
    objects = st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in required],
            "additionalProperties": not closed,
        },
        st.dictionaries(names, inner, max_size=4),
        st.sets(names),
        st.booleans(),
    )
    arrays = st.builds(
        lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
        inner,
        st.integers(0, 3),
        st.integers(0, 3),
    )
    branches = st.lists(inner, min_size=1, max_size=3).map(lambda of: {"anyOf": of})
    return st.one_of(objects, arrays, branches)


@given(schema=st.recursive(scalars(), nested, max_leaves=12), seed=st.integers(0, 2**32))
def test_a_value_satisfies_its_schema(schema: dict[str, Any], seed: int) -> None:
    assert faults(value(schema, Random(seed)), schema) == []


@pytest.mark.parametrize("seed", range(50))
def test_a_recursive_schema_gets_a_value_that_ends(seed: int) -> None:
    assert faults(value(TREE, Random(seed)), TREE) == []


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "schema",
    [
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"required": ["b"]},
            ]
        },
        {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": {"type": "null"}},
        {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
        {
            "type": "object",
            "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}(-[0-9]{4})?$"}},
            "required": ["zip"],
        },
        {"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 4},
        {"$ref": "#/definitions/x~1y", "definitions": {"x/y": {"type": "integer", "minimum": 7}}},
    ],
)
def test_keywords_that_act_together_are_honoured(schema: dict[str, Any], seed: int) -> None:
    made = value(schema, Random(seed))
    plain = schema["definitions"]["x/y"] if "definitions" in schema else schema
    assert faults(made, plain) == []


def test_free_strings_are_the_given_words() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert value(schema, Random(1), ["Paris"]) == {"city": "Paris"}


@pytest.mark.parametrize(
    "schema",
    [
        False,
        "string",
        {"type": "nonsense"},
        {"type": ["nonsense", 5]},
        {"not": {}},
        {"type": "object", "required": 5},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5},
        {"type": "number", "minimum": "low"},
        {"type": "number", "multipleOf": 0},
        {"type": "string", "minLength": 9, "maxLength": 3},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "array", "minItems": 10**9},
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}, "minItems": 90}, "minItems": 90},
        {"type": "array", "items": {"type": "null"}, "uniqueItems": True, "minItems": 2},
        {"type": "object", "minProperties": 10**9},
        {"enum": []},
        {"enum": "abc"},
        {"anyOf": [False]},
        {"anyOf": [{"$ref": "#"}]},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$ref": 7},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"properties": []},
    ],
)
def test_what_no_value_satisfies_or_costs_too_much_is_refused(schema: Any) -> None:
    with pytest.raises(UnsupportedSchema):
        value(schema, Random(0))


@given(
    schema=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.just("object"), st.just("#")),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
        ),
        max_leaves=15,
    )
)
def test_no_schema_breaks_the_maker(schema: Any) -> None:
    with contextlib.suppress(UnsupportedSchema):
        json.dumps(value(schema, Random(0)))


def test_formats_have_their_form() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", value({"type": "string", "format": "date"}, Random(0)))
    assert "@" in value({"type": "string", "format": "email"}, Random(0))
