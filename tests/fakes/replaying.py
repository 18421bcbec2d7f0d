"""A real gateway in front of an upstream that answers each call with the record that was named for it.

A record's own request is sent where client and provider speak the same dialect; else a plain one of the client's, with
the names of the record's tools. The record is found by ``traceparent``, which providers of every kind get to see.
"""

import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from tests.fakes.gateway import KEY, Gateway, config
from tests.fakes.meant import Meant
from tests.fakes.records import Record, replay
from tests.fakes.scripts import Chunking, Script
from tests.fakes.sdks import PROMPT, Client, Sdks
from tests.fakes.upstream import FakeUpstream, Seen

KINDS = {
    "openai": "openai",
    "azure": "azure",
    "xai": "xai",
    "vllm": "vllm",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "together": "together",
    "openrouter": "openrouter",
    "ollama": "ollama",
    "cerebras": "openai_compatible",
    "gpustack": "openai_compatible",
    "perplexity": "openai_compatible",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
}
"""The kind of provider that a record's provider is."""

NATIVE = {"chat": "chat", "messages": "messages", "responses": "responses"}
"""The operation of the records that a client's own dialect has."""

CHAT_ONLY = "chat-only"
"""The alias of a provider that has no Responses API."""

UNPRICED = "unpriced"
"""An alias without a price, of the kind ``openai``."""

KEY_OF_PROVIDER = "sk-upstream-canary-0123456789"
PRICE = {"input_per_1m": 1000, "output_per_1m": 2000}


class Replaying:
    """The gateway and its upstream, with a model for each provider of the records, named after it."""

    def __init__(
        self, dsn: str, directory: Path, *, price: Mapping[str, float] | None = None, spares: int = 16
    ) -> None:
        self._spares = spares
        self._spent: Counter[str] = Counter()
        self._dsn = dsn
        self._price = dict(price or PRICE)
        self._directory = directory
        self._scripts: dict[str, Script] = {}
        self._numbers = itertools.count(1)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.upstream = self._running.enter_context(FakeUpstream(default=self._answer))
        root = self.upstream.base_url.removesuffix("/v1")
        providers = {name: _provider(kind, root) for name, kind in KINDS.items()}
        providers[CHAT_ONLY] = _provider("openai_compatible", root)
        providers["simulator"] = {"kind": "simulator"}
        targets = {name: [{"provider": name, "model": f"{name}-model"}] for name in providers}
        models: dict[str, Any] = {name: {"targets": target, "price": self._price} for name, target in targets.items()}
        for name, model in list(models.items()):
            for number in range(self._spares):
                target = {"provider": name, "model": f"{name}-model-{number}"}
                models[f"{name}-{number}"] = {**model, "targets": [target]}
        models["simulator"] = {"targets": [{"provider": "simulator", "model": "simulator"}], "price": self._price}
        models[UNPRICED] = {"targets": targets["openai"]}
        settings = config(self._dsn, providers=providers, models=models)
        self.gateway = self._running.enter_context(Gateway(settings, self._directory))
        self.sdks = self._running.enter_context(Sdks(self.gateway.url, KEY))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def spare(self, name: str) -> str:
        """A model of this provider that nobody has asked yet: what it answers may be to leave it alone."""
        self._spent[name] += 1
        assert self._spent[name] <= self._spares, "more spares are needed"
        return f"{name}-{self._spent[name] - 1}"

    def named(self, script: Script) -> dict[str, str]:
        """The headers that make the upstream answer a call with ``script``."""
        trace = f"00-{next(self._numbers):032x}-{1:016x}-01"
        self._scripts[trace[3:35]] = script
        return {"traceparent": trace}

    def ask(
        self, client: Client, record: Record, chunking: Chunking = "events", *, request_id: str | None = None
    ) -> Meant:
        """What a client is given when the provider answers with the record."""
        alias = record.provider
        if client == "responses" and record.operation == "chat":
            alias = CHAT_ONLY
        if record.status == 429:
            alias = self.spare(alias)
        own = NATIVE[client] == record.operation
        body = {**record.asked, "model": alias} if own else plain_request(client, alias, record)
        headers = self.named(replay(record, chunking)) | ({"x-request-id": request_id} if request_id else {})
        return self.sdks.ask(client, body, headers)

    def _answer(self, seen: Seen) -> Script:
        trace = seen.header("traceparent")
        assert trace is not None, "the call names no record"
        return self._scripts[trace[3:35]]


def _provider(kind: str, root: str) -> dict[str, Any]:
    base = root if kind in ("azure", "anthropic", "google") else f"{root}/v1"
    return {"kind": kind, "base_url": base, "api_key": KEY_OF_PROVIDER}


def plain_request(client: Client, model: str, record: Record) -> dict[str, Any]:
    """A request of the client's dialect with the names of the record's tools."""
    names = tool_names(record.asked)
    empty = {"type": "object", "properties": {}}
    body: dict[str, Any] = {"model": model, **({"stream": True} if record.stream else {})}
    match client:
        case "messages":
            body |= {"max_tokens": 1000, "messages": [{"role": "user", "content": PROMPT}]}
            tools: list[Any] = [{"name": name, "input_schema": empty} for name in names]
        case "responses":
            body |= {"input": PROMPT}
            tools = [{"type": "function", "name": name, "parameters": empty, "strict": False} for name in names]
        case _:
            body |= {"messages": [{"role": "user", "content": PROMPT}]}
            body |= {"stream_options": {"include_usage": True}} if record.stream else {}
            tools = [{"type": "function", "function": {"name": name, "parameters": empty}} for name in names]
    return body | ({"tools": tools} if tools else {})


def tool_names(asked: Mapping[str, Any]) -> list[str]:
    """The names of the functions that a request of any dialect offers, each once."""
    found: list[str] = []
    tools = asked.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:  # Gemini takes one alone
        if tool.get("type") == "function" or "function" in tool:
            found.append(tool.get("function", tool).get("name"))
        elif "input_schema" in tool:
            found.append(tool["name"])
        for declaration in tool.get("functionDeclarations") or tool.get("function_declarations") or []:
            found.append(declaration.get("name"))
    return list(dict.fromkeys(name for name in found if name))


def as_told_to(client: Client, meant: Meant, operation: str) -> Meant:
    """What a client of another dialect can be told of an answer, where its dialect lacks a word.

    Messages and Responses have no ``stop`` beside calls and no reason of its own for calls: where there are calls, they
    are the reason. Messages has a reason for a refusal, and chat none. Messages has no total, and what was read from a
    cache is a part of the prompt there: Azure has been seen to tell more than the whole prompt.
    """
    if NATIVE[client] == operation or client == "chat" or meant.error:
        return meant
    finish = meant.finish
    if finish in ("stop", "tool_calls"):
        finish = "tool_calls" if meant.calls else "stop"
    usage = meant.usage
    if client == "messages":
        finish = "content_filter" if meant.is_refused else finish
        total, cached = usage.prompt + usage.completion, min(usage.cached, usage.prompt)
        usage = replace(usage, total=total, cached=cached)
    return replace(meant, finish=finish, usage=usage)
