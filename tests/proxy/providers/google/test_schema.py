"""JSON Schemas, cut down to what Gemini reads, with nothing lost that it could have read."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.google_schema import check_schema

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.schema import MAX_INLINED_DEPTH, MAX_INLINED_NODES, cut


def made(schema: Any) -> dict[str, Any]:
    result = cut(schema, "tools[0]")
    check_schema(result)
    return result


def in_property(schema: Any) -> Any:
    return made({"type": "object", "properties": {"a": schema}})["properties"]["a"]


def size(schema: Any) -> int:
    if isinstance(schema, dict):
        return 1 + sum(size(below) for below in schema.values())
    return sum(size(below) for below in schema) if isinstance(schema, list) else 0


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "default": "x", "examples": ["y"], "$comment": "z"}, {"type": "string"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 1}, {"type": "integer", "enum": [1]}),
        ({"const": True}, {"type": "boolean"}),
        ({"const": None, "type": "null"}, {"type": "null"}),
        ({"enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a"]}),
        ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
        ({"enum": ["a", 1]}, {}),
        ({"enum": []}, {}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uuid", "pattern": "^a", "minLength": 2}, {"type": "string"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9, "minimum": 2}, {"type": "integer", "minimum": 2, "maximum": 8}),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 9}, {"type": "number", "maximum": 9}),
        ({"oneOf": [{"type": "string"}, True]}, {"anyOf": [{"type": "string"}, {}]}),
        ({"anyOf": []}, {}),
        (
            {"type": "array", "items": {"type": "string", "default": ""}, "minItems": 1, "uniqueItems": True},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ),
        ({"items": [{"type": "string"}], "additionalItems": False}, {"prefixItems": [{"type": "string"}]}),
        ({"additionalProperties": {"type": "integer"}}, {"additionalProperties": {"type": "integer"}}),
        ({"patternProperties": {"^a": {"type": "integer"}}}, {"additionalProperties": {"type": "integer"}}),
        (
            {"patternProperties": {"^a": {"type": "integer"}, "^b": {"type": "string"}}},
            {"additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
        ),
        (
            {"properties": {"b": {}}, "required": ["b", "gone"], "patternProperties": {"^a": {}}, "not": {}},
            {"properties": {"b": {}}, "required": ["b"]},
        ),
        ({"properties": {"default": {"not": {}}, "$ref": {}}}, {"properties": {"default": {}, "$ref": {}}}),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {}}, "required": ["b"]},
                ],
                "description": "both",
            },
            {
                "description": "both",
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {}},
                "required": ["a", "b"],
            },
        ),
        (True, {}),
    ],
)  # fmt: skip
def test_a_schema_keeps_what_gemini_reads(schema: Any, expected: dict[str, Any]) -> None:
    assert in_property(schema) == expected


def test_references_are_put_in_place_wherever_the_definitions_are() -> None:
    schema = {
        "type": "object",
        "properties": {
            "one": {"$ref": "#/$defs/Pet", "description": "The first"},
            "two": {"$ref": "#/components/my~1pets/0"},
            "three": {"allOf": [{"$ref": "#/definitions/Pet%20Two"}]},
            "four": {"$ref": "#/properties/one"},
        },
        "$defs": {"Pet": {"type": "string", "description": "A pet"}},
        "definitions": {"Pet Two": {"type": "integer"}},
        "components": {"my/pets": [{"type": "number"}]},
    }
    assert made(schema) == {
        "type": "object",
        "properties": {
            "one": {"type": "string", "description": "The first"},
            "two": {"type": "number"},
            "three": {"type": "integer"},
            "four": {"type": "string", "description": "The first"},
        },
    }


def test_a_cycle_is_unrolled_a_few_times_and_then_left_open() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "string"}}}
    level = made({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    depth = 0
    while "properties" in level:
        assert level["properties"]["value"] == {"type": "string"}
        level = level["properties"]["next"]
        depth += 1
    assert (depth, level) == (3, {"type": "object"})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    ],
)
def test_a_reference_to_nothing_but_itself_ends(schema: Any) -> None:
    assert made(schema) == {}


def test_definitions_that_multiply_stay_within_a_bound() -> None:
    doubling = {
        f"d{level}": {"properties": {side: {"$ref": f"#/$defs/d{level + 1}"} for side in "abcd"}} for level in range(40)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**doubling, "d40": {"type": "string"}}}
    assert size(made(schema)) < 4 * MAX_INLINED_NODES
    every = {f"d{one}": {"allOf": [{"$ref": f"#/$defs/d{one + 1}"}] * 4} for one in range(20)}
    assert made({"$ref": "#/$defs/d0", "$defs": {**every, "d20": {"type": "string"}}}) in ({}, {"type": "string"})


def test_many_definitions_that_refer_to_each_other_are_no_reason_to_refuse() -> None:
    ring = {
        f"d{one}": {"type": "object", "properties": {"next": {"$ref": f"#/$defs/d{(one + 1) % 60}"}}}
        for one in range(60)
    }
    level = made({"$ref": "#/$defs/d0", "$defs": ring})
    depth = 0
    while "properties" in level:
        level = level["properties"]["next"]
        depth += 1
    assert depth > MAX_INLINED_DEPTH / 2
    assert level == {"type": "object"}


def test_a_large_schema_without_cycles_keeps_its_references() -> None:
    wide = {f"p{one}": {"type": "string"} for one in range(3 * MAX_INLINED_NODES)}
    schema = {"type": "object", "properties": {**wide, "last": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"enum": ["x"]}}}
    assert made(schema)["properties"]["last"] == {"type": "string", "enum": ["x"]}


@pytest.mark.parametrize(
    "schema",
    [
        7,
        "object",
        [],
        {"properties": []},
        {"properties": {"a": 7}},
        {"anyOf": {"a": 1}},
        {"allOf": {"a": 1}},
        {"$ref": ""},
        {"$ref": "#/$defs/gone"},
        {"$ref": "#/type", "type": "object"},
        {"$ref": 7},
    ],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cut(schema, "tools[0]")
    assert caught.value.param == "tools[0]"


@pytest.mark.parametrize("reference", ["https://example.com/schema.json", "other.json#/$defs/a", "#anchor"])
def test_a_reference_to_elsewhere_is_left_open_and_its_words_stay(reference: str) -> None:
    assert made({"$ref": reference, "description": "It."}) == {"description": "It."}


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(200):
        schema = {"items": schema}
    with pytest.raises(InvalidRequest, match="deeply"):
        cut(schema, "tools[0]")


KEYWORDS = st.sampled_from(
    [
        *("type", "format", "description", "enum", "const", "items", "prefixItems", "minimum", "maximum", "minItems"),
        *("exclusiveMinimum", "anyOf", "oneOf", "allOf", "properties", "required", "additionalProperties", "$ref"),
        *("patternProperties", "nullable", "$defs", "not", "default", "title"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["object", "string", "array", "#", "#/properties/a", "#/$defs/a", "date"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), below, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=300)
@given(schema=st.dictionaries(KEYWORDS, VALUES, max_size=5))
def test_any_schema_is_cut_to_a_good_one_or_refused(schema: dict[str, Any]) -> None:
    try:
        result = cut(schema, "tools[0]")
    except InvalidRequest:
        return
    check_schema(result)
