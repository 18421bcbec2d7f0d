"""A strict checker of requests to Bedrock's Converse: no unknown or misplaced field, no wrong type, no bound passed.

The shapes are those of Amazon's published service model, which botocore carries; the rules between fields, which no
shape tells, are those of the API reference. Written apart from the code that makes the requests.
"""

import base64
import binascii
import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

_DATA = "data/bedrock-runtime/2023-09-30/service-2.json.gz"
_KINDS: dict[str, Any] = {
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
}
_DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9()\[\]-]+( [a-zA-Z0-9()\[\]-]+)*")


@cache
def service() -> dict[str, Any]:
    """Amazon's service model."""
    packed = resources.files("botocore").joinpath(_DATA).read_bytes()
    model: dict[str, Any] = json.loads(gzip.decompress(packed))
    return model


def check_converse(body: Any, *, stream: bool = False) -> list[str]:
    """Why Bedrock would answer 400; empty if it would not."""
    return misshapen(body, stream=stream) or list(_rules(body))


def misshapen(body: Any, *, stream: bool = False) -> list[str]:
    """The same by the shapes alone."""
    operation = service()["operations"]["ConverseStream" if stream else "Converse"]
    return list(_of_shape(operation["input"]["shape"], body, ""))


def _of_shape(name: str, value: Any, at: str) -> Iterator[str]:
    shape = service()["shapes"][name]
    match shape["type"]:
        case "structure" if shape.get("document"):
            return
        case "structure":
            yield from _structure(shape, value, at)
        case "list":
            if not isinstance(value, list):
                yield f"{at}: no list"
                return
            yield from _bounds(shape, len(value), at)
            for place, item in enumerate(value):
                yield from _of_shape(shape["member"]["shape"], item, f"{at}[{place}]")
        case "map":
            if not isinstance(value, dict):
                yield f"{at}: no map"
                return
            yield from _bounds(shape, len(value), at)
            for key, item in value.items():
                yield from _of_shape(shape["key"]["shape"], key, f"{at}.{key}")
                yield from _of_shape(shape["value"]["shape"], item, f"{at}.{key}")
        case kind:
            yield from _scalar(kind, shape, value, at)


def _structure(shape: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: no object"
        return
    members = {name: member for name, member in shape["members"].items() if member.get("location") != "uri"}
    for name in value.keys() - members.keys():
        yield f"{at}.{name}: unknown"
    for name in set(shape.get("required", [])) & members.keys() - value.keys():
        yield f"{at}.{name}: missing"
    if shape.get("union") and len(value) != 1:
        yield f"{at}: a union of {len(value)}"
    for name in value.keys() & members.keys():
        yield from _of_shape(members[name]["shape"], value[name], f"{at}.{name}")


def _scalar(kind: str, shape: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    wanted = _KINDS[kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        yield f"{at}: no {kind}"
    elif kind == "string":
        yield from _bounds(shape, len(value), at)
        if value not in shape.get("enum", [value]):
            yield f"{at}: {value!r} is none of them"
        if not re.fullmatch(shape.get("pattern", r"(?s:.*)"), value):
            yield f"{at}: {value!r} is not in its pattern"
    elif kind == "blob":
        try:
            yield from _bounds(shape, len(base64.b64decode(value, validate=True)), at)
        except binascii.Error:
            yield f"{at}: no base64"
    elif kind != "boolean":
        yield from _bounds(shape, value, at)


def _bounds(shape: dict[str, Any], size: float, at: str) -> Iterator[str]:
    if size < shape.get("min", size) or size > shape.get("max", size):
        yield f"{at}: {size} is out of bounds"


def _rules(body: dict[str, Any]) -> Iterator[str]:
    turns = body.get("messages", [])
    yield from _order(turns)
    names: list[str] = []
    for place, turn in enumerate(turns):
        at = f".messages[{place}]"
        if not turn["content"]:
            yield f"{at}: no content"
        yield from _content(turn["role"], turn["content"], at)
        names += [block["document"]["name"] for block in _inner(turn["content"]) if "document" in block]
    if len(set(names)) != len(names):
        yield "two documents of one name"
    yield from (f"a document named {name!r}" for name in names if not _DOCUMENT_NAME.fullmatch(name))
    yield from _tools(body.get("toolConfig", {}), turns)
    form = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema", {}).get("schema")
    if form is not None and not isinstance(json.loads(form), dict):
        yield "a schema that is none"
    if str(body).count("'cachePoint':") > 4:
        yield "more than four cache points"


def _tools(config: dict[str, Any], turns: list[Any]) -> Iterator[str]:
    tools = [tool["toolSpec"] for tool in config.get("tools", []) if "toolSpec" in tool]
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        yield "two tools of one name"
    if any({"toolUse", "toolResult"} & block.keys() for turn in turns for block in turn["content"]) and not names:
        yield "calls without toolConfig"
    chosen = config.get("toolChoice", {}).get("tool", {}).get("name")
    if chosen is not None and chosen not in names:
        yield "a choice that is no tool"
    if any(tool["inputSchema"]["json"].get("type") != "object" for tool in tools):
        yield "a schema of no object"


def _order(turns: list[Any]) -> Iterator[str]:
    if not turns:
        yield "no messages"
    role, asked = None, set[str]()
    for place, turn in enumerate(turns):
        if turn["role"] not in ("user", "assistant"):
            yield f".messages[{place}]: only tools may be changed in the role {turn['role']}"
        if turn["role"] == role:
            yield f".messages[{place}]: roles must alternate"
        role = turn["role"]
        if role == "user":
            answered = {block["toolResult"]["toolUseId"] for block in turn["content"] if "toolResult" in block}
            if answered != asked:
                yield f".messages[{place}]: each call needs its result in the next turn, and each result its call"
            asked = set()
        else:
            asked = {block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block}


def _content(role: str, blocks: list[Any], at: str) -> Iterator[str]:
    kinds = [next(iter(block)) for block in blocks]
    users = {"image", "document", "video", "audio", "toolResult"}
    wrong = users if role == "assistant" else {"toolUse", "reasoningContent"}
    yield from (f"{at}: {kind} in a turn of the {role}" for kind in kinds if kind in wrong)
    if "document" in kinds and "text" not in kinds:
        yield f"{at}: a document without a text"
    for block in _inner(blocks):
        if "text" in block and not block["text"].strip():
            yield f"{at}: a blank text"
    for one, other in zip(["cachePoint", *kinds], kinds, strict=False):
        if one == other == "cachePoint":
            yield f"{at}: a cache point behind nothing"


def _inner(blocks: list[Any]) -> Iterator[Any]:
    """The blocks, and those within results."""
    for block in blocks:
        yield block
        if "toolResult" in block:
            yield from block["toolResult"]["content"]
