#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
pub(crate) mod broken;
mod cache_keys;
mod judged;
mod places;
mod traits;
mod usage;

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ChatAnswer, ChatRequest, InvalidRequest, Operation};
use crate::guardrails::{Action, Direction, Policy, Session};
use crate::pii::Entity;
use crate::tokens::Encoding;

fn read(body: &str) -> ChatRequest<&[u8]> {
    ChatRequest::read(body.as_bytes(), Operation::Chat).expect("a valid request")
}

fn refusal(body: &str) -> InvalidRequest {
    ChatRequest::read(body.as_bytes(), Operation::Chat).expect_err("an invalid request")
}

fn asking(content: &str) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]}).to_string()
}

/// The guard of a call under a policy that does this about every entity.
pub(crate) fn session(action: &str) -> Session {
    let actions: Vec<String> = Entity::ALL
        .iter()
        .map(|entity| format!("\"{}\":\"{action}\"", entity.name()))
        .collect();
    let spec = format!(r#"{{"input":[{{"check":"pii","actions":{{{}}}}}]}}"#, actions.join(","));
    Session::new(Policy::compile(spec.as_bytes(), b"secret").unwrap(), "tenant")
}

/// How often each kind was found.
type Counts = Vec<(String, usize)>;

/// What a policy of all entities makes of a request.
pub(crate) trait Screened {
    /// What is flagged, and how often.
    fn screen(&self) -> Counts;
    /// What it becomes, and what was replaced how often; `None` if that is nothing.
    fn redacted(&self) -> Option<(Vec<u8>, Counts)>;
}

impl<B: AsRef<[u8]>> Screened for ChatRequest<B> {
    fn screen(&self) -> Counts {
        let mut session = session("flag");
        assert_eq!(self.judged(&mut session.judge(Direction::Input)), None);
        session.found().map(|found| (found.kind, found.count)).collect()
    }

    fn redacted(&self) -> Option<(Vec<u8>, Counts)> {
        let mut session = session("redact");
        let body = self.judged(&mut session.judge(Direction::Input))?;
        let replaced = session.found().filter(|found| found.action == Action::Redact);
        Some((body, replaced.map(|found| (found.kind, found.count)).collect()))
    }
}

fn redacted(body: &str) -> String {
    String::from_utf8(read(body).redacted().expect("findings").0).unwrap()
}

#[test]
fn the_fields_that_steer_a_call_are_read() {
    let request = read(
        r#" {"mod\u0065l":"gpt-4o","messages":[{"role":"user","content":"h\u00e9"},{"role":"tool","content":"x","name":"n"}],
            "stream":true,"stream_options":{"include_usage":true},"n":2,"max_tokens":5,"max_completion_tokens":7,"user":"u"} "#,
    );
    assert_eq!(
        (request.model(), request.stream(), request.include_usage()),
        ("gpt-4o", true, true)
    );
    assert_eq!(
        (request.n(), request.max_tokens(), request.user()),
        (2, Some(7), Some("u"))
    );
    assert_eq!((request.messages(), request.text_bytes()), (2, "héxn".len()));
}

#[test]
fn null_is_as_good_as_left_out() {
    let request = read(
        r#"{"model":"m","messages":[{}],"stream":null,"stream_options":null,"n":null,"max_tokens":null,
            "max_completion_tokens":null,"user":null,"tools":null,"prediction":null}"#,
    );
    assert_eq!(
        (request.stream(), request.n(), request.max_tokens(), request.user()),
        (false, 1, None, None)
    );
    assert_eq!(request.prompt_upper_bound(), request.count_prompt(Encoding::O200k));
}

#[test]
fn what_is_not_json_is_refused_without_a_parameter() {
    let bodies = [
        "",
        "{",
        "NaN",
        "{\"model\":NaN}",
        "{\"a\":1,}",
        "{\"a\":1} x",
        "{\"a\":\"\u{1}\"}",
        "[]",
        "\"x\"",
        "01",
        "{'a':1}",
    ];
    for body in bodies {
        let refusal = refusal(body);
        assert_eq!(refusal.param, None, "{body}");
        assert!(
            refusal
                .message
                .starts_with("We could not parse the JSON body of your request: "),
            "{refusal}"
        );
    }
    let invalid = ChatRequest::read(b"{\"model\":\n \"\xff\"}", Operation::Chat).unwrap_err();
    assert!(
        invalid.message.ends_with("invalid UTF-8 at line 2 column 3"),
        "{invalid}"
    );
}

#[test]
fn a_million_brackets_are_refused_and_cost_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |levels: usize| {
            let inner = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"deep":{inner}}}"#)
        };
        assert!(
            refusal(&nested(1_000_000))
                .message
                .contains("nested deeper than 128 levels at line 1 column")
        );
        assert!(refusal(&nested(128)).message.contains("nested deeper"));
        assert_eq!(read(&nested(127)).messages(), 1);
    }
    assert_eq!(refusal(&"[".repeat(1_000_000)).param, None);
}

#[test]
fn a_wrong_field_is_refused_by_its_name() {
    let whole = |fields: &str| format!(r#"{{"model":"m","messages":[{{}}],{fields}}}"#);
    let cases = [
        (r#"{"messages":[{}]}"#.to_owned(), "model", "missing_required_parameter"),
        (r#"{"model":7,"messages":[{}]}"#.to_owned(), "model", "invalid_type"),
        (r#"{"model":"","messages":[{}]}"#.to_owned(), "model", "empty_string"),
        (r#"{"model":"m"}"#.to_owned(), "messages", "missing_required_parameter"),
        (r#"{"model":"m","messages":{}}"#.to_owned(), "messages", "invalid_type"),
        (r#"{"model":"m","messages":[ ]}"#.to_owned(), "messages", "empty_array"),
        (
            r#"{"model":"m","messages":[{},"x"]}"#.to_owned(),
            "messages[1]",
            "invalid_type",
        ),
        (whole(r#""stream":1"#), "stream", "invalid_type"),
        (whole(r#""n":0"#), "n", "integer_below_min_value"),
        (whole(r#""n":129"#), "n", "integer_above_max_value"),
        (whole(r#""n":1.5"#), "n", "invalid_type"),
        (whole(r#""max_tokens":-1"#), "max_tokens", "integer_below_min_value"),
        (
            whole(r#""max_completion_tokens":"5""#),
            "max_completion_tokens",
            "invalid_type",
        ),
        (whole(r#""user":5"#), "user", "invalid_type"),
        (
            whole(r#""stream":true,"stream_options":[]"#),
            "stream_options",
            "invalid_type",
        ),
        (
            whole(r#""stream":true,"stream_options":{"include_usage":1}"#),
            "stream_options.include_usage",
            "invalid_type",
        ),
        (whole(r#""m\u006fdel":"other""#), "model", "duplicate_parameter"),
        (whole(r#""messages":[{}]"#), "messages", "duplicate_parameter"),
    ];
    for (body, param, code) in cases {
        let refusal = refusal(&body);
        assert_eq!(
            (refusal.param.as_deref(), refusal.code),
            (Some(param), Some(code)),
            "{body}"
        );
    }
    let without_stream = refusal(&whole(r#""stream_options":{"include_usage":true}"#));
    assert_eq!(without_stream.param.as_deref(), Some("stream_options"));
}

#[test]
fn rendering_replaces_the_model_and_nothing_else() {
    let body =
        r#"{ "temperature":1.50, "model" : "alias" ,"messages":[{"role":"user","content":"\u00e9\/"}],"x":1e2 }"#;
    let request = read(body);
    assert!(matches!(request.render("alias", true), Cow::Borrowed(same) if same == body.as_bytes()));
    let rendered = request.render("a\"\\\n/é", false);
    assert_eq!(rendered, body.replace("\"alias\"", r#""a\"\\\u000a/é""#).as_bytes());
}

#[test]
fn asking_for_usage_keeps_the_other_stream_options() {
    let cases = [
        (
            r#""stream":true"#,
            r#","stream_options":{"include_usage":true},"messages":[{}],"stream":true"#,
        ),
        (
            r#""stream":true,"stream_options":null"#,
            r#""stream_options":{"include_usage":true}"#,
        ),
        (
            r#""stream":true,"stream_options":{ }"#,
            r#""stream_options":{"include_usage":true }"#,
        ),
        (
            r#""stream":true,"stream_options":{"a":1}"#,
            r#""stream_options":{"include_usage":true,"a":1}"#,
        ),
        (
            r#""stream_options":{"a":1,"include_usage" : false},"stream":true"#,
            r#"{"a":1,"include_usage" : true}"#,
        ),
        (
            r#""stream":true,"stream_options":{"include_usage":null}"#,
            r#"{"include_usage":true}"#,
        ),
    ];
    for (fields, expected) in cases {
        let body = format!(r#"{{"model":"m","messages":[{{}}],{fields}}}"#);
        let rendered = read(&body).render("m", true).into_owned();
        let rendered = String::from_utf8(rendered).unwrap();
        assert!(rendered.contains(expected), "{rendered}");
        assert!(read(&rendered).include_usage());
    }
    let silent = r#"{"model":"m","messages":[{}]}"#;
    assert!(
        matches!(read(silent).render("m", true), Cow::Borrowed(_)),
        "a plain answer has usage anyway"
    );
}

#[test]
fn every_text_a_model_reads_is_found_and_no_structure() {
    let body = json!({
        "model": "m", "user": "no-user", "metadata": {"no": "no"}, "stop": "no",
        "tools": [{"type": "function", "function": {"name": "no", "description": "no"}}],
        "messages": [
            {"role": "system", "content": "t1", "name": "t2"},
            {"role": "user", "content": [
                {"type": "text", "text": "t3", "cache_control": {"type": "no"}},
                {"type": "image_url", "image_url": {"url": "data:no", "detail": "no"}},
                {"type": "input_audio", "input_audio": {"data": "no", "format": "no"}},
                {"type": "file", "file": {"filename": "t4", "file_data": "no", "file_id": "no"}},
                {"type": "invented", "whatever": {"deep": ["t5"]}},
            ]},
            {"role": "assistant", "content": null, "refusal": "t6", "audio": {"id": "no"}, "reasoning_content": "t7",
             "reasoning_details": [{"type": "reasoning.encrypted", "data": "no", "text": "t8"}],
             "tool_calls": [
                 {"id": "no", "type": "no", "function": {"name": "t9", "arguments": "{\"t\":\"10\"}"}},
                 {"id": "no", "type": "no", "function": {"name": "t11", "arguments": {"id": "t12"}}},
                 {"id": "no", "type": "custom", "custom": {"name": "t13", "input": "t14"}},
             ]},
            {"role": "tool", "tool_call_id": "no", "content": "t15"},
            {"role": "developer", "content": [{"type": "text", "text": "t16\n\u{1f600}"}]},
        ],
        "prediction": {"type": "content", "content": [{"type": "text", "text": "t17"}]},
    })
    .to_string();
    let request = read(&body);
    let mut texts: Vec<_> = request.texts().map(Cow::into_owned).collect();
    texts.sort();
    let mut expected: Vec<String> = (1..=17)
        .filter(|n| ![10, 12, 16].contains(n))
        .map(|n| format!("t{n}"))
        .collect();
    expected.extend([
        "{\"t\":\"10\"}".to_owned(),
        "{\"id\":\"t12\"}".to_owned(),
        "t16\n\u{1f600}".to_owned(),
    ]);
    expected.sort();
    assert_eq!(texts, expected);
    assert_eq!(request.text_bytes(), texts.iter().map(String::len).sum::<usize>());
}

#[test]
fn escaped_keys_and_doubled_members_hide_nothing() {
    let body = r#"{"model":"m","messages":[{"role":"user","c\u006fntent":"a","content":"b","r\u006fle":"x"}]}"#;
    assert_eq!(read(body).texts().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn redaction_touches_the_finding_and_nothing_else() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"caf\u00e9 \ud83d\ude00\/ mail bob\u0040example.org\nnow"}] , "x" : 1.0}"#;
    assert_eq!(redacted(body), body.replace(r"bob\u0040example.org", "[EMAIL]"));
    assert!(read(&asking("nothing here")).redacted().is_none());
    assert!(read(&asking("nothing here")).screen().is_empty());
}

#[test]
fn an_escape_in_front_of_a_finding_stays_whole() {
    assert_eq!(redacted(&asking("\nbob@example.org\n")), asking("\n[EMAIL]\n"));
    let arguments = json!({"note": "line\nbob@example.org\n"}).to_string();
    assert_eq!(
        redacted(&asking(&arguments)),
        asking(&json!({"note": "line\n[EMAIL]\n"}).to_string())
    );
}

#[test]
fn tool_arguments_stay_json() {
    let call = |arguments: Value| {
        json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "pay", "arguments": arguments}}]}]})
        .to_string()
    };
    let inner = |arguments: Value| call(Value::String(arguments.to_string()));
    assert_eq!(
        redacted(&inner(
            json!({"card": 4_111_111_111_111_111_u64, "to": ["bob@example.org", 5]})
        )),
        inner(json!({"card": "[CREDIT_CARD]", "to": ["[EMAIL]", 5]})),
    );
    assert_eq!(
        redacted(&call(json!({"id": 4_111_111_111_111_111_u64}))),
        call(json!({"id": "[CREDIT_CARD]"}))
    );
    assert_eq!(
        redacted(&inner(json!({"bob@example.org": true}))),
        inner(json!({"[EMAIL]": true}))
    );
    let nested = |card: Value| inner(json!({"payload": json!({"card": card}).to_string()}));
    assert_eq!(
        redacted(&nested(json!(4_111_111_111_111_111_u64))),
        nested(json!("[CREDIT_CARD]"))
    );
}

#[test]
fn a_key_tells_what_a_bare_number_is() {
    let arguments = |number: &str| json!({"phone": number, "note": "x"}).to_string();
    assert_eq!(
        redacted(&asking(&arguments("8605665299"))),
        asking(&arguments("[PHONE]"))
    );
    assert_eq!(
        redacted(&asking(&arguments("\n8605665299\n"))),
        asking(&arguments("\n[PHONE]\n"))
    );
}

#[test]
fn a_screening_counts_what_a_redaction_replaces() {
    let body = asking("bob@example.org, eve@example.org, 4111 1111 1111 1111");
    let tally = read(&body).screen();
    assert_eq!(read(&body).redacted().unwrap().1, tally);
    assert_eq!(tally, [("credit_card".to_owned(), 1), ("email".to_owned(), 2)]);
}

#[test]
fn a_short_prompt_counts_as_openai_counts_it() {
    assert_eq!(read(&asking("hello")).count_prompt(Encoding::O200k), 8);
}

#[test]
fn an_answer_tells_usage_and_finish_reasons() {
    let answer = ChatAnswer::read(
        "  \n{\"model\":\"x\",\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":\"hello\"}},{\"finish_reason\":null}],
          \"usage\":{\"prompt_tokens\":12.0,\"completion_tokens\":3,\"total_tokens\":15,\"prompt_tokens_details\":{\"cached_tokens\":4},
          \"completion_tokens_details\":null}}"
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(
        (answer.choices(), answer.model(), answer.error()),
        (2, Some("x"), false)
    );
    assert_eq!(answer.finish_reasons(), ["stop"]);
    assert_eq!(
        (
            answer.usage().prompt,
            answer.usage().cached,
            answer.usage().billed_completion()
        ),
        (Some(12), Some(4), Some(3))
    );
    assert_eq!(answer.count_completion(Encoding::O200k), 1);
}

#[test]
fn errors_are_known_in_every_shape() {
    let shapes = [
        r#"{"error":{"message":"x"}}"#,
        r#"{"code":"c","error":"Incorrect API key"}"#,
        r#"{"object":"error","message":"x"}"#,
    ];
    for body in shapes {
        assert!(ChatAnswer::read(body.as_bytes()).unwrap().error(), "{body}");
    }
    for body in [
        r#"{"error":null,"choices":[]}"#,
        r#"{"choices":[{"message":{"content":"\"error\": {}"}}]}"#,
    ] {
        assert!(!ChatAnswer::read(body.as_bytes()).unwrap().error(), "{body}");
    }
    for body in ["", "<html>", "[]", "null"] {
        assert!(ChatAnswer::read(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn what_an_answer_says_is_counted_once() {
    let said = |message: Value| {
        let body = json!({"choices": [{"message": message}]}).to_string();
        ChatAnswer::read(body.as_bytes())
            .unwrap()
            .count_completion(Encoding::O200k)
    };
    assert_eq!(said(json!({"content": null, "refusal": "hello"})), 1);
    assert_eq!(
        said(json!({"reasoning": "hello", "reasoning_details": [{"text": "hello"}]})),
        1
    );
    assert_eq!(
        said(json!({"reasoning": "hello", "reasoning_content": "hello", "content": "hello"})),
        2
    );
    assert_eq!(
        said(json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hello"}]}]})),
        1
    );
    assert_eq!(
        said(json!({"tool_calls": [{"id": "x", "function": {"name": "hello", "arguments": "hello"}}]})),
        2
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(4_111_111_111_111_111_u64)),
        any::<String>().prop_map(Value::from),
        "[a\"\\\\\n\u{e9}\u{1f600} ]{0,6}(bob@example\\.org|4111 1111 1111 1111)?[\"\\\\ x]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("content|name|arguments|text|[a-z]{1,3}", inner.clone(), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| Value::String(value.to_string())),
        ]
    })
}

/// The same value written with every character escaped.
fn escaped_throughout(text: &str) -> String {
    let mut escaped = String::new();
    let mut inside = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                inside = !inside;
                escaped.push('"');
            }
            '\\' => {
                escaped.push('\\');
                escaped.extend(characters.next());
            }
            _ if inside => {
                let mut units = [0; 2];
                escaped.extend(
                    character
                        .encode_utf16(&mut units)
                        .iter()
                        .map(|unit| format!("\\u{unit:04x}")),
                );
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_never_more(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = ChatRequest::read(&body[..], Operation::Chat);
        let _ = ChatAnswer::read(&body[..]);
    }

    #[test]
    fn redaction_never_breaks_json_and_leaves_nothing(message in any_json(), escape in any::<bool>()) {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": message}]}).to_string();
        if escape {
            body = escaped_throughout(&body);
        }
        if let Some((redacted, tally)) = read(&body).redacted() {
            prop_assert_eq!(&read(&body).screen(), &tally);
            let again = ChatRequest::read(redacted, Operation::Chat).unwrap();
            for (before, after) in read(&body).texts().zip(again.texts()) {
                let parses = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
                prop_assert!(!parses(&before) || parses(&after), "{before} became {after}");
                prop_assert!(!after.contains("bob@example.org"), "{before} became {after}");
            }
        }
    }

    #[test]
    fn escapes_change_nothing_that_is_read(message in any_json()) {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": message}]}).to_string();
        let escaped = escaped_throughout(&body);
        let (plain, escaped) = (read(&body), read(&escaped));
        // Arguments given as an object are one text as they stand, escapes and all.
        if !body.contains("\"arguments\":") {
            prop_assert_eq!(plain.texts().collect::<Vec<_>>(), escaped.texts().collect::<Vec<_>>());
            prop_assert_eq!(plain.text_bytes(), escaped.text_bytes());
        }
        prop_assert_eq!(plain.screen(), escaped.screen());
    }

    #[test]
    fn the_bound_is_never_below_the_count(message in any_json(), tools in any_json()) {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": message}], "tools": tools}).to_string();
        let request = read(&body);
        prop_assert!(request.prompt_upper_bound() >= request.count_prompt(Encoding::O200k));
        prop_assert!(request.prompt_upper_bound() >= request.count_prompt(Encoding::Cl100k));
    }
}

fn read_as(operation: Operation, body: &str) -> Result<ChatRequest<&[u8]>, InvalidRequest> {
    ChatRequest::read(body.as_bytes(), operation)
}

#[test]
fn texts_to_continue_or_to_embed_may_come_in_every_form() {
    for (input, texts, numbered, bytes) in [
        (r#""a\u00e9""#, 1, 0, 3),
        (r#"["one", "three"]"#, 2, 0, 8),
        ("[1, 20, 300]", 1, 3, 0),
        ("[[1, 2], [3]]", 2, 3, 0),
    ] {
        for (operation, field) in [(Operation::Completions, "prompt"), (Operation::Embeddings, "input")] {
            let body = format!(r#"{{"model": "m", "{field}": {input}, "messages": 5}}"#);
            let request = read_as(operation, &body).unwrap();
            assert_eq!(request.operation(), operation);
            assert_eq!(
                (request.messages(), request.numbered(), request.text_bytes()),
                (texts, numbered, bytes)
            );
            assert_eq!(request.prompt_upper_bound(), bytes + numbered, "no overhead of a chat");
        }
    }
}

#[test]
fn what_is_no_text_is_refused_by_the_name_of_its_field() {
    for input in ["5", "null", "{}", "true", "[]", "[null]", r#"["a", {}]"#, "[-1]"] {
        let refusal = read_as(Operation::Embeddings, &format!(r#"{{"model": "m", "input": {input}}}"#)).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("input"), "{input}");
    }
    let refusal = read_as(Operation::Completions, r#"{"model": "m", "input": "x"}"#).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("prompt"));
    let many = format!(r#"{{"model": "m", "input": [{}"x"]}}"#, r#""x","#.repeat(2048));
    assert_eq!(
        read_as(Operation::Embeddings, &many).unwrap_err().code,
        Some("invalid_array_length")
    );
}

#[test]
fn every_prompt_is_continued_as_often_as_asked_and_its_suffix_is_read_too() {
    let body = r#"{"model": "m", "prompt": ["a", "b"], "n": 3, "suffix": "mail a@example.com", "stream": true}"#;
    let request = read_as(Operation::Completions, body).unwrap();
    assert_eq!(request.n(), 6);
    let texts: Vec<_> = request.texts().collect();
    assert_eq!(texts, ["a", "b", "mail a@example.com"]);
    let rendered = request.render("other", true);
    assert!(rendered.ends_with(br#""stream": true}"#));
    assert!(rendered.starts_with(br#"{"model": "other","stream_options":{"include_usage":true}"#));
    let (redacted, _) = request.redacted().unwrap();
    assert!(!redacted.windows(13).any(|part| part == b"a@example.com"));
}

#[test]
fn vectors_are_not_streamed_whatever_the_body_says() {
    let request = read_as(
        Operation::Embeddings,
        r#"{"model": "m", "input": "x", "stream": "odd", "n": 0}"#,
    )
    .unwrap();
    assert!(!request.stream());
    assert_eq!(request.n(), 1);
}

#[test]
fn a_continuation_is_counted_like_a_message() {
    let body = r#"{"choices": [{"text": "Hello there."}, {"text": ""}, {"text": null}]}"#;
    let answer = ChatAnswer::read(body.as_bytes()).unwrap();
    assert_eq!(
        answer.count_completion(Encoding::O200k),
        Encoding::O200k.count("Hello there.")
    );
}

#[test]
fn signed_thoughts_are_screened_and_never_changed() {
    let thought = r#""thinking_blocks": [{"type": "thinking", "thinking": "mail a@example.com", "signature": "b@example.com"},
        {"type": "redacted_thinking", "data": "c@example.com"}]"#;
    let body =
        format!(r#"{{"model": "m", "messages": [{{"role": "assistant", {thought}, "content": "d@example.com"}}]}}"#);
    let request = read(&body);
    assert_eq!(request.screen().iter().map(|(_, count)| count).sum::<usize>(), 2);
    let (redacted, tally) = request.redacted().unwrap();
    assert_eq!(tally.iter().map(|(_, count)| count).sum::<usize>(), 1);
    let redacted = String::from_utf8(redacted).unwrap();
    assert!(redacted.contains(thought));
    assert!(!redacted.contains("d@example.com"));
}

#[test]
fn a_signature_of_googles_is_no_text() {
    let extra = r#""extra_content": {"google": {"thought_signature": "a@example.com"}}"#;
    let call = format!(r#"{{"id": "c", {extra}, "function": {{"name": "f", "arguments": "{{}}"}}}}"#);
    let body = format!(
        r#"{{"model": "m", "messages": [{{"role": "assistant", "content": "", {extra}, "tool_calls": [{call}]}}]}}"#
    );
    assert!(read(&body).redacted().is_none());
}
