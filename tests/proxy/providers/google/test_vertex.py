"""Vertex AI: the address of a location, a token for a signed statement, and the Gemini API's dialect."""

import json
import time
from urllib.parse import parse_qsl

import msgspec
import pytest
from tests.fakes.identity import account, signed
from tests.fakes.media import ServedMedia
from tests.fakes.records import needs_records, records
from tests.proxy.edge import Answer

from tollway.contract.snapshot import GoogleCredentials, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.google.vertex import SCOPE, VertexApi, statement
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest

TOKEN_URL = "https://oauth2.googleapis.com/token"
HOME = "https://europe-west4-aiplatform.googleapis.com"
MODELS = f"{HOME}/v1/projects/p-1/locations/europe-west4/publishers/google/models"
SAID = {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]}


def credentials(location: str = "europe-west4") -> GoogleCredentials:
    held = account()
    return GoogleCredentials("p-1", location, held["client_email"], held["private_key"], TOKEN_URL, "key-1")


class Wire:
    """Google: hands out tokens ``t1``, ``t2``…, and answers calls from a list."""

    def __init__(self, *answers: Answer) -> None:
        self.calls: list[UpstreamRequest] = []
        self.statements: list[str] = []
        self._answers = list(answers)

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        request.sent()
        if request.url != TOKEN_URL:
            self.calls.append(request)
            return self._answers.pop(0)
        form = dict(parse_qsl(request.body.decode()))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        self.statements.append(form["assertion"])
        granted = {"access_token": f"t{len(self.statements)}", "expires_in": 3599, "token_type": "Bearer"}
        return Answer(json.dumps(granted).encode())


def hello() -> Answer:
    return Answer(json.dumps(SAID).encode())


def call(model: str = "gemini-2.5-flash", *, stream: bool = False) -> UpstreamCall:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return UpstreamCall(model, json.dumps(body).encode(), [("traceparent", "00-1")], 2.5, lambda: None)


def vertex(wire: Wire, location: str = "europe-west4", home: str = HOME) -> GoogleProvider:
    access = ProviderAccess("v", "vertex", home, None, google=credentials(location))
    return GoogleProvider(VertexApi(access, wire), ServedMedia())


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-x", "gemini-x"),
        ("../../x?y#z:w", "..%2F..%2Fx%3Fy%23z%3Aw"),
    ],
)
async def test_a_call_goes_to_the_models_method_below_project_and_location(model: str, path: str) -> None:
    wire = Wire(hello(), hello())
    provider = vertex(wire)
    await provider.send(call(model))
    await provider.send(call(model, stream=True))
    plain, streamed = wire.calls
    assert plain.url == f"{MODELS}/{path}:generateContent"
    assert streamed.url == f"{MODELS}/{path}:streamGenerateContent?alt=sse"
    assert plain.headers == [
        ("content-type", "application/json"),
        ("authorization", "Bearer t1"),
        ("traceparent", "00-1"),
    ]
    assert json.loads(plain.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert len(wire.statements) == 1


def test_the_account_signs_who_it_is_and_what_it_asks_for() -> None:
    head, claims = signed(statement(credentials(), lambda: 1_700_000_000.9))
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert claims == {
        "iss": "gateway@its-project.iam.gserviceaccount.com",
        "scope": SCOPE,
        "aud": TOKEN_URL,
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }


async def test_the_statement_is_of_now() -> None:
    wire = Wire(hello())
    await vertex(wire).send(call())
    _, claims = signed(wire.statements[0])
    assert abs(claims["iat"] - time.time()) < 60


async def test_a_token_that_vertex_refuses_is_replaced_once() -> None:
    refusal = Answer(b'{"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "expired"}}', status=401)
    wire = Wire(refusal, hello())
    assert (await vertex(wire).send(call())).status == 200
    assert [request.headers[1][1] for request in wire.calls] == ["Bearer t1", "Bearer t2"]
    assert refusal.closed == 1


@needs_records
async def test_what_vertex_was_recorded_to_say_of_a_bad_token_is_told_as_one() -> None:
    (record,) = [record for record in records("vertex", "generate_content") if record.status == 401]
    answers = [Answer(record.body.encode(), status=401) for _ in range(2)]
    wire = Wire(*answers)
    given = await vertex(wire).send(call())
    body = await given.piece()
    assert given.status == 401
    assert body is not None
    assert json.loads(body)["error"]["code"] == "invalid_api_key"
    assert len(wire.calls) == 2


def test_nothing_shows_the_key() -> None:
    access = ProviderAccess("v", "vertex", HOME, None, google=credentials())
    assert "PRIVATE" not in f"{access!r} {credentials()!r}"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(access), type=ProviderAccess) == access
    with pytest.raises(ValueError, match="without credentials"):
        VertexApi(ProviderAccess("v", "vertex", HOME, None), Wire())
