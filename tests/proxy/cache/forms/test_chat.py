"""Streams of chat as whole answers: nothing is lost, and what can't be told for sure is not guessed."""

import json
from typing import Any

import pytest
from tests.proxy.cache.forms.streams import DONE, chunk, framed

from tollway.proxy.cache import forms


def whole(*events: bytes) -> Any:
    """The answer; the end is added."""
    answer = forms.whole("chat", b"".join(events) + DONE)
    return None if answer is None else json.loads(answer)


def choice(*events: bytes) -> Any:
    answer = whole(*events)
    assert answer is not None
    return answer["choices"][0]


def message(*deltas: dict[str, Any], finish: str = "stop") -> Any:
    """The message that these pieces are."""
    said = choice(*map(chunk, deltas), chunk(finish=finish))
    assert said["finish_reason"] == finish
    return said["message"]


def call(index: int | None, arguments: str | None, identity: str | None = None, name: str | None = None) -> Any:
    told = {"index": index, "id": identity, "type": "function" if identity else None}
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{**told, "function": function}]}


def test_an_answer_has_all_that_its_chunks_have_told() -> None:
    told = {"id": "c-1", "created": 7, "model": "m", "object": "chat.completion.chunk", "service_tier": "flex"}
    said = {"index": 0, "delta": {"role": "assistant", "content": "Hi", "refusal": None}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 17}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "cost": 0.25}
    answer = whole(
        framed({**told, "system_fingerprint": "fp", "choices": [said], "obfuscation": "ab"}),
        framed({**told, "choices": [end], "citations": ["https://host"], "obfuscation": "cde"}),
        framed({**told, "choices": [], "usage": usage}),
    )
    assert answer == {
        "id": "c-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "stop_reason": 17,
                "finish_reason": "stop",
            }
        ],
        "usage": usage,
        "service_tier": "flex",
        "system_fingerprint": "fp",
        "citations": ["https://host"],
    }


def test_texts_are_joined_each_under_its_name() -> None:
    deltas = [{"content": "a", "reasoning_content": "x"}, {"refusal": "no"}, {"content": "b", "reasoning_content": "y"}]
    assert message({"role": "assistant", "content": None}, *deltas) == {
        "role": "assistant",
        "content": "ab",
        "reasoning_content": "xy",
        "refusal": "no",
    }


def test_an_empty_reason_is_no_end() -> None:
    assert choice(chunk({"content": "a"}, ""), chunk({"content": "b"}, ""), END)["message"]["content"] == "ab"


def test_a_role_that_is_never_told_is_the_assistants() -> None:
    assert message({"content": "a"})["role"] == "assistant"


def test_calls_that_come_in_pieces_and_side_by_side_are_put_together() -> None:
    said = message(
        {"role": "assistant", "content": None},
        call(0, "", "call_1", "look"),
        call(0, '{"at'),
        call(1, None, "call_2", "go"),
        call(0, '": 1}'),
        call(1, "{}"),
        finish="tool_calls",
    )
    assert said["content"] is None
    assert said["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
    ]


def test_what_a_vendor_wants_back_is_kept_with_call_and_message() -> None:
    signed = {"google": {"thought_signature": "AA=="}}
    first = call(0, "{}", "call_1", "look")
    first["tool_calls"][0]["extra_content"] = signed
    block = {"type": "thinking", "thinking": "hm", "signature": "s1"}
    said = message(
        {"thinking_blocks": [block], "extra_content": {"google": {"parts": [{"a": 1}], "thought_signature": "BB=="}}},
        {"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]},
        {"extra_content": {"google": {"parts": [{"b": 2}], "thought_signature": "CC=="}}},
        first,
    )
    assert said["thinking_blocks"] == [block, {"type": "redacted_thinking", "data": "x"}]
    assert said["extra_content"] == {"google": {"parts": [{"a": 1}, {"b": 2}], "thought_signature": "CC=="}}
    assert said["tool_calls"][0]["extra_content"] == signed


def test_a_custom_tools_input_is_joined() -> None:
    piece = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "run", "input": "a"}}
    said = message({"tool_calls": [piece]}, {"tool_calls": [{"index": 0, "custom": {"input": "b"}}]})
    assert said["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "run", "input": "ab"}}]


def test_the_call_of_an_old_model_is_joined() -> None:
    said = message(
        {"function_call": {"name": "look", "arguments": ""}}, {"function_call": {"arguments": "{}"}}, finish="stop"
    )
    assert said["function_call"] == {"name": "look", "arguments": "{}"}


def test_log_probabilities_follow_one_another() -> None:
    told = [{"content": [{"token": "a", "logprob": -0.5}], "refusal": None}, None, {"content": [{"token": "b"}]}]
    pieces = [chunk({"content": "a"}, logprobs=each) for each in told]
    said = choice(*pieces, chunk(finish="stop", logprobs=None))
    assert said["logprobs"] == {"content": [{"token": "a", "logprob": -0.5}, {"token": "b"}], "refusal": None}


def test_choices_that_come_in_turns_are_told_apart() -> None:
    answer = whole(
        chunk({"content": "b"}, index=1),
        chunk({"content": "a"}, index=0),
        chunk({"content": "d"}, "length", index=1),
        chunk({"content": "c"}, "stop", index=0),
    )
    assert [(each["index"], each["message"]["content"], each["finish_reason"]) for each in answer["choices"]] == [
        (0, "ac", "stop"),
        (1, "bd", "length"),
    ]


def test_azures_first_chunk_names_nothing() -> None:
    first = framed({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [1]})
    filtered = chunk({"content": "a"}, content_filter_results={"hate": {"filtered": False}})
    end = chunk(finish="stop", content_filter_results={}, content_filter_offsets={"start_offset": 4})
    answer = whole(first, filtered, end)
    assert (answer["id"], answer["created"], answer["model"]) == ("c-1", 7, "m")
    assert answer["prompt_filter_results"] == [1]
    assert answer["choices"][0]["content_filter_results"] == {"hate": {"filtered": False}}
    assert "content_filter_offsets" not in answer["choices"][0]


def test_together_tells_each_piece_twice_and_its_number() -> None:
    pieces = [chunk({"token_id": place, "content": text}, text=text) for place, text in enumerate("ab")]
    said = choice(*pieces, chunk({"token_id": 2}, "stop", text="", seed=7))
    assert said == {"index": 0, "message": {"role": "assistant", "content": "ab"}, "seed": 7, "finish_reason": "stop"}


def test_mistrals_thoughts_stand_in_a_list_before_the_text() -> None:
    def thought(text: str) -> Any:
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}

    said = message({"content": ""}, thought("a"), thought("b"), {"content": "c"}, {"content": "d"})
    assert said["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "ab"}]},
        {"type": "text", "text": "cd"},
    ]


def test_openrouters_details_are_joined_by_place_and_type() -> None:
    def detail(kind: str, **more: Any) -> Any:
        return {"reasoning_details": [{"type": f"reasoning.{kind}", "index": 0, "format": "f", **more}]}

    said = message(
        detail("text", text="a"), detail("text", text="b"), detail("text", signature="s"), detail("encrypted", data="x")
    )
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "format": "f", "text": "ab", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 0, "format": "f", "data": "x"},
    ]


def test_each_source_is_kept() -> None:
    assert message({"annotations": [{"a": 1}]}, {"annotations": [{"a": 1}, {"b": 2}]})["annotations"] == [
        {"a": 1},
        {"a": 1},
        {"b": 2},
    ]


def test_the_last_word_on_usage_holds() -> None:
    first, last = {"prompt_tokens": 1, "completion_tokens": 1}, {"prompt_tokens": 1, "completion_tokens": 2}
    pieces = [{"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}], "usage": first}]
    assert whole(*map(framed, pieces), framed({"choices": [], "usage": last}))["usage"] == last


END = chunk(finish="stop")


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([chunk({"content": "a"})], id="no finish reason"),
        pytest.param([chunk({"content": "a"}, finish="")], id="an empty finish reason"),
        pytest.param([END, chunk({"content": "a"})], id="text behind the end"),
        pytest.param([END, chunk(call(0, "{}", "c", "look"))], id="a call behind the end"),
        pytest.param([END, chunk(finish="length")], id="two ends"),
        pytest.param([chunk({"content": "a"}), framed({"error": {"message": "x"}}), END], id="an error"),
        pytest.param([chunk({"content": 1}), END], id="a text that is a number"),
        pytest.param([chunk({"role": "assistant"}), chunk({"role": "user"}), END], id="two roles"),
        pytest.param([framed([1]), END], id="a chunk that is a list"),
        pytest.param([b"data: {\n\n", END], id="a chunk that is no JSON"),
        pytest.param([DONE, END], id="an end in the middle"),
        pytest.param([framed({"id": "x"}), END], id="no choices"),
        pytest.param([framed({"id": "c-2", "choices": []}), END], id="two ids"),
        pytest.param([framed({"choices": [], "usage": {"prompt_tokens": 1}}), END], id="usage before the text"),
        pytest.param([chunk(finish="stop", index=1)], id="a choice is missing"),
        pytest.param([chunk(finish="stop", index=-1)], id="a choice before the first"),
        pytest.param([chunk(finish="stop", index=True)], id="a place that is none"),
        pytest.param([chunk(finish="stop", message={"content": "a"})], id="a message and a delta"),
        pytest.param([chunk(call(1, "{}", "c", "look")), END], id="a call is missing"),
        pytest.param([chunk(call(None, "{}", "c", "look")), END], id="a call without a place"),
        pytest.param([chunk(call(0, "{}", "c")), END], id="a call without a name"),
        pytest.param(
            [chunk(call(0, "", "c", "look")), chunk(call(0, "", "d")), chunk(finish="stop")], id="a call with two ids"
        ),
        pytest.param([chunk(call(0, "", "c", "lo")), chunk(call(0, "", None, "ok")), END], id="a name in pieces"),
        pytest.param([chunk({"images": [{"a": 1}]}), chunk({"images": [{"b": 2}]}), END], id="a list that may grow"),
        pytest.param([chunk({"audio": {"data": "AA"}}), chunk({"audio": {"data": "BB"}}), END], id="sound in pieces"),
        pytest.param([chunk({"content": [{"type": "image"}]}), END], id="a part that is not known"),
        pytest.param([chunk(finish="stop", logprobs=[1])], id="log probabilities that are a list"),
    ],
)
def test_what_can_not_be_told_for_sure_is_not_told(events: list[bytes]) -> None:
    assert whole(*events) is None


def test_calls_and_choices_are_bounded() -> None:
    calls = [{"tool_calls": [{"index": place, "function": {"name": "f", "arguments": "{}"}}]} for place in range(1025)]
    assert len(message(*calls[:1024])["tool_calls"]) == 1024
    assert whole(*map(chunk, calls), END) is None
    assert whole(*(chunk({"content": "a"}, "stop", index=place) for place in range(129))) is None


def test_a_stream_without_its_last_event_is_not_whole() -> None:
    assert forms.whole("chat", chunk({"content": "a"}, "stop")) is None
    assert forms.whole("chat", chunk({"content": "a"}, "stop") + DONE[:-1]) is None
