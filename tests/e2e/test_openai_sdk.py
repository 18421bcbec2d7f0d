"""The official OpenAI SDK, unchanged but for ``base_url``, against a gateway with nothing but the simulator behind it.

Also the story of the embedded database: this gateway is the one that starts its own.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionToolParam
from tests.fakes.gateway import KEY, Gateway, config

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = config(
        "embedded",
        models={
            name: {"targets": [{"provider": "fake", "model": name}], "price": {"input_per_1m": 1, "output_per_1m": 2}}
            for name in ("simulator", "simulator-status-429", "simulator-status-500", "simulator-status-400")
        },
    )
    with Gateway(settings, tmp_path_factory.mktemp("sdk")) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


def test_a_chat_is_answered_whole(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="simulator", messages=[{"role": "user", "content": "Say hello"}])
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_chat_is_answered_in_a_stream_that_says_the_same(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Say hello to the stream"}]
    whole = client.chat.completions.create(model="simulator", messages=asked)
    chunks = list(client.chat.completions.create(model="simulator", messages=asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"


def test_a_stream_tells_its_usage_when_asked(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="simulator",
            messages=[{"role": "user", "content": "Count"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_is_used(client: OpenAI, streamed: bool) -> None:
    with_tool: dict[str, Any] = {
        "model": "simulator",
        "messages": [{"role": "user", "content": "Use the tool get_weather for Paris"}],
        "tools": [WEATHER],
    }
    if streamed:
        with client.chat.completions.stream(**with_tool) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**with_tool).choices[0].message
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "kelvin")
    asked: Any = call.function.model_dump()
    followed = client.chat.completions.create(
        model="simulator",
        messages=[
            {"role": "user", "content": "Use the tool get_weather for Paris"},
            {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": asked}]},
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
        ],
        tools=[WEATHER],
    )
    assert followed.choices[0].message.content
    assert followed.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_in_parallel(client: OpenAI, streamed: bool) -> None:
    asked: dict[str, Any] = {
        "model": "simulator",
        "messages": [{"role": "user", "content": "Use the tools get_weather and get_time"}],
        "tools": [WEATHER, TIME],
        "parallel_tool_calls": True,
    }
    if streamed:
        with client.chat.completions.stream(**asked) as stream:
            completion = stream.get_final_completion()
    else:
        completion = client.chat.completions.create(**asked)
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert sorted(call.function.name for call in calls) == ["get_time", "get_weather"]
    assert len({call.id for call in calls}) == 2
    assert all(json.loads(call.function.arguments) for call in calls)
    assert completion.choices[0].finish_reason == "tool_calls"


def test_vision_parts_pass(client: OpenAI) -> None:
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    answer = client.chat.completions.create(
        model="simulator",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
                ],
            }
        ],
    )
    assert "image" in (answer.choices[0].message.content or "")


def test_an_answer_follows_a_json_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="simulator",
        messages=[{"role": "user", "content": "A person, please"}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}},
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)


def test_several_choices_and_log_probabilities_pass(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="simulator", messages=[{"role": "user", "content": "Hi"}], n=3, logprobs=True, top_logprobs=2
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)


def test_raw_responses_carry_the_gateway_s_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="simulator", messages=[{"role": "user", "content": "Hi"}], extra_headers={"x-request-id": "my-id-1"}
    )
    assert raw.headers["x-request-id"] == "my-id-1"
    assert raw.headers["x-tollway-provider"] == "fake"
    assert float(raw.headers["x-tollway-cost-usd"]) > 0
    assert "call;dur=" in raw.headers["server-timing"]
    assert raw.parse().choices


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("simulator-status-429", openai.RateLimitError),
        ("simulator-status-500", openai.InternalServerError),
        ("simulator-status-400", openai.BadRequestError),
        ("no-such-model", openai.NotFoundError),
    ],
)
def test_errors_raise_the_sdk_s_own_exceptions(client: OpenAI, model: str, kind: type[openai.APIStatusError]) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], stream=stream)
        assert caught.value.body
        assert caught.value.request_id


def test_a_wrong_key_raises_authentication_error(gateway: Gateway) -> None:
    with OpenAI(base_url=gateway.base_url, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            stranger.chat.completions.create(model="simulator", messages=[{"role": "user", "content": "Hi"}])
        assert caught.value.code == "invalid_api_key"


def test_models_are_listed(client: OpenAI) -> None:
    assert "simulator" in [model.id for model in client.models.list()]


def test_the_same_is_served_below_api(gateway: Gateway) -> None:
    with OpenAI(base_url=f"{gateway.url}/api/v1", api_key=KEY, max_retries=0) as other:
        answer = other.chat.completions.create(model="simulator", messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content
