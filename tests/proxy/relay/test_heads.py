"""The heads of answers: what is ours, what passes, and what never does."""

import json

import pytest
from tests.proxy.edge import ACCESS, Answer, called, route, target

from tollway.contract.snapshot import AwsCredentials, ProviderAccess
from tollway.proxy.exchange import Timing
from tollway.proxy.relay.heads import SHOWN_CHARACTERS, SHOWN_WARNINGS, WARNINGS, error_body, head, server_timing, warn


async def test_an_answer_says_who_gave_it_and_how_long_it_took() -> None:
    call = called(Answer(content_type="application/json"))
    call.arrival.connection.answer_headers.append((b"x-ratelimit-limit-requests", b"5"))
    call.arrival.timing.mark("call")
    headers = dict(head(call))
    timing = headers.pop(b"server-timing")
    assert headers == {
        b"content-type": b"application/json",
        b"x-request-id": b"request-1",
        b"x-tollway-provider": b"fake",
        b"x-tollway-model": b"m-1",
        b"x-tollway-attempts": b"1",
        b"x-ratelimit-limit-requests": b"5",
    }
    assert timing.startswith(b"call;dur=")


async def test_a_few_of_the_providers_headers_pass_and_no_other() -> None:
    answer = Answer(
        content_type="application/json",
        openai_processing_ms="12",
        retry_after="3",
        x_should_retry="true",
        set_cookie="session=1",
        server="nginx",
        x_ratelimit_remaining_requests="9999",
        x_request_id="theirs",
        location="http://10.0.0.1/",
    )
    headers = dict(head(called(answer)))
    assert headers[b"openai-processing-ms"] == b"12"
    assert headers[b"retry-after"] == b"3"
    assert headers[b"x-should-retry"] == b"true"
    assert headers[b"x-request-id"] == b"request-1"
    assert not headers.keys() & {b"set-cookie", b"server", b"x-ratelimit-remaining-requests", b"location"}


async def test_what_was_dropped_is_told_in_one_header() -> None:
    answer = Answer(content_type="application/json")
    answer.warnings = ("seed", "logit_bias")
    headers = head(called(answer))
    assert dict(headers)[WARNINGS] == b"dropped:seed, dropped:logit_bias"
    warn(headers, b"unpriced-model")
    assert [value for name, value in headers if name == WARNINGS] == [
        b"dropped:seed, dropped:logit_bias, unpriced-model"
    ]


async def test_names_that_a_client_made_up_do_not_reach_a_header() -> None:
    answer = Answer(content_type="application/json")
    answer.warnings = ("a\r\nset-cookie: x", "ü", "x" * 65, "tools[0].x", *(f"f{number}" for number in range(100)))
    shown = dict(head(called(answer)))[WARNINGS]
    assert shown.startswith(b"dropped:other, dropped:tools[0].x, dropped:f0, ")
    assert shown.count(b",") == SHOWN_WARNINGS - 1


@pytest.mark.parametrize(
    ("answer", "stream", "content_type"),
    [
        (Answer(content_type="application/json; charset=utf-8"), False, b"application/json; charset=utf-8"),
        (Answer(), False, b"application/json"),
        (Answer(), True, b"text/event-stream"),
        (Answer(content_type="text/event-stream"), True, b"text/event-stream"),
        (Answer(status=502, content_type="text/html"), False, b"application/json"),
        (Answer(status=502, content_type="text/event-stream"), True, b"application/json"),
    ],
)
async def test_the_content_type_is_what_the_client_gets_to_read(
    answer: Answer, stream: bool, content_type: bytes
) -> None:
    assert dict(head(called(answer, stream=stream)))[b"content-type"] == content_type


def test_every_station_is_timed_in_milliseconds() -> None:
    timing = Timing()
    timing.spans += [("authenticate", 12_345), ("call", 1_500_000_000)]
    assert server_timing(timing) == b"authenticate;dur=0.012, call;dur=1500.000"


async def test_a_providers_own_error_passes_byte_for_byte() -> None:
    body = b'{ "error" : {"message":"no","code":null} }\n'
    assert error_body(called(Answer(status=400)), body) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>502 Bad Gateway</html>\n", "<html>502 Bad Gateway</html>"),
        (b"", "The provider answered 502 without a body."),
        (b" \n", "The provider answered 502 without a body."),
        (b"[1]", "[1]"),
        (b'"text"', '"text"'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 10_000, "x" * SHOWN_CHARACTERS),
    ],
)
async def test_an_error_that_is_no_object_is_put_into_the_envelope(body: bytes, message: str) -> None:
    error = json.loads(error_body(called(Answer(status=502)), body))["error"]
    assert error == {"message": message, "type": "upstream_error", "param": None, "code": "upstream_error"}


async def test_a_provider_that_repeats_what_was_signed_with_does_not_give_it_away() -> None:
    aws = AwsCredentials("us-east-1", "AKID", "secret-canary", "token-canary")
    access = ProviderAccess("b", "bedrock", "https://b.example", None, aws=aws)
    signed = called(Answer(status=403), way=route("m", target(access=access)))
    assert b"canary" not in error_body(signed, b'{"error": {"message": "secret-canary token-canary"}}')


async def test_a_provider_that_repeats_its_key_does_not_give_it_away() -> None:
    key = (ACCESS.api_key or "").encode()
    for body in (b'{"error": {"message": "bad key %b"}}' % key, b"bad key %b" % key):
        shown = error_body(called(Answer(status=401)), body)
        assert key not in shown
        assert b"[secret]" in shown
