//! What a cache knows a request by: the same in every spelling, another for all else.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::read_as;
use crate::chat::{CacheKeys, Operation};

fn keys_as(operation: Operation, body: &str) -> CacheKeys {
    read_as(operation, body).unwrap().cache_keys("tenant", "alias")
}

fn keys(body: &Value) -> CacheKeys {
    keys_as(Operation::Chat, &body.to_string())
}

/// A chat with these fields beside a question.
fn chat(fields: Value) -> CacheKeys {
    keys(&with(
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        fields,
    ))
}

fn with(mut body: Value, fields: Value) -> Value {
    if let (Value::Object(body), Value::Object(mut fields)) = (&mut body, fields) {
        body.append(&mut fields);
    }
    body
}

fn plain() -> CacheKeys {
    chat(json!({}))
}

/// Any JSON, with keys that the dialects know among others.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            "[a-c\u{e9}\u{1f600}]{0,3}",
            Just("type".to_owned()),
            Just("content".to_owned()),
            Just("cache_control".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same JSON, otherwise spelt: keys turned round, white space, escapes, numbers.
fn respelt(value: &Value, out: &mut String, seed: &mut u64) {
    let mut coin = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *seed >> 40 & 1 == 1
    };
    let space = if coin() { " \n\t" } else { "" };
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            if coin() {
                fields.reverse();
            }
            write!(out, "{{{space}").unwrap();
            for (index, (key, value)) in fields.into_iter().enumerate() {
                out.push_str(if index > 0 { " ," } else { "" });
                escaped(key, out);
                write!(out, "{space}:{space}").unwrap();
                respelt(value, out, seed);
            }
            out.push('}');
        }
        Value::Array(items) => {
            write!(out, "[{space}").unwrap();
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                respelt(value, out, seed);
            }
            write!(out, "{space}]").unwrap();
        }
        Value::String(text) if coin() => escaped(text, out),
        Value::Number(number) if number.is_i64() && coin() => write!(out, "{number}.00").unwrap(),
        Value::Number(number) if number.is_i64() && coin() => write!(out, "{number}00e-2").unwrap(),
        other => write!(out, "{other}").unwrap(),
    }
}

fn escaped(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04x}").unwrap();
    }
    out.push('"');
}

fn body(question: &Value, extra: &Value) -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": question}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": extra}}], "x": extra})
}

proptest! {
    #[test]
    fn spelling_changes_nothing(extra in values(), text in "\\PC{1,20}", mut seed in any::<u64>()) {
        let body = body(&json!(text), &extra);
        let mut other = String::new();
        respelt(&body, &mut other, &mut seed);
        prop_assert_eq!(keys(&body), keys_as(Operation::Chat, &other));
    }

    #[test]
    fn another_value_is_another_request(one in values(), other in values()) {
        let (first, second) = (keys(&body(&json!("q"), &one)), keys(&body(&json!("q"), &other)));
        prop_assert_eq!(first.key == second.key, same(&one, &other));
        prop_assert_eq!(first.namespace == second.namespace, same(&one, &other));
        prop_assert_eq!(first.question, second.question);
    }

    #[test]
    fn another_question_is_of_the_same_namespace(one in "\\PC{1,9}", other in "\\PC{1,9}", extra in values()) {
        let (first, second) = (keys(&body(&json!(one), &extra)), keys(&body(&json!(other), &extra)));
        prop_assert_eq!(first.namespace, second.namespace);
        prop_assert_eq!(first.key == second.key, one == other);
        prop_assert_eq!(first.question.as_deref(), Some(&*one));
        prop_assert_eq!(second.question.as_deref(), Some(&*other));
    }

    #[test]
    fn whatever_is_accepted_has_keys(fields in values(), turn in values(), operation in 0..Operation::ALL.len()) {
        let operation = Operation::ALL[operation];
        let fields = with(json!({"model": "m", "messages": [turn], "input": [turn], "prompt": "p", "query": "q",
            "documents": [turn], "system": [turn], "tools": [turn]}), fields);
        if let Ok(request) = read_as(operation, &fields.to_string()) {
            let keys = request.cache_keys("s", "m");
            prop_assert_eq!(keys.namespace.is_some(), keys.question.is_some());
        }
    }

    #[test]
    fn numbers_are_compared_by_value(digits in 1_u64..1_000_000, zeros in 0_usize..6) {
        let number = |text: &str| keys_as(Operation::Chat, &format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"seed":{text}}}"#)).key;
        let whole = number(&digits.to_string());
        prop_assert_eq!(whole, number(&format!("{digits}.{}", "0".repeat(zeros + 1))));
        prop_assert_eq!(whole, number(&format!("{digits}{}E-{zeros}", "0".repeat(zeros))));
        prop_assert_eq!(whole, number(&format!("0.{digits:09}e+9")));
        prop_assert_ne!(whole, number(&format!("-{digits}")));
        prop_assert_ne!(whole, number(&format!("{digits}.{}1", "0".repeat(zeros))));
        prop_assert_ne!(whole, number(&format!("{digits}e1")));
    }
}

/// Whether two values are the same JSON: `1.0` and `1` are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.as_f64() == other.as_f64() && one.is_i64() != other.is_i64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fn seeded(text: &str) -> [u8; 32] {
    keys_as(
        Operation::Chat,
        &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"seed":{text}}}"#),
    )
    .key
}

#[test]
fn numbers_that_no_double_holds_are_not_mixed_up() {
    assert_ne!(seeded("9007199254740993"), seeded("9007199254740992"));
    assert_ne!(seeded("1e400"), seeded("1e401"));
    assert_eq!(seeded("0"), seeded("-0.0e5"));
    assert_eq!(seeded("1e400"), seeded("10.0e399"));
    assert_ne!(seeded("1e99999999999999999999"), seeded("1e99999999999999999998"));
    assert_ne!(seeded("1"), seeded("\"1\""));
}

#[test]
fn half_a_character_is_not_another_half_and_asks_nothing() {
    let of = |text: &str| {
        keys_as(
            Operation::Chat,
            &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#),
        )
    };
    let (one, other) = (of(r"\ud800"), of(r"\uD801"));
    assert_ne!(one.key, other.key);
    assert_ne!(one.key, of("\u{fffd}").key);
    assert_eq!(one.key, of(r"\uD800").key);
    assert_eq!((one.question, one.namespace), (None, None));
    assert_eq!(of(r"\ud83d\ude00"), of("\u{1f600}"));
}

#[test]
fn what_stands_twice_makes_no_two_requests_the_same() {
    let of = |extra: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"x":{extra}}}"#);
        keys_as(Operation::Chat, &body).key
    };
    let all = [r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, r#"{"a":1}"#, r#"{"a":2}"#].map(of);
    for (index, key) in all.iter().enumerate() {
        assert!(all[index + 1..].iter().all(|other| other != key));
    }
    let twice = r#"{"model":"m","messages":[{"role":"user","content":"q"}],"seed":1,"seed":2}"#;
    assert!(!keys_as(Operation::Chat, twice).is_cacheable);
    let turn = r#"{"model":"m","messages":[{"role":"user","content":"q","content":"r"}]}"#;
    assert_eq!(keys_as(Operation::Chat, turn).namespace, None);
    assert!(!keys_as(Operation::Chat, turn).is_cacheable);
}

#[test]
fn what_changes_no_answer_is_not_heard() {
    for unheard in [
        json!({"model": "other"}),
        json!({"stream": true, "stream_options": {"include_usage": true}}),
        json!({"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}}),
        json!({"service_tier": "flex", "prompt_cache_key": "k", "prompt_cache_retention": "24h"}),
        json!({"store": false}),
        json!({"store": null, "tools": null, "temperature": null, "unknown": null}),
        json!({"cache_control": {"type": "ephemeral"}}),
    ] {
        assert_eq!(chat(unheard.clone()), plain(), "{unheard}");
    }
}

#[test]
fn what_else_is_said_is_heard() {
    for heard in [
        json!({"temperature": 0.5}),
        json!({"n": 2}),
        json!({"max_tokens": 5}),
        json!({"unknown": false}),
        json!({"tools": []}),
        json!({"response_format": {"type": "text"}}),
    ] {
        let keys = chat(heard.clone());
        assert_ne!(keys.key, plain().key, "{heard}");
        assert_ne!(keys.namespace, plain().namespace, "{heard}");
        assert_eq!(keys.question, plain().question, "{heard}");
    }
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request = read_as(Operation::Chat, &body).unwrap();
    assert_ne!(request.cache_keys("other", "alias").namespace, plain().namespace);
    assert_ne!(request.cache_keys("tenant", "other").namespace, plain().namespace);
    assert_ne!(request.cache_keys("tenanta", "lias").key, plain().key);
    assert_ne!(keys_as(Operation::Messages, &body).key, plain().key);
}

#[test]
fn marks_of_a_provider_s_cache_are_not_heard_where_they_are_marks() {
    let mark = json!({"cache_control": {"type": "ephemeral"}});
    let part = json!({"type": "text", "text": "t"});
    let tool = json!({"name": "f", "input_schema": {"type": "object"}});
    let call = json!({"type": "tool_use", "id": "i", "name": "f", "input": {}});
    let result = |inner: &Value| json!({"type": "tool_result", "tool_use_id": "i", "content": [inner]});
    let of = |system: &Value, tool: &Value, call: &Value, inner: &Value, last: &Value| {
        let body = json!({"model": "m", "system": [system], "tools": [tool], "messages": [
            {"role": "assistant", "content": [call]}, {"role": "user", "content": [result(inner)]},
            {"role": "user", "content": [last]}]});
        keys_as(Operation::Messages, &body.to_string())
    };
    let marked = |value: &Value| with(value.clone(), mark.clone());
    let bare = of(&part, &tool, &call, &part, &part);
    assert_eq!(
        of(
            &marked(&part),
            &marked(&tool),
            &marked(&call),
            &marked(&part),
            &marked(&part)
        ),
        bare
    );
    assert_eq!(bare.question.as_deref(), Some("t"));
    let arguments = json!({"type": "tool_use", "id": "i", "name": "f", "input": mark});
    assert_ne!(of(&part, &tool, &arguments, &part, &part).key, bare.key);
    let schema = json!({"name": "f", "input_schema": {"type": "object", "cache_control": {}}});
    assert_ne!(of(&part, &schema, &call, &part, &part).key, bare.key);
    let function = |extra: Value| {
        let function = json!({"type": "function", "function": with(json!({"name": "f"}), extra)});
        chat(json!({"tools": [function]})).key
    };
    assert_eq!(function(mark.clone()), function(json!({})));
    assert_ne!(
        function(json!({"parameters": mark})),
        function(json!({"parameters": {}}))
    );
}

#[test]
fn a_question_is_a_user_s_and_text_alone() {
    let text = json!({"type": "text", "text": "a"});
    let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
    let cases = [
        (json!({"role": "user", "content": "a"}), Some("a")),
        (
            json!({"role": "user", "content": [text, {"type": "text", "text": "b\n"}]}),
            Some("a\nb\n"),
        ),
        (json!({"role": "user", "name": "n", "content": "a"}), Some("a")),
        (json!({"role": "user", "content": ""}), None),
        (json!({"role": "user", "content": []}), None),
        (json!({"role": "user", "content": null}), None),
        (json!({"role": "user", "content": [text, image]}), None),
        (
            json!({"role": "user", "content": [{"type": "text", "text": "a", "more": 1}]}),
            None,
        ),
        (
            json!({"role": "user", "content": [{"type": "tool_result", "text": "a"}]}),
            None,
        ),
        (json!({"role": "user", "content": ["a"]}), None),
        (json!({"role": "assistant", "content": "a"}), None),
        (json!({"role": "system", "content": "a"}), None),
        (json!({"role": "tool", "tool_call_id": "i", "content": "a"}), None),
        (json!({"content": "a"}), None),
    ];
    for (turn, question) in cases {
        let keys = keys(&json!({"model": "m", "messages": [{"role": "user", "content": "first"}, turn]}));
        assert_eq!(keys.question.as_deref(), question, "{turn}");
        assert_eq!(keys.namespace.is_some(), question.is_some(), "{turn}");
    }
}

#[test]
fn a_response_is_asked_by_a_text_or_by_a_message() {
    let of = |input: Value| keys_as(Operation::Responses, &json!({"model": "m", "input": input}).to_string()).question;
    let part = json!([{"type": "input_text", "text": "a"}]);
    assert_eq!(of(json!("a")).as_deref(), Some("a"));
    assert_eq!(of(json!([{"role": "user", "content": "a"}])).as_deref(), Some("a"));
    assert_eq!(
        of(json!([{"type": "message", "role": "user", "content": part}])).as_deref(),
        Some("a")
    );
    assert_eq!(of(json!([{"type": "other", "role": "user", "content": part}])), None);
    assert_eq!(
        of(json!([{"type": "function_call_output", "call_id": "c", "output": "a"}])),
        None
    );
    assert_eq!(
        of(json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}])),
        None
    );
}

fn is_cacheable(operation: Operation, fields: Value) -> bool {
    let text = "t";
    let least = match operation {
        Operation::Chat | Operation::Messages => json!({"messages": [{"role": "user", "content": text}]}),
        Operation::Completions | Operation::Images => json!({"prompt": text}),
        Operation::Rerank => json!({"query": text, "documents": [text]}),
        _ => json!({"input": text}),
    };
    let body = with(with(json!({"model": "m"}), least), fields);
    keys_as(operation, &body.to_string()).is_cacheable
}

#[test]
fn an_answer_that_follows_from_its_request_is_cacheable() {
    let data = "data:image/png;base64,AAAA";
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}},
        {"type": "file", "file": {"file_data": "JVBERi0x", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}]}]);
    let cases = [
        (Operation::Chat, json!({})),
        (
            Operation::Chat,
            json!({"messages": image, "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}]}),
        ),
        (
            Operation::Chat,
            json!({"functions": [{"name": "f"}], "modalities": ["text"], "store": false, "tools": []}),
        ),
        (Operation::Completions, json!({"prompt": ["a", "b"]})),
        (
            Operation::Messages,
            json!({"tools": [{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}, {"type": "bash_20250124", "name": "bash"}]}),
        ),
        (
            Operation::Messages,
            json!({"mcp_servers": [], "messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "text", "data": "http://example.org is a text here"}},
            {"type": "tool_result", "content": "http://example.org"},
            {"type": "tool_use", "id": "i", "name": "f", "input": {"file_id": "theirs", "url": "http://example.org"}}]}]}),
        ),
        (
            Operation::Responses,
            json!({"tools": [{"type": "function", "name": "f"}], "background": false, "previous_response_id": null}),
        ),
        (
            Operation::Responses,
            json!({"input": [{"id": "m", "role": "user", "content": "a"}, {"type": "input_image", "image_url": data}]}),
        ),
        (Operation::Embeddings, json!({"input": [[1, 2], [3]]})),
        (
            Operation::Moderations,
            json!({"input": [{"type": "image_url", "image_url": {"url": data}}]}),
        ),
        (
            Operation::Rerank,
            json!({"documents": [{"text": "t", "url": "https://example.org"}]}),
        ),
    ];
    for (operation, fields) in cases {
        assert!(is_cacheable(operation, fields.clone()), "{operation:?} {fields}");
    }
}

#[test]
fn an_answer_that_hangs_on_something_else_is_not() {
    let url = "https://example.org/a.png";
    let turn = |part: Value| json!([{"role": "user", "content": [part]}]);
    let cases = [
        (
            Operation::Chat,
            json!({"messages": turn(json!({"type": "image_url", "image_url": {"url": url}}))}),
        ),
        (
            Operation::Chat,
            json!({"messages": turn(json!({"type": "image_url", "image_url": url}))}),
        ),
        (
            Operation::Chat,
            json!({"messages": turn(json!({"type": "image_url", "image_url": {"url": [1]}}))}),
        ),
        (
            Operation::Chat,
            json!({"messages": turn(json!({"type": "file", "file": {"file_id": "f"}}))}),
        ),
        (
            Operation::Chat,
            json!({"messages": turn(json!({"type": "file", "file": {"file_data": r"https:\/\/example.org"}}))}),
        ),
        (
            Operation::Chat,
            json!({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
        ),
        (Operation::Chat, json!({"modalities": ["text", "audio"]})),
        (Operation::Chat, json!({"audio": {"voice": "alloy"}})),
        (Operation::Chat, json!({"tools": [{"type": "web_search"}]})),
        (Operation::Chat, json!({"tools": [{"google_search": {}}]})),
        (Operation::Chat, json!({"tools": {"google_search": {}}})),
        (Operation::Chat, json!({"tools": [{"type": 1, "name": "f"}]})),
        (Operation::Chat, json!({"web_search_options": {}})),
        (Operation::Chat, json!({"store": true})),
        (Operation::Chat, json!({"temperature": "1"})),
        (
            Operation::Messages,
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        (Operation::Messages, json!({"container": "c"})),
        (Operation::Messages, json!({"mcp_servers": [{"url": url}]})),
        (
            Operation::Messages,
            json!({"messages": turn(json!({"type": "image", "source": {"type": "url", "url": url}}))}),
        ),
        (
            Operation::Messages,
            json!({"messages": turn(json!({"type": "image", "source": {"type": "file", "file_id": "f"}}))}),
        ),
        (
            Operation::Messages,
            json!({"messages": turn(json!({"type": "tool_result", "content": [
            {"type": "image", "source": {"type": "url", "url": url}}]}))}),
        ),
        (
            Operation::Messages,
            json!({"messages": turn(json!({"type": "container_upload", "file_id": "f"}))}),
        ),
        (Operation::Responses, json!({"previous_response_id": "r"})),
        (Operation::Responses, json!({"conversation": {"id": "c"}})),
        (Operation::Responses, json!({"background": true})),
        (Operation::Responses, json!({"prompt": {"id": "p"}})),
        (Operation::Responses, json!({"tools": [{"type": "file_search"}]})),
        (
            Operation::Responses,
            json!({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}),
        ),
        (
            Operation::Responses,
            json!({"input": [{"type": "item_reference", "id": "i"}]}),
        ),
        (Operation::Responses, json!({"input": [{"type": null, "id": "i"}]})),
        (
            Operation::Responses,
            json!({"input": turn(json!({"type": "input_image", "file_id": "f"}))}),
        ),
        (
            Operation::Responses,
            json!({"input": turn(json!({"type": "input_file", "file_url": url}))}),
        ),
        (
            Operation::Responses,
            json!({"input": [{"type": "computer_call_output", "output": {"image_url": url}}]}),
        ),
        (
            Operation::Responses,
            json!({"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": url}]}]}),
        ),
        (
            Operation::Moderations,
            json!({"input": [{"type": "image_url", "image_url": {"url": url}}]}),
        ),
        (Operation::Rerank, json!({"documents": [{"image_url": {"url": url}}]})),
        (Operation::Images, json!({})),
        (Operation::Speech, json!({})),
    ];
    for (operation, fields) in cases {
        assert!(!is_cacheable(operation, fields.clone()), "{operation:?} {fields}");
    }
}

#[test]
fn a_response_that_is_kept_is_another_than_one_that_is_not() {
    let of = |fields: Value| {
        keys_as(
            Operation::Responses,
            &with(json!({"model": "m", "input": "a"}), fields).to_string(),
        )
    };
    assert_ne!(of(json!({"store": false})).key, of(json!({})).key);
    assert!(of(json!({"store": false})).is_cacheable && of(json!({})).is_cacheable);
    assert_eq!(of(json!({"store": true})).key, of(json!({})).key);
    assert!(!of(json!({"store": true})).is_cacheable);
}

#[test]
fn the_temperature_is_the_request_s() {
    assert_eq!(plain().temperature, None);
    assert_eq!(chat(json!({"temperature": 0})).temperature, Some(0.0));
    assert_eq!(chat(json!({"temperature": 0.25})).temperature, Some(0.25));
    assert_eq!(seeded("1e0"), seeded("1"));
}
