"""How much to think: OpenAI's ``reasoning_effort`` and the budgets of others as Gemini's ``thinkingConfig``.

Gemini 3 and later take a level, Gemini 2.5 a budget of tokens, earlier models refuse both. Sources: ai.google.dev,
"Gemini thinking" and "OpenAI compatibility", whose table of efforts this follows.
"""

import re
from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.names import camel

AUTOMATIC = -1
"""The budget that leaves it to the model."""

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"} | {
    "xhigh": "HIGH",
    "max": "HIGH",
}
_OWN_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
_PRO_MIN_BUDGET = 128
"""Gemini 2.5 Pro can't be kept from thinking."""

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?:-|$)")


def generation(model: str) -> tuple[int, int] | None:
    """The version in a model's name; ``None`` where it tells none, as in ``gemini-flash-latest``."""
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def thinking_config(asked: dict[str, Any], own: Any, model: str, warnings: list[str]) -> dict[str, Any] | None:
    """``thinkingConfig``: Google's ``own`` if given, else of ``thinking``, else of ``reasoning_effort``.

    Raises:
        InvalidRequest: a field is malformed.
    """
    if own is not None:
        return _own(own, "thinking_config")
    effort, thinking = asked.get("reasoning_effort"), asked.get("thinking")
    if effort is None and thinking is None:
        return None
    name = "reasoning_effort" if thinking is None else "thinking"
    if not _thinks(model):
        warnings.append(name)
        return None
    if thinking is not None:
        return _of_thinking(thinking, model)
    if effort not in _BUDGETS:
        warnings.append(name)
        return None
    return _of_effort(effort, model)


def _thinks(model: str) -> bool:
    version = generation(model)
    return version >= (2, 5) if version else not model.startswith(("gemma", "learnlm"))


def _of_effort(effort: str, model: str) -> dict[str, Any]:
    shown = {} if effort == "none" else {"includeThoughts": True}
    version = generation(model)
    if version is not None and version >= (3, 0):
        level = _LEVELS[effort]
        if "-pro" in model and level == "MINIMAL":
            level = "LOW"  # Pro has no level below
        if "3-pro" in model and level == "MEDIUM":
            level = "HIGH"  # Gemini 3 Pro has the two ends only
        return {"thinkingLevel": level, **shown}
    # Gemini 3 takes budgets as well, so they are right for names without a version.
    budget = _BUDGETS[effort]
    if budget == 0 and "-pro" in model:
        budget = _PRO_MIN_BUDGET
    return {"thinkingBudget": budget, **shown}


def _of_thinking(thinking: Any, model: str) -> dict[str, Any]:
    """Anthropic's ``thinking``, or Google's own fields under that name."""
    if not isinstance(thinking, dict):
        raise InvalidRequest("'thinking' is to be an object.", param="thinking")
    kind = thinking.get("type")
    if kind is None:
        return _own(thinking, "thinking")
    if kind == "disabled":
        return _of_effort("none", model)
    budget = thinking.get("budget_tokens")
    if kind == "adaptive" or (kind == "enabled" and budget is None):
        return {"thinkingBudget": AUTOMATIC, "includeThoughts": True}
    if kind != "enabled" or not _is_budget(budget):
        raise InvalidRequest("'thinking' is to be enabled with 'budget_tokens', or disabled.", param="thinking")
    return {"thinkingBudget": budget, "includeThoughts": True}


def _own(config: Any, param: str) -> dict[str, Any]:
    kinds: dict[str, type] = {"includeThoughts": bool, "thinkingBudget": int, "thinkingLevel": str}
    fields = camel(config) if isinstance(config, dict) else None
    if fields is None or not all(name in kinds and type(value) is kinds[name] for name, value in fields.items()):
        message = f"'{param}' holds 'include_thoughts', 'thinking_budget' and 'thinking_level'."
        raise InvalidRequest(message, param=param)
    if not _is_budget(fields.get("thinkingBudget", AUTOMATIC)):
        raise InvalidRequest(f"'{param}' has a budget that is none.", param=param)
    if "thinkingLevel" in fields:
        fields["thinkingLevel"] = fields["thinkingLevel"].upper()
        if fields["thinkingLevel"] not in _OWN_LEVELS:
            raise InvalidRequest(f"'{param}' has a level that is none.", param=param)
    return dict(fields)


def _is_budget(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and AUTOMATIC <= value < 2**31
