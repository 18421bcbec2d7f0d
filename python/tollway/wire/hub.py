"""The hub: OpenAI's chat request as structs, for dialects that write one. Nothing decodes into these.

A client's own chat body is never rebuilt from them: it passes as bytes. Beside OpenAI's fields stand the hub's
extensions, each listed in :data:`EXTENSIONS`; :func:`plain` in ``providers/openai/plain.py`` takes them out before a
body leaves for a provider that speaks OpenAI's protocol.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Role = Literal["system", "developer", "user", "assistant", "tool"]
Extra = dict[str, Any]
"""``{vendor: {...}}``: what one vendor says and chat has no place for, to be given back to the same vendor."""

EXTENSIONS = frozenset(
    {"cache_control", "extra_content", "thinking_blocks", "is_error", "citations", "top_k", "thinking"}
)
"""The hub's fields beyond OpenAI's. ``reasoning_content`` and ``reasoning_effort`` are common enough to pass."""

UNNAMED_FILE = "document.pdf"
"""What a file is called whose sender gave it no name: OpenAI wants one beside a file's bytes."""


class CacheControl(msgspec.Struct, kw_only=True):
    """Cache the prompt up to here. Anthropic's, and in its five places: the request, a tool, a system part, a part of
    a message (text, image, document), and a tool's result."""

    type: Literal["ephemeral"] = "ephemeral"
    ttl: Literal["5m", "1h"] | UnsetType = UNSET


class ImageUrl(msgspec.Struct):
    """``https:`` or ``data:``; the provider that needs bytes fetches through the guarded fetcher, others pass it on."""

    url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class InputAudio(msgspec.Struct):
    """Sound as base64."""

    data: str
    format: str


class File(msgspec.Struct, kw_only=True):
    """A document: its bytes as a ``data:`` URL, an address, or the id of a file that the provider holds."""

    file_data: str | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET


class Part(msgspec.Struct, kw_only=True):
    """One part of a content; ``type`` says which of the others is set. Flat, so that writing one costs one object."""

    type: Literal["text", "image_url", "input_audio", "file", "refusal"]
    text: str | UnsetType = UNSET
    image_url: ImageUrl | UnsetType = UNSET
    input_audio: InputAudio | UnsetType = UNSET
    file: File | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    cache_control: CacheControl | UnsetType = UNSET
    citations: bool | UnsetType = UNSET
    """A document may be cited (Anthropic's ``citations.enabled``)."""
    extra_content: Extra | UnsetType = UNSET


class Thought(msgspec.Struct, kw_only=True):
    """A block of thought with the proof that its vendor wants back, kept in order and byte for byte.

    ``thinking`` may be empty beside a signature; ``redacted_thinking`` has ``data`` alone.
    """

    type: Literal["thinking", "redacted_thinking"]
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    data: str | UnsetType = UNSET


class Function(msgspec.Struct):
    """A call's name and its arguments as JSON text, never empty: ``{}`` is the call without arguments."""

    name: str
    arguments: str = "{}"


class Call(msgspec.Struct, kw_only=True):
    """A call the assistant made in an earlier turn."""

    id: str
    type: Literal["function"] = "function"
    function: Function
    cache_control: CacheControl | UnsetType = UNSET
    extra_content: Extra | UnsetType = UNSET


class Turn(msgspec.Struct, kw_only=True):
    """One message. A tool's result may hold parts, images among them, and may say that the tool failed."""

    role: Role
    content: str | list[Part] | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    tool_calls: list[Call] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    thinking_blocks: list[Thought] | UnsetType = UNSET
    cache_control: CacheControl | UnsetType = UNSET
    extra_content: Extra | UnsetType = UNSET


class FunctionTool(msgspec.Struct, kw_only=True):
    """A function as the model may call it. ``parameters`` stays as it was written."""

    name: str
    description: str | UnsetType = UNSET
    parameters: msgspec.Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class Tool(msgspec.Struct, kw_only=True):
    """A tool. One of a vendor's own (web search, code execution) has its vendor's ``type`` and lies in
    ``extra_content``: a provider of another vendor refuses it or, not strict, drops it with a warning."""

    type: str = "function"
    function: FunctionTool | UnsetType = UNSET
    cache_control: CacheControl | UnsetType = UNSET
    extra_content: Extra | UnsetType = UNSET


class Named(msgspec.Struct):
    """A function's name."""

    name: str


class Chosen(msgspec.Struct, kw_only=True):
    """``tool_choice`` that names a function."""

    type: Literal["function"] = "function"
    function: Named


class Thinking(msgspec.Struct, kw_only=True):
    """Anthropic's ``thinking``; it wins over ``reasoning_effort`` where both are there. Budget in tokens."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | UnsetType = UNSET
    display: str | UnsetType = UNSET


class JsonSchema(msgspec.Struct, kw_only=True):
    """A named schema that the answer is to follow."""

    name: str
    schema: msgspec.Raw
    strict: bool | UnsetType = UNSET
    description: str | UnsetType = UNSET


class ResponseFormat(msgspec.Struct, kw_only=True):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | UnsetType = UNSET


class StreamOptions(msgspec.Struct):
    """The gateway always asks for usage; what the client hears of it is its own dialect's matter."""

    include_usage: bool = True


class HubRequest(msgspec.Struct, kw_only=True):
    """A chat request. ``passed`` holds, by name, top-level fields that the client's dialect shares with providers
    and that the hub does not interpret; they are laid beside the others when it is written."""

    model: str
    messages: list[Turn]
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: Literal["auto", "none", "required"] | Chosen | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    top_k: int | UnsetType = UNSET
    stop: list[str] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    thinking: Thinking | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    stream: bool | UnsetType = UNSET
    stream_options: StreamOptions | UnsetType = UNSET
    cache_control: CacheControl | UnsetType = UNSET
    extra_content: Extra | UnsetType = UNSET


def hub_bytes(request: HubRequest, passed: dict[str, msgspec.Raw]) -> bytes:
    """The request as JSON, with ``passed`` beside it; a name that the hub knows wins."""
    body = msgspec.json.encode(request)
    own = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    more = {name: value for name, value in passed.items() if name not in own}
    if not more:
        return body
    return msgspec.json.encode(own | more)
