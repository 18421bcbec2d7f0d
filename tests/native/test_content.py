"""What a text may not say: found in every guise, against a slow twin; topics on prompts; schemas and languages."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.twins import content as twin

from tollway._native import content

SHARED = Path(__file__).parents[2] / "../shared/data/guardrails/policy.dev.jsonl"

WIDE = "\uff2e\uff25\uff37"
WORDS = ["kill", "the", "process", "new", "york", "times", "é", "e\u0301", "C++", "ß", "ss", "禁", "止", "a", "_", WIDE]
GAPS = [" ", "  ", "\n", "", "\u200b", " \u200d ", "-", ", ", "\u00a0", ".", "\u00ad"]
TEXTS = st.lists(
    st.sampled_from(WORDS + GAPS) | st.text(st.characters(max_codepoint=0x24F), max_size=3), max_size=24
).map("".join)
PHRASES = st.lists(
    st.sampled_from(
        ["kill", "kill the process", "new york", "new york times", "york times", "é", "c++", "ss", "禁止", "a"]
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(deadline=None)
@given(TEXTS, PHRASES, st.lists(st.sampled_from(["the process", "york", "a", "the"]), max_size=2))
def test_phrases_are_found_like_the_slow_twin_finds_them(text: str, deny: list[str], allow: list[str]) -> None:
    assert content.Matcher(deny=deny, allow=allow).scan(text) == twin.scan(text, deny, allow)


@given(TEXTS)
def test_a_pattern_finds_what_python_finds(text: str) -> None:
    pattern = r"new\s+york|[a-c]\+*|process"
    expected = [("pattern", *found.span()) for found in re.finditer(pattern, text)]
    assert content.Matcher(patterns=[pattern]).scan(text) == expected


def test_offsets_are_in_code_points() -> None:
    assert content.Matcher(deny=["bob"]).scan("🙂 é bob") == [("phrase", 4, 7)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"deny": ["ok", ""]}, r"^deny\[1\] is empty$"),
        ({"allow": [" \u200b "]}, r"^allow\[0\] is empty$"),
        ({"patterns": ["(a"]}, r'^patterns\[0\] "\(a": unclosed group$'),
        ({"patterns": ["a", "b?"]}, r'^patterns\[1\] "b\?": it matches the empty text$'),
        ({"topics": ["nonsense"]}, r'^unknown topic "nonsense": use crime, '),
    ],
)
def test_what_is_wrong_is_told(given: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        content.Matcher(**given)


def rows() -> list[dict[str, object]]:
    if not SHARED.exists():
        pytest.skip(f"no {SHARED.name} beside the repository")
    return [json.loads(line) for line in SHARED.read_text(encoding="utf-8").split("\n") if line]


def test_topics_that_harm_are_quiet_on_harmless_prompts_that_look_alike() -> None:
    harms = content.Matcher(topics=["crime", "drugs", "hate", "self_harm", "sexual", "violence", "weapons"])
    harmless = [row for row in rows() if row["label"] == 0]
    loud = [row for row in harmless if harms.scan(str(row["text"]))]
    assert len(loud) <= 0.02 * len(harmless), [row["text"] for row in loud]


def test_they_find_some_of_what_is_harmful() -> None:
    harms = content.Matcher(topics=["crime", "drugs", "hate", "self_harm", "sexual", "violence", "weapons"])
    harmful = [row for row in rows() if row["label"] == 1]
    found = [row for row in harmful if harms.scan(str(row["text"]))]
    assert len(found) >= 0.5 * len(harmful)


def test_all_topics_together_are_quiet_on_ordinary_prompts() -> None:
    every = content.Matcher(topics=list(content.TOPICS))
    plain = [row for row in rows() if row["kind"] in ("plain", "overdefence")]
    loud = [row for row in plain if every.scan(str(row["text"]))]
    assert len(loud) <= 0.03 * len(plain), [row["text"] for row in loud]


SCHEMA = json.dumps({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}})


def test_an_answer_holds_to_a_schema_or_is_told_where_not() -> None:
    schema = content.Schema(SCHEMA)
    assert schema.unheld('{"city": "Rome"}') is None
    assert schema.unheld("Rome") == "json"
    assert schema.unheld("{}") == "/required"
    assert schema.unheld('{"city": 7}') == "/properties/city/type"


@pytest.mark.parametrize(
    "schema", ["", "{", '{"type": 7}', '{"$ref": "https://example.com/a.json"}', '{"pattern": "("}']
)
def test_what_is_no_schema_is_refused(schema: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        content.Schema(schema)


def test_languages_are_known_by_their_codes() -> None:
    assert {"en", "de", "fr", "es", "zh", "ja", "ar", "ru"} <= set(content.LANGUAGES)
    assert all(re.fullmatch("[a-z]{2}", code) for code in content.LANGUAGES)
    known = content.language("Wo finde ich eine gute Einführung in die Geschichte des römischen Reiches?")
    assert known is not None
    assert known[0] == "de"
    assert content.language("ok") is None


def test_only_a_text_that_certainly_is_in_another_language_is_told_from_them() -> None:
    russian = "Где я могу найти хорошее введение в историю Римской империи?"
    assert not content.speaks(russian, ["en", "de"])
    assert content.speaks(russian, ["ru"])
    assert content.speaks("SELECT 1", ["ru"])
