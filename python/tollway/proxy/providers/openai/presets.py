"""The accents of those who speak OpenAI's chat: one row per kind of provider.

A row says what its provider calls things, and which fields it refuses where others ignore them. What its *models* can
take is in ``capabilities.py``; what it can be asked for, in ``contract/snapshot.py``.
Sources: each provider's API reference (console.groq.com "OpenAI Compatibility", docs.mistral.ai "Chat Completion",
api-docs.deepseek.com "Create Chat Completion" and "Thinking Mode", docs.cohere.com "Compatibility API",
docs.ollama.com "OpenAI compatibility", docs.together.ai "Chat Completions", openrouter.ai "API Reference",
docs.x.ai "REST API Reference", docs.vllm.ai "OpenAI-Compatible Server"), and recorded calls.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tollway.contract.snapshot import ProviderAccess, ProviderKind

LimitField = Literal["max_completion_tokens", "max_tokens"]

_OPENAIS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
        *("response_format", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "n"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort"),
        *("verbosity", "service_tier", "user", "safety_identifier", "metadata", "store", "prediction", "modalities"),
        *("audio", "web_search_options", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("moderation", "stream", "stream_options"),
    }
)
"""Every field of OpenAI's own ``POST /chat/completions``."""

_MISTRALS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "max_tokens"),
        *("temperature", "top_p", "stop", "random_seed", "n", "presence_penalty", "frequency_penalty", "prediction"),
        *("metadata", "prompt_mode", "reasoning_effort", "safe_prompt", "prompt_cache_key", "stream"),
    }
)


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of provider wants a chat.

    ``only`` are the top-level fields it takes (``None``: it ignores those that it does not know, or takes more than
    is written anywhere), ``refuses`` those of OpenAI's that it answers with an error. ``extras`` are fields beyond
    OpenAI's that pass to it, of the hub's extensions and of other dialects.
    """

    limit_field: LimitField = "max_tokens"
    asks_usage: bool = True
    """Whether it takes ``stream_options``; one that does not tells its usage unasked."""
    only: frozenset[str] | None = None
    refuses: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    renames: Mapping[str, str] = {}
    thoughts: Literal["reasoning_content", "reasoning"] | None = None
    """The field in which it takes its model's earlier thoughts back; others refuse or ignore them."""
    joins_texts: bool = True
    """Whether a content of several texts is sent as one text: not all servers take a list everywhere."""
    has_developer: bool = False
    """Whether it knows the role ``developer``; else it is ``system``."""
    has_names: bool = True
    """Whether a message may bear a ``name``."""
    file_urls: bool = False
    """Whether the ``file_data`` of a document may be an address."""
    document_urls: bool = False
    """Whether a document is a part of type ``document_url``, as Mistral has it."""
    cache_marks: bool = False
    """Whether a part may bear ``cache_control``."""
    mends: tuple[bytes, ...] = ()
    """What in the bytes of a client's own chat says that it has to be mended for this provider."""
    has_short_ids: bool = False
    """Whether the id of a call may have no more than 40 characters."""
    mends_ids: bool = False
    """Whether longer ones are shortened in a client's own chat, too."""
    has_plain_roots: bool = False
    """Whether the root of a tool's parameters may hold no alternatives."""
    refused_of_answers: frozenset[str] = frozenset()
    """Fields of an earlier answer that it refuses when that comes back in a turn of the assistant."""
    thinks_in_content: bool = False
    """Whether a content may hold a part of type ``thinking``, as Mistral has it, or may for all that is known."""
    has_mistral_order: bool = False
    """Whether a user's turn may not follow a tool's, nor a system's one an assistant's, and a call's id has nine
    letters or digits."""


_OF_OTHERS = (b'"thinking_blocks"', b'"extra_content"')
"""What an answer of another vendor has left in a conversation that is sent on to this one."""
_NEWER = b'"max_completion_tokens"'


def _quoted(names: frozenset[str]) -> tuple[bytes, ...]:
    """Names as they stand in JSON."""
    return tuple(f'"{name}"'.encode() for name in sorted(names))


_THOUGHTS = frozenset({"reasoning_content", "reasoning_details"})
"""What others call thoughts in an answer; Groq and OpenRouter also ``reasoning``."""
_EMPTIED = frozenset({"refusal", "annotations", "audio", "function_call"})
"""What OpenAI's SDK writes of an answer that has none of it, and others do not know."""

_OPENAI = Preset(
    limit_field="max_completion_tokens",
    only=_OPENAIS,
    joins_texts=False,
    has_developer=True,
    mends=_OF_OTHERS,
    thinks_in_content=True,
    has_short_ids=True,
    has_plain_roots=True,
)
_HOME = msgspec.structs.replace(
    _OPENAI,
    mends=(*_OF_OTHERS, *_quoted(_THOUGHTS | {"reasoning"})),
    refused_of_answers=_THOUGHTS | {"reasoning"},
    thinks_in_content=False,
    mends_ids=True,
)
"""OpenAI itself. Other servers of its kind are left to say themselves what they refuse: many take thoughts back."""
_GROQ = Preset(
    limit_field="max_completion_tokens",
    refuses=frozenset(
        {"logprobs", "top_logprobs", "logit_bias", "verbosity", "prompt_cache_key", "safety_identifier", "modalities"}
    ),
    extras=frozenset({"reasoning_format", "include_reasoning", "search_settings", "documents"}),
    has_names=False,
    mends=(*_OF_OTHERS, *_quoted(_THOUGHTS | _EMPTIED)),
    refused_of_answers=_THOUGHTS | _EMPTIED,
)
_MISTRAL = Preset(
    asks_usage=False,
    only=_MISTRALS,
    renames={"seed": "random_seed"},
    document_urls=True,
    has_mistral_order=True,
    mends=(*_OF_OTHERS, _NEWER, b'"stream_options"', b'"seed"', *_quoted(_THOUGHTS | _EMPTIED | {"reasoning"})),
    refused_of_answers=_THOUGHTS | _EMPTIED | {"reasoning"},
    thinks_in_content=True,
)
_DEEPSEEK = Preset(extras=frozenset({"thinking"}), thoughts="reasoning_content", mends=(*_OF_OTHERS, _NEWER))
_TOGETHER = Preset(
    extras=frozenset({"top_k", "min_p", "repetition_penalty", "reasoning", "safety_model"}),
    mends=(*_OF_OTHERS, _NEWER),
)
_OPENROUTER = Preset(
    limit_field="max_completion_tokens",
    extras=frozenset(
        {
            *("top_k", "top_a", "min_p", "repetition_penalty", "cache_control", "reasoning", "models", "provider"),
            *("transforms", "plugins", "preset", "route", "usage", "image_config"),
        }
    ),
    thoughts="reasoning",
    joins_texts=False,
    has_developer=True,
    file_urls=True,
    cache_marks=True,
)
_VLLM = Preset(
    extras=frozenset(
        {
            *("top_k", "min_p", "repetition_penalty", "length_penalty", "best_of", "use_beam_search", "min_tokens"),
            *("guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend"),
            *("structured_outputs", "chat_template", "chat_template_kwargs", "add_generation_prompt"),
            *("continue_final_message", "stop_token_ids", "ignore_eos", "skip_special_tokens", "documents"),
            *("include_stop_str_in_output", "include_reasoning", "mm_processor_kwargs", "priority", "echo"),
        }
    ),
    thoughts="reasoning_content",
    thinks_in_content=True,
)
_COHERE = Preset(
    refuses=frozenset(
        {
            *("store", "metadata", "logit_bias", "top_logprobs", "n", "modalities", "prediction", "audio"),
            *("service_tier", "parallel_tool_calls", "verbosity", "user", "prompt_cache_key", "safety_identifier"),
        }
    ),
    has_developer=True,
    mends=(*_OF_OTHERS, _NEWER, *_quoted(_EMPTIED)),
    refused_of_answers=_EMPTIED,
)
_CEREBRAS = Preset(
    limit_field="max_completion_tokens",
    has_names=False,
    mends=(*_OF_OTHERS, *_quoted(_THOUGHTS | _EMPTIED)),
    refused_of_answers=_THOUGHTS | _EMPTIED,
)
_ANY = Preset(
    extras=_VLLM.extras | {"thinking", "enable_thinking", "reasoning"},
    thoughts="reasoning_content",
    thinks_in_content=True,
)

PRESETS: Mapping[ProviderKind, Preset] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "xai": Preset(limit_field="max_completion_tokens", thoughts="reasoning_content", mends=_OF_OTHERS),
    "vllm": _VLLM,
    "openai_compatible": _ANY,
    "mistral": _MISTRAL,
    "deepseek": _DEEPSEEK,
    "groq": _GROQ,
    "together": _TOGETHER,
    "openrouter": _OPENROUTER,
    "ollama": Preset(thoughts="reasoning_content", mends=(*_OF_OTHERS, _NEWER)),
    "cohere": _COHERE,
    "simulator": Preset(),
}
"""Kinds that speak OpenAI's dialect. ``anthropic``, ``google`` and ``bedrock`` have their own and no row."""

_OF_HOST: Mapping[str, Preset] = {
    "api.openai.com": _HOME,
    "eu.api.openai.com": _HOME,
    "us.api.openai.com": _HOME,
    "api.mistral.ai": _MISTRAL,
    "api.deepseek.com": _DEEPSEEK,
    "api.groq.com": _GROQ,
    "api.together.xyz": _TOGETHER,
    "api.together.ai": _TOGETHER,
    "openrouter.ai": _OPENROUTER,
    "api.cohere.ai": _COHERE,
    "api.cohere.com": _COHERE,
    "api.cerebras.ai": _CEREBRAS,
}
"""Rows by where a provider lives, for those of a kind that may live anywhere."""

GOOGLES_DOOR = "generativelanguage.googleapis.com"
"""Google's own endpoint for OpenAI's clients wants its signatures back, in ``extra_content.google``."""


def preset_of(access: ProviderAccess) -> Preset | None:
    """The row of a provider; ``None`` for one that speaks a dialect of its own."""
    own = PRESETS.get(access.kind)
    return _OF_HOST.get(host_of(access), own) if access.kind in ("openai", "openai_compatible") else own


def host_of(access: ProviderAccess) -> str:
    """The host of its address, in lower case; empty where there is none."""
    try:
        return urlsplit(access.base_url).hostname or ""
    except ValueError:  # brackets that hold no address: the settings have refused it, a test may not
        return ""
