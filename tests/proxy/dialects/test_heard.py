import pytest

from tollway.proxy.dialects.heard import MOST_CALLS, Calls, said


def test_text_thought_and_refusal_are_told_apart() -> None:
    assert said({"content": "a", "reasoning_content": "b", "refusal": "c"}) == ("a", "b", "c")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_a_thought_is_heard_under_either_name(name: str) -> None:
    assert said({name: "why"}).thought == "why"


def test_a_thought_told_under_both_names_is_heard_once() -> None:
    assert said({"reasoning": "why", "reasoning_content": "why"}).thought == "why"


def test_a_content_in_parts_is_heard_as_mistral_means_it() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert said({"content": [thinking, {"type": "text", "text": "yes"}]}) == ("yes", "hm", "")


def test_what_is_missing_or_null_says_nothing() -> None:
    assert said({}) == said({"content": None, "refusal": None, "reasoning": None}) == ("", "", "")


@pytest.mark.parametrize("message", [{"content": 1}, {"content": [1]}, {"reasoning": {"a": 1}}])
def test_a_wrong_type_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no "):
        said(message)


def _places(*pieces: dict[str, object]) -> list[int]:
    calls = Calls()
    return [calls.place(piece) for piece in pieces]


def _begin(identity: str | None = None, **more: object) -> dict[str, object]:
    return {"id": identity, "function": {"name": "f", "arguments": ""}, **more}


def _more(**more: object) -> dict[str, object]:
    return {"id": None, "function": {"name": None, "arguments": "x"}, **more}


def test_indexes_count_and_may_interleave() -> None:
    assert _places(_begin("a", index=0), _begin("b", index=1), _more(index=0), _more(index=1)) == [0, 1, 0, 1]


def test_indexes_that_jump_are_counted_anew() -> None:
    assert _places(_begin("a", index=1), _begin("b", index=7), _more(index=1), _more(index=7)) == [0, 1, 0, 1]


def test_a_new_id_beside_a_known_index_is_a_new_call() -> None:
    assert _places(_begin("a", index=0), _begin("b", index=0), _begin("c", index=0)) == [0, 1, 2]


def test_an_id_that_is_repeated_is_the_same_call() -> None:
    assert _places(_begin("a", index=0), _begin("a", index=0), _begin("a")) == [0, 0, 0]


def test_a_name_beside_a_known_index_begins_a_call_once_the_last_one_is_whole() -> None:
    whole = {"function": {"name": "f", "arguments": '{"a": {}}'}, "index": 0}
    assert _places(whole, whole, whole) == [0, 1, 2]
    half, rest = ({"function": {"name": "f", "arguments": text}, "index": 0} for text in ('{"a": {}', "}"))
    assert _places(half, rest, half, rest) == [0, 0, 1, 1]


def test_without_an_index_calls_go_by_id_then_by_name() -> None:
    assert _places(_begin("a"), _begin("b"), _more(), _begin(None), _more()) == [0, 1, 1, 2, 2]


def test_a_piece_that_begins_nothing_opens_the_first_call() -> None:
    assert _places(_more()) == [0]


def test_calls_are_bounded() -> None:
    calls = Calls()
    for number in range(MOST_CALLS):
        calls.place(_begin(str(number)))
    with pytest.raises(ValueError, match="too many"):
        calls.place(_begin("one more"))


@pytest.mark.parametrize("index", ["0", 1.5, True])
def test_an_index_of_a_wrong_type_is_an_error(index: object) -> None:
    with pytest.raises(ValueError, match="index"):
        Calls().place(_begin("a", index=index))
