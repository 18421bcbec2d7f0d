"""Anthropic's official SDK, unchanged but for ``base_url``, against providers of every kind."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from tests.e2e.test_tool_calls import SCRIPTS, TOOLS
from tests.fakes.conversations import PNG
from tests.fakes.gateway import KEY
from tests.fakes.replaying import CHAT_ONLY, Replaying
from tests.fakes.scripts import Script, completion, deltas, sse, status, whole

KINDS = ("openai", CHAT_ONLY, "gemini", "anthropic")
USAGE = {"input_tokens": 7, "output_tokens": 3}
HI: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("anthropic")) as running:
        yield running


@pytest.fixture
def client(replaying: Replaying) -> Anthropic:
    return replaying.sdks.anthropic


def hello(kind: str) -> Script:
    """``Hello there.`` for 7 tokens in and 3 out."""
    if kind == "anthropic":
        said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
        return whole({**said, "content": [{"type": "text", "text": "Hello there."}], "usage": USAGE})
    if kind == "gemini":
        content = {"role": "model", "parts": [{"text": "Hello there."}]}
        counts = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
        return whole({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": counts})
    return whole(completion())


def streamed(kind: str) -> Script:
    """The same in pieces."""
    if kind == "anthropic":
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": USAGE}
        told: list[Any] = [
            {"type": "message_start", "message": {**message, "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
            {"type": "message_stop"},
        ]
        return sse(told, done=False)
    if kind == "gemini":
        counts = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
        texts = [("Hello ", {}), ("there.", {"finishReason": "STOP"})]
        contents = [({"role": "model", "parts": [{"text": text}]}, more) for text, more in texts]
        chunks = [{"candidates": [{"content": content, **more}], "usageMetadata": counts} for content, more in contents]
        return sse(chunks, done=False)
    return sse(deltas("Hello ", "there."))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_answered(client: Anthropic, replaying: Replaying, kind: str) -> None:
    answer = client.messages.create(
        model=kind, max_tokens=100, messages=HI, system="Be brief.", extra_headers=replaying.named(hello(kind))
    )
    (block,) = answer.content
    assert (block.type, block.type == "text" and block.text) == ("text", "Hello there.")
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)
    assert "Be brief." in json.dumps(replaying.upstream.requests[-1].json)


@pytest.mark.parametrize("kind", KINDS)
def test_the_streaming_helper_tells_texts_and_events_in_order(
    client: Anthropic, replaying: Replaying, kind: str
) -> None:
    asked: dict[str, Any] = {"model": kind, "max_tokens": 100, "messages": HI}
    with client.messages.stream(**asked, extra_headers=replaying.named(streamed(kind))) as events:
        assert list(events.text_stream) == ["Hello ", "there."]
        answer = events.get_final_message()
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == ("end_turn", 7, 3)
    with client.messages.create(**asked, stream=True, extra_headers=replaying.named(streamed(kind))) as raw:
        kinds = [event.type for event in raw]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_thoughts_and_calls_are_blocks(client: Anthropic, replaying: Replaying, kind: str, streams: bool) -> None:
    asked: dict[str, Any] = {"model": kind, "max_tokens": 2000, "messages": HI, "tools": TOOLS}
    headers = replaying.named(SCRIPTS[kind](streamed=streams))
    if streams:
        with client.messages.stream(**asked, extra_headers=headers) as events:
            answer: Any = events.get_final_message()
    else:
        answer = client.messages.create(**asked, extra_headers=headers)
    kinds = [block.type for block in answer.content]
    assert (kinds[0], kinds[-1]) == ("thinking", "tool_use")
    assert answer.content[0].thinking == "Hm."
    assert (answer.content[-1].name, answer.content[-1].input) == ("get_weather", {"city": "Paris"})
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize("kind", KINDS)
def test_images_reach_the_provider(client: Anthropic, replaying: Replaying, kind: str) -> None:
    source: Any = {"type": "base64", "media_type": "image/png", "data": PNG}
    turns: list[Any] = [
        {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]}
    ]
    client.messages.create(model=kind, max_tokens=100, messages=turns, extra_headers=replaying.named(hello(kind)))
    assert PNG in json.dumps(replaying.upstream.requests[-1].json)


@pytest.mark.parametrize("kind", ["openai", "gemini"])
@pytest.mark.parametrize(
    ("code", "raised", "word"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_refusals_are_the_sdks_own_errors(
    client: Anthropic, replaying: Replaying, kind: str, code: int, raised: type[anthropic.APIStatusError], word: str
) -> None:
    with pytest.raises(raised) as caught:
        client.messages.create(
            model=kind, max_tokens=100, messages=HI, extra_headers=replaying.named(status(code, "no such luck"))
        )
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", word)
    assert "no such luck" in body["error"]["message"]
    assert caught.value.request_id == body["request_id"]


def test_the_simulator_speaks_it_too(client: Anthropic) -> None:
    asked: dict[str, Any] = {"model": "simulator", "max_tokens": 500, "messages": HI}
    answer = client.messages.create(**asked)
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0
    with client.messages.stream(**asked) as events:
        assert "".join(events.text_stream) == "".join(block.text for block in answer.content if block.type == "text")
    choice: Any = {"type": "tool", "name": "get_weather"}
    called = client.messages.create(**asked, tools=TOOLS, tool_choice=choice)
    (use,) = [block for block in called.content if block.type == "tool_use"]
    assert (called.stop_reason, use.name, list(use.input)) == ("tool_use", "get_weather", ["city"])


def test_a_malformed_request_names_its_field(client: Anthropic) -> None:
    turns: Any = [{"role": "user", "content": [{"type": "hologram"}]}]
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="openai", max_tokens=100, messages=turns)
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"


def test_a_model_that_is_not_there_is_not_found(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="nobody", max_tokens=100, messages=HI)
    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"


def test_both_ways_of_giving_a_key_are_taken_and_a_wrong_one_is_refused(replaying: Replaying) -> None:
    url = replaying.gateway.url
    for given in (Anthropic(base_url=url, api_key=KEY), Anthropic(base_url=url, auth_token=KEY)):
        with given as own:
            headers = replaying.named(hello("openai"))
            assert own.messages.create(model="openai", max_tokens=9, messages=HI, extra_headers=headers).content
    with Anthropic(base_url=url, max_retries=0, api_key="wrong") as own, pytest.raises(anthropic.AuthenticationError):
        own.messages.create(model="openai", max_tokens=9, messages=HI)


def test_a_stream_that_breaks_is_an_error_and_no_end(client: Anthropic, replaying: Replaying) -> None:
    cut = sse(deltas("Hello ", "there.")[:2], done=False, ending=(("fin",),))
    asked: dict[str, Any] = {"model": CHAT_ONLY, "max_tokens": 100, "messages": HI}
    heard: list[str] = []
    with client.messages.create(**asked, stream=True, extra_headers=replaying.named(cut)) as events:
        with pytest.raises(anthropic.APIStatusError):
            heard.extend(event.type for event in events)
    assert heard[-1] == "content_block_delta"
    assert "message_delta" not in heard


def test_tokens_are_counted_where_the_provider_does_not(client: Anthropic) -> None:
    few = client.messages.count_tokens(model="openai", messages=HI).input_tokens
    turns: list[Any] = [{"role": "user", "content": "Hi " * 100}]
    many = client.messages.count_tokens(model="openai", messages=turns).input_tokens
    assert 0 < few < many
    assert many - few == pytest.approx(99, abs=3)


def test_gemini_counts_in_its_own_words(client: Anthropic, replaying: Replaying) -> None:
    headers = replaying.named(whole({"totalTokens": 17}))
    assert client.messages.count_tokens(model="gemini", messages=HI, extra_headers=headers).input_tokens == 17
    assert replaying.upstream.requests[-1].path.endswith(":countTokens")


def test_anthropic_counts_its_own(client: Anthropic, replaying: Replaying) -> None:
    headers = replaying.named(whole({"input_tokens": 2095}))
    counted = client.messages.count_tokens(model="anthropic", messages=HI, extra_headers=headers)
    assert counted.input_tokens == 2095
    assert replaying.upstream.requests[-1].path == "/v1/messages/count_tokens"
