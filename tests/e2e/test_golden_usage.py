"""What calls cost, to the pico-dollar, against a sheet made by hand: a line for each way in which providers count."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from tests.fakes.replaying import CHAT_ONLY, UNPRICED, Replaying
from tests.fakes.scripts import Script, sse, stream, whole

PRICE = {
    "input_per_1m": 3,
    "cached_input_per_1m": 0.3,
    "cache_write_per_1m": 3.75,
    "cache_write_1h_per_1m": 6,
    "output_per_1m": 15,
    "reasoning_per_1m": 10,
}
"""In US dollars per million tokens, which is the same as micro-dollars per token."""

ASKED: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10},
    "responses": {"input": "Hi"},
}


@dataclass(frozen=True)
class Line:
    """A line of the sheet: what a provider answers, the tokens in it, and their cost in micro-dollars."""

    name: str
    model: str
    script: Script
    prompt: int
    completion: int
    micro: str
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    reasoning: int = 0
    clients: tuple[str, ...] = ("chat",)
    stream: bool = False

    def __str__(self) -> str:
        return self.name


def chat(**usage: Any) -> Script:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    return whole({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **usage})


def chunks(*usages: tuple[bool, Any], done: bool = True) -> Script:
    """A streamed chat, then a chunk for each usage: with a choice, or with none."""
    shared = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [
        {**shared, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]},
        {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    empty = [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]
    told = [{**shared, "choices": empty if has_choice else [], "usage": usage} for has_choice, usage in usages]
    return sse([*said, *told], done=done)


def message(**usage: Any) -> Script:
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
    return whole({**said, "stop_sequence": None, "content": [{"type": "text", "text": "Hello"}], "usage": usage})


def events(start: Any, delta: Any) -> Script:
    """A streamed message: usage at its start and at its end."""
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


def contents(*usages: Any) -> Script:
    """An answer of Gemini's; streamed if there are several usages."""
    said = [
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": "Hello"}]},
                    **({"finishReason": "STOP"} if number == len(usages) else {}),
                }
            ],
            "usageMetadata": usage,
        }
        for number, usage in enumerate(usages, 1)
    ]
    return whole(said[0]) if len(said) == 1 else sse(said, done=False)


def response(**usage: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    said = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    return {**said, "output": [item], "usage": usage}


def response_events(**usage: Any) -> Script:
    told = [
        {"type": "response.created", "sequence_number": 0, "response": {**response(), "usage": None, "output": []}},
        {
            "type": "response.output_text.delta",
            "sequence_number": 1,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Hello",
        },
        {"type": "response.completed", "sequence_number": 2, "response": response(**usage)},
    ]
    return stream("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in told))


def counts(prompt: int, completion: int, total: int | None = None, cached: int = 0, reasoning: int = 0) -> Any:
    """The usage of a chat."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def response_counts(prompt: int, completion: int, cached: int, reasoning: int) -> Any:
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }


EVERY = ("chat", "messages", "responses")
WRITES = {"cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300}}
READS = {"input_tokens": 10, "cache_read_input_tokens": 7351, "cache_creation_input_tokens": 500, "output_tokens": 20}
GEMINI = {
    "promptTokenCount": 100,
    "toolUsePromptTokenCount": 20,
    "thoughtsTokenCount": 30,
    "cachedContentTokenCount": 40,
    "totalTokenCount": 150,
}

# 100 × 3 + 20 × 15 = 600
# 400 × 3 + 600 × 0.3 + 100 × 15 + 200 × 10 = 4880
# 140 × 3 + 38 × 15 + 144 × 10 = 2430
# 10 × 3 + 7351 × 0.3 + 500 × 3.75 + 20 × 15 = 4410.3
# 10 × 3 + 7351 × 0.3 + 200 × 3.75 + 300 × 6 + 20 × 15 = 5085.3
# 9447 × 3 + 50 × 15 = 29091
# 17 × 3 + 60 × 15 = 951
# 80 × 3 + 40 × 0.3 + 30 × 10 = 552
# 80 × 3 + 40 × 0.3 + 12 × 15 + 30 × 10 = 732
SHEET = (
    Line("plain", "openai", chat(usage=counts(100, 20)), 100, 20, "600"),
    Line(
        "plain at a provider without Responses", CHAT_ONLY, chat(usage=counts(100, 20)), 100, 20, "600", clients=EVERY
    ),
    Line(
        "cached and reasoning",
        CHAT_ONLY,
        chat(usage=counts(1000, 300, cached=600, reasoning=200)),
        *(1000, 300, "4880"),
        cached=600,
        reasoning=200,
        clients=EVERY,
    ),
    Line(
        "cached, where DeepSeek says it",
        "deepseek",
        chat(usage={"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_cache_hit_tokens": 50}),
        *(100, 20, "465"),  # 50 × 3 + 50 × 0.3 + 20 × 15
        cached=50,
    ),
    Line(
        "reasoning beside the completion: xAI",
        "xai",
        chat(usage=counts(140, 38, 322, reasoning=144)),
        *(140, 182, "2430"),
        reasoning=144,
        clients=("chat", "messages"),
    ),
    Line(
        "reasoning beside the completion: Grok on Azure, streamed",
        "azure",
        chunks((False, counts(140, 38, 322, reasoning=144))),
        *(140, 182, "2430"),
        reasoning=144,
        stream=True,
    ),
    Line(
        "reasoning inside the output: xAI's Responses",
        "xai",
        whole(response(**response_counts(140, 182, 0, 144))),
        *(140, 182, "2430"),
        reasoning=144,
        clients=("responses",),
    ),
    Line(
        "Responses, streamed",
        "openai",
        response_events(**response_counts(1000, 300, 600, 200)),
        *(1000, 300, "4880"),
        cached=600,
        reasoning=200,
        clients=("responses",),
        stream=True,
    ),
    Line(
        "usage in a chunk of its own",
        "vllm",
        chunks((False, counts(100, 20))),
        *(100, 20, "600"),
        clients=EVERY,
        stream=True,
    ),
    Line(
        "usage beside a choice: Mistral, OpenRouter",
        "openrouter",
        chunks((True, counts(100, 20))),
        *(100, 20, "600"),
        clients=("chat", "messages"),
        stream=True,
    ),
    Line(
        "usage in every chunk, growing: Perplexity, which sends no [DONE]",
        "perplexity",
        chunks((True, counts(100, 5)), (True, counts(100, 20)), done=False),
        *(100, 20, "600"),
        clients=EVERY,
        stream=True,
    ),
    Line(
        "a cache read and written for five minutes",
        "anthropic",
        message(**READS),
        *(7861, 20, "4410.3"),
        cached=7351,
        written=500,
        clients=EVERY,
    ),
    Line(
        "a cache written for an hour, too",
        "anthropic",
        message(**READS, **WRITES),
        *(7861, 20, "5085.3"),
        cached=7351,
        written=500,
        written_1h=300,
        clients=EVERY,
    ),
    Line(
        "a cache written for an hour, streamed",
        "anthropic",
        events({**READS, **WRITES, "output_tokens": 1}, READS),
        *(7861, 20, "5085.3"),
        cached=7351,
        written=500,
        written_1h=300,
        clients=EVERY,
        stream=True,
    ),
    Line(
        "the last word of a stream, which knows of the server's tools",
        "anthropic",
        events({"input_tokens": 2225, "output_tokens": 1}, {"input_tokens": 9447, "output_tokens": 50}),
        *(9447, 50, "29091"),
        clients=EVERY,
        stream=True,
    ),
    Line(
        "split: the input at the start, the output alone at the end",
        "anthropic",
        events({"input_tokens": 17, "output_tokens": 1}, {"output_tokens": 60}),
        *(17, 60, "951"),
        clients=EVERY,
        stream=True,
    ),
    Line(
        "thoughts beside the candidates, which are not told",
        "gemini",
        contents(GEMINI),
        *(120, 30, "552"),
        cached=40,
        reasoning=30,
        clients=EVERY,
    ),
    Line(
        "cumulative in every chunk: Gemini",
        "gemini",
        contents({**GEMINI, "candidatesTokenCount": 5}, {**GEMINI, "candidatesTokenCount": 12, "totalTokenCount": 162}),
        *(120, 42, "732"),
        cached=40,
        reasoning=30,
        clients=EVERY,
        stream=True,
    ),
    Line("nothing, as told", "openai", chat(usage=counts(0, 0)), 0, 0, "0"),
)


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("golden"), price=PRICE) as running:
        yield running


def row_of(replaying: Replaying, client: str, model: str, script: Script, *, streamed: bool) -> dict[str, Any]:
    """The usage row of one call."""
    before = len(replaying.gateway.rows())
    body = {"model": model, **ASKED[client], **({"stream": True} if streamed else {})}
    meant = replaying.sdks.ask(client, body, replaying.named(script))
    assert meant.error is None
    assert meant.text.startswith("Hello")
    return replaying.gateway.wait_for_rows(before + 1)[-1]


@pytest.mark.parametrize(
    ("line", "client"), [(line, client) for line in SHEET for client in line.clients], ids=lambda each: str(each)
)
def test_a_call_costs_what_the_sheet_says(replaying: Replaying, line: Line, client: str) -> None:
    row = row_of(replaying, client, line.model, line.script, streamed=line.stream)
    names = ("prompt", "completion", "cached", "cache_write", "cache_write_1h", "reasoning")
    told = (line.prompt, line.completion, line.cached, line.written, line.written_1h, line.reasoning)
    assert {name: row[f"{name}_tokens"] for name in names} == dict(zip(names, told, strict=True))
    assert (row["usage_source"], row["status"]) == ("told", "ok")
    assert row["cost"] == Decimal(line.micro) / 1_000_000


@pytest.mark.parametrize(
    ("name", "script", "streamed"),
    [
        ("missing", chat(), False),
        ("null", chat(usage=None), False),
        ("without the completion", chat(usage={"prompt_tokens": 2}), False),
        ("missing in a stream", chunks(), True),
        ("incomplete in a stream", chunks((False, {"prompt_tokens": 2})), True),
    ],
)
@pytest.mark.parametrize("client", EVERY)
def test_what_is_not_told_is_counted_and_never_free(
    replaying: Replaying, client: str, name: str, script: Script, streamed: bool
) -> None:
    row = row_of(replaying, client, CHAT_ONLY, script, streamed=streamed)
    assert row["usage_source"] == "counted"
    assert row["prompt_tokens"] > 0
    assert row["completion_tokens"] == 1  # "Hello"
    assert row["cost"] == (row["prompt_tokens"] * 3 + Decimal(15)) / 1_000_000


@pytest.mark.parametrize("streamed", [False, True])
def test_a_type_of_traffic_is_no_count(replaying: Replaying, streamed: bool) -> None:
    traffic = {"trafficType": "ON_DEMAND"}
    row = row_of(replaying, "chat", "gemini", contents(*[traffic] * (1 + streamed)), streamed=streamed)
    assert row["usage_source"] == "counted"
    assert row["cost"] > 0


@pytest.mark.parametrize(
    ("script", "streamed"), [(chat(usage=counts(9, 9)), False), (chunks((False, counts(9, 9))), True)]
)
@pytest.mark.parametrize("client", ["chat", "messages"])
def test_a_model_without_a_price_is_flagged_and_never_said_to_cost_nothing(
    replaying: Replaying, client: str, script: Script, streamed: bool
) -> None:
    row = row_of(replaying, client, UNPRICED, script, streamed=streamed)
    assert (row["cost"], row["price_version"]) == (None, None)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (9, 9)


def test_a_priced_answer_says_what_it_cost_and_an_unpriced_one_does_not(replaying: Replaying) -> None:
    create = replaying.sdks.openai.chat.completions.with_raw_response.create
    for model, told in (("openai", "0.0006"), (UNPRICED, None)):
        headers = replaying.named(chat(usage=counts(100, 20)))
        answer = create(model=model, messages=[{"role": "user", "content": "Hi"}], extra_headers=headers)
        assert answer.headers.get("x-tollway-cost-usd") == told
