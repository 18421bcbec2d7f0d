"""The spool: what was written is read again, nothing has a name, and its room is given back."""

import errno
import os
from pathlib import Path

import pytest

from tollway.errors import RateLimited, ServerBusy
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.spool import BATCH_BYTES, Spool

DATA = bytes(range(256)) * 6000


def spool(directory: Path | None, intake: Intake | None = None) -> Spool:
    return Spool(directory, (intake or Intake()).room("t"))


async def test_what_was_written_is_read_in_pieces_from_any_place(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    for at in range(0, len(DATA), 50_000):
        await kept.write(DATA[at : at + 50_000])
    await kept.flush()
    assert kept.size_bytes == len(DATA) > BATCH_BYTES
    for start, end in ((0, len(DATA)), (5, 6), (700_000, 1_300_000), (9, 9)):
        assert b"".join([piece async for piece in kept.read(start, end)]) == DATA[start:end]
    assert os.listdir(tmp_path) == [], "it has no name, so nothing can be left"
    kept.close()


async def test_the_room_of_a_closed_file_is_free_again(tmp_path: Path) -> None:
    intake = Intake(total_bytes=100, tenant_bytes=100)
    kept = spool(tmp_path, intake)
    await kept.write(b"x" * 60)
    with pytest.raises(RateLimited):
        await kept.write(b"x" * 60)
    assert intake.held_bytes == 60
    kept.close()
    kept.close()
    assert intake.held_bytes == 0


async def test_a_full_disk_is_told_as_a_lack_of_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    kept = spool(tmp_path)
    await kept.write(b"x")
    with pytest.raises(ServerBusy, match="no room"):
        await kept.flush()
    kept.close()


async def test_a_file_that_is_closed_under_its_reader_is_no_silence(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    with pytest.raises(ServerBusy):
        await anext(aiter(kept.read(0, 10)))
    kept.close()
