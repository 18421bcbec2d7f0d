"""What is known of models: by kind, by name, and by what the operator says."""

from typing import get_args

import msgspec
import pytest
from tests.fakes.records import needs_records, records

from tollway.contract.routing import Need
from tollway.contract.snapshot import Overrule, ProviderAccess, ProviderKind, Target
from tollway.proxy.providers.capabilities import DEFAULTS, EFFORTS, ROWS, Takes, capable, known, overruled, takes_of

LOW_TO_HIGH = ("low", "medium", "high")


def test_every_kind_has_a_row_and_every_row_changes_fields_that_there_are() -> None:
    assert DEFAULTS.keys() == set(get_args(ProviderKind))
    for kind, rows in ROWS.items():
        for row in rows:
            assert isinstance(msgspec.structs.replace(DEFAULTS[kind], **row.changes), Takes), row.name
            assert set(row.changes.get("efforts", ())) <= {*EFFORTS, "default"}


def test_a_model_that_nobody_knows_takes_everything() -> None:
    assert known("openai_compatible", "my-model") == Takes()
    assert known("azure", "my-deployment").efforts is None


@pytest.mark.parametrize(
    ("kind", "model", "efforts"),
    [
        ("openai", "gpt-4o", ()),
        ("openai", "gpt-4.1-nano", ()),
        ("openai", "ft:gpt-4o-mini-2024-07-18:me::1", ()),
        ("openai", "o3", LOW_TO_HIGH),
        ("openai", "o4-mini-2025-04-16", LOW_TO_HIGH),
        ("azure", "team-o3-mini", LOW_TO_HIGH),
        ("openai", "gpt-5", ("minimal", *LOW_TO_HIGH)),
        ("openai", "gpt-5-mini-2025-08-07", ("minimal", *LOW_TO_HIGH)),
        ("openai", "gpt-5-codex", LOW_TO_HIGH),
        ("openai", "gpt-5-pro", ("high",)),
        ("openai", "gpt-5-chat-latest", ()),
        ("openai", "gpt-5.1", ("none", *LOW_TO_HIGH)),
        ("openai", "gpt-5.1-codex", LOW_TO_HIGH),
        ("openai", "gpt-5.4-mini", ("none", *LOW_TO_HIGH, "xhigh")),
        ("openai", "gpt-6.1-sol", ("none", *LOW_TO_HIGH, "xhigh")),
        ("xai", "grok-3-mini", ("low", "high")),
        ("xai", "grok-4", ()),
        ("xai", "grok-4-fast-reasoning", ()),
        ("xai", "grok-4.3", ("none", *LOW_TO_HIGH)),
        ("xai", "grok-4.7", LOW_TO_HIGH),
        ("groq", "openai/gpt-oss-120b", LOW_TO_HIGH),
        ("groq", "qwen/qwen3-32b", ("none", "default")),
        ("groq", "llama-3.3-70b-versatile", ()),
        ("mistral", "mistral-small-latest", ("none", "high")),
        ("mistral", "mistral-large-latest", ()),
        ("deepseek", "deepseek-v4-pro", None),
        ("vllm", "Qwen/Qwen3-8B", LOW_TO_HIGH),
    ],
)
def test_who_thinks_and_in_which_words(kind: ProviderKind, model: str, efforts: tuple[str, ...] | None) -> None:
    assert known(kind, model).efforts == efforts


@pytest.mark.parametrize(
    ("kind", "model", "sees"),
    [
        ("openai", "gpt-4o", True),
        ("openai", "gpt-3.5-turbo", False),
        ("openai", "gpt-4", False),
        ("openai", "o3", True),
        ("openai", "o3-mini", False),
        ("deepseek", "deepseek-chat", False),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", True),
        ("groq", "openai/gpt-oss-20b", False),
        ("mistral", "pixtral-large-latest", True),
        ("mistral", "codestral-latest", False),
        ("xai", "grok-3", False),
        ("xai", "grok-2-vision-1212", True),
        ("cohere", "command-a-03-2025", False),
        ("cohere", "command-a-vision-07-2025", True),
    ],
)
def test_who_sees(kind: ProviderKind, model: str, sees: bool) -> None:
    assert known(kind, model).images is sees


def test_the_operator_knows_better() -> None:
    access = ProviderAccess("p", "openai", "http://h/v1", None)
    said = Overrule(images=False, parallel_tool_calls=False, temperature=False, reasoning_effort=("low",), stop=1)
    taken = overruled(known("openai", "gpt-4o"), said)
    assert takes_of(Target(access, "gpt-4o", 1, None, said)) == taken
    assert (taken.images, taken.parallel_switch, taken.sampling) == (False, False, "never")
    assert (taken.efforts, taken.stop, taken.documents) == (("low",), 1, True)
    assert takes_of(Target(access, "gpt-4o", 1, None)) == known("openai", "gpt-4o")
    assert overruled(known("openai", "o3"), Overrule(temperature=True)).sampling == "always"


def test_of_a_provider_with_a_dialect_of_its_own_only_the_operator_knows_more_than_it_does() -> None:
    access = ProviderAccess("p", "anthropic", "http://h", None)
    assert takes_of(Target(access, "claude-x", 1, None)) is None
    assert takes_of(Target(access, "claude-x", 1, None, Overrule(tools=False))) == Takes(tools=False)


@needs_records
@pytest.mark.parametrize("kind", ["openai", "xai", "groq", "mistral", "deepseek"])
def test_what_a_provider_took_is_known_to_be_taken(kind: ProviderKind) -> None:
    """Every recorded chat that was answered asks for nothing that the table thinks impossible."""
    for record in records(kind):
        asked = record.asked
        if record.status != 200 or not asked:  # one was recorded without its request
            continue
        takes = known(kind, asked["model"])
        effort, form = asked.get("reasoning_effort"), asked.get("response_format") or {}
        parts = [part for turn in asked["messages"] for part in _parts(turn.get("content"))]
        assert effort is None or takes.efforts is None or effort in takes.efforts, record.id
        assert takes.json_schema or form.get("type") != "json_schema", record.id
        assert takes.images or all(part.get("type") != "image_url" for part in parts), record.id
        assert takes.documents or all(part.get("type") != "file" for part in parts), record.id
        assert takes.sampling != "never" or asked.get("temperature", 1) == 1, record.id
        assert takes.many or asked.get("n", 1) == 1, record.id
        assert len(asked["stop"] if isinstance(asked.get("stop"), list) else ()) <= (takes.stop or 10**9), record.id
        assert (asked.get("max_tokens") or 1) <= (takes.max_output_tokens or 10**9), record.id


def _parts(content: object) -> list[dict[str, object]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


@pytest.mark.parametrize(
    ("kind", "model", "unable"),
    [
        ("openai", "gpt-4o", {"audio"}),
        ("openai", "gpt-4", {"vision", "documents", "audio"}),
        ("openai", "gpt-4o-audio-preview", {"vision", "documents", "json_schema"}),
        ("deepseek", "deepseek-chat", {"vision", "documents", "audio", "json_schema"}),
        ("anthropic", "claude-sonnet-4-5", {"audio"}),
        ("openai_compatible", "my-model", set()),
        ("simulator", "none", set()),
    ],
)
def test_who_can_take_what_a_request_needs(kind: ProviderKind, model: str, unable: set[str]) -> None:
    target = Target(ProviderAccess("p", kind, "https://example.org", None), model, 1, None)
    assert {need for need in get_args(Need) if not capable(target, need)} == unable
    told = Overrule(images=False, audio=True, documents=False, tools=False, json_schema=True)
    overruled = msgspec.structs.replace(target, takes=told)
    assert {need for need in get_args(Need) if not capable(overruled, need)} == {"vision", "documents", "tools"}
