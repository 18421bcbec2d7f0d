"""OpenAI's SDK asks Google's models for vectors; Google's own SDK asks the same and reads the same."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.genai import Client
from google.genai.types import ContentUnion, HttpOptions
from google.oauth2.credentials import Credentials
from openai import BadRequestError, OpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY
from tests.fakes.identity import account
from tests.fakes.scripts import Script, whole
from tests.fakes.upstream import FakeUpstream, Seen

TEXTS = ["one", "two"]
VECTORS = [[0.5, -0.25], [1.0, 2.0]]
PRICE = {"input_per_1m": 1, "output_per_1m": 0}

Kinds = tuple[OpenAI, Client]


def answer(seen: Seen) -> Script:
    """What Google's methods say; a token for who asks for one."""
    method = seen.path.rpartition(":")[2]
    if method == "batchEmbedContents":
        return whole({"embeddings": [{"values": values} for values in VECTORS[: len(seen.json["requests"])]]})
    if method == "embedContent":
        return whole({"embedding": {"values": VECTORS[0]}, "usageMetadata": {"promptTokenCount": 2}})
    if method == "predict":
        told = [
            {"embeddings": {"values": values, "statistics": {"token_count": 2, "truncated": False}}}
            for values in VECTORS[: len(seen.json["instances"])]
        ]
        return whole({"predictions": told})
    return whole({"access_token": "token", "expires_in": 3599})


@pytest.fixture
def open_both(start: Start, upstream: FakeUpstream) -> Iterator[Callable[[str, str], Kinds]]:
    opened: list[OpenAI | Client] = []
    upstream.default = answer
    base = upstream.base_url.removesuffix("/v1")

    def begin(kind: str, model: str) -> Kinds:
        provider: dict[str, Any] = {"kind": kind, "base_url": base, "api_key": "google-key-0123456789"}
        if kind == "vertex":
            proof = {"credentials": json.dumps(account()), "token_url": f"{base}/token"}
            provider = {"kind": kind, "base_url": base, "location": "europe-west4", "project": "p-1", **proof}
        models = {"m": {"targets": [{"provider": "g", "model": model}], "price": PRICE}}
        gateway = start(providers={"g": provider}, models=models)
        openai = OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0)
        options = HttpOptions(base_url=base, api_version="v1" if kind == "vertex" else "v1beta")
        google = (
            Client(
                vertexai=True,
                project="p-1",
                location="europe-west4",
                credentials=Credentials("token"),  # type: ignore[no-untyped-call]
                http_options=options,
            )
            if kind == "vertex"
            else Client(api_key="google-key-0123456789", http_options=options)
        )
        opened.extend((openai, google))
        return openai, google

    yield begin
    for client in opened:
        client.close()


@pytest.mark.parametrize(
    ("kind", "model", "texts", "tokens"),
    [
        ("google", "gemini-embedding-001", TEXTS, None),
        ("vertex", "gemini-embedding-001", TEXTS[:1], 2),
        ("vertex", "gemini-embedding-001", TEXTS, None),
        ("vertex", "text-embedding-005", TEXTS, 4),
    ],
)
def test_vectors_are_asked_for_as_googles_own_sdk_does(
    open_both: Callable[[str, str], Kinds],
    upstream: FakeUpstream,
    kind: str,
    model: str,
    texts: list[str],
    tokens: int | None,
) -> None:
    openai, google = open_both(kind, model)
    said = openai.embeddings.create(model="m", input=texts, dimensions=2)
    assert [each.embedding for each in said.data] == VECTORS[: len(texts)]
    assert json.loads(said.to_json())["usage"] == (tokens and {"prompt_tokens": tokens, "total_tokens": tokens})
    ours = upstream.requests[-1]
    contents: list[ContentUnion] = [*texts]
    meant = google.models.embed_content(model=model, contents=contents, config={"output_dimensionality": 2})
    theirs = upstream.requests[-1]
    assert [each.values for each in meant.embeddings or []] == VECTORS[: len(texts)]
    assert ours.path == theirs.path
    assert without_roles(ours.json) == without_roles(theirs.json)


def without_roles(body: Any) -> Any:
    """Google's SDK says ``role: user`` of contents, where it means nothing."""
    if isinstance(body, dict):
        return {name: without_roles(value) for name, value in body.items() if name != "role"}
    return [without_roles(each) for each in body] if isinstance(body, list) else body


def test_vectors_are_billed_and_tokens_are_no_texts(
    open_both: Callable[[str, str], Kinds], upstream: FakeUpstream
) -> None:
    openai, _ = open_both("google", "gemini-embedding-001")
    said = openai.embeddings.create(model="m", input="one", encoding_format="float")
    assert said.data[0].embedding == VECTORS[0]
    with pytest.raises(BadRequestError) as caught:
        openai.embeddings.create(model="m", input=[1, 2, 3])
    assert caught.value.param == "input"
    assert upstream.hits == 1
