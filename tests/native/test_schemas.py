"""Every string that the vendors' published types allow in a request is screened, or is on a short list of others.

The types are those of the official SDKs: a field that a new version adds appears here as one that is not on the list.
"""

import json
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from openai.types import image_generate_params, moderation_create_params
from openai.types.audio import speech_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from tests.native.screening import compiled, redacted
from typing_extensions import is_typeddict

from tollway._native import chat
from tollway.contract.guardrails import PiiCheck

EMAILS = compiled(PiiCheck({"email": "redact"}))

CANARY = "bob@example.org"
DEPTH_MAX = 12
PLAIN: dict[Any, list[Any]] = {str: [CANARY], int: [1], float: [0.5], bool: [True]}


def samples(kind: Any, depth: int = 0) -> list[Any]:
    """Values of the type that hold the canary wherever a string may stand, all variants of it among them."""
    origin, arguments = get_origin(kind), get_args(kind)
    if depth > DEPTH_MAX:
        return []
    if origin in (Required, NotRequired, Annotated):
        return samples(arguments[0], depth)
    if origin in (Union, types.UnionType):
        return [sample for one in arguments for sample in samples(one, depth)]
    if origin is Literal:
        return [arguments[0]]
    if origin in (list, Iterable, Sequence, types.GenericAlias) or getattr(origin, "__name__", "") in (
        "Iterable",
        "list",
    ):
        inner = samples(arguments[0], depth + 1)
        return [inner] if inner else []
    if origin is dict or kind is object:
        return [{"key": CANARY}]
    if is_typeddict(kind):
        return objects(kind, depth)
    return PLAIN.get(kind, [])


def objects(kind: Any, depth: int) -> list[dict[str, Any]]:
    """As many objects as the field with the most variants has."""
    fields = {name: samples(field, depth + 1) for name, field in get_type_hints(kind).items()}
    given = {name: variants for name, variants in fields.items() if variants}
    many = max(map(len, given.values()), default=0)
    return [{name: variants[at % len(variants)] for name, variants in given.items()} for at in range(many)]


def left(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the canary still stands."""
    if value == CANARY:
        yield path
    elif isinstance(value, dict):
        kind = value.get("type")
        for name, member in value.items():
            yield from left(member, (*path, f"{kind}.{name}" if isinstance(kind, str) else name))
    elif isinstance(value, list):
        for element in value:
            yield from left(element, path)


NAMES = {
    "id", "call_id", "tool_call_id", "tool_use_id", "tool_id", "file_id", "container_id", "approval_request_id",
    "type", "signature", "encrypted_content", "encrypted_index", "encrypted_stdout", "logprobs", "token",
}  # fmt: skip
"""Words of the dialects, ciphertext, and what the model does not read."""

MEDIA = {
    "base64.data", "url.url", "image.url", "image_generation_call.result", "image_url.image_url", "image_url",
    "input_image.image_url", "computer_screenshot.image_url", "input_file.file_data", "input_file.file_url", "url",
    "data", "file_data", "format",
}  # fmt: skip
"""Images, sound and files: their bytes and addresses."""

SIGNED = {"redacted_thinking.data", "thinking.thinking"}
"""A model's own thoughts, which may not be changed."""

DOORS: list[tuple[str, Any, set[str]]] = [
    ("chat", completion_create_params.CompletionCreateParamsBase, {"messages", "prediction"}),
    ("messages", message_create_params.MessageCreateParamsBase, {"messages", "system"}),
    ("count_tokens", message_count_tokens_params.MessageCountTokensParams, {"messages", "system"}),
    ("responses", response_create_params.ResponseCreateParamsBase, {"input", "instructions", "prompt"}),
    ("moderations", moderation_create_params.ModerationCreateParams, {"input"}),
    ("speech", speech_create_params.SpeechCreateParams, {"input", "instructions"}),
    ("images", image_generate_params.ImageGenerateParamsBase, {"prompt"}),
]


@pytest.mark.parametrize(("operation", "kind", "read"), DOORS, ids=[door[0] for door in DOORS])
def test_every_string_that_a_model_reads_is_screened(operation: str, kind: Any, read: set[str]) -> None:
    unlisted: set[str] = set()
    found = 0
    for body in objects(kind, 0):
        request = chat.read_request(json.dumps(body | {"stream": True}).encode(), operation)
        changed, counts = redacted(request, EMAILS)
        found = max(found, counts.get("email", 0))
        for path in left(json.loads(changed.body)):
            places = [name.rpartition(".")[2] for name in path]
            inside = path[0] in read and not {"tools", "format"} & {*places[:-1]}  # these are definitions
            if inside and places[-1] not in NAMES and path[-1] not in MEDIA | SIGNED:
                unlisted.add(" / ".join(path))
    assert found >= len(read)
    assert not unlisted
