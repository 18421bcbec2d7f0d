"""Tokens are asked for once, kept until shortly before they end, and replaced when a provider refuses them."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.edge import Answer

from tollway.errors import GatewayError, UpstreamBroken, UpstreamTimeout, UpstreamUnavailable, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers import tokens
from tollway.proxy.providers.port import UpstreamRequest
from tollway.proxy.providers.tokens import AHEAD_S, Bearer, Minted, ask_for_token, send_with


class Issuer:
    """Hands out ``t1``, ``t2``… each for ``lifetime_s``; fails while ``fault`` is set, waits while ``open`` is not."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.lifetime_s = lifetime_s
        self.minted = 0
        self.fault: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.now = 0.0

    async def mint(self) -> Minted:
        self.minted += 1
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return Minted(f"t{self.minted}", self.lifetime_s)

    def bearer(self) -> Bearer:
        return Bearer(self.mint, lambda: self.now)


async def test_a_token_is_used_until_a_minute_before_it_ends() -> None:
    issuer = Issuer(3600.0)
    bearer = issuer.bearer()
    assert [await bearer.token() for _ in range(3)] == ["t1", "t1", "t1"]
    issuer.now = 3600.0 - AHEAD_S - 1.0
    assert await bearer.token() == "t1"
    issuer.now = 3600.0 - AHEAD_S
    assert await bearer.token() == "t2"


async def test_a_token_of_a_short_life_is_used_for_half_of_it() -> None:
    issuer = Issuer(10.0)
    bearer = issuer.bearer()
    await bearer.token()
    issuer.now = 4.9
    assert await bearer.token() == "t1"
    issuer.now = 5.0
    assert await bearer.token() == "t2"


async def test_all_who_wait_share_one_request_and_one_that_leaves_does_not_end_it() -> None:
    issuer = Issuer()
    issuer.open.clear()
    bearer = issuer.bearer()
    waiting = [asyncio.create_task(bearer.token()) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    issuer.open.set()
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert set(got[1:]) == {"t1"}
    assert issuer.minted == 1


async def test_a_failure_is_told_to_those_who_wait_and_to_nobody_later() -> None:
    issuer = Issuer()
    issuer.fault = UpstreamUnreachable("away")
    bearer = issuer.bearer()
    for got in await asyncio.gather(bearer.token(), bearer.token(), return_exceptions=True):
        assert isinstance(got, UpstreamUnreachable)
    assert issuer.minted == 1
    issuer.fault = None
    assert await bearer.token() == "t2"


async def test_a_token_that_still_holds_bridges_a_failure() -> None:
    issuer = Issuer(3600.0)
    bearer = issuer.bearer()
    await bearer.token()
    issuer.fault = UpstreamUnreachable("away")
    issuer.now = 3599.0
    assert await bearer.token() == "t1"
    issuer.now = 3600.0
    with pytest.raises(UpstreamUnreachable):
        await bearer.token()


async def test_a_failure_that_nobody_waits_for_any_more_is_no_noise() -> None:
    issuer = Issuer()
    issuer.open.clear()
    issuer.fault = UpstreamUnreachable("away")
    bearer = issuer.bearer()
    left = asyncio.create_task(bearer.token())
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    issuer.open.set()
    issuer.fault = None
    assert await bearer.token() == "t1"


async def sent(bearer: Bearer, *answers: Answer) -> tuple[UpstreamAnswer, list[str]]:
    waiting, used = list(answers), list[str]()

    async def send(token: str) -> UpstreamAnswer:
        used.append(token)
        return waiting.pop(0)

    return await send_with(bearer, send), used


async def test_a_refused_token_is_replaced_and_the_call_sent_once_more() -> None:
    bearer = Issuer().bearer()
    refusal, welcome = Answer(b"{}", status=401), Answer(b"{}")
    assert await sent(bearer, refusal, welcome) == (welcome, ["t1", "t2"])
    assert refusal.closed == 1
    forbidden = Answer(status=403)
    assert await sent(bearer, forbidden) == (forbidden, ["t2"])
    again = Answer(status=401)
    assert await sent(bearer, Answer(status=401), again) == (again, ["t2", "t3"])
    assert again.closed == 0


async def test_a_call_that_can_not_be_sent_again_is_not_but_its_token_is_replaced() -> None:
    bearer = Issuer().bearer()
    refusal = Answer(b"{}", status=401)

    async def send(token: str) -> UpstreamAnswer:
        return refusal

    assert await send_with(bearer, send, again=False) is refusal
    assert refusal.closed == 0
    assert await bearer.token() == "t2"


async def test_a_token_that_was_replaced_meanwhile_is_not_dropped_again() -> None:
    issuer = Issuer()
    bearer = issuer.bearer()
    old = await bearer.token()
    bearer.drop(old)
    assert await bearer.token() == "t2"
    bearer.drop(old)
    assert await bearer.token() == "t2"
    assert issuer.minted == 2


class Wire:
    """An identity service that answers as it is told."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.requests: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        request.sent()
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


URL = "https://identity.test/token"


async def asked(body: Any, status: int = 200) -> Minted:
    answer = Answer(body if isinstance(body, bytes) else json.dumps(body).encode(), status=status)
    try:
        return await ask_for_token(Wire(answer), URL, {"grant_type": "x"})
    finally:
        assert answer.closed == 1


async def test_a_token_is_asked_for_with_a_form() -> None:
    wire = Wire(Answer(b'{"access_token": "abc", "expires_in": 3599, "token_type": "Bearer"}'))
    assert await ask_for_token(wire, URL, {"scope": "a b/.default", "secret": "x&y"}) == Minted("abc", 3599.0)
    (request,) = wire.requests
    assert (request.url, request.body) == (URL, b"scope=a+b%2F.default&secret=x%26y")
    assert ("content-type", "application/x-www-form-urlencoded") in request.headers


async def test_a_life_may_be_told_as_text_or_not_at_all() -> None:
    assert (await asked({"access_token": "a", "expires_in": "60"})).lifetime_s == 60.0
    assert (await asked({"access_token": "a"})).lifetime_s == 300.0
    assert "a1b2" not in repr(Minted("a1b2", 1.0))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": "invalid_client", "error_description": "AADSTS7000215: secret-canary"}, ", invalid_client"),
        ({"error": "Secret Canary"}, ""),
        ({"error": {"code": 1}}, ""),
        (b"secret-canary", ""),
        (b"[" * 60_000, ""),
    ],
)
async def test_a_refusal_tells_its_code_and_nothing_else(body: Any, told: str) -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        await asked(body, 401)
    assert caught.value.inside == f"identity.test: status 401{told}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b" " * (tokens.MAX_ANSWER_BYTES + 1),
        {},
        {"access_token": ""},
        {"access_token": None},
        {"access_token": "a b"},
        {"access_token": "a\r\nb: c"},
        {"access_token": "ä"},
        {"access_token": "a", "expires_in": 0},
        {"access_token": "a", "expires_in": -5},
        {"access_token": "a", "expires_in": "soon"},
        {"access_token": "a", "expires_in": "nan"},
        {"access_token": "a", "expires_in": 1e300},
    ],
)
async def test_anything_but_a_token_is_a_broken_answer(body: Any) -> None:
    with pytest.raises(UpstreamBroken):
        await asked(body)


async def test_a_service_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "WAIT_S", 0.05)
    answer = Answer(...)
    with pytest.raises(UpstreamTimeout):
        await ask_for_token(Wire(answer), URL, {})
    assert answer.closed == 1
    with pytest.raises(UpstreamUnreachable):
        await ask_for_token(Wire(UpstreamUnreachable("away")), URL, {})


@given(
    st.binary()
    | st.dictionaries(st.sampled_from(["access_token", "expires_in"]), st.text() | st.integers() | st.none())
)
async def test_whatever_comes_is_a_token_or_an_error(body: Any) -> None:
    try:
        await asked(body)
    except GatewayError:
        pass
