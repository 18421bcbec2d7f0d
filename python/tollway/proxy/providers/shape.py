"""What leaves for a target: the one place where a request meets the target's limits and its provider's accent.

In: a body in the dialect that the target is asked in, and whether it was translated. Out: the body that leaves, and the
names of the fields that were lost. A client's own chat passes untouched, but for what ``plain.mend`` puts right.
"""

from typing import Any

import msgspec

from tollway.contract.snapshot import Target
from tollway.errors import InvalidRequest
from tollway.proxy.providers.capabilities import Takes, overruled, takes_of
from tollway.proxy.providers.fit import fit
from tollway.proxy.providers.plain import mend, needs_plain, plain
from tollway.proxy.providers.presets import GOOGLES_DOOR, host_of, preset_of


class Shaped(msgspec.Struct, frozen=True):
    """A request as it leaves; ``warnings`` names fields of it that were dropped, changed or bounded."""

    body: bytes
    warnings: tuple[str, ...] = ()


def shape(body: bytes, target: Target, *, strict: bool = False) -> Shaped:
    """Shapes a chat that was translated into the hub.

    Raises:
        InvalidRequest: ``strict``, and the target can't take a field as it is; or the body is nested without end.
    """
    preset = preset_of(target.provider)
    # A provider with a dialect of its own has rows of its own; only what the operator says is left to hold it to.
    takes = takes_of(target) if preset is not None else overruled(Takes(), target.takes)
    asked, lost = fit(_decoded(body), takes)
    if preset is not None:
        asked, more = plain(asked, preset, keeps_extra=host_of(target.provider) == GOOGLES_DOOR)
        lost = list(dict.fromkeys(lost + more))
    if strict and lost:
        raise InvalidRequest("The provider of this model does not take this field, or not this value.", param=lost[0])
    return Shaped(msgspec.json.encode(asked), tuple(lost))


def mended(body: bytes, target: Target) -> bytes:
    """A client's own chat, for a target that speaks chat, too: the same bytes, but where they have to be put right.

    Raises:
        InvalidRequest: the body is nested without end.
    """
    preset = preset_of(target.provider)
    if preset is None or not needs_plain(body, preset):
        return body
    return msgspec.json.encode(mend(_decoded(body), preset))


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        asked = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is nested too deeply, or holds what is no JSON.") from None
    if not isinstance(asked, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return asked
