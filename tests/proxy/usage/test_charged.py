"""What a call of budgets costs is paid once, whatever becomes of it, and its row says from which purses."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.money import Purseful
from tests.fakes.scripts import completion
from tests.fakes.telemetry import Recording
from tests.proxy.edge import PRICE, route, target
from tests.proxy.usage.test_settle import Books, leave, read_stream, read_whole, settle

from tollway.errors import UpstreamTimeout
from tollway.proxy.exchange import Progress
from tollway.telemetry.metrics import Metrics


@pytest.fixture
def books(tmp_path: Path, recording: Recording, metrics: Metrics) -> Iterator[Books]:
    made = Books(tmp_path, recording, metrics)
    yield made
    made.close()


async def test_an_answer_is_paid_at_what_it_cost(books: Books) -> None:
    admitted, money = books.admitted(), Purseful("b|0|", "c|0|user=jane")
    with books.keeper.account(admitted) as account:
        account.reserved = money
        read_whole(leave(account), completion(prompt=7, answer=3))
        row = await settle(account, admitted)
    assert row.charged == ("b|0|", "c|0|user=jane")
    assert money.paid == [row.cost_picousd] == [7 * PRICE.input + 3 * PRICE.output]
    assert money.cancelled == 0


async def test_without_budgets_a_row_is_charged_to_nothing(books: Books) -> None:
    admitted = books.admitted()
    with books.keeper.account(admitted) as account:
        read_whole(leave(account), completion())
        assert (await settle(account, admitted)).charged == ()


async def test_a_call_that_never_left_gives_everything_back(books: Books) -> None:
    admitted, money = books.admitted(), Purseful("b|0|")
    with contextlib.suppress(UpstreamTimeout), books.keeper.account(admitted) as account:
        account.reserved = money
        raise UpstreamTimeout("nobody was asked")
    assert (money.paid, money.cancelled, books.rows()) == ([], 1, [])


async def test_a_call_that_is_cut_short_pays_for_what_was_delivered(books: Books) -> None:
    admitted, money = books.admitted(stream=True), Purseful("b|0|")
    with contextlib.suppress(asyncio.CancelledError), books.keeper.account(admitted) as account:
        account.reserved = money
        read_stream(leave(account), "Hello", " there", usage=None, finished=False)
        raise asyncio.CancelledError
    await books.keeper.finish()
    (row,) = books.rows()
    assert row.cost_picousd
    assert (money.paid, row.charged) == ([row.cost_picousd], ("b|0|",))


async def test_what_a_provider_refuses_costs_nothing_and_nothing_stays_held(books: Books) -> None:
    admitted, money = books.admitted(), Purseful("b|0|")
    with books.keeper.account(admitted) as account:
        account.reserved = money
        leave(account, status=500)
        await settle(account, admitted, "error", 500)
    assert money.paid == [0]


async def test_a_call_that_lost_against_another_is_paid_from_the_same_purses(books: Books) -> None:
    admitted, money = books.admitted(), Purseful("b|0|")
    way = route("m", target("gpt-4o"), target("gpt-4o-mini"))
    with books.keeper.account(admitted) as account:
        account.reserved = money
        progress = leave(account, way)
        beside = Progress(progress.trail)
        beside.planned(way, way.targets[1])
        beside.sent()
        read_stream(beside, "Hello", usage=None, finished=False)
        progress.trail.beside.append(beside)
        read_whole(progress, completion(prompt=7, answer=3))
        await settle(account, admitted)
    await books.keeper.finish()
    rows = books.rows()
    assert {row.role for row in rows} == {"answer", "hedge"}
    assert money.paid == [row.cost_picousd for row in rows]
    assert all(row.charged == ("b|0|",) for row in rows)
