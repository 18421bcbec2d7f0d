"""The doors that take forms: image edits, transcriptions and translations, streamed through and never held."""

import http.client
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import OpenAI
from tests.e2e.conftest import Start
from tests.e2e.test_doors import BLOCKING, CARD, REDACTING, USAGE, anything, events
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import Script, status, whole
from tests.fakes.upstream import FakeUpstream, Seen

BOUNDARY = "------------------------d74496d66958873e"
SOUND = bytes(range(256)) * 4000
HEARD = {"text": "Hello there.", "usage": {"type": "tokens", **USAGE}}
MEBIBYTE = 1024 * 1024


class Field(NamedTuple):
    """A part of a form; a file where it has a file name."""

    name: str
    value: bytes
    filename: str | None = None
    content_type: str | None = None


MODEL, FILE = Field("model", b"m"), Field("file", SOUND, "speech.mp3", "audio/mpeg")


def written(*fields: Field) -> bytes:
    """A form as curl writes one."""
    body = b""
    for field in fields:
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field.name}"'.encode()
        body += f'; filename="{field.filename}"'.encode() if field.filename is not None else b""
        body += f"\r\nContent-Type: {field.content_type}".encode() if field.content_type else b""
        body += b"\r\n\r\n" + field.value + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def parts(seen: Seen) -> list[Field]:
    """What the provider got."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=([0-9a-f]{24,70})", seen.header("content-type") or "")
    assert boundary is not None
    assert boundary[1] != BOUNDARY
    first, *given, last = (b"\r\n" + seen.body).split(b"\r\n--" + boundary[1].encode())
    assert (first, last.strip()) == (b"", b"--")
    found = []
    for part in given:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = re.fullmatch(
            r'content-disposition: form-data; name="([^"]*)"(?:; filename="([^"]*)")?(?:\r\ncontent-type: (.*))?',
            head.decode(),
        )
        assert fields is not None, head
        found.append(Field(fields[1], value, fields[2], fields[3]))
    return found


@pytest.fixture
def gateway(start: Start, upstream: FakeUpstream) -> Gateway:
    upstream.default = whole(HEARD)
    return start(providers=anything(upstream))


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0, timeout=30) as opened:
        yield opened


class Answered(NamedTuple):
    """A whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def error(self) -> Any:
        """What its envelope holds."""
        return json.loads(self.body)["error"]


def post(
    gateway: Gateway, body: Any, path: str = "/audio/transcriptions", *, chunked: bool = False, kind: str | None = None
) -> Answered:
    """A form as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    kind = kind or f"multipart/form-data; boundary={BOUNDARY}"
    headers = {"authorization": f"Bearer {KEY}", "content-type": kind}
    try:
        with suppress(BrokenPipeError):  # it may be answered before it is all written
            connection.request("POST", f"/v1{path}", iter([body]) if chunked else body, headers, encode_chunked=chunked)
        with connection.getresponse() as answer:
            return Answered(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def test_a_transcription_passes_with_its_usage(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        model="m",
        file=("über.mp3", SOUND, "audio/mpeg"),
        prompt="A greeting",
        timestamp_granularities=["word", "segment"],
    )
    assert answer.headers["x-tollway-provider"] == "fake"
    assert answer.parse().text == "Hello there."
    seen = upstream.requests[-1]
    assert seen.path == "/v1/audio/transcriptions"
    assert seen.header("content-length") == str(len(seen.body)), "the length that the client told is kept"
    got = parts(seen)
    assert got[-1] == Field("file", SOUND, "über.mp3", "audio/mpeg")
    assert sorted((field.name, field.value) for field in got[:-1]) == [
        ("model", b"m"),
        ("prompt", b"A greeting"),
        ("timestamp_granularities[]", b"segment"),
        ("timestamp_granularities[]", b"word"),
    ]
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (11, 272, "told")


@pytest.mark.parametrize(
    ("kind", "said"), [("srt", "text/plain; charset=utf-8"), ("vtt", "text/vtt"), ("text", "text/plain")]
)
def test_subtitles_come_as_they_are(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream, kind: Any, said: str
) -> None:
    upstream.default = Script(200, (("content-type", said),), (("send", b"1\n00:00 --> 00:01\nHello\n"),))
    answer = client.audio.transcriptions.with_raw_response.create(
        model="m", file=("a.mp3", SOUND), response_format=kind
    )
    assert answer.headers["content-type"] == said
    assert answer.text == "1\n00:00 --> 00:01\nHello\n"
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["usage_source"]) == ("ok", "counted")


def test_a_transcript_comes_in_a_stream(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    done = {"type": "transcript.text.done", "text": "Hello", "usage": {"type": "tokens", **USAGE}}
    upstream.default = events({"type": "transcript.text.delta", "delta": "Hello"}, done)
    heard = list(client.audio.transcriptions.create(model="m", file=("a.mp3", SOUND), stream=True))
    assert [event.type for event in heard] == ["transcript.text.delta", "transcript.text.done"]
    assert Field("stream", b"true") in parts(upstream.requests[-1])
    (row,) = gateway.wait_for_rows(1)
    assert (row["stream"], row["completion_tokens"]) == (True, 272)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's own, of the operation
def test_a_translation_passes(client: OpenAI, upstream: FakeUpstream) -> None:
    assert client.audio.translations.create(model="m", file=("a.mp3", SOUND)).text == "Hello there."
    assert upstream.requests[-1].path == "/v1/audio/translations"


def test_an_edit_of_images_passes_with_all_its_files(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.default = whole({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": USAGE})
    images = [("a.png", SOUND, "image/png"), ("b.png", SOUND[::-1], "image/png")]
    mask = ("mask.png", b"\x00", "image/png")
    answer = client.images.edit(model="m", image=images, mask=mask, prompt="Remove the hat", n=2)
    assert answer.usage is not None
    got = parts(upstream.requests[-1])
    assert [field.filename for field in got if field.filename] == ["a.png", "b.png", "mask.png"]
    assert [field.value for field in got if field.filename] == [SOUND, SOUND[::-1], b"\x00"]
    assert upstream.requests[-1].path == "/v1/images/edits"
    assert upstream.requests[-1].header("transfer-encoding") is None
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (11, 272)


def test_an_edit_of_images_comes_in_a_stream(client: OpenAI, upstream: FakeUpstream) -> None:
    picture = {"b64_json": "AAAA", "created_at": 1}
    upstream.default = events(
        {"type": "image_edit.partial_image", "partial_image_index": 0, **picture},
        {"type": "image_edit.completed", "usage": USAGE, **picture},
    )
    heard = list(client.images.edit(model="m", image=("a.png", SOUND), prompt="Remove it", stream=True))
    assert [event.type for event in heard] == ["image_edit.partial_image", "image_edit.completed"]


def test_an_edit_as_json_passes_as_anything_else(gateway: Gateway, upstream: FakeUpstream) -> None:
    body = {"model": "m", "prompt": "Remove it", "images": [{"image_url": "data:image/png;base64,AAAA"}]}
    assert post(gateway, json.dumps(body), "/images/edits", kind="application/json").status == 200
    assert upstream.requests[-1].json == body


ORDERS = {
    "model first": (MODEL, Field("prompt", b"Greet"), FILE),
    "file first": (FILE, MODEL, Field("prompt", b"Greet")),
    "file between": (MODEL, FILE, Field("prompt", b"Greet")),
    "model last of two files": (Field("prompt", b"Greet"), FILE, Field("extra", SOUND, "b.bin"), MODEL),
    "empty file": (MODEL, Field("file", b"", "a.mp3")),
    "no file": (MODEL, Field("prompt", b"Greet")),
    "file without a name": (MODEL, Field("file", SOUND)),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_fields_may_come_in_any_order(gateway: Gateway, upstream: FakeUpstream, chunked: bool) -> None:
    for order in ORDERS.values():
        answer = post(gateway, written(*order), chunked=chunked)
        assert (answer.status, answer.body) == (200, json.dumps(HEARD).encode())
        assert parts(upstream.requests[-1]) == [*order]
    assert {row["status"] for row in gateway.wait_for_rows(len(ORDERS))} == {"ok"}


def test_the_provider_gets_its_own_name_of_the_model(start: Start, upstream: FakeUpstream) -> None:
    targets = [{"provider": "fake", "model": "whisper-large-v3-turbo"}]
    gateway = start(providers=anything(upstream), models={"m": {"targets": targets}})
    upstream.default = whole(HEARD)
    for order in (MODEL, FILE), (FILE, MODEL):
        assert post(gateway, written(*order)).status == 200
        assert Field("model", b"whisper-large-v3-turbo") in parts(upstream.requests[-1])


def test_personal_data_is_redacted_wherever_it_can_be(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(providers=anything(upstream), guardrails=REDACTING)
    upstream.default = whole(HEARD)
    leak = f"The card {CARD}".encode()
    clean = b"The card [CREDIT_CARD]"
    for name in "prompt", "keywords[]", "x-own":
        for order in (MODEL, Field(name, leak), FILE), (FILE, Field(name, leak), MODEL):
            assert post(gateway, written(*order)).status == 200
            assert Field(name, clean) in parts(upstream.requests[-1])
            assert CARD.encode() not in upstream.requests[-1].body
    hits = upstream.hits
    for name in "prompt", "keywords[]":
        answer = post(gateway, written(MODEL, FILE, Field(name, leak)))
        assert (answer.status, answer.error["param"]) == (400, name)
        assert "before files" in answer.error["message"]
    assert upstream.hits == hits, "the provider never saw a whole request"
    assert post(gateway, written(MODEL, FILE, Field("prompt", b"nothing personal"))).status == 200


def test_personal_data_is_blocked_wherever_it_stands(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(providers=anything(upstream), guardrails=BLOCKING)
    leak = Field("prompt", f"The card {CARD}".encode())
    for order in (MODEL, leak, FILE), (FILE, leak, MODEL), (MODEL, FILE, leak):
        answer = post(gateway, written(*order))
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "content_blocked", "prompt")
    assert upstream.hits == 0


FAULTS: dict[str, tuple[bytes, str | None]] = {
    "no model": (written(FILE), "model"),
    "empty model": (written(Field("model", b""), FILE), "model"),
    "two models": (written(MODEL, MODEL, FILE), "model"),
    "a second model behind the file": (written(MODEL, FILE, Field("model", b"other")), "model"),
    "the model as a file": (written(Field("model", b"m", "m.txt"), FILE), "model"),
    "the prompt as a file": (written(MODEL, Field("prompt", b"x", "p.txt"), FILE), "prompt"),
    "a wrong stream": (written(MODEL, Field("stream", b"maybe"), FILE), "stream"),
    "a long text": (written(MODEL, Field("prompt", b"x" * 70_000), FILE), "prompt"),
    "long texts": (written(MODEL, *(Field(f"f{n}", b"x" * 60_000) for n in range(5)), FILE), "f4"),
    "many texts": (written(MODEL, *(Field(f"f{n}", b"x") for n in range(64)), FILE), None),
    "many files": (written(MODEL, *(Field("image[]", b"x", "a") for n in range(33))), None),
    "a text that is no UTF-8": (written(MODEL, Field("prompt", b"\xff"), FILE), "prompt"),
    "no end": (written(MODEL, FILE)[:-10], None),
    "half": (written(MODEL, FILE)[:5000], None),
    "no form": (b"model=m", None),
    "nothing": (b"", None),
    "bytes behind the end": (written(MODEL, FILE) + b"x" * 8000, None),
}


def test_a_form_with_a_fault_is_refused(gateway: Gateway, upstream: FakeUpstream) -> None:
    workers = gateway.workers()
    for name, (body, param) in FAULTS.items():
        answer = post(gateway, body)
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error"), name
        assert answer.error["param"] == param, name
    assert upstream.hits == 0, "no provider saw a whole request"
    assert post(gateway, written(MODEL, FILE), kind="multipart/form-data").status == 400
    assert gateway.workers() == workers
    assert '"level": "error"' not in gateway.log()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_come_the_worker_lives(gateway: Gateway, data: st.DataObject) -> None:
    body = bytearray(written(MODEL, Field("prompt", b"Greet"), Field("file", SOUND[:2000], "a.mp3"), Field("x", b"y")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=20))
    answer = post(gateway, bytes(body), chunked=data.draw(st.booleans()))
    assert answer.status in (200, 400, 404)


def test_limits_hold_for_forms(start: Start, upstream: FakeUpstream) -> None:
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"rpm": 1}}}
    gateway = start(providers=anything(upstream), tenants=tenants)
    upstream.default = whole(HEARD)
    assert [post(gateway, written(MODEL, FILE)).status for _ in range(2)] == [200, 429]
    assert upstream.hits == 1


def test_a_form_beyond_the_bound_is_refused(start: Start, upstream: FakeUpstream) -> None:
    server = {"host": "127.0.0.1", "workers": 1, "drain": "20s", "max_body": "1MiB"}
    gateway = start(providers=anything(upstream), server=server)
    large = Field("file", bytes(MEBIBYTE), "a.mp3")
    for chunked in False, True:
        for order in (MODEL, large), (large, MODEL):
            answer = post(gateway, written(*order), chunked=chunked)
            assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert upstream.hits == 0


def test_refusals_pass(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.default = status(400, "Unrecognized file format.")
    with pytest.raises(openai.BadRequestError, match="Unrecognized file format"):
        client.audio.transcriptions.create(model="m", file=("a.mp3", SOUND))
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["prompt_tokens"]) == ("error", 0)


def test_an_answer_before_the_end_of_the_form_is_heard(start: Start, upstream: FakeUpstream) -> None:
    server = {"host": "127.0.0.1", "workers": 1, "drain": "20s", "max_body": "100MiB"}
    gateway = start(providers=anything(upstream), server=server)
    upstream.early = status(413, "Too large for this provider.")
    with httpx2.Client(timeout=30) as browser:
        answer = browser.post(
            f"{gateway.base_url}/audio/transcriptions",
            headers={"authorization": f"Bearer {KEY}"},
            data={"model": "m"},
            files={"file": ("a.mp3", bytes(60 * MEBIBYTE))},
        )
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, "Too large for this provider.")
    upstream.wait_for(lambda: upstream.open_connections == 0)


def test_a_client_that_leaves_in_the_middle_takes_the_upstream_with_it(
    gateway: Gateway, upstream: FakeUpstream
) -> None:
    body = written(MODEL, FILE)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.putrequest("POST", "/v1/audio/transcriptions")
    connection.putheader("authorization", f"Bearer {KEY}")
    connection.putheader("content-type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[: len(body) // 2])
    upstream.wait_for(lambda: upstream.open_connections == 1)
    connection.close()
    upstream.wait_for(lambda: upstream.open_connections == 0)
    (row,) = gateway.wait_for_rows(1)
    assert row["status"] == "client_gone"
    assert upstream.hits == 0


def test_a_client_that_leaves_behind_its_form_takes_the_upstream_with_it(
    gateway: Gateway, upstream: FakeUpstream
) -> None:
    upstream.default = whole(HEARD, delay_s=30)
    for order in (MODEL, FILE), (FILE, MODEL):
        seen = len(upstream.aborts)
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        headers = {"authorization": f"Bearer {KEY}", "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", "/v1/audio/transcriptions", written(*order), headers)
        hits = seen + 1
        upstream.wait_for(lambda hits=hits: upstream.hits == hits)  # type: ignore[misc]
        connection.close()
        upstream.wait_for(lambda hits=hits: len(upstream.aborts) == hits)  # type: ignore[misc]
    assert {row["status"] for row in gateway.wait_for_rows(2)} == {"client_gone"}


def resident_bytes(pid: int) -> int:
    """What of a process is in memory (proc(5), ``statm``)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("model_first", [True, False], ids=["streamed", "on disk"])
def test_a_large_form_is_never_held(start: Start, upstream: FakeUpstream, model_first: bool) -> None:
    server = {"host": "127.0.0.1", "workers": 1, "drain": "20s", "max_body": "200MiB"}
    gateway = start(providers=anything(upstream), server=server)
    upstream.default = whole(HEARD)
    for _ in range(3):  # what a worker needs in any case
        assert post(gateway, written(MODEL, FILE)).status == 200
    upstream.pause_s = 1.0
    (pid,) = gateway.workers()
    before, most = resident_bytes(pid), 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.02):
            most = max(most, resident_bytes(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    large = Field("file", bytes(150 * MEBIBYTE), "a.mp3")
    try:
        assert post(gateway, written(*((MODEL, large) if model_first else (large, MODEL)))).status == 200
    finally:
        over.set()
        watching.join()
    assert len(upstream.requests[-1].body) > 150 * MEBIBYTE
    assert most - before < 40 * MEBIBYTE
