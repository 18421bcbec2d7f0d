"""Bearer tokens that a provider's identity service hands out: asked for once, used until shortly before they end.

In: how a token is asked for. Out: a token, to as many callers as want one. A token is never logged, and nothing of
what an identity service says beside its error code gets into an error.
Source: RFC 6749, sections 4.4, 5.1 and 5.2.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from tollway.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnavailable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import Transport, UpstreamRequest

AHEAD_S = 60.0
"""A token is replaced so long before it ends: a call that leaves with it is under way for a while."""

WAIT_S = 10.0
"""An identity service must have answered after this."""

MAX_ANSWER_BYTES = 64 * 1024
"""A larger answer is no token."""

_CODE = re.compile(r"[a-z_]{1,40}")
_UNUSABLE = "The provider's identity service did not answer with a token."


class Minted(msgspec.Struct, frozen=True):
    """A fresh token, and for how long it holds, in seconds."""

    text: str
    lifetime_s: float

    def __repr__(self) -> str:
        """Without the token."""
        return f"Minted(lifetime_s={self.lifetime_s!r})"


Mint = Callable[[], Awaitable[Minted]]
"""Asks for a token. Raises :class:`tollway.errors.UpstreamError`."""


class Bearer:
    """The token of one credential: at most one is kept, and at most one is being asked for, whoever waits for it."""

    def __init__(self, mint: Mint, clock: Callable[[], float] = time.monotonic) -> None:
        self._mint = mint
        self._clock = clock
        self._token = ""
        self._fresh_until = 0.0
        self._valid_until = 0.0
        self._minting: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """A token that holds for a while yet. A waiter that leaves does not end the others' wait.

        Raises:
            tollway.errors.UpstreamError: there is none to be had now; the next call asks anew.
        """
        if self._clock() < self._fresh_until:
            return self._token
        if self._minting is None:
            self._minting = asyncio.get_running_loop().create_task(self._renew())
            self._minting.add_done_callback(self._done)
        return await asyncio.shield(self._minting)

    def drop(self, token: str) -> None:
        """Forgets ``token``, which the provider refused; another one that was asked for meanwhile stays."""
        if token == self._token:
            self._token, self._fresh_until, self._valid_until = "", 0.0, 0.0

    async def _renew(self) -> str:
        try:
            minted = await self._mint()
        except Exception:
            if self._clock() < self._valid_until:
                return self._token  # the old one still holds, and the next call tries again
            raise
        now = self._clock()
        self._token = minted.text
        self._valid_until = now + minted.lifetime_s
        self._fresh_until = self._valid_until - min(AHEAD_S, minted.lifetime_s / 2)
        return self._token

    def _done(self, task: "asyncio.Task[str]") -> None:
        self._minting = None
        if not task.cancelled():
            task.exception()  # looked at, even when every waiter has left


async def send_with(
    bearer: Bearer, send: Callable[[str], Awaitable[UpstreamAnswer]], *, again: bool = True
) -> UpstreamAnswer:
    """Sends a call with a token; when the provider refuses it (401), once more with a new one, if it can be sent again.

    Raises:
        tollway.errors.UpstreamError: there is no token, or as ``send``.
    """
    token = await bearer.token()
    answer = await send(token)
    if answer.status != 401:
        return answer
    bearer.drop(token)
    if not again:
        return answer
    await answer.close()
    return await send(await bearer.token())


async def ask_for_token(transport: Transport, url: str, form: dict[str, str], connect_s: float = 5.0) -> Minted:
    """A token from the service at ``url``, for what ``form`` proves.

    Raises:
        tollway.errors.UpstreamError: the service can't be reached, refuses, or answers with something else.
    """
    headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")]
    request = UpstreamRequest(url, headers, urlencode(form).encode(), connect_s, _nothing)
    host = urlsplit(url).hostname
    try:
        async with asyncio.timeout(WAIT_S):
            answer = await transport.send(request)
            try:
                body = await _read(answer)
            finally:
                await answer.close()
    except TimeoutError:
        raise UpstreamTimeout("The provider's identity service did not answer in time.", inside=host) from None
    if answer.status != 200:
        message = "The provider's identity service refused the gateway's credentials."
        raise UpstreamUnavailable(message, inside=f"{host}: status {answer.status}{_code(body)}")
    return _minted(body)


def _nothing() -> None:
    """The token's request is not the client's call, which has not been sent yet."""


async def _read(answer: UpstreamAnswer) -> bytes:
    body = b""
    while (piece := await answer.piece()) is not None:
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise UpstreamBroken(_UNUSABLE, inside=f"over {MAX_ANSWER_BYTES} bytes")
    return body


class _Granted(msgspec.Struct):
    """RFC 6749, section 5.1. ``expires_in`` is recommended only, and some write it as text."""

    access_token: str
    expires_in: int | float | str = 300


def _minted(body: bytes) -> Minted:
    try:
        granted = msgspec.json.decode(body, type=_Granted)
        lifetime_s = float(granted.expires_in)
    except (ValueError, RecursionError, OverflowError) as error:
        raise UpstreamBroken(_UNUSABLE, inside=type(error).__name__) from None
    token = granted.access_token
    if not token or not token.isascii() or not token.isprintable() or " " in token or not 0 < lifetime_s < 10**9:
        raise UpstreamBroken(_UNUSABLE, inside="a token that no header can carry")
    return Minted(token, lifetime_s)


def _code(body: bytes) -> str:
    """The service's word for its refusal, such as ``invalid_grant``; nothing that could be a text of its own."""
    try:
        told: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    code = told.get("error") if isinstance(told, dict) else None
    return f", {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
