"""Station 8: one row a call that reached a provider, whatever way it ended; none and nothing reserved otherwise."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.scripts import completion, deltas
from tests.fakes.telemetry import Recording, counted
from tests.proxy.edge import PRICE, arrive, ask, dispatched, record, route, target
from tests.proxy.usage.test_journal import rows_in

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway._native.limits import Admission, Ledger
from tollway._native.sse import Relay
from tollway.contract.guardrails import Found
from tollway.contract.limits import LimitValues
from tollway.contract.prices import Price, Tariff, TenantPrices
from tollway.contract.snapshot import Route
from tollway.contract.usage import Costs, Outcome, Try, UsageRole, UsageRow
from tollway.errors import DependencyUnavailable, UpstreamBroken, UpstreamTimeout
from tollway.proxy.exchange import Admitted, Principal, Progress, Recalled, Relayed, Tried
from tollway.proxy.limits.book import compile_principal
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.price import MOST_PICOUSD
from tollway.proxy.usage.settle import MOST_TRIES, Account, Bookkeeper
from tollway.proxy.usage.used import INLINE_COUNT_BYTES
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.metrics import Metrics

HELLO_TOKENS = 8
"""Of a request that says "Hi": one token, 3 for the message, 1 for its role, 3 for the reply."""


class Books:
    """A bookkeeper with all that it writes to."""

    def __init__(self, directory: Path, recording: Recording, metrics: Metrics) -> None:
        self.directory = directory / "journal"
        self.directory.mkdir()
        self.journal = Journal(self.directory)
        self.ledger = Ledger(directory / "ledger", 1024)
        self.recording = recording
        self.metrics = metrics
        self.keeper = Bookkeeper(
            self.journal, Vocabularies(), recording.log, metrics, lambda trail: {"attempts": len(trail.tried)}
        )
        self.caller: Principal = compile_principal(
            record(tenant_limits=LimitValues(rpm=100, tpm=10_000, concurrency=5)), LimitValues()
        )

    def admitted(self, *, stream: bool = False, model: str = "m", text: str = "Hi") -> Admitted:
        """A call with 1000 tokens, a request and a slot reserved."""
        assert self.caller.limits is not None
        reservation = self.ledger.admit(self.caller.limits, 900, 100, time.time_ns() // 1_000_000)
        assert isinstance(reservation, Admission)
        request = ask(model, stream=stream, messages=[{"role": "user", "content": text}])
        return Admitted(arrive(), self.caller, request, reservation)

    def used(self) -> dict[str, int]:
        """What the ledger counts now, by kind."""
        assert self.caller.limits is not None
        standing = self.ledger.status(self.caller.limits, time.time_ns() // 1_000_000)
        return {kind: limit - left for kind, limit, left, _ in standing}

    def rows(self) -> list[UsageRow]:
        """The journal."""
        return rows_in(self.directory)

    def close(self) -> None:
        """Lets go of all."""
        self.journal.close()
        self.ledger.close()


@pytest.fixture
def books(tmp_path: Path, recording: Recording, metrics: Metrics) -> Iterator[Books]:
    made = Books(tmp_path, recording, metrics)
    yield made
    made.close()


def leave(account: Account, way: Route | None = None, status: int = 200) -> Progress:
    """Station 6: the call is out, and a head has come."""
    way = way or route("m", target("gpt-4o"))
    account.progress.planned(way, way.targets[0])
    account.progress.sent()
    account.progress.trail.tried.append(Tried("m", "fake/m", "", 0))
    account.progress.http_status = status
    return account.progress


def read_whole(progress: Progress, answer: Any) -> None:
    progress.answer = chat.read_answer(json.dumps(answer).encode())


def read_stream(progress: Progress, *texts: str, usage: tuple[int, int] | None, finished: bool = True) -> None:
    chunks = deltas(*texts, usage=usage)
    progress.reader = Relay(False)
    for chunk in chunks if finished else chunks[: 1 + len(texts)]:
        progress.reader.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def without_usage(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name != "usage"}


async def interrupt(
    books: Books,
    admitted: Admitted,
    error: BaseException,
    *,
    gone: bool = False,
    before: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """A call that has left and is cut short by ``error``."""
    admitted.arrival.connection.gone = gone
    try:
        with books.keeper.account(admitted) as account:
            before(leave(account, status=0))
            raise error
    except type(error):
        pass


async def settle(account: Account, admitted: Admitted, outcome: Outcome = "ok", status: int = 200) -> UsageRow:
    return (await account.settle(Relayed(admitted.arrival, status, None, b"", outcome))).row


async def test_a_told_answer_becomes_a_row_field_by_field(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        progress.first_piece_ns = 12_900_000
        answer = completion(prompt=7, answer=3)
        answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
        answer["usage"]["completion_tokens_details"] = {"reasoning_tokens": 2}
        read_whole(progress, answer)
        row = await settle(account, admitted)
    assert books.rows() == [row]
    assert (row.id, row.request_id) == ("id-1", "request-1")
    assert (row.tenant_id, row.api_key_id, row.user_id) == ("tenant-1", "key-1", None)
    assert (row.model, row.provider, row.provider_model) == ("m", "fake", "gpt-4o")
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.reasoning_tokens) == (7, 3, 4, 2)
    assert (row.cost_picousd, row.price_version) == (7 * PRICE.input + 3 * PRICE.output, "test")
    assert (row.usage_source, row.outcome, row.http_status, row.stream) == ("told", "ok", 200, False)
    assert (row.at_us, row.first_token_ms, row.attempts) == (progress.dispatched_at_us, 12, 1)
    assert books.used() == {"requests": 1, "tokens": 10, "concurrency": 0}


async def test_the_callers_notes_become_tags_and_a_lone_call_is_not_told_twice(books: Books) -> None:
    admitted = books.admitted()
    admitted.arrival.headers[b"x-tollway-metadata"] = b'{"team": "search", "job": "nightly"}'
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), completion())
        row = await settle(account, admitted)
    assert (row.tags, row.tried) == (("job=nightly", "team=search"), ())


async def test_calls_that_were_made_on_the_way_are_in_the_row(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        progress.trail.tried[:] = [
            Tried("m", "fake/a", "", 0, took_ns=5_900_000, status=503, result="overloaded", then="retry"),
            Tried("m", "fake/b", "", 6_000_000, took_ns=8_000_000, status=200, result="ok"),
        ]
        read_whole(progress, completion())
        row = await settle(account, admitted)
    assert row.tried == (Try("fake/a", 503, "overloaded", 5), Try("fake/b", 200, "ok", 8))
    assert row.attempts == 2


async def test_of_very_many_calls_the_last_are_in_the_row(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        progress.trail.tried[:] = [Tried("m", f"fake/{number}", "", 0) for number in range(2 * MOST_TRIES)]
        read_whole(progress, completion())
        row = await settle(account, admitted)
    assert row.tried[-1].target == f"fake/{2 * MOST_TRIES - 1}"
    assert len(row.tried) == MOST_TRIES


@pytest.mark.parametrize(
    ("usage", "outcome", "finished", "source", "prompt", "completion"),
    [
        ((7, 3), "ok", True, "told", 7, 3),
        (None, "ok", True, "counted", HELLO_TOKENS, 3),
        ((7, 3), "cut", True, "told", 7, 3),
        (None, "cut", False, "estimated", HELLO_TOKENS, 3),
        (None, "timeout", False, "estimated", HELLO_TOKENS, 3),
        (None, "error", False, "estimated", HELLO_TOKENS, 3),
    ],
)
async def test_of_a_stream_tokens_are_told_counted_or_estimated(
    books: Books,
    usage: tuple[int, int] | None,
    outcome: Outcome,
    finished: bool,
    source: str,
    prompt: int,
    completion: int,
) -> None:
    admitted = books.admitted(stream=True)
    with books.keeper.account(admitted) as account:
        read_stream(leave(account), "Hello", " there.", usage=usage, finished=finished)
        row = await settle(account, admitted, outcome)
    assert (row.usage_source, row.prompt_tokens, row.completion_tokens) == (source, prompt, completion)
    assert (row.outcome, row.stream) == (outcome, True)
    assert books.used()["tokens"] == prompt + completion


async def test_how_long_answers_are_is_told_of_those_that_came_to_their_end(books: Books) -> None:
    heard: list[tuple[ChatRequest, str, int]] = []
    books.keeper.learn = lambda request, alias, tokens: heard.append((request, alias, tokens))
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), completion(answer=30))
        await settle(account, admitted)
    await interrupt(books, books.admitted(), asyncio.CancelledError())
    assert heard == [(admitted.request, "m", 30)]


async def test_a_whole_answer_that_tells_no_usage_is_counted(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), without_usage(completion("Hello there.")))
        row = await settle(account, admitted)
    assert (row.usage_source, row.prompt_tokens, row.completion_tokens) == ("counted", HELLO_TOKENS, 3)


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_what_a_provider_refuses_is_free_but_has_its_row(books: Books, status: int) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        leave(account, status=status)
        row = await settle(account, admitted, "error", status)
    assert (row.prompt_tokens, row.completion_tokens, row.cost_picousd) == (0, 0, 0)
    assert (row.outcome, row.http_status, row.usage_source) == ("error", status, "told")
    assert books.used() == {"requests": 1, "tokens": 0, "concurrency": 0}


async def test_a_stream_that_fails_before_it_has_said_anything_is_free(books: Books) -> None:
    admitted = books.admitted(stream=True)
    with books.keeper.account(admitted) as account:
        read_stream(leave(account), usage=None, finished=False)
        row = await settle(account, admitted, "error")
    assert (row.prompt_tokens, row.cost_picousd) == (0, 0)


async def test_without_a_price_there_is_no_cost(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        read_whole(leave(account, route("m", target("gpt-4o", price=None))), completion())
        row = await settle(account, admitted)
    assert (row.cost_picousd, row.price_version) == (None, None)
    assert counted(books.metrics, "tollway_unpriced_total") == {("m",): 1.0}


@pytest.mark.parametrize(
    ("error", "gone", "outcome"),
    [
        (asyncio.CancelledError(), True, "client_gone"),
        (asyncio.CancelledError(), False, "cut"),
        (UpstreamTimeout("The provider did not begin to answer in time."), False, "timeout"),
        (UpstreamTimeout("The provider did not begin to answer in time."), True, "client_gone"),
        (UpstreamBroken("The provider's answer was cut."), False, "error"),
        (RuntimeError("a defect"), False, "error"),
    ],
)
async def test_a_call_that_is_cut_short_is_written_down_as_what_cut_it(
    books: Books, error: BaseException, gone: bool, outcome: str
) -> None:
    admitted = books.admitted()
    await interrupt(books, admitted, error, gone=gone)
    await books.keeper.finish()
    (row,) = books.rows()
    assert row.outcome == outcome
    free = outcome == "error"
    assert (row.prompt_tokens, row.completion_tokens) == ((0, 0) if free else (HELLO_TOKENS, 0))
    assert row.usage_source == ("told" if free else "estimated")
    assert admitted.arrival.connection.settled
    assert books.used() == {"requests": 1, "tokens": row.prompt_tokens, "concurrency": 0}


async def test_a_client_that_leaves_pays_for_what_it_was_given(books: Books) -> None:
    admitted = books.admitted(stream=True)

    def deliver(progress: Progress) -> None:
        read_stream(progress, "Hello", " there.", usage=None, finished=False)

    await interrupt(books, admitted, asyncio.CancelledError(), gone=True, before=deliver)
    await books.keeper.finish()
    (row,) = books.rows()
    assert (row.outcome, row.completion_tokens, row.usage_source) == ("client_gone", 3, "estimated")


async def test_a_client_that_leaves_when_it_hears_of_an_error_has_not_ended_the_call(books: Books) -> None:
    admitted = books.admitted(stream=True)

    def fail(progress: Progress) -> None:
        read_stream(progress, "Hello", usage=None, finished=False)
        assert progress.reader is not None
        progress.reader.feed(b'data: {"error": {"message": "busy"}}\n\n')

    await interrupt(books, admitted, asyncio.CancelledError(), gone=True, before=fail)
    await books.keeper.finish()
    (row,) = books.rows()
    assert (row.outcome, row.completion_tokens, row.usage_source) == ("error", 1, "estimated")


@pytest.mark.parametrize("error", [asyncio.CancelledError(), UpstreamBroken("no connection"), None])
async def test_a_call_that_never_left_has_no_row_and_gives_everything_back(
    books: Books, error: BaseException | None
) -> None:
    admitted = books.admitted()
    assert books.used() == {"requests": 1, "tokens": 1000, "concurrency": 1}
    try:
        with books.keeper.account(admitted):
            if error is not None:
                raise error
    except (asyncio.CancelledError, UpstreamBroken):
        pass
    await books.keeper.finish()
    assert books.rows() == []
    assert books.used() == {"requests": 0, "tokens": 0, "concurrency": 0}
    assert counted(books.metrics, "tollway_requests_total") == {}


async def test_a_call_is_settled_once_though_it_fails_afterwards(books: Books) -> None:
    admitted = books.admitted()
    try:
        with books.keeper.account(admitted) as account:
            read_whole(leave(account), completion())
            await settle(account, admitted)
            raise ConnectionError("the client is gone")
    except ConnectionError:
        pass
    await books.keeper.finish()
    assert len(books.rows()) == 1
    assert counted(books.metrics, "tollway_requests_total") == {("none", "m", "ok", "fake"): 1.0}
    assert admitted.arrival.connection.settled, "or the boundary would count a refusal as well"


async def test_a_call_that_is_cancelled_while_its_tokens_are_counted_is_settled_once(books: Books) -> None:
    """The count of a long prompt runs in a thread; the client leaves in the middle of it."""
    admitted = books.admitted(text="aqueduct " * INLINE_COUNT_BYTES)

    async def run() -> None:
        with books.keeper.account(admitted) as account:
            read_whole(leave(account), without_usage(completion()))
            await settle(account, admitted)

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    admitted.arrival.connection.gone = True
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await books.keeper.finish()
    (row,) = books.rows()
    assert row.outcome == "client_gone"
    assert row.prompt_tokens > INLINE_COUNT_BYTES
    assert books.used()["concurrency"] == 0


async def test_many_interrupted_calls_are_all_written_down_at_the_end(books: Books) -> None:
    books.caller = Principal(record(), None)
    for _ in range(20):
        admitted = Admitted(arrive(), books.caller, ask(messages=[{"role": "user", "content": "x " * 50_000}]), None)
        await interrupt(books, admitted, asyncio.CancelledError())
    assert books.rows() == [], "counting takes long, so it waits for a thread"
    await books.keeper.finish()
    rows = books.rows()
    assert len(rows) == 20
    assert len({row.prompt_tokens for row in rows}) == 1
    assert rows[0].prompt_tokens > 50_000


async def test_a_full_journal_takes_no_call_and_nothing_stays_reserved(books: Books) -> None:
    admitted = books.admitted()
    books.journal.full = True
    with pytest.raises(DependencyUnavailable, match="can't be recorded"):
        books.keeper.account(admitted)
    assert books.used() == {"requests": 0, "tokens": 0, "concurrency": 0}


async def test_a_call_without_limits_is_settled_all_the_same(books: Books) -> None:
    admitted = Admitted(arrive(), Principal(record(user_id="jane"), None), ask(), None)
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), completion())
        row = await settle(account, admitted)
    assert row.user_id == "jane"
    assert books.rows() == [row]


@pytest.mark.parametrize(
    ("error", "code"),
    [(UpstreamTimeout("t"), "upstream_timeout"), (KeyError("defect"), "internal_error")],
)
async def test_metrics_tell_outcome_tokens_cost_and_the_errors_code(books: Books, error: Exception, code: str) -> None:
    for failing in (False, True):
        admitted = books.admitted()
        try:
            with books.keeper.account(admitted) as account:
                price = Price(version="test", input=10**12, output=10**12)
                progress = leave(account, route("m", target("gpt-4o", price=price)))
                if failing:
                    raise error
                read_whole(progress, completion(prompt=7, answer=3))
                await settle(account, admitted)
        except (UpstreamTimeout, KeyError):
            await books.keeper.finish()
    outcome = "timeout" if code == "upstream_timeout" else "error"
    assert counted(books.metrics, "tollway_requests_total") == {
        ("none", "m", "ok", "fake"): 1.0,
        (code, "m", outcome, "fake"): 1.0,
    }
    more = HELLO_TOKENS if outcome == "timeout" else 0
    assert counted(books.metrics, "tollway_tokens_total") == {
        ("completion", "m", "fake"): 3.0,
        ("prompt", "m", "fake"): 7.0 + more,
    }
    assert counted(books.metrics, "tollway_cost_usd_total") == {("m", "fake"): 10.0 + more}


async def test_the_log_tells_the_facts_of_a_call_and_nothing_of_what_was_said(books: Books) -> None:
    admitted = books.admitted(text="the canary prompt")
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), completion("the canary answer"))
        await settle(account, admitted)
    (line,) = books.recording.lines()
    assert (line["event"], line["outcome"], line["tenant"], line["model"]) == ("request", "ok", "tenant-1", "m")
    assert (line["prompt_tokens"], line["completion_tokens"], line["status"]) == (7, 3, 200)
    assert "canary" not in json.dumps(line)


MOST_TOKENS = 2**31 - 1
ABSURD = [10**18, 10**30, 1e18, -1, -(10**18), 1.5, MOST_TOKENS + 1, "7", []]


@pytest.mark.parametrize("told", ABSURD, ids=repr)
@pytest.mark.parametrize("stream", [False, True])
async def test_absurd_counts_are_not_believed_and_the_tokens_counted(books: Books, told: Any, stream: bool) -> None:
    admitted = books.admitted(stream=stream)
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        if stream:
            read_stream(progress, "Hello", " there.", usage=(told, told))
        else:
            read_whole(progress, completion("Hello there.", prompt=told, answer=told))
        row = await settle(account, admitted)
    assert (row.usage_source, row.prompt_tokens, row.completion_tokens) == ("counted", HELLO_TOKENS, 3)
    assert books.rows() == [row]


@pytest.mark.parametrize("told", ABSURD, ids=repr)
async def test_absurd_details_are_left_out_of_believable_counts(books: Books, told: Any) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        answer = completion(prompt=7, answer=3)
        answer["usage"]["prompt_tokens_details"] = {"cached_tokens": told, "cache_write_tokens": told}
        answer["usage"]["completion_tokens_details"] = {"reasoning_tokens": told}
        read_whole(leave(account), answer)
        row = await settle(account, admitted)
    assert (row.usage_source, row.prompt_tokens, row.completion_tokens) == ("told", 7, 3)
    assert (row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens) == (0, 0, 0)
    assert row.cost_picousd == 7 * PRICE.input + 3 * PRICE.output


async def test_the_most_tokens_at_the_highest_price_still_have_their_row(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        price = Price(version="test", input=10**15, output=10**15)
        progress = leave(account, route("m", target("gpt-4o", price=price)))
        read_whole(progress, completion(prompt=MOST_TOKENS, answer=MOST_TOKENS))
        row = await settle(account, admitted)
    assert books.rows() == [row]
    assert (row.usage_source, row.prompt_tokens, row.completion_tokens) == ("told", MOST_TOKENS, MOST_TOKENS)
    assert row.cost_picousd == MOST_PICOUSD


def test_progress_is_empty_until_the_call_has_left() -> None:
    assert Progress().dispatched_at_us is None
    assert dispatched().dispatched_at_us is not None


@pytest.mark.parametrize("price", [None, PRICE])
async def test_a_moderation_that_tells_no_usage_is_free(books: Books, price: Price | None) -> None:
    admitted = books.admitted()
    body = b'{"model": "m", "input": "Is this all right?"}'
    moderation = msgspec.structs.replace(admitted, request=chat.read_request(body, "moderations"))
    with books.keeper.account(moderation) as account:
        leave(account, route("m", target(price=price)))
        account.progress.answer = chat.read_answer(b'{"results": []}', "moderations")
        row = await settle(account, moderation)
    assert (row.prompt_tokens, row.completion_tokens, row.cost_picousd) == (0, 0, 0)
    assert books.used()["tokens"] == 0


async def test_a_second_call_at_the_same_time_has_the_row_when_the_first_never_left(books: Books) -> None:
    admitted = books.admitted()
    way = route("m", target("gpt-4o"), target("gpt-4o-mini"))
    account = books.keeper.account(admitted)
    account.progress.planned(way, way.targets[0])
    second = Progress(account.progress.trail)
    second.planned(way, way.targets[1])
    second.sent()
    account.progress.trail.legs.append(second)
    account.progress.trail.beside.append(second)
    with pytest.raises(UpstreamBroken), account:
        raise UpstreamBroken("no answer")
    (row,) = books.rows()
    assert (row.provider_model, row.role, row.outcome) == ("gpt-4o-mini", "answer", "error")


async def test_a_call_that_lost_has_a_row_of_its_own(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        read_whole(progress, completion("Hello there."))
        lost = Progress(progress.trail)
        assert progress.route is not None
        lost.planned(progress.route, progress.route.targets[0])
        lost.sent()
        progress.trail.beside.append(lost)
        await settle(account, admitted)
    await books.keeper.finish()
    first, second = books.rows()
    assert (first.role, second.role, second.outcome) == ("answer", "hedge", "cut")
    assert second.id == f"{first.id}-1"
    assert (second.prompt_tokens, second.completion_tokens, second.attempts) == (HELLO_TOKENS, 0, 1)


async def test_findings_are_recorded_as_kinds_and_counts(books: Books, recording: Recording, metrics: Metrics) -> None:
    admitted = books.admitted()
    found = (Found("input", "pii", "email", "redact", 2), Found("output", "secrets", "jwt", "mask", 1))
    with books.keeper.account(admitted) as account:
        account.findings = lambda: found
        read_whole(leave(account), completion(prompt=7, answer=3))
        row = await settle(account, admitted)
    assert row.findings == found
    (line,) = [line for line in recording.lines() if line["event"] == "request"]
    assert line["findings"] == {"input pii email redact": 2, "output secrets jwt mask": 1}
    # Those of the input are counted when they are found, for the call may be refused and have no row.
    assert counted(metrics, "tollway_guardrail_findings_total") == {("mask", "secrets", "output", "jwt"): 1}


async def test_a_call_that_is_cut_short_keeps_its_findings(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        account.findings = lambda: (Found("input", "pii", "email", "redact", 1),)
        leave(account)
    assert [len(row.findings) for row in books.rows()] == [1]


async def test_a_row_says_what_was_paid_for_and_how_it_was_served(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        price = Price("t", input=1, output=2, audio_input=3, service_tiers={"flex": Tariff(input=5, output=7)})
        answer = completion(prompt=10, answer=4) | {"service_tier": "flex"}
        answer["usage"]["prompt_tokens_details"] = {"audio_tokens": 6, "image_tokens": 1}
        answer["usage"]["completion_tokens_details"] = {"audio_tokens": 2, "image_tokens": 1}
        read_whole(leave(account, route("m", target("gpt-4o", price=price))), answer)
        row = await settle(account, admitted)
    assert row.costs == Costs(input=3 * 5, output=7, audio=6 * 5 + 2 * 7, image=5 + 7)
    assert row.cost_picousd == 10 * 5 + 4 * 7
    assert (row.audio_input_tokens, row.audio_output_tokens) == (6, 2)
    assert (row.image_input_tokens, row.image_output_tokens, row.service_tier) == (1, 1, "flex")


async def test_the_price_is_that_of_the_moment_when_the_call_left(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        later = Price("t2", input=100, output=100, from_ms=1_800_000_000_000)
        progress = leave(account, route("m", target("gpt-4o", price=Price("t1", input=1, output=1, later=(later,)))))
        progress.dispatched_at_us = 1_799_999_999_999_999
        read_whole(progress, completion(prompt=1, answer=1))
        row = await settle(account, admitted)
    assert (row.price_version, row.cost_picousd) == ("t1", 2)


async def test_a_tenant_pays_its_own_price_but_not_for_copies(books: Books) -> None:
    rows = []
    roles: tuple[UsageRole, ...] = ("answer", "shadow")
    for role in roles:
        own = TenantPrices({"m": Price("acme/m", input=9, output=9)})
        record_ = msgspec.structs.replace(books.caller.record, prices=own)
        caller = msgspec.structs.replace(books.caller, record=record_)
        admitted = msgspec.structs.replace(books.admitted(), principal=caller)
        with books.keeper.account(admitted, role) as account:
            read_whole(leave(account), completion(prompt=1, answer=1))
            rows.append(await settle(account, admitted))
    assert [(row.price_version, row.cost_picousd) for row in rows] == [("acme/m", 18), ("test", 3_000)]


async def test_an_answer_of_the_cache_costs_nothing_and_gives_its_tokens_back(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        progress = leave(account)
        progress.trail.tried.clear()
        progress.recalled = Recalled("semantic", 26_000)
        read_whole(progress, completion(prompt=7, answer=3))
        row = await settle(account, admitted)
    assert (row.cache, row.cost_picousd, row.costs, row.saved_picousd) == ("semantic", 0, Costs(), 26_000)
    assert (row.prompt_tokens, row.completion_tokens, row.attempts, row.price_version) == (7, 3, 0, None)
    assert books.used() == {"requests": 1, "tokens": 0, "concurrency": 0}
    assert counted(books.metrics, "tollway_cache_saved_usd_total") == {("m",): 26_000 / 1e12}
    assert counted(books.metrics, "tollway_tokens_total") == {}


async def test_a_client_that_leaves_in_an_answer_of_the_cache_gets_a_row_and_its_slot_back(books: Books) -> None:
    def recalled(progress: Progress) -> None:
        progress.recalled = Recalled("exact", 26_000)
        read_stream(progress, "Hello", usage=None, finished=False)

    await interrupt(books, books.admitted(stream=True), asyncio.CancelledError(), gone=True, before=recalled)
    await books.keeper.finish()
    (row,) = books.rows()
    assert (row.outcome, row.cache, row.cost_picousd) == ("client_gone", "exact", 0)
    assert books.used() == {"requests": 1, "tokens": 0, "concurrency": 0}
