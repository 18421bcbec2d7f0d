"""What a request says of the cache in its headers: ``x-tollway-cache``, and ``cache-control`` as HTTP has it.

Sources: RFC 9111, section 5.2.1 (request directives) and 5.2.3 (unknown ones are ignored).
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollway.errors import InvalidRequest

CACHE = b"x-tollway-cache"
"""The header in which a client says how its call may use the cache, and is told how it has."""

_CONTROL = b"cache-control"

Mode = Literal["use", "off", "refresh", "only"]
"""``use``: an answer that is kept serves, and one that is not is kept; ``off``: neither; ``refresh``: the model is
asked, and its answer is kept; ``only``: what is kept or nothing."""

_MODES: Mapping[bytes, Mode] = {b"off": "off", b"refresh": "refresh", b"only": "only"}

_MOST_AGE_S = 2**31
"""A larger number of seconds is this one (RFC 9111, section 1.2.2)."""


class Directives(msgspec.Struct, frozen=True):
    """How a call may use the cache. ``max_age_s``: nothing older serves."""

    mode: Mode = "use"
    max_age_s: int | None = None


PLAIN = Directives()
"""Of a call that says nothing."""


def directives(headers: Mapping[bytes, bytes]) -> Directives:
    """What a call says of the cache. Where its two headers differ, ``x-tollway-cache`` holds.

    Raises:
        InvalidRequest: ``x-tollway-cache`` has a value that is none of its three.
    """
    own, control = headers.get(CACHE), headers.get(_CONTROL)
    if own is None and control is None:
        return PLAIN
    said = PLAIN if control is None else _controlled(control)
    if own is None:
        return said
    mode = _MODES.get(own.strip().lower())
    if mode is None:
        name = CACHE.decode()
        raise InvalidRequest(f"The header {name} knows three values: off, refresh and only.", param=name)
    return Directives(mode, said.max_age_s)


def _controlled(control: bytes) -> Directives:
    said: dict[bytes, bytes] = {}
    for directive in control.lower().split(b","):
        name, _, value = directive.partition(b"=")
        said.setdefault(name.strip(), value.strip().strip(b'"'))
    max_age_s = _seconds(said[b"max-age"]) if b"max-age" in said else None
    if b"no-cache" in said:
        max_age_s = 0
    if b"only-if-cached" in said:
        return Directives("only", max_age_s)
    if b"no-store" in said:
        return Directives("off")
    if max_age_s == 0:
        return Directives("refresh", 0)
    return Directives("use", max_age_s)


def _seconds(value: bytes) -> int:
    """An age that can't be read is none that anything is younger than (RFC 9111, section 4.2.1)."""
    if not value.isdigit():
        return 0
    return min(int(value[:11]), _MOST_AGE_S)
