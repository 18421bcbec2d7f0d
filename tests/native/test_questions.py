"""Questions of the semantic cache: read and compared as the twin does it, strict where numbers or negation differ."""

import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.twins import questions as twin

from tollway._native.questions import DIMENSIONS, MOST_BYTES, Block, Graph, Question

WORDS = twin.Words(twin.MODEL.read_bytes())
VERIFIER = twin.Verifier((Path(twin.MODEL).parent / "verifier.bin").read_bytes())
PARTS = st.sampled_from(
    [
        *(
            "How do I ",
            "what is ",
            "What's ",
            "can't ",
            "not ",
            "never ",
            "without ",
            "or not ",
            "unhappy ",
            "insecure ",
        ),
        *(
            "two ",
            "2 ",
            "two hundred and five ",
            "205 ",
            "a hundred ",
            "1,000 ",
            "1.5 ",
            "first ",
            "1st ",
            "one ",
            "-5 ",
        ),
        *("$5 ", "5 dollars ", "5% ", "2pm ", "14:00 ", "5 a.m. ", "on March 5 ", "Monday ", "gpt4 ", "007 ", "10k "),
        *("card ", "cards ", "a cat ", "dog ", "Paris ", "London ", "before ", "after ", "buy ", "sell ", "smart "),
        *(
            "intelligent ",
            "zzyzx ",
            "Österreich ",
            "карта ",
            "カード",
            "漢字",
            "don\u2019t ",
            "+ ",
            "? ",
            "\n",
            "the ",
            "please ",
        ),
        *("how do I ", "how to ", "what is the best way to ", "what are some ways for me to "),
    ]
)
TEXTS = st.lists(PARTS, min_size=1, max_size=30).map("".join)


def read(text: str) -> Question | None:
    try:
        return Question(text)
    except ValueError:
        return None


def signed(vector: bytes) -> list[int]:
    return list(struct.unpack(f"{DIMENSIONS}b", vector))


@given(TEXTS, TEXTS)
@settings(max_examples=80, deadline=None)
def test_questions_are_compared_as_the_twin_compares_them(one: str, other: str) -> None:
    left, right = read(one), read(other)
    if left is None or right is None:
        return
    slow_left, slow_right = twin.read(one, WORDS), twin.read(other, WORDS)
    assert max(abs(a - b) for a, b in zip(signed(left.vector), slow_left.vector, strict=True)) <= 1
    assert left.agrees(right) == twin.agree(slow_left, slow_right)
    slow = twin.signs(slow_left, slow_right, WORDS)
    assert left.signs(right) == pytest.approx(slow, abs=0.02)
    for second in (None, 0.8):
        expected = VERIFIER.confidence(left.signs(right), second)
        if left.agrees(right) and slow_left.words != slow_right.words:
            least = 0.99 if slow[-1] else 0.0
            assert left.confidence(right, second) == pytest.approx(max(expected, least), abs=1e-4)


@given(st.text(max_size=200), st.text(max_size=200))
@settings(deadline=None)
def test_any_two_texts_are_compared_the_same_in_either_order(one: str, other: str) -> None:
    left, right = read(one), read(other)
    if left is None or right is None:
        return
    assert len(left.vector) == DIMENSIONS
    assert left.text == one
    for second in (None, -1.0, 0.9, float("nan")):
        assert 0 <= left.confidence(right, second) <= 1
        assert left.confidence(right, second) == pytest.approx(right.confidence(left, second), abs=1e-6)
    assert left.agrees(right) == right.agrees(left)
    assert left.signs(right) == pytest.approx(right.signs(left), abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2 nights in Rome", "two nights in Rome"),
        ("Can I pay with a card?", "can i pay with a card"),
        ("It isn't working", "It is not working"),
        ("I have $5", "I have five dollars"),
        ("What is the price at 2pm?", "What's the price at 14:00?"),
        ("3 nights for 2 people", "2 people for 3 nights"),
    ],
)
def test_what_is_only_written_otherwise_agrees(one: str, other: str) -> None:
    assert Question(one).agrees(Question(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2 nights in Rome", "3 nights in Rome"),
        ("Can I pay with a card?", "Can't I pay with a card?"),
        ("Is it reasonable to fish in Peru?", "Is it reasonable not to fish in Peru?"),
        ("Convert 5 USD to 3 EUR", "Convert 3 USD to 5 EUR"),
        ("How do I pay with a passport?", "How do I pay without a passport?"),
        ("Are you open on Monday?", "Are you open on Tuesday?"),
    ],
)
def test_another_number_or_a_negation_never_hits(one: str, other: str) -> None:
    assert not Question(one).agrees(Question(other))
    assert Question(one).confidence(Question(other), 1.0) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I enable the alarm?", "How do I disable the alarm?"),
        ("Convert euros to dollars", "Convert dollars to euros"),
        ("What should I do before the exam?", "What should I do after the exam?"),
        ("Can I feed my dog grapes?", "Can I feed my cat grapes?"),
        ("Who is the president of France?", "Who is the president of Germany?"),
        ("как открыть счёт", "как закрыть счёт"),
    ],
)
def test_near_duplicates_with_another_answer_do_not_hit(one: str, other: str) -> None:
    assert Question(one).confidence(Question(other)) < 0.95
    assert Question(one).confidence(Question(other), 0.97) < 0.95


def test_the_same_words_are_sure() -> None:
    assert Question("How do I close my account?").confidence(Question("how do I close my account")) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I cancel my subscription?", "How can I cancel my subscription?"),
        ("How to learn to swim as an adult", "What's the best way to learn to swim as an adult?"),
        ("Please close my account for good", "close my account for good"),
    ],
)
def test_another_opening_or_a_word_that_says_nothing_is_as_good_as_the_same(one: str, other: str) -> None:
    assert Question(one).confidence(Question(other)) >= 0.99
    assert Question(one).confidence(Question(other), 0.5) >= 0.99


def test_how_something_is_done_is_not_whether_or_by_whom() -> None:
    for other in (
        "Can I cancel my order?",
        "How do you cancel my order?",
        "What is the fastest way to cancel my order?",
    ):
        assert Question("How do I cancel my order?").confidence(Question(other)) < 0.95


@pytest.mark.parametrize("text", ["", " \n", "?!…", "a " * MOST_BYTES])
def test_a_text_without_words_or_too_long_is_no_question(text: str) -> None:
    with pytest.raises(ValueError, match="text"):
        Question(text)


WORDED = ["open an account", "close it", "lost card", "exchange rate", "top up"]


@given(st.lists(st.sampled_from(WORDED), max_size=12))
@settings(deadline=None)
def test_a_block_finds_what_is_nearest_and_forgets_what_is_removed(texts: list[str]) -> None:
    block = Block()
    kept: list[str] = []
    for text in texts:
        assert block.append(Question(text).vector) == len(kept)
        kept.append(text)
    if kept:
        block.swap_remove(0)
        kept[0] = kept[-1]
        kept.pop()
    found = block.nearest(Question("open an account").vector, 3)
    exact = sorted((Question("open an account").similarity(Question(text)) for text in kept), reverse=True)
    assert [closeness for _, closeness in found] == pytest.approx(exact[:3], abs=1e-6)
    assert len(block) == len(kept)


def test_a_block_refuses_what_it_has_not() -> None:
    with pytest.raises(IndexError):
        Block().swap_remove(0)
    with pytest.raises(ValueError, match="bytes"):
        Block().append(b"short")


@given(st.lists(st.sampled_from(WORDED), max_size=60), st.sets(st.integers(0, 59)))
@settings(deadline=None)
def test_a_graph_finds_what_is_nearest_and_not_what_is_forgotten(texts: list[str], forgotten: set[int]) -> None:
    graph, asked = Graph(), Question("open an account")
    for number, text in enumerate(texts):
        assert graph.insert(Question(text).vector) == number
    forgotten = {number for number in forgotten if number < len(texts)}
    for number in forgotten:
        graph.forget(number)
    found = graph.nearest(asked.vector, 3, 128)
    exact = sorted((asked.similarity(Question(texts[n])) for n in set(range(len(texts))) - forgotten), reverse=True)
    assert [closeness for _, closeness in found] == pytest.approx(exact[:3], abs=1e-6)
    assert all(asked.similarity(Question(texts[n])) == pytest.approx(near, abs=1e-6) for n, near in found)
    assert len(graph) == len(texts)
    graph.clear()
    assert (len(graph), graph.nearest(asked.vector, 3, 128)) == (0, [])


def test_a_graph_refuses_what_it_has_not() -> None:
    with pytest.raises(IndexError):
        Graph().forget(0)
    with pytest.raises(ValueError, match="bytes"):
        Graph().insert(b"short")
    with pytest.raises(ValueError, match="bytes"):
        Graph().nearest(b"short", 1, 1)


def test_a_graph_is_searched_while_a_thread_changes_it() -> None:
    graph, asked = Graph(), Question("open an account").vector
    texts = [f"{one} {other} {number}" for number in range(20) for one in WORDED for other in WORDED]

    def put() -> None:
        for text in texts:
            graph.insert(Question(text).vector)
        for number in range(0, len(texts), 2):
            graph.forget(number)
        graph.clear()

    thread = threading.Thread(target=put)
    thread.start()
    searches = 0
    while thread.is_alive():
        found = graph.nearest(asked, 8, 128)
        assert found == sorted(found, key=lambda each: -each[1])
        searches += 1
    thread.join()
    assert searches > 100
