"""How much the model thinks, and what may not stand beside it.

Claude is given a budget of tokens or an effort (see ``anthropic/models.py``), Nova 2 and OpenAI's open models an
effort, all of them outside of what Converse itself defines; other models are told nothing.
Sources: docs.aws.amazon.com, "Extended thinking" of Claude and of Nova 2; platform.claude.com, "Extended thinking".
"""

from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.models import FALLBACK_MAX_TOKENS
from tollway.proxy.providers.bedrock.models import Traits
from tollway.proxy.providers.bedrock.turns import Conversation

MIN_BUDGET_TOKENS = 1024
"""Claude takes no smaller budget, and none that reaches ``maxTokens``."""

MAX_BUDGET_TOKENS = 2**24
"""A larger one is no budget of any model: it goes as it is, to be refused there."""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_THREE = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def think(body: dict[str, Any], out: dict[str, Any], traits: Traits, talk: Conversation, drops: Drops) -> None:
    """Tells the request ``out`` how much to think, and takes away what can't stand beside that.

    Raises:
        InvalidRequest: ``thinking`` or ``reasoning_effort`` can't be understood.
    """
    told, effort = body.get("thinking"), body.get("reasoning_effort")
    if told is not None and (not isinstance(told, dict) or not isinstance(told.get("type"), str)):
        raise InvalidRequest("`thinking` must be an object with a type.", param="thinking")
    if effort is not None and not isinstance(effort, str):
        raise InvalidRequest("The effort of reasoning must be a word.", param="reasoning_effort")
    if effort is not None and effort != "none" and effort not in _BUDGETS:
        drops.add("reasoning_effort")
        effort = None
    if told is not None and traits.vendor in (None, "anthropic"):
        _as_told(told, effort, out, traits, drops)
    elif told is not None:
        if told["type"] != "disabled":
            drops.add("thinking")
    elif effort is not None:
        _reason(effort, out, traits, talk, drops)
    if _fields(out).get("thinking", {}).get("type") in ("enabled", "adaptive"):
        _clear(out, drops)


def _fields(out: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = out.setdefault("additionalModelRequestFields", {})
    return fields


def _as_told(told: dict[str, Any], effort: str | None, out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    _fields(out)["thinking"] = told
    config, budget = out.setdefault("inferenceConfig", {}), told.get("budget_tokens")
    if isinstance(budget, int) and 0 < budget < MAX_BUDGET_TOKENS and "maxTokens" not in config:
        config["maxTokens"] = max(traits.claude.max_tokens, budget + FALLBACK_MAX_TOKENS)
    if effort is not None and effort != "none" and traits.claude.efforts:  # else the budget says it all
        _add_effort(effort, out, traits, drops)


def _reason(effort: str, out: dict[str, Any], traits: Traits, talk: Conversation, drops: Drops) -> None:
    if traits.thinking == "claude":
        _reason_as_claude(effort, out, traits, talk, drops)
    elif traits.thinking == "nova" and effort != "none":
        _reason_as_nova(_THREE[effort], out, drops)
    elif traits.thinking == "effort" and effort != "none":
        _fields(out)["reasoning_effort"] = _THREE[effort]
    elif effort != "none" or traits.thinking == "effort":  # OpenAI's open models always think
        drops.add("reasoning_effort")


def _reason_as_nova(effort: str, out: dict[str, Any], drops: Drops) -> None:
    _fields(out)["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
    if effort == "high":  # Nova takes none of these beside its highest effort
        for name, field in (("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p")):
            if out.get("inferenceConfig", {}).pop(name, None) is not None:
                drops.add(field)


def _reason_as_claude(effort: str, out: dict[str, Any], traits: Traits, talk: Conversation, drops: Drops) -> None:
    model, config = traits.claude, out.get("inferenceConfig", {})
    if effort == "none":
        if model.thinks_always:
            drops.add("reasoning_effort")
        elif model.thinking == "adaptive":  # some think unless told not to
            _fields(out)["thinking"] = {"type": "disabled"}
        return
    choice = out.get("toolConfig", {}).get("toolChoice", {})
    is_forced = "any" in choice or "tool" in choice
    if model.thinking == "adaptive":
        _add_effort(effort, out, traits, drops)
        # The effort holds without thoughts, too. A call that must be made is worth more than thoughts before it.
        if not is_forced and not talk.is_prefilled:
            _fields(out)["thinking"] = {"type": "adaptive", "display": "summarized"}
        return
    # A model with a budget refuses results of calls whose thoughts are gone, and to continue an answer.
    most = config.get("maxTokens", model.max_tokens)
    if most <= MIN_BUDGET_TOKENS or is_forced or talk.is_prefilled or talk.lacks_thoughts:
        drops.add("reasoning_effort")
        return
    budget = max(MIN_BUDGET_TOKENS, min(_BUDGETS[effort], most // 2))
    out["inferenceConfig"] = {**config, "maxTokens": most}
    _fields(out)["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _add_effort(effort: str, out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    """The effort, or the next lower one that the model takes."""
    wanted = "low" if effort == "minimal" else effort
    lower = [each for each in _EFFORTS[: _EFFORTS.index(wanted) + 1] if each in traits.claude.efforts]
    if not lower:
        drops.add("reasoning_effort")
        return
    out["outputConfig"] = {"effort": lower[-1], **out.get("outputConfig", {})}


def _clear(out: dict[str, Any], drops: Drops) -> None:
    """A model that thinks takes no temperature but 1, no ``top_k``, no ``top_p`` below 0.95, and no forced call."""
    config = out.get("inferenceConfig", {})
    if config.pop("temperature", 1) != 1:
        drops.add("temperature")
    if config.get("topP", 1) < 0.95:
        del config["topP"]
        drops.add("top_p")
    if _fields(out).pop("top_k", None) is not None:
        drops.add("top_k")
    tools = out.get("toolConfig", {})
    if "any" in tools.get("toolChoice", {}) or "tool" in tools.get("toolChoice", {}):
        tools["toolChoice"] = {"auto": {}}
        drops.add("tool_choice")
