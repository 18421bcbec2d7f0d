"""Any answer of any dialect, well and spoilt: it is the same again, or it is not told at all."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.records import records
from tests.proxy.cache.forms.streams import DONE, OPERATIONS, chunk, framed, frames, relayed

from tollway.contract.snapshot import Operation
from tollway.proxy.cache import forms
from tollway.proxy.usage.used import Tokens

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
WORD = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=8)
OBJECT = st.dictionaries(
    WORD, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=3), max_size=3
)
USAGE = st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)})


def told(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


def maybe(needed: dict[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object in which each of ``fields`` may be missing."""
    return st.fixed_dictionaries({name: st.just(value) for name, value in needed.items()}, optional=fields)


HEAD = told(id=WORD, created=st.integers(1, 9), model=WORD)
CALL = told(id=WORD, type=st.just("function"), function=told(name=WORD, arguments=TEXT))
TOKENS = st.lists(told(token=TEXT, logprob=st.floats(-9, 0)), max_size=9)
MESSAGE = maybe(
    {"role": "assistant"},
    content=st.none() | TEXT,
    refusal=st.none() | TEXT,
    reasoning_content=TEXT,
    tool_calls=st.lists(CALL, max_size=3),
    function_call=told(name=WORD, arguments=TEXT),
    thinking_blocks=st.lists(told(type=st.just("thinking"), thinking=TEXT, signature=TEXT), max_size=2),
    annotations=st.lists(OBJECT, max_size=2),
    audio=st.none() | told(id=WORD, data=WORD),
    x_other=OBJECT,
)
CHOICE = told(message=MESSAGE, finish_reason=WORD, logprobs=st.none() | told(content=TOKENS, refusal=st.none()))
COMPLETION = told(text=TEXT, finish_reason=WORD, logprobs=st.none() | told(tokens=st.lists(TEXT, max_size=3)))


def placed(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"index": place, **choice} for place, choice in enumerate(choices)]


def answers(kind: str, choice: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    choices = st.lists(choice, min_size=1, max_size=3).map(placed)
    fields = told(object=st.just(kind), choices=choices, usage=USAGE)
    return st.tuples(HEAD, fields, OBJECT.map(lambda extra: {f"x_{name}": extra[name] for name in extra})).map(
        lambda parts: parts[0] | parts[1] | parts[2]
    )


BLOCK = st.one_of(
    maybe({"type": "text"}, citations=st.none() | st.lists(OBJECT, min_size=1, max_size=2)).flatmap(
        lambda block: TEXT.map(lambda text: block | {"text": text})
    ),
    told(type=st.just("thinking"), thinking=TEXT, signature=TEXT),
    told(type=st.just("redacted_thinking"), data=WORD),
    told(type=st.just("tool_use"), id=WORD, name=WORD, input=OBJECT),
)
PART = st.one_of(
    told(type=st.just("output_text"), text=TEXT, annotations=st.lists(OBJECT, max_size=2), logprobs=TOKENS),
    told(type=st.just("refusal"), refusal=TEXT),
)
ITEM = st.one_of(
    told(type=st.just("message"), id=WORD, status=st.just("completed"), content=st.lists(PART, max_size=3)),
    told(
        type=st.just("reasoning"), id=WORD, summary=st.lists(told(type=st.just("summary_text"), text=TEXT), max_size=2)
    ),
    told(type=st.just("function_call"), id=WORD, status=st.just("completed"), name=WORD, arguments=TEXT),
    told(type=st.just("web_search_call"), id=WORD, status=st.just("completed"), action=OBJECT),
)
ANSWERS: dict[Operation, st.SearchStrategy[Any]] = {
    "chat": answers("chat.completion", CHOICE),
    "completions": answers("text_completion", COMPLETION),
    "messages": told(
        id=WORD,
        type=st.just("message"),
        role=st.just("assistant"),
        model=WORD,
        content=st.lists(BLOCK, max_size=4),
        stop_reason=WORD,
        stop_sequence=st.none() | WORD,
        usage=told(input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9), service_tier=WORD),
    ),
    "responses": told(
        id=WORD,
        status=st.just("completed"),
        model=WORD,
        output=st.lists(ITEM, max_size=3),
        usage=st.none() | USAGE,
        metadata=OBJECT,
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@SLOW
@given(data=st.data())
def test_any_answer_is_the_same_after_it_was_a_stream(operation: Operation, data: st.DataObject) -> None:
    answer = data.draw(ANSWERS[operation])
    indent, is_paced = data.draw(st.sampled_from([None, 2])), data.draw(st.booleans())
    events = forms.events(operation, json.dumps(answer, indent=indent).encode(), is_paced=is_paced)
    again = forms.whole(operation, b"".join(events))
    assert again is not None
    assert json.loads(again) == answer


RECORDED: dict[Operation, list[bytes]] = {
    operation: [
        relayed(record)
        for provider in ("openai", "azure", "mistral", "vllm", "openrouter", "anthropic", "deepseek")
        for record in records(provider, operation, stream=True)[:4]
        if record.is_sse and "error_in_stream" not in record.tags and len(record.body) < 20_000
    ]
    for operation in OPERATIONS
}
MADE = b"".join([chunk({"role": "assistant", "content": "a"}), chunk({"content": "b"}), chunk(finish="stop"), DONE])
STREAMS = [(operation, events) for operation, streams in RECORDED.items() for events in streams] + [("chat", MADE)]


@SLOW
@given(st.sampled_from(STREAMS), st.floats(0, 1))
def test_a_stream_that_is_cut_is_never_told(stream: tuple[Operation, bytes], share: float) -> None:
    operation, events = stream
    cut = events[: int(share * (len(events) - 1))]
    if operation == "responses" and cut.endswith(b"\n\n") and b"event: response.completed" in cut:
        return  # only the [DONE] that OpenRouter adds was cut off
    assert forms.whole(operation, cut) is None


@SLOW
@given(st.sampled_from(STREAMS), st.randoms(use_true_random=False))
def test_a_stream_out_of_order_is_told_as_it_was_or_not_at_all(
    stream: tuple[Operation, bytes], chance: random.Random
) -> None:
    operation, events = stream
    shuffled = frames(events)
    chance.shuffle(shuffled)
    told_again = forms.whole(operation, b"".join(shuffled))
    if shuffled[-1] != frames(events)[-1]:
        assert told_again is None
    if operation in ("messages", "responses") and told_again is not None:
        assert sorted(shuffled[1:-1]) == sorted(frames(events)[1:-1])
    assert forms.whole(operation, b"".join(reversed(frames(events)))) is None


def spoil(value: Any, chance: random.Random) -> Any:
    """The value with a few of its fields null, of another type, or gone."""
    spoilt = chance.choice([None, 1, "x", [], {}, [None], {"a": None}, True, -1, 1.5])
    if isinstance(value, dict):
        if not value or chance.random() < 0.02:
            return spoilt
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            del value[name]
        else:
            value[name] = spoil(value[name], chance)
        return value
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        value[place] = spoil(value[place], chance)
        return value
    return spoilt


@SLOW
@given(st.sampled_from(STREAMS), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_spoilt_stream_is_told_as_json_or_not_at_all(
    stream: tuple[Operation, bytes], times: int, chance: random.Random
) -> None:
    operation, events = stream
    spoilt = frames(events)
    for _ in range(times):
        place = chance.randrange(len(spoilt))
        before, _, payload = spoilt[place].partition(b"data: ")
        if payload.strip() not in (b"", b"[DONE]"):
            event = spoil(json.loads(payload), chance)
            spoilt[place] = before + b"data: " + json.dumps(event).encode() + b"\n\n"
    told_again = forms.whole(operation, b"".join(spoilt), Tokens(3, 4))
    assert told_again is None or isinstance(json.loads(told_again), dict)


@pytest.mark.parametrize("operation", OPERATIONS)
@SLOW
@given(data=st.data())
def test_a_spoilt_answer_has_events_or_is_refused(operation: Operation, data: st.DataObject) -> None:
    answer = copy.deepcopy(data.draw(ANSWERS[operation]))
    chance = data.draw(st.randoms(use_true_random=False))
    for _ in range(data.draw(st.integers(1, 4))):
        answer = spoil(answer, chance)
    try:
        events = forms.events(operation, json.dumps(answer).encode())
    except ValueError:
        return
    assert all(event.endswith(b"\n\n") for event in events)
    assert events == frames(b"".join(events))


@pytest.mark.parametrize("operation", OPERATIONS)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_answer(operation: Operation, body: bytes) -> None:
    assert forms.whole(operation, body) is None
    with pytest.raises(ValueError):  # noqa: PT011 - the promise is the type
        forms.events(operation, body)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_nested_too_deeply_is_no_answer(operation: Operation) -> None:
    deep = b'{"choices":' * 50_000 + b"1" + b"}" * 50_000
    assert forms.whole(operation, b"data: " + deep + b"\n\n" + DONE) is None
    with pytest.raises(ValueError, match="deep"):
        forms.events(operation, deep)


def test_comments_and_other_line_ends_change_nothing() -> None:
    commented = MADE.replace(b"data: ", b": keep-alive\r\n\r\ndata: ").replace(b"\n\n", b"\r\n\r\n")
    assert forms.whole("chat", commented) == forms.whole("chat", MADE)


@pytest.mark.parametrize("operation", ["embeddings", "moderations", "rerank"])
def test_what_is_never_streamed_passes_as_it_is(operation: Operation) -> None:
    assert forms.whole(operation, b'{"data": []}') == b'{"data": []}'
    assert forms.events(operation, b'{"data": []}') == [b'{"data": []}']


COUNTED = Tokens(10, 5, cached=2, cache_write=3, cache_write_1h=1, reasoning=4)
UNCOUNTED: dict[Operation, list[Any]] = {
    "messages": [
        {"type": "message_start", "message": {"id": "m", "content": []}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.created"},
        {"type": "response.completed", "response": {"status": "completed", "output": [], "usage": None}},
    ],
}


def test_a_stream_that_did_not_tell_its_usage_is_given_it() -> None:
    chat = json.loads(forms.whole("chat", MADE, COUNTED) or b"{}")
    assert chat["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3, "cache_write_1h_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    messages, responses = (
        json.loads(forms.whole(operation, b"".join(map(framed, events)), COUNTED) or b"{}")
        for operation, events in UNCOUNTED.items()
    )
    assert messages["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert responses["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 15,
    }


def test_usage_that_is_not_known_is_left_out() -> None:
    assert "usage" not in json.loads(forms.whole("chat", MADE) or b"{}")


def test_usage_that_the_stream_told_holds() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    counted = MADE.removesuffix(DONE) + framed({"choices": [], "usage": usage}) + DONE
    assert json.loads(forms.whole("chat", counted, COUNTED) or b"{}")["usage"] == usage
