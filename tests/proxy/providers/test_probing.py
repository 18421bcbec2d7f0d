"""Active probes: who is asked, how often, with what proof, and what the board hears of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from tests.fakes.media import ServedMedia
from tests.fakes.scripts import Script, Step, status, whole
from tests.fakes.telemetry import Recording
from tests.fakes.upstream import FakeUpstream
from tests.proxy.edge import route, snapshot, target

from tollway._native.limits import Ledger
from tollway._native.routing import Board, BreakerPolicy, Change, Names
from tollway.contract.routing import Breaker, Probe
from tollway.contract.snapshot import (
    AwsCredentials,
    EntraCredentials,
    GoogleCredentials,
    ProviderAccess,
    ProviderKey,
    ProviderKind,
    Route,
    Target,
)
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.probing import MOST_AT_ONCE, READ_BYTES, Prober, Question, questions
from tollway.proxy.providers.registry import open_providers

QUICK = Probe(path="/health", every_s=0.02, timeout_s=5.0)
KEY = "sk-probe-canary-0123456789"
PEM = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"


def policy(breaker: Breaker) -> BreakerPolicy:
    """Opens after two failures in a row, for half a second."""
    return BreakerPolicy(
        consecutive=2,
        failure_permille=1000,
        minimum_calls=1000,
        window_ms=10_000,
        cooldown_ms=500,
        max_cooldown_ms=500,
        probes=1,
        slow_start_ms=0,
    )


def access(base_url: str, kind: ProviderKind = "openai", key: str | None = KEY, name: str = "fake") -> ProviderAccess:
    return ProviderAccess(name, kind, base_url, key)


def probed(access: ProviderAccess, model: str = "m-1", probe: Probe = QUICK) -> Target:
    return msgspec.structs.replace(target(model, access=access), probe=probe)


def asked(*routes: Route) -> list[Question]:
    """What a worker would ask."""
    known = snapshot(*routes)
    return questions(known, open_providers(known, HttpTransport(), ServedMedia()), policy)


class Host:
    """What the workers of one host share."""

    def __init__(self, directory: Path, recording: Recording) -> None:
        self.ledger = Ledger(str(directory / "ledger"), 1024)
        self.board = Board(self.ledger)
        self.recording = recording
        self.changes: list[tuple[str, str]] = []

    def changed(self, change: Change) -> None:
        """Keeps it."""
        self.changes.append((change.name, change.state))

    def states(self, *names: str) -> list[str]:
        """How targets stand."""
        return [found[1] for found in self.board.status(Names(names), time.time_ns() // 1_000_000)]

    @asynccontextmanager
    async def worker(self, asks: Sequence[Question]) -> AsyncIterator[Prober]:
        """One of them, while it runs."""
        with closing(HttpTransport()) as transport:
            made = Prober(asks, transport, self.board, self.changed, self.recording.log, chance=lambda: 0.0)
            running = asyncio.create_task(made.run())
            try:
                yield made
            finally:
                running.cancel()
                await asyncio.wait([running])
                assert running.cancelled(), "nothing else ends it"
        await asyncio.sleep(0)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(default=whole({"data": []})) as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, recording: Recording) -> Iterator[Host]:
    made = Host(tmp_path, recording)
    yield made
    made.ledger.close()


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds; a test that never gets there is ended by its time limit."""
    while not condition():  # noqa: ASYNC110 -- what is waited for is in shared memory
        await asyncio.sleep(0.005)


async def test_a_server_is_asked_again_and_again_by_its_key_and_on_one_connection(
    upstream: FakeUpstream, host: Host
) -> None:
    async with host.worker(asked(route("m", probed(access(upstream.base_url))))):
        await upstream.until(lambda: upstream.hits >= 3)
    seen = upstream.requests[0]
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/health", b"")
    assert seen.header("authorization") == f"Bearer {KEY}"
    assert (seen.header("content-length"), seen.header("content-type")) == (None, None)
    assert upstream.connections == 1
    assert host.changes == []


async def test_a_server_of_many_models_and_aliases_is_asked_once_for_all(upstream: FakeUpstream, host: Host) -> None:
    here = access(upstream.base_url)
    (question,) = asked(
        route("a", probed(here, "m-1"), probed(here, "m-2")), route("b", probed(here, "m-2")), route("c", target("m-3"))
    )
    assert [name for name, _ in question.targets] == ["fake/m-1", "fake/m-2"]
    upstream.default = status(503)
    async with host.worker([question]):
        await until(lambda: len(host.changes) == 2)
    assert host.changes == [("fake/m-1", "open"), ("fake/m-2", "open")]


@pytest.mark.parametrize("well", [200, 204, 302, 304])
async def test_any_status_below_400_is_well_and_no_redirect_is_followed(
    upstream: FakeUpstream, host: Host, well: int
) -> None:
    steps: tuple[Step, ...] = () if well in (204, 304) else (("send", b"{}"),)
    upstream.default = Script(well, (("location", upstream.base_url + "/elsewhere"),), steps)
    async with host.worker(asked(route("m", probed(access(upstream.base_url))))):
        await upstream.until(lambda: upstream.hits >= 4)
    assert {seen.path for seen in upstream.requests} == {"/v1/health"}
    assert host.changes == []


@pytest.mark.parametrize(
    "script",
    [
        status(500),
        status(404),
        Script(raw_head=b"", steps=(("rst",),)),
        Script(raw_head=b"", steps=(("hang",),)),
        Script(steps=(("send", b"{"), ("hang",)), framing="chunked"),
    ],
    ids=["500", "404", "reset", "hangs", "hangs in its body"],
)
async def test_a_server_that_is_not_well_opens_its_targets_and_the_log_says_so_once_without_the_key(
    upstream: FakeUpstream, host: Host, script: Script
) -> None:
    upstream.default = script
    impatient = Probe(every_s=0.02, timeout_s=0.1)
    async with host.worker(asked(route("m", probed(access(upstream.base_url), probe=impatient)))):
        await until(lambda: len(host.changes) == 1)
        await upstream.until(lambda: upstream.hits >= 4)
    assert host.changes[0] == ("fake/m-1", "open")
    lines = host.recording.lines()
    assert [(line["event"], line["provider"]) for line in lines] == [("probe_failed", "fake")]
    assert KEY not in json.dumps(lines)


async def test_a_server_out_of_reach_is_not_well(upstream: FakeUpstream, host: Host) -> None:
    nowhere = access("http://127.0.0.1:1/v1", name="gone")
    async with host.worker(asked(route("m", probed(nowhere)))):
        await until(lambda: host.changes == [("gone/m-1", "open")])
    assert host.states("gone/m-1") == ["open"]


async def test_a_target_that_is_open_comes_back_without_a_call(upstream: FakeUpstream, host: Host) -> None:
    upstream.default = status(503)
    async with host.worker(asked(route("m", probed(access(upstream.base_url))))):
        await until(lambda: host.states("fake/m-1") == ["open"])
        upstream.default = whole({"data": []})
        await until(lambda: host.states("fake/m-1") == ["closed"])
    assert host.changes[0] == ("fake/m-1", "open")
    assert host.changes[-1] == ("fake/m-1", "closed")
    assert host.recording.events() == ["probe_failed", "probe_answered"]


async def test_workers_of_one_host_ask_once_an_interval(upstream: FakeUpstream, host: Host) -> None:
    slow = Probe(every_s=60.0, timeout_s=5.0)
    asks = asked(route("m", probed(access(upstream.base_url), probe=slow)))
    async with host.worker(asks), host.worker(asks), host.worker(asks):
        await upstream.until(lambda: upstream.hits == 1)
        await asyncio.sleep(0.2)
    assert upstream.hits == 1


async def test_one_server_that_hangs_holds_up_no_other(upstream: FakeUpstream, host: Host) -> None:
    with FakeUpstream(default=Script(raw_head=b"", steps=(("hang",),))) as hanging:
        asks = asked(
            route("m", probed(access(upstream.base_url)), probed(access(hanging.base_url, name="hangs"), probe=QUICK))
        )
        async with host.worker(asks):
            await hanging.until(lambda: hanging.hits == 1)
            before = upstream.hits
            await upstream.until(lambda: upstream.hits >= before + 5)
        await hanging.until(lambda: len(hanging.aborts) == 1)
    assert host.changes == []


async def test_no_more_than_a_few_are_asked_at_the_same_time(upstream: FakeUpstream, host: Host) -> None:
    upstream.default = Script(raw_head=b"", steps=(("hang",),))
    many = [probed(access(upstream.base_url, name=f"p-{number}")) for number in range(MOST_AT_ONCE + 5)]
    async with host.worker(asked(route("m", *many))):
        await upstream.until(lambda: upstream.hits == MOST_AT_ONCE)
        await asyncio.sleep(0.1)
        assert upstream.hits == MOST_AT_ONCE


async def test_a_long_answer_is_read_in_part(upstream: FakeUpstream, host: Host) -> None:
    piece = bytes(READ_BYTES)
    upstream.default = Script(steps=tuple(("send", piece) for _ in range(200)), framing="chunked")
    async with host.worker(asked(route("m", probed(access(upstream.base_url))))):
        await upstream.until(lambda: len(upstream.aborts) >= 3)
    assert host.changes == []


async def test_where_one_key_is_refused_another_proves_that_the_server_is_well(
    upstream: FakeUpstream, host: Host
) -> None:
    upstream.default = lambda seen: status(401 if seen.header("authorization") == "Bearer bad" else 200)
    here = access(upstream.base_url, key="bad")
    keys = [msgspec.structs.replace(here, key_name=name, api_key=key) for name, key in (("a", "bad"), ("b", "good"))]
    several = msgspec.structs.replace(
        probed(msgspec.structs.replace(here, key_name="a")), keys=tuple(ProviderKey(key) for key in keys)
    )
    async with host.worker(asked(route("m", several))):
        await upstream.until(lambda: upstream.hits >= 8)
    assert {seen.header("authorization") for seen in upstream.requests} == {"Bearer bad", "Bearer good"}
    assert host.changes == []


@pytest.mark.parametrize(
    ("kind", "base_url", "version", "url", "proof"),
    [
        (
            "openai",
            "https://api.openai.com/v1",
            None,
            "https://api.openai.com/v1/models",
            ("authorization", "Bearer k"),
        ),
        ("ollama", "http://h:11434/v1", None, "http://h:11434/v1/models", ("authorization", "Bearer k")),
        ("anthropic", "https://api.anthropic.com", None, "https://api.anthropic.com/v1/models", ("x-api-key", "k")),
        ("anthropic", "https://h/v1", None, "https://h/v1/models", ("anthropic-version", "2023-06-01")),
        ("google", "https://g", None, "https://g/v1beta/models", ("x-goog-api-key", "k")),
        ("azure", "https://a/openai/v1", None, "https://a/openai/v1/models", ("api-key", "k")),
        ("azure", "https://a", "2024-10-21", "https://a/openai/models?api-version=2024-10-21", ("api-key", "k")),
        ("azure", "https://f/models", "v", "https://f/models/models?api-version=v", ("api-key", "k")),
    ],
)
def test_each_kind_is_asked_at_its_address_with_its_proof(
    kind: ProviderKind, base_url: str, version: str | None, url: str, proof: tuple[str, str]
) -> None:
    here = ProviderAccess("p", kind, base_url, "k", api_version=version)
    (question,) = asked(route("m", probed(here, probe=Probe())))
    (request,) = question.requests
    assert (request.method, request.url, request.body) == ("GET", url, b"")
    assert proof in request.headers
    assert "content-type" not in dict(request.headers)


def test_a_version_is_put_behind_what_a_path_asks_for() -> None:
    here = ProviderAccess("p", "azure", "https://a", "k", api_version="v")
    (question,) = asked(route("m", probed(here, probe=Probe(path="/x?y=1"))))
    assert question.requests[0].url == "https://a/openai/x?y=1&api-version=v"


def test_a_server_without_a_key_is_asked_without_one() -> None:
    (question,) = asked(route("m", probed(access("http://127.0.0.1:9/v1", "vllm", None))))
    assert question.requests[0].headers == []


@pytest.mark.parametrize(
    "here",
    [
        ProviderAccess("p", "simulator", "", None),
        ProviderAccess("p", "azure", "https://a", None, entra=EntraCredentials("https://t", "i", "s", "x")),
        ProviderAccess("p", "vertex", "https://v", None, google=GoogleCredentials("p", "l", "a@b", PEM, "https://t")),
        ProviderAccess("p", "bedrock", "https://b", None, aws=AwsCredentials("r", "i", "s")),
    ],
    ids=lambda access: access.kind,
)
def test_where_a_key_is_no_proof_nothing_is_asked(here: ProviderAccess) -> None:
    assert asked(route("m", probed(here))) == []


def test_targets_without_a_probe_are_left_alone() -> None:
    assert asked(route("m", target())) == []
