"""The texts the simulator answers with: they tell what arrived, so that a person can see that it did."""

import re
from collections.abc import Sequence
from random import Random

from tollway.simulation.requests import ChatRequest, Message

_QUOTE_LENGTH = 240
_OPENINGS = ("Understood.", "Here is my answer.", "Thank you for asking.", "Let me think about that.", "Certainly.")
_REMARKS = (
    "No model was asked: this text is made by rules, and costs nothing.",
    "The same request always gets the same answer here.",
    "Nothing in it is true or false; it only shows that your request came through.",
    "Streamed or whole, the words are the same.",
    "Point the route at a real provider, and the rest stays as it is.",
    "The counts beside this answer are real counts of its tokens.",
)
_MEDIA = {"image_url": "image", "input_audio": "audio clip", "file": "file"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][a-zA-Z]{2,30}\b")


def text(request: ChatRequest, random: Random) -> str:
    """An answer of a few sentences to the end of the conversation."""
    said = [random.choice(_OPENINGS), *_results(request.messages)]
    user = last_user(request.messages)
    if user is not None:
        if user.text.strip():
            said.append(f'You wrote: "{quoted(user.text)}".')
        said.extend(_media(user))
    said.extend(random.sample(_REMARKS, random.randint(2, 3)))
    return " ".join(said)


def last_user(messages: Sequence[Message]) -> Message | None:
    """The last thing the user said."""
    return next((message for message in reversed(messages) if message.role == "user"), None)


def names(request: ChatRequest) -> list[str]:
    """Capitalised words of the user's last message: believable arguments ("the weather in Paris")."""
    user = last_user(request.messages)
    return _NAME.findall(quoted(user.text)) if user else []


def quoted(said: str) -> str:
    """``said`` on one line, cut to a length that is pleasant to read."""
    line = " ".join(said[: 4 * _QUOTE_LENGTH].split())
    return line if len(line) <= _QUOTE_LENGTH else f"{line[: _QUOTE_LENGTH - 1].rstrip()}…"


def _results(messages: Sequence[Message]) -> list[str]:
    """A sentence for each tool result that the conversation ends with."""
    called = {
        call.id: call.function.name
        for message in messages
        for call in message.tool_calls or ()
        if call.function is not None
    }
    said: list[str] = []
    for message in reversed(messages):
        if message.role not in ("tool", "function"):
            break
        name = called.get(message.tool_call_id or "") or message.name or "The tool"
        said.insert(0, f"{name} answered: {quoted(message.text)}.")
    return said


def _media(message: Message) -> list[str]:
    """A sentence on the parts that are not text."""
    counts: dict[str, int] = {}
    for part in message.parts:
        if part.type in _MEDIA:
            counts[_MEDIA[part.type]] = counts.get(_MEDIA[part.type], 0) + 1
    sent = [f"{_NUMBERS[n] if n < len(_NUMBERS) else n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items()]
    return [f"It came with {' and '.join(sent)}."] if sent else []
