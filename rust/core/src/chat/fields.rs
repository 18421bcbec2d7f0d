//! The top-level fields of a request that steer the call, and the refusal of those that are wrong.

use std::fmt;

use super::json::{self, Member, Span};
use super::places::{ALIASES_MAX, BESIDE_MAX, DEFINITIONS_MAX, Field, Layout};

/// The most choices a request may ask for.
const N_MAX: u64 = 128;

/// The field with the client's notes. Its value is not judged, and of two the last counts.
const METADATA: &str = "metadata";

/// Why a request is refused, in `OpenAI`'s words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// For the client; never quotes the body but for names of parameters.
    pub message: String,
    /// The parameter at fault; `None` when the body is not JSON.
    pub param: Option<String>,
    /// `OpenAI`'s code, where it has one: `invalid_type`, `missing_required_parameter`…
    pub code: Option<&'static str>,
}

impl InvalidRequest {
    pub(super) fn new(param: &str, code: &'static str, message: String) -> Self {
        Self {
            message,
            param: Some(param.to_owned()),
            code: Some(code),
        }
    }

    pub(super) fn unparsable(fault: impl fmt::Display) -> Self {
        let message = format!("We could not parse the JSON body of your request: {fault}");
        Self {
            message,
            param: None,
            code: None,
        }
    }

    pub(super) fn missing(param: &str) -> Self {
        Self::new(
            param,
            "missing_required_parameter",
            format!("Missing required parameter: '{param}'."),
        )
    }

    pub(super) fn mistyped(param: &str, expected: &str, got: &[u8]) -> Self {
        let got = type_of(got);
        Self::new(
            param,
            "invalid_type",
            format!("Invalid type for '{param}': expected {expected}, but got {got} instead."),
        )
    }
}

/// What the fields say about how to make the call.
#[derive(Clone, Debug)]
pub(super) struct Steering {
    pub(super) model: String,
    pub(super) user: Option<String>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) n: u32,
    pub(super) max_tokens: Option<u64>,
}

/// Where the values of the top-level fields stand that are read: the lists as in the operation's [`Layout`].
pub(super) struct Fields {
    layout: &'static Layout,
    pub(super) model: Option<Span>,
    pub(super) input: Option<Span>,
    stream: Option<Span>,
    pub(super) stream_options: Option<Span>,
    n: Option<Span>,
    max_tokens: [Option<Span>; ALIASES_MAX],
    user: [Option<Span>; ALIASES_MAX],
    pub(super) beside: [Option<Span>; BESIDE_MAX],
    pub(super) definitions: [Option<Span>; DEFINITIONS_MAX],
    metadata: Option<Span>,
}

impl Fields {
    pub(super) fn read(text: &[u8], layout: &'static Layout) -> Result<Self, InvalidRequest> {
        let start = json::skip_space(text, 0);
        if text.get(start) != Some(&b'{') {
            let got = type_of(&text[start..]);
            return Err(InvalidRequest::unparsable(format_args!(
                "expected an object, but got {got} at the top level"
            )));
        }
        let mut fields = Self {
            layout,
            model: None,
            input: None,
            stream: None,
            stream_options: None,
            n: None,
            max_tokens: [None; ALIASES_MAX],
            user: [None; ALIASES_MAX],
            beside: [None; BESIDE_MAX],
            definitions: [None; DEFINITIONS_MAX],
            metadata: None,
        };
        for Member { key, value } in json::members(text, start) {
            let Some((name, place)) = fields.place(&key) else {
                if &*key == METADATA.as_bytes() {
                    fields.metadata = Some(value);
                }
                fields.refuse_lookalike(&key)?;
                continue;
            };
            if place.replace(value).is_some() {
                return Err(InvalidRequest::new(
                    name,
                    "duplicate_parameter",
                    format!("Duplicate parameter: '{name}'."),
                ));
            }
        }
        for (field, place) in layout.definitions.iter().zip(&mut fields.definitions) {
            *place = place.and_then(|value| resolve(text, *field, value));
        }
        Ok(fields)
    }

    /// Refuses a key that is one of the known ones but for its case. Go's decoders take it for the same, and the last one counts:
    /// what stands there would be read by some providers, unscreened.
    fn refuse_lookalike(&mut self, key: &[u8]) -> Result<(), InvalidRequest> {
        let folded = fold(key);
        match self.place(&folded) {
            Some((name, _)) => Err(InvalidRequest::new(
                name,
                "unknown_parameter",
                format!("Unknown parameter, too much like '{name}': names are in lower case."),
            )),
            None => Ok(()),
        }
    }

    /// Where the client's notes stand; in some dialects they hold the user's name, too.
    pub(super) fn metadata(&self) -> Option<Span> {
        let mut users = self.layout.user.iter().zip(self.user);
        let named = users.find(|(field, _)| field.name == METADATA);
        named.map_or(self.metadata, |(_, value)| value)
    }

    /// Reads the fields that steer the call; refuses what `OpenAI` would refuse.
    pub(super) fn steering(&self, text: &[u8]) -> Result<Steering, InvalidRequest> {
        let model = read_model(text, self.model.ok_or_else(|| InvalidRequest::missing("model"))?)?;
        let stream = read_bool(text, "stream", self.stream)?;
        let include_usage = read_stream_options(text, self.stream_options, stream)?;
        let n = read_integer(text, "n", self.n, 1, N_MAX)?
            .and_then(|n| n.try_into().ok())
            .unwrap_or(1);
        let mut max_tokens = None;
        for (field, value) in self.layout.max_tokens.iter().zip(self.max_tokens) {
            let bound = read_integer(text, field.name, value, 0, u64::MAX)?;
            max_tokens = max_tokens.or(bound);
        }
        let mut user = None;
        for (field, value) in self.layout.user.iter().zip(self.user) {
            let value = value.and_then(|value| resolve(text, *field, value));
            let name = read_user(text, *field, value)?;
            user = user.or(name);
        }
        Ok(Steering {
            model,
            user,
            stream,
            include_usage,
            n,
            max_tokens,
        })
    }

    /// A field that another operation has is not known to this one, and so not judged.
    fn place(&mut self, key: &[u8]) -> Option<(&'static str, &mut Option<Span>)> {
        let layout = self.layout;
        Some(match key {
            b"model" => ("model", &mut self.model),
            b"stream" if layout.streams => ("stream", &mut self.stream),
            b"stream_options" if layout.asks_usage => ("stream_options", &mut self.stream_options),
            b"n" if layout.choices => ("n", &mut self.n),
            _ if key == layout.input.as_bytes() => (layout.input, &mut self.input),
            _ => {
                let lists: [(&[Field], &mut [Option<Span>]); 4] = [
                    (layout.max_tokens, &mut self.max_tokens),
                    (layout.user, &mut self.user),
                    (layout.beside, &mut self.beside),
                    (layout.definitions, &mut self.definitions),
                ];
                return lists.into_iter().find_map(|(fields, places)| {
                    let named = |(field, _): &(&Field, _)| field.name.as_bytes() == key;
                    let (field, place) = fields.iter().zip(places).find(named)?;
                    Some((field.name, place))
                });
            }
        })
    }
}

/// The value of the field itself, which stands in the value of its top-level name.
fn resolve(text: &[u8], field: Field, value: Span) -> Option<Span> {
    let Some(name) = field.member else {
        return Some(value);
    };
    json::members(text, value.start)
        .filter(|member| &*member.key == name.as_bytes())
        .last()
        .map(|member| member.value)
}

/// `key` in lower case, as Go's `encoding/json` compares: the long s and the Kelvin sign are letters to it.
fn fold(key: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(key);
    text.replace('\u{17F}', "s")
        .replace('\u{212A}', "k")
        .to_ascii_lowercase()
        .into_bytes()
}

fn read_model(text: &[u8], value: Span) -> Result<String, InvalidRequest> {
    let Some(content) = json::string(text, value) else {
        return Err(InvalidRequest::mistyped("model", "a string", value.of(text)));
    };
    if content.len() == 0 {
        let message = "Invalid 'model': empty string. Expected a string with minimum length 1, \
                       but got an empty string instead.";
        return Err(InvalidRequest::new("model", "empty_string", message.to_owned()));
    }
    Ok(json::unescape(content.of(text)).into_owned())
}

fn read_user(text: &[u8], field: Field, value: Option<Span>) -> Result<Option<String>, InvalidRequest> {
    let Some(value) = given(text, value) else {
        return Ok(None);
    };
    let Some(content) = json::string(text, value) else {
        let param = match field.member {
            Some(member) => format!("{}.{member}", field.name),
            None => field.name.to_owned(),
        };
        return Err(InvalidRequest::mistyped(&param, "a string", value.of(text)));
    };
    Ok(Some(json::unescape(content.of(text)).into_owned()))
}

fn read_bool(text: &[u8], param: &str, value: Option<Span>) -> Result<bool, InvalidRequest> {
    match given(text, value).map(|value| value.of(text)) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(other) => Err(InvalidRequest::mistyped(param, "a boolean", other)),
    }
}

fn read_integer(
    text: &[u8],
    param: &str,
    value: Option<Span>,
    min: u64,
    max: u64,
) -> Result<Option<u64>, InvalidRequest> {
    let Some(value) = given(text, value) else {
        return Ok(None);
    };
    let raw = value.of(text);
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidRequest::mistyped(param, "an integer", raw));
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u64::MAX);
    let negative = digits.len() != raw.len() && number != 0;
    if negative || number < min {
        let message = format!("Invalid '{param}': integer below minimum value. Expected a value >= {min}.");
        return Err(InvalidRequest::new(param, "integer_below_min_value", message));
    }
    if number > max {
        let message = format!("Invalid '{param}': integer above maximum value. Expected a value <= {max}.");
        return Err(InvalidRequest::new(param, "integer_above_max_value", message));
    }
    Ok(Some(number))
}

/// Whether the client asks for usage.
fn read_stream_options(text: &[u8], value: Option<Span>, stream: bool) -> Result<bool, InvalidRequest> {
    let Some(value) = given(text, value) else {
        return Ok(false);
    };
    if text.get(value.start) != Some(&b'{') {
        return Err(InvalidRequest::mistyped("stream_options", "an object", value.of(text)));
    }
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned();
        return Err(InvalidRequest {
            message,
            param: Some("stream_options".to_owned()),
            code: None,
        });
    }
    let mut asked = None;
    for Member { key, value } in json::members(text, value.start) {
        if &*key == b"include_usage" {
            let include_usage = read_bool(text, "stream_options.include_usage", Some(value))?;
            if asked.replace(include_usage).is_some() {
                let message = "Duplicate parameter: 'stream_options.include_usage'.".to_owned();
                return Err(InvalidRequest::new("stream_options", "duplicate_parameter", message));
            }
        }
    }
    Ok(asked.unwrap_or(false))
}

/// The value, unless it is `null`, which says as much as leaving it out.
pub(super) fn given(text: &[u8], value: Option<Span>) -> Option<Span> {
    value.filter(|value| value.of(text) != b"null")
}

/// The type of a JSON value in `OpenAI`'s words.
fn type_of(value: &[u8]) -> &'static str {
    match value.first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => "a decimal",
        _ => "an integer",
    }
}
