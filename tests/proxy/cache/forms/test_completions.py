"""Completions, the older form of chat: streams as whole answers, and the other way."""

import json
from typing import Any

import pytest
from tests.proxy.cache.forms.streams import DONE, Reading, framed, told

from tollway.proxy.cache import forms

LOGPROBS = {"tokens": ["a", " b"], "token_logprobs": [-1.0, -2.5], "top_logprobs": None, "text_offset": [0, 1]}


def chunk(text: str | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"text": text, "index": index, "finish_reason": finish, **more}
    return framed({"id": "c-1", "object": "text_completion", "created": 7, "model": "m", "choices": [choice]})


def whole(*events: bytes) -> Any:
    answer = forms.whole("completions", b"".join(events) + DONE)
    return None if answer is None else json.loads(answer)


def answer(text: str, **more: Any) -> Any:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return {"id": "c-1", "object": "text_completion", "created": 7, "model": "m", "choices": [choice], "usage": usage}


def test_texts_are_joined_for_each_choice() -> None:
    said = whole(chunk("a"), chunk("x", index=1), chunk("b", "stop"), chunk("y", "length", index=1))
    assert said["object"] == "text_completion"
    assert said["choices"] == [
        {"text": "ab", "index": 0, "finish_reason": "stop"},
        {"text": "xy", "index": 1, "finish_reason": "length"},
    ]


def test_log_probabilities_follow_one_another() -> None:
    first = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": None, "text_offset": [0]}
    then = {"tokens": [" b"], "token_logprobs": [-2.5], "top_logprobs": None, "text_offset": [1]}
    said = whole(chunk("a", logprobs=first), chunk(" b", logprobs=then), chunk("", "stop", logprobs=None))
    assert said["choices"][0]["logprobs"] == LOGPROBS


def test_together_tells_each_piece_twice() -> None:
    pieces = [chunk(text, delta={"token_id": place, "content": text}) for place, text in enumerate("ab")]
    assert whole(*pieces, chunk("", "stop"))["choices"] == [{"text": "ab", "index": 0, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [chunk("a")],
        [chunk("", "stop"), chunk("a")],
        [chunk("", "stop"), chunk("", "length")],
        [chunk("a", "stop", index=1)],
        [framed({"choices": None})],
        [chunk("a"), framed({"error": {}}), chunk("", "stop")],
        [framed({"choices": [{"index": 0, "text": 1, "finish_reason": "stop"}]})],
    ],
)
def test_what_can_not_be_told_for_sure_is_not_told(events: list[bytes]) -> None:
    assert whole(*events) is None


def test_a_long_text_comes_in_pieces_and_is_the_same_again() -> None:
    given = answer("word " * 100)
    events = b"".join(forms.events("completions", json.dumps(given).encode()))
    pieces = [event["choices"][0]["text"] for event in told(events) if event["choices"]]
    assert len(pieces) > 5
    assert "".join(pieces) == "word " * 100
    assert json.loads(forms.whole("completions", events) or b"null") == given


def test_a_text_with_log_probabilities_is_one_piece_with_them() -> None:
    given = answer("a b", logprobs=LOGPROBS)
    events = b"".join(forms.events("completions", json.dumps(given).encode()))
    assert [event["choices"][0]["logprobs"] for event in told(events) if event["choices"]] == [LOGPROBS]
    assert json.loads(forms.whole("completions", events) or b"null") == given


def test_openais_sdk_reads_the_stream(sdk: Reading) -> None:
    events = b"".join(forms.events("completions", json.dumps(answer("word " * 100)).encode()))
    client = sdk.given(events, stream=True).openai
    chunks = list(client.completions.create(model="m", prompt="p", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "word " * 100
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 4


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"choices": [{"text": null}]}', b'{"choices": [{}]}'])
def test_what_is_no_answer_has_no_events(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        forms.events("completions", body)
