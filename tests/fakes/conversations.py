"""Conversations of several turns with tools, images, documents, thinking and cache marks, as each client writes them.

:data:`SPOKEN` is what each of them says, in order and in no one's dialect; ``read_anthropic``, ``read_google`` and
``read_chat`` find the same in what a provider is sent.
"""

import json
from typing import Any, NamedTuple

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SIGNATURE = "EqQBCkYIBBgCKkDxZ+/9x0a=="
"""As Anthropic's look: base64, to be given back byte for byte."""
REDACTED = "EmwKAhgBEgy3va3pzix/LafPsn4="
SHOWN = "From the result of the tool call"
"""So a chat provider, whose tool turns hold text only, is told where an image is from."""
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


class Said(NamedTuple):
    """One thing that somebody says: ``role`` is system, user or assistant, a tool's results are the user's."""

    role: str
    kind: str
    what: Any


def _function(name: str = "get_weather") -> dict[str, Any]:
    city = {"type": "string", "description": "A city"}
    return {"name": name, "description": "It.", "parameters": _parameters(city)}


def _parameters(city: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"city": city}, "required": ["city"]}


CHAT_TOOLS = [{"type": "function", "function": _function()}]
MESSAGES_TOOLS = [
    {"name": "get_weather", "description": "It.", "input_schema": _parameters({"type": "string"})},
]
RESPONSES_TOOLS = [{"type": "function", "strict": False, **_function()}]
PARIS, ROME = {"city": "Paris"}, {"city": "Rome"}


def _chat_call(identity: str, arguments: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "get_weather", "arguments": json.dumps(arguments)}}


def _use(identity: str, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": "get_weather", "input": arguments}


def _item(identity: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": identity, "name": "get_weather", "arguments": json.dumps(arguments)}


def _data(kind: str = "image/png", data: str = PNG) -> str:
    return f"data:{kind};base64,{data}"


CONVERSATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "parallel calls": {
        "chat": {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Weather in Paris and Rome?"},
                {
                    "role": "assistant",
                    "content": "Let me look.",
                    "tool_calls": [_chat_call("call_a", PARIS), _chat_call("call_b", ROME)],
                },
                {"role": "tool", "tool_call_id": "call_a", "content": "18 degrees"},
                {"role": "tool", "tool_call_id": "call_b", "content": "no such city"},
                {"role": "user", "content": "Well?"},
            ],
            "tools": CHAT_TOOLS,
        },
        "messages": {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "Weather in Paris and Rome?"},
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "Let me look."}, _use("call_a", PARIS), _use("call_b", ROME)],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "call_a", "content": "18 degrees"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_b",
                            "content": [{"type": "text", "text": "no such city"}],
                        },
                        {"type": "text", "text": "Well?"},
                    ],
                },
            ],
            "tools": MESSAGES_TOOLS,
        },
        "responses": {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": "Weather in Paris and Rome?"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
                },
                _item("call_a", PARIS),
                _item("call_b", ROME),
                {"type": "function_call_output", "call_id": "call_a", "output": "18 degrees"},
                {"type": "function_call_output", "call_id": "call_b", "output": "no such city"},
                {"role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
            ],
            "tools": RESPONSES_TOOLS,
        },
    },
    "images": {
        "chat": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": _data()}},
                    ],
                },
                {"role": "assistant", "content": "A dot."},
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": _data(), "detail": "low"}},
                        {"type": "text", "text": "And this?"},
                    ],
                },
            ],
        },
        "messages": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ],
                },
                {"role": "assistant", "content": "A dot."},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                        {"type": "text", "text": "And this?"},
                    ],
                },
            ],
        },
        "responses": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is it?"},
                        {"type": "input_image", "image_url": _data(), "detail": "auto"},
                    ],
                },
                {"role": "assistant", "content": "A dot."},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": _data(), "detail": "low"},
                        {"type": "input_text", "text": "And this?"},
                    ],
                },
            ],
        },
    },
    "an image as a result": {
        "chat": {
            "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": None, "tool_calls": [_chat_call("call_a", PARIS)]},
                {
                    "role": "tool",
                    "tool_call_id": "call_a",
                    "content": [
                        {"type": "text", "text": "a map"},
                        {"type": "image_url", "image_url": {"url": _data()}},
                    ],
                },
            ],
            "tools": CHAT_TOOLS,
        },
        "messages": {
            "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [_use("call_a", PARIS)]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_a",
                            "content": [
                                {"type": "text", "text": "a map"},
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                                },
                            ],
                        }
                    ],
                },
            ],
            "tools": MESSAGES_TOOLS,
        },
        "responses": {
            "input": [
                {"role": "user", "content": "Weather in Paris?"},
                _item("call_a", PARIS),
                {
                    "type": "function_call_output",
                    "call_id": "call_a",
                    "output": [
                        {"type": "input_text", "text": "a map"},
                        {"type": "input_image", "image_url": _data()},
                    ],
                },
            ],
            "tools": RESPONSES_TOOLS,
        },
    },
    "a document": {
        "chat": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": _data("application/pdf", PDF)},
                        },
                        {"type": "text", "text": "Sum it up."},
                    ],
                }
            ]
        },
        "messages": {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "title": "a.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        },
                        {"type": "text", "text": "Sum it up."},
                    ],
                }
            ]
        },
        "responses": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_file",
                            "filename": "a.pdf",
                            "file_data": _data("application/pdf", PDF),
                        },
                        {"type": "input_text", "text": "Sum it up."},
                    ],
                }
            ]
        },
    },
}

THINKING: dict[str, dict[str, Any]] = {
    "chat": {
        "messages": [
            {"role": "user", "content": "Weather in Paris?"},
            {
                "role": "assistant",
                "content": None,
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
                    {"type": "redacted_thinking", "data": REDACTED},
                ],
                "tool_calls": [_chat_call("call_a", PARIS)],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": "18 degrees"},
        ],
        "tools": CHAT_TOOLS,
        "reasoning_effort": "low",
    },
    "messages": {
        "messages": [
            {"role": "user", "content": "Weather in Paris?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
                    {"type": "redacted_thinking", "data": REDACTED},
                    _use("call_a", PARIS),
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "call_a", "content": "18 degrees"}],
            },
        ],
        "tools": MESSAGES_TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
}
"""A turn with signed thoughts before its call."""

MARKED: dict[str, dict[str, Any]] = {
    "chat": {
        "cache_control": HOUR,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": HOUR}]},
            {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?", "cache_control": MARK}]},
            {"role": "assistant", "content": None, "tool_calls": [_chat_call("call_a", PARIS)]},
            {"role": "tool", "tool_call_id": "call_a", "content": "18 degrees", "cache_control": MARK},
        ],
        "tools": [{**CHAT_TOOLS[0], "cache_control": HOUR}],
    },
    "messages": {
        "cache_control": HOUR,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": HOUR}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?", "cache_control": MARK}]},
            {"role": "assistant", "content": [_use("call_a", PARIS)]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_a", "content": "18 degrees", "cache_control": MARK}
                ],
            },
        ],
        "tools": [{**MESSAGES_TOOLS[0], "cache_control": HOUR}],
    },
}
"""Cache marks in all five places: the request, a tool, the system, a message's part, a tool's result."""


def marks_of(body: dict[str, Any]) -> list[Any]:
    """The five marks of a request to Anthropic, in the order of those places."""
    last = body["messages"][-1]["content"][-1]
    parts = [body, body["tools"][0], body["system"][0], body["messages"][0]["content"][0], last]
    return [part.get("cache_control") for part in parts]


SPOKEN: dict[str, list[Said]] = {
    "parallel calls": [
        Said("system", "text", "Be brief."),
        Said("user", "text", "Weather in Paris and Rome?"),
        Said("assistant", "text", "Let me look."),
        Said("assistant", "call", ("get_weather", PARIS)),
        Said("assistant", "call", ("get_weather", ROME)),
        Said("user", "result", "18 degrees"),
        Said("user", "result", "no such city"),
        Said("user", "text", "Well?"),
    ],
    "images": [
        Said("user", "text", "What is it?"),
        Said("user", "image/png", PNG),
        Said("assistant", "text", "A dot."),
        Said("user", "image/png", PNG),
        Said("user", "text", "And this?"),
    ],
    "an image as a result": [
        Said("user", "text", "Weather in Paris?"),
        Said("assistant", "call", ("get_weather", PARIS)),
        Said("user", "result", "a map"),
        Said("user", "image/png", PNG),
    ],
    "a document": [
        Said("user", "application/pdf", PDF),
        Said("user", "text", "Sum it up."),
    ],
}


def body_of(client: str, told: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The whole request of a client."""
    return {"model": "m", **({"max_tokens": 2000} if client == "messages" else {}), **told, **more}


def read_anthropic(body: dict[str, Any]) -> list[Said]:
    """What a request to Anthropic says, thoughts left out."""
    system = body.get("system") or []
    texts = [{"type": "text", "text": system}] if isinstance(system, str) else system
    said = [Said("system", "text", block["text"]) for block in texts]
    for turn in body["messages"]:
        content = turn["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            said += _of_block(turn["role"], block)
    return said


def _of_block(role: str, block: dict[str, Any]) -> list[Said]:
    match block["type"]:
        case "text":
            return [Said(role, "text", block["text"])]
        case "tool_use":
            return [Said(role, "call", (block["name"], block["input"]))]
        case "image" | "document":
            return [Said(role, block["source"]["media_type"], block["source"]["data"])]
        case "tool_result":
            content = block["content"]
            if isinstance(content, str):
                return [Said(role, "result", content)]
            inner = [said for each in content for said in _of_block(role, each)]
            return [Said(role, "result", each.what) if each.kind == "text" else each for each in inner]
        case _:
            return []


def read_google(body: dict[str, Any]) -> list[Said]:
    """What a request to Gemini says."""
    said = [Said("system", "text", part["text"]) for part in body.get("systemInstruction", {}).get("parts", [])]
    for content in body["contents"]:
        role = "assistant" if content["role"] == "model" else "user"
        for part in content["parts"]:
            if "text" in part and not part.get("thought"):
                said.append(Said(role, "text", part["text"]))
            elif "functionCall" in part:
                call = part["functionCall"]
                said.append(Said(role, "call", (call["name"], call.get("args", {}))))
            elif "functionResponse" in part:
                (result,) = part["functionResponse"]["response"].values()
                said.append(Said(role, "result", result))
            elif "inlineData" in part:
                said.append(Said(role, part["inlineData"]["mimeType"], part["inlineData"]["data"]))
    return said


def read_chat(body: dict[str, Any]) -> list[Said]:
    """What a request in OpenAI's chat dialect says."""
    said: list[Said] = []
    for turn in body["messages"]:
        role = {"tool": "user", "developer": "system"}.get(turn["role"], turn["role"])
        content: Any = turn.get("content") or []
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "text" and part["text"].startswith(SHOWN):
                continue
            if part["type"] == "text":
                said.append(Said(role, "result" if turn["role"] == "tool" else "text", part["text"]))
            else:
                url = part["image_url"]["url"] if part["type"] == "image_url" else part["file"]["file_data"]
                kind, _, data = url.removeprefix("data:").partition(";base64,")
                said.append(Said(role, kind, data))
        for call in turn.get("tool_calls") or []:
            said.append(Said(role, "call", (call["function"]["name"], json.loads(call["function"]["arguments"]))))
    return said


def read_bedrock(body: dict[str, Any]) -> list[Said]:
    """What a request to Bedrock's Converse says."""
    said = [Said("system", "text", block["text"]) for block in body.get("system", []) if "text" in block]
    for turn in body["messages"]:
        for block in turn["content"]:
            said += _of_converse(turn["role"], block)
    return said


def _of_converse(role: str, block: dict[str, Any]) -> list[Said]:
    match block:
        case {"text": text}:
            return [Said(role, "text", text)]
        case {"toolUse": {"name": name, "input": arguments}}:
            return [Said(role, "call", (name, arguments))]
        case {"image": {"format": form, "source": {"bytes": data}}}:
            return [Said(role, f"image/{form}", data)]
        case {"document": {"format": form, "source": {"bytes": data}}}:
            return [Said(role, f"application/{form}", data)]
        case {"toolResult": {"content": content}}:
            inner = [said for each in content for said in _of_converse(role, each)]
            return [Said(role, "result", each.what) if each.kind == "text" else each for each in inner]
        case _:
            return []
