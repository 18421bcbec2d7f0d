"""Scripts as the drills spell them in a model's name."""

import json

import pytest
from benches.drills.upstream import WORD, script_of
from tests.fakes.records import payloads
from tests.fakes.scripts import Script

from tollway._native import tokens


def said(script: Script) -> str:
    return b"".join(step[1] for step in script.steps if step[0] == "send").decode()


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
def test_a_word_is_a_token_alone_and_in_a_row(encoding: str) -> None:
    assert [tokens.count(encoding, WORD * count) for count in (1, 2, 50)] == [1, 2, 50]


def test_an_answer_has_as_many_words_and_tells_as_many_tokens_as_it_is_named_for() -> None:
    whole = json.loads(said(script_of("answer?words=4&in=7&out=9", streamed=False)))
    assert whole["choices"][0]["message"]["content"] == WORD * 4
    assert (whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]) == (7, 9)
    streamed = payloads(said(script_of("answer?words=4&in=7&out=9", streamed=True)))
    texts = [choice["delta"].get("content") for chunk in streamed for choice in chunk["choices"]]
    assert texts.count(WORD) == 4
    assert streamed[-1]["usage"]["completion_tokens"] == 9


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_may_tell_nothing_of_its_tokens(streamed: bool) -> None:
    assert "usage" not in said(script_of("answer?told=0", streamed=streamed))


@pytest.mark.parametrize(("then", "last"), [("cut", "fin"), ("reset", "rst"), ("hang", "hang"), ("error", "send")])
def test_a_stream_may_end_badly_after_its_words(then: str, last: str) -> None:
    script = script_of(f"answer?words=2&then={then}", streamed=True)
    assert script.steps[-1][0] == last
    assert said(script).count(WORD) == 2
    assert "[DONE]" not in said(script)
    assert '"stop"' not in said(script)


def test_times_are_seconds() -> None:
    script = script_of("answer?words=2&gap=0.25&delay=1.5", streamed=True)
    assert script.delay_s == 1.5
    assert ("sleep", 0.25) in script.steps


def test_a_status_is_told_with_no_answer() -> None:
    script = script_of("answer?status=502", streamed=True)
    assert (script.status, "error" in json.loads(said(script))) == (502, True)


@pytest.mark.parametrize("name", ["gpt-4o", "answer?words=many", "answer?words", "answer?then=never", "answer?word=1"])
def test_a_name_that_is_no_script_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"script|float|field"):
        script_of(name, streamed=True)
