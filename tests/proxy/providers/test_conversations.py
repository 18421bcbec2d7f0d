"""Conversations of several turns, from each client's dialect into each provider's: nothing is lost, nothing moved."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.fakes import anthropic_schema, google_schema
from tests.fakes.bedrock_schema import check_converse
from tests.fakes.conversations import (
    CONVERSATIONS,
    HOUR,
    MARK,
    MARKED,
    REDACTED,
    SIGNATURE,
    SPOKEN,
    THINKING,
    Said,
    body_of,
    marks_of,
    read_anthropic,
    read_bedrock,
    read_chat,
    read_google,
)
from tests.fakes.openai_schema import check_chat_request

from tollway.contract.snapshot import ProviderKind
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.bedrock.request import map_request as converse
from tollway.proxy.providers.google.request import translate
from tollway.proxy.providers.openai.plain import plain
from tollway.proxy.providers.openai.presets import PRESETS

Hub = dict[str, Any]

CLAUDE_AT_AMAZON = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


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


def to_chat(hub: Hub, kind: ProviderKind) -> dict[str, Any]:
    """The request as a provider of OpenAI's dialect gets it, past the check of OpenAI's types."""
    made, _ = plain(hub, PRESETS[kind])
    assert check_chat_request(made, extensions=False) == []
    return made


def to_bedrock(hub: Hub) -> dict[str, Any]:
    """The request as Bedrock gets it, past the check of Amazon's own shapes."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(converse(hub, CLAUDE_AT_AMAZON).body))
    assert check_converse(made) == []
    return made


def hubbed(dialect: Dialect) -> Callable[[dict[str, Any]], Hub]:
    """What a client's request is to the providers."""

    def hub(body: dict[str, Any]) -> Hub:
        made = dialect.to_hub(json.dumps(body).encode(), "m")
        assert made.warnings == ()
        decoded: Hub = json.loads(made.body)
        assert check_chat_request(decoded, extensions=True) == []
        return decoded

    return hub


CLIENTS: dict[str, Callable[[dict[str, Any]], Hub]] = {
    "chat": lambda body: body,
    "messages": hubbed(MessagesDialect()),
    "responses": hubbed(ResponsesDialect()),
}
PROVIDERS: dict[str, Callable[[Hub], list[Said]]] = {
    "anthropic": lambda hub: read_anthropic(to_anthropic(hub)),
    "google": lambda hub: read_google(to_google(hub)),
    "openai": lambda hub: read_chat(to_chat(hub, "openai")),
    "bedrock": lambda hub: read_bedrock(to_bedrock(hub)),
    "groq": lambda hub: read_chat(to_chat(hub, "groq")),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_is_told_in_full_and_in_order(client: str, name: str, provider: str) -> None:
    hub = CLIENTS[client](body_of(client, CONVERSATIONS[name][client]))
    assert PROVIDERS[provider](hub) == SPOKEN[name]


@pytest.mark.parametrize("client", [client for client in THINKING if client in CLIENTS])
def test_signed_thoughts_reach_claude_byte_for_byte_and_nobody_else(client: str) -> None:
    hub = CLIENTS[client](body_of(client, THINKING[client]))
    turns = to_anthropic(hub)["messages"]
    assert turns[1]["content"][:2] == [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": REDACTED},
    ]
    assert turns[1]["content"][2]["type"] == "tool_use"
    at_amazon = [block["reasoningContent"] for block in to_bedrock(hub)["messages"][1]["content"][:2]]
    assert at_amazon == [{"reasoningText": {"text": "Hm.", "signature": SIGNATURE}}, {"redactedContent": REDACTED}]
    sent = json.dumps(to_google(hub))
    assert SIGNATURE not in sent
    assert REDACTED not in sent


@pytest.mark.parametrize("client", MARKED)
def test_cache_marks_reach_anthropic_in_all_five_places_and_nobody_else(client: str) -> None:
    hub = CLIENTS[client](body_of(client, MARKED[client]))
    sent = map_request(hub, "claude-sonnet-4-5").body
    anthropic_schema.check(sent)
    assert marks_of(sent) == [HOUR, HOUR, HOUR, MARK, MARK]
    assert "cache_control" not in json.dumps([to_google(hub), to_chat(hub, "openai"), to_chat(hub, "groq")])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_turns_of_one_role_in_a_row_keep_their_order(provider: str) -> None:
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
