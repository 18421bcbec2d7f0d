"""Chat bodies as bytes: what is read is what json reads, and what is not touched stays byte for byte."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.screening import redacted, screened
from tests.native.twins import chat as twin

from tollway._native import chat, pii, tokens

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"
SCANNER = pii.Scanner(list(pii.ENTITIES))
CARD = 4111111111111111
USAGE = tuple(twin.usage({}))

SENSITIVE = st.sampled_from(["bob@example.org", "4111 1111 1111 1111", "call me at +1 415 555 0132"])
TEXT = st.text(max_size=12) | st.tuples(st.text(max_size=6), SENSITIVE, st.sampled_from(["", "\n", ' "x"', "\\"])).map(
    "".join
)
LEAF = (
    st.none() | st.booleans() | st.integers() | st.just(CARD) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
KEY = st.sampled_from(["content", "text", "name", "id", "role", "url", "image_url", "file_data"]) | st.text(max_size=4)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3) | inner.map(json.dumps),
    max_leaves=12,
)
MESSAGE = st.dictionaries(KEY, VALUE, max_size=4)
CALL = st.builds(
    lambda arguments, text: {
        "role": "assistant",
        "tool_calls": [{"id": text, "function": {"name": text, "arguments": arguments}}],
    },
    VALUE.map(json.dumps) | VALUE,
    TEXT,
)
STREAM_OPTIONS = st.fixed_dictionaries({}, optional={"include_usage": st.booleans(), "other": VALUE})
STREAMING = st.fixed_dictionaries({"stream": st.just(True)}, optional={"stream_options": st.none() | STREAM_OPTIONS})
PLAIN = st.fixed_dictionaries({}, optional={"stream": st.sampled_from([False, None])})
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=5).map("x_{}".format), VALUE, max_size=3)


@st.composite
def bodies(draw: st.DrawFn, messages: st.SearchStrategy[Any] = MESSAGE | CALL, model: str | None = None) -> bytes:
    """A valid request, its members in any order, in any of the spellings that JSON allows."""
    request: dict[str, Any] = {"model": model or draw(st.text(min_size=1, max_size=8))}
    request |= {"messages": draw(st.lists(messages, min_size=1, max_size=3))}
    request |= draw(STREAMING | PLAIN) | draw(UNKNOWN)
    members = draw(st.permutations(list(request.items())))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
    return json.dumps(dict(members), separators=separators, ensure_ascii=draw(st.booleans())).encode()


TOKENS = st.lists(st.integers(0, 200_000), min_size=1, max_size=4)
TEXTS = TEXT | st.lists(TEXT, min_size=1, max_size=4) | TOKENS | st.lists(TOKENS, min_size=1, max_size=3)


@given(st.sampled_from([("completions", "prompt"), ("embeddings", "input")]), TEXTS, st.booleans())
@settings(deadline=None)
def test_texts_of_any_form_are_read_screened_and_sent_as_they_are(
    way: tuple[str, str], texts: Any, ensure_ascii: bool
) -> None:
    operation, field = way
    body = json.dumps({field: texts, "model": "m", "other": [1, {"x": None}]}, ensure_ascii=ensure_ascii).encode()
    request = chat.read_request(body, operation)
    listed = texts if isinstance(texts, list) else [texts]
    spoken = [text for text in listed if isinstance(text, str)]
    numbers = sum(len(text) if isinstance(text, list) else isinstance(text, int) for text in listed)
    assert (request.operation, request.model, request.numbered) == (operation, "m", numbers)
    assert request.text_bytes == sum(len(text.encode()) for text in spoken)
    assert request.render("m", True) is body
    changed, _ = redacted(request)
    assert changed.operation == operation
    clean = json.loads(changed.body)[field]
    said = [text for text in (clean if isinstance(clean, list) else [clean]) if isinstance(text, str)]
    for before, after in zip(spoken, said, strict=True):
        assert twin.is_container(before) or after == SCANNER.redact(before)[0]


def test_an_operation_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="use chat, completions, embeddings, messages"):
        chat.read_request(b"{}", "batches")


@given(bodies())
@settings(deadline=None)
def test_the_fields_are_those_that_json_reads(body: bytes) -> None:
    request, expected = chat.read_request(body), json.loads(body)
    assert request.body is body
    assert (request.model, request.stream, request.n) == (expected["model"], bool(expected.get("stream")), 1)
    assert request.include_usage == bool((expected.get("stream_options") or {}).get("include_usage"))
    assert request.messages == len(expected["messages"])


@given(bodies(), st.text(max_size=8), st.booleans())
@settings(deadline=None)
def test_rendering_says_the_same_but_for_the_model_and_usage(body: bytes, model: str, ask_usage: bool) -> None:
    rendered = chat.read_request(body).render(model, ask_usage)
    assert json.loads(rendered) == twin.rendered(body, model, ask_usage)


@given(bodies(model="the client's alias"), st.text(max_size=8))
@settings(deadline=None)
def test_rendering_leaves_every_byte_around_the_model(body: bytes, model: str) -> None:
    before, _, after = body.partition(b'"the client\'s alias"')
    rendered = chat.read_request(body).render(model, False)
    assert rendered.startswith(before)
    assert rendered.endswith(after)
    assert json.loads(rendered[len(before) : len(rendered) - len(after)]) == model


def test_a_request_with_nothing_to_change_is_the_clients_own_bytes() -> None:
    body = b'{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}'
    request = chat.read_request(body)
    assert request.render("m", True) is body
    assert redacted(request) == (request, {})


@pytest.mark.parametrize("padding_bytes", [0, 16 * 1024], ids=["with the interpreter", "without"])
def test_a_body_of_any_size_is_read_redacted_and_rendered_alike(padding_bytes: int) -> None:
    padding = "x " * padding_bytes
    body = json.dumps({"model": "m", "messages": [{"content": padding + "bob@example.org"}]}).encode()
    request = chat.read_request(body)
    changed, counts = redacted(request)
    assert (changed.body, counts) == (body.replace(b"bob@example.org", b"[EMAIL]"), {"email": 1})
    assert redacted(changed) == (changed, {})
    assert changed.render("m", False) is changed.body
    assert changed.render("other", False) == changed.body.replace(b'"m"', b'"other"')
    with pytest.raises(chat.InvalidRequest):
        chat.read_request(body[:-1])
    with pytest.raises(ValueError, match="not a JSON object"):
        chat.read_answer(body[:-1])


@given(bodies(MESSAGE))
@settings(deadline=None)
def test_the_texts_are_those_a_model_reads(body: bytes) -> None:
    expected = sum(len(text.encode()) for text in twin.texts(json.loads(body)))
    assert chat.read_request(body).text_bytes == expected


@given(bodies())
@settings(deadline=None, max_examples=300)
def test_redaction_never_breaks_json(body: bytes) -> None:
    request = chat.read_request(body)
    changed, counts = redacted(request)
    assert counts == screened(request)
    before, after = json.loads(body), json.loads(changed.body)
    assert {key: value for key, value in after.items() if key != "messages"} == {
        key: value for key, value in before.items() if key != "messages"
    }
    for said, says in twin.pairs(before["messages"], after["messages"]):
        assert not twin.is_container(said) or twin.is_container(says)
    if not counts:
        assert changed is request


@given(bodies(st.fixed_dictionaries({"role": st.just("user"), "content": TEXT})))
@settings(deadline=None)
def test_plain_texts_are_redacted_as_the_scanner_redacts_them(body: bytes) -> None:
    changed, _ = redacted(chat.read_request(body))
    for said, says in zip(twin.texts(json.loads(body)), twin.texts(json.loads(changed.body)), strict=True):
        assert says == SCANNER.redact(said)[0] or twin.is_container(said)


@pytest.mark.parametrize(
    "spelt",
    [json.dumps, lambda value: json.dumps(json.dumps(value)), lambda value: json.dumps({"a": json.dumps(value)})],
)
def test_a_number_in_tool_arguments_becomes_a_quoted_placeholder(spelt: Any) -> None:
    call = '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":%s}}]}]}'
    value, clean = {"card": CARD, "mail": ["bob@example.org"]}, {"card": "[CREDIT_CARD]", "mail": ["[EMAIL]"]}
    changed, counts = redacted(chat.read_request((call % spelt(value)).encode()))
    assert json.loads(changed.body) == json.loads(call % spelt(clean))
    assert counts == {"credit_card": 1, "email": 1}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "bob@example.org"},
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "bob@example.org"}]},
        {"role": "system", "content": "bob@example.org"},
        {"role": "developer", "content": "bob@example.org"},
        {"role": "tool", "tool_call_id": "1", "content": "bob@example.org"},
        {"role": "tool", "tool_call_id": "1", "content": '{"from": "bob@example.org"}'},
        {"role": "user", "name": "bob@example.org", "content": ""},
        {"role": "assistant", "refusal": "bob@example.org"},
        {"role": "assistant", "reasoning_content": "bob@example.org"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": '"bob@example.org"'}},
        {"role": "assistant", "tool_calls": [{"custom": {"name": "f", "input": "bob@example.org"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"filename": "bob@example.org"}}]},
        {"role": "user", "content": [{"type": "yet_unknown", "blob": {"words": ["bob@example.org"]}}]},
    ],
)
def test_no_door_leads_around_the_scanner(message: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "messages": [message]}).encode()
    assert screened(chat.read_request(body)) == {"email": 1}
    escaped = body.replace(b"bob@", rb"bob\u0040") if rb"\"" not in body else body
    assert screened(chat.read_request(escaped)) == {"email": 1}


def test_media_and_tool_definitions_are_not_scanned() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,4111111111111111"}}
    request = {"model": "m", "messages": [{"role": "user", "content": [image]}], "user": "bob@example.org"}
    request["tools"] = [{"type": "function", "function": {"name": "f", "description": "bob@example.org"}}]
    assert screened(chat.read_request(json.dumps(request).encode())) == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"\xff", None),
        (b"[]", None),
        (b'{"model": NaN}', None),
        (b'{"model":"m","messages":[{}]}}', None),
        (b"[" * 1_000_000, None),
        (b'{"messages":[{}]}', "model"),
        (b'{"model":5,"messages":[{}]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":["x"]}', "messages[0]"),
        (b'{"model":"m","messages":[{}],"n":0}', "n"),
        (b'{"model":"m","messages":[{}],"stream":"yes"}', "stream"),
        (b'{"model":"m","messages":[{}],"max_tokens":-5}', "max_tokens"),
        (b'{"model":"m","messages":[{}],"stream_options":{}}', "stream_options"),
        (b'{"model":"m","messages":[{}],"model":"x"}', "model"),
    ],
)
def test_an_invalid_request_names_its_parameter(body: bytes, param: str | None) -> None:
    with pytest.raises(chat.InvalidRequest) as refused:
        chat.read_request(body)
    assert refused.value.param == param
    assert isinstance(refused.value, ValueError)


def test_a_refusal_quotes_nothing_of_the_body() -> None:
    for body in (b'{"model":"m","messages":"sk-secret"}', b'{"model":"sk-secret', b'"sk-secret"', b'{"sk-secret"}'):
        with pytest.raises(chat.InvalidRequest) as refused:
            chat.read_request(body)
        assert "sk-secret" not in str(refused.value)


@given(bodies())
@settings(deadline=None)
def test_the_bound_on_a_prompt_is_never_below_its_count(body: bytes) -> None:
    request = chat.read_request(body)
    for encoding in ("cl100k_base", "o200k_base"):
        assert request.prompt_upper_bound() >= request.count_prompt(encoding)


def test_an_unknown_encoding_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="o200k_base"):
        chat.read_request(b'{"model":"m","messages":[{}]}').count_prompt("p50k_base")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices":', b"\xff"])
def test_an_answer_that_is_no_json_object_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        chat.read_answer(body)


def records(*, stream: bool) -> Iterator[dict[str, Any]]:
    if not RECORDS.is_dir():
        pytest.skip("the recorded provider traffic is not there")
    for file in sorted(RECORDS.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record["operation"] == "chat" and record["stream"] == stream:
                yield record


def test_recorded_answers_are_read_as_json_reads_them() -> None:
    read = 0
    for record in records(stream=False):
        body = record["response"]["body"]
        try:
            expected = json.loads(body)
        except ValueError:
            with pytest.raises(ValueError, match="not a JSON object"):
                chat.read_answer(body.encode())
            continue
        answer = chat.read_answer(body.encode())
        choices = expected.get("choices") or []
        assert {name: getattr(answer.usage, name) for name in USAGE} == twin.usage(expected), record["id"]
        assert answer.choices == len(choices), record["id"]
        assert answer.finish_reasons == [c["finish_reason"] for c in choices if c.get("finish_reason")], record["id"]
        assert answer.error == (bool(expected.get("error")) or expected.get("object") == "error"), record["id"]
        read += 1
    assert read > 900


def plain_records_of_openai() -> Iterator[tuple[chat.ChatRequest, chat.ChatAnswer]]:
    """Nothing but text on either side, so that OpenAI's count can be compared."""
    special = {"tools", "tool_result", "structured", "vision", "audio", "document", "function_call", "reasoning_tokens"}
    for record in records(stream=False):
        request, response = record["request"]["json"], record["response"]
        if record["provider"] != "openai" or response["status"] != 200 or special & {*record["tags"], *request}:
            continue
        if (
            "response_format" not in request
            and "search" not in request["model"]
            and "MASSIVE" not in json.dumps(request)
        ):
            yield chat.read_request(json.dumps(request).encode()), chat.read_answer(response["body"].encode())


def test_recorded_prompts_are_counted_as_openai_counted_them() -> None:
    off = []
    for request, answer in plain_records_of_openai():
        counted = request.count_prompt(tokens.encoding_of(answer.model or ""))
        assert request.prompt_upper_bound() >= (answer.usage.prompt_tokens or 0)
        off.append(abs(counted - (answer.usage.prompt_tokens or 0)))
    assert len(off) > 100
    assert sorted(off)[len(off) * 9 // 10] <= 1


def test_recorded_answers_are_counted_as_openai_counted_them() -> None:
    off = []
    for _, answer in plain_records_of_openai():
        counted = answer.count_completion(tokens.encoding_of(answer.model or ""))
        off.append(abs(counted - (answer.usage.completion_tokens or 0)))
    assert len(off) > 100
    assert sorted(off)[len(off) * 9 // 10] <= 3


def test_recorded_requests_are_read_and_rendered() -> None:
    for stream in (False, True):
        for record in records(stream=stream):
            if not record["request"].get("json"):
                continue
            body = json.dumps(record["request"]["json"]).encode()
            rendered = chat.read_request(body).render("another", True)
            assert json.loads(rendered) == twin.rendered(body, "another", True), record["id"]
