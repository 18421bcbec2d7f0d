"""Converse's answers for tests: made of blocks, whole or as frames; and read as Amazon's own SDK reads them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import botocore.parsers
from botocore.eventstream import EventStream
from botocore.model import ServiceModel
from tests.fakes.bedrock_schema import service
from tests.native.twins import eventstream as twin

Block = dict[str, Any]
Read = dict[str, Any]
"""What an answer says: text, thoughts, signatures, calls, stop, and prompt, completion and cached tokens."""


def frame(name: str, body: Any, *, kind: str = "event") -> bytes:
    """A frame as Bedrock sends it; ``kind`` is ``event`` or ``exception``."""
    payload = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return twin.frame(headers, payload)


def exception(name: str, message: str) -> bytes:
    """A fault within a stream."""
    return frame(name, {"message": message}, kind="exception")


def failure(code: str, message: str) -> bytes:
    """A fault that is none of the service's own exceptions."""
    return twin.frame({":message-type": "error", ":error-code": code, ":error-message": message})


def whole(content: list[Block], stop: str = "end_turn", usage: dict[str, int] | None = None) -> dict[str, Any]:
    """A whole answer."""
    told = usage or {"inputTokens": 7, "outputTokens": 3}
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {"totalTokens": told["inputTokens"] + told["outputTokens"], **told},
        "metrics": {"latencyMs": 12},
    }


def frames(answer: dict[str, Any], piece: int = 3) -> list[bytes]:
    """``answer`` as a stream, its texts in pieces of so many characters."""
    told = [frame("messageStart", {"role": "assistant", "p": "abc"})]
    for index, block in enumerate(answer["output"]["message"]["content"]):
        told += [
            frame(name, {"contentBlockIndex": index, **body, "p": "abcdef"}) for name, body in _events(block, piece)
        ]
    told.append(frame("messageStop", {"stopReason": answer["stopReason"]}))
    told.append(frame("metadata", {"usage": answer["usage"], "metrics": answer["metrics"], "p": "a"}))
    return told


def _events(block: Block, piece: int) -> Iterator[tuple[str, Any]]:
    ((kind, told),) = block.items()
    deltas: list[Any] = []
    match kind:
        case "text":
            deltas = [{"text": text} for text in _pieces(told, piece)]
        case "toolUse":
            head = {name: value for name, value in told.items() if name != "input"}
            yield "contentBlockStart", {"start": {"toolUse": head}}
            text = json.dumps(told["input"], ensure_ascii=False) if told["input"] else ""
            deltas = [{"toolUse": {"input": each}} for each in _pieces(text, piece)]
        case "reasoningContent" if "redactedContent" in told:
            deltas = [{"reasoningContent": told}]
        case "reasoningContent":
            thought = told["reasoningText"]
            deltas = [{"reasoningContent": {"text": text}} for text in _pieces(thought["text"], piece)]
            deltas += [{"reasoningContent": {"signature": thought["signature"]}}] if "signature" in thought else []
        case "citationsContent":
            deltas = [{"text": each["text"]} for each in told["content"]]
            deltas += [{"citation": each} for each in told["citations"]]
    yield from (("contentBlockDelta", {"delta": delta}) for delta in deltas)
    yield "contentBlockStop", {}


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [text]


def botocore_whole(body: bytes) -> Read:
    """What botocore reads of a whole answer."""
    parsed = _parser().parse(
        {"body": body, "headers": {}, "status_code": 200}, _model().operation_model("Converse").output_shape
    )
    return _read(parsed["output"]["message"]["content"], parsed["stopReason"], parsed["usage"])


def botocore_stream(pieces: Iterable[bytes]) -> Read:
    """What botocore reads of a stream, its events put together by their plain meaning."""
    output: Any = _model().operation_model("ConverseStream").output_shape
    parser = botocore.parsers.EventStreamJSONParser()
    blocks: dict[int, Block] = {}
    stop, usage = "", dict[str, int]()
    events: Iterable[Any] = EventStream(_Raw(pieces), output.members["stream"], parser, "ConverseStream")
    for told in events:
        ((name, body),) = told.items()
        if name == "contentBlockStart":
            blocks[body["contentBlockIndex"]] = {"toolUse": {**body["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            _join(blocks.setdefault(body["contentBlockIndex"], {}), body["delta"])
        elif name == "messageStop":
            stop = body["stopReason"]
        elif name == "metadata":
            usage = body["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return _read(list(blocks.values()), stop, usage)


def _join(block: Block, delta: Any) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "reasoningContent" in delta:
        thought = delta["reasoningContent"]
        if "redactedContent" in thought:
            block["reasoningContent"] = thought
            return
        known = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
        for name in ("text", "signature"):
            if name in thought:
                known[name] = known.get(name, "") + thought[name]


def _read(content: list[Block], stop: str, usage: dict[str, int]) -> Read:
    thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
    texts = [thought["reasoningText"] for thought in thoughts if "reasoningText" in thought]
    cached = usage.get("cacheReadInputTokens", 0)
    said = ""
    for block in content:
        said += block.get("text", "")
        said += "".join(each["text"] for each in block.get("citationsContent", {}).get("content", ()))
    return {
        "text": said,
        "thoughts": "".join(text["text"] for text in texts),
        "signed": [(text["text"], text["signature"]) for text in texts if "signature" in text],
        "redacted": [thought["redactedContent"] for thought in thoughts if "redactedContent" in thought],
        "calls": [
            (block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"])
            for block in content
            if "toolUse" in block
        ],
        "stop": stop,
        "prompt": usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0),
        "completion": usage["outputTokens"],
        "cached": cached,
    }


def _model() -> ServiceModel:
    return ServiceModel(service(), "bedrock-runtime")


def _parser() -> Any:
    return botocore.parsers.create_parser("rest-json")


class _Raw:
    """A body as botocore's stream takes it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def stream(self) -> Iterable[bytes]:
        return self._pieces

    def close(self) -> None:
        """Nothing to close."""
