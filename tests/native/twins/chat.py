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
        "cache_write_1h_tokens": prompt_details.get("cache_write_1h_tokens"),
        "reasoning_tokens": reasoning,
        "audio_prompt_tokens": prompt_details.get("audio_tokens", told.get("audio_prompt_tokens")),
        "audio_completion_tokens": completion_details.get("audio_tokens"),
        "image_prompt_tokens": prompt_details.get("image_tokens"),
        "image_completion_tokens": completion_details.get("image_tokens"),
        "cached_audio_tokens": (prompt_details.get("cached_tokens_details") or {}).get("audio_tokens"),
    }


def message_usage(told: dict[str, Any]) -> dict[str, int | None]:
    """The counts of Anthropic's usage: what was cached is part of the prompt."""
    if told.get("input_tokens") is None:
        return dict.fromkeys(usage({})) | {"completion_tokens": told.get("output_tokens")}
    cached, written = told.get("cache_read_input_tokens"), told.get("cache_creation_input_tokens")
    prompt = told["input_tokens"] + (cached or 0) + (written or 0)
    return dict.fromkeys(usage({})) | {
        "prompt_tokens": prompt,
        "completion_tokens": told["output_tokens"],
        "total_tokens": prompt + told["output_tokens"],
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": (told.get("cache_creation") or {}).get("ephemeral_1h_input_tokens"),
        "reasoning_tokens": (told.get("output_tokens_details") or {}).get("thinking_tokens"),
    }


def response_usage(told: dict[str, Any]) -> dict[str, int | None]:
    """The counts of a response: reasoning is inside its output, with everyone."""
    prompt_details = told.get("input_tokens_details") or {}
    completion_details = told.get("output_tokens_details") or {}
    return dict.fromkeys(usage({})) | {
        "prompt_tokens": told.get("input_tokens"),
        "completion_tokens": told.get("output_tokens"),
        "total_tokens": told.get("total_tokens"),
        "cached_tokens": prompt_details.get("cached_tokens"),
        "cache_write_tokens": prompt_details.get("cache_write_tokens"),
        "reasoning_tokens": completion_details.get("reasoning_tokens"),
    }
