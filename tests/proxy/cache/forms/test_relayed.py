"""Streams that the gateway itself has written or screened, and the whole answers that they are.

What a client gets of a provider that speaks another dialect is written here; what is screened leaves in other pieces.
"""

import json
from typing import Any

import pytest
from tests.fakes.records import Record, needs_records, records
from tests.proxy.cache.forms.streams import OPERATIONS, PROVIDERS, Reading, relayed

from tollway._native.guardrails import Policy
from tollway._native.sse import Relay
from tollway.contract.snapshot import Operation
from tollway.proxy.cache import forms
from tollway.proxy.cache.forms.framing import payloads
from tollway.proxy.dialects.table import dialects
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.translated import Reader

pytestmark = needs_records

OWN = {"anthropic": "messages", "gemini": "generate_content", "vertex": "generate_content"}
"""What providers are asked for that don't speak chat."""

SPOILT = {"error_in_stream", "json_array", "error"}
REQUEST = b'{"model": "m", "input": "Hi"}'


def hub(record: Record) -> bytes:
    """The recorded answer as chat, as it leaves for a client of chat."""
    if record.operation == "chat":
        return relayed(record) if record.stream else record.body.encode()
    reader: Reader = AnthropicReader() if record.operation == "messages" else GoogleReader("m")
    if not record.stream:
        return reader.whole(record.body.encode())
    return b"".join(map(reader.event, payloads(record.body.encode()))) + reader.end()


def said(operation: Operation, record: Record) -> bytes:
    """The recorded answer as it leaves for a client of this dialect."""
    if operation == "chat":
        return hub(record)
    writer = dialects()[operation].writer(REQUEST, "m")
    assert writer is not None
    if not record.stream:
        return writer.whole(hub(record))
    return b"".join(map(writer.event, Relay(False).feed_payloads(hub(record)))) + writer.end()


def recorded(provider: str, *, stream: bool) -> list[Record]:
    found = [
        record
        for record in records(provider, OWN.get(provider, "chat"), stream)
        if record.status == 200 and not SPOILT & set(record.tags) and '"error":' not in record.body
    ]
    return [record for record in found if '"content_filter"' not in record.body]


@pytest.mark.parametrize("operation", ["chat", "messages", "responses"])
@pytest.mark.parametrize("provider", [*PROVIDERS, "gemini", "vertex"])
def test_a_stream_that_is_written_here_is_told_as_a_whole_answer(
    sdk: Reading, operation: Operation, provider: str
) -> None:
    for record in recorded(provider, stream=True):
        events = said(operation, record)
        whole = forms.whole(operation, events)
        if whole is None:
            assert (operation, provider) == ("chat", "azure"), record.id  # its filter contradicts itself
            continue
        heard = sdk.meant(operation, events, stream=True)
        assert sdk.meant(operation, whole, stream=False) == heard, record.id
        assert again(operation, whole) == json.loads(whole), record.id


@pytest.mark.parametrize("operation", ["chat", "messages", "responses"])
@pytest.mark.parametrize("provider", ["anthropic", "gemini", "openai", "openrouter"])
def test_a_whole_answer_that_is_written_here_is_the_same_after_it_was_a_stream(
    operation: Operation, provider: str
) -> None:
    for record in recorded(provider, stream=False):
        whole = said(operation, record)
        expected = json.loads(whole)
        for choice in expected.get("choices", ()):
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
        assert again(operation, whole) == expected, record.id


def again(operation: Operation, whole: bytes) -> Any:
    return json.loads(forms.whole(operation, b"".join(forms.events(operation, whole))) or b"null")


CHECKS = [{"check": "pii", "actions": {"email": "redact", "phone": "redact", "iban": "redact"}}]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("provider", ["anthropic", "deepseek", "openai", "openrouter", "xai"])
def test_a_stream_that_was_screened_and_held_is_told_as_one_that_was_not(operation: Operation, provider: str) -> None:
    spec = {"name": "p", "version": "1", "input": [], "output": CHECKS}
    policy = Policy(json.dumps(spec).encode(), b"secret")
    dialect: Any = operation if operation in ("messages", "responses") else "chat"
    for record in records(provider, operation, stream=True):
        plain = forms.whole(operation, relayed(record)) if record.is_sse else None
        session = policy.session("acme")
        relay = Relay(False, dialect=dialect, guard=session)
        events = relay.feed(record.body.encode()) + relay.finish() + relay.last
        if plain is None or session.found():
            continue
        assert json.loads(forms.whole(operation, events) or b"null") == json.loads(plain), record.id
