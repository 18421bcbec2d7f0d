"""However a provider's stream is cut and framed, a client of any dialect is given the same.

All sizes are tried in process, beside each dialect; here a few go over real sockets and through a whole gateway.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from tests.e2e.test_cells import Cell, cells
from tests.fakes.records import Record, needs_records
from tests.fakes.replaying import Replaying, as_told_to
from tests.fakes.scripts import Chunking
from tests.fakes.sdks import OwnSdk

SIZES: tuple[Chunking, ...] = (1, 2, 3, 5, 13, 64, "merged", "crlf", "comments", "lines", "unterminated")
LONGEST_BYTES = 24_000
AT_ONCE = 6

pytestmark = needs_records

STREAMED = [cell for cell in cells() if cell.stream]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnSdk]:
    with OwnSdk.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("cuts")) as running:
        yield running


def sample(cell: Cell) -> list[Record]:
    """Three of its streams at most: the shortest one with calls, the shortest one that thinks, the shortest of all."""
    found = sorted((record for record in cell.records if record.is_sse), key=lambda record: len(record.body))
    found = [record for record in found if len(record.body) <= LONGEST_BYTES]
    chosen = []
    for tags in ({"tool_call"}, {"thinking", "reasoning_text"}, set(found[0].tags) if found else set()):
        tagged = [record for record in found if not tags or tags & set(record.tags)]
        chosen += [record for record in tagged[:1] if record not in chosen]
    return chosen


@pytest.mark.parametrize("cell", STREAMED, ids=str)
def test_the_framing_of_a_stream_changes_nothing(cell: Cell, own: OwnSdk, replaying: Replaying) -> None:
    tried = list(product(sample(cell), SIZES))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        given = list(threads.map(lambda each: replaying.ask(cell.client, *each), tried))
    for (record, size), got in zip(tried, given, strict=True):
        assert got == as_told_to(cell.client, own.meant(record), record.operation), (record.id, size)
