"""How answers lie in Redis: under which keys, and what tells one that was removed from one that was not.

Removals are numbered by Redis. An answer bears a mark: the highest number that its filler knew when the call began, and
the name of Redis's memory at that time. The removals of a tenant's answers are kept in one value, those of everybody's
in another; both are read together with a body, and a body whose mark is below a removal that means it is gone for
everybody at the moment when the removal has its number. To delete it is tidiness.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

from tollway.contract.cache import Selection

STREAM = "tollway:cache:entries"
NUMBERS = "tollway:cache:removals"
REMOVED = "tollway:cache:removed"
TRIMMING = "tollway:cache:trimming"

LONGEST_MS = 30 * 86_400_000
"""No answer stays in Redis for longer, whatever its policy says, and every removal does."""

MOST_REMOVED_BYTES = 4_096
"""What does not fit into a value of removals becomes one removal of all that they could mean."""

MARK_BYTES = 16

REMOVE = f"""
local number = redis.call('INCR', KEYS[2])
local removed = redis.call('GET', KEYS[1])
if ARGV[2] == '1' or #(removed or '') + #ARGV[1] + 12 > {MOST_REMOVED_BYTES} then
  removed = struct.pack('>I8', number)
else
  removed = (removed or struct.pack('>I8', 0)) .. struct.pack('>I8I4', number, #ARGV[1]) .. ARGV[1]
end
redis.call('SET', KEYS[1], removed, 'PX', {LONGEST_MS + 86_400_000})
local said = {{'number', number, 'removed', ARGV[1], 'by', ARGV[4]}}
return {{number, redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', unpack(said))}}
"""
"""Keys: a value of removals, the counter, the stream. Arguments: a sealed selection, whether it means all that the
value is for, the stream's length, who says so. Answers with the number and the stream's id of it."""

SWEEP = """
for _, key in ipairs(KEYS) do
  local number = redis.call('GETRANGE', key, 8, 15)
  if #number == 8 and struct.unpack('>I8', number) < tonumber(ARGV[1]) then redis.call('UNLINK', key) end
end
"""
"""Keys: bodies. Argument: the number of a removal. Deletes those that were filled without knowing of it."""


class Mark(NamedTuple):
    """What its filler knew when an answer's call began."""

    memory: bytes
    number: int

    def packed(self) -> bytes:
        """In :data:`MARK_BYTES`: eight that stand for the memory, then the number."""
        return self.digest + struct.pack(">Q", self.number)

    @property
    def digest(self) -> bytes:
        """Eight bytes that stand for the memory's name."""
        return hashlib.sha256(self.memory).digest()[:8]


def unpacked(packed: bytes) -> tuple[bytes, int]:
    """The digest of a memory's name, and a number.

    Raises:
        ValueError: these bytes are no mark.
    """
    if len(packed) != MARK_BYTES:
        raise ValueError("not a mark")
    return packed[:8], int.from_bytes(packed[8:])


class Removals(NamedTuple):
    """A value of removals: all with a mark below ``all_below``, and some that are sealed, with their numbers."""

    all_below: int
    some: tuple[tuple[int, bytes], ...]


NONE_REMOVED = Removals(0, ())


def read_removals(value: bytes | None) -> Removals:
    """What a value says; of none: nothing was removed.

    Raises:
        ValueError: it is no such value.
    """
    if value is None:
        return NONE_REMOVED
    if len(value) < 8:
        raise ValueError("not removals")
    return Removals(int.from_bytes(value[:8]), tuple(_records(value, 8)))


def _records(value: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(value):
        if at + 12 > len(value):
            raise ValueError("not removals")
        number, length = struct.unpack_from(">QI", value, at)
        at += 12 + length
        if at > len(value):
            raise ValueError("not removals")
        yield number, value[at - length : at]


def tenant_prefix(tenant_id: str) -> str:
    """What all keys of a tenant begin with."""
    return f"tollway:cache:{{{hashlib.sha256(tenant_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}}}:"


def body_key(tenant_id: str, key: bytes) -> str:
    """Where the body of an answer lies."""
    return tenant_prefix(tenant_id) + key.hex()


def removed_key(tenant_id: str | None) -> str:
    """Where a tenant's removals are kept; ``None``: those that are nobody's in particular."""
    return REMOVED if tenant_id is None else tenant_prefix(tenant_id) + "removed"


def is_whole(selection: Selection) -> bool:
    """Whether it means all that its value of removals is for."""
    return selection == Selection(tenant_id=selection.tenant_id)
