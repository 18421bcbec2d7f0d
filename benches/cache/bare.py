"""A route that answers by itself, on the server and the loop that the gateway stands on: what no gateway can go below.

    python -m benches.cache.bare PORT

Started by ``benches/cache/serving.py``; serves until it is killed.
"""

import sys

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.types import Receive, Scope, Send

BODY = b'{"id":"chatcmpl-1","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the request's body and answers the same to every one."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def serve(port: int) -> None:
    """Listens on loopback."""
    server = Server(
        answer,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
