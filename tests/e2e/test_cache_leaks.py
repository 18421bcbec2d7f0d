"""Failure 6: a cache that leaks, lies or poisons. Nobody is told what another tenant was told, nothing that merely
looks alike is answered from the cache, and nothing that went wrong once is ever told again."""

import asyncio
import json
import time
from collections import Counter
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import StartFor
from tests.e2e.test_cache import hit, post
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.scripts import Script, completion, cut_after, deltas, error_after, rst_after, sse, status, whole
from tests.fakes.upstream import FakeUpstream, Seen

TENANTS, PROMPTS = 50, 20
AT_ONCE = 20


def key_of(tenant: int) -> str:
    return f"test-key-of-tenant-{tenant:02}-000000001"


class Provider:
    """Numbers its answers, so that no two are the same; what a text is to be answered with first is in ``first``."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.first: dict[str, Script] = {}
        self.count = 0

    def __call__(self, seen: Seen) -> Script:
        text = seen.json["messages"][-1]["content"]
        self.count += 1
        self.asked[text] += 1
        if self.asked[text] == 1 and text in self.first:
            return self.first[text]
        said = f"reply {self.count}"
        return sse(deltas(*said.split())) if seen.json.get("stream") else whole(completion(said))


@pytest.fixture(scope="module")
def provider(lasting_upstream: FakeUpstream) -> Provider:
    lasting_upstream.default = made = Provider()
    return made


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream, provider: Provider) -> Gateway:
    tenants = {f"t{number:02}": {"keys": {"ci": {"key": key_of(number)}}} for number in range(TENANTS)}
    tenants["acme"] = {"keys": {"ci": {"key": KEY}}}
    changes: dict[str, Any] = {"cache": {"exact": {}, "semantic": {}}, "tenants": tenants}
    settings = config(lasting_dsn, lasting_upstream.base_url, **changes)
    return start_for({**settings, "models": models("m", "other", retries={"attempts": 1})})


def said(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


async def test_a_thousand_like_prompts_of_fifty_tenants_are_never_answered_with_anothers(
    gateway: Gateway, provider: Provider
) -> None:
    prompts = [f"What is the status of order {4_000 + number} of our customer?" for number in range(PROMPTS)]
    limits = httpx2.Limits(max_connections=AT_ONCE)
    async with httpx2.AsyncClient(base_url=gateway.base_url, timeout=60, limits=limits) as client:

        async def ask(tenant: int, prompt: str) -> tuple[str, str]:
            body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
            headers = {"authorization": f"Bearer {key_of(tenant)}"}
            answer = await client.post("/chat/completions", json=body, headers=headers)
            return answer.headers["x-tollway-cache"], said(answer)

        def all_of_them() -> Any:
            calls = [(tenant, prompt) for prompt in prompts for tenant in range(TENANTS)]
            return asyncio.gather(*(ask(*call) for call in calls))

        before = provider.count
        first = await all_of_them()
        assert Counter(result for result, _ in first) == {"miss": TENANTS * PROMPTS}
        assert provider.count - before == TENANTS * PROMPTS
        assert len({answer for _, answer in first}) == TENANTS * PROMPTS
        await asyncio.sleep(1.0)
        again = await all_of_them()
    assert Counter(result for result, _ in again) == {"exact": TENANTS * PROMPTS}
    assert [answer for _, answer in again] == [answer for _, answer in first], "each its own"
    assert provider.count - before == TENANTS * PROMPTS


PLAIN = "How do I transfer 100 euros from Anna to Ben by Friday?"
NEAR = {
    "number": "How do I transfer 1000 euros from Anna to Ben by Friday?",
    "number in words": "How do I transfer two hundred euros from Anna to Ben by Friday?",
    "negation": "How do I not transfer 100 euros from Anna to Ben by Friday?",
    "opposite": "How do I refuse 100 euros from Anna to Ben by Friday?",
    "order": "How do I transfer 100 euros from Ben to Anna by Friday?",
    "name": "How do I transfer 100 euros from Anna to Carl by Friday?",
    "unit": "How do I transfer 100 dollars from Anna to Ben by Friday?",
    "date": "How do I transfer 100 euros from Anna to Ben by Monday?",
    "language": "Wie überweise ich 100 Euro von Anna an Ben bis Freitag?",
}
PAIRS = {
    "negation without a number": ("Is it safe to take aspirin with wine?", "Is it unsafe to take aspirin with wine?"),
    "opposite of a verb": ("How do I enable dark mode?", "How do I disable dark mode?"),
    "opposite of an adjective": ("What is the largest city in Peru?", "What is the smallest city in Peru?"),
    "country": ("What is the capital of Austria?", "What is the capital of Australia?"),
    "version": ("What is new in Python 3.11?", "What is new in Python 3.12?"),
    "who and whom": ("Does the dog bite the man?", "Does the man bite the dog?"),
    "tense": ("Who is the president of France?", "Who was the president of France?"),
}


@pytest.mark.parametrize("changed", [*NEAR.values()], ids=[*NEAR])
def test_a_question_that_looks_alike_reaches_the_provider(gateway: Gateway, changed: str) -> None:
    if post(gateway, PLAIN).headers["x-tollway-cache"] == "miss":
        hit(lambda: post(gateway, PLAIN))
    assert post(gateway, changed).headers["x-tollway-cache"] == "miss"


@pytest.mark.parametrize(("plain", "changed"), PAIRS.values(), ids=PAIRS)
def test_a_question_that_means_something_else_reaches_the_provider(gateway: Gateway, plain: str, changed: str) -> None:
    post(gateway, plain)
    hit(lambda: post(gateway, plain))
    assert post(gateway, changed).headers["x-tollway-cache"] == "miss"


SYSTEM: dict[str, Any] = {"role": "system", "content": "You are terse."}
ASKED: dict[str, Any] = {"role": "user", "content": "What shall I cook tonight?"}
TURNS = [{"role": "user", "content": "I am vegan."}, {"role": "assistant", "content": "Noted."}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}
AROUND: dict[str, dict[str, Any]] = {
    "another system prompt": {"messages": [{**SYSTEM, "content": "You are chatty."}, ASKED]},
    "no system prompt": {"messages": [ASKED]},
    "the system prompt said by the user": {"messages": [{**SYSTEM, "role": "user"}, ASKED]},
    "earlier turns": {"messages": [SYSTEM, *TURNS, ASKED]},
    "other earlier turns": {"messages": [SYSTEM, {**TURNS[0], "content": "I am not vegan."}, TURNS[1], ASKED]},
    "a tool": {"tools": [TOOL]},
    "another tool": {"tools": [{**TOOL, "function": {**TOOL["function"], "name": "g"}}]},
    "another model": {"model": "other"},
    "max_tokens": {"max_tokens": 5},
    "seed": {"seed": 1},
    "stop": {"stop": ["x"]},
    "response_format": {"response_format": {"type": "json_object"}},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "a field that nobody knows": {"x_brand_new": {"deep": [1]}},
}


@pytest.mark.parametrize("change", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("text", [ASKED["content"], "What should I cook tonight?"], ids=["same words", "others"])
def test_the_same_question_asked_otherwise_reaches_the_provider(
    gateway: Gateway, provider: Provider, change: dict[str, Any], text: str
) -> None:
    filled: dict[str, Any] = {"messages": [SYSTEM, ASKED]}
    if post(gateway, "", **filled).headers["x-tollway-cache"] == "miss":
        hit(lambda: post(gateway, "", **filled))
    asked = {"messages": [SYSTEM, ASKED], **json.loads(json.dumps(change))}
    asked["messages"][-1] = {"role": "user", "content": text}
    before = provider.count
    answer = post(gateway, "", headers={"x-tollway-cache": "only"}, **asked)
    assert (answer.status_code, provider.count) == (504, before), answer.headers
    assert answer.json()["error"]["code"] == "cache_miss"


def finished(reason: str | None, text: str = "Half an ans", **message: Any) -> Script:
    told = completion(text)
    told["choices"][0]["finish_reason"] = reason
    told["choices"][0]["message"] |= message
    return whole(told)


def finished_stream(reason: str | None, *texts: str) -> Script:
    chunks = deltas(*texts)
    chunks[-2]["choices"][0]["finish_reason"] = reason
    return sse(chunks)


POISON: dict[str, tuple[bool, Script]] = {
    "error status": (False, status(500)),
    "limit": (False, status(429)),
    "refused request": (False, status(400)),
    "error inside 200": (False, whole({"error": {"message": "overloaded", "type": "server_error"}})),
    "no JSON": (False, whole(b"<html>busy</html>")),
    "no choices": (False, whole({**completion(), "choices": []})),
    "length": (False, finished("length")),
    "content filter": (False, finished("content_filter")),
    "no finish": (False, finished(None)),
    "empty": (False, finished("stop", "")),
    "refusal": (False, finished("stop", "", refusal="I can't help with that.")),
    "cut body": (False, Script(steps=(("send", b'{"choices": ['), ("fin",)), framing="chunked")),
    "cut stream": (True, cut_after(3)),
    "reset stream": (True, rst_after(3)),
    "error in the stream": (True, error_after(3)),
    "length in the stream": (True, finished_stream("length", "Half", "an")),
    "content filter in the stream": (True, finished_stream("content_filter", "Half", "an")),
    "empty stream": (True, finished_stream("stop")),
    "stream of nothing": (True, sse([])),
    "error status of a stream": (True, status(503)),
}


@pytest.mark.parametrize("again", [False, True], ids=["then whole", "then streamed"])
@pytest.mark.parametrize("name", POISON)
def test_what_went_wrong_once_is_told_to_nobody_again(
    gateway: Gateway, provider: Provider, name: str, again: bool
) -> None:
    stream, script = POISON[name]
    text = f"Poison {name}, {again}?"
    provider.first[text] = script
    bad = post(gateway, text, stream=stream)
    assert provider.asked[text] == 1
    assert "reply" not in bad.text
    time.sleep(0.3)
    good = post(gateway, text, stream=again)
    assert good.headers["x-tollway-cache"] == "miss"
    assert provider.asked[text] == 2
    assert "reply" in good.text
    assert said(hit(lambda: post(gateway, text))).startswith("reply")


def test_another_tenant_always_reaches_the_provider(gateway: Gateway, provider: Provider) -> None:
    question, paraphrase = "How do I reset my password?", "how do I reset my password"
    for text in (question, paraphrase):
        post(gateway, text)
        hit(lambda text=text: post(gateway, text))  # type: ignore[misc]
    for text in (question, paraphrase):
        before = provider.count
        for stream in (False, True):
            answer = post(gateway, text, key=key_of(1), stream=stream, headers={"x-tollway-cache": "refresh"})
            assert answer.headers["x-tollway-cache"] == "refresh"
        assert provider.count == before + 2
    mine = said(post(gateway, question))
    assert mine != said(hit(lambda: post(gateway, question, key=key_of(1))))


class Vectors:
    """A provider of embeddings that answers, and then never again."""

    def __init__(self) -> None:
        self.hangs = False

    def __call__(self, seen: Seen) -> Script:
        if self.hangs:
            return Script(raw_head=b"", steps=(("hang",),))
        vectors = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25, 0.125]}]
        return whole(
            {"object": "list", "model": "v", "data": vectors, "usage": {"prompt_tokens": 4, "total_tokens": 4}}
        )


def test_an_embedder_that_hangs_costs_a_second_and_no_call(
    start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream, provider: Provider
) -> None:
    vectors = Vectors()
    lasting_upstream.scripts["vectors"] = vectors
    cache = {"exact": {}, "semantic": {"embedder": "vectors"}}
    settings = config(lasting_dsn, lasting_upstream.base_url, cache=cache)
    gateway = start_for({**settings, "models": models("m", "vectors", retries={"attempts": 1})})
    post(gateway, "How do I boil an egg?")
    hit(lambda: post(gateway, "How do I boil an egg?"))
    asked = lasting_upstream.hits_of("vectors")
    assert asked >= 1
    vectors.hangs = True
    headers = {"authorization": f"Bearer {KEY}"}
    for question in ("How do I boil some eggs?", "How do I boil one egg?", "How would I boil an egg?"):
        body = {"model": "m", "messages": [{"role": "user", "content": question}]}
        # A second for the embedder, and two for a busy machine.
        answer = httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=3)
        assert answer.status_code == 200
        assert answer.headers["x-tollway-cache"] in ("miss", "semantic")
    assert "defect" not in gateway.log()
