"""Hostile answers and odd requests: whatever comes, it is read or refused, and nothing else happens."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.google_schema import check_request

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.request import translate
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import DONE
from tollway.wire.tool_names import GOOGLE, fit_chat

RICH: dict[str, Any] = {
    "candidates": [
        {
            "index": 0,
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True},
                    {"text": "Größe", "thoughtSignature": "c2ln"},
                    {
                        "functionCall": {"name": "f", "args": {"a": [1, {"b": None}]}, "id": "1"},
                        "thoughtSignature": "c2",
                    },
                    {"inlineData": {"mimeType": "image/png", "data": "YQ=="}},
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                ],
            },
            "finishReason": "STOP",
            "groundingMetadata": {
                "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
                "groundingSupports": [
                    {"segment": {"startIndex": 0, "endIndex": 3, "text": "Gr"}, "groundingChunkIndices": [0]}
                ],
            },
            "citationMetadata": {"citationSources": [{"startIndex": 1, "endIndex": 2, "uri": "https://b.example"}]},
            "logprobsResult": {
                "chosenCandidates": [{"token": "a", "logProbability": -1.5}],
                "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2.5}]}],
            },
        }
    ],
    "promptFeedback": {"blockReason": "OTHER"},
    "usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
    "modelVersion": "gemini-x",
    "responseId": "r",
    "createTime": "2026-05-27T16:53:45.443719Z",
}
ASKED: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ],
            "extra_content": {"google": {"parts": [{"executableCode": {}}], "thought_signature": "c2ln"}},
        },
        {"role": "tool", "tool_call_id": "1", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}, {"google_search": {}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#/$defs/a", "$defs": {"a": {}}}}},
    "thinking": {"type": "enabled", "budget_tokens": 1},
    "stop": ["a"],
    "modalities": ["text", "image"],
    "extra_body": {"google": {"safety_settings": [{"category": "a", "threshold": "b"}]}},
    "n": 2,
    "seed": 1,
    "temperature": 1,
    "logprobs": True,
    "top_logprobs": 1,
}
Path = tuple[Any, ...]

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 10**30, 1.5, "", "x", "\x00", [], [None], {}, {"a": 1}, [[]], "ÄÖ"]
)


def places(value: Any, path: Path = ()) -> list[Path]:
    """The paths of all values in it."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in below for place in places(each, (*path, key)))]


def changed(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def read(body: bytes) -> None:
    """Whole and as a stream's event: an answer that is JSON, or ValueError."""
    try:
        completion = json.loads(GoogleReader("m").whole(body))
        assert completion["object"] == "chat.completion"
    except ValueError:
        pass
    reader = GoogleReader("m")
    try:
        said = reader.event(body) + reader.end()
    except (ValueError, StreamFault):
        return
    for line in said.removesuffix(DONE).decode().split("\n\n"):
        assert not line or json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk"


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(places(RICH)), odd=ODD, second=st.sampled_from(places(RICH)))
def test_an_answer_with_odd_values_is_read_or_refused(place: Path, odd: Any, second: Path) -> None:
    answer = changed(RICH, place, odd)
    read(json.dumps(answer).encode())
    if second[: len(place)] != place:
        read(json.dumps(changed(answer, second, odd)).encode())


@settings(deadline=None, max_examples=300)
@given(length=st.integers(0, len(json.dumps(RICH))))
def test_an_answer_that_is_cut_is_refused(length: int) -> None:
    read(json.dumps(RICH).encode()[:length])


@settings(deadline=None, max_examples=300)
@given(body=st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    read(body)
    GoogleReader("m").fault(500, body)


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(places({"error": {"code": 1, "message": "", "status": "", "details": [{}]}})), odd=ODD)
def test_a_refusal_of_any_shape_has_a_cause(place: Path, odd: Any) -> None:
    error = {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": [{}]}
    fault = GoogleReader("m").fault(429, json.dumps(changed({"error": error}, place, odd)).encode())
    assert fault.cause.effect.status >= 400


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(places(ASKED)[1:]), odd=ODD)
def test_a_request_with_odd_values_is_one_that_gemini_takes_or_is_refused(place: Path, odd: Any) -> None:
    asked = msgspec.json.decode(json.dumps(changed(ASKED, place, odd)))
    fit_chat(asked, GOOGLE)
    try:
        body = msgspec.json.encode(translate(asked, "gemini-2.5-flash").body)
    except InvalidRequest:
        return
    check_request(json.loads(body))


def test_the_request_without_odd_values_is_taken() -> None:
    check_request(json.loads(msgspec.json.encode(translate(ASKED, "gemini-2.5-flash").body)))
