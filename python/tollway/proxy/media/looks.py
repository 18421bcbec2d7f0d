"""What bytes are: the type that a server claims, held against how the bytes begin.

In: a claim and bytes. Out: a media type that both agree on. A web page that calls itself an image never gets through.
Sources: WHATWG, "MIME Sniffing"; RFC 8259 and RFC 2046 for texts.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

Kind = Literal["image", "file"]
"""What a part asks for: an image, or any document, sound or film."""

_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "application/ogg": "audio/ogg",
    "text/x-markdown": "text/markdown",
    "application/xml": "text/xml",
    "text/json": "application/json",
}
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/force-download"})
"""Claims that claim nothing: stores say these of files whose type nobody gave."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_FTYP = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"qt  ": "video/quicktime"}
_INSIDE: Mapping[str, Callable[[str], bool]] = {
    "application/zip": lambda claimed: claimed.startswith("application/vnd.openxmlformats-officedocument."),
    "application/x-ole-storage": lambda claimed: claimed in ("application/msword", "application/vnd.ms-excel"),
    "audio/ogg": lambda claimed: claimed in ("video/ogg", "audio/opus"),
    "video/webm": lambda claimed: claimed in ("audio/webm", "video/x-matroska"),
    "video/mp4": lambda claimed: claimed in ("audio/mp4", "audio/x-m4a", "video/quicktime", "video/3gpp"),
}
"""Containers say what they are, not what lies in them: there the claim decides, within these."""

_TEXTS = frozenset({"application/json", "application/yaml", "application/javascript", "application/rtf"})
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,128}")
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252"})


class Unsuitable(ValueError):
    """Bytes that are not what was asked for, or not what their server calls them. The text is for the client."""


def recognise(kind: Kind, claim: str, data: bytes) -> tuple[str, bytes]:
    """The media type, and the bytes; texts are turned into UTF-8. ``claim`` is a ``content-type`` header.

    Raises:
        Unsuitable: claim and bytes are of different families, or this is not of ``kind``, or nobody can tell.
    """
    told, *parameters = [field.strip().lower() for field in claim.split(";")]
    told = _ALIASES.get(told, told)
    found = looks_like(data)
    if found is None:
        found, data = _text(told, _charset(parameters), data)
    elif told not in _UNTOLD and not _agree(told, found):
        raise Unsuitable("The address answers with something else than its content type says.")
    elif found in _INSIDE and _INSIDE[found](told):
        found = told
    if found in ("application/zip", "application/x-ole-storage"):
        raise Unsuitable("The address answers with an archive.")
    if kind == "image" and not found.startswith("image/"):
        raise Unsuitable("The address does not answer with an image.")
    return found, data


def looks_like(data: bytes) -> str | None:
    """The type that the first bytes give away; texts give nothing away."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _FTYP.get(data[8:12], "video/mp4")
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2  # MPEG audio, layer III
    return "audio/mpeg" if is_frame else None


def _agree(told: str, found: str) -> bool:
    """Whether both are of a family: a JPEG that its server calls a PNG is a JPEG."""
    if found in _INSIDE and _INSIDE[found](told):
        return True
    return told == found or (told.startswith("image/") and found.startswith("image/"))


def _charset(parameters: list[str]) -> str:
    named = [field.removeprefix("charset=").strip("\"'") for field in parameters if field.startswith("charset=")]
    return named[0] if named else "utf-8"


def _text(told: str, charset: str, data: bytes) -> tuple[str, bytes]:
    if not _MEDIA_TYPE.fullmatch(told):
        raise Unsuitable("The type of what the address answers with can't be told.")
    if not told.startswith("text/") and told not in _TEXTS and not told.endswith(("+json", "+xml")):
        raise Unsuitable("The type of what the address answers with can't be told.")
    if told.startswith("image/"):  # SVG: a program in the form of a picture
        raise Unsuitable("The address does not answer with an image that models read.")
    if charset not in _CHARSETS:
        raise Unsuitable("The address answers with a text in an unusual encoding.")
    try:
        text = data.decode(charset)
    except UnicodeDecodeError:
        raise Unsuitable("The address answers with a text that is not in the encoding it names.") from None
    if "\x00" in text:
        raise Unsuitable("The address answers with bytes that it calls a text.")
    return told, text.removeprefix("\ufeff").encode()
