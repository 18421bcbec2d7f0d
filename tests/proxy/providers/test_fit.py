"""A request held to what its target takes: what is too much is dropped and named, and nothing else is touched."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tollway.contract.snapshot import ProviderKind
from tollway.proxy.providers.capabilities import DEFAULTS, EFFORTS, Takes, known
from tollway.proxy.providers.fit import fit

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


def fitted(takes: Takes, **asked: Any) -> tuple[dict[str, Any], list[str]]:
    out, lost = fit(PLAIN | asked, takes)
    return {name: value for name, value in out.items() if name not in PLAIN}, lost


def test_what_is_taken_is_not_touched() -> None:
    asked = {
        "temperature": 0.2,
        "seed": 7,
        "n": 2,
        "stop": ["a", "b"],
        "reasoning_effort": "low",
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {}},
        "max_completion_tokens": 10**6,
    }
    assert fitted(Takes(), **asked) == (asked, [])


@pytest.mark.parametrize(
    ("kind", "model", "asked", "left", "lost"),
    [
        ("openai", "gpt-4o", {"reasoning_effort": "high"}, {}, ["reasoning_effort"]),
        ("openai", "gpt-4o", {"reasoning_effort": "none"}, {}, []),
        ("openai", "o3", {"temperature": 0.2, "top_p": 1}, {}, ["temperature"]),
        ("openai", "o3", {"temperature": 1.0}, {}, []),
        ("openai", "o3", {"logprobs": True, "top_logprobs": 3}, {}, ["logprobs", "top_logprobs"]),
        ("openai", "o3", {"parallel_tool_calls": False}, {}, ["parallel_tool_calls"]),
        ("openai", "o3", {"parallel_tool_calls": True}, {}, []),
        ("openai", "o3", {"stop": ["x"]}, {}, ["stop"]),
        ("openai", "gpt-5.1", {"temperature": 0.2}, {"temperature": 0.2}, []),
        (
            "openai",
            "gpt-5.1",
            {"temperature": 0.2, "reasoning_effort": "low"},
            {"reasoning_effort": "low"},
            ["temperature"],
        ),
        ("openai", "gpt-4o", {"stop": list("abcdef")}, {"stop": list("abcd")}, ["stop"]),
        ("openai", "gpt-4o", {"stop": "x"}, {"stop": "x"}, []),
        ("openai", "gpt-4o", {"max_tokens": 32_000}, {"max_tokens": 16_384}, ["max_tokens"]),
        ("openai", "gpt-4o", {"metadata": {"a": "b"}}, {}, ["metadata"]),
        ("openai", "gpt-4o", {"metadata": {"a": "b"}, "store": True}, {"metadata": {"a": "b"}, "store": True}, []),
        ("openai", "gpt-4o", {"verbosity": "low"}, {}, ["verbosity"]),
        ("openai", "gpt-5", {"verbosity": "low"}, {"verbosity": "low"}, []),
        ("groq", "openai/gpt-oss-20b", {"n": 1}, {}, []),
        ("groq", "openai/gpt-oss-20b", {"n": 2}, {}, ["n"]),
        ("deepseek", "deepseek-chat", {"response_format": {"type": "json_schema"}}, {}, ["response_format"]),
        (
            "deepseek",
            "deepseek-chat",
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            [],
        ),
        ("ollama", "qwen3", {"tool_choice": "required"}, {}, ["tool_choice"]),
        ("ollama", "qwen3", {"tool_choice": "auto"}, {"tool_choice": "auto"}, []),
        ("cohere", "command-a", {"tool_choice": {"type": "function"}}, {"tool_choice": "required"}, ["tool_choice"]),
        ("xai", "grok-4", {"stop": ["x"], "reasoning_effort": "low"}, {}, ["reasoning_effort", "stop"]),
    ],
)  # fmt: skip
def test_what_is_too_much_is_dropped_and_named(
    kind: ProviderKind, model: str, asked: dict[str, Any], left: dict[str, Any], lost: list[str]
) -> None:
    assert fitted(known(kind, model), **asked) == (left, lost)


@pytest.mark.parametrize(
    ("efforts", "wanted", "said", "is_lost"),
    [
        (("low", "medium", "high"), "minimal", "low", False),
        (("low", "medium", "high"), "max", "high", False),
        (("low", "medium", "high"), "none", "low", True),
        (("minimal", "low", "medium", "high"), "none", "minimal", True),
        (("low", "high"), "medium", "low", False),
        (("none", "high"), "medium", "high", False),
        (("none", "high"), "low", "high", False),
        (("none", "high"), "minimal", "none", False),
        (("high",), "low", "high", False),
        (("none", "default"), "low", "default", False),
        (("none", "default"), "none", "none", False),
        ((), "low", None, True),
        (("low", "high"), "odd", None, True),
        (None, "odd", "odd", False),
    ],
)
def test_an_effort_is_said_in_the_nearest_word(
    efforts: tuple[str, ...] | None, wanted: str, said: str | None, is_lost: bool
) -> None:
    left, lost = fitted(Takes(efforts=efforts), reasoning_effort=wanted)
    assert left.get("reasoning_effort") == said
    assert lost == (["reasoning_effort"] if is_lost else [])


@pytest.mark.parametrize(
    ("thinking", "effort", "said"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 8192}, None, "medium"),
        ({"type": "enabled", "budget_tokens": 24_576}, None, "high"),
        ({"type": "enabled", "budget_tokens": 1024}, "high", "low"),
        ({"type": "enabled"}, "high", "high"),
        ({"type": "adaptive"}, "high", "high"),
        ({"type": "adaptive"}, None, None),
        ({"type": "disabled"}, None, "none"),
    ],
)
def test_a_budget_of_thought_is_an_effort(thinking: dict[str, Any], effort: str | None, said: str | None) -> None:
    left, lost = fitted(Takes(efforts=EFFORTS), thinking=thinking, reasoning_effort=effort)
    assert (left, lost) == ({} if said is None else {"reasoning_effort": said}, [])


def test_thinking_that_can_not_be_asked_for_is_named_and_thinking_that_is_off_is_not() -> None:
    assert fitted(Takes(efforts=()), thinking={"type": "enabled", "budget_tokens": 9}) == ({}, ["thinking"])
    assert fitted(Takes(efforts=()), thinking={"type": "disabled"}) == ({}, [])
    assert fitted(Takes(), thinking={"type": "disabled"}) == ({}, [])


def test_a_provider_with_a_switch_gets_its_switch() -> None:
    takes = DEFAULTS["deepseek"]
    on = {"type": "enabled"}
    assert fitted(takes, thinking={"type": "enabled", "budget_tokens": 9}) == ({"thinking": on}, [])
    assert fitted(takes, thinking={"type": "disabled"}) == ({"thinking": {"type": "disabled"}}, [])
    adaptive = fitted(takes, thinking={"type": "adaptive"}, reasoning_effort="high")
    assert adaptive == ({"thinking": on, "reasoning_effort": "high"}, [])


def test_a_model_without_tools_gets_none() -> None:
    assert fitted(Takes(tools=False), tools=[{}], tool_choice="auto", parallel_tool_calls=True) == ({}, ["tools"])


def test_what_a_model_can_not_see_or_hear_leaves_a_word_in_its_place() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    text = {"type": "file", "file": {"file_data": "data:text/plain;base64,SGk="}}
    pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64,"}}
    sound = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    content = [{"type": "text", "text": "See:"}, image, text, pdf, sound, image]
    out, lost = fit(
        {"messages": [{"role": "user", "content": content}]}, Takes(images=False, documents=False, audio=False)
    )
    assert lost == ["messages.image_url", "messages.file", "messages.input_audio"]
    assert out["messages"][0]["content"] == [
        {"type": "text", "text": "See:"},
        {"type": "text", "text": "[an image was left out]"},
        text,
        {"type": "text", "text": "[a document was left out]"},
        {"type": "text", "text": "[a sound was left out]"},
        {"type": "text", "text": "[an image was left out]"},
    ]


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=9),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["type", "file", "file_data", "content", "budget_tokens"]), inner)
    ),
    max_leaves=9,
)
FIELDS = (
    "messages thinking reasoning_effort temperature logprobs stop tools tool_choice parallel_tool_calls seed "
    "response_format n verbosity metadata max_completion_tokens"
).split()


@given(some.dictionaries(some.sampled_from(FIELDS), JSON, max_size=6), some.sampled_from(sorted(DEFAULTS)))
def test_whatever_a_request_holds_something_fits(asked: dict[str, Any], kind: ProviderKind) -> None:
    for takes in (DEFAULTS[kind], Takes(tools=False, seed=False, max_output_tokens=1, stop=1, sampling="idle")):
        json.dumps(fit(asked, takes)[0])
