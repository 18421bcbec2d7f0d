"""Texts in pieces, and payloads out of frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.proxy.cache.forms.framing import MOST_PIECES, by_token, payloads, pieces


def test_a_text_is_cut_in_front_of_blanks() -> None:
    assert pieces("The quick brown fox jumps", 12) == ["The quick", " brown fox", " jumps"]


def test_a_text_without_blanks_is_cut_where_it_must_be() -> None:
    assert pieces("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_an_empty_text_has_no_pieces() -> None:
    assert pieces("", 4) == []


@given(st.text(), st.integers(1, 20))
def test_pieces_are_the_text_again_and_none_is_too_long(text: str, characters: int) -> None:
    found = pieces(text, characters)
    assert "".join(found) == text
    assert all(0 < len(piece) <= characters for piece in found)


def test_a_long_text_has_longer_pieces_not_more() -> None:
    assert len(pieces("x" * 1_000_000, 12)) <= MOST_PIECES + 1


@given(st.lists(st.text(max_size=9)), st.integers(1, 20))
def test_tokens_stay_with_their_text(tokens: list[str], characters: int) -> None:
    logprobs = [{"token": token, "place": place} for place, token in enumerate(tokens)]
    found = by_token("".join(tokens), logprobs, characters)
    assert [token for _, told in found for token in told] == logprobs
    assert all("".join(token["token"] for token in told) == text for text, told in found)


@pytest.mark.parametrize("logprobs", [None, {}, [1], [{}], [{"token": 1}], [{"token": "b"}], []])
def test_tokens_of_another_text_are_none(logprobs: object) -> None:
    assert by_token("a", logprobs, 8) == []


def test_comments_names_and_line_ends_of_any_kind_are_left_out() -> None:
    events = b': keep-alive\n\nevent: x\r\ndata: {"a":1}\r\n\r\n: c\n\ndata: [DONE]\n\n'
    assert payloads(events) == [b'{"a":1}', b"[DONE]"]


def test_an_event_without_its_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no end"):
        payloads(b"data: 1\n\ndata: 2")
