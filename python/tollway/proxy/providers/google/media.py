"""Parts of a message: text, images, files and sound, as Gemini's ``Part``.

Gemini takes bytes (``inlineData``), or the address of a file that Google holds (``fileData``). What lies elsewhere on
the web has been fetched before: ``media/inline.py`` puts data URLs in its place.
"""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from tollway.errors import InvalidRequest
from tollway.proxy.media.looks import Kind

Part = dict[str, Any]

_GOOGLES_FILES = "generativelanguage.googleapis.com"
_YOUTUBE = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})

_SOUNDS = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
}
_TYPES = {
    **_SOUNDS,
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
"""Media types by a file name's end: those that Gemini reads."""


def text_of(content: Any, param: str) -> list[str]:
    """The texts of a content that may hold nothing else; empty ones are left out.

    Raises:
        InvalidRequest: it holds something else.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [content] if content else []
    texts = []
    for number, part in enumerate(_listed(content, param)):
        where = f"{param}[{number}]"
        if part.get("type") not in ("text", "refusal"):
            raise InvalidRequest("Only text can stand here.", param=where)
        texts.append(_string(part, part["type"], where))
    return [text for text in texts if text]


def parts_of(content: Any, param: str, warnings: list[str]) -> list[Part]:
    """A user's content as parts.

    Raises:
        InvalidRequest: it is malformed, or of a kind that Gemini does not take.
    """
    if content is None or isinstance(content, str):
        return [{"text": content}] if content else []
    parts = [_part(part, f"{param}[{number}]", warnings) for number, part in enumerate(_listed(content, param))]
    return [part for part in parts if part.get("text") != ""]


def _part(part: dict[str, Any], where: str, warnings: list[str]) -> Part:
    kind = part.get("type")
    if kind == "text":
        return {"text": _string(part, "text", where)}
    if kind == "image_url":
        image = part.get("image_url")
        image = {"url": image} if isinstance(image, str) else image
        if not isinstance(image, dict):
            raise InvalidRequest("'image_url' is to be an object.", param=f"{where}.image_url")
        if image.get("detail") not in (None, "auto"):
            warnings.append("detail")
        return _of_url(_string(image, "url", f"{where}.image_url"), f"{where}.image_url.url")
    if kind == "file":
        return _file(part.get("file"), f"{where}.file")
    if kind == "input_audio":
        return _sound(part.get("input_audio"), f"{where}.input_audio")
    raise InvalidRequest("The provider takes text, images, files and sound only.", param=where)


def _file(file: Any, where: str) -> Part:
    if not isinstance(file, dict):
        raise InvalidRequest("'file' is to be an object.", param=where)
    data = file.get("file_data")
    if isinstance(data, str) and data:
        if data[:5].lower() == "data:" or "://" in data[:32]:
            return _of_url(data, f"{where}.file_data")
        name = file.get("filename")
        media_type = _guessed_type(name) if isinstance(name, str) else None
        if media_type is None:
            raise InvalidRequest("The file's type is not told: send it as a data URL.", param=f"{where}.file_data")
        return _inline(media_type, data, f"{where}.file_data")
    address = file.get("file_url")
    if isinstance(address, str) and address:
        return _of_url(address, f"{where}.file_url")
    identifier = file.get("file_id")
    if isinstance(identifier, str) and (held := _held_by_google(identifier)) is not None:
        return held
    message = "The provider can't see files by an id of another provider: send the data inline, as 'file_data'."
    raise InvalidRequest(message, param=where)


def _sound(sound: Any, where: str) -> Part:
    if not isinstance(sound, dict):
        raise InvalidRequest("'input_audio' is to be an object.", param=where)
    media_type = _SOUNDS.get(_string(sound, "format", where))
    if media_type is None:
        raise InvalidRequest("The provider does not take sound of this format.", param=f"{where}.format")
    return _inline(media_type, _string(sound, "data", where), f"{where}.data")


def _of_url(url: str, param: str) -> Part:
    if url[:5].lower() == "data:":
        return _of_data_url(url, param)
    held = _held_by_google(url)
    if held is None:
        raise InvalidRequest("This is neither a data URL nor an address of http or https.", param=param)
    return held


def needs_bytes(url: str, kind: Kind) -> bool:
    """Whether Gemini has to be given what an address leads to, whatever it is: it reads its own files and YouTube."""
    return _held_by_google(url) is None


def _held_by_google(url: str) -> Part | None:
    """A file that Google reads by its address: in its storage, uploaded to the Gemini API, or on YouTube."""
    try:
        address = urlsplit(url)
        host = address.hostname
    except ValueError:
        return None
    media_type = _guessed_type(address.path)
    if address.scheme == "gs":
        pass
    elif address.scheme == "https" and host == _GOOGLES_FILES and "/files/" in address.path:
        pass
    elif address.scheme == "https" and host in _YOUTUBE:
        media_type = "video/mp4"
    else:
        return None
    return {"fileData": {"fileUri": url} | ({"mimeType": media_type} if media_type else {})}


def _of_data_url(url: str, param: str) -> Part:
    """A data URL (RFC 2397)."""
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise InvalidRequest("The data URL has no data.", param=param)
    media_type, *parameters = [field.strip() for field in head.split(";")]
    if not parameters or parameters[-1].lower() != "base64":
        return _inline(media_type or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode(), param)
    return _inline(media_type or "text/plain", data, param)


def _inline(media_type: str, data: str, param: str) -> Part:
    if not data.isascii() or "\n" in data or " " in data or "-" in data or "_" in data:  # wrapped, or for URLs
        data = "".join(data.split()).replace("-", "+").replace("_", "/")
    data += "=" * (-len(data) % 4)
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:  # also for text that is not ASCII
        raise InvalidRequest("The data is not base64.", param=param) from None
    if not data:
        raise InvalidRequest("The data is empty.", param=param)
    return {"inlineData": {"mimeType": media_type.lower(), "data": data}}


def _guessed_type(name: str) -> str | None:
    return _TYPES.get(name.rpartition(".")[2].lower())


def _listed(content: Any, param: str) -> list[dict[str, Any]]:
    if not isinstance(content, list):
        raise InvalidRequest("A content is text or a list of parts.", param=param)
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            raise InvalidRequest("A part is to be an object.", param=f"{param}[{number}]")
    return content


def _string(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"'{name}' is to be text.", param=f"{where}.{name}")
    return value
