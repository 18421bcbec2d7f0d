"""Contents of a Responses request's items as chat's: parts of messages, and of what tools answered."""

from typing import Any

from msgspec import UNSET, UnsetType

from tollway.proxy.dialects.responses.fields import Fields, refusal
from tollway.wire.hub import CacheControl, File, ImageUrl, InputAudio, Part

_TEXTS = ("input_text", "output_text", "text", "summary_text")
_DETAILS: dict[str, str] = {"auto": "auto", "low": "low", "high": "high", "original": "high"}


def content_of(item: Fields, name: str) -> str | list[Part]:
    """A content that may hold texts, images, files and sound: a text alone stays one.

    Raises:
        InvalidRequest: it can't be understood, or chat can't say it.
    """
    if isinstance(told := item.value(name), str):
        return told
    if told is None:
        raise refusal(item.at(name), "This is missing.")
    parts = [_part(part) for part in item.each(name)]
    if not parts:
        return ""
    alone = parts[0] if len(parts) == 1 else None
    if alone is not None and isinstance(alone.text, str) and alone.cache_control is UNSET:
        return alone.text
    return parts


def instruction_of(item: Fields) -> str | list[Part]:
    """The content of a system or developer message: texts only, as in chat.

    Raises:
        InvalidRequest: as :func:`content_of`.
    """
    content = content_of(item, "content")
    if not isinstance(content, str):
        for number, part in enumerate(content):
            if part.type != "text":
                raise refusal(f"{item.at('content')}[{number}].type", "A system message holds text only.")
    return content


def said(item: Fields) -> tuple[list[str], list[str]]:
    """The texts and the refusals of an assistant's message.

    Raises:
        InvalidRequest: as :func:`content_of`.
    """
    if isinstance(told := item.value("content"), str):
        return [told], []
    texts, refused = [], []
    for part in item.each("content"):
        if (kind := part.named("type")) == "refusal":
            refused.append(part.needed("refusal"))
        elif kind in _TEXTS:
            texts.append(part.needed("text"))
        else:
            raise refusal(part.at("type"), "An assistant's message holds texts and refusals.")
    return texts, refused


def _part(part: Fields) -> Part:
    kind = part.named("type")
    if kind in _TEXTS:
        return Part(type="text", text=part.needed("text"), cache_control=_cache(part))
    if kind == "input_image":
        return _image(part)
    if kind == "input_file":
        return _file(part)
    if kind == "input_audio":
        return _audio(part)
    raise refusal(part.at("type"), "The models behind this alias do not take this type of content.")


def _image(part: Fields) -> Part:
    if not part.has("image_url"):
        name = "file_id" if part.has("file_id") else "image_url"
        raise refusal(part.at(name), "An image is needed by its URL; uploaded files are not known here.")
    detail: Any = _DETAILS.get(part.text("detail") or "", UNSET)
    url = ImageUrl(part.named("image_url"), detail)
    return Part(type="image_url", image_url=url, cache_control=_cache(part))


def _file(part: Fields) -> Part:
    told = {name: value for name in ("file_data", "file_url", "file_id", "filename") if (value := part.text(name))}
    if not told.keys() - {"filename"}:
        raise refusal(part.place, "A file needs 'file_data', 'file_url' or 'file_id'.")
    return Part(type="file", file=File(**told), cache_control=_cache(part))


def _audio(part: Fields) -> Part:
    audio = part.inner("input_audio")
    if audio is None:
        raise refusal(part.at("input_audio"), "This is missing.")
    return Part(type="input_audio", input_audio=InputAudio(audio.named("data"), audio.named("format")))


def _cache(part: Fields) -> CacheControl | UnsetType:
    """OpenAI's ``prompt_cache_breakpoint`` is Anthropic's ``cache_control``: the prompt is worth keeping up to here."""
    return CacheControl() if part.inner("prompt_cache_breakpoint") is not None else UNSET
