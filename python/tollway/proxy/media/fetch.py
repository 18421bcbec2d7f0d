"""Addresses that clients name, fetched without ever reaching what only the gateway can reach.

In: addresses of a request. Out: their bytes, or a refusal of the request. A name is looked up once, every address it
has must be public, and the connection goes to one of exactly these: a name that means another host a moment later
gains nothing. Numbers are judged like what names lead to. See ``address.py`` for what may be written, ``download.py``
for how it is asked.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Protocol

import msgspec

from tollway.errors import InvalidRequest, ServerBusy
from tollway.proxy.media.address import IP, Address, is_public, parse
from tollway.proxy.media.download import Refused, Room, connect, download
from tollway.proxy.media.looks import Kind, Unsuitable, recognise
from tollway.proxy.pieces import INLINE_BYTES

TOTAL_BYTES = 20 * 2**20
"""All of a request's addresses may answer with this much."""

TOTAL_S = 10.0
"""All of them must have answered within this time."""

CONNECT_S = 3.0
"""One host must be reached within this time, so that another address of its name may be tried."""

MAX_ADDRESSES = 8
"""A request that names more is refused."""

AT_ONCE = 4
"""Downloads of one request at the same time."""

AT_ONCE_PER_WORKER = 16
"""Downloads of one worker at the same time: a slow host holds one place for :data:`TOTAL_S` at most."""

TRIES = 3
"""Of a name's hosts, so many are tried."""

_LOOK_UPS = 8
_NOWHERE = "The address does not lead to a public host."
"""Said of names that nobody knows and of hosts that are not public alike: what the gateway's network can see is not to
be found out by asking."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port to numbers.

Raises:
    OSError: there are none.
"""


class Wanted(msgspec.Struct, frozen=True):
    """An address, what it is to be, and where it stands in the request."""

    url: str
    kind: Kind
    param: str


class Fetched(msgspec.Struct, frozen=True):
    """What an address answered with."""

    media_type: str
    data: bytes


class Fetcher(Protocol):
    """Gets what addresses lead to."""

    async def fetch(self, wanted: Sequence[Wanted]) -> list[Fetched]:
        """What the addresses answer with, in their order.

        Raises:
            InvalidRequest: one of them can't be had; ``param`` says which.
            ServerBusy: too much is being fetched already.
        """
        ...


class SystemResolver:
    """Looks names up as the system does, in threads of its own: names that a client picked may take long, and must
    not hold up those of providers."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, "media-names")

    async def __call__(self, host: str, port: int) -> list[str]:
        """As :data:`Resolve`."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(place[0]) for *_, place in found))

    def close(self) -> None:
        """Ends the threads, each when its look-up is over."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedFetcher:
    """One worker's. ``allowed`` are the ``host:port`` that an operator trusts though they are not public."""

    def __init__(
        self,
        resolve: Resolve,
        *,
        allowed: frozenset[str] = frozenset(),
        tls: ssl.SSLContext | None = None,
        total_bytes: int = TOTAL_BYTES,
        total_s: float = TOTAL_S,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._tls = tls or ssl.create_default_context()
        self._total_bytes = total_bytes
        self._total_s = total_s
        self._places = asyncio.Semaphore(AT_ONCE_PER_WORKER)

    async def fetch(self, wanted: Sequence[Wanted]) -> list[Fetched]:
        """As :class:`Fetcher` says. Of several failures one is told; busy is when other requests held all places."""
        if len(wanted) > MAX_ADDRESSES:
            message = f"A request may name {MAX_ADDRESSES} addresses that have to be fetched."
            raise InvalidRequest(message, param=wanted[MAX_ADDRESSES].param)
        addresses = [parse(each.url, each.param) for each in wanted]  # all, before the first is asked
        call = _Call(Room(self._total_bytes))
        try:
            async with asyncio.timeout(self._total_s), asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._fetch(call, each, address))
                    for each, address in zip(wanted, addresses, strict=True)
                ]
        except TimeoutError:
            if not call.has_begun:
                raise ServerBusy("Too many addresses are being fetched at the moment.", retry_after_s=1.0) from None
            late = next((each for each, task in zip(wanted, tasks, strict=True) if task.cancelled()), wanted[0])
            raise InvalidRequest("The address did not answer in time.", param=late.param) from None
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _fetch(self, call: "_Call", wanted: Wanted, address: Address) -> Fetched:
        async with call.places, self._places:
            call.has_begun = True
            try:
                claim, body = await self._download(address, call.room)
                if len(body) <= INLINE_BYTES:
                    return Fetched(*recognise(wanted.kind, claim, body))
                return Fetched(*await asyncio.to_thread(recognise, wanted.kind, claim, body))
            except (Refused, Unsuitable) as refusal:
                raise InvalidRequest(str(refusal), param=wanted.param) from None

    async def _download(self, address: Address, room: Room) -> tuple[str, bytes]:
        tls = self._tls if address.scheme == "https" else None
        for at in (await self._hosts(address))[:TRIES]:
            try:
                reader, writer = await connect(address, at, tls, CONNECT_S)
            except OSError:  # TimeoutError and ssl.SSLError are such
                continue
            return await download(address, reader, writer, room)
        raise Refused("The address can't be reached.")

    async def _hosts(self, address: Address) -> list[IP]:
        """Where to connect: all of them public, or the operator's own choice."""
        if address.literal is not None:
            hosts: list[IP] = [address.literal]
        else:
            try:
                hosts = [ip_address(number) for number in await self._resolve(address.host, address.port)]
            except (OSError, ValueError):  # no such name, or nothing that is a number
                raise Refused(_NOWHERE) from None
        if not hosts or (address.place not in self._allowed and not all(map(is_public, hosts))):
            raise Refused(_NOWHERE)
        return hosts


class _Call:
    """What the downloads of one request share."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.places = asyncio.Semaphore(AT_ONCE)
        self.has_begun = False
