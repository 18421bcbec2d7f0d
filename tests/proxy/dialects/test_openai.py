"""Chat's own dialect: bytes that pass, and OpenAI's envelope."""

import json

from tollway.proxy.dialects.openai import OpenAIDialect
from tollway.proxy.dialects.port import Refused

REFUSED = Refused(429, "rate_limit_error", "rate_limit_exceeded", "Slow down.", "model", "r")
ERROR = {"message": "Slow down.", "type": "rate_limit_error", "param": "model", "code": "rate_limit_exceeded"}


def test_a_chat_request_is_the_hubs_byte_for_byte() -> None:
    body = b'{ "model": "alias", "made_up": 1.50 }'
    hubbed = OpenAIDialect().to_hub(body, "real")
    assert (hubbed.body, hubbed.warnings) == (body, ())


def test_an_answer_is_the_clients_byte_for_byte() -> None:
    writer = OpenAIDialect().writer(b"{}", "alias")
    assert writer.whole(b'{ "choices": [] }') == b'{ "choices": [] }'
    assert writer.event(b'{"a": 1}') + writer.end() == b'data: {"a": 1}\n\ndata: [DONE]\n\n'


def test_an_error_has_openais_envelope() -> None:
    assert json.loads(OpenAIDialect().envelope(REFUSED)) == {"error": ERROR}


def test_a_stream_that_breaks_ends_with_the_envelope_and_no_terminator() -> None:
    dialect = OpenAIDialect()
    event = dialect.fault_event(REFUSED)
    assert event == dialect.writer(b"{}", "alias").fault(REFUSED)
    assert event.startswith(b"data: ")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"data: ")) == {"error": ERROR}
