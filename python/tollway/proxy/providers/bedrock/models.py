"""What a model on Bedrock takes, read off its identifier: Converse is one protocol, its models are not one model.

An identifier is ``vendor.model-version``, with a geography before it where it names an inference profile, or an ARN
that ends in one. An ARN of a profile or a deployment of one's own tells nothing: then what the caller writes is
passed on, and nothing is presumed.
Sources: docs.aws.amazon.com, "Supported foundation models", "Prompt caching", "Get validated JSON results from models",
and the vendors' pages under "Inference request parameters".
"""

import re
from typing import Literal

import msgspec

from tollway.proxy.providers.anthropic.models import UNKNOWN, Abilities, abilities_of

_VENDOR = re.compile(
    r"(?:^|[./])(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai"
    r"|qwen|writer|zai)\."
)
_TOP_K = {"anthropic": ("top_k",), "mistral": ("top_k",), "cohere": ("k",), "amazon": ("inferenceConfig", "topK")}
_SCHEMAS = frozenset({"deepseek", "google", "minimax", "mistral", "moonshot", "moonshotai", "nvidia", "openai", "qwen"})
"""Vendors of open weights, for which Bedrock itself holds answers to a schema; Claude's are told by the version."""

_CACHES = frozenset({"anthropic", "amazon"})


class Traits(msgspec.Struct, frozen=True):
    """What one model takes. ``vendor`` is ``None`` where the identifier tells none.

    ``top_k`` is where that number stands below ``additionalModelRequestFields``; ``thinking`` is how the model is told
    to think: as Claude, as Nova 2, by OpenAI's own word, or not at all.
    """

    vendor: str | None
    claude: Abilities
    thinking: Literal["claude", "nova", "effort"] | None
    top_k: tuple[str, ...] | None
    has_schemas: bool
    caches: bool
    caches_tools: bool
    """Nova refuses a cache point among the tools, and a time to live of its own."""

    @property
    def takes_thoughts(self) -> bool:
        """Whether signed thoughts of earlier turns may go back to it."""
        return self.vendor in (None, "anthropic", "amazon")


def traits_of(model: str) -> Traits:
    """What ``model`` takes."""
    found = _VENDOR.search(model)
    vendor = found[1] if found else None
    is_claude = vendor == "anthropic" or (vendor is None and "claude" in model)
    claude = abilities_of(model) if is_claude else UNKNOWN
    thinking: Literal["claude", "nova", "effort"] | None = None
    if is_claude and claude.thinking is not None:
        thinking = "claude"
    elif vendor == "amazon" and "nova-2" in model:
        thinking = "nova"
    elif vendor == "openai":
        thinking = "effort"
    return Traits(
        vendor="anthropic" if is_claude else vendor,
        claude=claude,
        thinking=thinking,
        top_k=_TOP_K.get("anthropic" if is_claude else vendor or ""),
        has_schemas=_has_schemas(model, claude) if is_claude else vendor is None or vendor in _SCHEMAS,
        caches=is_claude or vendor is None or vendor in _CACHES,
        caches_tools=is_claude or vendor is None,
    )


def _has_schemas(model: str, claude: Abilities) -> bool:
    """Bedrock holds Claude to a schema from 4.5 on; Anthropic itself does so with Opus 4.1, too."""
    return claude.has_schemas and "opus-4-1" not in model
