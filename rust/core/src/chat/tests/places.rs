//! Where texts stand in the requests of every operation.

use serde_json::{Value, json};

use super::{Screened as _, read_as};
use crate::chat::Operation;
use crate::tokens::Encoding;

const CANARY: &str = "bob@example.org";

/// Asserts that `expected` canaries are found in the body, and that nothing else of it changes.
fn assert_found(operation: Operation, body: &Value, expected: usize) {
    let body = body.to_string();
    let request = read_as(operation, &body).unwrap();
    let found: usize = request.screen().iter().map(|(_, count)| count).sum();
    assert_eq!(found, expected, "{body}");
    let (redacted, _) = request.redacted().expect("findings");
    assert_eq!(
        String::from_utf8(redacted).unwrap(),
        body.replace(CANARY, "[EMAIL]"),
        "nothing else changes"
    );
    assert!(request.prompt_upper_bound() >= request.count_prompt(Encoding::O200k));
}

fn message(block: &Value) -> Value {
    json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [block]}]})
}

fn item(item: &Value) -> Value {
    json!({"model": "m", "input": [item]})
}

fn refusal(operation: Operation, body: &str) -> Option<String> {
    read_as(operation, body).expect_err("an invalid request").param
}

#[test]
fn every_operation_is_found_by_its_name() {
    for operation in Operation::ALL {
        assert_eq!(Operation::named(operation.name()), Some(operation));
    }
    assert_eq!(Operation::named("batches"), None);
}

#[test]
fn every_text_of_a_message_is_found() {
    let nested = json!({"type": "text", "text": CANARY});
    for (block, expected) in [
        (
            json!({"type": "text", "text": CANARY, "citations": [{"type": "char_location", "cited_text": CANARY, "document_title": CANARY}]}),
            3,
        ),
        (
            json!({"type": "tool_use", "id": "t", "name": "f", "input": {"to": CANARY, "id": CANARY, "type": [CANARY]}}),
            3,
        ),
        (
            json!({"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": CANARY}}),
            1,
        ),
        (json!({"type": "tool_result", "tool_use_id": "t", "content": CANARY}), 1),
        (
            json!({"type": "tool_result", "tool_use_id": "t", "content": [nested, nested]}),
            2,
        ),
        (
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": CANARY}, "title": CANARY, "context": CANARY}),
            3,
        ),
        (
            json!({"type": "document", "source": {"type": "content", "content": [nested]}}),
            1,
        ),
        (
            json!({"type": "document", "source": {"type": "content", "content": CANARY}}),
            1,
        ),
        (
            json!({"type": "search_result", "source": CANARY, "title": CANARY, "content": [nested]}),
            3,
        ),
        (
            json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "search_result", "source": "kb", "title": CANARY, "content": [nested]}]}),
            2,
        ),
        (
            json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "document", "source": {"type": "content", "content": [nested]}}]}),
            1,
        ),
        (
            json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "title": CANARY, "url": "u", "encrypted_content": "e@example.org"}]}),
            1,
        ),
        (
            json!({"type": "bash_code_execution_tool_result", "tool_use_id": "t", "content": {"type": "bash_code_execution_result", "stdout": CANARY, "stderr": CANARY}}),
            2,
        ),
        (json!({"type": "compaction", "content": CANARY}), 1),
        (json!({"type": "yet_unknown", "blob": {"words": [CANARY]}}), 1),
    ] {
        for operation in [Operation::Messages, Operation::CountTokens] {
            assert_found(operation, &message(&block), expected);
        }
    }
}

#[test]
fn the_systems_texts_are_found_in_both_forms() {
    for system in [
        json!(CANARY),
        json!([{"type": "text", "text": CANARY, "cache_control": {"type": "ephemeral"}}]),
    ] {
        let body = json!({"model": "m", "system": system, "messages": [{"role": "user", "content": CANARY}],
            "context_management": {"edits": [{"type": "compact_20260112", "instructions": CANARY}]}});
        assert_found(Operation::Messages, &body, 3);
    }
}

#[test]
fn a_signed_thought_is_counted_and_screened_and_never_changed() {
    let body = message(&json!({"type": "thinking", "thinking": CANARY, "signature": "s@example.org"})).to_string();
    let request = read_as(Operation::Messages, &body).unwrap();
    assert_eq!(request.text_bytes(), CANARY.len());
    assert_eq!(request.screen().len(), 1);
    assert!(request.redacted().is_none());
    let sealed = message(&json!({"type": "redacted_thinking", "data": CANARY})).to_string();
    assert_eq!(read_as(Operation::Messages, &sealed).unwrap().text_bytes(), 0);
}

#[test]
fn a_block_of_two_types_hides_nothing() {
    for block in [
        r#"{"type": "thinking", "type": "text", "text": "bob@example.org"}"#,
        r#"{"type": "redacted_thinking", "data": "bob@example.org", "type": "text"}"#,
        r#"{"type": "document", "source": {"type": "base64", "data": "bob@example.org", "type": "text"}}"#,
        r#"{"data": "bob@example.org", "type": "redacted\u005fthinking"}"#,
    ] {
        let body = format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": [{block}]}}]}}"#);
        let (redacted, _) = read_as(Operation::Messages, &body).unwrap().redacted().unwrap();
        assert_eq!(String::from_utf8(redacted).unwrap(), body.replace(CANARY, "[EMAIL]"));
    }
}

#[test]
fn images_and_documents_are_weighed_and_not_read() {
    let text = read_as(
        Operation::Messages,
        &message(&json!({"type": "text", "text": ""})).to_string(),
    )
    .unwrap()
    .count_prompt(Encoding::O200k);
    for source in [
        json!({"type": "base64", "media_type": "image/png", "data": "4111111111111111"}),
        json!({"type": "url", "url": "https://example.org/4111111111111111"}),
        json!({"type": "file", "file_id": "file_4111111111111111"}),
    ] {
        for (block, tokens) in [("image", 765), ("document", 1445)] {
            let block = json!({"source": source, "cache_control": {"type": "ephemeral"}, "type": block});
            for body in [
                message(&block),
                message(&json!({"type": "tool_result", "tool_use_id": "t", "content": [block]})),
            ] {
                let body = body.to_string();
                let request = read_as(Operation::Messages, &body).unwrap();
                assert_eq!(request.count_prompt(Encoding::O200k) - text, tokens, "{body}");
                assert_eq!(request.text_bytes(), 0, "{body}");
                assert!(request.screen().is_empty());
            }
        }
    }
}

#[test]
fn every_text_of_an_item_is_found() {
    for (one, expected) in [
        (json!({"role": "user", "content": CANARY}), 1),
        (
            json!({"type": "message", "id": "i", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": CANARY}]}),
            1,
        ),
        (
            json!({"role": "assistant", "content": [
            {"type": "output_text", "text": CANARY, "annotations": [{"type": "url_citation", "url": CANARY, "title": CANARY}], "logprobs": [{"token": "t@example.org"}]},
            {"type": "refusal", "refusal": CANARY}]}),
            4,
        ),
        (
            json!({"type": "function_call", "call_id": "c", "name": CANARY, "arguments": "{\"to\": \"bob@example.org\"}"}),
            2,
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": CANARY}),
            1,
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": CANARY}]}),
            1,
        ),
        (
            json!({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": CANARY}),
            1,
        ),
        (
            json!({"type": "custom_tool_call_output", "call_id": "c", "output": CANARY}),
            1,
        ),
        (
            json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": CANARY}],
            "content": [{"type": "reasoning_text", "text": CANARY}], "encrypted_content": "e@example.org"}),
            2,
        ),
        (
            json!({"type": "mcp_call", "id": "i", "server_label": "s", "name": "f", "arguments": CANARY, "output": CANARY, "error": CANARY}),
            3,
        ),
        (
            json!({"type": "mcp_approval_response", "approval_request_id": "a", "approve": true, "reason": CANARY}),
            1,
        ),
        (
            json!({"type": "tool_search_call", "arguments": {"queries": [CANARY]}}),
            1,
        ),
        (
            json!({"type": "web_search_call", "id": "i", "action": {"type": "search", "query": CANARY, "queries": [CANARY]}}),
            2,
        ),
        (
            json!({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["mail", CANARY], "env": {"id": CANARY}}}),
            2,
        ),
        (
            json!({"type": "shell_call_output", "call_id": "c", "output": [{"stdout": CANARY, "stderr": CANARY, "outcome": {"type": "exit"}}]}),
            2,
        ),
        (
            json!({"type": "code_interpreter_call", "id": "i", "code": CANARY, "outputs": [{"type": "logs", "logs": CANARY}, {"type": "image", "url": "u@example.org"}]}),
            2,
        ),
        (
            json!({"type": "file_search_call", "id": "i", "queries": [CANARY], "results": [{"file_id": "f", "filename": CANARY, "text": CANARY, "attributes": {"type": CANARY}}]}),
            4,
        ),
        (
            json!({"type": "input_file", "filename": CANARY, "file_data": "f@example.org"}),
            1,
        ),
        (json!({"type": "yet_unknown", "blob": {"words": [CANARY]}}), 1),
    ] {
        assert_found(Operation::Responses, &item(&one), expected);
    }
}

#[test]
fn the_texts_beside_the_items_are_found() {
    let variables = json!({"id": CANARY, "type": CANARY, "image_url": CANARY, "a": {"type": "input_text", "text": CANARY},
        "b": {"type": "input_image", "image_url": "i@example.org"}});
    let body = json!({"model": "m", "instructions": CANARY, "input": CANARY,
        "prompt": {"id": "p@example.org", "variables": variables}, "metadata": {"a": "m@example.org"}});
    assert_found(Operation::Responses, &body, 6);
}

#[test]
fn the_media_of_items_are_weighed_and_not_read() {
    let parts = [
        (
            json!({"type": "input_image", "image_url": "data:image/png;base64,4111111111111111"}),
            765,
        ),
        (json!({"type": "input_image", "file_id": "4111111111111111"}), 765),
        (json!({"type": "input_file", "file_id": "4111111111111111"}), 1445),
        (
            json!({"type": "input_file", "file_url": "https://example.org/4111111111111111"}),
            1445,
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "4111111111111111", "format": "wav"}}),
            1445,
        ),
    ];
    let tokens = |content: &Value| {
        let body = item(&json!({"role": "user", "content": content})).to_string();
        let request = read_as(Operation::Responses, &body).unwrap();
        assert!(request.screen().is_empty(), "{body}");
        assert_eq!(request.text_bytes(), 0, "{body}");
        request.count_prompt(Encoding::O200k)
    };
    for (part, expected) in parts {
        assert_eq!(tokens(&json!([part])) - tokens(&json!("")), expected, "{part}");
    }
    let drawn = item(&json!({"type": "image_generation_call", "id": "i", "result": "4111111111111111"})).to_string();
    assert!(read_as(Operation::Responses, &drawn).unwrap().screen().is_empty());
}

#[test]
fn definitions_of_tools_are_counted_wherever_they_stand_and_left_alone() {
    let tools = json!([{"type": "function", "name": "f", "description": "mail bob@example.org"}]);
    let tokens = Encoding::O200k.count(&tools.to_string());
    for (operation, with, without) in [
        (
            Operation::Responses,
            item(&json!({"type": "additional_tools", "tools": tools})),
            item(&json!({"type": "additional_tools"})),
        ),
        (
            Operation::Responses,
            json!({"model": "m", "input": "", "tools": tools}),
            json!({"model": "m", "input": ""}),
        ),
        (
            Operation::Responses,
            json!({"model": "m", "input": "", "text": {"format": tools, "verbosity": "low"}}),
            json!({"model": "m", "input": "", "text": {"verbosity": "low"}}),
        ),
        (
            Operation::Messages,
            json!({"model": "m", "messages": [{}], "output_config": {"format": tools}}),
            json!({"model": "m", "messages": [{}]}),
        ),
    ] {
        let (with, without) = (with.to_string(), without.to_string());
        let (with, without) = (
            read_as(operation, &with).unwrap(),
            read_as(operation, &without).unwrap(),
        );
        assert!(with.redacted().is_none());
        assert_eq!(
            with.count_prompt(Encoding::O200k) - without.count_prompt(Encoding::O200k),
            tokens
        );
        assert!(with.prompt_upper_bound() - without.prompt_upper_bound() >= tokens);
    }
}

#[test]
fn the_texts_of_the_other_operations_are_found() {
    for (operation, body, expected) in [
        (Operation::Moderations, json!({"model": "m", "input": CANARY}), 1),
        (
            Operation::Moderations,
            json!({"model": "m", "input": [CANARY, CANARY]}),
            2,
        ),
        (
            Operation::Moderations,
            json!({"model": "m", "input": [{"type": "text", "text": CANARY}, {"type": "image_url", "image_url": {"url": "u@example.org"}}]}),
            1,
        ),
        (
            Operation::Rerank,
            json!({"model": "m", "query": CANARY, "documents": [CANARY, {"text": CANARY, "id": CANARY}]}),
            4,
        ),
        (Operation::Images, json!({"model": "m", "prompt": CANARY}), 1),
        (Operation::ImageEdits, json!({"model": "m", "prompt": CANARY}), 1),
        (
            Operation::Speech,
            json!({"model": "m", "input": CANARY, "instructions": CANARY, "voice": "v@example.org"}),
            2,
        ),
        (Operation::Transcriptions, json!({"model": "m", "prompt": CANARY}), 1),
        (Operation::Translations, json!({"model": "m", "prompt": CANARY}), 1),
    ] {
        assert_found(operation, &body, expected);
    }
}

#[test]
fn the_fields_that_steer_each_operation_are_read() {
    let body = r#"{"model": "m", "messages": [{}], "max_tokens": 7, "stream": true, "metadata": {"user_id": "u"}, "n": "odd"}"#;
    let request = read_as(Operation::Messages, body).unwrap();
    assert_eq!(
        (request.max_tokens(), request.user(), request.stream(), request.n()),
        (Some(7), Some("u"), true, 1)
    );
    assert!(!read_as(Operation::CountTokens, body).unwrap().stream());
    assert_eq!(
        request.render("other", true),
        body.replacen("\"m\"", "\"other\"", 1).as_bytes()
    );
    let body = r#"{"model": "m", "input": "x", "max_output_tokens": 7, "stream": true, "stream_options": {"include_obfuscation": false}, "safety_identifier": "s"}"#;
    let request = read_as(Operation::Responses, body).unwrap();
    assert_eq!(
        (
            request.max_tokens(),
            request.user(),
            request.stream(),
            request.messages()
        ),
        (Some(7), Some("s"), true, 1)
    );
    assert_eq!(
        request.render("m", true),
        body.as_bytes(),
        "a response tells its usage unasked"
    );
    let body = r#"{"model": "m", "prompt": "x", "n": 4, "stream": true, "user": "u"}"#;
    let request = read_as(Operation::Images, body).unwrap();
    assert_eq!((request.n(), request.stream(), request.user()), (4, true, Some("u")));
    assert!(
        !read_as(Operation::Translations, r#"{"model": "m", "stream": "odd"}"#)
            .unwrap()
            .stream()
    );
}

#[test]
fn what_is_wrong_is_refused_by_its_name() {
    for (operation, body, param) in [
        (Operation::Messages, r#"{"model": "m", "messages": []}"#, "messages"),
        (Operation::Messages, r#"{"model": "m", "messages": [1]}"#, "messages[0]"),
        (Operation::Messages, r#"{"messages": [{}]}"#, "model"),
        (
            Operation::Messages,
            r#"{"model": "m", "messages": [{}], "max_tokens": "7"}"#,
            "max_tokens",
        ),
        (
            Operation::Messages,
            r#"{"model": "m", "messages": [{}], "metadata": {"user_id": 7}}"#,
            "metadata.user_id",
        ),
        (
            Operation::Messages,
            r#"{"model": "m", "messages": [{}], "system": "a", "system": "b"}"#,
            "system",
        ),
        (Operation::CountTokens, r#"{"model": "m"}"#, "messages"),
        (Operation::Responses, r#"{"model": "m"}"#, "input"),
        (Operation::Responses, r#"{"model": "m", "input": null}"#, "input"),
        (Operation::Responses, r#"{"model": "m", "input": 7}"#, "input"),
        (Operation::Responses, r#"{"model": "m", "input": ["a"]}"#, "input[0]"),
        (
            Operation::Responses,
            r#"{"model": "m", "input": "a", "max_output_tokens": -1}"#,
            "max_output_tokens",
        ),
        (
            Operation::Responses,
            r#"{"model": "m", "input": "a", "safety_identifier": []}"#,
            "safety_identifier",
        ),
        (Operation::Moderations, r#"{"model": "m", "input": [7]}"#, "input"),
        (Operation::Moderations, r#"{"model": "m", "input": []}"#, "input"),
        (Operation::Moderations, r#"{"input": "a"}"#, "model"),
        (Operation::Rerank, r#"{"model": "m", "documents": ["a"]}"#, "query"),
        (
            Operation::Rerank,
            r#"{"model": "m", "query": 7, "documents": ["a"]}"#,
            "query",
        ),
        (
            Operation::Rerank,
            r#"{"model": "m", "query": "q", "documents": "a"}"#,
            "documents",
        ),
        (Operation::Images, r#"{"model": "m", "prompt": ["a"]}"#, "prompt"),
        (Operation::ImageEdits, r#"{"model": "m"}"#, "prompt"),
        (Operation::Speech, r#"{"model": "m"}"#, "input"),
        (Operation::Transcriptions, r#"{"model": "m", "prompt": 7}"#, "prompt"),
        (Operation::Translations, "{}", "model"),
    ] {
        assert_eq!(refusal(operation, body).as_deref(), Some(param), "{body}");
    }
}

#[test]
fn a_response_may_continue_something_instead_of_having_input() {
    for field in ["previous_response_id", "conversation", "prompt"] {
        for input in ["", r#""input": null, "#] {
            let body = format!(r#"{{"model": "m", {input}"{field}": {{"id": "x"}}}}"#);
            assert_eq!(read_as(Operation::Responses, &body).unwrap().messages(), 0);
        }
    }
}

#[test]
fn a_form_without_a_prompt_is_a_request() {
    for body in [r#"{"model": "m"}"#, r#"{"model": "m", "prompt": null}"#] {
        let request = read_as(Operation::Transcriptions, body).unwrap();
        assert_eq!((request.messages(), request.prompt_upper_bound()), (0, 0));
    }
}

#[test]
fn a_text_that_comes_as_a_file_is_a_text() {
    // "Write to bob@example.org, or bob@example.org."
    let (coded, clean) = (
        "V3JpdGUgdG8gYm9iQGV4YW1wbGUub3JnLCBvciBib2JAZXhhbXBsZS5vcmcu",
        "V3JpdGUgdG8gW0VNQUlMXSwgb3IgW0VNQUlMXS4=",
    );
    let url = format!("data:text/plain;base64,{coded}");
    let source = json!({"type": "base64", "media_type": "text/plain", "data": coded});
    for (operation, body) in [
        (
            Operation::Messages,
            message(&json!({"type": "document", "source": source})),
        ),
        (
            Operation::CountTokens,
            message(&json!({"type": "image", "source": source})),
        ),
        (
            Operation::Messages,
            message(
                &json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "document", "source": source}]}),
            ),
        ),
        (
            Operation::Responses,
            item(&json!({"role": "user", "content": [{"type": "input_file", "filename": "a.txt", "file_data": url}]})),
        ),
        (
            Operation::Responses,
            item(&json!({"role": "user", "content": [{"type": "input_image", "image_url": url}]})),
        ),
        (
            Operation::Chat,
            message(&json!({"type": "file", "file": {"filename": "a.txt", "file_data": coded}})),
        ),
        (
            Operation::Chat,
            message(&json!({"type": "image_url", "image_url": {"url": url}})),
        ),
    ] {
        for body in [body.to_string(), body.to_string().replace('/', "\\/")] {
            let request = read_as(operation, &body).unwrap();
            let found: usize = request.screen().iter().map(|(_, count)| count).sum();
            assert_eq!(found, 2, "{body}");
            let (redacted, tally) = request.redacted().expect("findings");
            assert_eq!(tally, request.screen());
            assert_eq!(String::from_utf8(redacted).unwrap(), body.replace(coded, clean));
        }
    }
}

#[test]
fn an_image_is_not_taken_for_a_text() {
    let image = format!("iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB{}", "Ym9iQGV4YW1wbGUub3Jn".repeat(20));
    let source = json!({"type": "base64", "media_type": "image/png", "data": image});
    let body = message(&json!({"type": "image", "source": source})).to_string();
    assert!(read_as(Operation::Messages, &body).unwrap().redacted().is_none());
}

#[test]
fn a_field_that_is_another_ones_name_but_for_its_case_is_refused() {
    for (operation, body, param) in [
        (
            Operation::Chat,
            r#"{"model": "m", "messages": [{}], "Messages": [{}]}"#,
            "messages",
        ),
        (
            Operation::Chat,
            "{\"model\": \"m\", \"messages\": [{}], \"me\u{17F}sages\": [{}]}",
            "messages",
        ),
        (
            Operation::Messages,
            r#"{"model": "m", "messages": [{}], "SYSTEM": "a"}"#,
            "system",
        ),
        (
            Operation::Messages,
            r#"{"model": "m", "messages": [{}], "toolS": []}"#,
            "tools",
        ),
        (
            Operation::Responses,
            r#"{"model": "m", "input": "a", "\u0049nstructions": "a"}"#,
            "instructions",
        ),
        (
            Operation::Embeddings,
            r#"{"model": "m", "Model": "n", "input": "a"}"#,
            "model",
        ),
    ] {
        assert_eq!(refusal(operation, body).as_deref(), Some(param), "{body}");
    }
    assert!(read_as(Operation::Chat, r#"{"model": "m", "messages": [{}], "Input": "a"}"#).is_ok());
}
