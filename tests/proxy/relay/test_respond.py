"""Station 9: what leaves last, and what it says of the cost."""

import msgspec
import pytest
from tests.proxy.edge import Client, arrive
from tests.proxy.usage.test_journal import row

from tollway.contract.usage import Outcome
from tollway.proxy.exchange import Relayed, Settled
from tollway.proxy.relay.respond import respond


def settled(client: Client, *, streamed: bool, cost_picousd: int | None = 0) -> Settled:
    headers = None if streamed else [(b"content-type", b"application/json")]
    relayed = Relayed(arrive(client), 201, headers, b"the end", "ok")
    return Settled(relayed, msgspec.structs.replace(row(1), cost_picousd=cost_picousd))


async def test_a_whole_answer_leaves_at_once_with_its_length_and_its_cost() -> None:
    client = Client()
    await respond(settled(client, streamed=False, cost_picousd=1_500_000))
    assert (client.status, client.body, client.ends) == (201, b"the end", 1)
    assert client.headers == {
        b"content-type": b"application/json",
        b"content-length": b"7",
        b"x-tollway-cost-usd": b"0.0000015",
    }


async def test_an_unpriced_answer_says_so_instead_of_costing_nothing() -> None:
    client = Client()
    await respond(settled(client, streamed=False, cost_picousd=None))
    assert client.headers[b"x-tollway-warnings"] == b"unpriced-model"
    assert b"x-tollway-cost-usd" not in client.headers


async def test_a_refusal_has_no_price_to_miss() -> None:
    client = Client()
    given = settled(client, streamed=False, cost_picousd=None)
    await respond(Settled(msgspec.structs.replace(given.relayed, status=429), given.row))
    assert b"x-tollway-warnings" not in client.headers


@pytest.mark.parametrize("cost_picousd", [5, None])
async def test_of_a_stream_only_the_end_is_left(cost_picousd: int | None) -> None:
    client = Client()
    await respond(settled(client, streamed=True, cost_picousd=cost_picousd))
    assert (client.starts, client.body, client.ends) == ([], b"the end", 1)


@pytest.mark.parametrize(("outcome", "ends"), [("ok", 1), ("cut", 0), ("timeout", 0)])
async def test_bytes_that_were_cut_are_left_without_their_end(outcome: Outcome, ends: int) -> None:
    client = Client()
    given = settled(client, streamed=True)
    given.relayed.arrival.connection.is_opaque = True
    await respond(Settled(msgspec.structs.replace(given.relayed, outcome=outcome), given.row))
    assert client.ends == ends
