"""What other vendors want back in the next turn, carried through clients that know Anthropic's dialect only.

Gemini 3 signs its calls and its text, and refuses a next turn without the signatures of the calls; the hub keeps them
in ``extra_content``, for which Messages has no place. But its clients send blocks of thought back as they came. So
what a vendor said beside the hub's fields becomes the signature of such a block: ``tollway.<vendor>.`` and base64 of
JSON, which holds what belongs to the message and, by id, what belongs to its calls.

Nothing here is secret, and nothing is trusted when it comes back: the vendor's own file reads it like any client's.
"""

import base64
import binascii
import re
from typing import Any

import msgspec

MAX_PACKED_BYTES = 1024 * 1024
"""More than this of one answer is left out: signatures are short, but pictures lie there, too."""

_PREFIX = "tollway."
_VENDOR = re.compile(r"[a-z0-9_-]{1,32}")
_OWN = "anthropic"
"""What Anthropic says has blocks of its own."""

Extra = dict[str, Any]


class Packed(msgspec.Struct):
    """What one vendor said beside a message, and beside its calls, by their ids."""

    message: Extra = {}
    calls: dict[str, Extra] = {}


class Packing:
    """Gathers what vendors say beside one answer."""

    def __init__(self) -> None:
        self._of: dict[str, Packed] = {}
        self._bytes = 0

    def keep(self, extra: object, call_id: str | None = None) -> None:
        """Notes the ``extra_content`` of the message, or of one of its calls. In a stream a message's grows."""
        if not isinstance(extra, dict):
            return
        for vendor, own in extra.items():
            if vendor == _OWN or not isinstance(own, dict) or not own or not _VENDOR.fullmatch(vendor):
                continue
            if (own := self._within(own)) is None:
                continue
            packed = self._of.setdefault(vendor, Packed())
            if call_id is None:
                _grow(packed.message, own)
            else:
                packed.calls[call_id] = own

    def signatures(self) -> list[str]:
        """The signatures that carry what was gathered since they were last asked for."""
        made = [
            f"{_PREFIX}{vendor}.{base64.b64encode(msgspec.json.encode(packed)).decode()}"
            for vendor, packed in self._of.items()
        ]
        self._of = {}
        return made

    def _within(self, own: Extra) -> Extra | None:
        """``own`` within the bound; if it is too much, without its lists, which hold what is large and only shown."""
        for kept in (own, {name: value for name, value in own.items() if not isinstance(value, list)}):
            size = len(msgspec.json.encode(kept))
            if kept and self._bytes + size <= MAX_PACKED_BYTES:
                self._bytes += size
                return kept
        return None


def _grow(message: Extra, more: Extra) -> None:
    for name, value in more.items():
        known = message.get(name)
        message[name] = known + value if isinstance(known, list) and isinstance(value, list) else value


def unpack(signature: str) -> tuple[str, Packed] | None:
    """The vendor and what it said; ``None`` for a signature that was not made here.

    Raises:
        ValueError: it was made here, and has been changed since.
    """
    if not signature.startswith(_PREFIX):
        return None
    vendor, _, written = signature.removeprefix(_PREFIX).partition(".")
    if not _VENDOR.fullmatch(vendor) or vendor == _OWN:
        raise ValueError("a signature of no vendor")
    try:
        return vendor, msgspec.json.decode(binascii.a2b_base64(written, strict_mode=True), type=Packed)
    except RecursionError:
        raise ValueError("nested too deeply") from None
