"""Streams of completions as whole answers, and the other way."""

from tollway.proxy.cache.forms import chunks
from tollway.proxy.cache.forms.chunks import Chunks, Rest
from tollway.proxy.cache.forms.counted import Counted
from tollway.proxy.cache.forms.framing import Dict, decoded, encode, objects_of, pieces, text_of


def whole(payloads: list[bytes], counted: Counted | None) -> bytes:
    """The ``text_completion`` that was streamed.

    Raises:
        ValueError: it can't be told for sure.
    """
    return chunks.whole(payloads, "text_completion", _Choice, counted)


class _Choice:
    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._rest = Rest()

    def hear(self, told: Dict) -> None:
        text = text_of(told.pop("text", None) or "")
        told.pop("delta", None)  # Together's, the same as the text
        self._pieces.append(text)
        self._rest.hear(told, is_saying=bool(text))

    def whole(self, place: int) -> Dict:
        return {"text": "".join(self._pieces), "index": place, **self._rest.whole()}


def events(body: bytes, characters: int) -> list[bytes]:
    """The events of a ``text_completion``, texts in pieces of about so many ``characters``.

    A text with log probabilities is one piece: they tell places in it.

    Raises:
        ValueError: it is none.
    """
    answer = decoded(body)
    choices = objects_of(answer.pop("choices", None))
    if not choices:
        raise ValueError("an answer without choices")
    usage = answer.pop("usage", None)
    telling = Chunks("text_completion", answer)
    for place, choice in enumerate(choices):
        text, logprobs = text_of(choice.pop("text", None)), choice.get("logprobs")
        choice.pop("index", None)
        tail = b',"logprobs":null,"finish_reason":null}' if "logprobs" in choice else b',"finish_reason":null}'
        head = b'{"index":%d,"text":' % place
        if logprobs is None:
            for piece in pieces(text, characters):
                telling.say(head + encode(piece) + tail)
            text = ""
        choice.setdefault("finish_reason", None)
        telling.say(head + encode(text) + b"," + encode(choice)[1:])
    return telling.end(usage)
