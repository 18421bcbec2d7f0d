"""The parts of a message's content: OpenAI's in, Converse's content blocks out.

Blank texts are left out, for models refuse them. A part that is marked for the cache becomes two blocks, for Converse
marks a place between blocks: so each part is a list, which stays together when blocks are put in order.
"""

import re
from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.bedrock.blobs import Blob, blob_of, checked

Block = dict[str, Any]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "application/json": "txt",
    "text/markdown": "md",
    "text/x-markdown": "md",
}
_VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_SOUNDS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/webm": "webm",
}
_SOUND_FORMATS = frozenset("mp3 opus wav aac flac mp4 ogg mkv mka m4a mpeg mpga pcm webm".split())
_KINDS = {"image": _IMAGES, "document": _DOCUMENTS, "video": _VIDEOS, "audio": _SOUNDS}
_BY_ENDING = {
    ending: (kind, form)
    for kind, forms in _KINDS.items()
    for ending, form in [(form, form) for form in forms.values()] + ([("jpg", "jpeg")] if kind == "image" else [])
    if not (kind == "audio" and ending in ("mp4", "webm"))
}
"""Kind and format by the end of a file's name; of ``mp4`` and ``webm`` a name tells only that they are seen."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
"""Everything that a document's name may not hold, and runs of blanks; each becomes one blank."""

NAME_CHARACTERS = 200


class Names:
    """The names of a request's documents, which must differ. Bounded by the documents of the request."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, wanted: Any) -> str:
        """``wanted`` as Amazon takes it: without its end, in its alphabet, and told apart from those before."""
        stem = wanted.rpartition(".")[0] or wanted if isinstance(wanted, str) else ""
        plain = _NOT_IN_NAMES.sub(" ", stem).strip()[: NAME_CHARACTERS - 10].strip() or "document"
        name, number = plain, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{plain} ({number})"
        self._taken.add(name.lower())
        return name


def groups_of(content: Any, names: Names, param: str) -> list[list[Block]]:
    """A text or a list of parts, each as its blocks.

    Raises:
        InvalidRequest: a part that Converse has no block for, or that is not understood; ``param`` names the content.
    """
    if isinstance(content, str):
        return text_group(content, {}, param)
    if not isinstance(content, list):
        raise InvalidRequest("The content must be a text or a list of parts.", param=param)
    return [group for place, part in enumerate(content) for group in _of_part(part, names, f"{param}[{place}]")]


def text_group(text: Any, marked: dict[str, Any], param: str) -> list[list[Block]]:
    """The group of a text; none for a blank one. ``marked`` may carry ``cache_control``."""
    if not isinstance(text, str):
        raise InvalidRequest("A text part needs its text.", param=param)
    return [[{"text": text}, *points_of(marked, param)]] if text.strip() else []


def points_of(source: dict[str, Any], param: str) -> list[Block]:
    """The cache point that ``source`` asks for behind itself, if it does."""
    control = source.get("cache_control")
    if control is None:
        return []
    if not isinstance(control, dict) or control.get("type") != "ephemeral":
        raise InvalidRequest('`cache_control` must be an object of type "ephemeral".', param=param)
    ttl = control.get("ttl")
    if ttl not in (None, "5m", "1h"):
        raise InvalidRequest('The `ttl` of `cache_control` must be "5m" or "1h".', param=param)
    return [{"cachePoint": {"type": "default"} if ttl is None else {"type": "default", "ttl": ttl}}]


def _of_part(part: Any, names: Names, param: str) -> list[list[Block]]:
    if not isinstance(part, dict):
        raise InvalidRequest("A content part must be an object.", param=param)
    match part.get("type"):
        case "text":
            return text_group(part.get("text"), part, param)
        case "refusal":
            return text_group(part.get("refusal"), part, param)
        case "image_url":
            block = _image(part.get("image_url"), f"{param}.image_url")
        case "file":
            block = _file(part, names, f"{param}.file")
        case "input_audio":
            block = _sound(part.get("input_audio"), f"{param}.input_audio")
        case _:
            raise InvalidRequest("The provider does not take content parts of this type.", param=param)
    return [[block, *points_of(part, param)]]


def _image(told: Any, param: str) -> Block:
    url = told.get("url") if isinstance(told, dict) else told
    if not isinstance(url, str) or not url:
        raise InvalidRequest("An image part needs the URL of an image.", param=param)
    kind, form, blob = _formed(blob_of(url, f"{param}.url"), url, f"{param}.url")
    if kind != "image":
        raise InvalidRequest("An image must be PNG, JPEG, GIF or WebP.", param=f"{param}.url")
    return {"image": {"format": form, "source": blob.source}}


def _sound(told: Any, param: str) -> Block:
    data, form = (told.get("data"), told.get("format")) if isinstance(told, dict) else (None, None)
    if not isinstance(data, str) or not isinstance(form, str) or form not in _SOUND_FORMATS:
        raise InvalidRequest("'input_audio' needs its data, and a format that the provider takes.", param=param)
    return {"audio": {"format": form, "source": {"bytes": checked(data, f"{param}.data")}}}


def _file(part: dict[str, Any], names: Names, param: str) -> Block:
    told = part.get("file")
    if not isinstance(told, dict):
        raise InvalidRequest("A file part needs `file`.", param=param)
    filename = told.get("filename")
    for field in ("file_data", "file_url"):
        given = told.get(field)
        if isinstance(given, str) and given:
            where = f"{param}.{field}"
            is_plain = field == "file_data" and ":" not in given  # base64 alone, the type is in the name
            blob = Blob("", {"bytes": checked(given, where)}) if is_plain else blob_of(given, where)
            kind, form, blob = _formed(blob, filename if isinstance(filename, str) else given, where)
            block: Block = {"format": form, "source": blob.source}
            if kind == "document":
                block = {"name": names.name(filename), **block}
                if part.get("citations") is True:
                    block["citations"] = {"enabled": True}
            return {kind: block}
    message = "The provider can't see files by an id of another provider: send the data inline, as 'file_data'."
    raise InvalidRequest(message, param=param)


def _formed(blob: Blob, name: str, param: str) -> tuple[str, str, Blob]:
    """The kind of block, its format, and its source: by the media type, else by the end of ``name``."""
    for kind, forms in _KINDS.items():
        if blob.media_type in forms:
            return kind, forms[blob.media_type], blob
    ending = name.rpartition(".")[2].lower() if len(name) <= 1024 else ""
    if blob.media_type in ("", "application/octet-stream") and ending in _BY_ENDING:
        kind, form = _BY_ENDING[ending]
        return kind, form, blob
    if blob.media_type.startswith("text/"):
        return "document", "txt", blob
    raise InvalidRequest("The provider takes no data of this type.", param=param)
