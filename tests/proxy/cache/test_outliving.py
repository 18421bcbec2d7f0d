"""A leader's stream through the relay, its client gone in the middle: who follows hears all of it."""

import asyncio
from types import EllipsisType

import pytest
from tests.proxy.edge import Answer, Client, called, relayed

from tollway.proxy.cache.flights import Flights, Leading
from tollway.proxy.cache.tape import Following
from tollway.proxy.connection import Connection
from tollway.proxy.exchange import Relayed

KEY = b"k" * 32
WORDS = ["one ", "two ", "three"]
CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Alone:
    """A host of one worker."""

    def take(self, key: bytes, now_ms: int, for_ms: int) -> bool:
        return True

    def drop(self, key: bytes) -> None:
        pass


class Slow(Answer):
    """Says a word each time that it is told to."""

    def __init__(self, *script: bytes | Exception | EllipsisType) -> None:
        super().__init__(*script, content_type="text/event-stream")
        self.next = asyncio.Semaphore(1)

    async def piece(self) -> bytes | None:
        await self.next.acquire()
        return await super().piece()


async def lead(flights: Flights, client: Client, answer: Answer, connections: list[Connection]) -> Relayed:
    """A call's way from the look-up to the end of its stream."""
    call = called(answer, client=client, stream=True)
    connection = call.arrival.connection
    connections.append(connection)
    boarded = await flights.board(KEY, b"stream")
    assert isinstance(boarded, Leading)
    connection.watch(after_s=0.0)
    with boarded:
        boarded.carry(connection)
        send = connection.piece

        async def piece(body: bytes) -> None:
            boarded.say(body)
            await send(body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "piece", staticmethod(piece))
            result = await relayed(call)
        boarded.say(result.body)
        boarded.finish()
        connection.close()
    boarded.land()
    return result


async def follow(flights: Flights) -> Following:
    boarded = await flights.board(KEY, b"stream")
    assert isinstance(boarded, Following)
    return boarded


def script() -> list[bytes]:
    return [*[(CHUNK % word).encode() for word in WORDS], FINISH]


async def begun(
    flights: Flights, client: Client, answer: Slow
) -> tuple["asyncio.Task[Relayed]", Connection, Following]:
    """A stream of which the first word is out, and who follows it."""
    connections: list[Connection] = []
    leader = asyncio.create_task(lead(flights, client, answer, connections))
    await client.has_body.wait()
    return leader, connections[0], await follow(flights)


async def test_who_follows_hears_all_of_a_stream_whose_client_has_left() -> None:
    flights, client, answer = Flights(Alone(), 30.0, lambda: 0), Client(), Slow(*script())
    leader, connection, following = await begun(flights, client, answer)
    client.hang_up()
    await asyncio.sleep(0.01)
    for _ in script():
        answer.next.release()
    heard = b""
    while (piece := await following.piece()) is not None:
        heard += piece
    following.close()
    assert (await leader).outcome == "ok"
    assert [heard.count(word.encode()) for word in WORDS] == [1, 1, 1]
    assert heard.endswith(b"data: [DONE]\n\n")
    assert WORDS[1].encode() not in client.body
    assert not connection.gone
    assert (len(flights), answer.closed) == (0, 1)


async def test_a_stream_that_nobody_hears_any_more_is_cut_at_once() -> None:
    flights, client, answer = Flights(Alone(), 30.0, lambda: 0), Client(), Slow(*script())
    leader, connection, following = await begun(flights, client, answer)
    client.hang_up()
    await asyncio.sleep(0.01)
    assert not leader.done()
    following.close()
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert connection.gone
    assert (len(flights), answer.closed) == (0, 1)
