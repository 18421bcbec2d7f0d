"""Presidio's analyzer: what it is asked, and where in which text its findings are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.guardrails.external.asked import Scripted

from tollway.contract.guardrails import Action
from tollway.proxy.guardrails.external.asking import Unanswered
from tollway.proxy.guardrails.external.presidio import Presidio
from tollway.proxy.outside import Edit, Judgement, Remark

ACTIONS: dict[str, Action] = {"PERSON": "redact", "LOCATION": "flag", "NRP": "block", "DATE_TIME": "allow"}


def found(kind: str, start: int, end: int, score: float = 0.85) -> dict[str, object]:
    return {"entity_type": kind, "start": start, "end": end, "score": score, "analysis_explanation": None}


async def judged(texts: list[str], said: object, status: int = 200) -> Judgement:
    presidio = Presidio("http://presidio:3000/", ACTIONS, Scripted(said, status=status), language="de", threshold=0.4)
    return await presidio.ask(texts, "input", "acme")


async def test_all_texts_are_asked_about_at_once() -> None:
    asker = Scripted([])
    presidio = Presidio("http://presidio:3000/", ACTIONS, asker, language="de", threshold=0.4)
    assert await presidio.ask(["Bob here.", "Ann there."], "input", "acme") == Judgement()
    [(url, _, body)] = asker.asked
    assert url == "http://presidio:3000/analyze"
    assert json.loads(body) == {
        "text": "Bob here.\n\nAnn there.",
        "language": "de",
        "score_threshold": 0.4,
        "entities": ["DATE_TIME", "LOCATION", "NRP", "PERSON"],
    }


async def test_findings_are_placed_in_their_texts() -> None:
    texts = ["Bob here.", "", "🙂 Ann in Rome."]
    joined = "\n\n".join(texts)
    said = [found("PERSON", joined.index(name), joined.index(name) + len(name)) for name in ("Ann", "Bob")]
    said.append(found("LOCATION", joined.index("Rome"), joined.index("Rome") + 4))
    assert await judged(texts, said) == Judgement(
        edits=(
            Edit(2, 2, 5, "person", "redact"),
            Edit(0, 0, 3, "person", "redact"),
            Edit(2, 9, 13, "location", "flag"),
        )
    )


async def test_a_finding_over_several_texts_is_cut_at_their_ends() -> None:
    assert await judged(["Ann", "and", "Bob"], [found("PERSON", 1, 12)]) == Judgement(
        edits=(
            Edit(0, 1, 3, "person", "redact"),
            Edit(1, 0, 3, "person", "redact"),
            Edit(2, 0, 2, "person", "redact"),
        )
    )
    assert await judged(["Ann", "and"], [found("PERSON", 3, 5)]) == Judgement()


async def test_what_blocks_is_a_remark_and_what_is_allowed_or_weak_nothing() -> None:
    said = [found("NRP", 0, 3), found("DATE_TIME", 0, 3), found("PERSON", 0, 3, 0.3), found("UNASKED", 0, 3)]
    assert await judged(["Ann"], said) == Judgement(remarks=(Remark("nrp", "block"),))


@pytest.mark.parametrize(
    "said",
    [
        {"error": "No text provided"},
        b"null",
        [[found("PERSON", 0, 1)]],
        [found("PERSON", 0, 99)],
        [found("PERSON", -1, 2)],
        [found("PERSON", 2, 2)],
        [{"entity_type": "PERSON", "start": "0", "end": 1}],
    ],
)
async def test_what_is_no_list_of_findings_is_no_answer(said: object) -> None:
    with pytest.raises(Unanswered):
        await judged(["Bob here."], said)


async def test_its_error_is_no_answer() -> None:
    with pytest.raises(Unanswered, match=r"^status 500$"):
        await judged(["Bob"], {"error": "Bob"}, status=500)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.integers(0, 50), st.integers(1, 30))
async def test_whatever_is_found_lies_in_the_texts_and_none_of_it_is_lost(
    texts: list[str], start: int, length: int
) -> None:
    joined = "\n\n".join(texts)
    if start + length > len(joined):
        return
    judgement = await judged(texts, [found("PERSON", start, start + length)])
    marked = [list(text) for text in texts]
    for edit in judgement.edits:
        assert 0 <= edit.start < edit.end <= len(texts[edit.text])
        for at in range(edit.start, edit.end):
            marked[edit.text][at] = "\0"
    expected = [
        "\0" if start <= at < start + length and not between else letter
        for at, (letter, between) in enumerate(_letters(texts))
    ]
    assert "\n\n".join("".join(text) for text in marked) == "".join(expected)


def _letters(texts: list[str]) -> list[tuple[str, bool]]:
    letters: list[tuple[str, bool]] = []
    for index, text in enumerate(texts):
        letters += [("\n", True)] * 2 if index else []
        letters += [(letter, False) for letter in text]
    return letters
