//! The forms that a model's input may have, and the refusal of those that are none.

use super::fields::{Fields, InvalidRequest, given};
use super::json::{self, Member, Span};
use super::places::{Form, INSTEAD_OF_ITEMS, Layout};

/// The most inputs that one request of text or vectors may hold: `OpenAI`'s bound for embeddings.
const INPUTS_MAX: usize = 2048;

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measure {
    /// Messages or items of a conversation, else texts.
    pub(super) messages: usize,
    /// Texts that are messages of their own, beside the input.
    pub(super) systems: usize,
    pub(super) names: usize,
    /// Tokens that came as numbers instead of text.
    pub(super) numbered: usize,
    pub(super) images: usize,
    pub(super) sounds: usize,
    pub(super) files: usize,
    pub(super) text_bytes: usize,
    pub(super) definition_bytes: usize,
    pub(super) attachment_bytes: usize,
}

/// Checks the form of the input and counts.
pub(super) fn check(text: &[u8], fields: &Fields, layout: &Layout) -> Result<Measure, InvalidRequest> {
    let mut measure = match (fields.input, layout.form) {
        (None, Form::OptionalText) => Measure::default(),
        (None, Form::Items) => without_items(text)?,
        (None, _) => return Err(InvalidRequest::missing(layout.input)),
        (Some(value), Form::Messages) => messages(text, value, layout.input)?,
        (Some(value), Form::Items) => items(text, value, layout.input)?,
        (Some(value), Form::Texts) => texts(text, value, layout.input)?,
        (Some(value), Form::Parts) => parts(text, value, layout.input, true)?,
        (Some(value), Form::Documents) => {
            let query = fields.beside[0].ok_or_else(|| InvalidRequest::missing("query"))?;
            only_text(text, query, "query")?;
            parts(text, value, layout.input, false)?
        }
        (Some(value), Form::Text) => only_text(text, value, layout.input)?,
        (Some(value), Form::OptionalText) => match given(text, Some(value)) {
            Some(value) => only_text(text, value, layout.input)?,
            None => Measure::default(),
        },
    };
    let systems = fields.beside.iter().take(layout.systems);
    measure.systems = systems.filter(|system| given(text, **system).is_some()).count();
    Ok(measure)
}

/// Refuses messages that are none.
fn messages(text: &[u8], value: Span, name: &str) -> Result<Measure, InvalidRequest> {
    if text.get(value.start) != Some(&b'[') {
        return Err(InvalidRequest::mistyped(name, "an array of objects", value.of(text)));
    }
    let messages = objects(text, value, name)?;
    if messages == 0 {
        let message = format!(
            "Invalid '{name}': empty array. Expected an array with minimum length 1, \
             but got an empty array instead."
        );
        return Err(InvalidRequest::new(name, "empty_array", message));
    }
    Ok(Measure {
        messages,
        ..Measure::default()
    })
}

/// Counts the elements, and refuses those that are no objects.
fn objects(text: &[u8], value: Span, name: &str) -> Result<usize, InvalidRequest> {
    let mut count = 0;
    for element in json::elements(text, value.start) {
        if text.get(element.start) != Some(&b'{') {
            let param = format!("{name}[{count}]");
            return Err(InvalidRequest::mistyped(&param, "an object", element.of(text)));
        }
        count += 1;
    }
    Ok(count)
}

/// Refuses an input that is neither a text nor items. A text is one message.
fn items(text: &[u8], value: Span, name: &str) -> Result<Measure, InvalidRequest> {
    let messages = match text.get(value.start) {
        Some(b'"') => 1,
        Some(b'[') => objects(text, value, name)?,
        Some(b'n') => return without_items(text),
        _ => {
            return Err(InvalidRequest::mistyped(
                name,
                "a string, or an array of objects",
                value.of(text),
            ));
        }
    };
    Ok(Measure {
        messages,
        ..Measure::default()
    })
}

/// A response that has no input of its own continues something.
fn without_items(text: &[u8]) -> Result<Measure, InvalidRequest> {
    let continues = json::members(text, 0)
        .any(|Member { key, value }| INSTEAD_OF_ITEMS.contains(&&*key) && given(text, Some(value)).is_some());
    if continues {
        Ok(Measure::default())
    } else {
        Err(InvalidRequest::missing("input"))
    }
}

/// Refuses an input that is neither a text, nor token numbers, nor a list of such.
fn texts(text: &[u8], value: Span, name: &str) -> Result<Measure, InvalidRequest> {
    let mistyped = |value: Span| InvalidRequest::mistyped(name, "a string, or an array of strings", value.of(text));
    let mut measure = Measure::default();
    match text.get(value.start) {
        Some(b'"') => measure.messages = 1,
        Some(b'[') => {
            for element in json::elements(text, value.start) {
                match text.get(element.start) {
                    Some(b'"') => measure.messages += 1,
                    Some(b'[') => {
                        measure.messages += 1;
                        measure.numbered += json::elements(text, element.start).count();
                    }
                    Some(b'0'..=b'9') => measure.numbered += 1,
                    _ => return Err(mistyped(element)),
                }
            }
            // Bare numbers are one text together.
            measure.messages = measure.messages.max(usize::from(measure.numbered > 0));
        }
        _ => return Err(mistyped(value)),
    }
    if measure.messages == 0 || measure.messages > INPUTS_MAX {
        let got = measure.messages;
        let message = format!("Invalid '{name}': expected an array of 1 to {INPUTS_MAX} items, but got {got}.");
        return Err(InvalidRequest::new(name, "invalid_array_length", message));
    }
    Ok(measure)
}

/// Refuses an input that is not a list of texts and objects, or, where `alone` allows it, a text.
fn parts(text: &[u8], value: Span, name: &str, alone: bool) -> Result<Measure, InvalidRequest> {
    let mistyped = |value: Span| {
        let expected = if alone {
            "a string, or an array of strings or objects"
        } else {
            "an array of strings or objects"
        };
        InvalidRequest::mistyped(name, expected, value.of(text))
    };
    let mut measure = Measure::default();
    match text.get(value.start) {
        Some(b'"') if alone => measure.messages = 1,
        Some(b'[') => {
            for element in json::elements(text, value.start) {
                if !matches!(text.get(element.start), Some(b'"' | b'{')) {
                    return Err(mistyped(element));
                }
                measure.messages += 1;
            }
        }
        _ => return Err(mistyped(value)),
    }
    if measure.messages == 0 {
        let message = format!("Invalid '{name}': expected an array of at least 1 item, but got 0.");
        return Err(InvalidRequest::new(name, "invalid_array_length", message));
    }
    Ok(measure)
}

fn only_text(text: &[u8], value: Span, name: &str) -> Result<Measure, InvalidRequest> {
    if text.get(value.start) != Some(&b'"') {
        return Err(InvalidRequest::mistyped(name, "a string", value.of(text)));
    }
    Ok(Measure {
        messages: 1,
        ..Measure::default()
    })
}
