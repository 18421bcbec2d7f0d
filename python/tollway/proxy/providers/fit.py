"""A request of the hub, held to what its target can take: what is too much is dropped and named.

In: the hub's body, decoded, and what the target takes (``capabilities.py``). Out: the body that fits, and the names of
the fields that were lost. It runs on translated requests only, before the provider's own file maps the body: where
client and provider speak the same dialect, the provider itself says what it does not take.
"""

from collections.abc import Sequence
from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.capabilities import EFFORTS, Takes

LEAST_MEDIUM_TOKENS = 4096
LEAST_HIGH_TOKENS = 16_384
"""Budgets of thought from which an effort is ``medium`` or ``high``; ``low`` below. They lie between the budgets that
stand for the three: 1,024, 8,192 and 24,576."""

_MEDIA = {"image_url": "images", "file": "documents", "input_audio": "audio"}
_LEFT_OUT = {"image_url": "[an image was left out]", "file": "[a document was left out]"} | {
    "input_audio": "[a sound was left out]"
}
_SAMPLERS: dict[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
}
"""Fields that a thinking model refuses, and the values that ask for nothing."""


def held(asked: dict[str, Any], takes: Takes | None, *, strict: bool) -> tuple[dict[str, Any], list[str]]:
    """The request as :func:`fit` makes it; ``None`` holds it to nothing.

    Raises:
        InvalidRequest: ``strict``, and a field would be lost.
    """
    if takes is None:
        return asked, []
    out, lost = fit(asked, takes)
    if strict and lost:
        raise InvalidRequest(f"The provider does not take '{lost[0]}'.", param=lost[0])
    return out, lost


def fit(asked: dict[str, Any], takes: Takes) -> tuple[dict[str, Any], list[str]]:
    """The request as its target can take it, and the fields that were lost, each once."""
    out = {name: value for name, value in asked.items() if value is not None}
    lost: list[str] = []
    _think(out, takes, lost)
    _sample(out, takes, lost)
    _bound(out, takes, lost)
    _choose(out, takes, lost)
    _drop(out, takes, lost)
    if not (takes.images and takes.documents and takes.audio) and isinstance(turns := out.get("messages"), list):
        out["messages"] = [_turn(turn, takes, lost) for turn in turns]
    return out, list(dict.fromkeys(lost))


def _think(out: dict[str, Any], takes: Takes, lost: list[str]) -> None:
    """``thinking`` (Anthropic's) and ``reasoning_effort``, in the words that the model knows."""
    thinking, effort = out.pop("thinking", None), out.pop("reasoning_effort", None)
    name, wanted = "reasoning_effort", effort
    if isinstance(thinking, dict):
        name, wanted = "thinking", _effort_of(thinking, effort)
        if takes.thinking_switch and thinking.get("type") in ("enabled", "disabled", "adaptive"):
            is_off = thinking["type"] == "disabled"
            out["thinking"] = {"type": "disabled" if is_off else "enabled"}
            wanted = None if is_off else effort
    if wanted is None:
        return
    if takes.efforts is None:
        if wanted != "none" or name == "reasoning_effort":
            out["reasoning_effort"] = wanted
        return
    nearest = _nearest(wanted, takes.efforts)
    if nearest is not None:
        out["reasoning_effort"] = nearest
    if (nearest is None and wanted != "none") or (wanted == "none" and nearest not in (None, "none")):
        lost.append(name)


def _effort_of(thinking: dict[str, Any], effort: Any) -> Any:
    """The effort that ``thinking`` asks for; ``None`` leaves it to the model."""
    match thinking.get("type"):
        case "disabled":
            return "none"
        case "enabled":
            budget = thinking.get("budget_tokens")
            if not isinstance(budget, int) or isinstance(budget, bool):
                return effort
            if budget < LEAST_MEDIUM_TOKENS:
                return "low"
            return "medium" if budget < LEAST_HIGH_TOKENS else "high"
        case _:  # adaptive: the effort says how much
            return effort


def _nearest(wanted: Any, efforts: Sequence[str]) -> str | None:
    """The word for ``wanted``, else that next to it, the lower one of two; ``None`` where there is none."""
    if wanted in efforts:
        return str(wanted)
    if "default" in efforts:  # it can be switched off, and no more
        return "default"
    ranks = [EFFORTS.index(effort) for effort in efforts if effort in EFFORTS]
    if not ranks or wanted not in EFFORTS:
        return None
    rank = EFFORTS.index(wanted)
    if rank > 1:  # who asks for thought is not to get none
        ranks = [each for each in ranks if each] or ranks
    return EFFORTS[min(ranks, key=lambda each: (abs(each - rank), each))]


def _sample(out: dict[str, Any], takes: Takes, lost: list[str]) -> None:
    is_idle = out.get("reasoning_effort", "none" if takes.idles else None) == "none"
    if takes.sampling == "always" or (takes.sampling == "idle" and is_idle):
        return
    for name, nothing in _SAMPLERS.items():
        if name in out and out.pop(name) not in nothing:
            lost.append(name)


def _bound(out: dict[str, Any], takes: Takes, lost: list[str]) -> None:
    """Numbers that are too large."""
    most = takes.max_output_tokens
    for name in ("max_completion_tokens", "max_tokens"):
        told = out.get(name)
        if most is not None and isinstance(told, int) and told > most:
            out[name] = most
            lost.append(name)
    stop = out.get("stop")
    sequences = [stop] if isinstance(stop, str) else stop
    if takes.stop is not None and isinstance(sequences, list) and len(sequences) > takes.stop:
        lost.append("stop")
        del out["stop"]
        if takes.stop:
            out["stop"] = sequences[: takes.stop]


def _choose(out: dict[str, Any], takes: Takes, lost: list[str]) -> None:
    """Tools, and how they are chosen."""
    if not takes.tools and out.get("tools"):
        lost.append("tools")
    if not takes.tools:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            out.pop(name, None)
    choice = out.get("tool_choice")
    if isinstance(choice, dict) and takes.tool_choice == "words":
        out["tool_choice"] = "required"
        lost.append("tool_choice")
    elif takes.tool_choice == "auto" and choice not in (None, "auto"):
        del out["tool_choice"]
        lost.append("tool_choice")
    if not takes.parallel_switch and out.pop("parallel_tool_calls", True) is not True:
        lost.append("parallel_tool_calls")


def _drop(out: dict[str, Any], takes: Takes, lost: list[str]) -> None:
    """Fields that the target does not know at all."""
    wanted = out.get("response_format")
    if not takes.json_schema and isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        del out["response_format"]
        lost.append("response_format")
    for name, is_taken, nothing in (
        ("seed", takes.seed, None),
        ("n", takes.many, 1),
        ("verbosity", takes.verbosity, "medium"),
        ("metadata", takes.unstored_metadata or out.get("store") is True, {}),
    ):
        if not is_taken and name in out and out.pop(name) != nothing:
            lost.append(name)


def _turn(turn: Any, takes: Takes, lost: list[str]) -> Any:
    """A turn without what the model can't see or hear; a word says that something was there."""
    content = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(content, list):
        return turn
    parts: list[Any] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _MEDIA and not getattr(takes, _MEDIA[kind]) and not _is_text(part):
            lost.append(f"messages.{kind}")
            parts.append({"type": "text", "text": _LEFT_OUT[kind]})
        else:
            parts.append(part)
    return turn | {"content": parts}


def _is_text(part: dict[str, Any]) -> bool:
    """Whether a document is text: then it will be said as such."""
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    return isinstance(data, str) and data[:10].lower() == "data:text/"
