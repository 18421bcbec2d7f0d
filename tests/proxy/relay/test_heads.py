"""The heads of answers: what is ours, what passes, and what never does."""

import json

import pytest
from tests.proxy.edge import ACCESS, Answer, called

from tollway.proxy.causes import Cause, Fault
from tollway.proxy.exchange import Timing
from tollway.proxy.relay.heads import (
    SHOWN_WARNINGS,
    WARNINGS,
    framed,
    head,
    refusal,
    refusal_head,
    refusal_inside,
    server_timing,
    warn,
)


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
    assert refused(Answer(status=400), body) == (400, body)


@pytest.mark.parametrize(("body", "status"), [(b"<html>502 Bad Gateway</html>", 502), (b'{"detail": "no"}', 404)])
async def test_an_error_in_any_other_form_is_said_in_the_envelope(body: bytes, status: int) -> None:
    seen, said = refused(Answer(status=status), body)
    assert seen == status
    assert json.loads(said)["error"]["message"] == body.decode()


async def test_a_wrong_key_is_told_by_its_status_also_where_the_provider_says_400() -> None:
    fault = Fault(Cause.BAD_KEY, "Incorrect API key")
    seen, headers, body = refusal(called(Answer(status=400)), b'{"code": "x", "error": "Incorrect API key"}', fault)
    assert (seen, dict(headers)[b"content-type"]) == (401, b"application/json")
    assert json.loads(body)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(Cause.RATE_LIMIT, "", retry_after_s=0.2), {b"retry-after": b"1"}),
        (Fault(Cause.RATE_LIMIT, "", retry_after_s=7.1), {b"retry-after": b"8"}),
        (Fault(Cause.RATE_LIMIT, ""), {}),
        (Fault(Cause.QUOTA, ""), {b"x-should-retry": b"false"}),
        (Fault(Cause.TOO_LARGE_FOR_LIMIT, ""), {b"x-should-retry": b"false"}),
        (Fault(Cause.INVALID, ""), {}),
    ],
)
async def test_a_refusal_says_when_a_retry_may_help(fault: Fault, expected: dict[bytes, bytes]) -> None:
    headers = dict(refusal_head(called(Answer(status=429)), fault))
    assert {name: headers[name] for name in (b"retry-after", b"x-should-retry") if name in headers} == expected


async def test_a_provider_that_repeats_its_key_does_not_give_it_away() -> None:
    key = (ACCESS.api_key or "").encode()
    for body in (b'{"error": {"message": "bad key %b"}}' % key, b"bad key %b" % key):
        _, shown = refused(Answer(status=401), body)
        assert key not in shown
        assert b"[secret]" in shown


async def test_no_header_gives_a_key_away() -> None:
    answer = Answer(openai_version=f"v1 {ACCESS.api_key}", openai_model="x-minted-token")
    answer.secrets = ("minted-token",)
    headers = dict(head(called(answer)))
    assert (headers[b"openai-version"], headers[b"openai-model"]) == (b"v1 [secret]", b"x-[secret]")


async def test_a_token_made_for_the_call_is_as_secret_as_a_configured_key() -> None:
    answer = Answer(status=403)
    answer.secrets = ("minted-token",)
    call = called(answer)
    fault = Fault(Cause.FORBIDDEN, "no minted-token", param="minted-token")
    status, _, body = refusal(call, b"no minted-token", fault)
    assert (status, b"minted-token" in body) == (403, False)


async def test_an_event_that_tells_a_fault_passes_but_for_the_keys_in_it() -> None:
    key = (ACCESS.api_key or "").encode()
    said = refusal_inside(called(Answer()), b'{"error": {"message": "bad %b"}}' % key)
    assert said == b'data: {"error": {"message": "bad [secret]"}}\n\n'


async def test_an_event_in_another_dialect_than_the_clients_is_said_anew() -> None:
    said = refusal_inside(called(Answer()), b'{"message": "odd"}').removeprefix(b"data: ")
    assert json.loads(said)["error"]["code"] == "upstream_error"


async def test_an_event_of_several_lines_keeps_them() -> None:
    assert framed("error", b"a\nb") == b"event: error\ndata: a\ndata: b\n\n"


def refused(answer: Answer, body: bytes) -> tuple[int, bytes]:
    call = called(answer)
    status, _, said = refusal(call, body, call.answer.fault(body))
    return status, said
