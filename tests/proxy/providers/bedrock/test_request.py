"""A chat request as Converse takes it; every body here goes through the strict checker of Amazon's own shapes."""

import base64
import json
from typing import Any

import pytest
from tests.fakes.bedrock_schema import check_converse

from tollway.errors import InvalidRequest
from tollway.proxy.providers.bedrock.request import Mapped, map_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "anthropic.claude-opus-4-6-v1"
OLD = "anthropic.claude-3-5-haiku-20241022-v1:0"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
HELLO = {"role": "user", "content": "Hi"}
PNG = base64.b64encode(b"\x89PNG rest").decode()
PDF = base64.b64encode(b"%PDF rest").decode()
FUNCTION = {"name": "look_up", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Bern"}'}}
CALLED = [HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}
EPHEMERAL = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}


def mapped(model: str = CLAUDE, *, strict: bool = False, **asked: Any) -> Mapped:
    made = map_request({"model": "m", "messages": [HELLO], **asked}, model, strict=strict)
    body = json.loads(json.dumps(made.body))
    assert check_converse(body, stream=made.stream) == []
    return made


def body_of(model: str = CLAUDE, **asked: Any) -> dict[str, Any]:
    """The body of a request that loses nothing."""
    made = mapped(model, **asked)
    assert made.warnings == ()
    return made.body


def content_of(*messages: Any, model: str = CLAUDE) -> list[list[dict[str, Any]]]:
    return [turn["content"] for turn in body_of(model, messages=list(messages))["messages"]]


def refused(model: str = CLAUDE, **asked: Any) -> str | None:
    with pytest.raises(InvalidRequest) as raised:
        mapped(model, **asked)
    return raised.value.param


def part(kind: str, **told: Any) -> dict[str, Any]:
    return {"type": kind, kind: told}


def test_a_plain_request_has_its_messages_and_nothing_else() -> None:
    assert body_of() == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize("stream", [True, False, None])
def test_what_is_streamed_is_told_by_the_address_alone(stream: bool | None) -> None:
    made = mapped(stream=stream, stream_options={"include_usage": True})
    assert made.stream is (stream is True)
    assert made.body.keys() == {"messages"}


def test_system_and_developer_messages_are_hoisted() -> None:
    said = body_of(messages=[{"role": "system", "content": "A"}, HELLO, {"role": "developer", "content": "B"}, HELLO])
    assert said["system"] == [{"text": "A"}, {"text": "B"}]
    assert said["messages"] == [{"role": "user", "content": [{"text": "Hi"}, {"text": "Hi"}]}]


def test_turns_alternate_and_blank_texts_are_left_out() -> None:
    (one, two, three) = content_of(
        HELLO, {"role": "user", "content": " \n"}, {"role": "assistant", "content": "Yes"}, HELLO, HELLO
    )
    assert (one, two, three) == ([{"text": "Hi"}], [{"text": "Yes"}], [{"text": "Hi"}, {"text": "Hi"}])


def test_a_prefill_loses_the_white_space_at_its_end() -> None:
    assert content_of(HELLO, {"role": "assistant", "content": "So: \n"})[1] == [{"text": "So:"}]


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (part("image_url", url=f"data:image/png;base64,{PNG}"), {"image": {"format": "png", "source": {"bytes": PNG}}}),
        (
            part("image_url", url=f"data:image/jpg;base64,{PNG}"),
            {"image": {"format": "jpeg", "source": {"bytes": PNG}}},
        ),
        (
            part("image_url", url="s3://my-bucket/a.webp"),
            {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://my-bucket/a.webp"}}}},
        ),
        (
            part("file", file_data=f"data:video/mp4;base64,{PNG}", filename="a.mp4"),
            {"video": {"format": "mp4", "source": {"bytes": PNG}}},
        ),
        (
            part("file", file_data=f"data:image/gif;base64,{PNG}"),
            {"image": {"format": "gif", "source": {"bytes": PNG}}},
        ),
        (part("input_audio", data=PNG, format="wav"), {"audio": {"format": "wav", "source": {"bytes": PNG}}}),
        (
            part("file", file_data=f"data:application/pdf;base64,{PDF}", filename="My report_v2.final.pdf"),
            {"document": {"name": "My report v2 final", "format": "pdf", "source": {"bytes": PDF}}},
        ),
        (
            part("file", file_data=PDF, filename="sheet.xlsx"),
            {"document": {"name": "sheet", "format": "xlsx", "source": {"bytes": PDF}}},
        ),
        (
            part("file", file_data=f"data:application/octet-stream;base64,{PDF}", filename="a.docx"),
            {"document": {"name": "a", "format": "docx", "source": {"bytes": PDF}}},
        ),
        (
            part("file", file_data="data:text/x-log,a%20b", filename="x"),
            {"document": {"name": "x", "format": "txt", "source": {"bytes": base64.b64encode(b"a b").decode()}}},
        ),
        (
            {**part("file", file_data=f"data:text/csv;base64,{PDF}"), "citations": True},
            {
                "document": {
                    "name": "document",
                    "format": "csv",
                    "source": {"bytes": PDF},
                    "citations": {"enabled": True},
                }
            },
        ),
    ],
)
def test_media_are_blocks_of_their_kind(media: dict[str, Any], block: dict[str, Any]) -> None:
    assert content_of({"role": "user", "content": [{"type": "text", "text": "See:"}, media]})[0][1] == block


@pytest.mark.parametrize(
    ("media", "where"),
    [
        (part("image_url", url="https://a.example/x.png"), ".image_url.url"),
        (part("image_url", url="http://169.254.169.254/"), ".image_url.url"),
        (part("image_url", url="data:image/tiff;base64,AAAA"), ".image_url.url"),
        (part("image_url", url=f"data:application/pdf;base64,{PDF}"), ".image_url.url"),
        (part("image_url", url="data:image/png;base64,*"), ".image_url.url"),
        (part("image_url", url="data:image/png;base64,"), ".image_url.url"),
        (part("image_url", url="data:image/png"), ".image_url.url"),
        (part("image_url", url="s3://x"), ".image_url.url"),
        (part("image_url", url="gs://bucket/x.png"), ".image_url.url"),
        (part("image_url", url=""), ".image_url"),
        ({"type": "image_url"}, ".image_url"),
        (part("file", file_id="file-1"), ".file"),
        (part("file", file_url="https://a.example/x.pdf"), ".file.file_url"),
        (part("file", file_data=PDF), ".file.file_data"),
        (part("file", file_data=f"data:application/zip;base64,{PDF}"), ".file.file_data"),
        ({"type": "file", "file": "x"}, ".file"),
        (part("input_audio", data=PNG, format="midi"), ".input_audio"),
        (part("input_audio", data="*", format="wav"), ".input_audio.data"),
        ({"type": "hologram"}, ""),
        ({"type": "text"}, ""),
        ("text", ""),
    ],
)
def test_a_part_that_cannot_be_sent_is_named(media: Any, where: str) -> None:
    assert refused(messages=[{"role": "user", "content": [media]}]) == f"messages[0].content[0]{where}"


def test_base64_is_brought_into_the_form_that_amazon_reads() -> None:
    loose = base64.urlsafe_b64encode(b"\xfb\xff\xfe?").decode().rstrip("=")
    (content,) = content_of({"role": "user", "content": [part("image_url", url=f"data:image/png;base64,{loose}\n")]})
    assert content[0]["image"]["source"]["bytes"] == base64.b64encode(b"\xfb\xff\xfe?").decode()


def test_documents_have_different_names_and_a_text_beside_them() -> None:
    file = part("file", file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf")
    first, answer, second = content_of(
        {"role": "user", "content": [file, {**file, "cache_control": EPHEMERAL}]},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": [{"type": "text", "text": "And?"}, file]},
    )
    assert [block["document"]["name"] for block in (*first, *second) if "document" in block] == ["a", "a (2)", "a (3)"]
    assert first[2:] == [{"text": "a, a (2)"}, POINT]
    assert answer == [{"text": "Yes"}]


def test_a_call_and_its_results_are_blocks() -> None:
    two = {**CALL, "id": "call_2", "function": {"name": "look_up", "arguments": ""}}
    messages = [HELLO, {"role": "assistant", "content": "Wait", "tool_calls": [CALL, two]}, RESULT]
    failed = {"role": "tool", "tool_call_id": "call_2", "content": "", "is_error": True}
    said = body_of(messages=[*messages, HELLO, failed], tools=[TOOL])["messages"]
    assert said[1]["content"] == [
        {"text": "Wait"},
        {"toolUse": {"toolUseId": "call_1", "name": "look_up", "input": {"city": "Bern"}}},
        {"toolUse": {"toolUseId": "call_2", "name": "look_up", "input": {}}},
    ]
    assert said[2]["content"] == [  # all results of the turn, before its other blocks
        {"toolResult": {"toolUseId": "call_1", "content": [{"text": "Sunny"}]}},
        {"toolResult": {"toolUseId": "call_2", "content": [], "status": "error"}},
        {"text": "Hi"},
    ]


def test_a_result_may_hold_an_image() -> None:
    image = part("image_url", url=f"data:image/png;base64,{PNG}")
    result = {**RESULT, "content": [{"type": "text", "text": "Look"}, image]}
    (block,) = body_of(messages=[*CALLED, result], tools=[TOOL])["messages"][2]["content"]
    assert [next(iter(each)) for each in block["toolResult"]["content"]] == ["text", "image"]


def test_an_id_that_amazon_does_not_take_is_changed_alike_in_call_and_result() -> None:
    made = set()
    for identifier in ("a b", "a/b", "x" * 65, "x" * 66, "fine_.:-", "ü"):
        messages = [HELLO, {"role": "assistant", "tool_calls": [{**CALL, "id": identifier}]}]
        said = body_of(messages=[*messages, {**RESULT, "tool_call_id": identifier}], tools=[TOOL])["messages"]
        made.add(said[1]["content"][0]["toolUse"]["toolUseId"])
        assert said[2]["content"][0]["toolResult"]["toolUseId"] in made
    assert len(made) == 6
    assert "fine_.:-" in made


def test_the_legacy_function_call_is_a_call() -> None:
    messages = [HELLO, {"role": "assistant", "content": None, "function_call": CALL["function"]}]
    said = body_of(
        messages=[*messages, {"role": "function", "name": "look_up", "content": "Sunny"}], functions=[FUNCTION]
    )
    assert said["messages"][1]["content"][0]["toolUse"]["input"] == {"city": "Bern"}
    assert said["toolConfig"]["tools"][0]["toolSpec"]["name"] == "look_up"


def test_signed_thoughts_go_back_first_and_as_they_came() -> None:
    blocks = [
        {"type": "thinking", "thinking": "", "signature": "c2ln+/=="},
        {"type": "redacted_thinking", "data": PNG},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
    ]
    turn = {"role": "assistant", "content": "Yes", "thinking_blocks": blocks, "reasoning_content": "unsigned"}
    _, said, _ = content_of(HELLO, turn, HELLO)
    assert said == [
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln+/=="}}},
        {"reasoningContent": {"redactedContent": PNG}},
        {"text": "Yes"},
    ]
    assert content_of(HELLO, turn, HELLO, model=LLAMA)[1] == [{"text": "Yes"}]


def test_thoughts_that_are_parts_are_left_out() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Yes"}]
    assert content_of(HELLO, {"role": "assistant", "content": parts})[1] == [{"text": "Yes"}]


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (7, ""),
        ({}, ".role"),
        ({"role": "wizard"}, ".role"),
        ({"role": "user"}, ".content"),
        ({"role": "system", "content": [part("image_url", url=f"data:image/png;base64,{PNG}")]}, ".content"),
        ({"role": "assistant", "content": [part("image_url", url=f"data:image/png;base64,{PNG}")]}, ".content"),
        ({"role": "assistant", "audio": {"id": "a"}}, ".audio"),
        ({"role": "assistant", "tool_calls": 5}, ".tool_calls"),
        ({"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}, ".tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}, ".tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{**CALL, "function": 5}]}, ".tool_calls[0].function.name"),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "a b"}}]},
            ".tool_calls[0].function.name",
        ),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "a", "arguments": "["}}]},
            ".tool_calls[0].function.arguments",
        ),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "a", "arguments": "[" * 10**5}}]},
            ".tool_calls[0].function.arguments",
        ),
        ({"role": "assistant", "thinking_blocks": "x"}, ".thinking_blocks"),
        ({"role": "assistant", "thinking_blocks": [{"type": "thinking"}]}, ".thinking_blocks[0]"),
        ({"role": "tool", "content": "x"}, ".tool_call_id"),
        ({"role": "function", "name": "a", "content": "x"}, ""),
        ({"role": "user", "content": "x", "cache_control": {"type": "forever"}}, ".cache_control"),
    ],
)
def test_a_message_that_is_not_understood_is_named(message: Any, where: str) -> None:
    assert refused(messages=[HELLO, message]) == f"messages[1]{where}"


@pytest.mark.parametrize(
    "messages", [None, "Hi", [], [{"role": "system", "content": " "}], [{"role": "user", "content": " "}]]
)
def test_there_must_be_something_to_answer(messages: Any) -> None:
    assert refused(messages=messages) == "messages"


def test_a_tool_is_a_specification() -> None:
    tools = [
        {"type": "function", "function": {**FUNCTION, "description": "Looks up.", "strict": True}},
        {"type": "function", "function": {"name": "now", "description": "", "parameters": {}}},
        {"type": "function", "function": {"name": "loose", "parameters": {"properties": {}}}},
    ]
    specs = [tool["toolSpec"] for tool in body_of(tools=tools)["toolConfig"]["tools"]]
    assert specs == [
        {
            "name": "look_up",
            "description": "Looks up.",
            "strict": True,
            "inputSchema": {"json": FUNCTION["parameters"]},
        },
        {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}},
        {"name": "loose", "inputSchema": {"json": {"type": "object", "properties": {}}}},
    ]


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "look_up"}}, {"tool": {"name": "look_up"}}),
        ({"type": "tool", "name": "look_up"}, {"tool": {"name": "look_up"}}),
        (None, None),
    ],
)
def test_a_choice_among_tools(told: Any, choice: Any) -> None:
    assert body_of(tools=[TOOL], tool_choice=told)["toolConfig"].get("toolChoice") == choice


def test_allowed_tools_are_the_only_ones_told() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "look_up"}}]}
    tools = [TOOL, {"type": "function", "function": {"name": "now"}}]
    config = body_of(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})["toolConfig"]
    assert (len(config["tools"]), config["toolChoice"]) == (1, {"any": {}})


def test_no_choice_means_no_tools_unless_the_history_has_calls() -> None:
    assert "toolConfig" not in body_of(tools=[TOOL], tool_choice="none")
    made = mapped(messages=[*CALLED, RESULT], tools=[TOOL], tool_choice="none")
    assert made.warnings == ("tool_choice",)
    assert made.body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "look_up", "inputSchema": {"json": FUNCTION["parameters"]}}}]
    }


def test_tools_of_the_history_are_declared_where_none_are_told() -> None:
    (tool,) = body_of(messages=[*CALLED, RESULT])["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "look_up"


def test_a_system_tool_of_amazons_is_told_in_its_own_form() -> None:
    tool = {"type": "system_tool", "extra_content": {"bedrock": {"systemTool": {"name": "nova_grounding"}}}}
    assert body_of(NOVA_2, tools=[tool])["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": 5}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"functions": 5}, "functions"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [TOOL], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [1]}},
            },
            "tool_choice.allowed_tools",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "5"}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_k": 0.5}, "top_k"),
        ({"stop": [1]}, "stop"),
        ({"thinking": True}, "thinking"),
        ({"reasoning_effort": 5}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
        ({"response_format": 5}, "response_format"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1d"}}, "cache_control"),
        ({"extra_content": 5}, "extra_content"),
        ({"extra_content": {"bedrock": 5}}, "extra_content"),
        ({"extra_content": {"bedrock": {"guardrailConfig": 5}}}, "extra_content.bedrock.guardrailConfig"),
    ],
)
def test_a_field_that_is_not_understood_is_named(asked: dict[str, Any], param: str) -> None:
    assert refused(**asked) == param


def test_the_configuration_of_inference() -> None:
    asked: dict[str, Any] = {"max_tokens": 5, "max_completion_tokens": 9, "temperature": 0.5, "stop": "END", "n": 1}
    config = {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]}
    assert body_of(**asked)["inferenceConfig"] == config
    assert body_of(LLAMA, **asked, top_p=0.9)["inferenceConfig"] == {**config, "topP": 0.9}


@pytest.mark.parametrize(
    ("model", "asked", "lost"),
    [
        (CLAUDE, {"temperature": 1.5}, ("temperature",)),
        (CLAUDE, {"temperature": 0.5, "top_p": 0.5}, ("top_p",)),
        (LLAMA, {"stop": ["\n", "END"]}, ("stop",)),
        (LLAMA, {"top_k": 5}, ("top_k",)),
        (PROFILE, {"top_k": 5}, ("top_k",)),
        (LLAMA, {"reasoning_effort": "low"}, ("reasoning_effort",)),
        (CLAUDE, {"reasoning_effort": "default"}, ("reasoning_effort",)),
        (OLD, {"reasoning_effort": "low"}, ("reasoning_effort",)),
        (LLAMA, {"thinking": {"type": "adaptive"}}, ("thinking",)),
        (GPT, {"reasoning_effort": "none"}, ("reasoning_effort",)),
        (CLAUDE, {"tools": [TOOL], "parallel_tool_calls": False}, ("parallel_tool_calls",)),
        (CLAUDE, {"tool_choice": "required"}, ("tool_choice",)),
        (CLAUDE, {"tools": [{"type": "web_search"}]}, ("tools",)),
        (LLAMA, {"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]}, ("tools.strict",)),
        (CLAUDE, {"response_format": {"type": "json_object"}}, ("response_format",)),
        (
            LLAMA,
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
            ("response_format",),
        ),
        (
            "us.anthropic.claude-opus-4-1-20250805-v1:0",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
            ("response_format",),
        ),
        (CLAUDE, {"service_tier": "scale"}, ("service_tier",)),
        (CLAUDE, {"extra_content": {"bedrock": {"modelId": "x"}}}, ("extra_content.bedrock.modelId",)),
        (CLAUDE, {"messages": [{**HELLO, "name": "Ann", "mood": "fine"}]}, ("messages.mood", "messages.name")),
        (
            CLAUDE,
            {"seed": 1, "n": 2, "logprobs": True, "user": "u", "metadata": {"a": "b"}, "logit_bias": {"1": 2}},
            ("seed", "n", "logprobs", "user", "metadata", "logit_bias"),
        ),
    ],
)
def test_what_is_dropped_is_named_or_refused(model: str, asked: dict[str, Any], lost: tuple[str, ...]) -> None:
    assert mapped(model, **asked).warnings == lost
    with pytest.raises(InvalidRequest) as raised:
        mapped(model, strict=True, **asked)
    assert raised.value.param in lost


def test_fields_that_ask_for_nothing_are_not_lost() -> None:
    body_of(n=1, logprobs=False, logit_bias={}, store=False, frequency_penalty=0, seed=None, service_tier="auto")
    body_of(extra_content={"google": {"x": 1}}, metadata={}, reasoning_effort="none", modalities=["text"])


@pytest.mark.parametrize(
    ("model", "fields"),
    [(CLAUDE, {"top_k": 5}), (NOVA, {"inferenceConfig": {"topK": 5}}), ("cohere.command-r-plus-v1:0", {"k": 5})],
)
def test_top_k_stands_where_the_model_has_it(model: str, fields: dict[str, Any]) -> None:
    assert body_of(model, top_k=5)["additionalModelRequestFields"] == fields


def test_an_effort_is_a_budget_for_claude_that_takes_one() -> None:
    made = mapped(CLAUDE, reasoning_effort="medium", temperature=0.5, top_k=4, tools=[TOOL])
    assert made.warnings == ("temperature", "top_k")
    assert made.body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 8192}}
    assert made.body["inferenceConfig"] == {"maxTokens": 64_000}
    small = body_of(CLAUDE, reasoning_effort="high", max_tokens=3000)
    assert small["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1500
    for asked in ({"max_tokens": 900}, {"messages": [*CALLED, RESULT]}, {"tools": [TOOL], "tool_choice": "required"}):
        made = mapped(CLAUDE, reasoning_effort="high", **asked)
        assert "reasoning_effort" in made.warnings
        assert "additionalModelRequestFields" not in made.body


def test_an_effort_is_one_for_claude_that_thinks_by_it() -> None:
    said = body_of(OPUS, reasoning_effort="xhigh")
    assert said["outputConfig"] == {"effort": "high"}
    assert said["additionalModelRequestFields"] == {"thinking": {"type": "adaptive", "display": "summarized"}}
    assert body_of(OPUS, reasoning_effort="none")["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    forced = body_of(OPUS, reasoning_effort="low", tools=[TOOL], tool_choice="required")
    assert forced["outputConfig"] == {"effort": "low"}
    assert "additionalModelRequestFields" not in forced


@pytest.mark.parametrize("model", [CLAUDE, PROFILE])
def test_thinking_passes_as_the_caller_wrote_it(model: str) -> None:
    thinking = {"type": "enabled", "budget_tokens": 70_000}
    made = mapped(model, thinking=thinking, tools=[TOOL], tool_choice="required", top_p=0.5)
    assert made.body["additionalModelRequestFields"] == {"thinking": thinking}
    assert made.body["inferenceConfig"]["maxTokens"] > 70_000
    assert made.body["toolConfig"]["toolChoice"] == {"auto": {}}
    assert set(made.warnings) == {"tool_choice", "top_p"}


def test_a_budget_that_is_none_makes_no_room() -> None:
    for budget in (0, -5, 10**30, "many", None):
        assert "inferenceConfig" not in mapped(CLAUDE, thinking={"type": "enabled", "budget_tokens": budget}).body


def test_nova_and_gpt_have_words_of_their_own_for_an_effort() -> None:
    config = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    said = body_of(NOVA_2, reasoning_effort="minimal", max_tokens=9)
    assert (said["additionalModelRequestFields"], said["inferenceConfig"]) == (config, {"maxTokens": 9})
    made = mapped(NOVA_2, reasoning_effort="high", max_tokens=9, temperature=0)
    assert made.warnings == ("max_tokens", "temperature")
    assert "inferenceConfig" not in made.body
    assert body_of(GPT, reasoning_effort="high")["additionalModelRequestFields"] == {"reasoning_effort": "high"}


def test_a_schema_holds_the_answer() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    form = {"type": "json_schema", "json_schema": {"name": "count", "schema": schema, "strict": True}}
    told = body_of(CLAUDE, response_format=form)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert told["name"] == "count"
    assert json.loads(told["schema"])["additionalProperties"] is False
    told = body_of(GPT, response_format=form)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(told["schema"]) == schema


def test_cache_points_stand_behind_the_five_places() -> None:
    tools = [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    system = {"role": "system", "content": [{"type": "text", "text": "A", "cache_control": EPHEMERAL}]}
    user = {"role": "user", "content": [{"type": "text", "text": "B", "cache_control": EPHEMERAL}]}
    said = body_of(
        messages=[system, user, CALLED[1], {**RESULT, "cache_control": EPHEMERAL}], tools=tools, cache_control=None
    )
    assert said["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert said["system"] == [{"text": "A"}, POINT]
    assert said["messages"][0]["content"] == [{"text": "B"}, POINT]
    assert said["messages"][2]["content"][1] == POINT
    assert body_of(cache_control=EPHEMERAL)["messages"][0]["content"] == [{"text": "Hi"}, POINT]
    assert body_of(messages=[{**HELLO, "cache_control": EPHEMERAL}])["messages"][0]["content"][1] == POINT


def test_of_more_than_four_cache_points_the_earliest_of_the_messages_go() -> None:
    system = {"role": "system", "content": [{"type": "text", "text": "A", "cache_control": EPHEMERAL}]}
    marked = [{**HELLO, "content": f"{n}", "cache_control": EPHEMERAL} for n in range(5)]
    made = mapped(messages=[system, *marked])
    assert made.warnings == ("cache_control",)
    kinds = [next(iter(block.values())) for block in made.body["messages"][0]["content"]]
    assert kinds == ["0", "1", "2", {"type": "default"}, "3", {"type": "default"}, "4", {"type": "default"}]
    assert made.body["system"][1] == POINT


def test_cache_points_are_left_out_where_the_model_has_none() -> None:
    tools = [{**TOOL, "cache_control": EPHEMERAL}]
    user = {**HELLO, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert "cachePoint" not in json.dumps(body_of(LLAMA, messages=[user], tools=tools))
    said = body_of(NOVA, messages=[user], tools=tools)
    assert said["messages"][0]["content"][1] == POINT
    assert len(said["toolConfig"]["tools"]) == 1


def test_what_is_amazons_own_passes() -> None:
    own = {
        "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "streamProcessingMode": "async"},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "a"},
        "serviceTier": {"type": "flex"},
        "additionalModelRequestFields": {"anthropic_beta": ["x"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "outputConfig": {"effort": "low"},
    }
    said = body_of(extra_content={"bedrock": own}, top_k=3, stream=True)
    assert said["additionalModelRequestFields"] == {"top_k": 3, "anthropic_beta": ["x"]}
    assert {name: said[name] for name in own if name != "additionalModelRequestFields"} == {
        name: value for name, value in own.items() if name != "additionalModelRequestFields"
    }
    assert "streamProcessingMode" not in body_of(extra_content={"bedrock": own})["guardrailConfig"]


def test_a_tier_of_service_is_told() -> None:
    assert body_of(service_tier="priority")["serviceTier"] == {"type": "priority"}


def test_instructions_alone_are_said_by_the_user() -> None:
    made = map_request({"messages": [{"role": "developer", "content": "Tell a joke."}]}, "amazon.nova-pro-v1:0").body
    assert made == {"messages": [{"role": "user", "content": [{"text": "Tell a joke."}]}]}
