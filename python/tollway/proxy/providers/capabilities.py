"""What a (provider, model) can take: the table. ``fit.py`` holds a request to it.

A row says what is *known*; a model that no row knows takes everything, and its provider says what it does not. What
stands here are models of providers that speak OpenAI's chat: Anthropic's and Google's own files hold a request to
what their models take, by rows of their own. A target's ``takes`` in the configuration overrules the table.
Sources: platform.openai.com "Reasoning", "Models" and "Structured outputs"; docs.x.ai "Reasoning" and "Models";
console.groq.com "Reasoning", "Vision", "Structured outputs"; docs.mistral.ai "Reasoning", "Vision";
api-docs.deepseek.com "Thinking mode", "JSON output"; docs.cohere.com "Compatibility API"; docs.ollama.com "OpenAI
compatibility".
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tollway.contract.routing import Need
from tollway.contract.snapshot import Overrule, ProviderKind, Target
from tollway.proxy.providers.openai.presets import PRESETS

Sampling = Literal["always", "idle", "never"]
"""When ``temperature`` and its neighbours are taken; ``idle``: only while the model does not think."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Words of ``reasoning_effort``, least first."""


class Takes(msgspec.Struct, frozen=True, kw_only=True):
    """What one model at one provider can take."""

    images: bool = True
    image_urls: bool = True
    """Whether an image may be an address that the provider fetches itself."""
    documents: bool = True
    audio: bool = True
    tools: bool = True
    tool_choice: Literal["any", "words", "auto"] = "any"
    """``words``: no single function can be asked for; ``auto``: the model decides."""
    parallel_switch: bool = True
    """Whether ``parallel_tool_calls: false`` is heard."""
    json_schema: bool = True
    seed: bool = True
    many: bool = True
    """Whether ``n`` may be more than 1."""
    stop: int | None = None
    """The most stop sequences; ``None``: as many as one likes."""
    sampling: Sampling = "always"
    efforts: tuple[str, ...] | None = None
    """The words of ``reasoning_effort`` it knows: ``()`` is a model that does not think, ``None`` is not known."""
    idles: bool = False
    """Whether it does not think unless asked to."""
    thinking_switch: bool = False
    """Whether ``thinking: {type: enabled | disabled}`` is its provider's own word."""
    verbosity: bool = True
    unstored_metadata: bool = True
    """Whether ``metadata`` may come without ``store``."""
    max_output_tokens: int | None = None


class Row(msgspec.Struct, frozen=True):
    """What a pattern of model names is known to take, where it differs; ``name`` is for people."""

    name: str
    pattern: re.Pattern[str]
    changes: Mapping[str, Any]


def _row(name: str, pattern: str, **changes: Any) -> Row:
    return Row(name, re.compile(pattern, re.IGNORECASE), changes)


_NO_THOUGHT: dict[str, Any] = {"efforts": (), "verbosity": False}
_LOW_TO_HIGH = ("low", "medium", "high")
_THINKER: dict[str, Any] = {"sampling": "never", "stop": 0}

_OPENAIS = (
    _row("gpt-3.5", r"gpt-3\.?5", images=False, documents=False, max_output_tokens=4096, **_NO_THOUGHT),
    _row("gpt-4", r"gpt-4(-0613|-0314|-32k|$)", images=False, documents=False, max_output_tokens=8192, **_NO_THOUGHT),
    _row("gpt-4-turbo", r"gpt-4-(turbo|1106|0125)", documents=False, max_output_tokens=4096, **_NO_THOUGHT),
    _row("gpt-4o", r"gpt-4o", max_output_tokens=16_384, **_NO_THOUGHT),
    _row("gpt-4.1", r"gpt-4\.1", max_output_tokens=32_768, **_NO_THOUGHT),
    _row("gpt-4.5", r"gpt-4\.5", max_output_tokens=16_384, **_NO_THOUGHT),
    _row(
        "o1, o3, o4",
        r"(?:^|[/:_-])o[1-9](?![0-9a-z])",
        efforts=_LOW_TO_HIGH,
        parallel_switch=False,
        verbosity=False,
        max_output_tokens=100_000,
        **_THINKER,
    ),
    _row("o1-mini, o3-mini", r"(?:^|[/:_-])o[13]-(mini|preview)", images=False, documents=False),
    _row("gpt-5", r"gpt-5(?!\.\d)", efforts=("minimal", *_LOW_TO_HIGH), max_output_tokens=128_000, **_THINKER),
    _row(
        "gpt-5.1",
        r"gpt-5\.1(?!\d)",
        efforts=("none", *_LOW_TO_HIGH),
        idles=True,
        sampling="idle",
        stop=0,
        max_output_tokens=128_000,
    ),
    _row(
        "gpt-5.2 and later",
        r"gpt-5\.([2-9]|1\d)",
        efforts=("none", *_LOW_TO_HIGH, "xhigh"),
        idles=True,
        sampling="idle",
        stop=0,
        max_output_tokens=128_000,
    ),
    _row(
        "gpt-6 and later",
        r"gpt-([6-9]|\d\d)(?![0-9a-z])",
        efforts=("none", *_LOW_TO_HIGH, "xhigh"),
        sampling="idle",
        stop=0,
        max_output_tokens=128_000,
    ),
    _row("…-codex", r"gpt-5.*-codex", efforts=(*_LOW_TO_HIGH, "xhigh"), idles=False),
    _row("gpt-5-codex", r"gpt-5-codex|gpt-5\.1-codex(?!-max)", efforts=_LOW_TO_HIGH),
    _row("gpt-5-pro", r"gpt-5-pro", efforts=("high",)),
    _row(
        "…-chat-latest",
        r"gpt-5[\d.]*-chat",
        efforts=(),
        idles=False,
        sampling="always",
        stop=4,
        max_output_tokens=16_384,
    ),
    _row("…-audio", r"gpt-.*audio", audio=True, images=False, documents=False, json_schema=False),
    _row("…-search", r"gpt-.*-search", sampling="never", parallel_switch=False, tools=False, seed=False),
)

DEFAULTS: Mapping[ProviderKind, Takes] = {
    "openai": Takes(audio=False, stop=4, unstored_metadata=False),
    "azure": Takes(audio=False, stop=4, unstored_metadata=False),
    "xai": Takes(documents=False, audio=False, verbosity=False),
    "vllm": Takes(documents=False, efforts=_LOW_TO_HIGH),
    "openai_compatible": Takes(),
    "anthropic": Takes(audio=False, seed=False, many=False),
    "google": Takes(image_urls=False, parallel_switch=False, stop=5),
    "vertex": Takes(image_urls=False, parallel_switch=False, stop=5),
    "bedrock": Takes(image_urls=False, parallel_switch=False, seed=False, many=False),
    "mistral": Takes(audio=False, verbosity=False),
    "deepseek": Takes(
        images=False, documents=False, audio=False, json_schema=False, many=False, thinking_switch=True, stop=16
    ),
    "groq": Takes(documents=False, audio=False, many=False, stop=4, efforts=()),
    "together": Takes(documents=False, audio=False),
    "openrouter": Takes(),
    "ollama": Takes(image_urls=False, documents=False, audio=False, tool_choice="auto", many=False),
    "cohere": Takes(documents=False, audio=False, tool_choice="words", many=False, stop=5, parallel_switch=False),
    "simulator": Takes(),
}
"""What is known of a kind's models whatever their name."""

ROWS: Mapping[ProviderKind, tuple[Row, ...]] = {
    "openai": _OPENAIS,
    "azure": _OPENAIS,
    "xai": (
        _row("grok-3, grok-code", r"grok-(2|3|code)", images=False, efforts=()),
        _row("grok-2-vision", r"grok-2-vision", images=True),
        _row("grok-4", r"grok-4(?![.\d])|grok-4-1|grok-4\.(1|20)", efforts=()),
        _row("grok-3-mini", r"grok-3-mini", efforts=("low", "high")),
        _row("grok-4.3", r"grok-4\.3", efforts=("none", *_LOW_TO_HIGH)),
        _row("grok-4.5 and later", r"grok-(4\.[4-9]|[5-9])", efforts=_LOW_TO_HIGH),
        _row("reasoning models", r"grok-(3-mini|code|[4-9])(?!.*non-reasoning)", stop=0),
    ),
    "mistral": (
        _row("text only", r"codestral|mixtral|open-mistral|nemo|saba|mathstral", images=False),
        _row("all but the next", r"", efforts=()),
        _row(
            "small, medium", r"mistral-(small|medium)-(latest|2[6-9]|3[.-]5)|mistral-small$", efforts=("none", "high")
        ),
    ),
    "groq": (
        _row("text only", r"gpt-oss|llama-3|kimi-k2|qwen3-32b|qwen-2|gemma2|allam|deepseek|compound", images=False),
        _row("gpt-oss", r"gpt-oss", efforts=_LOW_TO_HIGH),
        _row("qwen3", r"qwen3|qwen-3", efforts=("none", "default")),
        _row("without schemas", r"llama-3|qwen|gemma2|allam|deepseek|compound", json_schema=False),
    ),
    "cohere": (_row("text only", r"^(?!.*(vision|command-a-plus)).*command", images=False),),
}
"""What is known of models by their name; every row that fits changes what those before it say."""


_NOTHING_SAID = Overrule()
_OVERRULED = {
    "images": "images",
    "image_urls": "image_urls",
    "documents": "documents",
    "audio": "audio",
    "tools": "tools",
    "parallel_tool_calls": "parallel_switch",
    "json_schema": "json_schema",
    "seed": "seed",
    "reasoning_effort": "efforts",
    "stop": "stop",
    "max_output_tokens": "max_output_tokens",
}
"""The operator's words, and the table's."""


def takes_of(target: Target) -> Takes | None:
    """What the target's model takes: as the operator says, else as the table knows.

    A provider with a dialect of its own has rows of its own: for it only what the operator says counts, and ``None``
    is nothing said.
    """
    if target.provider.kind in PRESETS:
        return overruled(known(target.provider.kind, target.model), target.takes)
    return overruled(Takes(), target.takes) if target.takes != _NOTHING_SAID else None


_WORD_OF_NEED: Mapping[Need, str] = {
    "vision": "images",
    "audio": "audio",
    "documents": "documents",
    "tools": "tools",
    "json_schema": "json_schema",
}


def capable(target: Target, need: Need) -> bool:
    """Whether a target can take what a request needs, as far as the operator or the table says; else it is taken to."""
    takes = overruled(known(target.provider.kind, target.model), target.takes)
    can: bool = getattr(takes, _WORD_OF_NEED[need])
    return can


def output_cap(target: Target) -> int | None:
    """The most tokens that a target's answer can have, as far as the operator or the table says."""
    return overruled(known(target.provider.kind, target.model), target.takes).max_output_tokens


def overruled(takes: Takes, by: Overrule) -> Takes:
    """``takes`` with what the operator says in its place."""
    said = {theirs: getattr(by, name) for name, theirs in _OVERRULED.items()}
    changes = {name: value for name, value in said.items() if value is not None}
    if by.temperature is not None:
        changes["sampling"] = "always" if by.temperature else "never"
    return msgspec.structs.replace(takes, **changes)


def known(kind: ProviderKind, model: str) -> Takes:
    """What the table says of a model."""
    takes = DEFAULTS.get(kind, Takes())
    for row in ROWS.get(kind, ()):
        if row.pattern.search(model):
            takes = msgspec.structs.replace(takes, **row.changes)
    return takes
