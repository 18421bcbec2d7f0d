"""Every usage block of the recorded traffic, through the parsers that bill by it, against a sheet of its own.

The sheet reads the JSON by the simplest means and reckons in fractions of dollars: whole prompt and whole completion at
their price, then for each kind the difference to its own. What is billed must be equal to that exactly.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.records import Record, expected_payloads, needs_records, payloads, records
from tests.proxy.edge import ask

from tollway._native.chat import read_answer
from tollway._native.sse import Payloads, Relay
from tollway.contract.prices import Price
from tollway.control.billing.prices import load_prices
from tollway.proxy.exchange import Progress
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.translated import Reader, StreamFault
from tollway.proxy.usage.price import cost_of, total_picousd
from tollway.proxy.usage.used import Tokens, Used
from tollway.proxy.vocabularies import Vocabularies

pytestmark = needs_records

NOW_MS = 1_800_000_000_000
USD: Mapping[str, str] = {
    "input": "3.01",
    "output": "15.03",
    "cached_input": "0.307",
    "cache_write": "3.77",
    "cache_write_1h": "6.11",
    "reasoning": "10.13",
    "audio_input": "7.19",
    "cached_audio_input": "0.717",
    "audio_output": "29.3",
    "image_input": "4.19",
    "image_output": "40.1",
}
"""US dollars per million tokens; no two of them, nor their differences, are the same."""

PRICE = msgspec.convert({"version": "sheet", **{kind: int(Fraction(usd) * 10**6) for kind, usd in USD.items()}}, Price)
PER_TOKEN = {kind: Fraction(usd) / 10**6 for kind, usd in USD.items()}

CHAT = ("azure", "cerebras", "deepseek", "gpustack", "groq", "mistral", "ollama", "openai", "openrouter", "perplexity",
        "together", "vllm", "xai")  # fmt: skip
COUNTS = {"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"}
SPOKEN = ("chat", "completions", "embeddings", "responses")


def sheet(kinds: Mapping[str, int], prompt: int, completion: int) -> Fraction:
    """US dollars: ``kinds`` are inside ``prompt`` and ``completion``, those of an hour inside those of five minutes."""
    whole = prompt * PER_TOKEN["input"] + completion * PER_TOKEN["output"]
    return whole + sum(count * (PER_TOKEN[kind] - PER_TOKEN[_outer(kind)]) for kind, count in kinds.items())


def _outer(kind: str) -> str:
    if kind in ("reasoning", "audio_output", "image_output"):
        return "output"
    return {"cache_write_1h": "cache_write", "cached_audio_input": "audio_input"}.get(kind, "input")


def of_chat(usage: Mapping[str, Any]) -> Fraction:
    """By OpenAI's words, older or newer, and by those of the providers that have others."""
    newer = "input_tokens" in usage
    prompt = int(usage.get("input_tokens" if newer else "prompt_tokens") or 0)
    completion = int(usage.get("output_tokens" if newer else "completion_tokens") or 0)
    read = usage.get("input_tokens_details" if newer else "prompt_tokens_details") or {}
    said = usage.get("output_tokens_details" if newer else "completion_tokens_details") or {}
    cached = read.get("cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"):
        cached = usage.get(name) if cached is None else cached
    reasoning = said.get("reasoning_tokens") or usage.get("reasoning_tokens") or 0
    if not newer and reasoning and usage.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI, and Grok on Azure
    kinds = {
        "cached_input": min(cached or 0, prompt),  # Azure has been seen to tell more
        "cache_write": read.get("cache_write_tokens") or 0,
        "audio_input": read.get("audio_tokens") or 0,
        "image_input": read.get("image_tokens") or 0,
        "reasoning": min(reasoning, completion),
        # One record was made up by its recorder: 3 tokens of thought and 4 of sound in a completion of 4.
        "audio_output": min(said.get("audio_tokens") or 0, completion - min(reasoning, completion)),
        "image_output": said.get("image_tokens") or 0,
    }
    return sheet(kinds, prompt, completion)


def of_message(usage: Mapping[str, Any]) -> Fraction:
    """By Anthropic's words: what was cached stands beside the input."""
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    longer = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    thoughts = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    kinds = {"cached_input": read, "cache_write": written, "cache_write_1h": longer, "reasoning": thoughts}
    return sheet(kinds, usage["input_tokens"] + read + written, usage["output_tokens"])


def of_gemini(usage: Mapping[str, Any]) -> Fraction:
    """By Gemini's words: thoughts stand beside the candidates, what tools brought beside the prompt."""

    def of(modality: str, *names: str) -> int:
        found = [detail for name in names for detail in usage.get(name) or () if detail["modality"] == modality]
        return sum(detail.get("tokenCount", 0) for detail in found)

    thoughts, cached = usage.get("thoughtsTokenCount", 0), usage.get("cachedContentTokenCount", 0)
    read, cached_sound = ("promptTokensDetails", "toolUsePromptTokensDetails"), of("AUDIO", "cacheTokensDetails")
    kinds = {
        "cached_input": cached - cached_sound,
        "audio_input": of("AUDIO", *read),
        "cached_audio_input": cached_sound,
        "image_input": of("IMAGE", *read),
        "reasoning": thoughts,
        "audio_output": of("AUDIO", "candidatesTokensDetails"),
        "image_output": of("IMAGE", "candidatesTokensDetails"),
    }
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    return sheet(kinds, prompt, usage.get("candidatesTokenCount", 0) + thoughts)


def billed(tokens: Tokens) -> Fraction:
    """US dollars."""
    return Fraction(total_picousd(cost_of(PRICE, tokens, NOW_MS)), 10**12)


def told(body: bytes, operation: str, *, stream: bool) -> Tokens | None:
    """What a client's call would be settled by, whose provider answers with ``body``."""
    progress = Progress()
    if stream:
        dialect = {"messages": "messages", "responses": "responses"}.get(operation, "chat")
        progress.reader = Relay(False, dialect=dialect)  # type: ignore[arg-type]
        progress.reader.feed(body)
        progress.reader.finish()
    else:
        progress.answer = read_answer(body, operation)
    return Used(ask(), progress, Vocabularies()).told()


def translated(record: Record, reader: Reader) -> bytes:
    """The answer as the hub has it."""
    if not record.is_sse:
        return reader.whole(record.body.encode())
    framed = Payloads()
    events = [*framed.feed(record.body.encode()), *framed.finish()]
    return b"".join(reader.event(payload) for payload in events) + reader.end()


def usages(record: Record, *names: str) -> Iterator[dict[str, Any]]:
    """The usage blocks of an answer, wherever they stand, in order."""
    for payload in expected_payloads(record):
        places = [payload, payload.get("response"), payload.get("message"), payload.get("x_groq")]
        for place in places:
            for name in names:
                if isinstance(place, dict) and isinstance(place.get(name), dict):
                    yield place[name]


def answered(provider: str, *operations: str) -> list[Record]:
    """The answers that tell usage."""
    found = [record for operation in operations for record in records(provider, operation) if record.status == 200]
    return [record for record in found if "json_array" not in record.tags and _is_json(record)]


def _is_json(record: Record) -> bool:
    try:
        return bool(list(usages(record, "usage", "usageMetadata")))
    except ValueError:
        return False


@pytest.mark.parametrize("provider", CHAT)
def test_what_speaks_openais_dialects_is_billed_as_the_sheet_says(provider: str) -> None:
    compared = 0
    for record in answered(provider, *SPOKEN):
        tokens = told(record.body.encode(), record.operation, stream=record.is_sse)
        if tokens is None:
            assert _is_incomplete(record), record.id
            continue
        assert billed(tokens) == of_chat(list(usages(record, "usage"))[-1]), record.id
        compared += 1
    assert compared


@pytest.mark.parametrize("way", ["as it is", "as a chat"])
def test_anthropics_messages_are_billed_as_the_sheet_says(way: str) -> None:
    compared = set()
    for record in answered("anthropic", "messages"):
        if "error_in_stream" in record.tags or (record.is_sse and "message_stop" not in record.body):
            continue
        if way == "as it is":
            tokens = told(record.body.encode(), "messages", stream=record.is_sse)
        else:
            tokens = told(translated(record, AnthropicReader()), "chat", stream=record.is_sse)
        assert tokens is not None, record.id
        last: dict[str, Any] = {}
        for usage in usages(record, "usage"):
            last |= {name: count for name, count in usage.items() if count is not None}
        assert billed(tokens) == of_message(last), record.id
        compared.add(record.is_sse)
    assert compared == {False, True}


@pytest.mark.parametrize("provider", ["gemini", "vertex"])
def test_gemini_is_billed_as_the_sheet_says(provider: str) -> None:
    compared = set()
    for record in answered(provider, "generate_content"):
        try:
            hub = translated(record, GoogleReader("m"))
        except StreamFault:
            continue
        tokens = told(hub, "chat", stream=record.is_sse)
        blocks = [block for block in usages(record, "usageMetadata") if COUNTS & block.keys()]
        if tokens is None:
            assert _is_incomplete(record) or not blocks, record.id
            continue
        assert blocks or "blockReason" in record.body, record.id  # a prompt that is refused is not even counted
        assert billed(tokens) == (of_gemini(blocks[-1]) if blocks else 0), record.id
        compared.add(record.is_sse)
    assert compared == {False, True}


def test_how_a_call_was_served_is_read_off_every_answer_that_tells_it() -> None:
    seen = set()
    for provider in CHAT:
        for record in answered(provider, *SPOKEN):
            tokens = told(record.body.encode(), record.operation, stream=record.is_sse)
            last = [payload.get("response", payload).get("service_tier") for payload in expected_payloads(record)]
            words = [word for word in last if isinstance(word, str)]
            if tokens is None or not words:
                continue
            standard = words[-1] in ("default", "standard", "auto", "on_demand")
            assert tokens.service_tier == (None if standard else words[-1]), record.id
            seen.add(words[-1])
    assert {"default", "priority", "on_demand"} <= seen


def test_what_xai_says_that_a_call_has_cost_is_what_the_list_makes_of_it() -> None:
    prices = load_prices(Path(__file__).parents[3] / "config" / "prices.yaml")
    compared = 0
    for record in answered("xai", "chat", "responses"):
        usage = list(usages(record, "usage"))[-1]
        price = prices.find("xai", "https://api.x.ai/v1", record.asked["model"], "")
        tokens = told(record.body.encode(), record.operation, stream=record.is_sse)
        if price is None or tokens is None or not usage.get("cost_in_usd_ticks") or usage.get("num_sources_used"):
            continue
        ours = Fraction(total_picousd(cost_of(price, tokens, NOW_MS)), 10**12)
        assert ours == Fraction(usage["cost_in_usd_ticks"], 10**10), record.id
        compared += 1
    assert compared


def _is_incomplete(record: Record) -> bool:
    """Whether a stream does not say that it has come to its end, or says that it failed."""
    if not record.is_sse:
        return "error" in record.body
    ended = "[DONE]" in record.body or "response.completed" in record.body or '"finish_reason":"' in record.body
    return not ended or "error" in record.body or bool(payloads(record.body) and "no_terminator" in record.tags)
