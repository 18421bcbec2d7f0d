"""OpenAI's official SDK with its ``responses``, over providers that only know chats, or not even those."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel
from tests.e2e.test_anthropic_sdk import hello, streamed
from tests.e2e.test_tool_calls import SCRIPTS
from tests.fakes.conversations import PNG
from tests.fakes.replaying import CHAT_ONLY, Replaying
from tests.fakes.scripts import completion, deltas, sse, status, whole

KINDS = (CHAT_ONLY, "groq", "gemini", "anthropic")
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "get_weather",
        "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


@pytest.fixture(scope="module")
def replaying(lasting_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaying]:
    with Replaying(lasting_dsn, tmp_path_factory.mktemp("responses")) as running:
        yield running


@pytest.fixture
def client(replaying: Replaying) -> OpenAI:
    return replaying.sdks.openai


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_is_given(client: OpenAI, replaying: Replaying, kind: str) -> None:
    answer = client.responses.create(
        model=kind, instructions="Be brief.", input="Hi", extra_headers=replaying.named(hello(kind))
    )
    assert (answer.output_text, answer.status, answer.object) == ("Hello there.", "completed", "response")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (7, 3, 10)
    assert "Be brief." in json.dumps(replaying.upstream.requests[-1].json)


@pytest.mark.parametrize("kind", KINDS)
def test_the_streaming_helper_tells_events_in_order_and_the_response_in_full(
    client: OpenAI, replaying: Replaying, kind: str
) -> None:
    with client.responses.stream(model=kind, input="Hi", extra_headers=replaying.named(streamed(kind))) as events:
        told = list(events)
        answer = events.get_final_response()
    assert answer.output_text == "Hello there."
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "Hello there."
    assert [event.type for event in told if "delta" not in event.type] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_thoughts_and_calls_are_items_and_go_back_in_the_next_turn(
    client: OpenAI, replaying: Replaying, kind: str, streams: bool
) -> None:
    asked: dict[str, Any] = {"model": kind, "tools": TOOLS, "include": ["reasoning.encrypted_content"], "store": False}
    headers = replaying.named(SCRIPTS[kind](streamed=streams))
    if streams:
        with client.responses.stream(**asked, input="Weather?", extra_headers=headers) as events:
            answer: Any = events.get_final_response()
    else:
        answer = client.responses.create(**asked, input="Weather?", extra_headers=headers)
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    thoughts = [item for item in answer.output if item.type == "reasoning"]
    assert "".join(part.text for item in thoughts for part in item.summary) == "Hm."
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    turns: list[Any] = [
        {"role": "user", "content": "Weather?"},
        *(item.to_dict() for item in answer.output),
        output,
    ]
    client.responses.create(**asked, input=turns, extra_headers=replaying.named(SCRIPTS[kind](streamed=False)))
    sent = json.dumps(replaying.upstream.requests[-1].json)
    assert "18 degrees" in sent
    signatures = {"anthropic": ["EqQBCkYIBBgCKkDxZ+/9x0a==", "EmwKAhgBEgy3va3pzix"], "gemini": ["CiQBVKhc7vB0aGluay1z"]}
    assert all(signature in sent for signature in signatures.get(kind, []))
    assert "tollway" not in sent


@pytest.mark.parametrize("kind", KINDS)
def test_images_reach_the_provider(client: OpenAI, replaying: Replaying, kind: str) -> None:
    url = f"data:image/png;base64,{PNG}"
    turns: list[Any] = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": url, "detail": "auto"},
            ],
        }
    ]
    client.responses.create(model=kind, input=turns, extra_headers=replaying.named(hello(kind)))
    assert PNG in json.dumps(replaying.upstream.requests[-1].json)


def test_the_simulator_speaks_it_too(client: OpenAI) -> None:
    answer = client.responses.create(model="simulator", input="Hi")
    assert answer.status == "completed"
    with client.responses.stream(model="simulator", input="Hi") as events:
        assert events.get_final_response().output_text == answer.output_text
    choice: Any = {"type": "function", "name": "get_weather"}
    called = client.responses.create(model="simulator", input="Hi", tools=TOOLS, tool_choice=choice)
    (call,) = [item for item in called.output if item.type == "function_call"]
    assert list(json.loads(call.arguments)) == ["city"]


class Weather(BaseModel):
    """An answer in form."""

    city: str
    degrees: int


def test_a_structured_answer_is_parsed(client: OpenAI, replaying: Replaying) -> None:
    headers = replaying.named(whole(completion('{"city": "Paris", "degrees": 18}')))
    answer = client.responses.parse(model=CHAT_ONLY, input="Weather?", text_format=Weather, extra_headers=headers)
    assert answer.output_parsed == Weather(city="Paris", degrees=18)
    form = replaying.upstream.requests[-1].json["response_format"]
    assert (form["type"], form["json_schema"]["name"]) == ("json_schema", "Weather")
    assert form["json_schema"]["schema"]["required"] == ["city", "degrees"]


def test_an_answer_that_was_cut_is_incomplete(client: OpenAI, replaying: Replaying) -> None:
    body = completion("Hello")
    body["choices"][0]["finish_reason"] = "length"
    headers = replaying.named(whole(body))
    answer = client.responses.create(model=CHAT_ONLY, input="Hi", max_output_tokens=16, extra_headers=headers)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("kind", [CHAT_ONLY, "gemini", "anthropic"])
@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_refusals_are_the_sdks_own_errors(
    client: OpenAI, replaying: Replaying, kind: str, code: int, raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        client.responses.create(model=kind, input="Hi", extra_headers=replaying.named(status(code, "no such luck")))
    assert "no such luck" in caught.value.message


def test_a_stream_that_breaks_is_an_error_and_no_end(client: OpenAI, replaying: Replaying) -> None:
    cut = sse(deltas("Hello ", "there.")[:2], done=False, ending=(("fin",),))
    asked: dict[str, Any] = {"model": CHAT_ONLY, "input": "Hi", "stream": True}
    heard: list[str] = []
    with client.responses.create(**asked, extra_headers=replaying.named(cut)) as events:
        with pytest.raises(openai.APIError):
            heard.extend(event.type for event in events)
    assert heard[-1] == "response.output_text.delta"


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
def test_what_needs_a_store_is_refused_by_name(client: OpenAI, field: str) -> None:
    given: dict[str, Any] = {field: "resp_1"}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=CHAT_ONLY, input="Hi", **given)
    assert caught.value.param == field
