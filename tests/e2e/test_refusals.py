"""Refusals in all the shapes that providers have for them, told to every client in its own words and with one class.

Most of these shapes are in no held record; the table is what is known of them.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from tests.fakes.conversations import body_of
from tests.fakes.replaying import CHAT_ONLY, Replaying
from tests.fakes.scripts import Script, deltas, sse, stream, whole

ASKED: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"input": "Hi"},
}


@dataclass(frozen=True)
class Refusal:
    """What a provider says, and the status, the words and, where it tells them, the seconds to wait that follow."""

    name: str
    kind: str
    status: int
    body: Any
    seen: int
    words: str
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: str | None = None
    code: str | None = None
    to_messages: int | None = None
    """The status for a Messages client where it is another: Anthropic's own bodies pass as they are, status and all,
    and Anthropic has no 408."""

    def __str__(self) -> str:
        return self.name

    @property
    def script(self) -> Script:
        if isinstance(self.body, str):
            return Script(self.status, (("content-type", "text/plain"), *self.headers), (("send", self.body.encode()),))
        return whole(self.body, status=self.status, headers=self.headers)


def plain(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def of_google(code: int, status: str, message: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def of_anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
DELAY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27s"}
LONG = "context_length_exceeded"
REFUSALS = (
    Refusal(
        "xAI: a wrong key",
        "xai",
        400,
        {"code": "invalid-argument", "error": "Incorrect API key provided: xai."},
        401,
        "Incorrect API key",
    ),
    Refusal(
        "xAI: an error that is a string",
        "xai",
        400,
        {"code": "invalid-argument", "error": "No such field."},
        400,
        "No such field.",
    ),
    Refusal("Mistral: a detail", "mistral", 401, {"detail": "Unauthorized"}, 401, "Unauthorized"),
    Refusal(
        "Mistral: a list of details",
        "mistral",
        422,
        {"detail": [{"loc": ["body", "top_p"], "msg": "Input should be less than 1", "type": "x"}]},
        400,
        "Input should be less than 1",
    ),
    Refusal(
        "Mistral: flat",
        "mistral",
        400,
        {"object": "error", "message": "Bad role", "type": "invalid_request_error", "param": None, "code": None},
        400,
        "Bad role",
    ),
    Refusal(
        "DeepSeek: plain text", "deepseek", 422, "Failed to deserialize the JSON body", 400, "Failed to deserialize"
    ),
    Refusal(
        "DeepSeek: no money",
        "deepseek",
        402,
        plain("Insufficient Balance"),
        429,
        "Insufficient Balance",
    ),
    Refusal("Azure: plain text, 408", "azure", 408, "It took too long.", 408, "It took too long.", to_messages=504),
    Refusal("Azure: plain text, 413", "azure", 413, "Request body too large", 413, "Request body too large"),
    Refusal("OpenAI: plain text, 503", "openai", 503, "upstream connect error", 503, "upstream connect error"),
    Refusal(
        "OpenRouter: the cause is in metadata",
        "openrouter",
        429,
        {
            "error": {
                "code": 429,
                "message": "Provider returned error",
                "metadata": {"raw": "slow down, please", "provider_name": "P"},
            }
        },
        429,
        "slow down, please",
    ),
    Refusal(
        "a rate that passes",
        "openai",
        429,
        plain("Rate limit reached", type="requests", code="rate_limit_exceeded"),
        429,
        "Rate limit",
        (("retry-after", "65"),),
        "65",
        "rate_limit_exceeded",
    ),
    Refusal(
        "a request beyond the rate",
        "openai",
        429,
        plain("Request too large for gpt-4o", type="tokens", code="rate_limit_exceeded"),
        429,
        "Request too large",
    ),
    Refusal(
        "no money",
        "openai",
        429,
        plain("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
        429,
        "quota",
        code="insufficient_quota",
    ),
    Refusal(
        "Anthropic: beyond the rate",
        "anthropic",
        429,
        of_anthropic("rate_limit_error", "would exceed the limit"),
        429,
        "would exceed",
        (("x-should-retry", "false"),),
    ),
    Refusal(
        "Anthropic: overloaded",
        "anthropic",
        529,
        of_anthropic("overloaded_error", "Overloaded"),
        503,
        "Overloaded",
        to_messages=529,
    ),
    Refusal(
        "Anthropic: no money",
        "anthropic",
        400,
        of_anthropic("invalid_request_error", "Your credit balance is too low to access the API."),
        429,
        "credit balance",
        code="insufficient_quota",
        to_messages=400,
    ),
    Refusal(
        "Gemini: a wrong key",
        "gemini",
        400,
        of_google(400, "INVALID_ARGUMENT", "API key not valid.", BAD_KEY),
        401,
        "API key not valid.",
    ),
    Refusal(
        "Gemini: a rate that passes",
        "gemini",
        429,
        of_google(429, "RESOURCE_EXHAUSTED", "You exceeded it.", DELAY),
        429,
        "You exceeded it.",
        (),
        "27",
    ),
    Refusal(
        "too long: OpenAI",
        "openai",
        400,
        plain("This model's maximum context length is 8192 tokens.", code=LONG),
        400,
        "maximum context length",
        code=LONG,
    ),
    Refusal(
        "too long: Anthropic",
        "anthropic",
        400,
        of_anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        400,
        "prompt is too long",
        code=LONG,
    ),
    Refusal(
        "too long: Gemini",
        "gemini",
        400,
        of_google(400, "INVALID_ARGUMENT", "The input token count (2) exceeds the maximum (1)."),
        400,
        "input token count",
        code=LONG,
    ),
)


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("refusals"), spares=60) as running:
        yield running


def row_of(replaying: Replaying, request_id: str) -> dict[str, Any]:
    """The usage row of that call."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [row for row in replaying.gateway.rows() if row["request_id"] == request_id]
        return bool(found)

    replaying.gateway.wait_until(look, "written down")
    return found[0]


def raised(replaying: Replaying, client: str, model: str, script: Script, request_id: str, *, streamed: bool) -> Any:
    """The error that a client's SDK raises."""
    sdks, headers = replaying.sdks, replaying.named(script) | {"x-request-id": request_id}
    body = body_of(client, {**ASKED[client], "model": model, **({"stream": True} if streamed else {})})
    given: dict[str, Any] = {"extra_body": body, "extra_headers": headers}
    ask: dict[str, Callable[[], object]] = {
        "chat": lambda: sdks.openai.chat.completions.create(model="", messages=[], **given),
        "messages": lambda: sdks.anthropic.messages.create(model="", messages=[], max_tokens=9, **given),
        "responses": lambda: sdks.openai.responses.create(model="", input=[], **given),
    }
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        ask[client]()
    return caught.value


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_a_refusal_has_one_class_and_its_own_words(
    replaying: Replaying, refusal: Refusal, client: str, streamed: bool
) -> None:
    model = replaying.spare(refusal.kind) if refusal.status == 429 else refusal.kind
    error = raised(replaying, client, model, refusal.script, uuid.uuid4().hex, streamed=streamed)
    assert error.status_code == ((client == "messages" and refusal.to_messages) or refusal.seen)
    body = json.loads(error.response.content)
    assert refusal.words in json.dumps(body)
    if refusal.retry_after is not None:
        assert error.response.headers["retry-after"] == refusal.retry_after
    if client == "messages":
        assert (body["type"], set(body["error"])) == ("error", {"type", "message"})
    elif refusal.code is not None:
        assert error.code == refusal.code


OVERLOADED = of_anthropic("overloaded_error", "Overloaded")
ANTHROPIC_BEGIN: list[Any] = [
    {
        "type": "message_start",
        "message": {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "c",
            "content": [],
            "usage": {"input_tokens": 4, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
]
ZEROS = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}
BUSY = plain("The server had an error", type="server_error")


def events(*told: Any) -> str:
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in told)


BEGINNINGS = {
    "anthropic": stream(events(OVERLOADED)),
    "openai": sse([BUSY, ZEROS]),
    "groq": stream(f"event: error\ndata: {json.dumps(BUSY)}\n\n"),
    "openrouter": sse([{"id": "g", "choices": [], "error": {"code": 503, "message": "The server is out"}}]),
}
"""Streams that are an error from the first event on, behind a status of 200."""

SAID = "".join(f"data: {json.dumps(each)}\n\n" for each in deltas("Hello")[:2])
MIDWAYS = {
    "anthropic": stream(events(*ANTHROPIC_BEGIN, OVERLOADED)),
    CHAT_ONLY: sse([*deltas("Hello")[:2], BUSY, ZEROS]),
    "groq": stream(f"{SAID}event: error\ndata: {json.dumps(BUSY)}\n\n"),
}
"""Streams that fail when something has been said."""


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("kind", BEGINNINGS)
def test_a_stream_that_begins_with_an_error_is_a_refusal(replaying: Replaying, kind: str, client: str) -> None:
    name = uuid.uuid4().hex
    model = CHAT_ONLY if (client, kind) == ("responses", "openai") else kind
    error = raised(replaying, client, model, BEGINNINGS[kind], name, streamed=True)
    assert error.status_code in (502, 503)
    row = row_of(replaying, name)
    assert (row["status"], row["cost"], row["completion_tokens"]) == ("error", 0, 0)


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("kind", MIDWAYS)
def test_a_stream_that_fails_midway_keeps_what_it_said_and_costs_it(
    replaying: Replaying, kind: str, client: str
) -> None:
    headers = replaying.named(MIDWAYS[kind]) | {"x-request-id": (name := uuid.uuid4().hex)}
    body = body_of(client, {**ASKED[client], "model": kind, "stream": True})
    meant = replaying.sdks.ask(client, body, headers)
    assert (meant.text, meant.error, meant.finish) == ("Hello", "server", None)
    row = row_of(replaying, name)
    assert (row["status"], row["usage_source"]) == ("error", "estimated")
    assert row["completion_tokens"] == 1
