"""The parts of a message's content: OpenAI's in, Anthropic's content blocks out.

Blank texts are left out, for Anthropic refuses them. ``cache_control`` stays on the block it marks.
"""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

from tollway.errors import InvalidRequest
from tollway.wire.hub import UNNAMED_FILE

Block = dict[str, Any]

_IMAGE_TYPES = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}

_WRITTEN = frozenset(f"application/{kind}" for kind in ("json", "xml", "yaml", "x-yaml", "toml", "javascript", "sql"))
"""Types of files that are text, whatever their name says."""
_BY_ENDING = {
    "pdf": "application/pdf",
    **dict.fromkeys(("txt", "md", "csv", "html", "xml", "json", "yaml", "yml", "log"), "text/plain"),
    **{"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
}


def own_of(carrier: dict[str, Any]) -> dict[str, Any]:
    """``extra_content.anthropic``: what a client of Anthropic's own dialect said, and chat has no field for."""
    extra = carrier.get("extra_content")
    own = extra.get("anthropic") if isinstance(extra, dict) else None
    return own if isinstance(own, dict) else {}


def blocks_of(content: Any, param: str) -> list[Block]:
    """The blocks of a text or a list of parts.

    Raises:
        InvalidRequest: a part that Claude can't take, or that is not understood; ``param`` names the content.
    """
    if isinstance(content, str):
        return text_block(content)
    if not isinstance(content, list):
        raise InvalidRequest("The content must be a text or a list of parts.", param=param)
    return [block for place, part in enumerate(content) for block in _of_part(part, f"{param}[{place}]")]


def text_block(text: Any, param: str | None = None, marked: dict[str, Any] | None = None) -> list[Block]:
    """A text block; none for a blank text. ``marked`` may carry the block's ``cache_control``."""
    if not isinstance(text, str):
        raise InvalidRequest("A text part needs its text.", param=param)
    return [mark({"type": "text", "text": text}, marked or {}, param)] if text.strip() else []


def mark(block: Block, source: dict[str, Any], param: str | None) -> Block:
    """``block`` with the ``cache_control`` that ``source`` carries."""
    control = source.get("cache_control")
    if control is None:
        return block
    if not isinstance(control, dict) or control.get("type") != "ephemeral":
        raise InvalidRequest('`cache_control` must be an object of type "ephemeral".', param=param)
    ttl = control.get("ttl")
    if ttl not in (None, "5m", "1h"):
        raise InvalidRequest('The `ttl` of `cache_control` must be "5m" or "1h".', param=param)
    block["cache_control"] = {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
    return block


def _of_part(part: Any, param: str) -> list[Block]:
    if not isinstance(part, dict):
        raise InvalidRequest("A content part must be an object.", param=param)
    match part.get("type"):
        case "text" if isinstance(lengths := own_of(part).get("document"), dict):
            return [mark(_written(part, lengths, param), part, param)]
        case "text":
            return text_block(part.get("text"), param, part)
        case "refusal":
            return text_block(part.get("refusal"), param, part)
        case "image_url":
            return [mark(_image(part.get("image_url"), param), part, param)]
        case "file":
            return [mark(_file(part.get("file"), part, param), part, param)]
        case "input_audio":
            raise InvalidRequest("This model does not take audio.", param=param)
        case _:
            raise InvalidRequest("This model does not take content parts of this type.", param=param)


def _image(told: Any, param: str) -> Block:
    url = told.get("url") if isinstance(told, dict) else told
    if not isinstance(url, str) or not url:
        raise InvalidRequest("An image part needs the URL of an image.", param=param)
    if url.lower().startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    return _inline_image(*_data_url(url, param), param)


def _inline_image(media_type: str, data: str, param: str) -> Block:
    known = _IMAGE_TYPES.get(media_type)
    if known is None:
        raise InvalidRequest("An image must be JPEG, PNG, GIF or WebP.", param=param)
    return {"type": "image", "source": {"type": "base64", "media_type": known, "data": data}}


def _file(told: Any, part: dict[str, Any], param: str) -> Block:
    if not isinstance(told, dict):
        raise InvalidRequest("A file part needs `file`.", param=param)
    file_id, file_url, file_data = told.get("file_id"), told.get("file_url"), told.get("file_data")
    if isinstance(file_id, str) and file_id:
        source = {"type": "file", "file_id": file_id}
        if own_of(part).get("image") is True:
            return {"type": "image", "source": source}
    elif isinstance(file_url, str) and file_url.lower().startswith(("http://", "https://")):
        source = {"type": "url", "url": file_url}
    elif isinstance(file_data, str):
        media_type, data = _data_url(_typed(file_data, told.get("filename")), param)
        if media_type.startswith("image/"):
            return _inline_image(media_type, data, param)
        source = _document(media_type, data, param)
    else:
        raise InvalidRequest("A file part needs `file_data`, `file_url` or `file_id`.", param=param)
    name = told.get("filename")
    return _titled(source, name if name != UNNAMED_FILE else None, None, part)


def _typed(data: str, name: Any) -> str:
    """``data`` as a URL: base64 alone, which OpenAI takes too, has its type in the name."""
    ending = name.rpartition(".")[2].lower() if isinstance(name, str) else ""
    if ":" in data[:64] or ending not in _BY_ENDING:
        return data
    return f"data:{_BY_ENDING[ending]};base64,{data}"


def _titled(source: dict[str, Any], title: Any, context: Any, part: dict[str, Any]) -> Block:
    block: Block = {"type": "document", "source": source}
    if isinstance(title, str) and title:
        block["title"] = title
    if context:
        block["context"] = context
    if part.get("citations") is True:
        block["citations"] = {"enabled": True}
    return block


def _written(part: dict[str, Any], lengths: dict[str, Any], param: str) -> Block:
    """A document of plain text, whose title and context stand before it in one text: their lengths are told."""
    text = part.get("text")
    if not isinstance(text, str):
        raise InvalidRequest("A text part needs its text.", param=param)
    heads: list[str] = []
    for length in (lengths.get("title"), lengths.get("context")):
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise InvalidRequest("A document's lengths are numbers.", param=f"{param}.extra_content")
        heads.append(text[:length])
        text = text[length:].removeprefix("\n\n") if length else text
    title, context = heads
    return _titled({"type": "text", "media_type": "text/plain", "data": text}, title, context, part)


def _document(media_type: str, data: str, param: str) -> dict[str, Any]:
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    if not (media_type.startswith("text/") or media_type in _WRITTEN or media_type.endswith(("+json", "+xml"))):
        raise InvalidRequest("A file must be a PDF or a text.", param=param)
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest("The text of the file is not base64 of UTF-8.", param=param) from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _data_url(url: str, param: str) -> tuple[str, str]:
    """The media type and the base64 of a ``data:`` URL (RFC 2397), whose data may be percent-encoded instead."""
    scheme, colon, rest = url.partition(":")
    head, comma, data = rest.partition(",")
    if scheme.lower() != "data" or not colon or not comma:
        raise InvalidRequest("This must be a `data:` URL, or for images an http(s) one.", param=param)
    media_type, *attributes = head.split(";")
    if "base64" not in (attribute.strip().lower() for attribute in attributes):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media_type.strip().lower() or "text/plain", data
