"""What `tollway._native.chat` does, by the json module and recursion."""

import json
from collections.abc import Iterator
from typing import Any

STRUCTURE = {
    "role", "type", "id", "tool_call_id", "call_id", "index", "format", "detail", "signature", "thought_signature",
    "file_id", "cache_control", "prompt_cache_breakpoint",
}  # fmt: skip
MEDIA = {"image_url", "input_audio", "audio", "audio_url", "video_url", "file_data"}


def rendered(body: bytes, model: str, ask_usage: bool) -> Any:
    """What the body for an upstream says."""
    request = json.loads(body) | {"model": model}
    if ask_usage and request.get("stream"):
        request["stream_options"] = (request.get("stream_options") or {}) | {"include_usage": True}
    return request


def texts(request: Any) -> list[str]:
    """Every text a model reads; arguments given as an object are left to the caller."""
    found: list[str] = []

    def walk(value: Any, depth: int) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            for element in value:
                walk(element, depth + 1)
        elif isinstance(value, dict):
            for key, member in value.items():
                if depth + 1 > 6 or key not in STRUCTURE | MEDIA:
                    walk(member, depth + 1)

    walk(request["messages"], 0)
    return found


def input_of(request: Any) -> Any:
    """What the model is asked: messages, or the input of a response."""
    return request["messages"] if "messages" in request else request["input"]


def pairs(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """The texts of two values of the same shape, side by side; where a number became a text, neither."""
    if isinstance(before, str) and isinstance(after, str):
        yield before, after
    elif isinstance(before, dict) and isinstance(after, dict) and len(before) == len(after):
        yield from pairs([*before.values()], [*after.values()])
    elif isinstance(before, list) and isinstance(after, list):
        for said, says in zip(before, after, strict=True):
            yield from pairs(said, says)


def is_container(text: str) -> bool:
    """Whether a text is itself a JSON array or object."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def usage(answer: Any) -> dict[str, int | None]:
    """The counts of an answer or of a stream's chunk, under the names that the extension gives them."""
    told = answer.get("usage") or (answer.get("x_groq") or {}).get("usage") or {}
    prompt_details = told.get("prompt_tokens_details") or {}
    completion_details = told.get("completion_tokens_details") or {}
    cached = [prompt_details.get("cached_tokens")]
    cached += [told.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")]
    reasoning = completion_details.get("reasoning_tokens", told.get("reasoning_tokens"))
    prompt, completion, total = (told.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if prompt is not None and completion is not None and total == prompt + completion + (reasoning or 0):
        completion = total - prompt
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cached_tokens": next((count for count in cached if count is not None), None),
        "cache_write_tokens": prompt_details.get("cache_write_tokens"),
        "reasoning_tokens": reasoning,
        "audio_prompt_tokens": prompt_details.get("audio_tokens", told.get("audio_prompt_tokens")),
        "audio_completion_tokens": completion_details.get("audio_tokens"),
    }
