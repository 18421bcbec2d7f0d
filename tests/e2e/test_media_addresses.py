"""FAILURES 14: a client's addresses lead a gateway nowhere that only the gateway can go; public ones are fetched."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.media import PDF, PNG
from tests.fakes.scripts import Script, whole
from tests.fakes.upstream import FakeUpstream, Seen

SAID = {"candidates": [{"content": {"parts": [{"text": "A dot."}]}, "finishReason": "STOP"}]}

BAD = [
    "http://127.0.0.1:{port}/x",
    "http://127.0.0.2:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://127.1:{port}/x",
    "http://2130706433:{port}/x",
    "http://0x7f.1:{port}/x",
    "http://0177.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "http://localhost.:{port}/x",
    "http://\uff11\uff12\uff17.0.0.1:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[::ffff:7f00:1]:{port}/x",
    "http://[64:ff9b::7f00:1]:{port}/x",
    "http://[fe80::1%25lo]:{port}/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://user@127.0.0.1:{port}/x",
    "http://files.test@127.0.0.1:{port}/x",
    "http://files.test\\@127.0.0.1:{port}/x",
    "http://files.test\t@127.0.0.1:{port}/x",
    "http://evil#@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}#@files.test/",
    "http:\\\\127.0.0.1:{port}\\x",
    "http:127.0.0.1:{port}/x",
    "//127.0.0.1:{port}/x",
    "ftp://127.0.0.1:{port}/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
]


def served(seen: Seen) -> Script:
    """What the trusted host has; its redirect leads to the canary, whose port is in the path."""
    path = seen.path
    if path.startswith("/redirect/"):
        return Script(302, (("location", f"http://127.0.0.1:{path.removeprefix('/redirect/')}/"),))
    if path == "/paper":
        return Script(200, (("content-type", "application/pdf"),), (("send", PDF),))
    if path == "/page":
        return Script(200, (("content-type", "text/html"),), (("send", b"<html>"),))
    return Script(200, (("content-type", "image/png"),), (("send", PNG[:7]), ("send", PNG[7:])), "chunked")


@pytest.fixture
def canary() -> Iterator[FakeUpstream]:
    """Listens on loopback, where nobody may come."""
    with FakeUpstream() as listening:
        yield listening
        assert listening.connections == 0


@pytest.fixture
def files() -> Iterator[FakeUpstream]:
    """A host that the operator trusts."""
    with FakeUpstream(default=served) as serving:
        yield serving


@pytest.fixture
def gateway(start: Start, upstream: FakeUpstream, files: FakeUpstream) -> Gateway:
    upstream.default = whole(SAID)
    base = upstream.base_url.removesuffix("/v1")
    return start(
        media={"allow": [f"127.0.0.1:{files.port}"]},
        providers={
            "google": {"kind": "google", "base_url": base, "api_key": "google-canary-0123456789"},
            "amazon": {"kind": "bedrock", "base_url": base, "region": "eu-west-1", "api_key": "aws-canary-0123456789"},
        },
        models={
            "m": {"targets": [{"provider": "google", "model": "gemini-x"}]},
            "n": {"targets": [{"provider": "amazon", "model": "anthropic.claude-sonnet-4-5-20250929-v1:0"}]},
        },
    )


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as made:
        yield made


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def document(url: str, name: str = "file_url") -> dict[str, Any]:
    return {"type": "file", "file": {name: url, "filename": "x.pdf"}}


def ask(client: OpenAI, *parts: dict[str, Any]) -> str | None:
    content: list[Any] = [{"type": "text", "text": "What is it?"}, *parts]
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
    return answer.choices[0].message.content


def test_no_address_of_a_client_leads_to_a_private_host(
    client: OpenAI, canary: FakeUpstream, upstream: FakeUpstream, gateway: Gateway
) -> None:
    for shape in BAD:
        url = shape.format(port=canary.port)
        for part in (image(url), document(url), document(url, "file_data")):
            with pytest.raises(openai.BadRequestError) as caught:
                ask(client, part)
            assert (caught.value.param or "").startswith("messages[0].content[1]."), url
            assert "127.0.0.1" not in caught.value.message
    assert upstream.hits == 0
    assert gateway.rows() == []


def messages(model: str, url: str) -> Iterator[dict[str, Any]]:
    """Images and documents as clients of Messages name them, also inside a tool's result."""
    source = {"type": "url", "url": url}
    for block in ({"type": "image", "source": source}, {"type": "document", "source": source}):
        yield {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    used = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    seen = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "image", "source": source}]}
    turns = [("user", [{"type": "text", "text": "Look."}]), ("assistant", [used]), ("user", [seen])]
    tool = {"name": "look", "input_schema": {"type": "object"}}
    told = [{"role": role, "content": content} for role, content in turns]
    yield {"model": model, "max_tokens": 9, "messages": told, "tools": [tool]}


def responses(model: str, url: str) -> Iterator[dict[str, Any]]:
    """The same, as clients of Responses name them."""
    for part in ({"type": "input_image", "image_url": url}, {"type": "input_file", "file_url": url}):
        yield {"model": model, "input": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize("model", ["m", "n"])
def test_no_dialect_and_no_provider_opens_a_way(
    gateway: Gateway, canary: FakeUpstream, upstream: FakeUpstream, model: str
) -> None:
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}
    with httpx2.Client(base_url=gateway.base_url, headers=headers, timeout=30) as plain:
        for shape in BAD:
            url = shape.format(port=canary.port)
            asked = [("/messages", body) for body in messages(model, url)]
            asked += [("/messages/count_tokens", body) for body in messages(model, url)] if model == "m" else []
            asked += [("/responses", body) for body in responses(model, url)]
            for path, body in asked:
                answer = plain.post(path, json=body)
                assert answer.status_code == 400, (path, url, answer.text)
                assert "127.0.0.1" not in answer.text
    assert upstream.hits == 0


def test_a_redirect_of_a_trusted_host_is_not_followed(
    client: OpenAI, canary: FakeUpstream, files: FakeUpstream, upstream: FakeUpstream
) -> None:
    with pytest.raises(openai.BadRequestError, match="redirect"):
        ask(client, image(f"http://127.0.0.1:{files.port}/redirect/{canary.port}"))
    assert (files.hits, upstream.hits) == (1, 0)


def test_a_web_page_is_no_image(client: OpenAI, files: FakeUpstream, upstream: FakeUpstream) -> None:
    with pytest.raises(openai.BadRequestError, match="image"):
        ask(client, image(f"http://127.0.0.1:{files.port}/page"))
    assert upstream.hits == 0


def test_what_may_be_fetched_arrives_as_data(client: OpenAI, files: FakeUpstream, upstream: FakeUpstream) -> None:
    url = f"http://127.0.0.1:{files.port}"
    video = "https://www.youtube.com/watch?v=abc"
    assert ask(client, image(f"{url}/dot.png"), document(f"{url}/paper"), document(video)) == "A dot."
    (seen,) = upstream.requests
    assert seen.json["contents"][0]["parts"] == [
        {"text": "What is it?"},
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}},
        {"inlineData": {"mimeType": "application/pdf", "data": base64.b64encode(PDF).decode()}},
        {"fileData": {"fileUri": video, "mimeType": "video/mp4"}},
    ]
    for fetched in files.requests:
        assert {name for name, _ in fetched.headers} == {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
        }
