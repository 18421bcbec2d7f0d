//! Bodies as only a broken or hostile sender makes them: cut off, filled with nulls, with values of other types. They lead to an
//! error or are read, and nothing worse.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Screened as _;
use crate::chat::{ChatAnswer, ChatRequest, Operation};
use crate::tokens::Encoding;

/// What happens to a JSON text.
#[derive(Clone, Debug)]
pub(crate) enum Harm {
    /// Cut off.
    Cut(prop::sample::Index),
    /// Bytes in the middle are NUL.
    Nulled(prop::sample::Index, usize),
    /// A bracket, quote or comma stands where another byte was.
    Byte(prop::sample::Index, u8),
    /// One value is `null`, or of another type.
    Retyped(prop::sample::Index, Value),
    /// One value stands twice in its place: as an array, and in itself.
    Doubled(prop::sample::Index),
}

pub(crate) fn any_harm() -> impl Strategy<Value = Harm> {
    let other = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1.5),
        json!(9_007_199_254_740_993_u64),
        json!(""),
        json!("bob@example.org \u{1F600} \"quoted\""),
        json!([]),
        json!({}),
        json!([[[{"type": "text", "text": ["bob@example.org"]}]]]),
        json!({"type": ["thinking"], "usage": {"input_tokens": -1, "output_tokens": "7"}}),
    ]);
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Harm::Cut),
        (index(), 1..9_usize).prop_map(|(at, len)| Harm::Nulled(at, len)),
        (index(), prop::sample::select(b"\"{}[],:\\\n\r\0\xff".to_vec())).prop_map(|(at, byte)| Harm::Byte(at, byte)),
        (index(), other).prop_map(|(at, value)| Harm::Retyped(at, value)),
        index().prop_map(Harm::Doubled),
    ]
}

impl Harm {
    /// The text with the harm done to it.
    pub(crate) fn done_to(&self, text: &[u8]) -> Vec<u8> {
        let mut harmed = text.to_vec();
        match self {
            Self::Cut(at) => harmed.truncate(at.index(text.len() + 1)),
            Self::Nulled(at, len) => {
                let at = at.index(text.len().max(1));
                harmed.iter_mut().skip(at).take(*len).for_each(|byte| *byte = 0);
            }
            Self::Byte(at, byte) => {
                let at = at.index(text.len().max(1));
                harmed.iter_mut().skip(at).take(1).for_each(|old| *old = *byte);
            }
            Self::Retyped(at, value) => return changed(text, *at, |_| value.clone()),
            Self::Doubled(at) => return changed(text, *at, |value| json!([value, {"content": value}])),
        }
        harmed
    }
}

/// The text with one of its values changed; itself if it is no JSON.
fn changed(text: &[u8], at: prop::sample::Index, change: impl Fn(&Value) -> Value) -> Vec<u8> {
    let Ok(mut whole) = serde_json::from_slice::<Value>(text) else {
        return text.to_vec();
    };
    let mut left = at.index(size(&whole));
    visit(&mut whole, &mut left, &change);
    whole.to_string().into_bytes()
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// Changes the value that comes `left` places behind this one.
fn visit(value: &mut Value, left: &mut usize, change: &impl Fn(&Value) -> Value) -> bool {
    if *left == 0 {
        *value = change(value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().any(|element| visit(element, left, change)),
        Value::Object(members) => members.values_mut().any(|member| visit(member, left, change)),
        _ => false,
    }
}

const BODIES: [(Operation, &str); 7] = [
    (
        Operation::Chat,
        r#"{"model":"m","messages":[{"role":"user","name":"n","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"u"}}]},{"role":"assistant","thinking_blocks":[{"type":"thinking","thinking":"y"}],"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"to\":\"bob@example.org\"}"}}]}],"stream":true,"stream_options":{"include_usage":true},"n":2,"tools":[],"user":"u"}"#,
    ),
    (
        Operation::Messages,
        r#"{"model":"m","max_tokens":5,"system":[{"type":"text","text":"bob@example.org"}],"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"title":"t"},{"type":"tool_result","tool_use_id":"t","content":[{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]}]}]},{"role":"assistant","content":[{"type":"thinking","thinking":"y","signature":"s"},{"type":"redacted_thinking","data":"z"},{"type":"tool_use","id":"t","name":"f","input":{"a":[1,"bob@example.org"]}}]}],"metadata":{"user_id":"u"},"output_config":{"format":{"type":"json_schema"}},"stream":true}"#,
    ),
    (
        Operation::Responses,
        r#"{"model":"m","instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"bob@example.org"},{"type":"input_image","image_url":"u"},{"type":"input_file","file_id":"f"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"x"}]},{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"e"},{"type":"additional_tools","tools":[{"name":"f"}]},{"type":"image_generation_call","result":"QUJD"}],"prompt":{"id":"p","variables":{"id":"bob@example.org"}},"text":{"format":{"type":"text"}},"max_output_tokens":7,"safety_identifier":"s"}"#,
    ),
    (
        Operation::Moderations,
        r#"{"model":"m","input":[{"type":"text","text":"bob@example.org"},{"type":"image_url","image_url":{"url":"u"}}]}"#,
    ),
    (
        Operation::Rerank,
        r#"{"model":"m","query":"q","documents":["bob@example.org",{"text":"x","id":7}]}"#,
    ),
    (
        Operation::Images,
        r#"{"model":"m","prompt":"bob@example.org","n":2,"stream":false,"user":"u"}"#,
    ),
    (
        Operation::Embeddings,
        r#"{"model":"m","input":["bob@example.org",[1,2]],"user":"u"}"#,
    ),
];

const ANSWERS: [(Operation, &str); 4] = [
    (
        Operation::Chat,
        r#"{"model":"m","choices":[{"message":{"content":[{"type":"text","text":"x"}],"reasoning":"y","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":1}},"x_groq":{"usage":{"prompt_tokens":1}}}"#,
    ),
    (
        Operation::Messages,
        r#"{"type":"message","model":"m","stop_reason":"end_turn","content":[{"type":"thinking","thinking":"y"},{"type":"text","text":"x"},{"type":"tool_use","name":"f","input":{"a":1}}],"usage":{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":3},"output_tokens":2,"output_tokens_details":{"thinking_tokens":1}}}"#,
    ),
    (
        Operation::Responses,
        r#"{"model":"m","status":"incomplete","incomplete_details":{"reason":"r"},"error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]},{"type":"reasoning","summary":[{"text":"y"}]}],"usage":{"input_tokens":1,"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":3}}"#,
    ),
    (
        Operation::Rerank,
        r#"{"results":[{"index":0}],"meta":{"billed_units":{"input_tokens":1}},"usage":{"total_tokens":2},"text":"x"}"#,
    ),
];

proptest! {
    #[test]
    fn a_broken_request_is_refused_or_read(
        (operation, body) in prop::sample::select(BODIES.to_vec()),
        harms in prop::collection::vec(any_harm(), 1..4),
    ) {
        let body = harms.iter().fold(body.as_bytes().to_vec(), |body, harm| harm.done_to(&body));
        let Ok(request) = ChatRequest::read(&body[..], operation) else {
            return Ok(());
        };
        let same = |text: &[u8]| serde_json::from_slice::<Value>(text).is_ok();
        prop_assert!(same(&request.render("another", true)));
        prop_assert!(request.prompt_upper_bound() >= request.count_prompt(Encoding::O200k));
        if let Some((redacted, _)) = request.redacted() {
            let again = ChatRequest::read(&redacted[..], operation);
            prop_assert!(again.is_ok_and(|again| again.redacted().is_none()));
        }
    }

    #[test]
    fn a_broken_answer_is_refused_or_read(
        (operation, body) in prop::sample::select(ANSWERS.to_vec()),
        harms in prop::collection::vec(any_harm(), 1..4),
    ) {
        let body = harms.iter().fold(body.as_bytes().to_vec(), |body, harm| harm.done_to(&body));
        for operation in [operation, Operation::Messages, Operation::Responses, Operation::Images] {
            if let Ok(answer) = ChatAnswer::read_as(&body[..], operation) {
                let _ = (answer.usage().billed_completion(), answer.count_completion(Encoding::O200k));
            }
        }
    }
}
