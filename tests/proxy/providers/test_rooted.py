"""Schemas of tools whose root is put right: an object, and whatever was taken is taken still."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tollway.proxy.providers.rooted import MAX_FOLLOWED, OPENAIS_CHOICES, is_closed, rooted

TEXT = {"type": "string"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_a_schema_that_is_plain_stays_the_same() -> None:
    schema = an_object(a={"anyOf": [TEXT, {"type": "null"}]}) | {"not": {"required": ["b"]}}
    assert rooted(schema) is schema


def test_at_least_one_of_several_fields_is_told_in_words() -> None:
    schema = an_object(a=TEXT) | {"description": "It.", "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}
    made = rooted(schema)
    assert made == an_object(a=TEXT) | {"description": 'It.\n\n{"anyOf":[{"required":["b"]},{"required":["c"]}]}'}


def test_alternatives_are_put_together_and_what_all_need_is_needed() -> None:
    circle = an_object(kind={"const": "circle"}, radius={"type": "number"}) | {"additionalProperties": False}
    square = an_object(kind={"const": "square"}, side=TEXT) | {"additionalProperties": False}
    schema = {"oneOf": [circle, {"$ref": "#/$defs/a~1b"}], "$defs": {"a/b": square}}
    made = rooted(schema)
    assert made["type"] == "object"
    assert made["required"] == ["kind"]
    assert made["properties"]["kind"] == {"anyOf": [{"const": "circle"}, {"const": "square"}]}
    assert made["additionalProperties"] is False
    assert made["$defs"] == schema["$defs"]
    assert "circle" in made["description"]
    jsonschema.validate({"kind": "square", "side": "1"}, made)


def test_demands_and_references_are_joined() -> None:
    more = an_object(b=TEXT) | {"description": "More"}
    schema = {"allOf": [an_object(a=TEXT), {"$ref": "#/definitions/More"}], "definitions": {"More": more}}
    assert rooted(schema) == an_object(b=TEXT, a=TEXT) | {
        "required": ["a", "b"],
        "description": "More",
        "definitions": {"More": more},
    }
    root = {"$ref": "#/$defs/Node", "$defs": {"Node": an_object(next={"$ref": "#/$defs/Node"})}}
    assert rooted(root) == an_object(next={"$ref": "#/$defs/Node"}) | {"$defs": root["$defs"]}


def test_a_root_that_may_be_nothing_is_an_object() -> None:
    assert rooted({"type": ["object", "null"]}) == {"type": "object"}
    assert rooted({"type": "string"}) == {"type": "string"}


def test_openai_has_more_that_it_refuses() -> None:
    made = rooted(an_object(a=TEXT) | {"not": {"required": ["b"]}, "enum": [{}]}, OPENAIS_CHOICES)
    assert made == an_object(a=TEXT) | {"description": '{"not":{"required":["b"]},"enum":[{}]}'}


def test_a_root_that_leads_to_itself_ends() -> None:
    made = rooted({"$ref": "#/$defs/A", "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}})
    assert made["type"] == "object"
    deep: dict[str, Any] = an_object(a=TEXT)
    for _ in range(MAX_FOLLOWED * 4):
        deep = {"anyOf": [deep]}
    assert rooted(deep)["type"] == "object"


def test_openai_holds_a_model_to_what_is_closed_and_complete() -> None:
    closed = {"additionalProperties": False}
    inner = an_object(b=TEXT) | closed
    assert is_closed(an_object(a=inner, l={"type": "array", "items": inner}) | closed)
    assert is_closed({"type": "object", "properties": {}} | closed)
    assert not is_closed(an_object(a=an_object(b=TEXT)) | closed)
    assert not is_closed(an_object(a={"anyOf": [an_object(b=TEXT), {"type": "null"}]}) | closed)
    assert not is_closed({"type": "object", "properties": {"a": TEXT}, "required": []} | closed)
    assert not is_closed({"$ref": "#/$defs/A", "$defs": {"A": an_object(a=TEXT)}} | closed)


JSON = some.recursive(
    some.none() | some.booleans() | some.text(max_size=5) | some.sampled_from(["#/$defs/a", "object"]),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from("anyOf oneOf allOf $ref $defs a properties required type not description".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("refused", [("anyOf", "oneOf"), OPENAIS_CHOICES])
@given(schema=some.dictionaries(some.sampled_from("anyOf oneOf allOf $ref $defs properties".split()), JSON, max_size=4))
def test_whatever_a_schema_holds_its_root_is_found(schema: dict[str, Any], refused: tuple[str, ...]) -> None:
    rooted(schema, refused)
    is_closed(schema)
