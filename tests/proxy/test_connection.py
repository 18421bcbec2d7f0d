"""A client's connection: its body, bounded in size and time; its answer, with comments between and never inside."""

import asyncio

import pytest
from tests.fakes.clock import in_no_time
from tests.proxy.edge import Client, arrive

from tollway.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from tollway.proxy.boundary import current_task
from tollway.proxy.connection import SLOW_S, WATCH_AFTER_S, ClientGone, Connection, Headers, Lines, Unheard
from tollway.proxy.keep_alive import COMMENT, NUMBERED_COMMENT

EVENT = b'data: {"choices":[]}\n\n'
EARLY: Headers = [(b"content-type", b"text/event-stream")]


def early() -> Headers:
    """The headers of a head that leaves before anybody has answered."""
    return list(EARLY)


def unbounded(size_bytes: int) -> None:
    """Room for any body."""


async def test_a_body_arrives_whole_however_it_is_cut() -> None:
    for pieces in ([b""], [b"abc"], [b"a", b"bc"], [b"", b"a", b"", b"bc", b""]):
        assert await arrive(Client(*pieces)).connection.body(3, unbounded) == b"".join(pieces)


async def test_a_declared_body_is_complete_without_another_message() -> None:
    client = Client(b"ab", b"c", b"")
    assert await arrive(client, headers={b"content-length": b"3"}).connection.body(3, unbounded) == b"abc"
    assert client.untaken == 1


@pytest.mark.parametrize("length", [b"11", b"99999999999999999999999999"])
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(length: bytes) -> None:
    client = Client(b"x")
    with pytest.raises(BodyTooLarge, match="the 10 bytes"):
        await arrive(client, headers={b"content-length": length}).connection.body(10, unbounded)
    assert client.untaken == 1


@pytest.mark.parametrize("headers", [{}, {b"content-length": b"3"}], ids=["undeclared", "declared smaller"])
async def test_a_body_that_turns_out_too_large_is_refused_at_the_piece_that_is_too_much(
    headers: dict[bytes, bytes],
) -> None:
    client = Client(b"x" * 6, b"x" * 5, b"never", b"read")
    with pytest.raises(BodyTooLarge):
        await arrive(client, headers=headers).connection.body(10, unbounded)
    assert client.untaken == 2


@pytest.mark.parametrize("length", [b"", b"abc", b"-1", b"+1", b"1.0", b"0x10", b"1, 1", b"\xc2\xb2"])
async def test_a_content_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(InvalidRequest, match="content-length"):
        await arrive(Client(b"x"), headers={b"content-length": length}).connection.body(10, unbounded)


async def test_leaving_in_the_body_is_told_from_an_end_of_the_body() -> None:
    client = Client(b"x", complete=False)
    client.hang_up()
    with pytest.raises(ClientGone):
        await arrive(client).connection.body(10, unbounded)


@pytest.mark.parametrize(("piece_s", "body_s"), [(0.05, 60.0), (60.0, 0.05)], ids=["a pause", "a drip"])
async def test_a_body_that_does_not_arrive_in_time_is_given_up(piece_s: float, body_s: float) -> None:
    with pytest.raises(RequestTimeout):
        await arrive(Client(b"x", complete=False)).connection.body(10, unbounded, piece_s=piece_s, body_s=body_s)


async def test_a_body_may_take_longer_than_one_pause_as_long_as_it_goes_on() -> None:
    client = Client(b"x", complete=False)

    async def drip() -> None:
        for _ in range(8):
            await asyncio.sleep(0.05)
            client.send_piece(b"x")
        client.send_piece(b"", more=False)

    dripping = asyncio.create_task(drip())
    assert await arrive(client).connection.body(10, unbounded, piece_s=0.25) == b"x" * 9
    await dripping


async def test_pieces_that_wait_for_others_are_counted_and_the_last_is_not() -> None:
    waited: list[int] = []
    await arrive(Client(b"abc")).connection.body(10, waited.append)
    assert waited == []
    await arrive(Client(b"abc", b"de", b"f")).connection.body(10, waited.append)
    assert waited == [3, 2]


async def test_a_body_arrives_piece_by_piece_to_its_declared_end() -> None:
    client = Client(b"one", b"two", complete=False)
    body = arrive(client, headers={b"content-length": b"6"}).connection.arriving(6)
    assert [await body.piece() for _ in range(3)] == [b"one", b"two", None]
    assert (body.declared_bytes, body.read_bytes, body.has_ended) == (6, 6, True)


async def test_of_a_body_that_arrives_no_more_than_its_bound_is_taken() -> None:
    body = arrive(Client(b"one", b"two")).connection.arriving(5)
    assert await body.piece() == b"one"
    with pytest.raises(BodyTooLarge):
        await body.piece()
    with pytest.raises(BodyTooLarge):
        arrive(Client(), headers={b"content-length": b"6"}).connection.arriving(5)


@in_no_time
async def test_a_client_that_waits_gets_a_head_and_a_comment_and_then_comments() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    await asyncio.sleep(4.9)
    assert (client.sent, connection.committed) == ([], False)
    await asyncio.sleep(0.2)
    assert (client.status, client.starts[0]["headers"], client.body) == (200, EARLY, COMMENT)
    assert (connection.committed, connection.said) == (True, False)
    await asyncio.sleep(10.0)
    assert client.body == COMMENT * 3
    assert client.ends == 0


@in_no_time
async def test_nothing_is_said_to_a_client_that_has_no_time_to_wait() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    await connection.start(200, [(b"x", b"1")])
    for _ in range(20):
        await asyncio.sleep(4.9)
        await connection.piece(EVENT)
    await connection.end()
    await asyncio.sleep(60.0)
    assert client.headers == {b"x": b"1"}
    assert client.body == EVENT * 20
    assert connection.said


@in_no_time
async def test_a_silence_in_the_middle_of_a_stream_counts_from_its_last_event() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    await asyncio.sleep(3.0)
    await connection.start(200, [])
    await connection.piece(EVENT)
    await asyncio.sleep(4.9)
    assert client.body == EVENT
    await asyncio.sleep(0.2)
    assert client.body == EVENT + COMMENT
    await connection.piece(EVENT)
    await connection.end(b"data: [DONE]\n\n")
    await asyncio.sleep(60.0)
    assert client.body == EVENT + COMMENT + EVENT + b"data: [DONE]\n\n"
    assert client.ends == 1


@in_no_time
async def test_among_numbered_events_a_comment_has_no_blank_line() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    await connection.start(200, [])
    await connection.piece(b"event: x\r\nid: 7\r\ndata: {}\r\n\r\n")
    await asyncio.sleep(5.1)
    assert client.body.endswith(b"\r\n\r\n" + NUMBERED_COMMENT)


@in_no_time
async def test_a_client_that_is_slow_to_read_is_not_told_that_it_waits() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    await connection.start(200, [])
    client.reads.clear()
    sending = asyncio.create_task(connection.piece(EVENT))
    await asyncio.sleep(22.0)
    client.reads.set()
    await sending
    assert client.body == EVENT
    await asyncio.sleep(5.1)
    assert client.body == EVENT + COMMENT


@in_no_time
async def test_an_event_waits_for_a_comment_that_is_on_its_way() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    client.reads.clear()
    await asyncio.sleep(5.1)
    assert connection.committed, "the head is on its way: nobody may send another"
    sending = asyncio.create_task(connection.piece(EVENT))
    await asyncio.sleep(1.0)
    assert client.sent == []
    client.reads.set()
    await sending
    assert [message["type"] for message in client.sent] == ["http.response.start"] + ["http.response.body"] * 2
    assert client.body == COMMENT + EVENT


@in_no_time
async def test_a_comment_arrives_whole_though_whoever_waits_for_it_is_cancelled() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    client.reads.clear()
    await asyncio.sleep(5.1)
    sending = asyncio.create_task(connection.piece(EVENT))
    await asyncio.sleep(0.1)
    sending.cancel()
    await asyncio.wait([sending])
    client.reads.set()
    await connection.end(b"data: [DONE]\n\n")
    assert client.status == 200
    assert client.body == COMMENT + b"data: [DONE]\n\n"
    assert client.ends == 1


@in_no_time
async def test_bytes_that_are_no_events_are_left_alone() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    connection.is_opaque = True
    await connection.start(200, [])
    await connection.piece(b"half a sound")
    await asyncio.sleep(60.0)
    await connection.end(b", and half")
    assert client.body == b"half a sound, and half"


@pytest.mark.parametrize("is_saying", [False, True])
@in_no_time
async def test_an_answer_that_nobody_reads_any_more_is_silent(is_saying: bool) -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    if is_saying:
        client.reads.clear()
    await asyncio.sleep(5.1 if is_saying else 1.0)
    connection.unwatch()
    client.reads.set()
    await asyncio.sleep(60.0)
    assert client.body == (COMMENT if is_saying else b"")
    await connection.end(EVENT)
    assert client.ends == 1


@in_no_time
async def test_a_call_that_is_over_waits_for_no_comment() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(5.0, early)
    client.reads.clear()
    await asyncio.sleep(5.1)
    connection.close()
    await asyncio.sleep(0)
    client.reads.set()
    await asyncio.sleep(60.0)
    assert client.sent == []


@in_no_time
async def test_the_terms_of_a_wait_may_change() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(50.0, list)
    await asyncio.sleep(1.0)
    connection.keep_alive(5.0, early)
    await asyncio.sleep(3.9)
    assert client.sent == []
    await asyncio.sleep(0.2)
    assert client.starts[0]["headers"] == EARLY
    connection.keep_alive(50.0, early)
    await asyncio.sleep(40.0)
    assert client.body == COMMENT


async def test_a_connection_without_a_client_takes_anything_and_never_hangs_up() -> None:
    connection = Unheard({b"x": b"1"}, current_task())
    connection.watch(after_s=0.0)
    connection.keep_alive(0.001, early)
    await connection.start(200, EARLY)
    await connection.piece(EVENT)
    await asyncio.sleep(0.02)
    await connection.end()
    connection.close()
    assert (connection.headers, connection.gone, connection.committed, connection.said) == (
        {b"x": b"1"},
        False,
        True,
        True,
    )
    assert asyncio.all_tasks() == {asyncio.current_task()}


def in_line(client: Client) -> Connection:
    """One as a worker has them, whose watch and limits stand in line first."""
    lines = Lines.of(asyncio.get_running_loop())
    return Connection({}, client.receive, client.send, current_task(), lines)


@in_no_time
async def test_a_client_that_leaves_is_noticed_once_its_watch_has_come_up() -> None:
    client, came_at = Client(), asyncio.get_running_loop().time()
    connection = in_line(client)
    client.hang_up()
    connection.watch()
    connection.watch()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(60)
    current_task().uncancel()
    assert connection.gone
    assert asyncio.get_running_loop().time() - came_at == pytest.approx(WATCH_AFTER_S, abs=1e-6)


@in_no_time
async def test_a_call_that_is_over_before_its_watch_has_come_up_is_never_watched() -> None:
    client = Client()
    connection = in_line(client)
    connection.watch()
    await asyncio.sleep(WATCH_AFTER_S / 2)
    connection.close()
    client.hang_up()
    await asyncio.sleep(60)
    assert client.untaken == 1
    assert not connection.gone


@in_no_time
async def test_a_body_that_pauses_is_given_up_in_time_though_its_limit_stood_in_line() -> None:
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(RequestTimeout):
        await in_line(Client(b"x", complete=False)).body(10, unbounded, piece_s=15.0)
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(15.0, abs=1e-6)


async def left(client: Client, connection: Connection) -> None:
    """Has the client leave, and the connection notice."""
    client.hang_up()
    connection.watch(after_s=0.0)
    await asyncio.sleep(0.01)


async def test_an_answer_that_others_need_goes_on_when_its_client_leaves() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    connection.keep_alive(0.001, early)
    await connection.start(200, EARLY)
    await left(client, connection)
    sent = len(client.sent)
    await connection.piece(EVENT)
    await connection.end(EVENT)
    connection.close()
    assert (len(client.sent), connection.gone, connection.said) == (sent, False, True)
    connection.forsake()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_it_ends_as_if_its_client_left_when_nobody_needs_it_any_more() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    await left(client, connection)
    before = connection.gone
    connection.forsake()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(60.0)
    assert (before, connection.gone) == (False, True)
    connection.task.uncancel()


async def test_an_answer_that_others_might_need_and_do_not_ends_with_its_client() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.outlive(lambda: False)
    connection.forsake()
    with pytest.raises(asyncio.CancelledError):
        await left(client, connection)
    assert connection.gone
    connection.task.uncancel()


async def test_an_answer_that_nobody_needs_any_more_is_its_clients_alone() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    connection.forsake()
    await connection.start(200, EARLY)
    await connection.end(EVENT)
    connection.close()
    connection.forsake()
    await asyncio.sleep(0)
    assert (client.body, connection.gone) == (EVENT, False)


@in_no_time
@pytest.mark.parametrize("waits", [False, True], ids=["plain", "with comments"])
async def test_a_client_that_reads_slowly_does_not_hold_up_an_answer_that_others_need(waits: bool) -> None:
    client, loop = Client(), asyncio.get_running_loop()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    if waits:
        connection.keep_alive(60.0, early)
    await connection.start(200, EARLY)
    await connection.piece(EVENT)
    client.reads.clear()
    began_at = loop.time()
    for _ in range(3):
        await connection.piece(EVENT)
    assert loop.time() - began_at == pytest.approx(SLOW_S)
    await connection.end(EVENT)
    client.reads.set()
    connection.close()
    assert (client.body, client.ends, connection.gone) == (EVENT, 0, False)


@in_no_time
async def test_a_client_that_does_not_take_the_end_does_not_hold_up_who_waits_for_it() -> None:
    client, loop = Client(), asyncio.get_running_loop()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    await connection.start(200, EARLY)
    client.reads.clear()
    began_at = loop.time()
    await connection.end(EVENT)
    assert loop.time() - began_at == pytest.approx(SLOW_S)


@in_no_time
async def test_a_client_may_read_slowly_as_long_as_nobody_else_needs_its_answer() -> None:
    client, needed = Client(), [True]
    connection = arrive(client).connection
    connection.outlive(lambda: needed[0])
    await connection.start(200, EARLY)
    client.reads.clear()
    sending = asyncio.create_task(connection.piece(EVENT))
    await asyncio.sleep(SLOW_S / 2)
    needed[0] = False
    await asyncio.sleep(SLOW_S * 10)
    assert not sending.done()
    client.reads.set()
    await sending
    assert client.body == EVENT


@in_no_time
async def test_a_comment_that_a_slow_client_does_not_take_holds_up_nobody_else() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.outlive(lambda: True)
    connection.keep_alive(1.0, early)
    await connection.start(200, EARLY)
    client.reads.clear()
    await asyncio.sleep(2.0)
    await connection.piece(EVENT)
    await connection.end(EVENT)
    connection.close()
    await asyncio.sleep(0)
    assert client.body == b""
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_no_time
async def test_a_piece_that_waits_for_a_comment_goes_on_when_the_client_leaves() -> None:
    client = Client()
    connection = arrive(client).connection
    connection.keep_alive(1.0, early)
    await connection.start(200, EARLY)
    client.reads.clear()
    await asyncio.sleep(2.0)
    sending = asyncio.create_task(connection.piece(EVENT))
    await asyncio.sleep(1.0)
    connection.outlive(lambda: True)
    await left(client, connection)
    await sending
    await connection.end()
    assert client.body == b""
