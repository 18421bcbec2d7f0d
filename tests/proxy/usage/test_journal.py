"""The worker's end of the journal."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tollway.contract.usage import UsageRow
from tollway.errors import DependencyUnavailable
from tollway.proxy.usage.journal import Journal
from tollway.storage.segments import HEADER_BYTES, SEGMENT_BYTES, SegmentReader, segments


def row(number: int, **changes: object) -> UsageRow:
    plain = UsageRow(
        id=f"id-{number:09d}",
        request_id=f"request-{number}",
        at_us=1_700_000_000_000_000 + number,
        tenant_id="acme",
        api_key_id="ci",
        user_id=None,
        model="m",
        provider="fake",
        provider_model="m-1",
        prompt_tokens=10,
        completion_tokens=5,
        cached_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        cost_picousd=15,
        price_version="test",
        usage_source="told",
        outcome="ok",
        http_status=200,
        stream=False,
        latency_ms=3,
        first_token_ms=None,
        attempts=1,
    )
    return msgspec.structs.replace(plain, **changes)


def rows_in(directory: Path) -> list[UsageRow]:
    found = []
    for path in segments(directory):
        reader = SegmentReader(path)
        found += [msgspec.msgpack.decode(data or b"", type=UsageRow) for _, data in reader.records(HEADER_BYTES)]
        reader.close()
    return found


def test_rows_are_on_disk_as_soon_as_they_are_appended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(row(1))
    journal.append(row(2, cost_picousd=None, price_version=None, first_token_ms=12))
    assert rows_in(tmp_path) == [row(1), row(2, cost_picousd=None, price_version=None, first_token_ms=12)]
    journal.close()


def test_a_full_segment_is_followed_by_the_next_and_no_row_is_lost_between_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    rows = [row(number, request_id="x" * 1000) for number in range(9_000)]
    for each in rows:
        journal.append(each)
    assert len(segments(tmp_path)) >= 3
    assert rows_in(tmp_path) == rows
    journal.close()


def wait_until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


def wait_until_full(journal: Journal) -> None:
    wait_until(lambda: journal.full)


async def test_a_full_journal_refuses_new_calls_until_there_is_room(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=1)
    journal.check_room()
    measuring = asyncio.create_task(journal.measure())
    await asyncio.wait_for(asyncio.to_thread(wait_until_full, journal), 10)
    with pytest.raises(DependencyUnavailable, match="can't be recorded"):
        journal.check_room()
    measuring.cancel()
    journal.close()


async def test_a_journal_that_fills_says_so_before_it_is_full(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=SEGMENT_BYTES)
    told: list[str] = [journal.standing]
    measuring = asyncio.create_task(journal.measure())
    await asyncio.wait_for(asyncio.to_thread(wait_until, lambda: journal.filling), 10)
    told.append(journal.standing)
    journal.check_room()
    assert told == ["ok", "filling"]
    measuring.cancel()
    journal.close()


async def test_where_calls_go_before_rows_a_full_journal_drops_rows_and_counts_them(tmp_path: Path) -> None:
    dropped: list[int] = []
    journal = Journal(tmp_path, max_bytes=1, drop=lambda: dropped.append(1))
    journal.append(row(1))
    measuring = asyncio.create_task(journal.measure())
    await asyncio.wait_for(asyncio.to_thread(wait_until_full, journal), 10)
    journal.check_room()
    journal.append(row(2))
    assert (rows_in(tmp_path), len(dropped), journal.standing) == ([row(1)], 1, "dropping")
    measuring.cancel()
    journal.close()
