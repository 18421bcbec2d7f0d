"""What routing asks of a request: the same out of any spelling, on any host, and nothing that a client can break."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.native.twins import traits as twin

from tollway._native import chat

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}
FILM = {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}}
TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


def picture(kind: str = "base64") -> dict[str, Any]:
    return {"type": "image", "source": {"type": kind, "data": "AAAA"}}


def document(kind: str = "base64") -> dict[str, Any]:
    return {"type": "document", "source": {"type": kind, "data": "AAAA"}}


def read(fields: dict[str, Any], operation: str = "chat", **spelling: Any) -> chat.ChatRequest:
    return chat.read_request(json.dumps({"model": "m"} | fields, **spelling).encode(), operation)


def said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def asked(*parts: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("operation", "fields", "needs"),
    [
        ("chat", said(), set()),
        ("chat", said({"type": "text", "text": "image_url"}), set()),
        ("chat", said(IMAGE), {"vision"}),
        ("chat", said({"type": "image_url", "image_url": None}), set()),
        ("chat", said(SOUND), {"audio"}),
        ("chat", said({"type": "audio_url", "audio_url": {"url": "https://example.org/a.wav"}}), {"audio"}),
        ("chat", said(FILE), {"documents"}),
        ("chat", said({"type": "file", "file": {"file_id": "file-1"}}), set()),
        ("chat", said(FILM), set()),
        ("chat", said(IMAGE, SOUND, FILE), {"vision", "audio", "documents"}),
        ("chat", said() | {"tools": [TOOL]}, {"tools"}),
        ("chat", said() | {"tools": []}, set()),
        ("chat", said() | {"tools": None}, set()),
        ("chat", said() | {"functions": [{"name": "f"}]}, {"tools"}),
        ("chat", said() | {"response_format": SCHEMA}, {"json_schema"}),
        ("chat", said() | {"response_format": {"type": "json_object"}}, set()),
        ("chat", said() | {"response_format": {"schema": {"type": "json_schema"}}}, set()),
        ("messages", said(picture()), {"vision"}),
        ("messages", said(picture("url")), {"vision"}),
        ("messages", said(document()), {"documents"}),
        ("messages", said(document("text")), set()),
        ("messages", said({"type": "tool_result", "tool_use_id": "t", "content": [picture()]}), {"vision"}),
        ("messages", said() | {"tools": [{"name": "f"}]}, {"tools"}),
        ("messages", said() | {"output_config": {"format": {"type": "json_schema"}}}, {"json_schema"}),
        ("messages", said() | {"output_format": {"type": "json_schema"}}, {"json_schema"}),
        ("count_tokens", said(picture()), {"vision"}),
        ("responses", {"input": "Hi"}, set()),
        ("responses", asked({"type": "input_image", "image_url": "https://example.org/a.png"}), {"vision"}),
        ("responses", asked({"type": "input_image", "file_id": "file-1"}), {"vision"}),
        ("responses", asked({"type": "input_file", "file_data": "AAAA"}), {"documents"}),
        ("responses", asked({"type": "input_audio", "input_audio": {"data": "AAAA"}}), {"audio"}),
        ("responses", {"input": "Hi", "tools": [{"type": "function"}]}, {"tools"}),
        ("responses", {"input": "Hi", "text": {"format": {"type": "json_schema"}}}, {"json_schema"}),
        ("responses", {"input": "Hi", "text": {"format": {"type": "text"}}}, set()),
        ("embeddings", {"input": "Hi", "tools": [TOOL]}, set()),
        ("completions", {"prompt": "Hi"}, set()),
        ("speech", {"input": "Hi", "voice": "v"}, set()),
    ],
)
def test_what_a_request_needs_is_read(operation: str, fields: dict[str, Any], needs: set[str]) -> None:
    assert read(fields, operation).needs() == needs


@pytest.mark.parametrize("operation", ["chat", "completions", "embeddings", "messages", "responses", "images"])
def test_notes_are_read_whatever_the_dialect(operation: str) -> None:
    inputs = {"chat": said(), "messages": said(), "completions": {"prompt": "x"}, "images": {"prompt": "x"}}
    fields = inputs.get(operation, {"input": "x"})
    notes = {"team": "caf\xe9", "user_id": "u", "n": 5, "deep": {"a": "b"}, "none": None}
    assert read(fields, operation).metadata() == {}
    assert read(fields | {"metadata": notes}, operation).metadata() == {"team": "caf\xe9", "user_id": "u"}


def test_of_two_notes_of_a_name_the_last_counts() -> None:
    body = b'{"model": "m", "metadata": {"a": "1"}, "messages": [{}], "metadata": {"a": "2", "\\u0061": "3"}}'
    assert chat.read_request(body).metadata() == {"a": "3"}


@pytest.mark.parametrize("value", [None, [], "x", 5, {}])
def test_metadata_that_hold_no_notes_are_none(value: Any) -> None:
    assert read(said() | {"metadata": value}).metadata() == {}


def test_more_notes_than_anybody_needs_are_not_read() -> None:
    many = {str(number): "x" for number in range(1_000)}
    assert read(said() | {"metadata": many}).metadata() == dict(list(many.items())[:32])
    assert read(said() | {"metadata": {"a": "1", "b": "x" * 5_000, "c": "3"}}).metadata() == {"a": "1"}


def test_the_numbers_are_the_same_for_ever() -> None:
    """Pinned: at a release that changes them, every conversation would lose its provider's cache."""
    digest = hashlib.sha256(b"Be brief.\xffHi\xff").digest()
    request = read({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]})
    assert request.conversation() == request.prefix() == int.from_bytes(digest[:8], "big")


TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Ho"},
    {"role": "user", "content": "And now?"},
]


@pytest.mark.parametrize(
    ("operation", "first", "later"),
    [
        ("chat", {"messages": TURNS[:1]}, {"messages": TURNS, "temperature": 1}),
        (
            "chat",
            {"messages": [{"role": "developer", "content": "Be brief."}, *TURNS[:1]]},
            {"messages": [{"content": [{"type": "text", "text": "Be brief."}], "role": "developer"}, *TURNS]},
        ),
        ("messages", {"system": "Be brief.", "messages": TURNS[:1]}, {"messages": TURNS, "system": "Be brief."}),
        ("responses", {"input": "Hi"}, {"input": TURNS}),
        ("responses", {"instructions": "Be brief.", "input": TURNS[:1]}, {"input": TURNS, "instructions": "Be brief."}),
    ],
)
def test_a_conversation_is_the_same_at_every_turn(operation: str, first: dict[str, Any], later: dict[str, Any]) -> None:
    numbers = {read(fields, operation).conversation() for fields in (first, later)}
    assert len(numbers) == 1
    assert numbers != {0}


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("chat", {"messages": [{"role": "user", "content": "Ha"}]}),
        ("chat", {"messages": [{"role": "system", "content": "Hi"}, *TURNS]}),
        ("chat", {"messages": [{"role": "system", "content": "H"}, {"role": "user", "content": "i"}]}),
        ("messages", {"system": "Be brief.", "messages": TURNS}),
        ("responses", {"instructions": "Be brief.", "input": "Hi"}),
    ],
)
def test_other_beginnings_are_other_conversations(operation: str, fields: dict[str, Any]) -> None:
    assert read(fields, operation).conversation() != read({"messages": TURNS}).conversation()


def test_a_conversation_is_told_apart_behind_long_systems() -> None:
    def number(user: str, system: str = "x" * 100_000) -> int:
        return read(
            {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}
        ).conversation()

    assert number("a") != number("b")
    assert number("a" * 10_000 + "b") != number("a" * 10_000)
    assert number("a" * 20_000 + "b") == number("a" * 20_000), "16 KiB of the opening count"
    assert number("a", "x" * 4_096 + "y") == number("a"), "and 4 KiB of the systems"


def test_a_prefix_is_the_first_4_kib_of_text() -> None:
    def number(*texts: str) -> int:
        return read({"messages": [{"role": "user", "content": text} for text in texts]}).prefix()

    assert number("x" * 4_096) == number("x" * 9_000) == number("x" * 4_096, "y")
    assert number("x" * 4_095) != number("x" * 4_096)
    assert number("x" * 4_095, "y") != number("x" * 4_095, "z")
    assert number("ab") != number("a", "b")


@pytest.mark.parametrize("operation", ["chat", "messages", "responses"])
def test_the_numbers_of_a_large_body_are_made_while_it_is_read_and_are_the_same(operation: str) -> None:
    fields = {"input": TURNS} if operation == "responses" else {"messages": TURNS}
    small, large = (read(fields | {"x_padding": "x" * size}, operation) for size in (10, 200_000))
    assert (large.prefix(), large.conversation()) == (small.prefix(), small.conversation())


@pytest.mark.parametrize(
    ("operation", "fields", "has_prefix", "has_conversation"),
    [
        ("completions", {"prompt": ["Hi"]}, True, True),
        ("embeddings", {"input": "Hi"}, True, True),
        ("embeddings", {"input": [1, 2]}, False, False),
        ("chat", {"messages": [{"role": "assistant", "content": "Ho"}]}, True, False),
        ("chat", {"messages": [{}]}, False, False),
        ("responses", {"previous_response_id": "r"}, False, False),
        ("images", {"prompt": "Hi"}, False, False),
        ("moderations", {"input": "Hi"}, False, False),
        ("rerank", {"query": "Hi", "documents": ["a"]}, False, False),
        ("speech", {"input": "Hi"}, False, False),
    ],
)
def test_a_request_without_a_beginning_has_no_number(
    operation: str, fields: dict[str, Any], has_prefix: bool, has_conversation: bool
) -> None:
    request = read(fields, operation)
    assert (request.prefix() != 0, request.conversation() != 0) == (has_prefix, has_conversation)


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
TEXTS = st.text(max_size=40) | st.integers(0, 3_000).map("é😀x".__mul__)
CONTENT = TEXTS | st.lists(TEXTS.map(lambda text: {"type": "text", "text": text}), max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": CONTENT}), min_size=1, max_size=5)


@given(MESSAGES, st.booleans(), st.sampled_from([(",", ":"), (" ,\n", "\t: ")]))
def test_numbers_depend_on_what_is_said_and_not_on_its_spelling(
    messages: list[dict[str, Any]], is_ascii: bool, separators: tuple[str, str]
) -> None:
    request = read({"messages": messages}, ensure_ascii=is_ascii, separators=separators)
    assert request.conversation() == twin.conversation(messages)
    assert request.prefix() == twin.prefix(messages)


VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"messages": st.lists(st.dictionaries(st.sampled_from(["role", "content", "x"]), VALUE), min_size=1)},
        optional={name: VALUE for name in ("metadata", "tools", "functions", "response_format")},
    )
)
def test_no_shape_of_a_field_breaks_anything(fields: dict[str, Any]) -> None:
    request = read(fields)
    assert request.needs() <= {"vision", "audio", "documents", "tools", "json_schema"}
    notes = fields.get("metadata")
    texts = {name: value for name, value in notes.items() if isinstance(value, str)} if isinstance(notes, dict) else {}
    assert request.metadata() == texts
    assert 0 <= request.conversation() < 2**64
    assert 0 <= request.prefix() < 2**64


def test_recorded_requests_have_numbers_and_needs() -> None:
    files = sorted(RECORDS.glob("*.jsonl"))
    if not files:
        pytest.skip("the recorded provider traffic is not there")
    records = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    seen: set[str] = set()
    for record in records:
        fields, operation = record["request"].get("json"), record["operation"]
        words = {"chat": ("messages",), "messages": ("messages", "max_tokens"), "responses": ("input",)}
        if isinstance(fields, dict) and operation in words and all(word in fields for word in words[operation]):
            request = read(fields, operation)
            seen |= request.needs()
            assert (request.prefix() != 0) == (request.text_bytes > 0)
            assert ("tools" in request.needs()) == bool(fields.get("tools") or fields.get("functions"))
    assert {"tools", "vision", "json_schema"} <= seen
