"""The feed: the snapshot that requests are served by, and which keys have changed."""

import pytest
from tests.fakes.telemetry import counted
from tests.proxy.edge import arrive, record, snapshot

from tollway._native import keys
from tollway.contract.keys import KeyChange, KeyRecord
from tollway.errors import Unauthenticated
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Principal
from tollway.proxy.feed import Feed
from tollway.telemetry.metrics import Metrics

LEARNT = keys.generate("live").encode()
PINNED = b"key of the file"


class Source:
    """A key source that counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def find(self, digest: bytes) -> KeyRecord | None:
        self.asked += 1
        return record() if digest == keys.digest(LEARNT) else None


async def identify(authenticator: Authenticator, secret: bytes) -> str:
    return (await authenticator.identify(arrive(headers={b"x-api-key": secret}))).principal.record.key_id


async def test_keys_of_the_file_are_known_from_the_start_and_the_version_is_told(metrics: Metrics) -> None:
    known = snapshot(file_keys=((keys.digest(PINNED), record(key_id="acme/ci")),))
    source = Source()
    authenticator = Authenticator(source, lambda found: Principal(found, None), metrics)
    with pytest.raises(Unauthenticated):
        await identify(authenticator, PINNED)
    feed = Feed(known, authenticator, metrics)
    assert feed.current() is known
    assert await identify(authenticator, PINNED) == "acme/ci"
    assert source.asked == 0
    assert counted(metrics, "tollway_snapshot_version") == {(): 1.0}


async def test_changes_and_missed_changes_make_keys_be_asked_anew(metrics: Metrics) -> None:
    known = snapshot(file_keys=((keys.digest(PINNED), record(key_id="acme/ci")),))
    source = Source()
    authenticator = Authenticator(source, lambda found: Principal(found, None), metrics)
    feed = Feed(known, authenticator, metrics)
    for number, forget in enumerate(
        (
            lambda: None,
            lambda: feed.key_changed(KeyChange(keys.digest(LEARNT), None)),
            lambda: feed.key_changed(KeyChange(None, "tenant-1")),
            feed.missed_changes,
        ),
        1,
    ):
        forget()
        assert [await identify(authenticator, LEARNT) for _ in range(2)] == ["key-1"] * 2
        assert await identify(authenticator, PINNED) == "acme/ci"
        assert source.asked == number


async def test_requests_that_begin_later_are_served_by_the_snapshot_that_is_followed(metrics: Metrics) -> None:
    feed = Feed(snapshot(), Authenticator(Source(), lambda found: Principal(found, None), metrics), metrics)
    later = snapshot()
    feed.follow(later)
    assert feed.current() is later
