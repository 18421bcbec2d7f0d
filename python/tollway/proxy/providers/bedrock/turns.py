"""The conversation: OpenAI's messages in, Converse's system blocks and alternating turns out.

System and developer messages are hoisted; what tools answered goes into the next user turn, before its other blocks;
neighbours of the same role become one turn, for Converse asks for turns that alternate and for all results of
parallel calls in one of them.
"""

import hashlib
import re
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.bedrock.blobs import checked
from tollway.proxy.providers.bedrock.parts import Block, Names, groups_of, points_of, text_group
from tollway.proxy.providers.traces import without_thoughts

ID_CHARACTERS = 64

_NO_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
"""Amazon takes no other characters in the id of a call; other providers make ids of more."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

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
    def called(self) -> list[str]:
        """The names of the tools that were called, in order, each once."""
        uses = (block["toolUse"]["name"] for turn in self.turns for block in turn["content"] if "toolUse" in block)
        return list(dict.fromkeys(uses))

    @property
    def has_tools(self) -> bool:
        """Whether a tool was called or answered."""
        return any("toolUse" in block or "toolResult" in block for turn in self.turns for block in turn["content"])

    @property
    def is_prefilled(self) -> bool:
        """Whether the model is to go on from an assistant's words."""
        return bool(self.turns) and self.turns[-1]["role"] == "assistant"

    @property
    def lacks_thoughts(self) -> bool:
        """Whether a call of the last assistant turn is being answered, and the thoughts before it are gone."""
        if len(self.turns) < 2 or "toolResult" not in self.turns[-1]["content"][0]:
            return False
        return "reasoningContent" not in self.turns[-2]["content"][0]


def converse(messages: Any, drops: Drops, *, takes_thoughts: bool) -> Conversation:
    """Maps the messages. ``takes_thoughts`` says whether signed thoughts go back.

    Raises:
        InvalidRequest: a message that can't be understood, or none to answer.
    """
    if not isinstance(messages, list):
        raise InvalidRequest("`messages` must be a list.", param="messages")
    teller = _Teller(drops, takes_thoughts)
    for place, message in enumerate(messages):
        teller.tell(message, f"messages[{place}]")
    return teller.finish()


def tool_name(told: Any, param: str) -> str:
    """The name of a tool, or of one that was called.

    Raises:
        InvalidRequest: Amazon takes no such name.
    """
    if not isinstance(told, str) or not _NAME.fullmatch(told):
        raise InvalidRequest("A function needs a name of 1 to 64 letters, digits, '_' and '-'.", param=param)
    return told


class _Teller:
    def __init__(self, drops: Drops, takes_thoughts: bool) -> None:
        self._drops = drops
        self._takes_thoughts = takes_thoughts
        self._names = Names()
        self._system: list[Block] = []
        self._turns: list[tuple[str, list[list[Block]]]] = []
        self._legacy_ids: list[str] = []  # ids made for `function_call`s, at most one a message

    def tell(self, message: Any, param: str) -> None:
        if not isinstance(message, dict):
            raise InvalidRequest("A message must be an object.", param=param)
        self._note_strangers(message)
        match message.get("role"):
            case "system" | "developer":
                for group in self._marked(self._texts(message.get("content"), f"{param}.content"), message, param):
                    self._system += group
            case "user":
                groups = groups_of(message.get("content"), self._names, f"{param}.content")
                self._say("user", self._marked(groups, message, param))
            case "assistant":
                self._say("assistant", self._assistant(message, param))
            case "tool":
                self._say("user", [self._result(message, message.get("tool_call_id"), param)])
            case "function":
                if not self._legacy_ids:
                    raise InvalidRequest("This function was not called.", param=param)
                self._say("user", [self._result(message, self._legacy_ids.pop(0), param)])
            case _:
                raise InvalidRequest("A message needs a role that is known.", param=f"{param}.role")

    def _note_strangers(self, message: dict[str, Any]) -> None:
        for field, value in message.items():
            if value is not None and field not in _KNOWN:
                self._drops.add(f"messages.{field}")
        if message.get("role") not in ("tool", "function") and message.get("name") is not None:
            self._drops.add("messages.name")

    def finish(self) -> Conversation:
        if not self._turns:
            raise InvalidRequest("There must be a message of the user with some content.", param="messages")
        turns: list[dict[str, Any]] = []
        for role, groups in self._turns:
            groups.sort(key=lambda group: "toolResult" not in group[0])  # stable
            turns.append({"role": role, "content": _accompanied([block for group in groups for block in group])})
        last = turns[-1]["content"][-1]
        if turns[-1]["role"] == "assistant" and "text" in last:
            last["text"] = last["text"].rstrip()  # a prefill that ends with white space is refused
        return Conversation(self._system, turns)

    def _say(self, role: str, groups: list[list[Block]]) -> None:
        if not groups:
            return
        if self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(groups)
        else:
            self._turns.append((role, groups))

    def _marked(self, groups: list[list[Block]], message: dict[str, Any], param: str) -> list[list[Block]]:
        """A message's own ``cache_control`` marks its last block; thoughts can't be marked."""
        points = points_of(message, f"{param}.cache_control")
        if groups and points and len(groups[-1]) == 1 and "reasoningContent" not in groups[-1][0]:
            groups[-1] += points
        return groups

    def _texts(self, content: Any, param: str) -> list[list[Block]]:
        groups = groups_of(content, self._names, param)
        if any("text" not in group[0] for group in groups):
            raise InvalidRequest("This message holds text only.", param=param)
        return groups

    def _assistant(self, message: dict[str, Any], param: str) -> list[list[Block]]:
        if message.get("audio") is not None:
            raise InvalidRequest("The provider does not take what was said as audio.", param=f"{param}.audio")
        groups = self._thoughts(message.get("thinking_blocks"), f"{param}.thinking_blocks")
        if message.get("content") is not None:
            groups += self._texts(without_thoughts(message["content"]), f"{param}.content")
        if message.get("refusal") is not None:
            groups += text_group(message["refusal"], {}, f"{param}.refusal")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise InvalidRequest("`tool_calls` must be a list.", param=f"{param}.tool_calls")
        groups += [_call(call, f"{param}.tool_calls[{place}]") for place, call in enumerate(calls)]
        legacy = message.get("function_call")
        if legacy is not None:
            made = f"call_{len(self._turns)}_{len(self._legacy_ids)}"
            self._legacy_ids.append(made)
            groups.append([_tool_use(legacy, made, f"{param}.function_call")])
        return self._marked(groups, message, param)

    def _thoughts(self, told: Any, param: str) -> list[list[Block]]:
        if told is None:
            return []
        if not isinstance(told, list):
            raise InvalidRequest("`thinking_blocks` must be a list.", param=param)
        thoughts = [_thought(block, f"{param}[{place}]") for place, block in enumerate(told)]
        return [[thought] for thought in thoughts if thought is not None] if self._takes_thoughts else []

    def _result(self, message: dict[str, Any], call_id: Any, param: str) -> list[Block]:
        content = message.get("content")
        groups = [] if content is None else groups_of(content, self._names, f"{param}.content")
        if any("audio" in group[0] for group in groups):
            raise InvalidRequest("A tool's result holds no sound.", param=f"{param}.content")
        blocks = [block for group in groups for block in group]
        result: Block = {
            "toolUseId": call_identifier(call_id, f"{param}.tool_call_id"),
            "content": [block for block in blocks if "cachePoint" not in block],
        }
        if message.get("is_error") is True:
            result["status"] = "error"
        points = [block for block in blocks if "cachePoint" in block] or points_of(message, f"{param}.cache_control")
        return [{"toolResult": result}, *points[-1:]]


def _accompanied(blocks: list[Block]) -> list[Block]:
    """A document needs a text beside it: if the user wrote none, its name."""
    documents = [block["document"]["name"] for block in blocks if "document" in block]
    if documents and not any("text" in block for block in blocks):
        blocks.insert(len(blocks) - ("cachePoint" in blocks[-1]), {"text": ", ".join(documents)})
    return blocks


def _thought(block: Any, param: str) -> Block | None:
    """A thought as it came; ``None`` for one that nobody signed: it could not be sent back."""
    match block:
        case {"type": "thinking", "thinking": str(text)}:
            signature = block.get("signature")
            if not isinstance(signature, str | None):
                raise InvalidRequest("The signature of a thought must be a text.", param=param)
            return (
                {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}} if signature else None
            )
        case {"type": "redacted_thinking", "data": str(data)}:
            return {"reasoningContent": {"redactedContent": checked(data, f"{param}.data")}}
    raise InvalidRequest("A thinking block must come back as it was given.", param=param)


def _call(call: Any, param: str) -> list[Block]:
    if not isinstance(call, dict) or call.get("type", "function") not in ("function", None):
        raise InvalidRequest("A tool call must be a call of a function.", param=param)
    identifier = call_identifier(call.get("id"), f"{param}.id")
    return [_tool_use(call.get("function"), identifier, f"{param}.function"), *points_of(call, param)]


def _tool_use(function: Any, identifier: str, param: str) -> Block:
    told = function if isinstance(function, dict) else {}
    name = tool_name(told.get("name"), f"{param}.name")
    return {"toolUse": {"toolUseId": identifier, "name": name, "input": _input(told.get("arguments"), param)}}


def _input(arguments: Any, param: str) -> dict[str, Any]:
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    try:
        decoded = msgspec.json.decode(arguments) if isinstance(arguments, str) else None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        decoded = None
    if not isinstance(decoded, dict):
        message = "The arguments of a tool call must be the text of a JSON object."
        raise InvalidRequest(message, param=f"{param}.arguments")
    return decoded


def call_identifier(told: Any, param: str) -> str:
    """The id of a call as Amazon takes it: the same for a call and its result, and different for different ids."""
    if not isinstance(told, str) or not told:
        raise InvalidRequest("The id of the tool call is missing.", param=param)
    if len(told) <= ID_CHARACTERS and not _NO_ID.search(told):
        return told
    mark = hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{_NO_ID.sub('_', told)[: ID_CHARACTERS - 17]}_{mark}"
