import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.telemetry.scrubber import SECRET, Scrubber

KNOWN = 'p"ss/wörd\\with everything'


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnop.",
        "xai-0123456789abcdef",
        "key tw_live_4fzzzzzz is unknown",
        "tw_admin_1",
        "authorization: Bearer abc.def.ghi",
        "authorization: bearer\tabc.def.ghi",
        "postgresql://tollway:hunter2@db.internal:5432/tollway",
        "redis://:hunter2@cache",
    ],
)
def test_what_looks_like_a_key_is_replaced(text: str) -> None:
    scrubbed = Scrubber().scrub(text)
    assert SECRET in scrubbed
    assert not any(
        leak in scrubbed for leak in ("abcdefghijkl", "0123456789", "4fzzzzzz", "admin_1", "abc.def", "hunter2")
    )


@pytest.mark.parametrize(
    "text", ["task-abcdefghijkl", "disk-full-on-host-a", "a bear walks", "http://host:80/path", "tw_other_1", "sk-1"]
)
def test_words_that_only_resemble_keys_are_left_alone(text: str) -> None:
    assert Scrubber().scrub(text) == text


def test_the_address_of_a_url_stays_readable() -> None:
    assert Scrubber().scrub("postgresql://a:b@db:5432/x") == f"postgresql://{SECRET}@db:5432/x"


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_known_secret_never_gets_through(before: str, after: str) -> None:
    assert KNOWN not in Scrubber([KNOWN]).scrub(before + KNOWN + after)


@pytest.mark.parametrize("quoted", ['p\\"ss/w\\u00f6rd\\\\with', 'p\\"ss/wörd\\\\with', "p%22ss%2Fw%C3%B6rd%5Cwith"])
def test_a_known_secret_is_found_as_json_and_urls_spell_it(quoted: str) -> None:
    scrubber = Scrubber(['p"ss/wörd\\with'])
    assert scrubber.scrub(f"upstream said: <{quoted}>") == f"upstream said: <{SECRET}>"


def test_a_secret_that_begins_another_leaves_no_tail() -> None:
    assert Scrubber(["abcdefgh", "abcdefghijkl"]).scrub("abcdefghijkl") == SECRET


def test_a_secret_learnt_later_is_replaced_in_texts_found_clean_before() -> None:
    scrubber = Scrubber()
    assert scrubber.scrub("rotated-key-value") == "rotated-key-value"
    scrubber.learn(["rotated-key-value"])
    assert scrubber.scrub("rotated-key-value") == SECRET


def test_secrets_too_short_to_tell_from_words_are_not_searched_for() -> None:
    assert Scrubber(["EMPTY"]).scrub("an EMPTY body") == "an EMPTY body"


def test_more_clean_texts_than_it_remembers_do_no_harm() -> None:
    scrubber = Scrubber(["the-secret-one"])
    assert all(scrubber.scrub(f"text {number}") == f"text {number}" for number in range(10_000))
    assert scrubber.scrub("the-secret-one") == SECRET


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "x-api-key", "Authorization", "password", "client_secret", "set-cookie", "token"]
)
def test_fields_named_like_secrets_are_hidden(name: str) -> None:
    scrubber = Scrubber()
    assert scrubber.hides(name)
    assert scrubber.field(name, "harmless") == SECRET


@pytest.mark.parametrize("name", ["key_id", "key_prefix", "prompt_tokens", "first_token_ms", "monkey", "at", ""])
def test_fields_that_only_resemble_them_are_shown(name: str) -> None:
    scrubber = Scrubber()
    assert not scrubber.hides(name)
    assert scrubber.field(name, "value") == "value"


def test_it_does_not_show_what_it_knows() -> None:
    assert "the-secret-one" not in repr(Scrubber(["the-secret-one"]))
