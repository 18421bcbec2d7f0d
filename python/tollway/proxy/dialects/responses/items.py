"""The items of a Responses request's ``input`` as chat's messages.

Three rules. What chat has is said in chat. What a server did by itself and only tells of (a web search, a call of
Anthropic's or OpenAI's own tools) is left out with a warning: its outcome is in the message behind it. All else is
refused: state that only its maker can read (``compaction``, ``item_reference``), and what a client did for a tool that
chat has not (``shell_call_output``), for a model that does not hear of it answers another question.
"""

from collections.abc import Callable

from msgspec import UNSET

from tollway.proxy.dialects.responses.fields import Fields, refusal
from tollway.proxy.dialects.responses.parts import content_of, instruction_of, said
from tollway.proxy.dialects.responses.sealed import Extra, add_extra, unseal
from tollway.proxy.dialects.responses.tools import flat
from tollway.wire.hub import Call, Function, Thought, Turn

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
        self._turns: list[Turn | _Assistant] = []
        self._open: _Assistant | None = None
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
        """The conversation so far; a turn of the assistant that says nothing is none."""
        made = [turn if isinstance(turn, Turn) else turn.made(self._carried) for turn in self._turns]
        return [turn for turn in made if turn is not None]

    def _put(self, turn: Turn) -> None:
        self._open = None
        self._turns.append(turn)

    def _assistant(self, *, says_next: bool = False) -> "_Assistant":
        """The assistant's turn that is being put together. One that has spoken is at its end if what ``says_next``
        is of a message that follows; beside calls all is one turn, for their results must stand right behind it."""
        if self._open is None or (says_next and self._open.has_spoken and not self._open.calls):
            self._open = _Assistant()
            self._turns.append(self._open)
        return self._open

    def _message(self, item: Fields) -> None:
        role = item.named("role")
        if role == "assistant":
            texts, refused = said(item)
            turn = self._assistant(says_next=True)
            turn.texts += texts
            turn.refused += refused
        elif role == "user":
            self._put(Turn(role="user", content=content_of(item, "content")))
        elif role == "system":
            self._put(Turn(role="system", content=instruction_of(item)))
        elif role == "developer":
            self._put(Turn(role="developer", content=instruction_of(item)))
        else:
            raise refusal(item.at("role"), "A role is one of 'user', 'assistant', 'system' and 'developer'.")

    def _call(self, item: Fields) -> None:
        identity = item.named("call_id")
        arguments = item.needed("arguments")
        function = Function(flat(item.text("namespace"), item.named("name")), arguments if arguments.strip() else "{}")
        self._assistant().calls.append(Call(id=identity, function=function))

    def _result(self, item: Fields) -> None:
        self._put(Turn(role="tool", tool_call_id=item.named("call_id"), content=content_of(item, "output")))

    def _tools(self, item: Fields) -> None:
        self._more_tools(item)

    def _reasoning(self, item: Fields) -> None:
        told = item.each("content") or item.each("summary")  # all of it if it is there
        thoughts = [part.needed("text") for part in told]
        text = item.text("encrypted_content")
        carried = unseal(text, item.at("encrypted_content")) if text else None
        turn = self._assistant(says_next=carried is None or not carried.after)
        turn.thoughts += [thought for thought in thoughts if thought]
        if carried is not None:
            turn.blocks += carried.thinking_blocks
            add_extra(turn.extra, carried.extra)
            self._carried |= carried.calls
        elif text:
            add_extra(turn.extra, {"openai": {"encrypted_content": [text]}})


class _Assistant:
    """A turn of the assistant that is being put together of its items."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refused: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[Call] = []
        self.blocks: list[Thought] = []
        self.extra: Extra = {}

    @property
    def has_spoken(self) -> bool:
        """Whether a message is in it."""
        return bool(self.texts or self.refused)

    def made(self, carried: dict[str, Extra]) -> Turn | None:
        """The turn; ``None`` if it says nothing. Several texts are one, as SDKs join them: few providers take parts
        here. ``carried`` is what calls carry for their vendors, by their ids."""
        if not self.has_spoken and not self.calls:
            return None
        for call in self.calls:
            call.extra_content = carried.get(call.id, UNSET)
        return Turn(
            role="assistant",
            content="".join(self.texts) if self.texts else UNSET,
            refusal="".join(self.refused) or UNSET,
            tool_calls=self.calls or UNSET,
            reasoning_content="\n\n".join(self.thoughts) or UNSET,
            thinking_blocks=self.blocks or UNSET,
            extra_content=self.extra or UNSET,
        )
