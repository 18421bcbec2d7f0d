"""Recorded traffic: Gemini's answers replayed, and OpenAI's requests mapped.

What is expected of an answer is read off its record by the simplest means, apart from the code under test.
"""

import json
from typing import Any

import msgspec
import pytest
from tests.fakes.google_schema import check_request
from tests.fakes.records import Record, expected_payloads, needs_records, records

from tollway._native.sse import Payloads
from tollway.errors import InvalidRequest
from tollway.proxy.causes import Cause
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.request import translate
from tollway.wire.openai_chat import DONE

pytestmark = needs_records

ALL = [*records("gemini", "generate_content"), *records("vertex", "generate_content")]
WHOLE = [record for record in ALL if not record.stream and record.status == 200]
STREAMS = [record for record in ALL if record.is_sse and "json_array" not in record.tags]
REFUSED = [record for record in ALL if record.status >= 400]
REQUESTS = records("openai")

PROMPT = ("promptTokenCount", "toolUsePromptTokenCount")
COMPLETION = ("candidatesTokenCount", "thoughtsTokenCount")
FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}


def parts_of(payloads: list[Any]) -> list[dict[str, Any]]:
    """All parts of the first candidate."""
    candidates = [payload["candidates"][0] for payload in payloads if payload.get("candidates")]
    return [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]


def expected(record: Record) -> dict[str, Any]:
    """What a client is to get."""
    payloads = expected_payloads(record)
    parts = parts_of(payloads)
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    reasons = [c["finishReason"] for p in payloads for c in p.get("candidates", []) if "finishReason" in c]
    usage = [payload["usageMetadata"] for payload in payloads if "usageMetadata" in payload][-1]

    def count(*names: str) -> int:
        return sum(usage.get(name, 0) for name in names)

    return {
        "text": "".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
        "thoughts": "".join(part["text"] for part in parts if "text" in part and part.get("thought")),
        "calls": [(call["name"], call.get("args", {})) for call in calls],
        "ids": [call.get("id") for call in calls],
        "signatures": [part.get("thoughtSignature") for part in parts if "functionCall" in part],
        "signature": ([p["thoughtSignature"] for p in parts if "text" in p and "thoughtSignature" in p] or [None])[-1],
        "finish": "tool_calls" if calls else FINISH.get(reasons[-1], "content_filter") if reasons else "content_filter",
        "prompt": count(*PROMPT),
        "completion": count(*COMPLETION),
        "total": usage.get("totalTokenCount", count(*PROMPT, *COMPLETION)),  # one recorder left it out
        "cached": count("cachedContentTokenCount"),
        "reasoning": count("thoughtsTokenCount"),
        "model": payloads[0]["modelVersion"],
    }


def compared(message: dict[str, Any], finish: str, usage: dict[str, Any], model: str) -> dict[str, Any]:
    """A chat answer, put as ``expected`` is."""
    calls = message.get("tool_calls", [])
    extra = message.get("extra_content", {}).get("google", {})
    return {
        "text": message.get("content") or "",
        "thoughts": message.get("reasoning_content", ""),
        "calls": [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls],
        "ids": [call["id"] for call in calls],
        "signatures": [call.get("extra_content", {}).get("google", {}).get("thought_signature") for call in calls],
        "signature": extra.get("thought_signature"),
        "finish": finish,
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "total": usage["total_tokens"],
        "cached": usage["prompt_tokens_details"].get("cached_tokens", 0),
        "reasoning": usage["completion_tokens_details"].get("reasoning_tokens", 0),
        "model": model,
    }


def check(told: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Both say the same, but for ids that Gemini did not give."""
    made, given = told.pop("ids"), wanted.pop("ids")
    assert told == wanted
    assert len(set(made)) == len(made)
    assert all(made)
    assert [own for own, theirs in zip(made, given, strict=True) if theirs] == [each for each in given if each]


def joined(chunks: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The message that the chunks make, and the one finish reason."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    finished = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content", "")
            message["tool_calls"] += delta.get("tool_calls", [])
            if "thought_signature" in delta.get("extra_content", {}).get("google", {}):
                message["extra_content"] = delta["extra_content"]
            finished += [choice["finish_reason"]] if choice["finish_reason"] else []
    assert [call["index"] for call in message["tool_calls"]] == list(range(len(message["tool_calls"])))
    (finish,) = finished
    return message, finish


def relayed(body: bytes, size: int) -> bytes:
    """The stream as it is said when it comes in pieces of this many bytes."""
    reader, payloads, said = GoogleReader("asked-for"), Payloads(), b""
    for start in range(0, len(body), size):
        for payload in payloads.feed(body[start : start + size]):
            said += reader.event(payload)
    for payload in payloads.finish():
        said += reader.event(payload)
    return said + reader.end()


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: record.id)
def test_a_recorded_answer_is_told_in_full(record: Record) -> None:
    told = json.loads(GoogleReader("asked-for").whole(record.body.encode()))
    (choice,) = told["choices"]
    assert told["object"] == "chat.completion"
    check(compared(choice["message"], choice["finish_reason"], told["usage"], told["model"]), expected(record))


@pytest.mark.parametrize("record", STREAMS, ids=lambda record: record.id)
def test_a_recorded_stream_is_told_in_full(record: Record) -> None:
    said = relayed(record.body.encode(), 4096)
    assert said.endswith(DONE)
    chunks = [json.loads(line[6:]) for line in said.removesuffix(DONE).decode().split("\n\n") if line]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"] == []
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    message, finish = joined(chunks)
    check(compared(message, finish, chunks[-1]["usage"], chunks[0]["model"]), expected(record))


SAMPLE = [record for record in STREAMS if "tool_call" in record.tags][:3] + STREAMS[:5]


@pytest.mark.parametrize("record", SAMPLE, ids=lambda record: record.id)
def test_a_stream_says_the_same_however_it_is_cut_and_framed(record: Record) -> None:
    def plain(said: bytes) -> list[Any]:
        """Without the ids that are made anew in every run."""
        chunks = [json.loads(line[6:]) for line in said.removesuffix(DONE).decode().split("\n\n") if line]
        for chunk in chunks:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", []):
                    call.pop("id")
            if not expected_payloads(record)[0].get("responseId"):
                chunk.pop("id")
            if not expected_payloads(record)[0].get("createTime"):
                chunk.pop("created")
        return chunks

    body = record.body.replace("\r\n", "\n").encode()
    reference = plain(relayed(body, len(body)))
    for size in (*range(1, 8), 13, 31, 64):
        assert plain(relayed(body, size)) == reference
        assert plain(relayed(body.replace(b"\n", b"\r\n"), size)) == reference


@pytest.mark.parametrize("record", STREAMS, ids=lambda record: record.id)
def test_a_recorded_stream_without_its_last_event_has_no_end(record: Record) -> None:
    payloads = expected_payloads(record)
    finish = next(n for n, payload in enumerate(payloads) if payload["candidates"][0].get("finishReason"))
    reader = GoogleReader("asked-for")
    for payload in payloads[:finish]:
        reader.event(json.dumps(payload).encode())
    assert reader.end() == b""


@pytest.mark.parametrize("record", REFUSED, ids=lambda record: record.id)
def test_a_recorded_refusal_has_its_cause_and_words(record: Record) -> None:
    fault = GoogleReader("asked-for").fault(record.status, record.body.encode())
    assert fault.cause is {400: Cause.INVALID, 401: Cause.BAD_KEY, 404: Cause.NOT_FOUND}[record.status]
    assert fault.message == json.loads(record.body)["error"]["message"]


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_every_recorded_openai_request_is_one_that_gemini_takes_or_is_refused_for_a_reason(model: str) -> None:
    refused = []
    for record in REQUESTS:
        try:
            body = msgspec.json.encode(translate(record.asked, model).body)
        except InvalidRequest as error:
            refused.append(error.param)
            continue
        check_request(json.loads(body))
    assert {param.rpartition("]")[2] for param in refused if param} == {
        ".image_url.url",
        ".file",
        "messages",
        "functions",
    }
    assert len(refused) < len(REQUESTS) / 20


@pytest.mark.parametrize("record", [r for r in WHOLE if {"tool_call"} <= set(r.tags)], ids=lambda record: record.id)
def test_a_recorded_turn_of_calls_goes_back_as_it_came(record: Record) -> None:
    (choice,) = json.loads(GoogleReader("m").whole(record.body.encode()))["choices"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "{}"}
        for call in choice["message"].get("tool_calls", [])
    ]
    asked = {"messages": [{"role": "user", "content": "Hi"}, choice["message"], *results]}
    body = json.loads(msgspec.json.encode(translate(asked, "gemini-2.5-flash").body))
    check_request(body)
    came = [part for part in parts_of(expected_payloads(record)) if "functionCall" in part]
    back = [part for part in body["contents"][1]["parts"] if "functionCall" in part]
    for part in came:
        part["functionCall"].setdefault("args", {})
    assert back == came
    assert len([part for part in body["contents"][-1]["parts"] if "functionResponse" in part]) == len(came)
