"""What the streams of chat and of completions have in common: chunks with choices, and a frame around them.

Source: platform.openai.com, API reference, "Chat: the chat completion chunk object" and "Completions".
"""

from collections.abc import Callable
from typing import Any, Protocol

from tollway.proxy.cache.forms.counted import Counted, of_chat
from tollway.proxy.cache.forms.framing import DONE, Dict, decoded, encode, index_of, objects_of, text_of
from tollway.proxy.cache.forms.merging import add_logprobs, put

_PADDING = ("obfuscation", "p")
"""What OpenAI and Mistral put into chunks so that their length tells nothing."""

OF_STREAMS = frozenset({"content_filter_offsets", "token_id"})
"""What only pieces have: Azure's places in the stream; Together's number of each token."""

_MAX_CHOICES = 128
"""OpenAI's own bound of ``n``."""

_FIRST = ("id", "object", "created", "model")
_LASTING = (*_FIRST, "service_tier", "system_fingerprint", "provider")
"""What each chunk repeats; the rest of an answer stands in its first one."""


class Choice(Protocol):
    """A choice that is put together of its pieces."""

    def hear(self, told: Dict) -> None:
        """Takes in a piece, which has lost its ``index``.

        Raises:
            ValueError: it contradicts another, or can't be understood.
        """
        ...

    def whole(self, place: int) -> Dict:
        """All of it, as the one at this place.

        Raises:
            ValueError: something is missing.
        """
        ...


def whole(payloads: list[bytes], kind: str, begin: Callable[[], Choice], counted: Counted | None) -> bytes:
    """The whole answer, an object of this ``kind``, of the payloads of a stream; ``begin`` makes an empty choice.

    Raises:
        ValueError: it can't be told for sure.
    """
    if not payloads or payloads[-1].strip() != DONE:
        raise ValueError("the stream has no end")
    frame = _Frame()
    choices: dict[int, Choice] = {}
    for payload in payloads[:-1]:
        for told in frame.hear(decoded(payload)):
            place = index_of(told.pop("index", 0))
            choice = choices.get(place)
            if choice is None:
                choice = choices[place] = begin()
            choice.hear(told)
    if not choices or len(choices) > _MAX_CHOICES or max(choices) >= len(choices):
        raise ValueError("a choice is missing")
    return frame.whole(kind, [choices[place].whole(place) for place in range(len(choices))], counted)


class Rest:
    """What a choice tells beside what it says: why it ended, log probabilities, and what else there may be."""

    def __init__(self) -> None:
        self._fields: Dict = {}
        self._finish: str | None = None

    def hear(self, told: Dict, *, is_saying: bool) -> None:
        """Takes in what a piece has beside what it says, and whether it says anything.

        Raises:
            ValueError: it contradicts another.
        """
        finish = told.pop("finish_reason", None) or None  # some say nothing in words
        if is_saying and self._finish is not None:
            raise ValueError("a choice goes on behind its end")
        if finish is not None:
            if self._finish not in (None, finish):
                raise ValueError("a choice has two ends")
            self._finish = text_of(finish)
        for name, value in told.items():
            if value is None:
                self._fields.setdefault(name, None)
            elif name == "logprobs":
                self._fields[name] = add_logprobs(self._fields.get(name), value)
            elif name not in OF_STREAMS:
                put(self._fields, name, value)

    def whole(self) -> Dict:
        """All of it.

        Raises:
            ValueError: the end is missing.
        """
        if not self._finish:
            raise ValueError("a choice has no end")
        return self._fields | {"finish_reason": self._finish}


class _Frame:
    """What chunks tell beside their choices."""

    def __init__(self) -> None:
        self._fields: Dict = {}
        self._last: Dict = {}
        self._usage: Any = None
        self._is_counted = False

    def hear(self, chunk: Dict) -> list[Dict]:
        """Takes in a chunk; returns its choices."""
        choices = objects_of(chunk.pop("choices", None))
        usage = chunk.pop("usage", None)
        for name in _PADDING:
            chunk.pop(name, None)
        if chunk != self._last:  # most are the same
            for name, value in chunk.items():
                self._put(name, value)
            self._last = chunk
        if usage is not None:
            self._usage = usage
        if choices and self._is_counted:
            raise ValueError("the stream goes on behind its usage")
        self._is_counted = self._is_counted or (usage is not None and not choices)
        return choices

    def _put(self, name: str, value: Any) -> None:
        if name == "error":
            if value is not None:
                raise ValueError("there is an error in the stream")
        elif name in ("id", "object", "model") and not self._fields.get(name):
            self._fields[name] = value  # Azure's first chunk has none
        elif name == "created":
            self._fields[name] = self._fields.get(name) or value  # some tell when each chunk was
        elif value != "" or name not in _FIRST:
            put(self._fields, name, value)

    def whole(self, kind: str, choices: list[Dict], counted: Counted | None) -> bytes:
        fields = self._fields
        answer = {name: fields.pop(name) for name in _FIRST if name in fields}
        answer["object"] = kind
        answer["choices"] = choices
        if self._usage is not None:
            answer["usage"] = self._usage
        elif counted is not None:
            answer["usage"] = of_chat(counted)
        return encode(answer | fields)


class Chunks:
    """The events of a stream on their way out; ``answer`` is what the whole one has beside choices and usage."""

    def __init__(self, kind: str, answer: Dict) -> None:
        answer["object"] = kind
        lasting = {name: answer.pop(name) for name in _LASTING if name in answer}
        self._frame = b"data: " + encode(lasting)[:-1] + b',"choices":['
        self._once = encode(answer)[1:-1]
        self.said: list[bytes] = []

    def say(self, choice: bytes) -> None:
        """A chunk with one choice."""
        if self._once:
            self.said.append(b"%b%b],%b}\n\n" % (self._frame, choice, self._once))
            self._once = b""
        else:
            self.said.append(b"%b%b]}\n\n" % (self._frame, choice))

    def end(self, usage: Any) -> list[bytes]:
        """All events; the last ones are the usage, where it is known, and the end."""
        if usage is not None:
            self.said.append(b'%b],"usage":%b}\n\n' % (self._frame, encode(usage)))
        self.said.append(b"data: %b\n\n" % DONE)
        return self.said
