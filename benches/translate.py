"""Streams per second of one worker on one core, passed on and translated: every dialect against four kinds of provider.

    .venv/bin/python benches/translate.py [--seconds 6]

The worker, its supervisor and PostgreSQL run on core 0; a scripted upstream and the clients on core 1. Each stream has
50 pieces of text, each sent as an event of its own, and its usage. Everything is on: authentication, limits, the PII
scan, usage rows, metrics. Prints one line a pair; the last column is the share of chat that passes.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fakes.gateway import KEY, Gateway, config, free_port

GATEWAY_CORE, LOAD_CORE = 0, 1
PIECES = 50
CONNECTIONS = 32
TEXT = "piece of text "
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Tell me."}]}),
    "messages": ("/v1/messages", {"max_tokens": 500, "messages": [{"role": "user", "content": "Tell me."}]}),
    "responses": ("/v1/responses", {"input": "Tell me."}),
}
KINDS = ("openai", "openai_compatible", "anthropic", "google")


def chat_events() -> list[str]:
    """OpenAI's."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 9, "completion_tokens": PIECES, "total_tokens": 9 + PIECES}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *[{"content": TEXT}] * PIECES]
    events = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append(head | {"choices": [], "usage": usage})
    return [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]


def message_events() -> list[str]:
    """Anthropic's."""
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * PIECES,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": PIECES}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def content_events() -> list[str]:
    """Gemini's."""
    usage = {"promptTokenCount": 9, "candidatesTokenCount": PIECES, "totalTokenCount": 9 + PIECES}
    content = {"role": "model", "parts": [{"text": TEXT}]}
    events: list[dict[str, Any]] = [{"candidates": [{"content": content, "index": 0}], "usageMetadata": usage}] * PIECES
    events.append({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage})
    return [f"data: {json.dumps(event)}\r\n\r\n" for event in events]


def response_events() -> list[str]:
    """OpenAI's Responses."""
    usage = {"input_tokens": 9, "output_tokens": PIECES, "total_tokens": 9 + PIECES}
    response = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [], "usage": usage}
    delta = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": TEXT}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        *[delta] * PIECES,
        {"type": "response.completed", "response": response},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


class Upstream(asyncio.Protocol):
    """Answers every request with the stream that its path asks for, an event a write."""

    streams: dict[str, list[bytes]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection of the gateway's."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Perhaps the rest of a request."""
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(body) < length:
            return
        self._held = body[length:]
        path = head.split(b" ", 2)[1].decode()
        stream = next(events for end, events in self.streams.items() if end in path)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in stream:
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self._transport.write(b"0\r\n\r\n")


async def serve(port: int) -> None:
    """The upstream, until it is killed."""
    made = {
        "/chat/completions": chat_events(),
        "/messages": message_events(),
        ":streamGenerateContent": content_events(),
        "/responses": response_events(),
    }
    Upstream.streams = {end: [event.encode() for event in events] for end, events in made.items()}
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


async def call(port: int, request: bytes, until: float) -> int:
    """One connection's streams until the time is up; returns how many."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    done = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        said = await reader.readuntil(b"\r\n0\r\n\r\n")
        assert said.count(TEXT.encode()) >= PIECES, said[-500:]
        done += 1
    writer.close()
    return done


async def load(port: int, door: str, model: str, seconds: float) -> float:
    """Streams per second through a door, asking for a model."""
    path, fields = DOORS[door]
    body = json.dumps({"model": model, "stream": True, **fields}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    begun = time.monotonic()
    done = await asyncio.gather(*[call(port, request, begun + seconds) for _ in range(CONNECTIONS)])
    return sum(done) / (time.monotonic() - begun)


def settings(port: int) -> dict[str, Any]:
    """A model for each kind of provider, all of them the scripted one."""
    roots = {"anthropic": "", "google": ""}
    providers = {
        kind: {"kind": kind, "base_url": f"http://127.0.0.1:{port}{roots.get(kind, '/v1')}", "api_key": "sk-bench"}
        for kind in KINDS
    }
    price = {"input_per_1m": 1, "output_per_1m": 2}
    models = {kind: {"targets": [{"provider": kind, "model": "m"}], "price": price} for kind in KINDS}
    plenty = {"rpm": 900_000_000, "tpm": 900_000_000, "concurrency": 1_000_000}
    tenants = {"acme": {"keys": {"ci": {"key": KEY, "limits": plenty}}, "limits": plenty}}
    screened = {"default": {"input": [{"check": "pii", "action": "redact"}]}}
    return config("embedded", providers=providers, models=models, tenants=tenants, guardrails=screened)


def main() -> None:
    """Measures all pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--upstream", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        asyncio.run(serve(options.upstream))
        return
    port = free_port()
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, __file__, "--upstream", str(port)]
    upstream = subprocess.Popen(command)
    try:
        with tempfile.TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            os.sched_setaffinity(0, {GATEWAY_CORE})  # inherited by everything the gateway starts
            with Gateway(settings(port), Path(directory)) as gateway:
                os.sched_setaffinity(0, {LOAD_CORE})
                measure(gateway, options.seconds)
    finally:
        upstream.kill()
        upstream.wait()


def measure(gateway: Gateway, seconds: float) -> None:
    """Prints a line a pair."""
    asyncio.run(load(gateway.port, "chat", "openai", 2.0))  # warms up
    passed = 0.0
    for door in DOORS:
        for kind in KINDS:
            rate = asyncio.run(load(gateway.port, door, kind, seconds))
            passed = passed or rate
            print(f"{door:10} {kind:18} {rate:8.0f} streams/s {rate * PIECES:9.0f} chunks/s {rate / passed:6.2f}")


if __name__ == "__main__":
    main()
