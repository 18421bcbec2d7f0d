"""The doors beside chat that take JSON: moderations, rerank, images and speech, with OpenAI's own SDK."""

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any, NamedTuple

import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import Script, Step, status, whole
from tests.fakes.upstream import FakeUpstream, Seen

CARD = "4111 1111 1111 1111"
SOUND = bytes(range(256)) * 40
HELLO = {"model": "m", "voice": "alloy", "input": "Hello"}
USAGE = {"input_tokens": 11, "output_tokens": 272, "total_tokens": 283}
REDACTING = {"default": {"input": [{"check": "pii", "entities": ["credit_card"], "action": "redact"}]}}
BLOCKING = {"default": {"input": [{"check": "pii", "entities": ["credit_card"], "action": "block"}]}}


def sound(*ending: Step, content_type: str = "audio/mpeg") -> Script:
    """A sound in chunks, ended as told."""
    steps: list[Step] = [("send", SOUND[at : at + 1000]) for at in range(0, len(SOUND), 1000)]
    return Script(200, (("content-type", content_type),), (*steps, *ending), "chunked")


def events(*payloads: dict[str, Any], ending: tuple[Step, ...] = ()) -> Script:
    """A stream that names its events, as OpenAI's beside chat do, and has no ``[DONE]``."""
    steps: list[Step] = [
        ("send", f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()) for payload in payloads
    ]
    return Script(200, (("content-type", "text/event-stream"),), (*steps, *ending), "chunked")


@pytest.fixture
def gateway(start: Start, upstream: FakeUpstream) -> Gateway:
    return start(providers=anything(upstream))


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0, timeout=30) as opened:
        yield opened


def anything(upstream: FakeUpstream) -> dict[str, Any]:
    """A provider that may serve every operation."""
    key = "sk-upstream-canary-0123456789"
    return {"fake": {"kind": "openai_compatible", "base_url": upstream.base_url, "api_key": key}}


def last(upstream: FakeUpstream) -> Seen:
    return upstream.requests[-1]


def test_a_moderation_passes_costs_nothing_and_has_a_row(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    verdict = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
    upstream.default = whole({"id": "modr-1", "model": "omni-moderation", "results": [verdict]})
    answer = client.moderations.with_raw_response.create(model="m", input=["Is this all right?"])
    assert answer.headers["x-tollway-provider"] == "fake"
    assert answer.headers["x-tollway-cost-usd"] == "0"
    assert answer.parse().results[0].flagged is False
    assert (last(upstream).path, last(upstream).json["input"]) == ("/v1/moderations", ["Is this all right?"])
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["prompt_tokens"], row["completion_tokens"]) == ("ok", 0, 0)


def test_documents_are_ranked_and_their_tokens_counted(gateway: Gateway, upstream: FakeUpstream) -> None:
    ranked = {
        "id": "r-1",
        "results": [{"index": 1, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}},
    }
    upstream.default = whole(ranked)
    body = {"model": "m", "query": "capital", "documents": ["Berlin is a capital.", {"text": "Carson City is, too."}]}
    given = post(gateway, "/rerank", body)
    assert (given.status, given.json) == (200, ranked)
    assert last(upstream).json == body
    (row,) = gateway.wait_for_rows(1)
    assert row["usage_source"] == "counted"
    assert row["prompt_tokens"] >= 9


def test_an_image_comes_whole_with_its_usage(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    picture = base64.b64encode(SOUND * 300).decode()
    upstream.default = whole({"created": 1, "data": [{"b64_json": picture}], "usage": USAGE})
    answer = client.images.generate(model="m", prompt="An otter", n=1)
    assert answer.data
    assert answer.data[0].b64_json == picture
    assert last(upstream).path == "/v1/images/generations"
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (11, 272, "told")


def test_an_image_comes_in_a_stream_with_its_usage(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    picture = {"b64_json": base64.b64encode(SOUND * 30).decode(), "created_at": 1, "size": "auto", "quality": "low"}
    upstream.default = events(
        {"type": "image_generation.partial_image", "partial_image_index": 0, **picture},
        {"type": "image_generation.completed", "usage": USAGE, **picture},
    )
    heard = list(client.images.generate(model="m", prompt="An otter", stream=True, partial_images=1))
    assert [event.type for event in heard] == ["image_generation.partial_image", "image_generation.completed"]
    assert {event.b64_json for event in heard} == {picture["b64_json"]}
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["status"]) == (11, 272, "ok")


def test_speech_is_heard_byte_for_byte_and_its_text_counted(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    upstream.default = sound()
    with client.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="Hello there.") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["x-tollway-model"] == "m"
        assert b"".join(answer.iter_bytes()) == SOUND
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (3, 0, "counted")


def test_speech_arrives_while_it_is_still_spoken(gateway: Gateway, upstream: FakeUpstream) -> None:
    upstream.default = Script(200, (("content-type", "audio/mpeg"),), (("send", SOUND), ("hang",)), "chunked")
    with begun(gateway, "/audio/speech", HELLO) as answer:
        assert answer.read(len(SOUND)) == SOUND
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["usage_source"]) == ("client_gone", "estimated")
    assert row["prompt_tokens"] == 1


def test_speech_as_events_tells_its_usage(gateway: Gateway, upstream: FakeUpstream) -> None:
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 50, "total_tokens": 54}}
    script = events({"type": "speech.audio.delta", "audio": "AAAA"}, done)
    upstream.default = script
    assert post(gateway, "/audio/speech", {**HELLO, "stream_format": "sse"}).body == b"".join(
        step[1] for step in script.steps if step[0] == "send"
    )
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (4, 50, "told")


@pytest.mark.parametrize("ending", [("fin",), ("rst",)], ids=["fin", "rst"])
def test_speech_that_is_cut_does_not_look_complete(gateway: Gateway, upstream: FakeUpstream, ending: Step) -> None:
    upstream.default = sound(("sleep", 0.3), ending)
    raw = exchange(gateway, "/audio/speech", HELLO)
    assert raw.startswith(b"HTTP/1.1 200")
    assert SOUND[-20:] in raw
    assert not raw.endswith(b"0\r\n\r\n"), "the last chunk would say that this was all"
    with pytest.raises(http.client.IncompleteRead):
        post(gateway, "/audio/speech", HELLO)
    rows = gateway.wait_for_rows(2)
    assert [row["status"] for row in rows] == ["cut", "cut"]


def test_speech_that_stalls_is_cut(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(models=models("m", timeouts={"idle": "300ms"}), providers=anything(upstream))
    upstream.default = sound(("hang",))
    with pytest.raises(http.client.IncompleteRead):
        post(gateway, "/audio/speech", HELLO)
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (row,) = gateway.wait_for_rows(1)
    assert row["status"] == "timeout"


def test_a_stream_of_images_that_is_cut_ends_in_an_error(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    partial = {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0}
    half = b'event: image_generation.completed\ndata: {"type": "image_generation.comp'
    upstream.default = events(partial, ending=(("send", half), ("fin",)))
    heard = client.images.generate(model="m", prompt="An otter", stream=True)
    assert next(heard).type == "image_generation.partial_image"
    with pytest.raises(openai.APIError, match="cut"):
        next(heard)
    (row,) = gateway.wait_for_rows(1)
    assert row["status"] == "cut"


def test_a_stream_that_begins_with_an_error_is_a_refusal(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    error = {"type": "error", "error": {"message": "Try later", "type": "server_error", "code": None, "param": None}}
    upstream.default = events(error)
    with pytest.raises(openai.InternalServerError, match="Try later"):
        list(client.images.generate(model="m", prompt="An otter", stream=True))
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["prompt_tokens"]) == ("error", 0)


LEAKS: list[tuple[str, dict[str, Any], str]] = [
    ("/moderations", {"input": f"My card is {CARD}"}, "input"),
    ("/moderations", {"input": [{"type": "text", "text": f"My card is {CARD}"}]}, "input"),
    ("/rerank", {"query": "cards", "documents": [f"My card is {CARD}"]}, "documents"),
    ("/rerank", {"query": f"whose is {CARD}", "documents": ["a card"]}, "documents"),
    ("/images/generations", {"prompt": f"A card that says {CARD}"}, "prompt"),
    ("/audio/speech", {"voice": "alloy", "input": f"My card is {CARD}"}, "input"),
    ("/audio/speech", {"voice": "alloy", "input": "Hi", "instructions": f"Spell {CARD}"}, "input"),
]


def test_personal_data_passes_no_door_unredacted(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(providers=anything(upstream), guardrails=REDACTING)
    upstream.default = whole({"results": []})
    for path, body, _ in LEAKS:
        assert post(gateway, path, {"model": "m", **body}).status == 200
        sent = last(upstream).body.decode()
        assert CARD not in sent
        assert "[CREDIT_CARD]" in sent


def test_personal_data_is_blocked_at_every_door(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(providers=anything(upstream), guardrails=BLOCKING)
    for path, body, field in LEAKS:
        answer = post(gateway, path, {"model": "m", **body})
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "content_blocked", field)
    assert upstream.hits == 0


DOORS: list[tuple[str, dict[str, Any]]] = [
    ("/moderations", {"input": "Hi"}),
    ("/rerank", {"query": "x", "documents": ["y"]}),
    ("/images/generations", {"prompt": "An otter"}),
    ("/audio/speech", {"voice": "alloy", "input": "Hi"}),
]


def test_every_door_is_limited(start: Start, upstream: FakeUpstream) -> None:
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"rpm": len(DOORS)}}}
    gateway = start(providers=anything(upstream), tenants=tenants)
    upstream.default = whole({"results": []})
    for path, body in DOORS:
        answer = post(gateway, path, {"model": "m", **body})
        assert (answer.status, answer.headers["x-ratelimit-limit-requests"]) == (200, str(len(DOORS)))
    for path, body in DOORS:
        assert post(gateway, path, {"model": "m", **body}).status == 429
    assert upstream.hits == len(DOORS)


def test_every_door_passes_refusals_on(gateway: Gateway, upstream: FakeUpstream) -> None:
    for path, body in DOORS:
        upstream.default = status(429, "Slow down")
        answer = post(gateway, path, {"model": "m", **body})
        assert (answer.status, answer.error["message"]) == (429, "Slow down")
        upstream.default = whole({"error": {"message": "No", "type": "server_error", "code": None, "param": None}})
        assert post(gateway, path, {"model": "m", **body}).status >= 500
        assert post(gateway, path, {"model": "unknown", **body}).status == 404


def test_every_door_asks_for_what_it_needs(gateway: Gateway, upstream: FakeUpstream) -> None:
    for path, body in DOORS:
        for asked in ({}, {"model": "m"}, {**body, "model": 3}):
            answer = post(gateway, path, asked)
            assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert upstream.hits == 0


def test_a_kind_that_lacks_the_operation_is_not_asked(start: Start, upstream: FakeUpstream) -> None:
    providers = {
        "fake": {"kind": "anthropic", "base_url": upstream.base_url, "api_key": "sk-upstream-canary-0123456789"}
    }
    answer = post(start(providers=providers), "/audio/speech", {"model": "m", "voice": "alloy", "input": "Hi"})
    assert (answer.status, answer.error["param"]) == (400, "model")
    assert upstream.hits == 0


class Answered(NamedTuple):
    """A whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """What its envelope holds."""
        return self.json["error"]


def post(gateway: Gateway, path: str, body: Any) -> Answered:
    """One call, read to its end."""
    with begun(gateway, path, body) as answer:
        return Answered(answer.status, answer.headers, answer.read())


@contextmanager
def begun(gateway: Gateway, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
    """One call that is being answered."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    try:
        connection.request("POST", f"/v1{path}", json.dumps(body), headers)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def exchange(gateway: Gateway, path: str, body: Any) -> bytes:
    """One call; everything that came over the socket until it was closed."""
    content = json.dumps(body).encode()
    head = (
        f"POST /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(head.encode() + content)
        raw = b""
        try:
            while piece := connection.recv(65536):
                raw += piece
        except ConnectionResetError:
            pass
        return raw
