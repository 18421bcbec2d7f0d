"""The conversation: OpenAI's messages in, Anthropic's system blocks and alternating turns out.

System and developer messages are hoisted; what tools answered goes into the next user turn, before its other blocks;
neighbours of the same role become one turn, for Anthropic asks for turns that alternate and for all results of
parallel calls in one of them.
"""

import re
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.parts import Block, blocks_of, mark, own_of, text_block
from tollway.proxy.providers.traces import without_thoughts

_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
"""Anthropic takes no other characters in the id of a call; other providers make ids of more."""

_KNOWN = frozenset(
    # `reasoning_content` has no signature, so it cannot be sent back; its blocks can. `audio: null` and `annotations`
    # come with an answer that a client sends back as it was.
    "role content name tool_calls tool_call_id function_call refusal cache_control thinking_blocks is_error "
    "reasoning_content reasoning reasoning_details annotations audio extra_content".split()
)


class Conversation(msgspec.Struct):
    """What goes out of the messages."""

    system: list[Block]
    turns: list[dict[str, Any]]

    @property
    def is_prefilled(self) -> bool:
        """Whether the model is to go on from an assistant's words."""
        return bool(self.turns) and self.turns[-1]["role"] == "assistant"

    @property
    def lacks_thoughts(self) -> bool:
        """Whether a call of the last assistant turn is being answered, and the thoughts before it are gone."""
        if len(self.turns) < 2 or self.turns[-1]["content"][0]["type"] != "tool_result":
            return False
        return self.turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")

    @property
    def names_files(self) -> bool:
        """Whether a block refers to an uploaded file."""
        return any(_names_file(block) for turn in self.turns for block in turn["content"])


def converse(messages: Any, drops: Drops) -> Conversation:
    """Maps the messages.

    Raises:
        InvalidRequest: a message that can't be understood, or none to answer.
    """
    if not isinstance(messages, list):
        raise InvalidRequest("`messages` must be a list.", param="messages")
    teller = _Teller(drops)
    for place, message in enumerate(messages):
        teller.tell(message, f"messages[{place}]")
    return teller.finish()


class _Teller:
    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._system: list[Block] = []
        self._turns: list[dict[str, Any]] = []
        self._legacy_ids: list[str] = []  # ids made for `function_call`s, at most one a message

    def tell(self, message: Any, param: str) -> None:
        if not isinstance(message, dict):
            raise InvalidRequest("A message must be an object.", param=param)
        self._note_strangers(message)
        match message.get("role"):
            case "system" | "developer":
                self._rule(message, param)
            case "user":
                self._say("user", _marked(blocks_of(message.get("content"), f"{param}.content"), message, param))
            case "assistant":
                self._say("assistant", self._assistant(message, param))
            case "tool":
                self._say("user", [_result(message, message.get("tool_call_id"), param)])
            case "function":
                if not self._legacy_ids:
                    raise InvalidRequest("This function was not called.", param=param)
                self._say("user", [_result(message, self._legacy_ids.pop(0), param)])
            case _:
                raise InvalidRequest("A message needs a role that is known.", param=f"{param}.role")

    def _note_strangers(self, message: dict[str, Any]) -> None:
        for field, value in message.items():
            if value is not None and field not in _KNOWN:
                self._drops.add(f"messages.{field}")
        if message.get("role") in ("user", "system", "developer", "assistant") and message.get("name") is not None:
            self._drops.add("messages.name")

    def finish(self) -> Conversation:
        for turn in self._turns:
            if turn["role"] == "user":
                turn["content"].sort(key=lambda block: block["type"] != "tool_result")  # stable
        if self._turns and self._turns[-1]["role"] == "assistant":
            self._trim(self._turns[-1]["content"])
        if not self._turns:
            raise InvalidRequest("There must be a message of the user with some content.", param="messages")
        return Conversation(self._system, self._turns)

    def _trim(self, blocks: list[Block]) -> None:
        """Anthropic refuses a prefill that ends with white space. A block is never blank, so some of it stays."""
        if blocks[-1]["type"] == "text":
            blocks[-1]["text"] = blocks[-1]["text"].rstrip()

    def _say(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})

    def _rule(self, message: dict[str, Any], param: str) -> None:
        """The system's words go to the head, unless they were said to Anthropic where they stand."""
        blocks = self._texts(message, param)
        if own_of(message).get("in_place") is True:
            self._say("system", blocks)
        else:
            self._system += blocks

    def _texts(self, message: dict[str, Any], param: str) -> list[Block]:
        blocks = blocks_of(message.get("content"), f"{param}.content")
        if any(block["type"] != "text" for block in blocks):
            raise InvalidRequest("A system message holds text only.", param=f"{param}.content")
        return _marked(blocks, message, param)

    def _assistant(self, message: dict[str, Any], param: str) -> list[Block]:
        if message.get("audio") is not None:
            raise InvalidRequest("This model does not take audio.", param=f"{param}.audio")
        blocks = _thoughts(message.get("thinking_blocks"), f"{param}.thinking_blocks")
        said = message.get("content")
        if said is not None:
            words = blocks_of(without_thoughts(said), f"{param}.content")
            if any(block["type"] != "text" for block in words):
                raise InvalidRequest("The assistant's content holds text only.", param=f"{param}.content")
            blocks += words
        if message.get("refusal") is not None:
            blocks += text_block(message["refusal"], f"{param}.refusal")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise InvalidRequest("`tool_calls` must be a list.", param=f"{param}.tool_calls")
        blocks += [_call(call, f"{param}.tool_calls[{place}]") for place, call in enumerate(calls)]
        legacy = message.get("function_call")
        if legacy is not None:
            made = f"call_{len(self._turns)}_{len(self._legacy_ids)}"
            self._legacy_ids.append(made)
            blocks.append(_tool_use(legacy, made, f"{param}.function_call"))
        return _marked(_ordered(blocks, own_of(message).get("order")), message, param)


def _ordered(blocks: list[Block], order: Any) -> list[Block]:
    """The blocks in the order in which the model said them, if it is told and fits: thoughts may stand between calls,
    and Anthropic wants them back where they were."""
    if not isinstance(order, list):
        return blocks
    kinds = [block["type"].removeprefix("redacted_") for block in blocks]
    if not all(isinstance(kind, str) for kind in order) or sorted(kinds) != sorted(order):
        return blocks
    by_kind = {kind: iter([block for block, own in zip(blocks, kinds, strict=True) if own == kind]) for kind in kinds}
    return [next(by_kind[kind]) for kind in order]


def _marked(blocks: list[Block], message: dict[str, Any], param: str) -> list[Block]:
    """A message's own ``cache_control`` marks its last block; thoughts can't be marked."""
    if blocks and message.get("cache_control") is not None and not blocks[-1]["type"].endswith("thinking"):
        mark(blocks[-1], message, f"{param}.cache_control")
    return blocks


def _thoughts(told: Any, param: str) -> list[Block]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise InvalidRequest("`thinking_blocks` must be a list.", param=param)
    return [_thought(block, f"{param}[{place}]") for place, block in enumerate(told)]


def _thought(block: Any, param: str) -> Block:
    match block:
        case {"type": "thinking", "thinking": str(), "signature": str()}:
            return {"type": "thinking", "thinking": block["thinking"], "signature": block["signature"]}
        case {"type": "redacted_thinking", "data": str()}:
            return {"type": "redacted_thinking", "data": block["data"]}
    raise InvalidRequest("A thinking block must come back as it was given, with its signature.", param=param)


def _call(call: Any, param: str) -> Block:
    if not isinstance(call, dict) or call.get("type", "function") not in ("function", None):
        raise InvalidRequest("A tool call must be a call of a function.", param=param)
    return mark(_tool_use(call.get("function"), _id(call.get("id"), f"{param}.id"), param), call, param)


def _tool_use(function: Any, call_id: str, param: str) -> Block:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidRequest("A tool call needs the function's name.", param=param)
    arguments = function.get("arguments")
    return {"type": "tool_use", "id": call_id, "name": name, "input": _input(arguments, f"{param}.function.arguments")}


def _input(arguments: Any, param: str) -> dict[str, Any]:
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    try:
        decoded = msgspec.json.decode(arguments) if isinstance(arguments, str) else None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        decoded = None
    if not isinstance(decoded, dict):
        raise InvalidRequest("The arguments of a tool call must be the text of a JSON object.", param=param)
    return decoded


def _id(told: Any, param: str) -> str:
    if not isinstance(told, str) or not told:
        raise InvalidRequest("The id of the tool call is missing.", param=param)
    return _NO_ID.sub("_", told)


def _result(message: dict[str, Any], call_id: Any, param: str) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _id(call_id, f"{param}.tool_call_id")}
    content = message.get("content")
    if isinstance(content, str):
        if content.strip():
            block["content"] = content
    elif content is not None:
        blocks = blocks_of(content, f"{param}.content")
        if blocks:
            block["content"] = blocks
    if message.get("is_error") is True:
        block["is_error"] = True
    return mark(block, message, f"{param}.cache_control")


def _names_file(block: Block) -> bool:
    inner = block.get("content")
    if isinstance(inner, list):
        return any(_names_file(each) for each in inner)
    source = block.get("source")
    return isinstance(source, dict) and source["type"] == "file"
