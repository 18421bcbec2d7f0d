"""A service account's file: what can't work is told by its field, and nothing of it is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.identity import account, pem

from tollway.settings import BadConfiguration, read, read_account

TEXT = """\
version: 1
providers:
  v: {kind: vertex, location: global, credentials: "${ACCOUNT}"%s}
models:
  m: {targets: [{provider: v, model: gemini-x}]}
"""


def faults(text: str, **environ: str) -> list[tuple[str, str]]:
    with pytest.raises(BadConfiguration) as raised:
        read(text, environ)
    return [(fault.path, fault.message) for fault in raised.value.faults]


def test_the_json_itself_or_a_files_path_may_be_given(tmp_path: Path) -> None:
    inline = read(TEXT % "", {"ACCOUNT": json.dumps(account())})
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account()))
    of_file = read(TEXT % "", {"ACCOUNT": str(path)})
    assert inline == of_file
    provider = of_file.providers["v"]
    assert provider.is_configured
    assert provider.credentials is not None
    assert read_account(provider.credentials.reveal()).project_id == "its-project"
    assert "PRIVATE" not in repr(of_file)
    assert provider.secrets == (json.dumps(account()),)


def test_an_empty_variable_leaves_the_provider_unconfigured() -> None:
    loaded = read((TEXT % "").partition("models:")[0], {"ACCOUNT": ""})
    assert not loaded.providers["v"].is_configured


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = faults(TEXT % "", ACCOUNT=str(tmp_path / "secret-place.json"))
    assert ("providers.v.credentials", "names a file that can't be read: No such file or directory") in told
    assert "secret-place" not in str(told)
    told = faults(TEXT % "", ACCOUNT="a\x00b")
    assert "names a file that can't be read: it is no text" in told[0][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"private_key": None}, "is no service account: Object missing required field `private_key`"),
        ({"client_email": None}, "is no service account: Object missing required field `client_email`"),
        ({"type": None}, "is no service account: Object missing required field `type`"),
        ({"client_email": 5}, "is no service account: Expected `str`, got `int` - at `$.client_email`"),
        ({"type": "authorized_user"}, 'is no service account: its "type" is another'),
        ({"client_email": "canary"}, 'has no e-mail address as its "client_email"'),
        ({"private_key": "canary"}, 'has a "private_key" that is no RSA key in PEM'),
        ({"private_key": pem()[:200]}, 'has a "private_key" that is no RSA key in PEM'),
    ],
)
def test_a_field_that_is_missing_or_odd_is_named(changes: dict[str, Any], message: str) -> None:
    assert faults(TEXT % "", ACCOUNT=json.dumps(account(**changes))) == [("providers.v.credentials", message)]


@pytest.mark.parametrize(
    "url",
    [
        "http://oauth2.googleapis.com/token",
        "https://evil.test/token",
        "https://oauth2.googleapis.com.evil.test/token",
        "https://evilgoogleapis.com/token",
        "https://oauth2.googleapis.com@evil.test/token",
        "https://evil.test\\@oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://oauth2.googleapis.com:x/token",
        "https://[::1/token",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_statement_is_sent_to_google_alone(url: str) -> None:
    (fault,) = faults(TEXT % "", ACCOUNT=json.dumps(account(token_uri=url)))
    assert "token_uri" in fault[1]
    read(TEXT % ", token_url: 'http://127.0.0.1:9/token'", {"ACCOUNT": json.dumps(account(token_uri=url))})


@pytest.mark.parametrize("url", ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"])
def test_googles_own_addresses_are_taken(url: str) -> None:
    assert read_account(json.dumps(account(token_uri=url))).token_uri == url


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("{kind: vertex, location: global}", ("providers.v", '"credentials" is missing; vertex needs one')),
        ("{kind: vertex, credentials: '${EMPTY}'}", ("providers.v", '"location" is missing; vertex needs one')),
        (
            "{kind: vertex, location: global, credentials: '${EMPTY}', api_key: abc}",
            ("providers.v.api_key", "vertex has none; it needs credentials"),
        ),
        (
            "{kind: vertex, location: global, credentials: '${EMPTY}', token_url: 'ftp://x'}",
            ("providers.v.token_url", "should begin with http:// or https://"),
        ),
        (
            "{kind: google, api_key: abc, location: global}",
            ("providers.v.location", "only vertex has location"),
        ),
        (
            "{kind: google, api_key: abc, credentials: '${EMPTY}'}",
            ("providers.v.credentials", "only vertex has credentials"),
        ),
    ],
)
def test_what_the_kind_needs_and_what_others_have_not_is_told(provider: str, fault: tuple[str, str]) -> None:
    assert faults(f"version: 1\nproviders: {{v: {provider}}}", EMPTY="") == [fault]


def test_a_project_must_be_known() -> None:
    nameless = json.dumps(account(project_id=None))
    told = '"project" is missing, and the service account names none'
    assert faults(TEXT % "", ACCOUNT=nameless) == [("providers.v", told)]
    read(TEXT % ", project: mine", {"ACCOUNT": nameless})


@given(st.text() | st.recursive(st.none() | st.text(), lambda below: st.dictionaries(st.text(), below)).map(json.dumps))
def test_any_text_is_an_account_or_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_account(text)
