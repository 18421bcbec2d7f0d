"""What the sections of the file mean where it says nothing, and what they refuse."""

import pytest

from tollway.settings import BadConfiguration, read


def test_a_journal_has_a_bound_a_window_and_refuses_when_it_is_full() -> None:
    journal = read("version: 1", {}).storage.journal
    assert (journal.max_bytes, journal.sync_s, journal.when_full) == (2**30, 1.0, "refuse")
    written = "version: 1\nstorage: {journal: {max_size: 2GiB, sync: 100ms, when_full: drop}}"
    journal = read(written, {}).storage.journal
    assert (journal.max_bytes, journal.sync_s, journal.when_full) == (2 * 2**30, 0.1, "drop")


def test_usage_is_kept_for_ever_unless_it_is_said_for_how_long() -> None:
    kept = read("version: 1", {}).storage.retention
    assert (kept.usage_s, kept.hourly_s, kept.daily_s) == (None, None, None)
    kept = read("version: 1\nstorage: {retention: {usage: 400d, hourly: 800d, daily: null}}", {}).storage.retention
    assert (kept.usage_s, kept.hourly_s, kept.daily_s) == (400 * 86_400, 800 * 86_400, None)


@pytest.mark.parametrize(
    "storage",
    [
        "{journal: {max_size: 1MiB}}",
        "{journal: {sync: 100}}",
        "{journal: {sync: 2m}}",
        "{journal: {when_full: block}}",
        "{retention: {usage: 1h}}",
        "{retention: {rows: 400d}}",
    ],
)
def test_what_can_not_be_is_a_fault(storage: str) -> None:
    with pytest.raises(BadConfiguration):
        read(f"version: 1\nstorage: {storage}", {})
