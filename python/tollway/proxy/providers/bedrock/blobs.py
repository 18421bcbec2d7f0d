"""Bytes of a request: a ``data:`` URL, plain base64 or an object in S3, as the source of a Converse block."""

import base64
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from tollway.errors import InvalidRequest

Source = dict[str, Any]

_BLANK = re.compile(r"\s+")
_S3 = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")


class Blob(msgspec.Struct, frozen=True):
    """Where the bytes are, and their media type, in lower case; empty if it is not told."""

    media_type: str
    source: Source


def blob_of(url: str, param: str) -> Blob:
    """What ``url`` holds or points to.

    Raises:
        InvalidRequest: it is neither data (RFC 2397) nor in S3; ``param`` names it. Bedrock fetches from nowhere else.
    """
    scheme, colon, rest = url.partition(":")
    match scheme.lower():
        case "data":
            head, comma, data = rest.partition(",")
            if not comma:
                raise InvalidRequest("The data URL has no data.", param=param)
            media_type, *attributes = (field.strip().lower() for field in head.split(";"))
            if "base64" not in attributes:
                data = base64.b64encode(unquote_to_bytes(data)).decode()
            return Blob(media_type or "text/plain", {"bytes": checked(data, param)})
        case "s3" if colon and len(url) <= 1024 and _S3.fullmatch(url):
            return Blob("", {"s3Location": {"uri": url}})
        case "http" | "https":
            message = "The provider does not fetch addresses: send the data inline, as a data URL."
            raise InvalidRequest(message, param=param)
    raise InvalidRequest("This is neither a data URL nor an address in S3.", param=param)


def checked(data: str, param: str) -> str:
    """``data`` as base64 that Amazon reads: of the plain alphabet, in one line, padded.

    Raises:
        InvalidRequest: it is none, or empty.
    """
    if not data:
        raise InvalidRequest("The data is empty.", param=param)
    if _is_base64(data):
        return data
    data = _BLANK.sub("", data).replace("-", "+").replace("_", "/").rstrip("=")
    data += "=" * (-len(data) % 4)
    if not data or not _is_base64(data):
        raise InvalidRequest("The data is not base64.", param=param)
    return data


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except ValueError:  # also for text that is not ASCII
        return False
    return True
