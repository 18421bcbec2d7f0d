"""What clients note down about their calls: by it rules choose a target, and usage is told apart (``tags``).

The header goes before the body. What the header says is the gateway's to judge; a body's ``metadata`` is the
provider's, so of that what makes no tag is left out and nothing is refused.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tollway.errors import InvalidRequest

METADATA = b"x-tollway-metadata"
"""Notes: a JSON object of texts. They count instead of the body's ``metadata``."""

METADATA_BYTES = 4096
METADATA_ENTRIES = 16
NAME_CHARACTERS = 64
VALUE_CHARACTERS = 256
"""Bounds on what a header may hold. OpenAI takes as many entries, and names as long, in its own ``metadata``."""

_TAGGING = frozenset({"chat", "responses"})
"""Operations whose ``metadata`` is the caller's to fill; Anthropic's names a user, who is none of our tags."""

_NOTES = msgspec.json.Decoder(dict[str, str])


class Noted(Protocol):
    """What is asked of a body: ``tollway._native.chat.ChatRequest`` has it."""

    @property
    def operation(self) -> str:
        """What is asked for."""
        ...

    def metadata(self) -> dict[str, str]:
        """The client's notes."""
        ...


def read_metadata(raw: bytes) -> dict[str, str]:
    """The client's notes in a header.

    Raises:
        InvalidRequest: they are no JSON object of texts, more than 16, longer than 4 KiB, or one of them is too long.
    """
    param = METADATA.decode()
    if len(raw) > METADATA_BYTES:
        raise InvalidRequest(f"'{param}' is longer than {METADATA_BYTES} bytes.", param=param)
    try:
        notes = _NOTES.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidRequest(f"'{param}' is to be a JSON object whose values are strings.", param=param) from None
    if len(notes) > METADATA_ENTRIES:
        raise InvalidRequest(f"'{param}' has more than {METADATA_ENTRIES} entries.", param=param)
    if any(len(name) > NAME_CHARACTERS or len(value) > VALUE_CHARACTERS for name, value in notes.items()):
        bound = f"names of at most {NAME_CHARACTERS} characters and values of at most {VALUE_CHARACTERS}"
        raise InvalidRequest(f"'{param}' is to have {bound}.", param=param)
    return notes


def tags_of(headers: Mapping[bytes, bytes], request: Noted) -> tuple[str, ...]:
    """The tags of a call, ``name=value``, in order; at most 16.

    A name that is empty or holds ``=`` makes none. Of a header that :func:`read_metadata` refuses there are none:
    such a call gets no further than that.
    """
    raw = headers.get(METADATA)
    if raw is not None:
        try:
            notes = read_metadata(raw)
        except InvalidRequest:
            return ()
    elif request.operation in _TAGGING:
        notes = request.metadata()
    else:
        return ()
    tags = [
        f"{name}={value}"
        for name, value in notes.items()
        if name and "=" not in name and len(name) <= NAME_CHARACTERS and len(value) <= VALUE_CHARACTERS
    ]
    return tuple(sorted(tags)[:METADATA_ENTRIES])
