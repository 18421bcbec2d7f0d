"""Blocks of Anthropic's messages as parts of the hub's: texts, images and documents.

Source: the types of Anthropic's SDK (``anthropic.types.ContentBlockParam`` and the beta's). Blocks that chat has no
word for are left out and told to be lost; they are never put into words, for the model would take them for the user's.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from tollway.proxy.dialects.anthropic.fields import Lost, Marked, mark_of, read, refused_type, typed
from tollway.wire import hub
from tollway.wire.hub import Part

_UNSAYABLE = frozenset(
    "container_upload compaction tool_addition tool_removal tool_reference browser_state fallback "
    "mcp_tool_listing server_tool_use mcp_tool_use".split()
)


class _Text(msgspec.Struct):
    text: str
    cache_control: Marked | None = None


class _Media(msgspec.Struct):
    """An image or a document."""

    class Cited(msgspec.Struct):
        enabled: bool | None = None

    source: msgspec.Raw
    cache_control: Marked | None = None
    title: str | None = None
    context: str | None = None
    citations: Cited | None = None


class _Inline(msgspec.Struct):
    media_type: str
    data: str


class _Addressed(msgspec.Struct):
    url: str


class _Held(msgspec.Struct):
    file_id: str


class _Found(msgspec.Struct):
    content: list[_Text]
    title: str = ""
    source: str = ""
    cache_control: Marked | None = None


class _Inner(msgspec.Struct):
    content: str | list[msgspec.Raw]


def is_unsayable(kind: str) -> bool:
    """Whether Anthropic knows this type of block and chat does not."""
    return kind in _UNSAYABLE or kind.endswith("_tool_result")


def parts_of(content: str | list[msgspec.Raw] | None, param: str, lost: Lost) -> list[Part]:
    """The parts of a text, or of blocks that may stand in a tool's result.

    Raises:
        InvalidRequest: a block is malformed, or may not stand here.
    """
    if isinstance(content, str):
        return [Part(type="text", text=content)]
    parts = []
    for place, raw in enumerate(content or ()):
        here = f"{param}.{place}"
        parts += part_of(raw, typed(raw, here), here, lost)
    return parts


def part_of(raw: msgspec.Raw, kind: str, param: str, lost: Lost) -> list[Part]:
    """The parts of one block, mostly one.

    Raises:
        InvalidRequest: as above.
    """
    match kind:
        case "text":
            text = read(raw, _Text, param)
            return [Part(type="text", text=text.text, cache_control=mark_of(text.cache_control))]
        case "image":
            return [_image(read(raw, _Media, param), f"{param}.source")]
        case "document":
            return _document(read(raw, _Media, param), f"{param}.source", lost)
        case "search_result":
            return [_found(read(raw, _Found, param))]
    if is_unsayable(kind):
        lost.add(f"messages.{kind}")
        return []
    raise refused_type(param)


def content_of(parts: Sequence[Part]) -> str | list[Part]:
    """A content: a text where that says the same, for some providers take no list."""
    if len(parts) == 1 and parts[0] == Part(type="text", text=parts[0].text) and isinstance(parts[0].text, str):
        return parts[0].text
    return list(parts)


def _image(told: _Media, param: str) -> Part:
    marked = mark_of(told.cache_control)
    match typed(told.source, param):
        case "base64":
            inline = read(told.source, _Inline, param)
            url = f"data:{inline.media_type};base64,{inline.data}"
        case "url":
            url = read(told.source, _Addressed, param).url
        case "file":
            file = hub.File(file_id=read(told.source, _Held, param).file_id)
            return Part(type="file", file=file, cache_control=marked, extra_content={"anthropic": {"image": True}})
        case _:
            raise refused_type(param)
    return Part(type="image_url", image_url=hub.ImageUrl(url), cache_control=marked)


def _document(told: _Media, param: str, lost: Lost) -> list[Part]:
    is_cited = told.citations is not None and told.citations.enabled is True
    match typed(told.source, param):
        case "text":
            parts = [_written(told, read(told.source, _Inline, param).data)]
        case "content":
            parts = parts_of(read(told.source, _Inner, param).content, f"{param}.content", lost)
            if told.title or told.context:
                parts.insert(0, _written(told, ""))
        case kind:
            if told.context:
                lost.add("messages.context")
            parts = [Part(type="file", file=_file(told, kind, param))]
    if parts:
        parts[0].citations = is_cited or UNSET
        parts[-1].cache_control = mark_of(told.cache_control) or parts[-1].cache_control
    return parts


def _found(told: _Found) -> Part:
    """What a client's own search found: a text that begins with where it is from."""
    text = "\n\n".join(each for each in (told.title, told.source, *(inner.text for inner in told.content)) if each)
    return Part(type="text", text=text, cache_control=mark_of(told.cache_control))


def _written(told: _Media, data: str) -> Part:
    """A document of plain text: most providers take text, few take text as a file. Its title and context go first.

    How long they are is noted, so that Anthropic gets back three fields.
    """
    title, context = told.title or "", told.context or ""
    lengths = {"title": len(title), "context": len(context)}
    text = "\n\n".join(each for each in (title, context, data) if each)
    return Part(type="text", text=text, extra_content={"anthropic": {"document": lengths}})


def _file(told: _Media, kind: str, param: str) -> hub.File:
    name = told.title or hub.UNNAMED_FILE
    match kind:
        case "base64":
            inline = read(told.source, _Inline, param)
            return hub.File(file_data=f"data:{inline.media_type};base64,{inline.data}", filename=name)
        case "url":
            return hub.File(file_url=read(told.source, _Addressed, param).url, filename=name)
        case "file":
            return hub.File(file_id=read(told.source, _Held, param).file_id, filename=told.title or UNSET)
    raise refused_type(param)
