"""Secrets: what is found and what is left alone, against the slow twin, and in hostile texts.

Keys are put together from parts, so that nobody's scanner takes this file for a leak.
"""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.twins import secrets as twin

from tollway._native import secrets

SHARED = Path(__file__).parents[2] / "../shared/data/guardrails"
PAGE = Path(__file__).parents[2] / "docs/secrets.md"
SCANNER = secrets.Scanner()

KEYS = st.builds(twin.key, st.integers(0, len(twin.FORMS) - 1), st.integers(0, 2**32))
APART = st.sampled_from([" ", "\n", ": ", '"', "'", "(", ") ", ", ", "é ", "密", "=", "`", " 👍 ", "<", ">"])
PLAIN = st.sampled_from(["", "the", "please look at", "rotate", "in the chat", "x", "1", "works on my machine"])
TEXTS = st.lists(st.tuples(PLAIN, APART, KEYS, APART), max_size=6).map(lambda parts: "".join(map("".join, parts)))


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end, _ in SCANNER.scan(text)]


@given(TEXTS)
@settings(max_examples=1_000, deadline=None)
def test_keys_that_stand_alone_are_found_as_the_twin_finds_them(text: str) -> None:
    assert [finding[:3] for finding in SCANNER.scan(text)] == twin.scan(text)


@given(st.text(max_size=60), TEXTS)
@settings(deadline=None)
def test_redaction_replaces_exactly_what_was_found(before: str, text: str) -> None:
    text = before + " " + text
    findings = SCANNER.scan(text)
    expected = text
    for kind, start, end, _ in reversed(findings):
        expected = f"{expected[:start]}[{kind.upper()}]{expected[end:]}"
    kinds = [kind for kind, _, _, _ in findings]
    assert SCANNER.redact(text) == (expected, {kind: kinds.count(kind) for kind in set(kinds)})


@given(TEXTS)
@settings(deadline=None)
def test_nothing_is_left_to_find_in_a_redacted_text(text: str) -> None:
    assert SCANNER.scan(SCANNER.redact(text)[0]) == []


def test_offsets_count_code_points() -> None:
    key = twin.key(3, 1)
    text = f"☎ Jörg 👍: {key}."
    assert found(text) == [("github_token", key)]


def test_kinds_are_sorted_and_each_stands_once() -> None:
    assert list(secrets.KINDS) == sorted(set(secrets.KINDS))
    assert len(secrets.KINDS) >= 120


def test_the_page_tells_of_every_kind() -> None:
    told = re.findall(r"^\| `(\w+)` \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(told) == secrets.KINDS


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("generic_secret", "export API_KEY={}"),
        ("generic_secret", '"client_secret": "{}"'),
        ("generic_secret", "<accessToken>\n    {}\n</accessToken>"),
        ("generic_secret", "my api key is {}, does that look right?"),
        ("password", "the database password is {}"),
        ("authorization_header", "Authorization: Bearer {}"),
        ("authorization_header", "curl -u admin:{} https://example.org"),
        ("connection_string", "postgres://app:{}@db.internal/app"),
        ("url_credentials", "https://bob:{}@git.example.org/x.git"),
        ("cookie", "Cookie: session={}"),
    ],
)
def test_a_secret_is_known_by_what_stands_beside_it(kind: str, text: str) -> None:
    secret = twin.key(3, 2)[4:28]
    [(name, value)] = found(text.format(secret))
    assert name == kind
    assert value.endswith(secret)


@pytest.mark.parametrize(
    "text",
    [
        "Summarise the commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b for me.",
        "What is a JWT, and how do I pass the token in a header?",
        "export OPENAI_API_KEY=<your key>",
        'os.environ["DB_PASSWORD_2"]',
        "password = settings.database.password1",
        "max_tokens: 4096, tokens: 123456",
        "id=176d6f4b-ad41-4c4a-88bb-aa174fc125e2",
        "Please enter your password, then your token.",
        "postgres://user:password@localhost/db",
    ],
)
def test_what_only_looks_secret_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "unit", ["key=", "token=a1", "password is ", "a://b:", "sk-", "A1b2", "-----BEGIN PRIVATE KEY-----", "="]
)
def test_a_megabyte_of_hostile_text_is_scanned_at_once(unit: str) -> None:
    """With quadratic work each of these would take minutes and meet the time limit of the test run."""
    assert isinstance(SCANNER.scan(unit * (1_000_000 // len(unit))), list)


def rows(name: str) -> list[dict[str, object]]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the development set is not at {path}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_nearly_every_secret_of_the_development_set_is_found_and_little_else() -> None:
    found_of: dict[tuple[object, object], list[bool]] = {}
    for row in rows("secrets.dev.jsonl"):
        text = base64.b64decode(str(row["text_b64"])).decode()
        found_of.setdefault((row["tier"], row["label"]), []).append(bool(SCANNER.scan(text)))
    share = {key: sum(hits) / len(hits) for key, hits in found_of.items()}
    assert share["unique", 1] >= 0.99
    assert share["contextual", 1] >= 0.95
    assert max(share["unique", 0], share["contextual", 0], share["generic", 0]) <= 0.15


@pytest.mark.parametrize("name", ["pii.dev.jsonl", "policy.dev.jsonl", "injection.dev.jsonl"])
def test_nothing_is_found_in_ordinary_prompts(name: str) -> None:
    assert [row["text"] for row in rows(name) if SCANNER.scan(str(row["text"]))] == []
