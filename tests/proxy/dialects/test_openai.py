"""Chat's own dialect: bytes that pass, and OpenAI's envelope."""

import json

import pytest

from tollway.proxy.dialects.openai import OpenAIDialect
from tollway.proxy.dialects.port import Refused

REFUSED = Refused(429, "rate_limit_error", "rate_limit_exceeded", "Slow down.", "model", "r")
ERROR = {"message": "Slow down.", "type": "rate_limit_error", "param": "model", "code": "rate_limit_exceeded"}


def test_a_chat_request_is_the_hubs_byte_for_byte() -> None:
    body = b'{ "model": "alias", "made_up": 1.50 }'
    hubbed = OpenAIDialect().to_hub(body, "real")
    assert (hubbed.body, hubbed.warnings) == (body, ())


def test_an_answer_is_the_clients_already() -> None:
    assert OpenAIDialect().writer(b"{}", "alias") is None


@pytest.mark.parametrize(
    ("body", "owned"),
    [
        (b'{"error": {"message": "no", "x": 1}}', True),
        (b'{"error": {"message": null}}', False),
        (b'{"error": "no"}', False),
        (b'{"message": "no"}', False),
        (b"[" * 100_000, False),
        (b"<html>", False),
        (b"", False),
    ],
)
def test_an_error_of_its_own_form_is_known(body: bytes, owned: bool) -> None:
    assert OpenAIDialect().owns(body) is owned


def test_an_error_has_openais_envelope() -> None:
    assert json.loads(OpenAIDialect().envelope(REFUSED)) == {"error": ERROR}


def test_a_stream_that_breaks_ends_with_the_envelope_and_no_terminator() -> None:
    dialect = OpenAIDialect()
    event = dialect.fault_event(REFUSED)
    assert event.startswith(b"data: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"data: ")) == {"error": ERROR}
