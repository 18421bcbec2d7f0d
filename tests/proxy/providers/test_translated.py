"""Answers in another dialect, read as chat: a scripted reader shows what the frame around it does."""

import json

import pytest
from tests.proxy.edge import Answer

from tollway.errors import UpstreamBroken
from tollway.proxy.causes import Cause, Fault
from tollway.proxy.providers.translated import INLINE_BYTES, StreamFault, TranslatedAnswer
from tollway.wire.openai_chat import DONE


class Echo:
    """A dialect whose payloads are numbers: 0 says nothing, a negative one is a fault, others are said as they are."""

    def __init__(self) -> None:
        self.complete = False

    def whole(self, body: bytes) -> bytes:
        if body == b"deep":
            raise RecursionError
        return b"[%d]" % int(body)

    def event(self, payload: bytes) -> bytes:
        number = int(payload)
        if number < 0:
            raise StreamFault(Fault(Cause.OVERLOADED, "Overloaded"))
        self.complete = number == 9
        return b"" if number == 0 else b"data: %d\n\n" % number

    def end(self) -> bytes:
        return DONE if self.complete else b""

    def fault(self, status: int, body: bytes) -> Fault:
        return Fault(Cause.QUOTA if b"money" in body else Cause.RATE_LIMIT, body.decode(), retry_after_s=1.2)


async def begin(answer: Answer, *, stream: bool = False) -> TranslatedAnswer:
    return await TranslatedAnswer.begin(answer, Echo(), stream=stream, warnings=("seed",))


async def said(answer: TranslatedAnswer) -> list[bytes]:
    pieces = []
    while not answer.ended and (piece := await answer.piece()) is not None:
        pieces.append(piece)
    assert answer.ended
    assert await answer.piece() is None
    return pieces


@pytest.mark.parametrize("digits", [1, INLINE_BYTES + 1], ids=["inline", "in a thread"])
async def test_a_whole_answer_is_read_once_it_is_in(digits: int) -> None:
    number = b"7" * min(digits, 4000)
    padding = b" " * (digits - len(number))
    answer = await begin(Answer(number, padding, content_type="text/odd", retry_after="5"))
    assert (answer.status, answer.header("content-type"), answer.header("retry-after")) == (
        200,
        "application/json",
        "5",
    )
    assert await said(answer) == [b"[" + number + b"]"]
    assert answer.warnings == ("seed",)
    await answer.close()


async def test_a_stream_is_said_as_it_comes_and_nothing_is_said_in_vain() -> None:
    sent = b"data: 0\n\ndata: 1\n\n: ping\n\ndata: 2\r\n\r\ndata: 0\n\ndata: 9"
    expected = b"data: 1\n\ndata: 2\n\ndata: 9\n\n" + DONE
    for size in (1, 3, 11, len(sent)):
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        answer = await begin(Answer(*pieces), stream=True)
        assert answer.header("content-type") == "text/event-stream; charset=utf-8"
        heard = await said(answer)
        assert b"".join(heard) == expected
        assert all(heard)


class Digits:
    """A framing in which every digit is a payload."""

    def feed(self, chunk: bytes) -> list[bytes]:
        if chunk == b"x":
            raise ValueError("no digit")
        return [bytes([digit]) for digit in chunk]

    def finish(self) -> list[bytes]:
        return [b"9"]


async def test_a_stream_may_be_framed_in_another_way() -> None:
    answer = await TranslatedAnswer.begin(Answer(b"12", b"0"), Echo(), stream=True, warnings=(), framing=Digits())
    assert await said(answer) == [b"data: 1\n\ndata: 2\n\n", b"data: 9\n\n" + DONE]
    answer = await TranslatedAnswer.begin(Answer(b"1", b"x"), Echo(), stream=True, warnings=(), framing=Digits())
    assert await answer.piece() == b"data: 1\n\n"
    with pytest.raises(UpstreamBroken):
        await answer.piece()


async def test_a_stream_that_is_cut_has_no_end() -> None:
    assert await said(await begin(Answer(b"data: 1\n\n"), stream=True)) == [b"data: 1\n\n"]


async def test_a_fault_within_a_stream_is_an_error_event_behind_what_was_said() -> None:
    answer = await begin(Answer(b"data: 1\n\ndata: -1\n\ndata: 2\n\n", b"data: 9\n\n"), stream=True)
    (piece,) = await said(answer)
    first, error = piece.split(b"\n\n", 1)
    assert first == b"data: 1"
    assert error.startswith(b"event: error\ndata: ")
    assert json.loads(error.removeprefix(b"event: error\ndata: "))["error"]["code"] == "overloaded"


async def test_what_came_before_an_event_that_cannot_be_read_is_said() -> None:
    answer = await begin(Answer(b"data: 1\n\n", b"data: 2\n\ndata: no\n\ndata: 3\n\n"), stream=True)
    assert [await answer.piece(), await answer.piece()] == [b"data: 1\n\n", b"data: 2\n\n"]
    for _ in range(2):
        with pytest.raises(UpstreamBroken):
            await answer.piece()


@pytest.mark.parametrize("begin_with", [b"", b": ping\n\ndata: 0\n\n"])
async def test_a_stream_that_begins_with_a_fault_was_a_refusal(begin_with: bytes) -> None:
    answer = await begin(Answer(begin_with, b"data: -1\n\n", b"data: 9\n\n"), stream=True)
    (body,) = await said(answer)
    assert (answer.status, answer.header("content-type")) == (503, "application/json")
    assert json.loads(body)["error"]["code"] == "overloaded"


@pytest.mark.parametrize("body", [b"rubbish", b"", b'{"a": 1}', b"deep"])
async def test_an_answer_that_is_not_understood_is_broken_and_not_quoted(body: bytes) -> None:
    for answer in (await begin(Answer(body)), await begin(Answer(b"data: x" + body + b"\n\n"), stream=True)):
        with pytest.raises(UpstreamBroken) as caught:
            await answer.piece()
        assert "rubbish" not in caught.value.inside


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_becomes_openais_envelope_with_the_status_of_its_cause(stream: bool) -> None:
    answer = await begin(Answer(b"slow ", b"down", status=529, x_other="1"), stream=stream)
    assert (answer.status, answer.header("retry-after"), answer.header("x-should-retry")) == (429, "2", None)
    assert answer.header("content-type") == "application/json"
    (body,) = await said(answer)
    assert json.loads(body)["error"] == {
        "message": "slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


async def test_a_refusal_that_waiting_does_not_mend_says_so() -> None:
    answer = await begin(Answer(b"no money", status=402))
    assert (answer.status, answer.header("x-should-retry")) == (429, "false")


async def test_a_refusal_whose_body_is_cut_gives_its_connection_back() -> None:
    cut = Answer(b"slow", UpstreamBroken("cut"), status=429)
    with pytest.raises(UpstreamBroken):
        await begin(cut)
    assert cut.closed == 1


async def test_an_answer_without_bound_is_refused() -> None:
    answer = await begin(Answer(*[b"1" * (16 * 1024 * 1024)] * 5))
    with pytest.raises(UpstreamBroken, match="too large"):
        await answer.piece()
