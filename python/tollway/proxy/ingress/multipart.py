"""``multipart/form-data`` as it arrives: its parts, one after the other, read strictly.

In: a body's bytes in any pieces. Out: parts, their bytes, their ends. It holds no more than a part's head. What is
unusual is refused, not guessed at: a form that two readers take for two different things is how something walks past
a guardrail. Source: RFC 7578; RFC 2046, section 5.1; file names as HTML writes them (HTML Standard, "multipart form
data").
"""

import logging
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from tollway.errors import InvalidRequest

MOST_HEADERS = 8
MOST_HEADER_BYTES = 4096
"""Of one header of a part."""

_TYPE = re.compile(
    rb"multipart/form-data\s*((?:;\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:\"[^\"\\]*\"|[^\s\";,\\]+)\s*)*);?\s*",
    re.IGNORECASE,
)
_TYPE_PARAMETER = re.compile(rb";\s*([^=\s]+)=(?:\"([^\"]*)\"|([^\s\";]+))")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=?-](?:[0-9A-Za-z'()+_,./:=? -]{0,68}[0-9A-Za-z'()+_,./:=?-])?")
_DISPOSITION = re.compile(
    r"form-data((?:[ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\";,\\]+))*)[ \t]*;?[ \t]*",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r";[ \t]*([^=\s]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";]+))")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?:[ \t]*;[ \t]*[\x21-\x7e \t]{1,256})?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
_TEXT_CHARSETS = re.compile(r";[ \t]*charset=\"?(?:utf-8|us-ascii)\"?[ \t]*$", re.IGNORECASE)


class Part(msgspec.Struct, frozen=True):
    """The head of a part. One with a ``filename`` is a file."""

    name: str
    filename: str | None
    content_type: str | None
    begins_at: int
    """Where its bytes begin in the body, counted from 0."""


class End(msgspec.Struct, frozen=True):
    """The end of the part that was read last."""


Event = Part | bytes | End


def boundary_of(content_type: bytes) -> bytes | None:
    """The boundary that the header ``content-type`` names; ``None`` where the body is no form.

    Raises:
        InvalidRequest: it is a form of another kind, or its boundary is missing, twice there, or malformed.
    """
    if not content_type.strip().lower().startswith(b"multipart/"):
        return None
    whole = _TYPE.fullmatch(content_type.strip())
    if whole is None:
        raise InvalidRequest("The content-type of a form must be multipart/form-data with a boundary.")
    given = [quoted or bare for name, quoted, bare in _TYPE_PARAMETER.findall(whole[1]) if name.lower() == b"boundary"]
    if len(given) != 1 or not _BOUNDARY.fullmatch(given[0]):
        raise InvalidRequest("The content-type of a form must name one boundary of 1 to 70 characters (RFC 2046).")
    return bytes(given[0])


class FormReader:
    """Reads one form."""

    def __init__(self, boundary: bytes) -> None:
        self._events: list[Event] = []
        self._fed_bytes = 0
        self._name = b""
        self._value = b""
        self._value_ends_at = 0
        self._headers: dict[str, str] = {}
        self.has_ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_begin": self._begin_header,
                "on_header_field": self._take_name,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_head,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            max_header_count=MOST_HEADERS,
            max_header_size=MOST_HEADER_BYTES,
        )
        self._parser.logger = logging.Logger(__name__)  # its warnings quote bytes of the body
        self._parser.logger.disabled = True

    def feed(self, data: bytes) -> Sequence[Event]:
        """What ``data`` completes or continues.

        Raises:
            InvalidRequest: the form is malformed, or holds what no form should.
        """
        self._events = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            at = self._fed_bytes + max(0, getattr(error, "offset", 0))
            raise InvalidRequest(f"The form is malformed at byte {at}: it breaks RFC 7578.") from None
        self._fed_bytes += len(data)
        return self._events

    def finish(self) -> None:
        """The body is over.

        Raises:
            InvalidRequest: the form is not.
        """
        if not self.has_ended:
            raise InvalidRequest("The form ended before its last boundary.")

    def _begin(self) -> None:
        self._headers = {}

    def _begin_header(self) -> None:
        self._name = self._value = b""

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._value_ends_at = self._fed_bytes + end

    def _end_header(self) -> None:
        name = self._name.decode("ascii").lower()
        try:
            value = self._value.decode("utf-8").strip(" \t")
        except UnicodeDecodeError:
            raise InvalidRequest("A header of a part of the form is not UTF-8.") from None
        if name in self._headers:
            raise InvalidRequest("A part of the form has the same header twice.")
        if _CONTROL.search(value.replace("\t", " ")):
            raise InvalidRequest("A header of a part of the form holds a control character.")
        self._headers[name] = value

    def _end_head(self) -> None:
        self._events.append(_part(self._headers, self._value_ends_at + 4))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _end_part(self) -> None:
        self._events.append(End())

    def _end(self) -> None:
        self.has_ended = True


def _part(headers: dict[str, str], begins_at: int) -> Part:
    whole = _DISPOSITION.fullmatch(headers.get("content-disposition", ""))
    if whole is None:
        raise InvalidRequest("A part of the form lacks a well-formed content-disposition of form-data.")
    given: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(whole[1]):
        if name.lower() in given:
            raise InvalidRequest("A part of the form has the same parameter twice in its content-disposition.")
        given[name.lower()] = bare or _unquoted(quoted)
    if "name" not in given or not given["name"] or "name*" in given:
        raise InvalidRequest("A part of the form has no name.")
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in _PLAIN_ENCODINGS or "content-encoding" in headers:
        raise InvalidRequest("A part of the form is encoded; send its bytes as they are.", param=given["name"][:64])
    filename = _unprefixed(given["filename*"]) if "filename*" in given else given.get("filename")
    kind = headers.get("content-type")
    if kind is not None and (not _MEDIA_TYPE.fullmatch(kind) or kind.lower().startswith(("multipart/", "message/"))):
        raise InvalidRequest("A part of the form has no usable content-type.", param=given["name"][:64])
    if filename is None and kind is not None and "charset" in kind.lower() and not _TEXT_CHARSETS.search(kind):
        raise InvalidRequest("Texts of a form must be UTF-8.", param=given["name"][:64])
    return Part(given["name"], filename, kind, begins_at)


def _unquoted(text: str) -> str:
    """A quoted string: a backslash hides a quotation mark or itself, as curl writes them; else it is one (Windows)."""
    return re.sub(r"\\([\"\\])", r"\1", text)


def _unprefixed(text: str) -> str:
    """``UTF-8''a%20name`` (RFC 8187), as older clients write names beyond ASCII."""
    charset, _, encoded = text.partition("''")
    try:
        name = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        name = ""
    if charset.lower() != "utf-8" or not name or _CONTROL.search(name):
        raise InvalidRequest("A part of the form has a file name that is not UTF-8.")
    return name


def head_of(part: Part, boundary: bytes, *, is_first: bool) -> bytes:
    """The part's delimiter and head as they are written here: no name can break out of its quotation marks."""
    head = f'content-disposition: form-data; name="{_quoted(part.name)}"'
    if part.filename is not None:
        filename = re.split(r"[/\\]", part.filename)[-1]  # a name, never a path
        head += f'; filename="{_quoted(filename)}"'
    if part.content_type is not None:
        head += f"\r\ncontent-type: {part.content_type}"
    return (b"--" if is_first else b"\r\n--") + boundary + b"\r\n" + head.encode() + b"\r\n\r\n"


def _quoted(name: str) -> str:
    """As HTML writes names: a quotation mark as ``%22``; line ends can't come here. A backslash escapes for some."""
    return name.replace('"', "%22").replace("\\", "%5C")
