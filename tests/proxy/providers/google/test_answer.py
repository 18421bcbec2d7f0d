"""Gemini's answers, whole and streamed, as chat: the cases one by one. The recorded ones are in ``test_records.py``."""

import json
from typing import Any

import pytest

from tollway.proxy.causes import Cause
from tollway.proxy.providers.google.answer import MAX_CALLS, GoogleReader
from tollway.proxy.providers.google.request import MADE_ID_PREFIX
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import DONE

USAGE = {
    "promptTokenCount": 10,
    "toolUsePromptTokenCount": 3,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 7,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 25,
}


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **candidate: Any) -> dict[str, Any]:
    """An answer with one candidate."""
    said: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **candidate}
    if finish is not None:
        said["finishReason"] = finish
    return {"candidates": [said], "usageMetadata": USAGE, "modelVersion": "gemini-x", "responseId": "r1"}


def whole(answered: Any) -> dict[str, Any]:
    """It as a chat completion."""
    completion: dict[str, Any] = json.loads(GoogleReader("asked-for").whole(json.dumps(answered).encode()))
    return completion


def choice(answered: Any) -> dict[str, Any]:
    """Its only choice."""
    (only,) = whole(answered)["choices"]
    assert isinstance(only, dict)
    return only


def stream(*events: Any) -> list[dict[str, Any]]:
    """The chunks that the events become; the stream has its end."""
    said = streamed(*events)
    assert said.endswith(DONE)
    return [json.loads(line[6:]) for line in said.removesuffix(DONE).decode().split("\n\n") if line]


def streamed(*events: Any) -> bytes:
    reader = GoogleReader("asked-for")
    return b"".join([reader.event(json.dumps(event).encode()) for event in events]) + reader.end()


def text(said: str, **fields: Any) -> dict[str, Any]:
    return {"text": said, **fields}


def called(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **fields}}


def test_text_is_joined_and_thoughts_are_told_apart() -> None:
    told = choice(answer(text("Hm", thought=True), text("Hello"), text(" you"), text("!", thought=False)))
    assert told == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello you!", "reasoning_content": "Hm"},
        "finish_reason": "stop",
        "logprobs": None,
    }


def test_an_answer_is_named_as_gemini_names_it() -> None:
    told = whole({**answer(text("a")), "createTime": "2026-05-27T16:53:45.443719Z"})
    assert (told["id"], told["model"], told["created"]) == ("r1", "gemini-x", 1779900825)
    unnamed = whole({"candidates": answer(text("a"))["candidates"], "createTime": "soon"})
    assert unnamed["id"].startswith("chatcmpl-")
    assert unnamed["model"] == "asked-for"
    assert unnamed["created"] > 1_700_000_000


def test_thoughts_count_as_completion_and_what_tools_brought_as_prompt() -> None:
    assert whole(answer(text("a")))["usage"] == {
        "prompt_tokens": 13,
        "completion_tokens": 12,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }


def test_counts_that_are_not_told_are_nought_and_the_total_is_added_up() -> None:
    usage = whole({**answer(text("a")), "usageMetadata": {"promptTokenCount": 3, "thoughtsTokenCount": 2}})["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 2, 5)


def test_sound_is_counted_apart() -> None:
    details = {
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
    }
    usage = whole({**answer(text("a")), "usageMetadata": {**USAGE, **details}})["usage"]
    assert usage["prompt_tokens_details"]["audio_tokens"] == 6
    assert usage["completion_tokens_details"]["audio_tokens"] == 5


def test_calls_have_ids_of_their_own_and_arguments_digit_by_digit() -> None:
    body = json.dumps(answer(called("a", id="x"), called("b", id="x"), called("c", args=None))).encode()
    body = body.replace(b'"name": "a"', b'"name": "a", "args": {\n "at": 1.50, "big": 12345678901234567890123 }')
    (only,) = json.loads(GoogleReader("m").whole(body))["choices"]
    first, second, third = only["message"]["tool_calls"]
    assert only["message"]["content"] is None
    assert only["finish_reason"] == "tool_calls"
    assert first == {
        "id": "x",
        "type": "function",
        "function": {"name": "a", "arguments": '{"at":1.50,"big":12345678901234567890123}'},
    }
    assert (second["function"]["arguments"], third["function"]["arguments"]) == ("{}", "{}")
    assert second["id"].startswith(MADE_ID_PREFIX)
    assert third["id"].startswith(MADE_ID_PREFIX)
    assert second["id"] != third["id"]


def test_signatures_stay_with_the_call_and_with_the_message() -> None:
    message = choice(
        answer(text("Hi", thoughtSignature="c2lnMQ=="), {**called(), "thoughtSignature": "c2lnMg=="}, called("g"))
    )["message"]
    assert message["extra_content"] == {"google": {"thought_signature": "c2lnMQ=="}}
    first, second = message["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "c2lnMg=="}}
    assert "extra_content" not in second


def test_the_signature_of_an_empty_last_text_is_kept() -> None:
    message = choice(answer(text("Hi"), text("", thoughtSignature="c2ln")))["message"]
    assert (message["content"], message["extra_content"]) == ("Hi", {"google": {"thought_signature": "c2ln"}})
    chunks = stream(answer(text("Hi"), finish=None), answer(text("", thoughtSignature="c2ln")))
    extras = [chunk["choices"][0]["delta"].get("extra_content") for chunk in chunks if chunk["choices"]]
    assert [extra for extra in extras if extra] == [{"google": {"thought_signature": "c2ln"}}]


def test_parts_without_a_place_in_chat_are_kept_as_they_came() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "YQ=="}}
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}
    message = choice(answer(code, image, text("Done")))["message"]
    assert message["content"] == "Done"
    assert message["extra_content"] == {"google": {"parts": [code, image]}}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("UNEXPECTED_TOOL_CALL", "stop"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_every_finish_reason_has_one_of_openais(reason: str, finish: str) -> None:
    assert choice(answer(text("a"), finish=reason))["finish_reason"] == finish
    assert choice(answer(called(), finish=reason))["finish_reason"] == "tool_calls"
    chunks = stream(answer(text("a"), finish=reason))
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, finish]


@pytest.mark.parametrize("content", [None, {}, {"role": "model"}, {"parts": None}, {"parts": []}])
@pytest.mark.parametrize("reason", ["MAX_TOKENS", "UNEXPECTED_TOOL_CALL"])
def test_an_answer_without_parts_is_an_answer(content: Any, reason: str) -> None:
    answered = {"candidates": [{"content": content, "finishReason": reason}], "usageMetadata": USAGE}
    assert choice(answered)["message"] == {"role": "assistant", "content": None}
    opened, finished, counted = stream(answered)
    assert opened["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert finished["choices"][0]["finish_reason"] == ("length" if reason == "MAX_TOKENS" else "stop")
    assert counted["usage"]["total_tokens"] == 25


@pytest.mark.parametrize("candidates", [{}, {"candidates": None}, {"candidates": []}])
def test_a_blocked_prompt_is_an_answer_of_the_content_filter(candidates: Any) -> None:
    blocked = {**candidates, "promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    assert choice(blocked) == {
        "index": 0,
        "message": {"role": "assistant", "content": None},
        "finish_reason": "content_filter",
        "logprobs": None,
    }
    opened, finished, counted = stream(blocked)
    assert opened["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert finished["choices"][0]["finish_reason"] == "content_filter"
    assert counted["usage"]["prompt_tokens"] == 4


def test_several_candidates_are_several_choices() -> None:
    first, second = (answer(text(said), index=index)["candidates"][0] for index, said in enumerate("ab"))
    told = whole({"candidates": [first, second], "usageMetadata": USAGE})["choices"]
    assert [(each["index"], each["message"]["content"]) for each in told] == [(0, "a"), (1, "b")]
    chunks = stream({"candidates": [second]}, {"candidates": [first], "usageMetadata": USAGE})
    finished = [c["choices"][0]["index"] for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]]
    assert sorted(finished) == [0, 1]


def test_tokens_are_told_with_their_likelihood() -> None:
    hello = {"token": "Hé", "logProbability": -0.5, "tokenId": 9}
    result = {"chosenCandidates": [hello, {"token": "!"}], "topCandidates": [{"candidates": [hello]}]}
    expected = {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169]}
    told = {
        "content": [
            {**expected, "top_logprobs": [expected]},
            {"token": "!", "logprob": 0.0, "bytes": [33], "top_logprobs": []},
        ],
        "refusal": None,
    }
    assert choice(answer(text("Hé!"), logprobsResult=result))["logprobs"] == told
    chunks = stream(answer(text("Hé!"), logprobsResult=result))
    assert chunks[1]["choices"][0]["logprobs"] == told


def grounded(*supports: dict[str, Any]) -> dict[str, Any]:
    chunks = [{"web": {"uri": "https://a.example", "title": "A"}}, {"maps": {"uri": "https://b.example"}}, {}]
    return {"groundingChunks": chunks, "groundingSupports": list(supports)}


def cited(answered: Any) -> list[tuple[Any, ...]]:
    """The citations; the same whole and streamed."""
    message = choice(answered)["message"]
    deltas = [chunk["choices"][0]["delta"] for chunk in stream(answered) if chunk["choices"]]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [message["annotations"]]
    assert all(each["type"] == "url_citation" for each in message["annotations"])
    return [tuple(each["url_citation"].values()) for each in message["annotations"]]


def test_sources_are_cited_by_characters_where_gemini_counts_bytes() -> None:
    support = {"segment": {"startIndex": 7, "endIndex": 14, "text": "Größe"}, "groundingChunkIndices": [0, 2, 9, -1]}
    assert cited(answer(text("Schöne"), text("Größe!"), groundingMetadata=grounded(support))) == [
        ("https://a.example", "A", 6, 11),
        ("https://b.example", "", 0, 12),
    ]


@pytest.mark.parametrize(
    ("segment", "stretch"),
    [
        ({"endIndex": 2}, (0, 2)),
        ({"startIndex": 50, "endIndex": 52, "text": "cd"}, (2, 4)),
        ({"startIndex": 50, "endIndex": 52, "text": "gone"}, (0, 6)),
        ({"startIndex": 50, "endIndex": 52}, (0, 6)),
        ({}, (0, 0)),
    ],
)
def test_a_citation_with_odd_places_is_put_by_its_words_or_over_all(segment: Any, stretch: tuple[int, int]) -> None:
    support = {"segment": segment, "groundingChunkIndices": [0, 1]}
    places = cited(answer(text("abcdef"), groundingMetadata=grounded(support)))
    assert [place[2:] for place in places] == [stretch, stretch]


def test_quotations_are_cited_too() -> None:
    source = {"startIndex": 1, "endIndex": 3, "uri": "https://c.example"}
    for name in ("citationSources", "citations"):
        answered = answer(text("abcdef"), citationMetadata={name: [source, {"endIndex": 2}]})
        assert cited(answered) == [("https://c.example", "", 1, 3)]


def test_a_stream_opens_once_and_tells_its_usage_last() -> None:
    early = {**answer(text("He"), finish=None), "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 99}}
    chunks = stream(early, answer(text("llo")))
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "He"},
        {"content": "llo"},
        {},
    ]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 25
    assert all("usage" not in chunk for chunk in chunks[:-1])
    assert {(chunk["id"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        ("r1", "gemini-x", "chat.completion.chunk")
    }


def test_a_call_before_the_last_event_makes_the_finish_reason_tool_calls() -> None:
    chunks = stream(
        answer(called("a", args={"x": 1}), finish=None),
        answer(called("b"), finish=None),
        answer(text(""), finish="STOP"),
    )
    calls = [each for chunk in chunks[:-1] for each in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert [(each["index"], each["function"]["name"], each["function"]["arguments"]) for each in calls] == [
        (0, "a", '{"x":1}'),
        (1, "b", "{}"),
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, None, "tool_calls"]


def test_a_stream_keeps_its_name_when_gemini_changes_it() -> None:
    chunks = stream(answer(text("a"), finish=None), {**answer(text("b")), "responseId": "r2", "modelVersion": "other"})
    assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {("r1", "gemini-x")}


@pytest.mark.parametrize("events", [[], [{"usageMetadata": USAGE}], [answer(text("He"), finish=None)]])
def test_a_stream_that_was_cut_has_no_end(events: list[Any]) -> None:
    said = streamed(*events)
    assert DONE not in said
    assert b'"finish_reason":"' not in said


@pytest.mark.parametrize("wrapped", [False, True], ids=["object", "list"])
def test_an_error_within_a_stream_is_a_fault(wrapped: bool) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(StreamFault) as caught:
        streamed(answer(text("He"), finish=None), [error] if wrapped else error)
    assert (caught.value.fault.cause, caught.value.fault.message) == (Cause.OVERLOADED, "The model is overloaded.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"error": {"code": 500}}',
        b'{"candidates": {}}',
        b'{"candidates": [null]}',
        b'{"candidates": [{"content": {"parts": [{"text": 7}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": []}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a":}}}]}}]}',
        b'{"candidates": [{"index": -1}]}',
        b'{"candidates": [{"index": 100000}]}',
        b'{"candidates": [], "usageMetadata": {"promptTokenCount": -1}}',
        b'{"candidates": [], "usageMetadata": {"promptTokenCount": "1"}}',
        b'{"candidates": [{"content": {"parts": [{"inlineData": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        GoogleReader("m").whole(body)


def test_an_answer_of_endless_calls_is_given_up() -> None:
    with pytest.raises(ValueError, match="too many"):
        whole(answer(*[called()] * (MAX_CALLS + 1)))
