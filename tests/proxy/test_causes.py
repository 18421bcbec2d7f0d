"""The table of causes: complete, and never a status that a client must not see."""

import pytest

from tollway.proxy.causes import Cause, Fault, cause_of, cleaned, cleaned_body


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_status_that_clients_may_see(cause: Cause) -> None:
    assert 400 <= cause.effect.status < 600
    assert cause.effect.status not in (402, 408, 422, 500, 529)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.INVALID),
        (401, Cause.BAD_KEY),
        (402, Cause.QUOTA),
        (404, Cause.NOT_FOUND),
        (418, Cause.INVALID),
        (422, Cause.INVALID),
        (429, Cause.RATE_LIMIT),
        (498, Cause.OVERLOADED),
        (500, Cause.SERVER),
        (502, Cause.SERVER),
        (524, Cause.TIMEOUT),
        (529, Cause.OVERLOADED),
    ],
)
def test_a_status_alone_says_something(status: int, cause: Cause) -> None:
    assert cause_of(status) is cause


def test_what_is_worth_a_retry_at_the_same_place() -> None:
    worth = {cause for cause in Cause if Fault(cause, "").should_retry}
    assert worth == {
        *(Cause.BAD_GENERATION, Cause.CONFLICT, Cause.RATE_LIMIT, Cause.TIMEOUT, Cause.OVERLOADED, Cause.SERVER)
    }


def test_what_the_provider_calls_lasting_is_not_tried_there_again() -> None:
    assert Fault(Cause.SERVER, "").handling == "retry"
    lasting = Fault(Cause.SERVER, "", is_lasting=True)
    assert (lasting.handling, lasting.should_retry) == ("fail_over", False)
    assert Fault(Cause.INVALID, "", is_lasting=True).handling == "return"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key provided: sk-proj-0123456789abcdefABCDEF_-x.", "Incorrect API key provided: [secret]."),
        ("gsk_0123456789abcdef0123 xai-0123456789abcdef0123", "[secret] [secret]"),
        ("key=AIzaSy0123456789abcdefghijklmnopqrstuvw", "key=[secret]"),
        ("AKIA0123456789ABCDEF was used", "[secret] was used"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl", "[secret]"),
        ('{"authorization": "Bearer abc.def1"}', '{"authorization": "Bearer [secret]"}'),
        ("bearer\tabcdefghijklmnopqrstuvwxyz", "bearer\t[secret]"),
        ("hush hush", "[secret] [secret]"),
        ("Missing Bearer authentication in header", "Missing Bearer authentication in header"),
        ("Authorization: Bearer YOUR_KEY", "Authorization: Bearer YOUR_KEY"),
        ("Incorrect API key provided: sk-ab***yz.", "Incorrect API key provided: sk-ab***yz."),
        ("The task-management-of-many-things failed", "The task-management-of-many-things failed"),
    ],
)
def test_no_secret_is_shown(text: str, clean: str) -> None:
    assert cleaned(text, ["", "hush"]) == clean
    assert cleaned_body(text.encode(), ["hush"]) == clean.encode()


def test_a_body_without_secrets_stays_as_it_is() -> None:
    body = b'{"error": "\xff\xfe \xc3\xa9"}'
    assert cleaned_body(body, ["hush"]) is body
    assert cleaned_body(body + b"hush", ["hush"]) == body + b"[secret]"


@pytest.mark.parametrize(
    "spelt",
    ["aB1/c+D=é9", r"aB1\/c+D=é9", r"aB1\u002fc\u002BD\u003d\u00e99", "aB1%2Fc%2BD%3D%C3%A99", r"aB1/c+D=\u00E99"],
)
def test_a_secret_is_found_however_it_is_spelt(spelt: str) -> None:
    assert cleaned(f"key {spelt}!", ["aB1", "aB1/c+D=é9"]) == "key [secret]!"
    assert cleaned_body(f"key {spelt}!".encode(), ["aB1/c+D=é9"]) == b"key [secret]!"
