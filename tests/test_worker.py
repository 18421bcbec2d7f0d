"""A worker's beginning and end: the charge that it is given through a pipe, and how it drains."""

import asyncio
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import msgspec
import pytest
from granian.server.embed import Server
from starlette.routing import Router
from tests.fakes.gateway import KEY, config
from tests.fakes.telemetry import Recording

from tollway.app import Gateway
from tollway.charge import Charge, encode_charge, read_charge
from tollway.contract.snapshot import Snapshot
from tollway.control.billing.prices import PACKAGED, load_prices
from tollway.control.publish import publish
from tollway.health import Health
from tollway.proxy.boundary import InFlight
from tollway.settings import Settings, read
from tollway.worker import Drain


def settings() -> Settings:
    return read(msgspec.json.encode(config("postgresql://localhost/x", "http://127.0.0.1:9/v1")).decode(), {})


def charge(snapshot: Snapshot | None = None) -> Charge:
    known = settings()
    return Charge(
        3, known, snapshot or publish(known, load_prices(PACKAGED), 7), "postgresql://localhost/x", 12.5, "host-1"
    )


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with suppress(OSError):
            os.close(descriptor)


def write_in_pieces(descriptor: int, data: bytes, size: int) -> threading.Thread:
    def write() -> None:
        for at in range(0, len(data), size):
            os.write(descriptor, data[at : at + size])

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_a_charge_arrives_as_it_was_given_secrets_included(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, encode_charge(charge()))
    arrived = read_charge(reading)
    assert arrived == charge()
    provider = arrived.settings.providers["fake"]
    assert provider.api_key is not None
    assert provider.api_key.reveal() == "sk-upstream-canary-0123456789"
    assert arrived.snapshot.routes["m"].targets[0].provider.api_key == "sk-upstream-canary-0123456789"
    assert "canary" not in repr(arrived)
    assert KEY not in repr(arrived)


def test_a_charge_that_is_larger_than_the_pipe_arrives_in_pieces(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    known = publish(settings(), load_prices(PACKAGED), 7)
    ((_, record),) = known.file_keys
    many = tuple((number.to_bytes(32, "big"), record) for number in range(5_000))
    large = charge(msgspec.structs.replace(known, file_keys=many))
    assert len(encode_charge(large)) > 256 * 1024
    thread = write_in_pieces(writing, encode_charge(large), 10_007)
    assert read_charge(reading) == large
    thread.join()


def test_what_comes_behind_a_charge_stays_in_the_pipe(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, encode_charge(charge()) + b"more")
    read_charge(reading)
    assert os.read(reading, 10) == b"more"


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 100])
def test_a_supervisor_that_dies_before_it_has_said_all_is_told(pipe: tuple[int, int], length: int) -> None:
    reading, writing = pipe
    os.write(writing, encode_charge(charge())[:length])
    os.close(writing)
    with pytest.raises(EOFError, match="supervisor went away"):
        read_charge(reading)


def test_a_charge_of_another_version_is_refused(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    body = msgspec.msgpack.encode({"index": 0, "settings": {}})
    os.write(writing, struct.pack("<I", len(body)) + body)
    with pytest.raises(msgspec.ValidationError):
        read_charge(reading)


class Listening:
    """The part of Granian's server that a drain uses."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.stops = 0

    def stop(self) -> None:
        """Counts."""
        self.stops += 1
        self.stopped.set()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    async def nothing() -> None:
        return

    with closing(Recording(tmp_path / "log")) as recording:
        health = Health(lambda: None, lambda: "ok")
        yield Gateway(Router(), health, InFlight(), [], nothing, recording.log)


def call_under_way(gateway: Gateway, until: asyncio.Event) -> "asyncio.Task[None]":
    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        gateway.in_flight.add(task)
        try:
            await until.wait()
        finally:
            gateway.in_flight.remove(task)

    return asyncio.create_task(run())


def drain_of(gateway: Gateway, server: Listening, drain_s: float = 3600.0) -> Drain:
    return Drain(gateway, cast(Server, server), drain_s)


async def test_a_drain_says_so_at_once_and_stops_listening_when_the_last_call_has_ended(gateway: Gateway) -> None:
    server, may_end = Listening(), asyncio.Event()
    call = call_under_way(gateway, may_end)
    await asyncio.sleep(0)
    drain = drain_of(gateway, server)
    drain.begin(grace_s=0.0)
    assert gateway.health.draining
    await asyncio.sleep(0.02)
    assert server.stops == 0
    may_end.set()
    await server.stopped.wait()
    await call


async def test_a_drain_that_is_asked_for_twice_is_one(gateway: Gateway) -> None:
    server, may_end = Listening(), asyncio.Event()
    call = call_under_way(gateway, may_end)
    await asyncio.sleep(0)
    drain = drain_of(gateway, server)
    drain.begin(grace_s=0.0)
    drain.begin(grace_s=0.0)
    await asyncio.sleep(0.02)
    assert not call.done(), "the second signal of a service manager cuts nothing"
    may_end.set()
    await server.stopped.wait()
    await asyncio.sleep(0)
    assert server.stops == 1


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "in the middle of a drain"])
async def test_a_drain_that_is_hurried_cuts_the_calls_under_way(gateway: Gateway, begun: bool) -> None:
    server = Listening()
    call = call_under_way(gateway, asyncio.Event())
    await asyncio.sleep(0)
    drain = drain_of(gateway, server)
    if begun:
        drain.begin()
    drain.hurry()
    await server.stopped.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_drain_ends_at_its_time_whoever_is_still_served(gateway: Gateway) -> None:
    server = Listening()
    call = call_under_way(gateway, asyncio.Event())
    await asyncio.sleep(0)
    drain_of(gateway, server, drain_s=0.02).begin(grace_s=0.0)
    await server.stopped.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_what_runs_in_the_background_runs_again_after_a_defect(tmp_path: Path) -> None:
    runs = 0
    ran_again = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("a defect")
        ran_again.set()

    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    with closing(Recording(tmp_path / "log")) as recording:
        gateway = Gateway(Router(), Health(lambda: None, lambda: "ok"), InFlight(), [work], close, recording.log)
        gateway.start()
        await ran_again.wait()
        await gateway.close()
        assert closed.is_set()
        assert recording.events() == ["background_failed"]
