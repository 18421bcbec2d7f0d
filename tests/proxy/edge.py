"""Both edges of the data plane, scripted: a client on ASGI's side, an answer on the provider's; and what is between."""

import asyncio
import json
from types import EllipsisType
from typing import Any

import msgspec

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import Policy
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.limits import LimitValues
from tollway.contract.snapshot import Operation, Price, ProviderAccess, Route, Snapshot, Target, Timeouts
from tollway.contract.usage import Outcome
from tollway.proxy.boundary import current_task
from tollway.proxy.causes import Cause, Fault, cause_of
from tollway.proxy.connection import Connection, Message
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Arrival, Attempted, Called, Dispatch, Principal, Progress, Relayed, Timing
from tollway.proxy.relay.relay import begin, relay

HELLO = [{"role": "user", "content": "Hi"}]
ACCESS = ProviderAccess("fake", "openai", "http://127.0.0.1:9/v1", "sk-provider-canary-0123456789")
PRICE = Price(version="test", input=1_000, output=2_000)


class Client:
    """Sends ``pieces`` as its body, then is silent until it hangs up; keeps what it was sent.

    While ``reads`` is not set, sending to it waits. With ``complete=False`` the body's end does not come.
    """

    def __init__(self, *pieces: bytes, complete: bool = True) -> None:
        self.sent: list[Message] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_body = asyncio.Event()
        self._arriving: asyncio.Queue[Message] = asyncio.Queue()
        for number, piece in enumerate(pieces, 1):
            more = number < len(pieces) or not complete
            self._arriving.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        return await self._arriving.get()

    async def send(self, message: Message) -> None:
        """ASGI's ``send``."""
        await self.reads.wait()
        self.sent.append(message)
        if message.get("body"):
            self.has_body.set()

    def send_piece(self, piece: bytes, *, more: bool = True) -> None:
        """Another piece of its body."""
        self._arriving.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def hang_up(self) -> None:
        """Leaves."""
        self._arriving.put_nowait({"type": "http.disconnect"})

    @property
    def untaken(self) -> int:
        """How many of its messages nobody has asked for."""
        return self._arriving.qsize()

    @property
    def starts(self) -> list[Message]:
        """The heads it was sent: one, if all is well."""
        return [message for message in self.sent if message["type"] == "http.response.start"]

    @property
    def status(self) -> int:
        """The status of the one answer."""
        (start,) = self.starts
        status: int = start["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the one answer."""
        (start,) = self.starts
        return dict(start["headers"])

    @property
    def body(self) -> bytes:
        """All of the body so far."""
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")

    @property
    def error(self) -> Any:
        """What the envelope holds."""
        return json.loads(self.body)["error"]

    @property
    def ends(self) -> int:
        """How often the answer was ended: once, if all is well."""
        return sum(message["type"] == "http.response.body" and not message["more_body"] for message in self.sent)


class Answer:
    """A provider's answer that is played from ``script``: bytes arrive, an exception is raised, ``...`` hangs."""

    def __init__(self, *script: bytes | Exception | EllipsisType, status: int = 200, **headers: str) -> None:
        self.status = status
        self.warnings: tuple[str, ...] = ()
        self.secrets: tuple[str, ...] = ()
        self.closed = 0
        self.why: Fault | None = None
        """Its refusal, where the status does not say it."""
        self._script = list(script)
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def ended(self) -> bool:
        """Whether the script is."""
        return not self._script

    def header(self, name: str) -> str | None:
        """A header of the script."""
        return self._headers.get(name)

    async def piece(self) -> bytes | None:
        """The next step."""
        await asyncio.sleep(0)
        step = self._script.pop(0) if self._script else None
        if step is ...:
            await asyncio.Event().wait()
        if isinstance(step, Exception):
            raise step
        assert step is None or isinstance(step, bytes)
        return step

    def fault(self, body: bytes) -> Fault:
        """By status, with the body's words."""
        return self.why or Fault(cause_of(self.status), body.decode("utf-8", "replace"))

    def event_fault(self, payload: bytes) -> Fault:
        """The provider's own fault, with the payload's words."""
        return Fault(Cause.SERVER, payload.decode("utf-8", "replace"))

    async def close(self) -> None:
        """Counts."""
        self.closed += 1


def target(
    model: str = "m-1", *, weight: int = 1, price: Price | None = PRICE, access: ProviderAccess = ACCESS
) -> Target:
    """Who may answer."""
    return Target(access, model, weight, price)


def route(alias: str = "m", *targets: Target, timeouts: Timeouts | None = None) -> Route:
    """An alias."""
    return Route(alias, targets or (target(),), timeouts or Timeouts())


def snapshot(
    *routes: Route, policies: tuple[Policy, ...] = (), file_keys: tuple[tuple[bytes, KeyRecord], ...] = ()
) -> Snapshot:
    """What the data plane knows."""
    return Snapshot(
        version=1,
        routes={each.alias: each for each in routes or (route(),)},
        policies={policy.name: policy for policy in policies},
        default_limits=LimitValues(),
        file_keys=file_keys,
    )


def record(**changes: Any) -> KeyRecord:
    """A key that may call models."""
    plain = KeyRecord("key-1", "ci", "tenant-1", "acme", frozenset({GATEWAY_USE}), True)
    return msgspec.structs.replace(plain, **changes)


def principal(**changes: Any) -> Principal:
    """A caller without limits."""
    return Principal(record(**changes), None)


def ask(model: str = "m", **fields: Any) -> ChatRequest:
    """A chat request."""
    return chat.read_request(json.dumps({"model": model, "messages": HELLO, **fields}).encode())


def arrive(
    client: Client | None = None,
    *,
    headers: dict[bytes, bytes] | None = None,
    known: Snapshot | None = None,
    operation: Operation = "chat",
) -> Arrival:
    """A request at the door, served by the current task."""
    client, headers = client or Client(), headers or {}
    connection = Connection(headers, client.receive, client.send, current_task())
    return Arrival(
        "id-1", "request-1", headers, connection, Timing(), known or snapshot(), dialects()[operation], operation
    )


def dispatch(
    request: ChatRequest,
    *,
    client: Client | None = None,
    headers: dict[bytes, bytes] | None = None,
    way: Route | None = None,
    operation: Operation = "chat",
) -> Dispatch:
    """A request on its way to the first target of ``way``."""
    way = way or route()
    arrival = arrive(client, headers=headers, operation=operation)
    task = arrival.connection.task
    deadline = asyncio.get_running_loop().time() + way.timeouts.total_s
    return Dispatch(arrival, request, way, way.targets[0], way.targets[0].provider, task, deadline)


def called(
    answer: Answer, *, stream: bool = False, client: Client | None = None, way: Route | None = None, **fields: Any
) -> Called:
    """A call that ``answer`` has begun to answer."""
    call = dispatch(ask(stream=stream, **fields), client=client, way=way)
    return Called(call.arrival, call.request, call.route, call.target, answer, call.deadline, call.task)


class Kept:
    """A place at a target; keeps how the call ended."""

    def __init__(self) -> None:
        self.ends: list[Outcome | None] = []

    def end(self, outcome: Outcome | None) -> None:
        """Keeps it."""
        self.ends.append(outcome)


async def relayed(call: Called, progress: Progress | None = None, kept: Kept | None = None) -> Relayed:
    """What station 6 and the relay make of an answer, on all of its way."""
    progress = progress or dispatched()
    return await relay(Attempted(await begin(call, progress), kept or Kept(), progress))


def dispatched(way: Route | None = None) -> Progress:
    """The progress of a call that has left."""
    progress = Progress()
    way = way or route()
    progress.planned(way, way.targets[0])
    progress.sent()
    return progress
