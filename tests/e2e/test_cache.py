"""Answers that are given again: as the official SDKs hear them, whoever filled them and however, and what they cost."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from openai import OpenAI
from tests.e2e.conftest import Start, StartFor
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.scripts import Script, completion, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream, Seen

OTHER_KEY = "test-key-of-tenant-globex-0001"
GUARDED_KEY = "test-key-of-tenant-acme-guarded"
EMAIL = "jane.doe@example.com"
CACHE = {"exact": {"ttl": "1h"}}
TENANTS = {
    "acme": {
        "keys": {"ci": {"key": KEY}, "guarded": {"key": GUARDED_KEY, "guardrails": "careful"}},
    },
    "globex": {"keys": {"ci": {"key": OTHER_KEY}}, "cache": {"exact": {}, "semantic": {"threshold": 0.8}}},
}
GUARDRAILS = {"careful": {"output": [{"check": "pii", "entities": ["email"], "action": "redact"}]}}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
ARGUMENTS: tuple[dict[str, Any], ...] = ({"city": "Zürich 🏔", "days": [1, 2]}, {})


def said_by(seen: Seen) -> str:
    """The last text of a request."""
    content = seen.json["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def echo(seen: Seen) -> Script:
    """Tells what it was asked, and how often anybody was: no two answers are the same."""
    text = f"You asked: {said_by(seen)}"
    return sse(deltas(text[:9], text[9:])) if seen.json.get("stream") else whole(completion(text))


def calls(seen: Seen) -> Script:
    """Two calls of tools at once."""
    made = [
        {"id": f"call_{place}", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps(each)}}
        for place, each in enumerate(ARGUMENTS)
    ]
    if not seen.json.get("stream"):
        told = completion()
        told["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": made}}
        told["choices"][0]["finish_reason"] = "tool_calls"
        return whole(told)
    chunks = deltas("x")
    pieces = [{"index": place, **call} for place, call in enumerate(made)]
    chunks[1]["choices"][0]["delta"] = {"tool_calls": pieces}
    chunks[2]["choices"][0]["finish_reason"] = "tool_calls"
    return sse(chunks)


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream) -> Gateway:
    lasting_upstream.default = echo
    lasting_upstream.scripts["tools"] = calls
    settings = config(lasting_dsn, lasting_upstream.base_url, cache=CACHE, tenants=TENANTS, guardrails=GUARDRAILS)
    served = models("m", "tools", "slow", "vectors", "said", retries={"attempts": 1})
    served["said"]["targets"] = [{"provider": "chatting", "model": "said"}]
    chatting = {"kind": "openai_compatible", "base_url": lasting_upstream.base_url}
    return start_for({**settings, "providers": {**settings["providers"], "chatting": chatting}, "models": served})


@pytest.fixture
def openai(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.fixture
def anthropic(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as opened:
        yield opened


def post(
    gateway: Gateway, text: str, *, key: str = KEY, path: str = "/chat/completions", **more: Any
) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    with httpx2.Client(base_url=gateway.base_url, headers=headers, timeout=30) as client:
        return client.post(path, json=body)


def hit(ask: Callable[[], httpx2.Response], within_s: float = 5.0) -> httpx2.Response:
    """Asks until it is answered from the cache: an answer is kept just after it has left."""
    until = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer.headers.get("x-tollway-cache") in ("exact", "semantic"):
            return answer
        assert time.monotonic() < until, dict(answer.headers)
        time.sleep(0.02)


def row_of(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The usage row of a call."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [row for row in gateway.rows() if row["request_id"] == request_id]
        return bool(found)

    gateway.wait_until(there, "the row")
    return found[0]


FORMS = [(False, False), (False, True), (True, False), (True, True)]
forms = pytest.mark.parametrize(("filled", "asked"), FORMS, ids=lambda form: "streamed" if form else "whole")


@forms
def test_openais_sdk_hears_the_same_answer(gateway: Gateway, openai: OpenAI, filled: bool, asked: bool) -> None:
    question = (
        f"What is said {'in a stream' if filled else 'at once'} and asked {'in a stream' if asked else 'at once'}?"
    )
    messages: Any = [{"role": "user", "content": question}]
    assert f"You asked: {question}" == chat_text(openai, messages, stream=filled)
    hit(lambda: post(gateway, question))
    assert f"You asked: {question}" == chat_text(openai, messages, stream=asked)
    raw = openai.chat.completions.with_raw_response.create(model="m", messages=messages)
    assert raw.headers["x-tollway-cache"] == "exact"


def chat_text(client: OpenAI, messages: Any, *, stream: bool) -> str:
    if not stream:
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content or ""
    told = client.chat.completions.create(
        model="m", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(told)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@forms
def test_tool_calls_stay_what_they_are(gateway: Gateway, openai: OpenAI, filled: bool, asked: bool) -> None:
    question = f"Weather {filled} {asked}?"
    messages: Any = [{"role": "user", "content": question}]

    def ask(stream: bool) -> list[Any]:
        if stream:
            with openai.chat.completions.stream(model="tools", messages=messages, tools=[WEATHER]) as told:
                made = told.get_final_completion().choices[0].message.tool_calls or []
        else:
            answer = openai.chat.completions.create(model="tools", messages=messages, tools=[WEATHER])
            assert answer.choices[0].finish_reason == "tool_calls"
            made = answer.choices[0].message.tool_calls or []  # type: ignore[assignment]
        return [json.loads(call.function.arguments) for call in made]

    assert ask(filled) == list(ARGUMENTS)
    hit(lambda: post(gateway, question, model="tools", tools=[WEATHER]))
    assert ask(asked) == list(ARGUMENTS)


@forms
def test_anthropics_sdk_hears_the_same_answer(
    gateway: Gateway, anthropic: Anthropic, filled: bool, asked: bool
) -> None:
    question = f"Message {filled} {asked}?"
    messages: Any = [{"role": "user", "content": question}]

    def ask(stream: bool) -> str:
        answer: Message
        if stream:
            with anthropic.messages.stream(model="m", max_tokens=99, messages=messages) as told:
                answer = told.get_final_message()
        else:
            answer = anthropic.messages.create(model="m", max_tokens=99, messages=messages)
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens == 3
        (block,) = answer.content
        return block.text if block.type == "text" else ""

    assert ask(filled) == f"You asked: {question}"
    hit(lambda: post(gateway, question, path="/messages", max_tokens=99))
    assert ask(asked) == f"You asked: {question}"


@forms
def test_responses_hear_the_same_answer(gateway: Gateway, openai: OpenAI, filled: bool, asked: bool) -> None:
    question = f"Response {filled} {asked}?"

    def ask(stream: bool) -> str:
        if stream:
            with openai.responses.stream(model="said", input=question, store=False) as told:
                return told.get_final_response().output_text
        return openai.responses.create(model="said", input=question, store=False).output_text

    heard = ask(filled)
    assert question in heard
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "said", "input": question, "store": False}
    hit(lambda: httpx2.post(f"{gateway.base_url}/responses", json=body, headers=headers))
    assert ask(asked) == heard


def test_a_hit_has_a_row_at_no_cost_that_tells_what_was_saved(gateway: Gateway) -> None:
    first = post(gateway, "What does it cost?")
    answer = hit(lambda: post(gateway, "What does it cost?"))
    assert answer.headers["x-tollway-cost-usd"] == "0"
    assert answer.headers["x-tollway-attempts"] == "0"
    assert (answer.headers["x-tollway-provider"], answer.headers["x-tollway-model"]) == ("fake", "m")
    assert int(answer.headers["age"]) >= 0
    assert len(answer.headers["x-tollway-cache-key"]) == 64
    asked, kept = row_of(gateway, first.headers["x-request-id"]), row_of(gateway, answer.headers["x-request-id"])
    assert (asked["cache"], asked["saved"]) == ("none", None)
    assert (kept["cache"], kept["cost"], kept["saved"]) == ("exact", 0, asked["cost"])
    assert kept["cost_input"] is None
    alike = ("model", "provider", "provider_model", "prompt_tokens", "completion_tokens", "tenant_id", "status")
    assert {name: kept[name] for name in alike} == {name: asked[name] for name in alike}
    assert (kept["attempts"], kept["role"], kept["charged"]) == (0, "answer", None)


def test_what_means_the_same_is_answered_from_the_cache_and_says_so(gateway: Gateway) -> None:
    hit(lambda: post(gateway, "What is the capital of France?", key=OTHER_KEY))
    answer = post(gateway, "what is the capital of France", key=OTHER_KEY)
    assert answer.headers["x-tollway-cache"] == "semantic"
    assert 0.8 <= float(answer.headers["x-tollway-cache-similarity"]) <= 1
    assert answer.headers["x-tollway-cache-region"].startswith("globex/m/")
    assert row_of(gateway, answer.headers["x-request-id"])["cache"] == "semantic"


def test_a_client_says_how_its_call_uses_the_cache(gateway: Gateway, lasting_upstream: FakeUpstream) -> None:
    def ask(**headers: str) -> httpx2.Response:
        return post(gateway, "Control?", headers={name.replace("_", "-"): value for name, value in headers.items()})

    missed = ask(cache_control="only-if-cached")
    assert (missed.status_code, missed.json()["error"]["code"]) == (504, "cache_miss")
    assert missed.headers["x-should-retry"] == "false"
    assert ask().headers["x-tollway-cache"] == "miss"
    hit(ask)
    before = lasting_upstream.hits
    for headers, result in [
        ({"x_tollway_cache": "only"}, "exact"),
        ({"cache_control": "max-age=600"}, "exact"),
        ({"x_tollway_cache": "off"}, "off"),
        ({"cache_control": "no-store"}, "off"),
        ({"x_tollway_cache": "refresh"}, "refresh"),
        ({"cache_control": "no-cache"}, "refresh"),
    ]:
        assert ask(**headers).headers["x-tollway-cache"] == result, headers
    assert lasting_upstream.hits == before + 4
    refused = ask(x_tollway_cache="always")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-tollway-cache")


def test_a_stream_says_in_its_head_what_the_cache_did(gateway: Gateway) -> None:
    first = post(gateway, "In a head?", stream=True)
    assert (first.headers["x-tollway-cache"], first.headers["content-type"][:17]) == ("miss", "text/event-stream")
    again = hit(lambda: post(gateway, "In a head?", stream=True))
    assert again.headers["x-tollway-cache"] == "exact"
    assert '"usage"' not in again.text, "nobody asked for it"
    assert again.text.endswith("data: [DONE]\n\n")


def test_another_temperature_is_another_answer_each_time(gateway: Gateway) -> None:
    for _ in range(2):
        assert post(gateway, "Warm?", temperature=0.7).headers["x-tollway-cache"] == "off"


def test_the_callers_own_guardrails_hold_for_what_others_were_told(gateway: Gateway) -> None:
    question = f"Whose is {EMAIL}?"
    post(gateway, question)
    hit(lambda: post(gateway, question))
    for stream in (False, True):
        answer = post(gateway, question, key=GUARDED_KEY, stream=stream)
        assert answer.headers["x-tollway-cache"] == "exact"
        assert EMAIL not in answer.text
    assert EMAIL in post(gateway, question).text, "and not for those who filled it"


def test_what_a_guardrail_altered_is_told_to_nobody_else(gateway: Gateway) -> None:
    question = f"Who is {EMAIL} really?"
    assert EMAIL not in post(gateway, question, key=GUARDED_KEY).text
    time.sleep(0.3)
    answer = post(gateway, question)
    assert answer.headers["x-tollway-cache"] == "miss"
    assert EMAIL in answer.text


def test_vectors_are_answered_from_the_cache(gateway: Gateway, lasting_upstream: FakeUpstream) -> None:
    vectors = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]}
    lasting_upstream.scripts["vectors"] = whole(
        {**vectors, "model": "v", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    )
    headers = {"authorization": f"Bearer {KEY}"}

    def ask() -> httpx2.Response:
        body = {"model": "vectors", "input": "Hello"}
        return httpx2.post(f"{gateway.base_url}/embeddings", json=body, headers=headers)

    first = ask()
    assert hit(ask).json() == first.json()
    assert lasting_upstream.hits_of("vectors") == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_two_hundred_identical_calls_reach_the_provider_once(
    gateway: Gateway, lasting_upstream: FakeUpstream, stream: bool
) -> None:
    text = "One answer for all of them."
    lasting_upstream.scripts["slow"] = (
        sse(deltas(*text.split(" ")), gap_s=0.2) if stream else whole(completion(text), delay_s=1.0)
    )
    before = lasting_upstream.hits_of("slow")
    body = {"model": "slow", "messages": [{"role": "user", "content": f"All at once {stream}?"}], "stream": stream}
    limits = httpx2.Limits(max_connections=200)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, limits=limits) as client:
        url = f"{gateway.base_url}/chat/completions"
        answers = await asyncio.gather(*(client.post(url, json=body) for _ in range(200)))
    assert lasting_upstream.hits_of("slow") == before + 1
    results = [answer.headers["x-tollway-cache"] for answer in answers]
    assert results.count("miss") == 1
    assert set(results) <= {"miss", "joined", "exact"}
    assert {answer.status_code for answer in answers} == {200}
    if stream:
        assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
    else:
        assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {text}
    rows = await asyncio.to_thread(lambda: [row_of(gateway, answer.headers["x-request-id"]) for answer in answers])
    assert sum(row["cost"] for row in rows) == max(row["cost"] for row in rows), "one of them is billed"


def test_metrics_and_the_log_tell_what_the_cache_did(gateway: Gateway) -> None:
    post(gateway, "Counted?")
    answer = hit(lambda: post(gateway, "Counted?"))
    told = gateway.metrics()
    for result in ("exact", "miss"):
        assert f'tollway_cache_lookups_total{{model="m",result="{result}"}}' in told
    assert 'tollway_cache_fills_total{result="kept"}' in told
    assert "tollway_cache_saved_usd_total" in told
    request_id = answer.headers["x-request-id"]
    gateway.wait_until(lambda: f'"request_id":"{request_id}"' in gateway.log(), "the line")
    (line,) = (json.loads(each) for each in gateway.log().splitlines() if f'"request_id":"{request_id}"' in each)
    assert line["route"] == {"cache": "exact"}
    assert "defect" not in gateway.log()


async def test_limits_count_a_hit_as_a_request_without_tokens_and_give_its_slot_back(
    start: Start, upstream: FakeUpstream
) -> None:
    """Failure 23, of hits: ten of them leave as much room as none but for the requests."""
    upstream.default = echo
    limits = {"rpm": 30, "tpm": 200, "concurrency": 1}
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": limits}}
    gateway = await asyncio.to_thread(start, cache={"exact": {}}, tenants=tenants)

    def ask(**more: Any) -> httpx2.Response:
        return post(gateway, "Limited?", **more)

    await asyncio.to_thread(hit, ask)
    before = int((await asyncio.to_thread(ask)).headers["x-ratelimit-remaining-requests"])
    for number in range(1, 11):
        answer = await asyncio.to_thread(ask, stream=number % 2 == 0)
        assert answer.headers["x-tollway-cache"] == "exact"
        assert int(answer.headers["x-ratelimit-remaining-requests"]) == before - number
    other = await asyncio.to_thread(post, gateway, "Room for another?", max_tokens=100)
    assert other.status_code == 200, other.text


async def test_a_hit_needs_no_money(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = echo
    budgets = [{"name": "small", "amount_usd": "0.02", "period": "total"}]
    gateway = await asyncio.to_thread(start, cache={"exact": {}}, budgets=budgets)

    def ask(text: str = "Free?") -> httpx2.Response:
        return post(gateway, text, max_tokens=3)

    await asyncio.to_thread(hit, ask)
    refused = await asyncio.to_thread(ask, "Another?")
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert (await asyncio.to_thread(ask)).headers["x-tollway-cache"] == "exact"
