"""The official SDKs, asked for an answer: of a gateway as its clients, or of a record as its provider's own.

A record's reading goes through the whole SDK, its transport replaced by one that gives the recorded bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import anthropic
import httpx2
import openai
from anthropic import Anthropic
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google_types
from openai import OpenAI
from tests.fakes.meant import (
    Meant,
    of_chunks,
    of_completion,
    of_error,
    of_events,
    of_generated,
    of_message,
    of_message_stream,
    of_response,
)
from tests.fakes.records import Record

Client = str
"""``chat``, ``messages`` or ``responses``: what a client speaks."""

PROMPT = "Hi"


class Sdks:
    """Clients of one endpoint. ``ask`` gives what was meant; an error of the SDK is a meaning, too."""

    def __init__(self, base_url: str, key: str, transport: httpx2.BaseTransport | None = None) -> None:
        self._http = httpx2.Client(transport=transport, timeout=60)
        self.openai = OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, http_client=self._http)
        self.anthropic = Anthropic(base_url=base_url, api_key=key, max_retries=0, http_client=self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, client: Client, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Meant:
        """Asks with ``body`` as it is, whole or streamed as it says."""
        given: dict[str, Any] = {"extra_body": dict(body), "extra_headers": dict(headers or {})}
        stream = bool(body.get("stream"))
        try:
            match client:
                case "chat":
                    return self._chat(given, stream=stream)
                case "messages":
                    return self._messages(given, stream=stream)
                case "responses":
                    return self._responses(given, stream=stream)
        except (openai.APIError, anthropic.APIError) as error:
            return of_error(error)
        raise AssertionError(client)

    def _chat(self, given: dict[str, Any], *, stream: bool) -> Meant:
        create = self.openai.chat.completions.create
        if not stream:
            return of_completion(create(model="", messages=[], **given))
        with create(model="", messages=[], stream=True, **given) as chunks:
            return of_chunks(chunks)

    def _messages(self, given: dict[str, Any], *, stream: bool) -> Meant:
        if not stream:
            return of_message(self.anthropic.messages.create(model="", messages=[], max_tokens=1, **given))
        with self.anthropic.messages.stream(model="", messages=[], max_tokens=1, **given) as events:
            return of_message_stream(events)

    def _responses(self, given: dict[str, Any], *, stream: bool) -> Meant:
        if not stream:
            return of_response(self.openai.responses.create(model="", input=[], **given))
        with self.openai.responses.create(model="", input=[], stream=True, **given) as events:
            return of_events(events)


class OwnSdk:
    """Reads records with the SDK of the provider that they are of."""

    def __init__(self) -> None:
        self._record: Record | None = None
        transport = httpx2.MockTransport(self._answer)
        self._sdks = Sdks("http://recorded", "none", transport)
        self._http = httpx2.Client(transport=transport)
        options = google_types.HttpOptions(httpx_client=self._http)
        self._google = genai.Client(api_key="none", vertexai=False, http_options=options)

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Self]:
        """One that is closed at the end."""
        own = cls()
        with own._sdks, own._http:
            yield own
            own._google.close()

    def meant(self, record: Record) -> Meant:
        """What the provider meant by the record."""
        self._record = record
        match record.operation:
            case "generate_content":
                return self._generated(stream=record.stream)
            case operation:
                return self._sdks.ask(operation, {"stream": record.stream})

    def _generated(self, *, stream: bool) -> Meant:
        models = self._google.models
        try:
            if stream:
                return of_generated(models.generate_content_stream(model="m", contents=PROMPT))
            return of_generated([models.generate_content(model="m", contents=PROMPT)])
        except google_errors.APIError as error:
            return of_error(error)

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        assert self._record is not None
        kind = "text/event-stream" if self._record.is_sse else "application/json"
        return httpx2.Response(self._record.status, headers={"content-type": kind}, content=self._record.body.encode())
