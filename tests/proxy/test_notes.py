"""What clients note down: read from a header or refused, and made into the tags of a row."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.edge import ask

from tollway._native import chat
from tollway.errors import InvalidRequest
from tollway.proxy.notes import (
    METADATA,
    METADATA_BYTES,
    METADATA_ENTRIES,
    NAME_CHARACTERS,
    VALUE_CHARACTERS,
    read_metadata,
    tags_of,
)


def noted(notes: Any) -> dict[bytes, bytes]:
    return {METADATA: json.dumps(notes).encode()}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"team"',
        b'{"team": 5}',
        b'{"team": null}',
        b'{"team": {"a": "b"}}',
        b'{"team": ' + b"[" * 4000,
        b'{"team": "\xff"}',
        json.dumps({"team": "x" * METADATA_BYTES}).encode(),
        json.dumps({str(number): "" for number in range(METADATA_ENTRIES + 1)}).encode(),
        json.dumps({"team": "x" * (VALUE_CHARACTERS + 1)}).encode(),
        json.dumps({"x" * (NAME_CHARACTERS + 1): "team"}).encode(),
        rb'{"team": "\ud800"}',
    ],
)
def test_notes_that_are_none_are_refused_and_not_repeated(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_metadata(raw)
    assert caught.value.param == "x-tollway-metadata"
    assert "team" not in caught.value.outside


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=METADATA_ENTRIES))
def test_notes_are_read_as_json_says(notes: dict[str, str]) -> None:
    assert read_metadata(json.dumps(notes).encode()) == notes


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode) | st.from_regex(rb'\A[{"a:5,\[\]}\\u ]*\Z'))
def test_any_bytes_are_notes_or_refused(raw: bytes) -> None:
    try:
        notes = read_metadata(raw)
    except InvalidRequest:
        return
    assert all(isinstance(text, str) for pair in notes.items() for text in pair)
    assert len(tags_of({METADATA: raw}, ask())) <= len(notes)


def test_tags_are_the_headers_notes_in_order() -> None:
    assert tags_of(noted({"team": "search", "job": "a=b"}), ask(metadata={"team": "x"})) == ("job=a=b", "team=search")


def test_without_the_header_they_are_the_bodys() -> None:
    assert tags_of({}, ask(metadata={"team": "search"})) == ("team=search",)
    assert tags_of({}, ask()) == ()


def test_who_a_message_is_from_is_no_tag() -> None:
    body = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "Hi"}],
        "metadata": {"user_id": "u"},
    }
    assert tags_of({}, chat.read_request(json.dumps(body).encode(), "messages")) == ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"": "nameless", "a=b": "c"},
        {"long": "x" * (VALUE_CHARACTERS + 1)},
        {"x" * (NAME_CHARACTERS + 1): "long"},
        {"number": 5, "nothing": None},
    ],
)
def test_what_makes_no_tag_in_a_body_is_left_out(metadata: dict[str, Any]) -> None:
    assert tags_of({}, ask(metadata={**metadata, "ok": "1"})) == ("ok=1",)


@pytest.mark.parametrize("metadata", [["team"], "team", 5, None])
def test_a_bodys_metadata_that_is_no_object_makes_none(metadata: Any) -> None:
    assert tags_of({}, ask(metadata=metadata)) == ()


def test_of_very_many_the_first_count() -> None:
    many = {f"n{number:02}": "" for number in range(30)}
    assert tags_of({}, ask(metadata=many)) == tuple(f"n{number:02}=" for number in range(METADATA_ENTRIES))


def test_a_header_that_is_refused_makes_none() -> None:
    assert tags_of({METADATA: b"team"}, ask()) == ()
