"""Answers that are right and oddly wrapped, and answers that are none: each client is told the one or the other."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_anthropic_sdk import hello, streamed
from tests.e2e.test_refusals import ASKED
from tests.fakes.conversations import body_of
from tests.fakes.meant import Meant, Usage
from tests.fakes.records import needs_records, records
from tests.fakes.replaying import CHAT_ONLY, Replaying
from tests.fakes.scripts import Script, completion, whole

KINDS = (CHAT_ONLY, "gemini", "anthropic")
HELLO = Meant("Hello there.", (), "stop", Usage(7, 3, 10))


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("odd")) as running:
        yield running


def ask(replaying: Replaying, client: str, kind: str, script: Script, *, streams: bool = False) -> Meant:
    asked: dict[str, Any] = {**ASKED[client], "model": kind}
    if streams:
        asked |= {"stream": True} | ({"stream_options": {"include_usage": True}} if client == "chat" else {})
    body = body_of(client, asked)
    return replaying.sdks.ask(client, body, replaying.named(script))


def sent(script: Script) -> bytes:
    """The bytes of its body."""
    return b"".join(step[1] for step in script.steps if step[0] == "send")


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("kind", KINDS)
def test_blanks_before_an_answer_mean_nothing(replaying: Replaying, client: str, kind: str) -> None:
    script = whole(b"\n  \n\r\n" + sent(hello(kind)) + b"\n")
    assert ask(replaying, client, kind, script) == HELLO


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", None])
def test_the_type_that_a_body_is_said_to_have_means_nothing(
    replaying: Replaying, client: str, kind: str, content_type: str | None
) -> None:
    headers = (("content-type", content_type),) if content_type else ()
    assert ask(replaying, client, kind, Script(200, headers, (("send", sent(hello(kind))),))) == HELLO


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_need_not_say_that_it_is_one(replaying: Replaying, client: str, kind: str) -> None:
    script = Script(200, (), (("send", sent(streamed(kind))),), "chunked")
    assert ask(replaying, client, kind, script, streams=True) == HELLO


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("code", "error"),
    [(429, "rate"), (402, "rate"), (401, "key"), (400, "invalid"), (502, "server")],
)
def test_an_error_with_a_status_of_200_has_its_own(
    replaying: Replaying, client: str, streams: bool, code: int, error: str
) -> None:
    body = {"error": {"code": code, "message": "no such luck"}}
    script = (
        whole(body)
        if not streams
        else Script(
            200, (("content-type", "text/event-stream"),), (("send", f"data: {json.dumps(body)}\n\n".encode()),)
        )
    )
    meant = ask(replaying, client, CHAT_ONLY, script, streams=streams)
    assert (meant.error, meant.message) == (error, "no such luck")


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "cut": sent(whole(completion()))[:40],
    "null": b"null",
    "a list": b"[]",
    "a number": b"3",
    "text": b"<html><body>It works!</body></html>",
    "an empty object": b"{}",
    "not UTF-8": b'{"choices": "\xff"}',
    "deep": b'{"choices":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_is_an_error(replaying: Replaying, client: str, kind: str, name: str) -> None:
    if (client, kind) == ("messages", "anthropic"):
        return  # passed on as it is
    assert ask(replaying, client, kind, whole(BROKEN[name])).error == "server"


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_stream_is_an_error(replaying: Replaying, client: str, kind: str, name: str) -> None:
    if (client, kind) == ("messages", "anthropic"):
        return  # as above
    wire = b"data: " + BROKEN[name] + b"\n\n"
    script = Script(200, (("content-type", "text/event-stream"),), (("send", wire),), "chunked")
    assert ask(replaying, client, kind, script, streams=True).error == "server"


@needs_records
@pytest.mark.parametrize("client", ASKED)
def test_a_stream_that_is_an_array_is_an_error(replaying: Replaying, client: str) -> None:
    """Gemini's, when it is asked without ``alt=sse``: its own SDK does not read it, either."""
    for record in records("gemini", "generate_content", True, tags=("json_array",)):
        assert replaying.ask(client, record).error == "server", record.id


def test_the_worker_is_the_same_all_the_while(replaying: Replaying) -> None:
    before = replaying.gateway.workers()
    wrongs: list[Any] = [{"choices": [3]}, {"choices": [{"message": 3}]}, {"candidates": {}}, {"content": {}}]
    for client in ASKED:
        for kind in KINDS:
            for wrong in wrongs:
                body = body_of(client, {**ASKED[client], "model": kind})
                headers = replaying.named(whole(wrong))
                if client != "chat" and (client, kind) != ("messages", "anthropic"):
                    assert replaying.sdks.ask(client, body, headers).error == "server"
    assert replaying.gateway.workers() == before
