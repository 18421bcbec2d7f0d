"""The built-in provider: answers from within the process, without a network or a key."""

from collections.abc import AsyncIterator

from tollway.contract.snapshot import OPERATIONS
from tollway.errors import UpstreamBroken
from tollway.proxy.causes import Fault
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import Faults, StatusFaults, UpstreamCall
from tollway.simulation.behaviour import Behaviour
from tollway.simulation.respond import ConnectionCut, respond


class SimulatorProvider:
    """The simulation behind the port; its model names choose its behaviour, see ``simulation.behaviour``."""

    speaks = OPERATIONS["simulator"]
    asks_usage = True

    def __init__(self) -> None:
        self._faults = StatusFaults()

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says; a simulated connection never fails to open."""
        call.sent()
        try:
            simulated = await respond(call.body, Behaviour())
        except ConnectionCut:
            raise UpstreamBroken("The provider closed the connection without an answer.") from None
        return _SimulatedAnswer(simulated.status, simulated.headers, simulated.chunks, self._faults)


class _SimulatedAnswer:
    def __init__(
        self, status: int, headers: list[tuple[str, str]], chunks: AsyncIterator[bytes], faults: Faults
    ) -> None:
        self.status = status
        self._faults = faults
        self.warnings: tuple[str, ...] = ()
        self.secrets: tuple[str, ...] = ()
        self._headers = dict(headers)
        self._chunks = chunks
        self.ended = False

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    async def piece(self) -> bytes | None:
        try:
            piece = await anext(self._chunks, None)
        except ConnectionCut:
            raise UpstreamBroken("The provider's answer was cut before its end.") from None
        self.ended = piece is None
        return piece

    def fault(self, body: bytes) -> Fault:
        return self._faults.fault(self.status, self.header, body)

    def event_fault(self, payload: bytes) -> Fault:
        return self._faults.event_fault(payload)

    async def close(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
