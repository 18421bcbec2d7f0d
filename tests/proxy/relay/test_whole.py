"""A whole answer to a stream's request, in the dialects that have to be written."""

import json
from typing import Any

import httpx2
import msgspec
import pytest
from anthropic import Anthropic
from openai import OpenAI
from tests.fakes.scripts import completion
from tests.proxy import edge
from tests.proxy.edge import Answer, called

from tollway.errors import UpstreamBroken
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Relayed

CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
    {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
]


def answered(**message: Any) -> Any:
    answer = completion("Hello there.")
    answer["choices"][0]["message"] |= message
    if "tool_calls" in message:
        answer["choices"][0]["finish_reason"] = "tool_calls"
    return answer


async def said(operation: Any, answer: Any) -> Relayed:
    call = called(Answer(json.dumps(answer).encode(), content_type="application/json"), stream=True)
    writer = dialects()[operation].writer(b'{"model": "m", "input": "Hi"}', "m")
    return await edge.relayed(msgspec.structs.replace(call, writer=writer))


def serving(given: Relayed) -> httpx2.Client:
    headers = [(name.decode(), value.decode()) for name, value in given.headers or []]
    return httpx2.Client(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=given.body))
    )


async def test_a_messages_client_that_waits_for_events_gets_them() -> None:
    given = await said("messages", answered(tool_calls=CALLS))
    client = Anthropic(api_key="k", base_url="http://gateway", http_client=serving(given))
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"at": 1}, {}]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 7, 3)


async def test_a_responses_client_that_waits_for_events_gets_them() -> None:
    given = await said("responses", answered())
    client = OpenAI(api_key="k", base_url="http://gateway/v1", http_client=serving(given))
    with client.responses.stream(model="m", input="Hi") as stream:
        response = stream.get_final_response()
    assert (response.output_text, response.status) == ("Hello there.", "completed")


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": None},
        {"choices": [1]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"tool_calls": [1]}}]},
    ],
)
async def test_an_answer_that_is_none_is_refused(answer: Any) -> None:
    with pytest.raises(UpstreamBroken):
        await said("messages", answer)
