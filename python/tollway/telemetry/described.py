"""An exception as the log shows it: type, message, frames and causes, but never a local variable's value."""

from traceback import walk_tb
from types import TracebackType

from tollway.errors import GatewayError

LONGEST_TEXT = 2_000
"""Characters of any one text in the log; a longer one is cut and says by how much."""

_FRAMES = 20
_CAUSES = 3
_MEMBERS = 5


def cut(text: str) -> str:
    """At most :data:`LONGEST_TEXT` characters of ``text``, and how many were left off."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} more characters)"


def described(error: BaseException, causes: int = _CAUSES) -> dict[str, object]:
    """``error`` as plain data: ``type``, ``message``, ``frames`` (``file:line function``, innermost last).

    ``cause`` holds what it was raised from (or while handling), ``members`` the first few of a group. The message
    of our own errors is the inside one.
    """
    shown: dict[str, object] = {"type": type(error).__qualname__, "message": _message(error)}
    if error.__traceback__ is not None:
        shown["frames"] = _frames(error.__traceback__)
    if isinstance(error, BaseExceptionGroup) and causes:
        shown["members"] = [described(member, causes - 1) for member in error.exceptions[:_MEMBERS]]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and causes:
        shown["cause"] = described(cause, causes - 1)
    return shown


def _message(error: BaseException) -> str:
    if isinstance(error, GatewayError):
        return error.inside
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  a broken __str__ must not hide the error it belongs to
        return f"<its message raised {type(broken).__name__}>"


def _frames(traceback: TracebackType) -> list[str]:
    frames = [
        f"{_place(frame.f_code.co_filename)}:{line} {frame.f_code.co_qualname}" for frame, line in walk_tb(traceback)
    ]
    return frames[-_FRAMES:]


def _place(filename: str) -> str:
    """The last three parts of a file's path: enough to find it, without where this machine keeps its files."""
    return "/".join(filename.rsplit("/", 3)[-3:])
