"""FAILURES 20: bills that are wrong, to the pico-dollar against a sheet made by hand, through a whole gateway.

``test_golden_usage`` has the ways in which providers count text, their caches and their thoughts. Here are the kinds
beside: sound and images, service tiers, long prompts, prices that follow each other, what is paid for each, a tenant's
own prices; what is told in several words or not at all; and what has no price.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import converse
from tests.fakes.gateway import KEY, Gateway, config
from tests.fakes.scripts import Script, sse, stream, whole
from tests.fakes.upstream import FakeUpstream

BASE = {
    "input_per_1m": 3,
    "output_per_1m": 15,
    "cached_input_per_1m": 0.3,
    "cache_write_per_1m": 3.75,
    "cache_write_1h_per_1m": 6,
    "reasoning_per_1m": 10,
    "audio_input_per_1m": 7,
    "cached_audio_input_per_1m": 0.7,
    "audio_output_per_1m": 20,
    "image_input_per_1m": 4,
    "image_output_per_1m": 40,
}
"""In US dollars per million tokens, which is the same as micro-dollars per token."""

PRICE = {
    "input_per_1m": 999,
    "output_per_1m": 999,
    "versions": [
        {
            "from": "2020-01-01",
            **BASE,
            "tiers": [{"above_tokens": 10_000, "input_per_1m": 6, "output_per_1m": 22.5, "cached_input_per_1m": 0.6}],
            "service_tiers": {
                "priority": {"input_per_1m": 6, "output_per_1m": 30},
                "flex": {"input_per_1m": 1.5, "output_per_1m": 7.5, "tiers": [
                    {"above_tokens": 10_000, "input_per_1m": 3, "output_per_1m": 11.25}]},
            },
        },
        {"from": "2999-01-01", "input_per_1m": 777, "output_per_1m": 777},
    ],
}  # fmt: skip
UNITS = {
    "input_per_1m": 0,
    "output_per_1m": 0,
    "characters_per_1m": 15,
    "per_request": "0.005",
    "per_image": "0.04",
    "per_minute": "0.006",
}
TENANT_KEY = "tw-of-another-tenant-0123456789"
KINDS = ("openai", "azure", "xai", "vllm", "groq", "mistral", "deepseek", "together", "openrouter", "ollama", "cohere",
         "anthropic", "google", "bedrock")  # fmt: skip
HELLO = {"messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class Line:
    """A line of the sheet: what a provider answers, and its cost in micro-dollars."""

    name: str
    model: str
    script: Script
    micro: str
    body: dict[str, Any]
    path: str = "/v1/chat/completions"

    def __str__(self) -> str:
        return self.name


def chat(usage: Any, **more: Any) -> Script:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return whole({**told, "usage": usage, **more})


def chunks(*usages: Any, **more: Any) -> Script:
    """A streamed chat; a chunk for each usage behind it."""
    shared = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
    said = [
        {**shared, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]},
        {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    return sse([*said, *({**shared, "choices": [], "usage": usage} for usage in usages)], done=True)


def counts(prompt: int, completion: int, read: Any = None, said: Any = None) -> dict[str, Any]:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**told, "prompt_tokens_details": read, "completion_tokens_details": said}


def message(usage: Any) -> Script:
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
    return whole({**said, "stop_sequence": None, "content": [{"type": "text", "text": "Hello"}], "usage": usage})


def events(start: Any, delta: Any) -> Script:
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": []}
    told: list[Any] = [
        {"type": "message_start", "message": {**said, "stop_reason": None, "stop_sequence": None, "usage": start}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": delta},
        {"type": "message_stop"},
    ]
    return stream("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in told))


def contents(usage: Any, *, streamed: bool = False) -> Script:
    candidate = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
    said = {"candidates": [candidate], "usageMetadata": usage}
    return sse([said], done=False) if streamed else whole(said)


def conversed(usage: Any, tier: str) -> Script:
    answer = converse.whole([{"text": "Hello"}])
    return whole({**answer, "usage": usage, "serviceTier": {"type": tier}})


def modalities(**found: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in found.items()]


SOUND = counts(
    100,
    50,
    {"cached_tokens": 30, "audio_tokens": 40, "cached_tokens_details": {"audio_tokens": 10}},
    {"reasoning_tokens": 5, "audio_tokens": 20},
)
# 40 text, 20 cached text, 30 sound, 10 cached sound; 25 text, 5 thoughts, 20 sound:
# 40 × 3 + 20 × 0.3 + 30 × 7 + 10 × 0.7 + 25 × 15 + 5 × 10 + 20 × 20 = 1168
IMAGES = counts(100, 60, {"cached_tokens": 0, "image_tokens": 80}, {"image_tokens": 50})
# 20 × 3 + 80 × 4 + 10 × 15 + 50 × 40 = 2530
LONG = counts(10_001, 10, {"cached_tokens": 1_000})
# 9,001 × 6 + 1,000 × 0.6 + 10 × 22.5 = 54831
GEMINI = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 10,
    "cachedContentTokenCount": 30,
    "totalTokenCount": 130,
    "promptTokensDetails": modalities(text=40, audio=40, image=20),
    "cacheTokensDetails": modalities(text=20, audio=10),
    "candidatesTokensDetails": modalities(text=15, image=5),
}
# 20 text, 20 cached text, 30 sound, 10 cached sound, 20 of images; 15 text, 10 thoughts, 5 of images:
# 20 × 3 + 20 × 0.3 + 30 × 7 + 10 × 0.7 + 20 × 4 + 15 × 15 + 10 × 10 + 5 × 40 = 888
CACHED = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 20}
HOUR = {"cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}}
# 10 × 3 + 100 × 0.3 + 20 × 3.75 + 30 × 6 + 20 × 15 = 615
CONVERSE = {
    "inputTokens": 10,
    "outputTokens": 20,
    "totalTokens": 180,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 50,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}],
}
PLAIN = counts(100, 20)  # 100 × 3 + 20 × 15 = 600; priority: 100 × 6 + 20 × 30 = 1200; flex: 100 × 1.5 + 20 × 7.5 = 300
STREAMED = {**HELLO, "stream": True}
SPEECH = Script(200, (("content-type", "audio/mpeg"),), (("send", b"ID3" * 64),))
SHEET = (
    Line("sound", "openai", chat(SOUND), "1168", HELLO),
    Line("sound, streamed", "azure", chunks(SOUND), "1168", STREAMED),
    Line("images", "openai", chat(IMAGES), "2530", HELLO),
    Line("a long prompt", "openai", chat(LONG), "54831", HELLO),
    Line("a long prompt, streamed", "vllm", chunks(LONG), "54831", STREAMED),
    Line("one token less", "openai", chat(counts(10_000, 10)), "30150", HELLO),
    Line("priority", "openai", chat(PLAIN, service_tier="priority"), "1200", HELLO),
    Line("priority, streamed", "openai", chunks(PLAIN, service_tier="priority"), "1200", STREAMED),
    Line("flex, of a long prompt", "groq", chat(counts(10_001, 10), service_tier="flex"), "30115.5", HELLO),
    Line("the standard tier by other names", "groq", chat(PLAIN, service_tier="on_demand"), "600", HELLO),
    Line("a tier without a price of its own", "openai", chat(PLAIN, service_tier="scale"), "600", HELLO),
    Line("a tier inside the usage", "mistral", chat({**PLAIN, "service_tier": "priority"}), "1200", HELLO),
    Line("split over chunks", "openai", chunks({"prompt_tokens": 100}, {"completion_tokens": 20}), "600", STREAMED),
    Line("told twice, and more at last", "together", chunks(counts(100, 2), PLAIN), "600", STREAMED),
    Line("Cohere, as OpenAI", "cohere", chat(PLAIN), "600", HELLO),
    Line("Ollama", "ollama", chat(PLAIN), "600", HELLO),
    Line("zero", "openrouter", chat(counts(0, 0)), "0", HELLO),
    Line("Anthropic, an hour and five minutes", "anthropic", message({**CACHED, **HOUR}), "615", HELLO),
    Line(
        "Anthropic, priority",
        "anthropic",
        message({"input_tokens": 100, "output_tokens": 20, "service_tier": "priority"}),
        "1200",
        HELLO,
    ),
    Line(
        "Anthropic, priority, in its own dialect and streamed",
        "anthropic",
        events({"input_tokens": 100, "output_tokens": 1, "service_tier": "priority"}, {"output_tokens": 20}),
        "1200",
        {**STREAMED, "max_tokens": 9},
        "/v1/messages",
    ),
    Line("Gemini, by modality", "google", contents(GEMINI), "888", HELLO),
    Line("Gemini, by modality, streamed", "google", contents(GEMINI, streamed=True), "888", STREAMED),
    Line(
        "Gemini, flex",
        "google",
        contents({"promptTokenCount": 100, "candidatesTokenCount": 20, "serviceTier": "flex"}),
        "300",
        HELLO,
    ),
    Line(
        "Vertex, flex",
        "google",
        contents({"promptTokenCount": 100, "candidatesTokenCount": 20, "trafficType": "ON_DEMAND_FLEX"}),
        "300",
        HELLO,
    ),
    Line("Bedrock, an hour and five minutes", "bedrock", conversed(CONVERSE, "default"), "615", HELLO),
    Line(
        "Bedrock, priority",
        "bedrock",
        conversed({"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}, "priority"),
        "1200",
        HELLO,
    ),
    Line("a call, whatever is in it", "units", chat(PLAIN), "5000", HELLO),
    Line(
        "images that are made",
        "units",
        whole({"created": 1, "data": [{"url": "https://x.test/1"}, {"url": "https://x.test/2"}]}),
        "85000",  # 2 × 40000 + 5000
        {"prompt": "A heron", "n": 2},
        "/v1/images/generations",
    ),
    Line(
        "characters that are spoken",
        "units",
        SPEECH,
        "5120",  # 8 × 15 + 5000: a character counts once, however many bytes it is
        {"input": "Grüß dir", "voice": "alloy"},
        "/v1/audio/speech",
    ),
    Line(
        "a character that is none",
        "units",
        SPEECH,
        "5030",
        {"input": "a\ud800", "voice": "alloy"},
        "/v1/audio/speech",
    ),
)


class Bench:
    """A gateway in front of an upstream that answers with the script of the moment."""

    def __init__(self, dsn: str, directory: Path, running: ExitStack) -> None:
        self.script = SPEECH
        upstream = running.enter_context(FakeUpstream(default=lambda _: self.script))
        root = upstream.base_url.removesuffix("/v1")
        providers = {kind: _provider(kind, root) for kind in KINDS}
        models: dict[str, Any] = {
            kind: {"targets": [{"provider": kind, "model": f"{kind}-model"}], "price": PRICE} for kind in KINDS
        }
        models["units"] = {"targets": models["openai"]["targets"], "price": UNITS}
        models["unpriced"] = {"targets": models["openai"]["targets"]}
        other: dict[str, Any] = {"keys": {"ci": {"key": TENANT_KEY}}, "price_factor": 1.15}
        other["prices"] = {"xai": {"input_per_1m": 2, "output_per_1m": 4}}
        tenants = {"acme": {"keys": {"ci": {"key": KEY}}}, "other": other}
        settings = config(dsn, providers=providers, models=models, tenants=tenants)
        self.gateway = running.enter_context(Gateway(settings, directory))

    def row(self, line: Line, key: str = KEY) -> dict[str, Any]:
        """The usage row of a call."""
        before = len(self.gateway.rows())
        self.script = line.script
        assert call(self.gateway, line.path, {"model": line.model, **line.body}, key)[0] == 200
        return self.gateway.wait_for_rows(before + 1)[-1]


def _provider(kind: str, root: str) -> dict[str, Any]:
    is_rooted = kind in ("azure", "anthropic", "google", "bedrock")
    found: dict[str, Any] = {
        "kind": kind,
        "base_url": root if is_rooted else f"{root}/v1",
        "api_key": "sk-canary-0123456",
    }
    return {**found, "region": "us-east-1"} if kind == "bedrock" else found


def call(gateway: Gateway, path: str, body: dict[str, Any], key: str = KEY) -> tuple[int, bytes]:
    """Status and body of an answer."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(gateway.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module")
def bench(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as running:
        yield Bench(lasting_dsn, tmp_path_factory.mktemp("bills"), running)


@pytest.mark.parametrize("line", SHEET, ids=str)
def test_a_call_costs_what_the_sheet_says(bench: Bench, line: Line) -> None:
    row = bench.row(line)
    assert row["cost"] == Decimal(line.micro) / 1_000_000
    first = line.model == "units"
    assert row["price_version"] == f"tollway.yaml/{line.model}{'' if first else '@2020-01-01'}"


def test_a_tenant_pays_a_factor_of_what_is_listed_or_its_own_price(bench: Bench) -> None:
    factor = bench.row(Line("", "openai", chat(PLAIN), "", HELLO), TENANT_KEY)
    assert factor["cost"] == Decimal("600") * Decimal("1.15") / 1_000_000
    assert factor["price_version"] == "tollway.yaml/openai@2020-01-01*1.15"
    own = bench.row(Line("", "xai", chat(PLAIN), "", HELLO), TENANT_KEY)
    assert (own["cost"], own["price_version"]) == (Decimal(100 * 2 + 20 * 4) / 1_000_000, "other/xai")
    assert bench.row(Line("", "xai", chat(PLAIN), "", HELLO))["cost"] == Decimal(600) / 1_000_000


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None, "completion_tokens": "many"}, {"total_tokens": -1}]
)
def test_what_is_not_told_is_counted_and_never_free(bench: Bench, usage: Any) -> None:
    row = bench.row(Line("", "openai", chat(usage), "", HELLO))
    assert row["usage_source"] == "counted"
    assert row["cost"] == (row["prompt_tokens"] * 3 + Decimal(15)) / 1_000_000


def test_without_a_price_a_call_is_flagged_and_has_no_cost(bench: Bench) -> None:
    row = bench.row(Line("", "unpriced", chat(PLAIN), "", HELLO))
    assert (row["cost"], row["price_version"]) == (None, None)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (100, 20)
    assert 'tollway_unpriced_total{model="unpriced"} 1' in bench.gateway.metrics()


def test_without_a_price_nobody_is_asked_where_that_is_refused(
    lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with FakeUpstream(default=lambda _: chat(PLAIN)) as upstream:
        targets = [{"provider": "fake", "model": "nobody-knows"}]
        models = {"unpriced": {"targets": targets}, "priced": {"targets": targets, "price": BASE}}
        tenants = {
            "acme": {"keys": {"ci": {"key": KEY}}},
            "other": {"keys": {"ci": {"key": TENANT_KEY}}, "prices": {"unpriced": BASE}},
        }
        refusing = {"models": models, "tenants": tenants, "billing": {"unpriced": "refuse"}}
        settings = config(lasting_dsn, upstream.base_url, **refusing)
        with Gateway(settings, tmp_path_factory.mktemp("refusing")) as gateway:
            before = len(gateway.rows())
            status, body = call(gateway, "/v1/chat/completions", {"model": "unpriced", **HELLO})
            assert (status, json.loads(body)["error"]["code"]) == (403, "model_unpriced")
            assert upstream.hits == 0
            assert call(gateway, "/v1/chat/completions", {"model": "priced", **HELLO})[0] == 200
            assert call(gateway, "/v1/chat/completions", {"model": "unpriced", **HELLO}, TENANT_KEY)[0] == 200
            costs = [row["cost"] for row in gateway.wait_for_rows(before + 2)[before:]]
            assert costs == [Decimal(600) / 1_000_000] * 2
