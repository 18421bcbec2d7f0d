"""How much the model thinks, and what may not stand beside it.

Older models are given a budget of tokens, newer ones an effort; see ``models.py``. While a model thinks it takes no
temperature but 1, no ``top_k`` and a ``top_p`` of 0.95 at least, and with a budget no tool that it must call.
Source: platform.claude.com, "Extended thinking", section "Feature compatibility", and "Effort"; recorded answers to
calls that were forced beside adaptive thinking.
"""

from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.models import FALLBACK_MAX_TOKENS, Abilities, Effort
from tollway.proxy.providers.anthropic.parts import own_of
from tollway.proxy.providers.anthropic.turns import Conversation

MIN_BUDGET_TOKENS = 1024
"""Anthropic takes no smaller budget, and none that reaches ``max_tokens``."""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_EFFORTS: dict[str, Effort] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_ORDER: tuple[Effort, ...] = ("max", "xhigh", "high", "medium", "low")


def think(body: dict[str, Any], out: dict[str, Any], model: Abilities, talk: Conversation, drops: Drops) -> None:
    """Adds ``thinking`` and the effort to the request ``out``, and takes away what can't stand beside them.

    Raises:
        InvalidRequest: ``thinking`` or ``reasoning_effort`` can't be understood.
    """
    own = own_of(body)
    told = own.get("thinking", body.get("thinking"))
    is_own = own.get("output_config") is not None  # then the effort stands there, and the other one was made of it
    if told is not None:
        if not isinstance(told, dict) or not isinstance(told.get("type"), str):
            raise InvalidRequest("`thinking` must be an object with a type.", param="thinking")
        out["thinking"] = told
        _make_room(body, out, told.get("budget_tokens"))
        if body.get("reasoning_effort") is not None and not is_own:
            _add_effort(body["reasoning_effort"], out, model, drops)
    elif body.get("reasoning_effort") is not None and not is_own:
        _reason(body["reasoning_effort"], out, model, talk, drops)
    if out.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        _clear(out, drops)


def _make_room(body: dict[str, Any], out: dict[str, Any], budget: Any) -> None:
    """A maximum that the caller did not set must not be what its budget runs against."""
    is_set = body.get("max_completion_tokens") is not None or body.get("max_tokens") is not None
    if not is_set and isinstance(budget, int) and budget >= out["max_tokens"]:
        out["max_tokens"] = budget + FALLBACK_MAX_TOKENS


def _reason(effort: Any, out: dict[str, Any], model: Abilities, talk: Conversation, drops: Drops) -> None:
    if effort == "none":
        if model.thinks_always:
            drops.add("reasoning_effort")
        elif model.thinking == "adaptive":  # some think unless told not to
            out["thinking"] = {"type": "disabled"}
        return
    if not isinstance(effort, str) or effort not in _BUDGETS:
        raise InvalidRequest("This effort of reasoning is not known.", param="reasoning_effort")
    is_forced = out.get("tool_choice", {}).get("type") in ("any", "tool")
    if model.thinking == "adaptive":
        _add_effort(effort, out, model, drops)
        # The effort holds without thoughts, too. A call that must be made is worth more than thoughts before it.
        if not is_forced and not talk.is_prefilled:
            # Without it the latest models think, and bill it, but tell nothing of it.
            out["thinking"] = {"type": "adaptive", "display": "summarized"}
        return
    # A model with a budget refuses results of calls whose thoughts are gone, and to continue an answer.
    is_possible = model.thinking == "budget" and out["max_tokens"] > MIN_BUDGET_TOKENS
    if not is_possible or is_forced or talk.is_prefilled or talk.lacks_thoughts:
        drops.add("reasoning_effort")
        return
    budget = max(MIN_BUDGET_TOKENS, min(_BUDGETS[effort], out["max_tokens"] // 2))
    out["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _add_effort(effort: Any, out: dict[str, Any], model: Abilities, drops: Drops) -> None:
    """The effort, or the next lower one that the model takes. One in the caller's ``output_config`` goes first."""
    wanted = _EFFORTS.get(effort) if isinstance(effort, str) else None
    if wanted is None or not model.efforts:
        drops.add("reasoning_effort")
        return
    taken = next(each for each in _ORDER[_ORDER.index(wanted) :] if each in model.efforts)
    out["output_config"] = {"effort": taken, **out.get("output_config", {})}


def _clear(out: dict[str, Any], drops: Drops) -> None:
    if out.pop("temperature", 1) != 1:
        drops.add("temperature")
    if "top_k" in out:
        del out["top_k"]
        drops.add("top_k")
    if out.get("top_p", 1) < 0.95:
        del out["top_p"]
        drops.add("top_p")
    choice = out.get("tool_choice", {})
    if choice.get("type") in ("any", "tool") and out["thinking"]["type"] == "enabled":
        # Only where the caller wrote `thinking` itself: what cannot be had together is told.
        choice["type"] = "auto"
        choice.pop("name", None)
        drops.add("tool_choice")
