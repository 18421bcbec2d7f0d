"""Conversations of several turns, from each client's dialect into each provider's: nothing is lost, nothing moved."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.fakes import anthropic_schema, google_schema
from tests.fakes.conversations import (
    CONVERSATIONS,
    REDACTED,
    SIGNATURE,
    SPOKEN,
    THINKING,
    Said,
    body_of,
    read_anthropic,
    read_google,
)

from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.google.request import translate

Hub = dict[str, Any]


def to_anthropic(hub: Hub) -> dict[str, Any]:
    """The request as Anthropic gets it, past the check of its own."""
    made = map_request(hub, "claude-sonnet-4-5").body
    anthropic_schema.check(made)
    return made


def to_google(hub: Hub) -> dict[str, Any]:
    """The request as Gemini gets it, likewise."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(translate(hub, "gemini-2.5-flash").body))
    google_schema.check_request(made)
    return made


CLIENTS: dict[str, Callable[[dict[str, Any]], Hub]] = {"chat": lambda body: body}
PROVIDERS: dict[str, Callable[[Hub], list[Said]]] = {
    "anthropic": lambda hub: read_anthropic(to_anthropic(hub)),
    "google": lambda hub: read_google(to_google(hub)),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_is_told_in_full_and_in_order(client: str, name: str, provider: str) -> None:
    hub = CLIENTS[client](body_of(client, CONVERSATIONS[name][client]))
    assert PROVIDERS[provider](hub) == SPOKEN[name]


@pytest.mark.parametrize("client", [client for client in THINKING if client in CLIENTS])
def test_signed_thoughts_reach_anthropic_byte_for_byte_and_nobody_else(client: str) -> None:
    hub = CLIENTS[client](body_of(client, THINKING[client]))
    turns = to_anthropic(hub)["messages"]
    assert turns[1]["content"][:2] == [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": REDACTED},
    ]
    assert turns[1]["content"][2]["type"] == "tool_use"
    sent = json.dumps(to_google(hub))
    assert SIGNATURE not in sent
    assert REDACTED not in sent


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_conversation_may_begin_or_end_with(client: str, provider: str) -> None:
    """Turns of one role in a row, and a system turn in the middle: what providers are strict about."""
    if client != "chat":
        return
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": "Three"},
        {"role": "assistant", "content": "Four"},
        {"role": "user", "content": "Five"},
    ]
    said = PROVIDERS[provider](body_of("chat", {"messages": turns}))
    assert [each.what for each in said] == ["Be brief.", "One", "Two", "Three", "Four", "Five"]
