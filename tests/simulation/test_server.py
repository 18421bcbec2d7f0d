"""The simulator's server as OpenAI's own SDK sees it."""

import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel, Field
from tests.simulation.conformity import faults


def tool(name: str, **properties: Any) -> ChatCompletionToolParam:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": schema}}


WEATHER = tool(
    "get_weather",
    city={"type": "string"},
    days={"type": "integer", "minimum": 1, "maximum": 7},
    unit={"enum": ["celsius", "fahrenheit"]},
)
TIME = tool("get_time", zone={"type": "string", "pattern": "^[A-Z][a-z]{2,8}/[A-Z][a-z]{2,8}$"})
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


class Address(BaseModel):
    street: str
    number: int = Field(ge=1, le=999)


class Person(BaseModel):
    name: str
    nicknames: list[str]
    address: Address | None


@pytest.fixture
def client(simulator_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=simulator_url, api_key="none-needed", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(simulator_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=simulator_url, api_key="none-needed", max_retries=0) as made:
        yield made


def said(text: Any) -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def test_a_chat_is_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=said("What is a toll?"))
    assert answer.model == "gpt-4o-mini"
    assert "What is a toll?" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_chat_is_answered_asynchronously(async_client: AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model="simulator", messages=said("What is a toll?"))
    assert "What is a toll?" in (answer.choices[0].message.content or "")


def test_a_stream_is_the_whole_answer_in_pieces(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="simulator", messages=said("Hello"))
    chunks = list(client.chat.completions.create(model="simulator", messages=said("Hello"), stream=True))
    joined = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert joined == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks].count("stop") == 1


async def test_a_stream_ends_with_usage_when_asked(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(
        model="simulator", messages=said("Hello"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_a_named_tool_is_called_and_its_result_is_answered_in_text(client: OpenAI) -> None:
    messages = said("Use get_weather for Paris")
    first = client.chat.completions.create(model="simulator", messages=messages, tools=[WEATHER, TIME])
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.content is None
    (call,) = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert faults(json.loads(call.function.arguments), WEATHER["function"].get("parameters")) == []
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees"},
    ]
    second = client.chat.completions.create(model="simulator", messages=messages, tools=[WEATHER, TIME])
    assert second.choices[0].message.tool_calls is None
    assert "get_weather answered: Sunny, 21 degrees" in (second.choices[0].message.content or "")


def test_several_named_tools_are_called_in_parallel(client: OpenAI) -> None:
    messages = said("Call get_time and then get_weather")
    answer = client.chat.completions.create(model="simulator", messages=messages, tools=[WEATHER, TIME])
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["get_time", "get_weather"]
    assert len({call.id for call in calls}) == 2


def test_one_call_at_a_time_when_parallel_calls_are_off(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="simulator", messages=said("Use the tools"), tools=[WEATHER, TIME], parallel_tool_calls=False
    )
    assert len(answer.choices[0].message.tool_calls or []) == 1


def test_streamed_tool_calls_are_put_together_by_the_sdk(client: OpenAI) -> None:
    messages = said("Use the tools")
    with client.chat.completions.stream(model="simulator", messages=messages, tools=[WEATHER, TIME]) as stream:
        streamed = stream.get_final_completion()
    whole = client.chat.completions.create(model="simulator", messages=messages, tools=[WEATHER, TIME])
    calls = streamed.choices[0].message.tool_calls or []
    assert len(calls) == 2
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        (call.id, call.function.name, call.function.arguments)
        for call in whole.choices[0].message.tool_calls or []
        if call.type == "function"
    ]


@pytest.mark.parametrize(
    ("choice", "names", "finish"),
    [
        ("none", [], "stop"),
        ("auto", [], "stop"),
        ("required", ["get_weather"], "tool_calls"),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"], "stop"),
    ],
)
def test_tool_choice_decides(client: OpenAI, choice: Any, names: list[str], finish: str) -> None:
    answer = client.chat.completions.create(
        model="simulator", messages=said("Good morning"), tools=[WEATHER, TIME], tool_choice=choice
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == names
    assert answer.choices[0].finish_reason == finish


def test_pictures_are_acknowledged(client: OpenAI) -> None:
    parts = [{"type": "text", "text": "What is on it?"}, IMAGE]
    answer = client.chat.completions.create(model="simulator", messages=said(parts))
    assert "What is on it?" in (answer.choices[0].message.content or "")
    assert "one image" in (answer.choices[0].message.content or "")


def test_a_json_object_is_json(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="simulator", messages=said("Answer in JSON"), response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


def test_a_json_schema_is_satisfied(client: OpenAI) -> None:
    schema = Person.model_json_schema()
    answer = client.chat.completions.create(
        model="simulator",
        messages=said("Who is it?"),
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    assert faults(json.loads(answer.choices[0].message.content or ""), schema) == []


@pytest.mark.parametrize("question", ["Who is it?", "And who else?", "Name Ada Lovelace"])
def test_the_sdk_parses_the_answer_into_a_model(client: OpenAI, question: str) -> None:
    answer = client.chat.completions.parse(model="simulator", messages=said(question), response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_n_answers_differ(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="simulator", messages=said("Name a bridge"), n=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in answer.choices}) > 1


def test_logprobs_cover_the_text(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="simulator", messages=said("Hi"), logprobs=True, top_logprobs=3)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(entry.token for entry in told.content) == answer.choices[0].message.content
    for entry in told.content:
        assert bytes(entry.bytes or []).decode() == entry.token
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == entry.logprob <= 0


def test_logprobs_are_streamed_with_their_text(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="simulator-chunks-4", messages=said("Hi"), logprobs=True, stream=True)
    deltas = [chunk.choices[0] for chunk in stream if chunk.choices[0].delta.content]
    assert len(deltas) == 4
    for choice in deltas:
        assert choice.logprobs is not None
        assert "".join(entry.token for entry in choice.logprobs.content or []) == choice.delta.content


def test_max_tokens_and_stop_end_an_answer(client: OpenAI) -> None:
    short = client.chat.completions.create(model="simulator", messages=said("Hi"), max_completion_tokens=5)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens <= 5
    stopped = client.chat.completions.create(model="simulator", messages=said("Hi"), stop="wrote")
    assert "wrote" not in (stopped.choices[0].message.content or "")
    assert stopped.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_status_model_raises_the_sdks_error(client: OpenAI, status: int, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"simulator-status-{status}", messages=said("Hi"))
    assert caught.value.status_code == status
    assert caught.value.request_id is not None


def test_a_missing_field_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": "simulator"}, cast_to=object)
    assert caught.value.param == "messages"


def test_the_raw_response_has_status_and_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="simulator", messages=said("Hi"))
    assert raw.status_code == 200
    assert raw.headers["content-type"] == "application/json"
    assert (raw.request_id or "").startswith("req_")
    assert raw.parse().choices[0].message.content


def test_a_cut_stream_is_an_error_and_not_an_end(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="simulator-cut-3", messages=said("Hi"), stream=True)
    texts: list[str] = []
    with pytest.raises(Exception, match=r"(?i)incomplete|closed|connection|body"):
        texts.extend(chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content)
    assert len(texts) <= 3


def test_a_cut_whole_answer_is_a_connection_error(client: OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="simulator-cut-1", messages=said("Hi"))


def test_an_error_event_is_raised_in_the_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="simulator-error-2", messages=said("Hi"), stream=True)
    with pytest.raises(openai.APIError, match="had an error"):
        list(stream)


def test_a_hang_runs_into_the_clients_timeout(client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).chat.completions.create(model="simulator-hang", messages=said("Hi"))


def test_the_models_are_listed(client: OpenAI) -> None:
    assert "simulator" in {model.id for model in client.models.list()}


def test_an_unknown_path_is_openais_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        client.get("/nowhere", cast_to=object)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_while_a_call_hangs(command: list[str], number: signal.Signals) -> None:
    with subprocess.Popen([*command, "--port", "0", "--hang"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("//")[1].split("/")[0]
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as hanging:
            body = b'{"model": "simulator", "messages": [{"role": "user", "content": "Hi"}]}'
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            hanging.sendall(head + body)
            process.send_signal(number)
            assert process.wait(10) == 0


def test_a_port_in_use_is_refused_with_a_reason(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = subprocess.run([*command, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert "can't be listened on" in ran.stderr


@pytest.mark.parametrize("wrong", [["--delay", "fast"], ["--fail-rate", "2"], ["--fail-status", "200"]])
def test_a_wrong_option_is_a_usage_error(command: list[str], wrong: list[str]) -> None:
    ran = subprocess.run([*command, *wrong], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 2
