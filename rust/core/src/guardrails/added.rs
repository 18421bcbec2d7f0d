//! Events that are added to a stream: each says what has waited of one text.

use std::mem;

use super::sites::{ELEMENT, is_structure, member_of, steps};
use super::texts::{Count, Text};
use crate::chat::json::{self, Edit, Member, Span};
use crate::sse::Dialect;

/// The payload of the event that says `held`, the content of a JSON string.
pub(super) fn event(dialect: Dialect, text: &Text, held: &str, count: &mut Count) -> Vec<u8> {
    match dialect {
        Dialect::Chat => {
            let path: Vec<(u8, &[u8])> = steps(&text.key.name).collect();
            let mut event = Vec::with_capacity(text.event.len() + held.len());
            prune(&text.event, 0, &path, 0, held, &mut event);
            event
        }
        Dialect::Messages => block_delta(text, held).into_bytes(),
        Dialect::Responses => numbered(&text.event, held, count),
    }
}

/// Where the members of a choice stand in a path.
const CHOICE_DEPTH: usize = 2;

/// Writes the value at `at` with nothing in it but what leads to the text, and what tells where that belongs.
fn prune(event: &[u8], at: usize, path: &[(u8, &[u8])], depth: usize, held: &str, out: &mut Vec<u8>) {
    let Some(&(mark, step)) = path.get(depth) else {
        out.push(b'"');
        out.extend_from_slice(held.as_bytes());
        out.push(b'"');
        return;
    };
    if mark == ELEMENT {
        let is_it = |(place, element): &(usize, Span)| {
            let told = member_of(event, element.start, b"index").map(|index| index.of(event));
            told == Some(step) || (told.is_none() && place.to_string().as_bytes() == step)
        };
        out.push(b'[');
        if let Some((_, element)) = json::elements(event, at).enumerate().find(is_it) {
            prune(event, element.start, path, depth + 1, held, out);
        }
        out.push(b']');
        return;
    }
    out.push(b'{');
    let mut is_first = true;
    for Member { key, value } in json::members(event, at) {
        let is_kept = match &*key {
            b"usage" | b"choices" | b"x_groq" => false,
            b"index" | b"type" => true,
            // A text beside it has gone on with its own event, and has been screened there.
            _ if event.get(value.start) == Some(&b'"') => depth == 0 && is_structure(&key),
            _ => depth == 0 && !matches!(event.get(value.start), Some(b'{' | b'[')),
        };
        let leads = *key == *step;
        if !is_kept && !leads {
            continue;
        }
        if !mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(json::escape(&String::from_utf8_lossy(&key)).as_bytes());
        out.extend_from_slice(b"\":");
        if leads {
            prune(event, value.start, path, depth + 1, held, out);
        } else {
            out.extend_from_slice(value.of(event));
        }
    }
    if depth == CHOICE_DEPTH {
        out.extend_from_slice(b",\"finish_reason\":null");
    }
    out.push(b'}');
}

/// A `content_block_delta` of Anthropic's.
fn block_delta(text: &Text, held: &str) -> String {
    let name = String::from_utf8_lossy(&text.key.name);
    let told = member_of(&text.event, 0, b"delta")
        .and_then(|delta| member_of(&text.event, delta.start, b"type"))
        .map(|kind| String::from_utf8_lossy(kind.of(&text.event)).into_owned());
    let kind = match &*name {
        "text" => r#""text_delta""#.to_owned(),
        "thinking" => r#""thinking_delta""#.to_owned(),
        "partial_json" => r#""input_json_delta""#.to_owned(),
        _ => told.unwrap_or_else(|| r#""text_delta""#.to_owned()),
    };
    let name = json::escape(&name);
    let index = text.key.scope;
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":{kind},"{name}":"{held}"}}}}"#)
}

/// The same event with another `delta` and the next number. What else it says has gone on already.
fn numbered(event: &[u8], held: &str, count: &mut Count) -> Vec<u8> {
    let mut edits = Vec::new();
    for Member { key, value } in json::members(event, 0) {
        let text = match &*key {
            b"delta" => format!("\"{held}\""),
            b"logprobs" => "[]".to_owned(),
            b"sequence_number" => count.add().to_string(),
            key if is_structure(key) => continue,
            _ => match event.get(value.start) {
                Some(b'"') => "\"\"".to_owned(),
                Some(b'{') => "{}".to_owned(),
                Some(b'[') => "[]".to_owned(),
                _ => continue,
            },
        };
        edits.push(Edit {
            span: value,
            text: text.into(),
        });
    }
    json::splice(event, &edits)
}
