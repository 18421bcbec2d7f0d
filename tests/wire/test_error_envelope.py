import json

import pytest

from tollway.errors import (
    ContentBlocked,
    GatewayError,
    InternalError,
    InvalidRequest,
    RateLimited,
    RequestTooLargeForLimit,
    Unauthenticated,
    UpstreamUnreachable,
    every_error,
)
from tollway.wire.error_envelope import envelope, render


def test_the_envelope_is_openais_to_the_letter() -> None:
    error = InvalidRequest("'messages' is missing.", param="messages")
    assert envelope(error) == (
        b'{"error":{"message":"\'messages\' is missing.","type":"invalid_request_error",'
        b'"param":"messages","code":"invalid_request"}}'
    )


def test_a_missing_param_is_null_as_openai_has_it() -> None:
    assert json.loads(envelope(Unauthenticated("No key."))) == {
        "error": {"message": "No key.", "type": "authentication_error", "param": None, "code": "invalid_api_key"}
    }


@pytest.mark.parametrize("kind", every_error())
def test_every_error_is_rendered_with_its_status_and_the_request_id(kind: type[GatewayError]) -> None:
    rendered = render(kind("outside", inside="inside"), "req-1")
    headers = dict(rendered.headers)
    assert rendered.status == kind.status
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-request-id"] == b"req-1"
    detail = json.loads(rendered.body)["error"]
    assert (detail["code"], detail["type"]) == (kind.code, kind.type)


def test_the_inside_message_stays_inside() -> None:
    rendered = render(UpstreamUnreachable("The provider can't be reached.", inside="10.0.0.7:443 refused"), "r")
    assert b"10.0.0.7" not in rendered.body
    assert not any(b"10.0.0.7" in value for _, value in rendered.headers)


def test_an_error_from_outside_the_tree_is_an_internal_one_and_tells_nothing() -> None:
    rendered = render(ValueError("card 4111 1111 1111 1111"), "req-9")
    assert rendered.status == 500
    detail = json.loads(rendered.body)["error"]
    assert detail["code"] == InternalError.code
    assert "req-9" in detail["message"]
    assert "4111" not in detail["message"]


@pytest.mark.parametrize(("seconds", "told"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (59.5, b"60")])
def test_retry_after_is_rounded_up_to_whole_seconds(seconds: float, told: bytes) -> None:
    headers = dict(render(RateLimited("Too many.", retry_after_s=seconds), "r").headers)
    assert headers[b"retry-after"] == told
    assert b"x-should-retry" not in headers


def test_sdks_are_told_not_to_repeat_what_waiting_can_not_mend() -> None:
    headers = dict(render(RequestTooLargeForLimit("Too large for the limit."), "r").headers)
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


def test_a_client_without_a_key_is_told_how_to_send_one() -> None:
    assert dict(render(Unauthenticated("No key."), "r").headers)[b"www-authenticate"] == b'Bearer realm="tollway"'
    assert b"www-authenticate" not in dict(render(ContentBlocked("No."), "r").headers)


def test_a_request_id_that_is_no_latin_1_breaks_nothing() -> None:
    assert dict(render(ContentBlocked("No."), "rq-✓").headers)[b"x-request-id"] == b"rq-?"


def test_any_message_makes_valid_json() -> None:
    message = 'quotes " and \\ and \n and \x00 and ✓'
    assert json.loads(envelope(InvalidRequest(message)))["error"]["message"] == message
