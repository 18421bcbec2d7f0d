"""Anthropic's envelope: whose it is, and how a refusal is put into it."""

import json

import pytest

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Refused

REFUSED = Refused(400, "invalid_request_error", None, "This is missing.", "messages.0.content", "r-1")
ENVELOPE = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": "messages.0.content: This is missing."},
    "request_id": "r-1",
}


@pytest.mark.parametrize(
    ("body", "owned"),
    [
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}', True),
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', True),
        (b'{"error": {"type": "x", "message": "no"}}', False),
        (b'{"type": "error", "error": {"type": "x", "message": null}}', False),
        (b'{"type": "message", "error": {"type": "x", "message": "no"}}', False),
        (b"[" * 100_000, False),
        (b"<html>", False),
        (b"", False),
    ],
)
def test_an_error_of_its_own_form_is_known(body: bytes, owned: bool) -> None:
    assert MessagesDialect().owns(body) is owned


def test_the_field_at_fault_begins_the_text_for_the_envelope_has_no_place_for_it() -> None:
    assert json.loads(MessagesDialect().envelope(REFUSED)) == ENVELOPE


def test_a_stream_that_breaks_ends_with_the_envelope_as_an_event() -> None:
    event = MessagesDialect().fault_event(REFUSED)
    assert event.startswith(b"event: error\ndata: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"event: error\ndata: ")) == ENVELOPE
