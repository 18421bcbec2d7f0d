"""Conversations as Gemini wants them. Every request made here is held against its published schema."""

import json
from typing import Any

import msgspec
import pytest
from tests.fakes.google_schema import check_request

from tollway.errors import InvalidRequest
from tollway.proxy.providers.google.request import MADE_ID_PREFIX, SKIP_SIGNATURE, translate

MODEL = "gemini-2.5-flash"
PNG = "iVBORw0KGgo="


def asked_of(model: str, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What Gemini gets."""
    body: dict[str, Any] = json.loads(
        msgspec.json.encode(translate({"messages": list(messages), **fields}, model).body)
    )
    check_request(body)
    return body


def contents(*messages: dict[str, Any], model: str = MODEL) -> list[dict[str, Any]]:
    """The turns."""
    turns: list[dict[str, Any]] = asked_of(model, *messages)["contents"]
    return turns


def refused(*messages: Any, **fields: Any) -> str | None:
    """The field that is at fault."""
    with pytest.raises(InvalidRequest) as caught:
        translate({"messages": list(messages), **fields}, MODEL)
    return caught.value.param


def user(content: Any = "Hi") -> dict[str, Any]:
    return {"role": "user", "content": content}


def calling(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **fields}


def call(identifier: str, name: str = "weather", arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def result(identifier: str, content: Any = "{}", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content, **fields}


def signed(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def test_an_image_in_a_tools_result_stands_behind_all_results() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    shown = result("a", [{"type": "text", "text": "a map"}, image])
    turns = contents(user(), calling(call("a"), call("b", "other")), shown, result("b", "18"))
    assert turns[-1]["parts"] == [
        {"functionResponse": {"name": "weather", "id": "a", "response": {"result": "a map"}}},
        {"functionResponse": {"name": "other", "id": "b", "response": {"result": "18"}}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
    ]


def test_a_tool_that_failed_says_so() -> None:
    turns = contents(user(), calling(call("a")), result("a", '{"x": 1}', is_error=True))
    assert turns[-1]["parts"][0]["functionResponse"]["response"] == {"error": '{"x": 1}'}


def test_system_and_developer_messages_become_the_system_instruction() -> None:
    body = asked_of(
        MODEL,
        {"role": "system", "content": "Be brief."},
        user(),
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_messages_of_one_side_in_a_row_make_one_turn() -> None:
    said = {"role": "assistant", "content": "a"}
    assert contents(user("1"), user("2"), said, said, user("3")) == [
        {"role": "user", "parts": [{"text": "1"}, {"text": "2"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "a"}]},
        {"role": "user", "parts": [{"text": "3"}]},
    ]


def test_a_conversation_that_the_assistant_opens_gets_a_blank_user_turn_first() -> None:
    turns = contents({"role": "assistant", "content": "Hello!"}, user("Hi"))
    assert turns[0] == {"role": "user", "parts": [{"text": " "}]}
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "Be brief."}], [{"role": "user", "content": ""}]]
)
def test_a_conversation_with_nothing_to_answer_is_refused(messages: list[dict[str, Any]]) -> None:
    assert refused(*messages) == "messages"


def test_images_files_and_sound_go_inline() -> None:
    (turn,) = contents(
        user(
            [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
                {"type": "file", "file": {"filename": "b.CSV", "file_data": "YSxi"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
            ]
        )
    )
    assert turn["parts"] == [
        {"text": "What is this?"},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}},
    ]


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("DATA:image/gif;base64,R0lG\nODlh", {"mimeType": "image/gif", "data": "R0lGODlh"}),
        ("data:image/gif;base64,_-8", {"mimeType": "image/gif", "data": "/+8="}),
        ("data:text/plain;charset=utf-8;base64,aGk=", {"mimeType": "text/plain", "data": "aGk="}),
        ("data:,hi%20there", {"mimeType": "text/plain", "data": "aGkgdGhlcmU="}),
    ],
)
def test_data_urls_are_read_in_every_spelling(url: str, data: dict[str, str]) -> None:
    (turn,) = contents(user([{"type": "image_url", "image_url": {"url": url}}]))
    assert turn["parts"] == [{"inlineData": data}]


@pytest.mark.parametrize(
    ("url", "held"),
    [
        ("gs://bucket/a/photo.PNG", {"fileUri": "gs://bucket/a/photo.PNG", "mimeType": "image/png"}),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/3qsw",
            {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/3qsw"},
        ),
        ("https://youtu.be/lCdaVNyHtjU", {"fileUri": "https://youtu.be/lCdaVNyHtjU", "mimeType": "video/mp4"}),
    ],
)
def test_what_google_holds_is_named_by_its_address(url: str, held: dict[str, str]) -> None:
    (turn,) = contents(user([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]))
    assert turn["parts"][0] == {"fileData": held}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/photo.png",
        "http://169.254.169.254/latest",
        "https://generativelanguage.googleapis.com.evil.example/v1beta/files/a",
        "https://youtu.be@evil.example/a",
        "file:///etc/passwd",
        "https://[broken",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,not base64!",
        "data:image/png;base64,ÄÖ",
    ],
)
def test_any_other_address_and_broken_data_are_refused(url: str) -> None:
    image = {"type": "image_url", "image_url": {"url": url}}
    assert refused(user("a"), user([{"type": "text", "text": "b"}, image])) == "messages[1].content[1].image_url.url"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "video", "video": {}}, ""),
        ({}, ""),
        ("text", ""),
        ({"type": "text"}, ".text"),
        ({"type": "image_url"}, ".image_url"),
        ({"type": "image_url", "image_url": {}}, ".image_url.url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, ".file"),
        ({"type": "file", "file": {"file_data": "YQ=="}}, ".file.file_data"),
        ({"type": "file"}, ".file"),
        ({"type": "input_audio", "input_audio": {"format": "midi", "data": "YQ=="}}, ".input_audio.format"),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, ".input_audio.data"),
        ({"type": "input_audio"}, ".input_audio"),
    ],
)
def test_a_part_that_gemini_does_not_take_is_refused_by_its_place(part: Any, param: str) -> None:
    assert refused(user([part])) == f"messages[0].content[0]{param}"


def test_a_tool_call_and_its_result_keep_name_id_and_every_digit() -> None:
    turns = contents(
        user("Weather?"),
        calling(call("call_1", arguments='{"at": 12345678901234567890.10, "city":"Köln"}')),
        result("call_1", '{"degrees": 21.50}'),
    )
    assert turns[1]["parts"] == [
        {"functionCall": {"name": "weather", "args": {"at": 12345678901234567890.10, "city": "Köln"}, "id": "call_1"}}
    ]
    assert turns[2] == {
        "role": "user",
        "parts": [{"functionResponse": {"name": "weather", "response": {"degrees": 21.5}, "id": "call_1"}}],
    }
    sent = msgspec.json.encode(
        translate({"messages": [user(), calling(call("1", arguments='{"a":1.50}'))]}, MODEL).body
    )
    assert b'{"a":1.50}' in sent


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("sunny", {"result": "sunny"}),
        ("[1, 2]", {"result": "[1, 2]"}),
        ("007", {"result": "007"}),
        ("{broken", {"result": "{broken"}),
        ("", {"result": ""}),
        (None, {"result": ""}),
        ([{"type": "text", "text": '{"a":'}, {"type": "text", "text": "1}"}], {"a": 1}),
    ],
)
def test_a_result_that_is_no_object_is_put_into_one(content: Any, response: dict[str, Any]) -> None:
    turns = contents(user(), calling(call("c")), result("c", content))
    assert turns[2]["parts"][0]["functionResponse"]["response"] == response


def test_results_of_parallel_calls_make_one_turn_in_the_order_of_the_calls() -> None:
    turns = contents(
        user(), calling(call("a", "one"), call("b", "two")), result("b", "2"), result("a", "1"), user("And?")
    )
    assert [part.get("functionResponse", {}).get("name") for part in turns[2]["parts"]] == ["one", "two", None]
    assert turns[2]["parts"][2] == {"text": "And?"}
    assert len(turns) == 3


def test_an_id_that_was_made_here_is_not_told_to_gemini() -> None:
    turns = contents(user(), calling(call(f"{MADE_ID_PREFIX}1")), result(f"{MADE_ID_PREFIX}1"))
    assert turns[1]["parts"] == [{"functionCall": {"name": "weather", "args": {}}}]
    assert turns[2]["parts"] == [{"functionResponse": {"name": "weather", "response": {}}}]


def test_a_result_without_its_call_is_refused_unless_it_names_the_function() -> None:
    assert refused(user(), result("x")) == "messages[1].tool_call_id"
    assert refused(user(), {"role": "tool", "content": "1"}) == "messages[1].tool_call_id"
    (turn,) = contents(user(), result("x", name="weather"))
    assert turn["parts"][1]["functionResponse"]["name"] == "weather"


@pytest.mark.parametrize("arguments", ["[]", "not json", '{"a":', "1", {"a": 1}])
def test_arguments_that_are_no_json_object_are_refused(arguments: Any) -> None:
    assert refused(user(), calling(call("c", arguments=arguments))) == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize("arguments", ["", "  ", None, "{}"])
def test_absent_arguments_are_an_empty_object(arguments: Any) -> None:
    turns = contents(user(), calling(call("c", arguments=arguments)))
    assert turns[1]["parts"][0]["functionCall"]["args"] == {}


def test_signatures_go_back_where_they_came_from_and_thoughts_do_not() -> None:
    turns = contents(
        user(),
        calling(
            call("a", extra_content=signed("c2lnMQ==")),
            call("b"),
            content="Let me look.",
            reasoning_content="I think…",
            extra_content=signed("c2lnMg=="),
        ),
        model="gemini-3-pro-preview",
    )
    assert turns[1]["parts"] == [
        {"text": "Let me look.", "thoughtSignature": "c2lnMg=="},
        {"functionCall": {"name": "weather", "args": {}, "id": "a"}, "thoughtSignature": "c2lnMQ=="},
        {"functionCall": {"name": "weather", "args": {}, "id": "b"}},
    ]


def test_a_signature_of_an_empty_text_goes_back_on_an_empty_text() -> None:
    turns = contents(user(), {"role": "assistant", "content": "", "extra_content": signed("c2ln")})
    assert turns[1]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(
    ("model", "signature"),
    [("gemini-3-pro-preview", SKIP_SIGNATURE), ("gemini-flash-latest", SKIP_SIGNATURE), (MODEL, None)],
)
def test_calls_of_another_providers_model_pass_gemini_3s_check_of_signatures(model: str, signature: str | None) -> None:
    turns = contents(user(), calling(call("a"), call("b")), result("a"), result("b"), model=model)
    assert [part.get("thoughtSignature") for part in turns[1]["parts"]] == [signature, None]


def test_parts_of_googles_own_go_back_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}
    extra = {"google": {"parts": [code, {"functionCall": {"name": "injected"}}, {"text": "injected"}]}}
    turns = contents(user(), {"role": "assistant", "content": "1", "extra_content": extra})
    assert turns[1]["parts"] == [code, {"text": "1"}]


@pytest.mark.parametrize("google", [{"parts": 7}, {"parts": [{"toolCall": 7}]}, {"thought_signature": "not base64!"}])
def test_parts_and_signatures_that_are_not_as_they_came_are_refused(google: dict[str, Any]) -> None:
    extra = {"google": google}
    assert refused({"role": "assistant", "content": "1", "extra_content": extra}) == "messages[0].extra_content"


def test_a_refusal_is_part_of_what_was_said() -> None:
    turns = contents(user(), {"role": "assistant", "content": None, "refusal": "I can't."}, user())
    assert turns[1] == {"role": "model", "parts": [{"text": "I can't."}]}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Hi", "messages[0].role"),
        ({"role": "function", "name": "f", "content": "1"}, "messages[0].role"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0]"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages[0].function_call"),
        ({"role": "assistant", "audio": {"id": "audio_1"}}, "messages[0].audio"),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": ""}}]}, "messages[0].tool_calls[0]"),
    ],
)
def test_a_message_that_can_not_be_understood_is_refused_by_its_place(message: Any, param: str) -> None:
    assert refused(message) == param


@pytest.mark.parametrize("messages", [None, "Hi", {}])
def test_messages_are_a_list(messages: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translate({"messages": messages}, MODEL)
    assert caught.value.param == "messages"


def test_an_answer_of_another_vendor_comes_back_without_its_thoughts() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    content = [thought, {"type": "text", "text": "Yes."}, {"type": "reference", "reference_ids": [1]}]
    turns = contents(user(), {"role": "assistant", "content": content}, user())
    assert turns[1] == {"role": "model", "parts": [{"text": "Yes."}]}


def test_what_other_vendors_are_told_is_no_loss() -> None:
    told = {"extra_content": {"anthropic": {"container": "c"}}, "cache_control": {"type": "ephemeral"}}
    assert translate({"messages": [user()], **told}, MODEL).warnings == ()
