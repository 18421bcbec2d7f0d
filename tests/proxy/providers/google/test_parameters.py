"""Parameters, thinking and tools as Gemini takes them; each request is held against its published schema."""

import json
from typing import Any

import msgspec
import pytest
from tests.fakes.google_schema import check_request

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.request import Translated, translate

MODEL = "gemini-2.5-flash"
HELLO = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False},
    },
}
TIME = {"type": "function", "function": {"name": "time"}}


def translated(model: str = MODEL, **fields: Any) -> Translated:
    made = translate({"model": model, "messages": HELLO, **fields}, model)
    check_request(json.loads(msgspec.json.encode(made.body)))
    return made


def config(model: str = MODEL, **fields: Any) -> Any:
    """What is generated how; without a warning."""
    made = translated(model, **fields)
    assert made.warnings == ()
    return made.body.get("generationConfig")


def refused(**fields: Any) -> str | None:
    with pytest.raises(InvalidRequest) as caught:
        translate({"messages": HELLO, **fields}, MODEL)
    return caught.value.param


def test_a_plain_request_has_no_generation_config() -> None:
    assert config() is None
    assert config(n=1, stop=[], stream=True, stream_options={"include_usage": True}, temperature=None) is None


def test_openais_parameters_have_names_of_googles() -> None:
    assert config(
        max_tokens=9,
        max_completion_tokens=10,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop="END",
        n=2,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
    ) == {
        "maxOutputTokens": 10,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": -0.1,
        "responseLogprobs": True,
        "logprobs": 3,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"seed": "1"}, "seed"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2**31}}, "thinking"),
        ({"thinking_config": {"thinking_budget": -2}}, "thinking_config"),
        ({"stop": 7}, "stop"),
        ({"stop": ["a", 7]}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"top_k": "many"}, "top_k"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
            "response_format.json_schema.schema",
        ),
        ({"modalities": "text"}, "modalities"),
        ({"safety_settings": {}}, "safety_settings"),
        ({"safety_settings": [{"category": "X"}]}, "safety_settings"),
        ({"cached_content": 1}, "cached_content"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"media_resolution": "sharp"}, "media_resolution"),
        ({"thinking_config": {"thinking_level": "deep"}}, "thinking_config"),
        ({"thinking": True}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking"),
        ({"thinking_config": {"budget": 1}}, "thinking_config"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_its_field(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields) == param


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"logit_bias": {"1": 2}, "user": "u", "metadata": {}}, ("logit_bias", "user", "metadata")),
        ({"parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"parallel_tool_calls": True, "user": None, "service_tier": "auto"}, ()),
        ({"service_tier": "scale"}, ("service_tier",)),
        ({"seed": 2**31}, ("seed",)),
        ({"stop": ["1", "2", "3", "4", "5", "6"]}, ("stop",)),
        ({"reasoning_effort": "wild"}, ("reasoning_effort",)),
        ({"extra_body": {"google": {"what": 1}, "other": 2}}, ("extra_body.other", "google.what")),
        ({"messages": [{"role": "user", "content": "Hi", "name": "Al"}] * 2}, ("name",)),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ==", "detail": "high"}}
                        ],
                    }
                ]
            },
            ("detail",),
        ),
    ],
)
def test_what_gemini_can_not_take_is_left_out_with_a_warning(fields: dict[str, Any], warnings: tuple[str, ...]) -> None:
    assert translated(**fields).warnings == warnings


def test_of_too_many_stop_sequences_the_first_five_are_kept() -> None:
    made = translated(stop=["1", "", "2", "3", "4", "5", "6"])
    assert made.body["generationConfig"] == {"stopSequences": ["1", "2", "3", "4", "5"]}


def test_json_is_asked_for_by_type_and_by_schema() -> None:
    assert config(response_format={"type": "text"}) is None
    assert config(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}
    schema = {"type": "object", "properties": {"a": {"type": "string", "default": ""}}, "$schema": "x"}
    wanted = {"type": "json_schema", "json_schema": {"name": "A", "strict": True, "schema": schema}}
    assert config(response_format=wanted) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
    }


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-flash-latest", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("models/gemini-3-flash-preview", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro-preview", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3.6-flash", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
    ],
)
def test_an_effort_is_a_budget_or_a_level_by_the_models_generation(
    model: str, effort: str, expected: dict[str, Any]
) -> None:
    assert config(model, reasoning_effort=effort) == {"thinkingConfig": expected}


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3-27b-it"])
def test_a_model_that_does_not_think_is_not_asked_to(model: str) -> None:
    made = translated(model, reasoning_effort="high")
    assert (made.warnings, made.body.get("generationConfig")) == (("reasoning_effort",), None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingBudget": 2000, "includeThoughts": True}),
        ({"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        ({"thinking": {"type": "adaptive"}}, {"thinkingBudget": -1, "includeThoughts": True}),
        ({"thinking": {"thinking_budget": 5}}, {"thinkingBudget": 5}),
        ({"thinking_config": {"includeThoughts": True}}, {"includeThoughts": True}),
        ({"google": {"thinking_config": {"thinking_level": "low"}}}, {"thinkingLevel": "LOW"}),
        (
            {
                "extra_body": {"google": {"thinking_config": {"thinking_budget": 9, "include_thoughts": True}}},
                "reasoning_effort": "high",
            },
            {"thinkingBudget": 9, "includeThoughts": True},
        ),
    ],
)
def test_thinking_can_be_said_in_other_ways(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(**fields) == {"thinkingConfig": expected}


def test_googles_own_settings_pass_in_both_spellings() -> None:
    setting = {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}
    low = "MEDIA_RESOLUTION_LOW"
    for fields in (
        {
            "safety_settings": [setting],
            "cached_content": "cachedContents/1",
            "media_resolution": low.lower(),
        },
        {"safetySettings": [setting], "cachedContent": "cachedContents/1", "mediaResolution": low},
        {
            "extra_body": {
                "google": {
                    "safety_settings": [setting],
                    "cached_content": "cachedContents/1",
                    "media_resolution": "MEDIA_RESOLUTION_LOW",
                }
            }
        },
    ):
        made = translated(**fields)
        assert made.warnings == ()
        assert made.body["safetySettings"] == [setting]
        assert made.body["cachedContent"] == "cachedContents/1"
        assert made.body["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}


def test_modalities_speech_and_tier_are_named_as_google_does() -> None:
    speech = {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}}
    made = translated(modalities=["text", "image"], speech_config=speech, service_tier="flex")
    assert made.body["generationConfig"] == {
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
        "responseModalities": ["TEXT", "IMAGE"],
    }
    assert made.body["serviceTier"] == "flex"
    assert config(modalities=["text"]) is None


def test_functions_are_declared_with_their_schema() -> None:
    assert translated(tools=[WEATHER, TIME]).body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "The weather",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "additionalProperties": False,
                    },
                },
                {"name": "time"},
            ]
        }
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "time"}}, {"mode": "ANY", "allowedFunctionNames": ["time"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TIME]}},
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
    ],
)
def test_a_choice_of_tools_is_a_calling_mode(choice: Any, expected: dict[str, Any]) -> None:
    body = translated(tools=[WEATHER, TIME], tool_choice=choice).body
    assert body["toolConfig"] == {"functionCallingConfig": expected}
    assert len(body["tools"][0]["functionDeclarations"]) == 2


def test_tools_that_are_allowed_but_not_required_are_the_only_ones_declared() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}
    body = translated(tools=[WEATHER, TIME], tool_choice=choice).body
    assert body["tools"] == [{"functionDeclarations": [{"name": "time"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


def test_a_choice_without_functions_is_not_said() -> None:
    assert "toolConfig" not in translated(tool_choice="none").body


def test_googles_own_tools_pass_beside_functions() -> None:
    body = translated(
        tools=[
            TIME,
            {"type": "google_search"},
            {"google_search": {"time_range_filter": {"start_time": "2026-01-01T00:00:00Z"}}},
            {"type": "code_execution"},
            {"urlContext": {}},
        ],
        tool_config={"include_server_side_tool_invocations": True},
        tool_choice="auto",
    ).body
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "time"}]},
        {"googleSearch": {}},
        {"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}},
        {"codeExecution": {}},
        {"urlContext": {}},
    ]
    assert body["toolConfig"] == {
        "includeServerSideToolInvocations": True,
        "functionCallingConfig": {"mode": "AUTO"},
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": {"a": 1}}, "tools"),
        ({"tools": [TIME, {"type": "custom", "custom": {"name": "x"}}]}, "tools[1]"),
        ({"tools": [{"type": "google_search", "google_search": 1}]}, "tools[0]"),
        ({"tools": ["time"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]}, "tools[0].function.parameters"),
        ({"tools": [TIME], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [TIME], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, "tool_choice"),
    ],
)
def test_a_tool_that_can_not_be_understood_is_refused_by_its_place(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields) == param
