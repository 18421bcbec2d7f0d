"""Whole answers of chat as streams: in the pieces that a client's code expects."""

import json
from typing import Any

import pytest
from tests.proxy.cache.forms.streams import DONE, told

from tollway.proxy.cache import forms

TEXT = "Grüße aus dem Süden, 👩‍👩‍👧 und ein langes Wort ohne Ende: " + "é" * 200

CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": "x" * 200})}},
    {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "echo 1"}},
]


def answer(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return {"id": "c-1", "object": "chat.completion", "created": 7, "model": "m", "choices": [choice], "usage": usage}


def events(given: Any, *, is_paced: bool = False) -> list[bytes]:
    return forms.events("chat", json.dumps(given, indent=2).encode(), is_paced=is_paced)


def choices(given: Any) -> list[Any]:
    """The first choice of each chunk that has one."""
    return [event["choices"][0] for event in told(b"".join(events(given))) if event["choices"]]


def deltas(given: Any) -> list[Any]:
    return [choice["delta"] for choice in choices(given)]


def test_each_chunk_is_one_event_that_names_the_answer() -> None:
    said = events(answer({"content": TEXT}))
    assert said[-1] == DONE
    for event in said[:-1]:
        assert event.startswith(b"data: {")
        assert event.endswith(b"}\n\n")
        assert event.count(b"\n") == 2
        chunk = json.loads(event.removeprefix(b"data: "))
        assert (chunk["id"], chunk["object"], chunk["created"]) == ("c-1", "chat.completion.chunk", 7)


def test_a_long_text_comes_in_pieces_of_whole_characters() -> None:
    role, *pieces, end = deltas(answer({"content": TEXT}))
    assert role == {"role": "assistant", "content": ""}
    assert all(piece.keys() == {"content"} for piece in pieces)
    assert "".join(piece["content"] for piece in pieces) == TEXT
    assert len(pieces) > 3
    assert end == {}


def test_the_reason_comes_at_the_end_with_what_else_a_choice_has() -> None:
    *pieces, end = choices(answer({"content": "Hi"}, stop_reason=17, logprobs=None))
    assert [choice["finish_reason"] for choice in pieces] == [None, None]
    assert all(choice["logprobs"] is None for choice in pieces)
    assert end == {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 17, "logprobs": None}


def test_the_usage_is_the_last_chunk_and_has_no_choices() -> None:
    given = answer({"content": "Hi"})
    *others, last = told(b"".join(events(given)))
    assert (last["choices"], last["usage"]) == ([], given["usage"])
    assert not any("usage" in chunk for chunk in others)


def test_an_answer_without_usage_has_no_chunk_of_it() -> None:
    given = answer({"content": "Hi"})
    del given["usage"]
    assert all(chunk["choices"] for chunk in told(b"".join(events(given))))


def test_a_call_is_named_at_first_and_then_says_its_arguments() -> None:
    pieces = [delta["tool_calls"][0] for delta in deltas(answer({"content": None, "tool_calls": CALLS}))[1:-1]]
    named = [piece for piece in pieces if "id" in piece]
    assert named == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "run", "input": ""}},
    ]
    said = [piece for piece in pieces if "id" not in piece]
    arguments = [piece["function"] for piece in said if piece["index"] == 0]
    assert len(arguments) > 2
    assert all(piece.keys() == {"arguments"} for piece in arguments)
    assert "".join(piece["arguments"] for piece in arguments) == CALLS[0]["function"]["arguments"]  # type: ignore[index]
    assert said[-1] == {"index": 1, "custom": {"input": "echo 1"}}


def test_thoughts_come_before_the_text_and_their_signatures_between_them() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = deltas(answer({"content": "Hi", "thinking_blocks": [block], "reasoning_content": "hm", "annotations": [{}]}))
    assert [*map(list, said)] == [
        ["role", "content"],
        ["reasoning_content"],
        ["thinking_blocks"],
        ["content"],
        ["annotations"],
        [],
    ]


def test_log_probabilities_come_with_their_tokens() -> None:
    tokens: list[dict[str, Any]] = [
        {"token": token, "logprob": -1.5, "bytes": None, "top_logprobs": []} for token in TEXT.split(" ")
    ]
    for token in tokens[1:]:
        token["token"] = f" {token['token']}"
    said = choices(answer({"content": TEXT}, logprobs={"content": tokens, "refusal": None}))
    with_tokens = [choice for choice in said if choice["logprobs"]]
    assert len(with_tokens) > 1
    for choice in with_tokens:
        assert "".join(token["token"] for token in choice["logprobs"]["content"]) == choice["delta"]["content"]
    assert [token for choice in with_tokens for token in choice["logprobs"]["content"]] == tokens


def test_log_probabilities_of_parts_of_characters_come_at_the_end() -> None:
    logprobs = {"content": [{"token": "\\xf0\\x9f", "logprob": -1.5}], "refusal": None}
    *pieces, end = choices(answer({"content": "👋"}, logprobs=logprobs))
    assert [choice["logprobs"] for choice in pieces] == [None, None]
    assert end["logprobs"] == logprobs


def test_what_has_no_pieces_is_told_once() -> None:
    given = answer({"content": "Hi"}) | {"citations": ["https://host"], "prompt": []}
    first, *others = told(b"".join(events(given)))
    assert (first["citations"], first["prompt"]) == (["https://host"], [])
    assert not any("citations" in chunk for chunk in others)


def test_a_paced_stream_has_smaller_pieces() -> None:
    given = answer({"content": "one two three four five six seven eight nine ten " * 8})
    assert len(events(given, is_paced=True)) > 3 * len(events(given))


def test_a_very_long_text_has_a_bounded_number_of_pieces() -> None:
    assert len(events(answer({"content": "word " * 200_000}))) < 1_100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"tool_calls": [1]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": 1}]}}]}',
        b'{"choices": [{"message": {"function_call": {"arguments": 1}}}]}',
        b'{"error": {"message": "x"}}',
        b'{"choices": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_has_no_events(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        forms.events("chat", body)
