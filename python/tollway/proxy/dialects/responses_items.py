"""The items of a Responses request's ``input`` as chat's messages.

Three rules. What chat has is said in chat. What a server did by itself and only tells of (a web search, a call of
Anthropic's or OpenAI's own tools) is left out with a warning: its outcome is in the message behind it. All else is
refused: state that only its maker can read (``compaction``, ``item_reference``), and what a client did for a tool that
chat has not (``shell_call_output``), for a model that does not hear of it answers another question.
"""

from collections.abc import Callable

from msgspec import UNSET

from tollway.proxy.dialects.responses_fields import Fields, refusal
from tollway.proxy.dialects.responses_parts import content_of, instruction_of, say
from tollway.proxy.dialects.responses_sealed import Extra, Sealed, add_extra, unseal
from tollway.wire.hub import Call, Function, Turn

TOLD_OF = frozenset(
    "web_search_call file_search_call code_interpreter_call image_generation_call mcp_list_tools mcp_call "
    "mcp_approval_request tool_search_call".split()
)
"""Items that tell of what a server did."""

MORE_TOOLS = frozenset({"additional_tools", "tool_search_output"})
"""Items that bring tools into the conversation: the model gets them from its beginning."""


class Conversation:
    """Makes turns of items, in order. ``warn`` takes the names of what is left out; ``more_tools``, lists of tools."""

    def __init__(self, warn: Callable[[str], None], more_tools: Callable[[Fields], None]) -> None:
        self._warn = warn
        self._more_tools = more_tools
        self._turns: list[Turn] = []
        self._open: Turn | None = None
        self._carried: dict[str, Extra] = {}
        self._readers: dict[str, Callable[[Fields], None]] = {
            "message": self._message,
            "function_call": self._call,
            "function_call_output": self._result,
            "reasoning": self._reasoning,
            **dict.fromkeys(MORE_TOOLS, self._tools),
        }

    def add(self, item: Fields) -> None:
        """The next item.

        Raises:
            InvalidRequest: it can't be understood, or chat can't say it.
        """
        kind = item.text("type")
        if kind is None:
            kind = "message" if item.has("role") or not item.has("id") else "item_reference"
        if kind in TOLD_OF:
            self._warn(f"input.{kind}")
        elif (reader := self._readers.get(kind)) is not None:
            reader(item)
        elif kind == "item_reference":
            raise refusal(item.place, "Nothing is stored here: send the item itself.")
        else:
            raise refusal(item.at("type"), "The models behind this alias can't be told of an item of this type.")

    def say(self, text: str) -> None:
        """The whole input where it is a text."""
        self._put(Turn(role="user", content=text))

    def turns(self) -> list[Turn]:
        """The conversation so far; a turn that says nothing is none."""
        return [turn for turn in self._turns if _says_something(turn)]

    def _put(self, turn: Turn) -> None:
        self._open = None
        self._turns.append(turn)

    def _assistant(self) -> Turn:
        """The assistant's turn that is being put together."""
        if self._open is None:
            self._open = Turn(role="assistant")
            self._turns.append(self._open)
        return self._open

    def _message(self, item: Fields) -> None:
        role = item.named("role")
        if role == "assistant":
            turn = self._assistant()
            if isinstance(turn.content, str) and turn.tool_calls is UNSET:  # beside calls all is one turn
                self._open = None
            say(self._assistant(), item)
        elif role == "user":
            self._put(Turn(role="user", content=content_of(item, "content")))
        elif role == "system":
            self._put(Turn(role="system", content=instruction_of(item)))
        elif role == "developer":
            self._put(Turn(role="developer", content=instruction_of(item)))
        else:
            raise refusal(item.at("role"), "A role is one of 'user', 'assistant', 'system' and 'developer'.")

    def _call(self, item: Fields) -> None:
        if item.has("namespace"):
            self._warn("input.namespace")
        identity = item.named("call_id")
        arguments = item.needed("arguments")
        function = Function(item.named("name"), arguments if arguments.strip() else "{}")
        extra = self._carried.get(identity, UNSET)
        turn = self._assistant()
        calls = [] if turn.tool_calls is UNSET else turn.tool_calls
        turn.tool_calls = [*calls, Call(id=identity, function=function, extra_content=extra)]

    def _result(self, item: Fields) -> None:
        self._put(Turn(role="tool", tool_call_id=item.named("call_id"), content=content_of(item, "output")))

    def _tools(self, item: Fields) -> None:
        self._more_tools(item)

    def _reasoning(self, item: Fields) -> None:
        told = item.each("content") or item.each("summary")  # all of it if it is there
        thought = "\n\n".join(part.needed("text") for part in told)
        text = item.text("encrypted_content")
        carried = unseal(text, item.at("encrypted_content")) if text else None
        turn = self._assistant()
        if isinstance(turn.content, str) and turn.tool_calls is UNSET and not (carried and carried.after):
            self._open = None  # it is of the message that follows
            turn = self._assistant()
        if thought:
            before = "" if turn.reasoning_content is UNSET else turn.reasoning_content + "\n\n"
            turn.reasoning_content = before + thought
        if carried:
            self._restore(turn, carried)
        elif text:
            turn.extra_content = {} if turn.extra_content is UNSET else turn.extra_content
            add_extra(turn.extra_content, {"openai": {"encrypted_content": [text]}})

    def _restore(self, turn: Turn, carried: Sealed) -> None:
        if carried.thinking_blocks:
            blocks = [] if turn.thinking_blocks is UNSET else turn.thinking_blocks
            turn.thinking_blocks = blocks + carried.thinking_blocks
        if carried.extra:
            turn.extra_content = {} if turn.extra_content is UNSET else turn.extra_content
            add_extra(turn.extra_content, carried.extra)
        self._carried |= carried.calls
        for call in () if turn.tool_calls is UNSET else turn.tool_calls:
            call.extra_content = self._carried.get(call.id, call.extra_content)


def _says_something(turn: Turn) -> bool:
    if turn.role != "assistant":
        return True
    return isinstance(turn.content, str) or turn.tool_calls is not UNSET or turn.refusal is not UNSET
