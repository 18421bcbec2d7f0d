"""What a provider wants back in the next turn, carried by the client as a reasoning item's ``encrypted_content``.

Chat holds it in ``thinking_blocks`` (Anthropic's signed thoughts) and ``extra_content`` (Google's signatures); a
Responses client keeps neither, but sends reasoning items back untouched, as OpenAI's guide on reasoning tells it to.
It is sealed against nothing: it holds what the chat client would see in the open.
"""

import base64
import binascii
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.wire.hub import Thought

PREFIX = "tollway."
"""How ours begins. OpenAI's own begins otherwise, and is no one else's to read."""


Extra = dict[str, dict[str, Any]]
"""``extra_content``, by vendor."""


class Sealed(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one turn carries. ``extra`` is the message's ``extra_content``, ``calls`` that of its calls by their ids.

    ``after`` says that it belongs to what stands before it: a stream learns some of it too late to say it first.
    """

    thinking_blocks: list[Thought] = []
    extra: Extra = {}
    calls: dict[str, Extra] = {}
    after: bool = False

    def __bool__(self) -> bool:
        return bool(self.thinking_blocks or self.extra or self.calls)


def seal(carried: Sealed) -> str:
    """The text that the client keeps."""
    return PREFIX + base64.b64encode(msgspec.json.encode(carried)).decode()


def unseal(text: str, place: str) -> Sealed | None:
    """What was sealed; ``None`` if another one sealed it.

    Raises:
        InvalidRequest: it was changed on the way.
    """
    if not text.startswith(PREFIX):
        return None
    try:
        packed = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        return msgspec.json.decode(packed, type=Sealed)
    except (binascii.Error, ValueError, RecursionError):  # also for text that is not ASCII
        raise InvalidRequest("A reasoning item must come back as it was given.", param=place) from None


def add_extra(to: Extra, more: Extra) -> None:
    """Adds what came later: lists grow, all else is replaced."""
    for vendor, told in more.items():
        kept = to.setdefault(vendor, {})
        for name, value in told.items():
            if isinstance(before := kept.get(name), list) and isinstance(value, list):
                before.extend(value)
            else:
                kept[name] = value
