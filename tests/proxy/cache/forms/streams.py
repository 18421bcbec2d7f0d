"""Streams as a client of the gateway gets them, and what the official SDKs make of a stream."""

import json
from typing import Any, Self

import httpx2
from openai.lib.streaming.chat import ChatCompletionStreamState
from tests.fakes.meant import Meant
from tests.fakes.records import Record
from tests.fakes.sdks import Sdks

from tollway._native.sse import Relay
from tollway.contract.snapshot import Operation

PROVIDERS = (
    "anthropic azure cerebras deepseek gpustack groq mistral ollama openai openrouter perplexity together vllm xai"
).split()
OPERATIONS: tuple[Operation, ...] = ("chat", "completions", "messages", "responses")


def relayed(record: Record) -> bytes:
    """A recorded stream as it leaves the gateway; what the provider left out of its end is missing."""
    dialect: Any = record.operation if record.operation in ("messages", "responses") else "chat"
    relay = Relay(False, dialect=dialect)
    return relay.feed(record.body.encode()) + relay.finish() + relay.last


def frames(events: bytes) -> list[bytes]:
    """The events one by one, without comments."""
    return [frame + b"\n\n" for frame in events.split(b"\n\n") if frame and not frame.startswith(b":")]


def told(events: bytes) -> list[Any]:
    """The JSON values of the events; ``[DONE]`` is left out."""
    data = [line.removeprefix(b"data: ") for line in events.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(payload) for payload in data if payload != b"[DONE]"]


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A chunk of chat with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **more}
    answer = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice]}
    return framed(answer)


def framed(event: Any) -> bytes:
    """An event without a name."""
    return b"data: " + json.dumps(event).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


class Reading:
    """The official SDKs, whose every call is answered with the bytes at hand."""

    def __init__(self) -> None:
        self._body = b""
        self._is_stream = False
        transport = httpx2.MockTransport(self._answer)
        self._sdks = Sdks("http://gateway", "k", transport)
        self.openai = self._sdks.openai

    def __enter__(self) -> Self:
        self._sdks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._sdks.__exit__()

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        kind = "text/event-stream" if self._is_stream else "application/json"
        return httpx2.Response(200, headers={"content-type": kind}, content=self._body)

    def given(self, body: bytes, *, stream: bool) -> Self:
        """With this at hand."""
        self._body, self._is_stream = body, stream
        return self

    def meant(self, operation: str, body: bytes, *, stream: bool) -> tuple[Meant, tuple[str, ...], bool]:
        """What an answer means, the ids of its calls, and whether it is a refusal."""
        meant = self.given(body, stream=stream)._sdks.ask(operation, {"stream": stream})
        return meant, meant.ids, meant.is_refused

    def put_together(self, events: bytes) -> list[Any]:
        """The choices that OpenAI's SDK puts together of a stream of chat, without what it adds itself."""
        state = ChatCompletionStreamState()
        create = self.given(events, stream=True).openai.chat.completions.create
        with create(model="m", messages=[], stream=True) as chunks:
            for each in chunks:
                state.handle_chunk(each)
        choices: Any = state.current_completion_snapshot.to_dict()["choices"]
        for choice in choices:
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
        return [plain(choice) for choice in choices]


_DOCUMENTED = ("index", "message", "logprobs", "finish_reason")
"""Of what else a choice has the SDK keeps only what stands in its first chunk."""


def plain(choice: Any) -> Any:
    """A choice without what is null or empty, and without what the SDK takes for pieces or adds itself."""
    return _plain({name: choice[name] for name in _DOCUMENTED if name in choice})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {name: _plain(each) for name, each in value.items() if each is not None and each != []}
    # A role that each chunk tells is joined as a text is; so are details of one index, whatever their type.
    for name in ("role", "reasoning_details", "parsed", "parsed_arguments"):
        told.pop(name, None)
    return told
