"""Addresses in a chat become data, for a provider that needs bytes and does not fetch.

In: the hub's request. Out: the same, with ``data:`` URLs in place of addresses that the provider can't take as they
are. What is no address of ``http`` or ``https`` stays: whether it can be taken is the provider's translation to say.
"""

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

from tollway.proxy.media.fetch import Fetched, Fetcher, Wanted
from tollway.proxy.media.looks import Kind

NeedsBytes = Callable[[str, Kind], bool]
"""Whether a provider needs the bytes of an address, being one of ``http`` or ``https``, for a part of this kind."""

_INLINE_BYTES = 64 * 1024
"""More than this is encoded off the event loop."""


async def inline(hub_body: dict[str, Any], fetcher: Fetcher, needs_bytes: NeedsBytes) -> int:
    """Puts data in place of addresses, in ``hub_body`` itself: in images and files, tools' results among them. An
    address that stands there twice is fetched once.

    Returns:
        How many bytes came in; with none, nothing has changed.

    Raises:
        InvalidRequest: an address can't be had, or there are too many; ``param`` says where it stands.
        ServerBusy: too much is being fetched already.
    """
    places = [place for place in _places(hub_body) if is_web(place.wanted.url)]
    places = [place for place in places if needs_bytes(place.wanted.url, place.wanted.kind)]
    if not places:
        return 0
    wanted = {(place.wanted.url, place.wanted.kind): place.wanted for place in reversed(places)}
    fetched = dict(zip(wanted, await fetcher.fetch(list(wanted.values())), strict=True))
    size_bytes = sum(len(each.data) for each in fetched.values())
    if size_bytes <= _INLINE_BYTES:
        urls = {key: data_url(each) for key, each in fetched.items()}
    else:
        urls = await asyncio.to_thread(lambda: {key: data_url(each) for key, each in fetched.items()})
    for place in places:
        place.put(urls[place.wanted.url, place.wanted.kind])
    return size_bytes


def is_web(url: str) -> bool:
    """Whether this is an address of ``http`` or ``https``; nothing else is ever fetched."""
    return url[:8].lower().startswith(("http://", "https://"))


def data_url(fetched: Fetched) -> str:
    """As RFC 2397 has it, in base64."""
    return f"data:{fetched.media_type};base64,{base64.b64encode(fetched.data).decode()}"


class _Place:
    """Where an address stands, and how data is put there instead."""

    __slots__ = ("_put", "wanted")

    def __init__(self, wanted: Wanted, put: Callable[[str], None]) -> None:
        self.wanted = wanted
        self._put = put

    def put(self, url: str) -> None:
        """Puts a data URL there."""
        self._put(url)


def _places(body: dict[str, Any]) -> Iterator[_Place]:
    """Every address of an image or a file; what is malformed is passed over, for the translation refuses it."""
    messages = body.get("messages")
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                yield from _in_part(part, f"messages[{number}].content[{index}]")


def _in_part(part: dict[str, Any], where: str) -> Iterator[_Place]:
    if part.get("type") == "image_url":
        image = part.get("image_url")
        if isinstance(image, str):
            yield _Place(Wanted(image, "image", f"{where}.image_url"), lambda url: part.update(image_url=url))
        elif isinstance(image, dict) and isinstance(image.get("url"), str):
            wanted = Wanted(image["url"], "image", f"{where}.image_url.url")
            yield _Place(wanted, lambda url: image.update(url=url))
    elif part.get("type") == "file" and isinstance(file := part.get("file"), dict):
        for name in ("file_url", "file_data"):
            if isinstance(file.get(name), str):
                yield _Place(Wanted(file[name], "file", f"{where}.file.{name}"), _put_file(file))


def _put_file(file: dict[str, Any]) -> Callable[[str], None]:
    def put(url: str) -> None:
        file.pop("file_url", None)
        file["file_data"] = url

    return put
