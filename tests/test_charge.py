"""Where the processes of one host meet, and what they leave there."""

from pathlib import Path

from tollway.charge import Places


def test_workers_that_there_are_no_more_leave_nothing(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.cache.mkdir()
    for name in ("worker-0", "worker-1", "worker-1.making", "worker-7", "other"):
        (places.cache / name).touch()
    places.discard_snapshots(1)
    assert sorted(path.name for path in places.cache.iterdir()) == ["other", "worker-0"]


def test_without_a_cache_nothing_is_discarded(tmp_path: Path) -> None:
    Places(tmp_path).discard_snapshots(0)
    assert list(tmp_path.iterdir()) == []
