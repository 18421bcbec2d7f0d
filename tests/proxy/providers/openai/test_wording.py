"""What leaves for OpenAI-like providers: the client's bytes, or bodies put right."""

import json
from typing import Any

import pytest
from tests.fakes.accents_schema import check
from tests.fakes.media import ServedMedia
from tests.fakes.openai_schema import check_chat_request
from tests.fakes.records import needs_records, records

from tollway.contract.snapshot import Operation, ProviderKind
from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.media.fetch import Fetched
from tollway.proxy.providers.capabilities import Takes, known
from tollway.proxy.providers.openai.presets import PRESETS
from tollway.proxy.providers.openai.wording import INLINE_BYTES, worded
from tollway.proxy.providers.port import UpstreamCall

TURN = {"role": "user", "content": "Hi"}


def call(
    body: Any,
    *,
    operation: Operation = "chat",
    is_translated: bool = False,
    strict: bool = False,
    takes: Takes | None = None,
) -> UpstreamCall:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UpstreamCall("m", written, [], 1.0, lambda: None, strict, operation, is_translated, takes)


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [TURN]} | more


async def test_a_clients_own_chat_leaves_as_the_very_bytes_it_came_in() -> None:
    asked = call({"model": "m", "messages": [TURN], "made_up": 1.50, "top_k": 3})
    body, lost = await worded(asked, PRESETS["openai"])
    assert body is asked.body
    assert lost == ()


async def test_what_another_vendor_left_in_a_chat_is_cut() -> None:
    turn = {"role": "assistant", "content": "Yes", "thinking_blocks": [{"type": "thinking"}]}
    body, _ = await worded(call({"model": "m", "messages": [TURN, turn], "made_up": 1}), PRESETS["openai"])
    assert json.loads(body) == {
        "model": "m",
        "messages": [TURN, {"role": "assistant", "content": "Yes"}],
        "made_up": 1,
    }


@pytest.mark.parametrize("size", [1, INLINE_BYTES])
async def test_a_chat_made_of_another_dialect_loses_the_hubs_extensions_and_says_so(size: int) -> None:
    hub = {"model": "m", "messages": [{"role": "user", "content": "x" * size}], "top_k": 3}
    body, lost = await worded(call(hub, is_translated=True), PRESETS["openai"])
    assert "top_k" not in json.loads(body)
    assert lost == ("top_k",)
    with pytest.raises(InvalidRequest) as refused:
        await worded(call(hub, is_translated=True, strict=True), PRESETS["openai"])
    assert refused.value.param == "top_k"


async def test_other_operations_are_nobodys_to_put_right() -> None:
    asked = call(b'{"input": "\\"thinking_blocks\\""}', operation="responses")
    assert (await worded(asked, PRESETS["openai"]))[0] is asked.body


@pytest.mark.parametrize("body", [b"[]", b'{"extra_content"', b'{"a": "\xff", "extra_content": 1}'])
async def test_what_can_not_be_read_is_the_clients_fault(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await worded(call(body, is_translated=True), PRESETS["openai"])


async def test_a_translated_chat_fits_its_model_and_has_the_accent_of_its_provider() -> None:
    hub = chat(thinking={"type": "enabled", "budget_tokens": 1024}, max_completion_tokens=99_000, top_k=3, seed=1)
    asked = call(hub, is_translated=True, takes=known("openai", "gpt-4o"))
    body, lost = await worded(asked, PRESETS["openai"])
    assert json.loads(body) == chat(max_completion_tokens=16_384, seed=1)
    assert lost == ("thinking", "max_completion_tokens", "top_k")
    asked = call(hub, is_translated=True, takes=known("mistral", "mistral-small-latest"))
    body, lost = await worded(asked, PRESETS["mistral"])
    assert json.loads(body) == chat(reasoning_effort="high", random_seed=1, max_tokens=99_000)
    assert lost == ("top_k",)


async def test_a_strict_chat_is_refused_for_the_first_field_that_does_not_fit() -> None:
    hub = chat(reasoning_effort="high", top_k=3)
    with pytest.raises(InvalidRequest) as refused:
        await worded(call(hub, is_translated=True, strict=True, takes=known("openai", "gpt-4o")), PRESETS["openai"])
    assert refused.value.param == "reasoning_effort"


async def test_a_clients_own_chat_is_held_to_nothing() -> None:
    asked = call(chat(reasoning_effort="high", max_tokens=10**6), takes=known("openai", "gpt-4o"))
    assert await worded(asked, PRESETS["openai"]) == (asked.body, ())


URL = "https://example.com/a.png"
IMAGE = {"type": "image_url", "image_url": {"url": URL}}


@pytest.mark.parametrize(
    ("takes", "url"),
    [
        (Takes(image_urls=False), "data:image/png;base64,cG5n"),
        (Takes(), URL),
        (None, URL),
    ],
)
async def test_images_are_fetched_where_their_addresses_are_not_taken(takes: Takes | None, url: str) -> None:
    media = ServedMedia({URL: Fetched("image/png", b"png")})
    hub = chat(messages=[{"role": "user", "content": [IMAGE]}])
    body, _ = await worded(call(hub, is_translated=True, takes=takes), PRESETS["ollama"], media=media)
    assert json.loads(body)["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": url}}]
    assert bool(media.asked) is url.startswith("data:")


async def test_an_image_that_the_model_does_not_see_is_not_fetched() -> None:
    media = ServedMedia({URL: Fetched("image/png", b"png")})
    hub = chat(messages=[{"role": "user", "content": [IMAGE]}])
    blind = Takes(images=False, image_urls=False)
    _, lost = await worded(call(hub, is_translated=True, takes=blind), PRESETS["ollama"], media=media)
    assert (media.asked, lost) == ([], ("messages.image_url",))


async def test_documents_are_fetched_for_who_takes_them_inline_only() -> None:
    page = {"type": "file", "file": {"file_url": URL}}
    hub = chat(messages=[{"role": "user", "content": [page]}])
    inline = {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,cGRm"}}
    by_address = {"type": "document_url", "document_url": URL}
    for preset, part in ((PRESETS["openai"], inline), (PRESETS["mistral"], by_address)):
        media = ServedMedia({URL: Fetched("application/pdf", b"pdf")})
        body, lost = await worded(call(hub, is_translated=True), preset, media=media)
        assert (json.loads(body)["messages"][0]["content"], lost) == ([part], ())


@needs_records
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5"])
@pytest.mark.parametrize(
    ("dialect", "provider", "operation"),
    [(MessagesDialect(), "anthropic", "messages"), (ResponsesDialect(), "openai", "responses")],
)
async def test_recorded_requests_of_other_dialects_become_chats_that_openai_takes(
    dialect: Dialect, provider: str, operation: str, model: str
) -> None:
    for record in records(provider, operation):
        try:
            hub = dialect.to_hub(json.dumps(record.asked).encode(), model).body
        except InvalidRequest:  # what chat can't say
            continue
        body, _ = await worded(call(hub, is_translated=True, takes=known("openai", model)), PRESETS["openai"])
        assert check_chat_request(json.loads(body), extensions=False) == [], record.id


@needs_records
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("mistral", "mistral-small-latest"),
        ("mistral", "codestral-latest"),
        ("deepseek", "deepseek-v4-pro"),
        ("groq", "openai/gpt-oss-20b"),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct"),
        ("cohere", "command-a-03-2025"),
    ],
)
@pytest.mark.parametrize(
    ("dialect", "provider", "operation"),
    [(MessagesDialect(), "anthropic", "messages"), (ResponsesDialect(), "openai", "responses")],
)
async def test_recorded_requests_of_other_dialects_are_said_in_the_accent_of_the_provider(
    dialect: Dialect, provider: str, operation: str, kind: ProviderKind, model: str
) -> None:
    for record in records(provider, operation):
        try:
            hub = dialect.to_hub(json.dumps(record.asked).encode(), model).body
        except InvalidRequest:  # what chat can't say
            continue
        body, _ = await worded(call(hub, is_translated=True, takes=known(kind, model)), PRESETS[kind])
        check(kind, json.loads(body))
