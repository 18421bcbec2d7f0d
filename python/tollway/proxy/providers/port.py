"""The port: what the gateway needs of a provider, and what an HTTP transport does for most of them."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from tollway.contract.snapshot import Operation
from tollway.proxy.causes import Fault, cause_of
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.pieces import Streamed
from tollway.proxy.providers.capabilities import Takes


class UpstreamCall(msgspec.Struct, frozen=True):
    """One call as a provider gets it: its own model name, the final body, and the client's headers to pass on.

    ``sent`` is called when the first byte of the request leaves: from then on the provider may have seen it. It is
    called again should the request be sent again.
    """

    model: str
    body: bytes
    headers: list[tuple[str, str]]
    connect_s: float
    sent: Callable[[], None]
    strict: bool = False
    """Whether a field that the provider can't take is refused, instead of dropped with a warning."""
    operation: Operation = "chat"
    """What the provider is asked for: the client's operation, or ``chat`` where the body is the hub's."""
    is_translated: bool = False
    """Whether the body was made of another dialect: then it may hold the hub's extensions (``wire.hub``)."""
    takes: Takes | None = None
    """What the target takes of a translated request; ``None``: nothing is known that the provider does not know
    itself."""
    upload: Streamed | None = None
    """Goes in the place of ``body``, as it arrives."""


Header = Callable[[str], str | None]
"""The first value of an answer's header, by lower-case name."""


class Faults(Protocol):
    """How the refusals of one provider are read."""

    def fault(self, status: int, header: Header, body: bytes) -> Fault:
        """Why an answer is a refusal: its status is 400 or more, or its body says so."""
        ...

    def event_fault(self, payload: bytes) -> Fault:
        """Why a stream failed, of the event that said so."""
        ...


class StatusFaults:
    """Refusals of a provider whose bodies say nothing that can be relied upon: the status alone is read."""

    def fault(self, status: int, header: Header, body: bytes) -> Fault:
        """By status."""
        return Fault(cause_of(status), f"The provider answered {status}.")

    def event_fault(self, payload: bytes) -> Fault:
        """Its own fault, whatever it says."""
        return Fault(cause_of(500), "The provider's stream failed.")


class Provider(Protocol):
    """One configured provider."""

    speaks: frozenset[Operation]
    """What it can be asked for in the client's own bytes; anything else is said to it as chat."""
    asks_usage: bool
    """Whether it takes ``stream_options.include_usage``."""

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """Sends the call; returns when the answer's head is in.

        Raises:
            tollway.errors.UpstreamUnreachable: nothing was sent.
            tollway.errors.UpstreamTimeout: no connection within ``connect_s``.
            tollway.errors.UpstreamBroken: the connection died before the answer's head.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """A provider that can also count the tokens of a prompt without answering it."""

    async def count_tokens(self, call: UpstreamCall) -> int:
        """The prompt's tokens; the call's body is the hub's.

        Raises:
            tollway.errors.InvalidRequest: the request can't be said in the provider's terms; nothing was sent.
            tollway.errors.UpstreamError: the provider can't be reached or does not count.
        """
        ...


@runtime_checkable
class Probed(Protocol):
    """A provider whose server can be asked how it is, with nothing but the key."""

    def probe(self, path: str, connect_s: float) -> "UpstreamRequest | None":
        """The question: a GET of ``path``, below the address that its models are at; ``None`` where a key is no
        proof."""
        ...


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request over HTTP. ``sent`` is as in :class:`UpstreamCall`; so is ``upload``, its ``content-type`` its own. A
    ``GET`` has no body."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes
    connect_s: float
    sent: Callable[[], None]
    faults: Faults = StatusFaults()
    upload: Streamed | None = None
    method: Literal["POST", "GET"] = "POST"


def question(url: str, headers: Sequence[tuple[str, str]], connect_s: float) -> UpstreamRequest:
    """A GET of ``url``, which proves itself by ``headers``."""
    return UpstreamRequest(url, list(headers), b"", connect_s, lambda: None, method="GET")


class Transport(Protocol):
    """Sends requests over HTTP."""

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """As :meth:`Provider.send`, with the same errors."""
        ...
