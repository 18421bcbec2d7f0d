"""OpenAI's SDK against a scripted Bedrock that verifies every signature and refuses what is no Converse."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start
from tests.fakes.bedrock import ACCESS_KEY_ID, API_KEY, REGION, SECRET, TOKEN, FakeBedrock, played, refuse
from tests.fakes.converse import exception, frames, whole
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.upstream import FakeUpstream

MODEL = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Let me look.", "signature": "c2ln/+=="}}}
CALLS = [
    {"toolUse": {"toolUseId": f"tooluse_{n}", "name": "look_up", "input": {"city": city}}}
    for n, city in enumerate(["Zürich", "東京", "Lima"])
]
USAGE = {"inputTokens": 10, "outputTokens": 3, "cacheReadInputTokens": 90}
TEXT = whole([{"text": "Grüße aus 東京 👩‍👧"}], usage=USAGE)
SIGNED = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET, "session_token": TOKEN}


def open_gateway(start: Start, upstream: FakeUpstream, **proof: str) -> Gateway:
    base = upstream.base_url.removesuffix("/v1")
    price = {"input_per_1m": 3, "output_per_1m": 15, "cached_input_per_1m": 1}
    return start(
        providers={"aws": {"kind": "bedrock", "base_url": base, "region": REGION, **proof}},
        models={"claude": {"targets": [{"provider": "aws", "model": MODEL}], "price": price}},
    )


@pytest.fixture
def bedrock(upstream: FakeUpstream) -> FakeBedrock:
    upstream.default = fake = FakeBedrock(TEXT)
    return fake


@pytest.fixture
def gateway(start: Start, upstream: FakeUpstream, bedrock: FakeBedrock) -> Gateway:
    return open_gateway(start, upstream, **SIGNED)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


def put_together(client: OpenAI, **asked: Any) -> tuple[str, list[tuple[str, Any]], list[str], int]:
    """Text, calls, finish reasons and prompt tokens of a stream."""
    text, calls, finishes, prompt = "", dict[int, list[str]](), list[str](), 0
    for chunk in client.chat.completions.create(
        model="claude", messages=HELLO, stream=True, stream_options={"include_usage": True}, **asked
    ):
        prompt = chunk.usage.prompt_tokens if chunk.usage else prompt
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                name, arguments = calls.setdefault(call.index, ["", ""])
                calls[call.index] = [name + (call.function.name or ""), arguments + (call.function.arguments or "")]
    return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], finishes, prompt


def test_a_whole_answer_and_a_stream_say_the_same_and_are_billed_alike(
    client: OpenAI, gateway: Gateway, bedrock: FakeBedrock
) -> None:
    answer = client.chat.completions.create(model="claude", messages=HELLO)
    assert answer.choices[0].message.content == "Grüße aus 東京 👩‍👧"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (100, 3)
    for bedrock.piece_bytes in (1, 17, 4096):
        assert put_together(client) == ("Grüße aus 東京 👩‍👧", [], ["stop"], 100)
    assert bedrock.asked == [(MODEL, {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]})] * 4
    rows = gateway.wait_for_rows(4)
    assert {(row["status"], row["usage_source"], row["prompt_tokens"], row["cost"]) for row in rows} == {
        ("ok", "told", 100, rows[0]["cost"])
    }
    assert float(rows[0]["cost"]) == pytest.approx((10 * 3 + 90 * 1 + 3 * 15) / 1e6)


def test_three_calls_and_a_signed_thought_over_two_turns(client: OpenAI, bedrock: FakeBedrock) -> None:
    bedrock.answer = whole([THOUGHT, *CALLS], "tool_use")
    expected = [("look_up", call["toolUse"]["input"]) for call in CALLS]
    assert put_together(client, tools=[TOOL]) == ("", expected, ["tool_calls"], 7)
    answer = client.chat.completions.create(model="claude", messages=HELLO, tools=[TOOL])
    message: Any = answer.choices[0].message
    results: list[Any] = [{"role": "tool", "tool_call_id": call.id, "content": "Sunny"} for call in message.tool_calls]
    bedrock.answer = TEXT
    client.chat.completions.create(model="claude", messages=[*HELLO, message, *results], tools=[TOOL])
    _, turn, answers = bedrock.asked[-1][1]["messages"]
    assert turn["content"] == [THOUGHT, *CALLS]
    assert [block["toolResult"]["toolUseId"] for block in answers["content"]] == ["tooluse_0", "tooluse_1", "tooluse_2"]


def test_a_refusal_keeps_its_class_and_its_words(client: OpenAI, bedrock: FakeBedrock) -> None:
    for status, name, message, seen_as, code in [
        (429, "ThrottlingException", "Too many requests.", 429, "rate_limit_exceeded"),
        (400, "ValidationException", "Input is too long for requested model.", 400, "context_length_exceeded"),
        (404, "ResourceNotFoundException", "No such model.", 404, "model_not_found"),
        (424, "ModelErrorException", "It broke.", 502, "upstream_error"),
        (403, "AccessDeniedException", "You don't have access.", 403, None),
    ]:
        bedrock.refusal = refuse(status, name, message)
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as caught:
                client.chat.completions.create(model="claude", messages=HELLO, stream=stream)
            assert (caught.value.status_code, caught.value.code) == (seen_as, code)
            assert message in caught.value.message


def hear(client: OpenAI, heard: list[str]) -> None:
    """Adds what a stream says to ``heard``; it must not come to its end."""
    for chunk in client.chat.completions.create(model="claude", messages=HELLO, stream=True):
        assert all(choice.finish_reason is None for choice in chunk.choices)
        heard += [choice.delta.content or "" for choice in chunk.choices]


def test_a_fault_within_a_stream_is_a_refusal_before_the_first_word_and_an_error_after_it(
    client: OpenAI, bedrock: FakeBedrock
) -> None:
    slow, heard = exception("throttlingException", "Slow down."), list[str]()
    bedrock.refusal = played([slow], 13)
    with pytest.raises(openai.RateLimitError):
        hear(client, heard)
    bedrock.refusal = played([*frames(TEXT)[:4], slow], 13)
    with pytest.raises(openai.APIError, match=r"Slow down\."):
        hear(client, heard)
    assert "".join(heard) == "Grüße aus"


def test_a_stream_that_is_cut_has_no_finish_reason(client: OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    told, heard = b"".join(frames(TEXT)[:5]), list[str]()
    for sent in (told, told[:-7]):  # between two frames, and within one
        bedrock.refusal = played([sent], 40, (("fin",),))
        with pytest.raises(openai.APIError):
            hear(client, heard)
    assert {row["usage_source"] for row in gateway.wait_for_rows(2)} == {"estimated"}


def test_a_client_that_leaves_cuts_the_provider(
    client: OpenAI, gateway: Gateway, bedrock: FakeBedrock, upstream: FakeUpstream
) -> None:
    bedrock.refusal = played(frames(TEXT)[:3], 40, (("hang",),))
    with client.chat.completions.create(model="claude", messages=HELLO, stream=True) as chunks:
        next(chunk for chunk in chunks if chunk.choices[0].delta.content)
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["usage_source"]) == ("client_gone", "estimated")


def test_an_api_key_goes_as_a_bearers(start: Start, upstream: FakeUpstream, bedrock: FakeBedrock) -> None:
    gateway = open_gateway(start, upstream, api_key=API_KEY)
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        assert put_together(client)[2] == ["stop"]
    assert upstream.requests[0].header("x-amz-date") is None


def test_a_wrong_secret_is_told_without_any_secret(start: Start, upstream: FakeUpstream, bedrock: FakeBedrock) -> None:
    gateway = open_gateway(start, upstream, **SIGNED | {"secret_access_key": "wrong-canary-0123456789"})
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="claude", messages=HELLO)
    assert "does not match" in caught.value.message
    assert "canary" not in str(caught.value.body)
    assert "canary" not in gateway.log().lower()
