"""Every recorded answer is metered as its provider meant it, in passage and translated, whole and streamed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.test_cells import Cell, cells
from tests.fakes.meant import Usage
from tests.fakes.records import needs_records
from tests.fakes.replaying import Replaying
from tests.fakes.sdks import OwnSdk

AT_ONCE = 6
OTHERS = 10
"""Of a chat that is translated for another client so many are tried: what is metered is the chat, whoever asks."""

pytestmark = needs_records

Counts = tuple[str, int, int, int, int]
"""The alias; prompt, completion, cached and reasoning tokens."""


@pytest.fixture(scope="module")
def own() -> Iterator[OwnSdk]:
    with OwnSdk.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("metered")) as running:
        yield running


def is_native(cell: Cell) -> bool:
    return cell.client == "chat" or cell.operation == cell.client


def test_a_row_holds_what_the_provider_meant(own: OwnSdk, replaying: Replaying) -> None:
    tried = [
        (f"{cell}.{record.id}", cell.client, record)
        for cell in cells()
        for record in (cell.records if is_native(cell) else cell.records[:OTHERS])
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda each: replaying.ask(each[1], each[2], request_id=each[0]), tried))
    rows = {row["request_id"]: row for row in replaying.gateway.wait_for_rows(len(tried))}
    wrong = []
    for name, _, record in tried:
        meant, row = own.meant(record), rows[name]
        if meant.error is not None:
            assert row["status"] == "error", name
            continue
        assert row["status"] == "ok", name
        assert row["cost"] is not None, name
        counts = Usage(
            row["prompt_tokens"],
            row["completion_tokens"],
            row["prompt_tokens"] + row["completion_tokens"],
            row["cached_tokens"],
            row["reasoning_tokens"],
        )
        if meant.usage == Usage() and row["usage_source"] == "counted":
            assert counts.prompt > 0, name
        elif (row["usage_source"], counts) != ("told", meant.usage):
            wrong.append(f"{name}: {meant.usage} but {row['usage_source']} {counts}")
    assert wrong == [], "\n".join([str(len(wrong)), *wrong[:20]])
