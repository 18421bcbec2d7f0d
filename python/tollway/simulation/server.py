"""The simulator as a server of its own: OpenAI's paths over HTTP, for load tests and for clients without a key.

One process, one loop, no state. The port is taken alone: a second simulator on it is refused, though Granian itself
would share it (SO_REUSEPORT).
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tollway.simulation.behaviour import EXAMPLE_MODELS, Behaviour
from tollway.simulation.refusals import Refusal, of_status
from tollway.simulation.respond import respond

_BODY_BYTES_ALLOWED = 20 * 1024 * 1024
_DRAIN_S = 1.0  # what is still answered after the signal; a hang never would be
_CREATED_S = 1_700_000_000


def app(behaviour: Behaviour) -> Starlette:
    """``POST /v1/chat/completions``, ``GET /v1/models``, ``GET /health``; everything else is OpenAI's 404."""
    return Starlette(
        routes=[
            Route("/v1/chat/completions", ChatCompletions(behaviour), methods=["POST"]),
            Route("/v1/models", _models, methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _no_such_path},
    )


async def serve(behaviour: Behaviour, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``port`` 0 takes a free one; ``listening`` is told the base URL.

    Raises:
        OSError: the address can't be taken.
    """
    port = _free_port(host, port)
    server = Server(
        app(behaviour),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server.serve())
    told_to_stop = asyncio.create_task(stopping.wait())
    try:
        await _until_accepting(host, port, serving)
        if not serving.done():
            listening(f"http://{f'[{host}]' if ':' in host else host}:{port}/v1")
        await asyncio.wait((serving, told_to_stop), return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, _DRAIN_S)


class ChatCompletions:
    """The ASGI application behind the chat path: a body in, ``respond``'s answer out, until the client leaves."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        answering = asyncio.create_task(self._answer(body, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering  # a ConnectionCut goes on to Granian, which drops the connection

    async def _answer(self, body: bytes | None, send: Send) -> None:
        if body is None:
            await _send_refusal(of_status(413), send)
            return
        simulated = await respond(body, self._behaviour)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in simulated.headers]
        await send({"type": "http.response.start", "status": simulated.status, "headers": headers})
        async for chunk in simulated.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Receive) -> bytes | None:
    """The request's body; ``None`` when it's larger than allowed."""
    body = bytearray()
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if len(body) > _BODY_BYTES_ALLOWED:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_refusal(refusal: Refusal, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": False})


async def _models(request: Request) -> Response:
    listed = [{"id": name, "object": "model", "created": _CREATED_S, "owned_by": "tollway"} for name in EXAMPLE_MODELS]
    return Response(msgspec.json.encode({"object": "list", "data": listed}), media_type="application/json")


async def _health(request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


async def _no_such_path(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    message = f"Invalid URL ({request.method} {request.url.path})"
    refusal = Refusal(status, message, type_="invalid_request_error", code=None)
    return Response(refusal.body, status, media_type="application/json")


def _free_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


async def _until_accepting(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Wait for the listener: Granian opens it in a thread of its own, and says nothing."""
    while not serving.done():
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.01)
