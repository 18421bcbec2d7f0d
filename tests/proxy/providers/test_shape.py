"""What leaves for a target: limits and accent together, strictness, and passage that touches nothing."""

import json

import pytest

from tollway.contract.snapshot import Overrule, ProviderAccess, ProviderKind, Target
from tollway.errors import InvalidRequest
from tollway.proxy.providers.shape import Shaped, mended, shape

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SIGNED = CALL | {"extra_content": {"google": {"thought_signature": "c2ln"}}}


def target(kind: ProviderKind, model: str = "m", base_url: str = "http://127.0.0.1:9/v1") -> Target:
    return Target(ProviderAccess("p", kind, base_url, None), model, 1, None)


def body(**asked: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}]} | asked).encode()


def test_a_translated_chat_fits_and_has_the_accent_of_its_provider() -> None:
    told = body(thinking={"type": "enabled", "budget_tokens": 1024}, max_completion_tokens=99_000, top_k=3, seed=1)
    small = shape(told, target("openai", "gpt-4o"))
    assert json.loads(small.body) == json.loads(body(max_completion_tokens=16_384, seed=1))
    assert small.warnings == ("thinking", "max_completion_tokens", "top_k")
    other = shape(told, target("mistral", "mistral-small-latest"))
    assert json.loads(other.body) == json.loads(body(reasoning_effort="high", random_seed=1, max_tokens=99_000))
    assert other.warnings == ("top_k",)


def test_a_strict_request_is_refused_for_the_first_field_that_would_be_lost() -> None:
    with pytest.raises(InvalidRequest) as refused:
        shape(body(reasoning_effort="high", top_k=3), target("openai", "gpt-4o"), strict=True)
    assert refused.value.param == "reasoning_effort"
    assert shape(body(seed=1), target("openai", "gpt-4o"), strict=True).warnings == ()


def test_a_provider_with_its_own_dialect_gets_the_hub_as_it_is() -> None:
    told = body(top_k=3, cache_control={"type": "ephemeral"}, reasoning_effort="high")
    for kind in ("anthropic", "google"):
        assert shape(told, target(kind, "some-model")) == Shaped(msgspec_form(told))
    blind = Target(target("anthropic").provider, "m", 1, None, Overrule(seed=False))
    assert shape(body(seed=1), blind).warnings == ("seed",)


def msgspec_form(told: bytes) -> bytes:
    return json.dumps(json.loads(told), separators=(",", ":")).encode()


def test_google_gets_its_signatures_back_by_its_door_for_openais_clients() -> None:
    door = "https://generativelanguage.googleapis.com/v1beta/openai"
    told = body(messages=[{"role": "assistant", "content": None, "tool_calls": [SIGNED]}])
    (turn,) = json.loads(shape(told, target("openai_compatible", base_url=door)).body)["messages"]
    assert turn["tool_calls"] == [SIGNED]
    (turn,) = json.loads(shape(told, target("openai_compatible")).body)["messages"]
    assert turn["tool_calls"] == [CALL]


def test_a_clients_own_chat_passes_as_the_same_bytes() -> None:
    told = b'{ "model": "m" , "messages": [] , "temperature": 7, "top_k": 1.50 }'
    for kind in ("openai", "anthropic", "mistral", "vllm", "openai_compatible"):
        assert mended(told, target(kind)) is told


def test_a_clients_own_chat_is_mended_where_it_has_to_be() -> None:
    told = body(messages=[{"role": "assistant", "content": "a", "thinking_blocks": []}], temperature=7)
    clean = body(messages=[{"role": "assistant", "content": "a"}], temperature=7)
    assert mended(told, target("openai")) == msgspec_form(clean)
    assert mended(told, target("openai_compatible")) is told


@pytest.mark.parametrize("broken", [b'{"extra_content"', b"[" * 100_000 + b'"extra_content"', b'["extra_content"]'])
def test_what_is_no_object_is_refused(broken: bytes) -> None:
    with pytest.raises(InvalidRequest):
        mended(broken, target("openai"))
    with pytest.raises(InvalidRequest):
        shape(broken, target("openai"))
