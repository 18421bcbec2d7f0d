"""Questions of the gateway's own: bounded, over kept connections, and to the next target where one fails."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.fakes.gateway import free_port
from tests.fakes.media import ServedMedia
from tests.fakes.scripts import Script, hang, whole
from tests.fakes.upstream import FakeUpstream
from tests.proxy.edge import record, route, snapshot, target

from tollway.contract.snapshot import ProviderAccess, Target
from tollway.errors import DependencyUnavailable, UpstreamBroken, UpstreamError, UpstreamUnreachable
from tollway.proxy.own_calls import OwnCall
from tollway.proxy.providers.asking import Asking, Embedding, Moderating
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.registry import open_providers


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    made.close()
    await asyncio.sleep(0)


async def test_a_question_is_a_post_and_its_answer_a_status_and_a_body(transport: HttpTransport) -> None:
    with FakeUpstream(default=whole({"fine": True}, status=418)) as upstream:
        origin = upstream.base_url.removesuffix("/v1")
        said = await Asking(transport).ask(f"{origin}?a=b", [("x-one", "1")], b"{}", 100)
        assert said == (418, b'{"fine": true}')
        [seen] = upstream.requests
        assert (seen.method, seen.body, seen.header("x-one")) == ("POST", b"{}", "1")
        assert (await Asking(transport).ask(f"{origin}/path", [], b"{}", 100))[0] == 418
        assert upstream.connections == 1


async def test_an_answer_that_is_too_long_is_none_and_its_connection_is_cut(transport: HttpTransport) -> None:
    with FakeUpstream(default=whole(b"x" * 101)) as upstream:
        with pytest.raises(UpstreamBroken):
            await Asking(transport).ask(upstream.base_url, [], b"{}", 100)
        assert await Asking(transport).ask(upstream.base_url, [], b"{}", 101) == (200, b"x" * 101)


async def test_who_can_not_be_reached_is_an_error(transport: HttpTransport) -> None:
    with pytest.raises(UpstreamUnreachable):
        await Asking(transport).ask(f"http://127.0.0.1:{free_port()}", [], b"{}", 100)


FLAGGED = whole({"results": [{"flagged": True}]})


def moderating(transport: HttpTransport, *targets: Target) -> Moderating:
    known = snapshot(route("moderator", *targets))
    return Moderating(known, open_providers(known, transport, ServedMedia()))


def at(upstream: FakeUpstream, name: str, model: str, tier: int = 1) -> Target:
    access = ProviderAccess(name, "openai", upstream.base_url, f"sk-{name}-canary")
    return msgspec.structs.replace(target(access=access), model=model, tier=tier)


async def test_an_alias_is_asked_for_moderations_with_its_models_name(transport: HttpTransport) -> None:
    with FakeUpstream({"omni": FLAGGED}) as upstream:
        status, _ = await moderating(transport, at(upstream, "one", "omni")).moderate("moderator", b'{"input":[]}', 999)
        [seen] = upstream.requests
        assert (status, seen.path, seen.json) == (200, "/v1/moderations", {"model": "omni", "input": []})
        assert seen.header("authorization") == "Bearer sk-one-canary"


@pytest.mark.parametrize("status", [500, 503, 429, 401, 403])
async def test_the_next_target_is_asked_where_one_has_a_fault_of_its_own(status: int, transport: HttpTransport) -> None:
    with FakeUpstream({"bad": whole({}, status=status), "good": FLAGGED}) as upstream:
        asked = moderating(transport, at(upstream, "two", "good", 2), at(upstream, "one", "bad", 1))
        assert (await asked.moderate("moderator", b'{"input":[]}', 999))[0] == 200
        assert [seen.model for seen in upstream.requests] == ["bad", "good"]


async def test_a_refusal_of_the_question_is_the_answer(transport: HttpTransport) -> None:
    with FakeUpstream({"bad": whole({}, status=400), "good": FLAGGED}) as upstream:
        asked = moderating(transport, at(upstream, "one", "bad", 1), at(upstream, "two", "good", 2))
        assert (await asked.moderate("moderator", b'{"input":[]}', 999))[0] == 400


async def test_where_all_fail_the_last_one_is_the_answer(transport: HttpTransport) -> None:
    with FakeUpstream({"cut": Script(raw_head=b"", steps=(("rst",),)), "bad": whole({}, status=500)}) as upstream:
        asked = moderating(transport, at(upstream, "one", "bad", 1), at(upstream, "two", "cut", 2))
        assert (await asked.moderate("moderator", b'{"input":[]}', 999))[0] == 500
        with pytest.raises(UpstreamError):
            await moderating(transport, at(upstream, "two", "cut")).moderate("moderator", b'{"input":[]}', 999)


async def test_an_alias_that_nobody_answers_for_is_an_error(transport: HttpTransport) -> None:
    access = ProviderAccess("claude", "anthropic", "http://127.0.0.1:9", "sk")
    with pytest.raises(UpstreamUnreachable):
        await moderating(transport, target(access=access)).moderate("moderator", b'{"input":[]}', 999)
    with pytest.raises(UpstreamUnreachable):
        await moderating(transport).moderate("another", b'{"input":[]}', 999)


class Books:
    """Notes what is written down."""

    def __init__(self) -> None:
        self.calls: list[OwnCall] = []
        self.is_full = False

    def check_room(self) -> None:
        """Until it is full."""
        if self.is_full:
            raise DependencyUnavailable("No room.", inside="full")

    def record(self, call: OwnCall) -> None:
        """Notes it."""
        self.calls.append(call)


EMBEDDED = whole({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}})
QUESTION = b'{"input":"a question"}'


def embedding(transport: HttpTransport, books: Books, *targets: Target) -> Embedding:
    known = snapshot(route("ours", *targets))
    return Embedding(known, open_providers(known, transport, ServedMedia()), books)


async def test_an_alias_is_asked_for_embeddings_and_the_call_written_down(transport: HttpTransport) -> None:
    books = Books()
    with FakeUpstream({"embed": EMBEDDED}) as upstream:
        asked = embedding(transport, books, at(upstream, "one", "embed"))
        assert asked.model("ours") == "embed"
        status, body = await asked.embed("ours", QUESTION, 999, record())
        [seen] = upstream.requests
        assert (status, seen.path, seen.json) == (200, "/v1/embeddings", {"model": "embed", "input": "a question"})
    [call] = books.calls
    assert (call.alias, call.target.name, call.operation, call.prompt_bytes) == ("ours", "one/embed", "embeddings", 22)
    assert (call.status, call.body, call.record) == (200, body, record())
    assert call.at_us > 0


async def test_only_targets_of_one_model_are_asked_for_embeddings(transport: HttpTransport) -> None:
    books = Books()
    with FakeUpstream(default=whole({}, status=500)) as upstream:
        targets = [
            at(upstream, "one", "embed", 1),
            at(upstream, "two", "another", 2),
            at(upstream, "three", "embed", 3),
        ]
        assert (await embedding(transport, books, *targets).embed("ours", QUESTION, 999, record()))[0] == 500
        assert [seen.header("authorization") for seen in upstream.requests] == [
            "Bearer sk-one-canary",
            "Bearer sk-three-canary",
        ]
    assert [(call.target.name, call.status) for call in books.calls] == [("one/embed", 500), ("three/embed", 500)]


async def test_a_call_that_is_given_up_is_written_down_if_it_had_left(transport: HttpTransport) -> None:
    books = Books()
    with FakeUpstream({"embed": hang()}) as upstream:
        asked = embedding(transport, books, at(upstream, "one", "embed"))
        asking = asyncio.create_task(asked.embed("ours", QUESTION, 999, record()))
        await upstream.until(lambda: upstream.hits == 1)
        asking.cancel()
        await asyncio.wait([asking])
    [call] = books.calls
    assert (call.status, call.body) == (0, None)


async def test_what_never_left_is_not_written_down(transport: HttpTransport) -> None:
    books = Books()
    nobody = ProviderAccess("none", "openai", f"http://127.0.0.1:{free_port()}/v1", "sk-none-canary")
    with pytest.raises(UpstreamUnreachable):
        await embedding(transport, books, target("embed", access=nobody)).embed("ours", QUESTION, 999, record())
    assert books.calls == []


async def test_a_long_answer_of_embeddings_is_cut_and_written_down(transport: HttpTransport) -> None:
    books = Books()
    with FakeUpstream({"embed": whole(b"x" * 1_001)}) as upstream:
        with pytest.raises(UpstreamBroken):
            await embedding(transport, books, at(upstream, "one", "embed")).embed("ours", QUESTION, 1_000, record())
    assert [call.body for call in books.calls] == [None]


async def test_nobody_is_asked_for_what_could_not_be_written_down(transport: HttpTransport) -> None:
    books = Books()
    books.is_full = True
    with FakeUpstream({"embed": EMBEDDED}) as upstream:
        with pytest.raises(DependencyUnavailable):
            await embedding(transport, books, at(upstream, "one", "embed")).embed("ours", QUESTION, 999, record())
        assert upstream.hits == 0


async def test_an_alias_without_embeddings_has_no_model_for_them(transport: HttpTransport) -> None:
    access = ProviderAccess("claude", "anthropic", "http://127.0.0.1:9", "sk")
    asked = embedding(transport, Books(), target(access=access))
    assert (asked.model("ours"), asked.model("another")) == (None, None)
    with pytest.raises(UpstreamUnreachable):
        await asked.embed("ours", QUESTION, 999, record())
