"""What others call what they find is let through only where it can't be a piece of a text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tollway.proxy.guardrails.external.kinds import MOST_KINDS, OTHER, Kinds


def test_words_pass_in_lower_case() -> None:
    kinds = Kinds()
    assert [kinds.plain(said) for said in ("PERSON", "self-harm/intent", "a.b_c")] == [
        "person",
        "self-harm/intent",
        "a.b_c",
    ]


def test_anything_else_is_another() -> None:
    kinds = Kinds()
    assert {kinds.plain(said) for said in ("", "two words", "bob@example.com", "x" * 65, "é", "a\n")} == {OTHER}


def test_too_many_are_another_and_known_ones_stay() -> None:
    kinds = Kinds()
    said = [kinds.plain(f"kind{number}") for number in range(MOST_KINDS + 9)]
    assert said[MOST_KINDS:] == [OTHER] * 9
    assert kinds.plain("kind0") == "kind0"


@given(st.text())
def test_whatever_is_said_is_a_plain_word(said: str) -> None:
    assert re.fullmatch(r"[a-z0-9_./-]{1,64}", Kinds().plain(said))
