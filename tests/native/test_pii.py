"""Personal data: what is found and what is left alone, against the slow twin, and in hostile texts."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.native.twins import pii as twin

from tollway._native import pii

SHARED = Path(__file__).parents[2] / "../shared/data/guardrails/pii.dev.jsonl"
ALL = pii.Scanner(list(pii.ENTITIES))

VALUES = st.sampled_from(
    [
        *("4111111111111111", "4111 1111 1111 1111", "378282246310005", "3782 822463 10005", "2223003122003222"),
        *("501800000009", "4000000000000000006", "123-45-6789", "123 45 6789", "123456789", "+1 415 555 0132"),
        *("(415) 555-0132", "415.555.0132", "0216 123 45 67", "01.84.17.61.18", "8605665299", "+49 (0)30 1234567"),
        *("0049 30 123 4567", "09171234567", "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "10.0.0.1"),
        *("1.2.3.4.5", "192.168.0.0/16", "2001:db8::1", "::1", "fe80::1/64", "bob@example.com", "jürgen@müller.de"),
        *("o'brien+x@mail.example.co.uk", "react@19.0.1", "2024-01-31", "31.01.2024", "1741588241685"),
        *("978-0-259-61824-9", "4006381333931", "x12", "ext. 77"),
    ]
)
WORDS = st.sampled_from(
    [
        *(
            "call",
            "phone",
            "my number is",
            "card",
            "ssn",
            "social security",
            "order",
            "id",
            "version",
            "isbn",
            "serial",
        ),
        *("text me at", "called from", "fax", "(mobile)", "office", "the", "teléfono", "Call", "PHONE_NO"),
    ]
)
SIGNS = st.text("0123456789 ().+-/:,#@xX_\\n\u00a0\u2011€$%[]a", max_size=24)
DIGITS = st.from_regex(r"\A[0-9]{1,20}\Z")
GAPS = st.sampled_from(
    [" ", "-", ".", "/", " (", ") ", ")-", " - ", "  ", "\n", "\\n", ": ", ", ", "", "\u202f", "\u2013", "x", "="]
)
TEXTS = st.lists(st.one_of(VALUES, WORDS, SIGNS, DIGITS, GAPS, GAPS, st.text(max_size=8)), max_size=14).map("".join)


def found(text: str) -> list[tuple[str, str]]:
    return [(entity, text[start:end]) for entity, start, end in ALL.scan(text)]


@given(TEXTS)
@example("call 1 2 3 4 5 6 7 8 9")
@example("a" * 70 + "@example.com")
@example("called from4111 1111 1111 1111")
@example("called from:41111111111111114111 1111 1111 1111")
@example("called from\u00a0123456789")
@example("called from\u2003123456789")
@settings(max_examples=3_000, deadline=None)
def test_a_scan_finds_what_the_twin_finds(text: str) -> None:
    assert ALL.scan(text) == twin.scan(text)


@given(TEXTS)
@settings(deadline=None)
def test_a_number_that_is_found_is_never_a_slice_of_a_longer_row_of_digits(text: str) -> None:
    for entity, start, end in ALL.scan(text):
        if entity != "email":
            assert not re.fullmatch("[0-9]{2}", text[max(0, start - 1) : start + 1])
            assert not re.fullmatch("[0-9]{2}", text[end - 1 : end + 1])


@pytest.mark.parametrize("entity", pii.ENTITIES)
@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_a_scanner_for_one_entity_finds_no_other(entity: str, text: str) -> None:
    assert {found for found, _, _ in pii.Scanner([entity]).scan(text)} <= {entity}


@given(TEXTS)
@settings(deadline=None)
def test_redaction_replaces_exactly_what_was_found(text: str) -> None:
    findings = ALL.scan(text)
    expected = text
    for entity, start, end in reversed(findings):
        expected = f"{expected[:start]}[{entity.upper()}]{expected[end:]}"
    entities = [entity for entity, _, _ in findings]
    assert ALL.redact(text) == (expected, {entity: entities.count(entity) for entity in set(entities)})


@pytest.mark.skipif(not SHARED.exists(), reason=f"the development set is not at {SHARED}")
def test_a_scan_finds_what_the_twin_finds_in_other_peoples_sentences() -> None:
    for line in SHARED.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        assert ALL.scan(text) == twin.scan(text)


def test_offsets_count_code_points() -> None:
    text = "☎ Jörg 👍: +49 30 1234567, bob@example.com"
    assert found(text) == [("phone", "+49 30 1234567"), ("email", "bob@example.com")]


@pytest.mark.parametrize(
    ("entity", "text"),
    [
        ("email", "write to jane.doe+news@mail.example.co.uk."),
        ("credit_card", "Please block my card 4111-1111-1111-1111 at once"),
        ("us_ssn", "SSN: 123-45-6789"),
        ("phone", "You can reach me at 860 566 5299 after six"),
        ("iban", "IBAN DE89 3704 0044 0532 0130 00, please"),
        ("ip", "the host at 10.1.2.3:8080 does not answer"),
    ],
)
def test_each_entity_is_found_in_a_sentence(entity: str, text: str) -> None:
    assert [name for name, _ in found(text)] == [entity]
    assert ALL.redact(text)[1] == {entity: 1}


@pytest.mark.parametrize(
    "text",
    [
        "Where is my order #5877265083?",
        "ts=1701922806 level=info msg=ready",
        "Convert 2008-07-04T14:15:18.923324 to local time.",
        "What produced request id 176d6f4b-ad41-4c4a-88bb-aa174fc125e2?",
        "Summarise the book with ISBN 978-0-259-61824-9.",
        "Lines 313-4519 of main.rs",
        "EAN 4812868404465 belongs to which article?",
        "The reading was -34.422575, 78.735664.",
        "pip install requests==32.29.12+build.77",
        "items[1::2] and std::vec and :: raise a syntax error",
        "for i in range(1000000000, 9999999999): pass",
        "Chrome/120.0.0.0 Safari/537.36",
    ],
)
def test_what_only_looks_personal_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_an_escaped_line_break_survives_redaction() -> None:
    text = json.dumps({"arguments": json.dumps({"note": "one\nbob@example.com\n8605665299 (mobile)"})})
    redacted, counts = ALL.redact(text)
    assert json.loads(json.loads(redacted)["arguments"])["note"] == "one\n[EMAIL]\n[PHONE] (mobile)"
    assert counts == {"email": 1, "phone": 1}


@pytest.mark.parametrize(
    "unit", ["1", "1-", "1 ", "@", "a@", "a.", ":", "1:", "call 11 ", "4111 ", "DE89 ", "é", "+1", "(1"]
)
def test_a_megabyte_of_hostile_text_is_scanned_at_once(unit: str) -> None:
    """With quadratic work each of these would take minutes and meet the time limit of the test run."""
    assert isinstance(ALL.scan(unit * (1_000_000 // len(unit))), list)


def test_an_unknown_entity_is_a_value_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match="email, credit_card, us_ssn, phone, iban, ip"):
        pii.Scanner(["email", "passport"])


def test_a_lone_name_is_not_a_list_of_entities() -> None:
    with pytest.raises(TypeError):
        pii.Scanner("email")
