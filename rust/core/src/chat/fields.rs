//! The top-level fields of a chat request that steer the call, and the refusal of those that are wrong.

use std::fmt;

use super::Operation;
use super::json::{self, Member, Span};

/// The most choices a request may ask for.
const N_MAX: u64 = 128;

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

/// Where the values of the top-level fields stand that are read.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) model: Option<Span>,
    /// What the model reads: `messages`, `prompt` or `input`.
    pub(super) input: Option<Span>,
    pub(super) suffix: Option<Span>,
    stream: Option<Span>,
    pub(super) stream_options: Option<Span>,
    n: Option<Span>,
    max_tokens: Option<Span>,
    max_completion_tokens: Option<Span>,
    user: Option<Span>,
    pub(super) prediction: Option<Span>,
    pub(super) documents: Option<Span>,
    pub(super) tools: Option<Span>,
    pub(super) functions: Option<Span>,
    pub(super) response_format: Option<Span>,
}

impl Fields {
    pub(super) fn read(text: &[u8], operation: Operation) -> Result<Self, InvalidRequest> {
        let start = json::skip_space(text, 0);
        if text.get(start) != Some(&b'{') {
            let got = type_of(&text[start..]);
            return Err(InvalidRequest::unparsable(format_args!(
                "expected an object, but got {got} at the top level"
            )));
        }
        let mut fields = Self::default();
        for Member { key, value } in json::members(text, start) {
            let Some((name, place)) = fields.place(&key, operation) else {
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
        Ok(fields)
    }

    /// Reads the fields that steer the call; refuses what `OpenAI` would refuse.
    pub(super) fn steering(&self, text: &[u8]) -> Result<Steering, InvalidRequest> {
        let model = read_model(text, self.model.ok_or_else(|| InvalidRequest::missing("model"))?)?;
        let stream = read_bool(text, "stream", self.stream)?;
        let include_usage = read_stream_options(text, self.stream_options, stream)?;
        let n = read_integer(text, "n", self.n, 1, N_MAX)?
            .and_then(|n| n.try_into().ok())
            .unwrap_or(1);
        let max_tokens = read_integer(text, "max_tokens", self.max_tokens, 0, u64::MAX)?;
        let newer = read_integer(text, "max_completion_tokens", self.max_completion_tokens, 0, u64::MAX)?;
        let user = read_user(text, self.user)?;
        Ok(Steering {
            model,
            user,
            stream,
            include_usage,
            n,
            max_tokens: newer.or(max_tokens),
        })
    }

    /// A field that another operation has is not known to this one, and so not judged.
    fn place(&mut self, key: &[u8], operation: Operation) -> Option<(&'static str, &mut Option<Span>)> {
        let chat = operation == Operation::Chat;
        let says = operation != Operation::Embeddings;
        Some(match key {
            b"model" => ("model", &mut self.model),
            _ if key == operation.input().as_bytes() => (operation.input(), &mut self.input),
            b"user" => ("user", &mut self.user),
            b"stream" if says => ("stream", &mut self.stream),
            b"stream_options" if says => ("stream_options", &mut self.stream_options),
            b"n" if says => ("n", &mut self.n),
            b"max_tokens" if says => ("max_tokens", &mut self.max_tokens),
            b"suffix" if operation == Operation::Completions => ("suffix", &mut self.suffix),
            b"max_completion_tokens" if chat => ("max_completion_tokens", &mut self.max_completion_tokens),
            b"prediction" if chat => ("prediction", &mut self.prediction),
            b"documents" if chat => ("documents", &mut self.documents),
            b"tools" if chat => ("tools", &mut self.tools),
            b"functions" if chat => ("functions", &mut self.functions),
            b"response_format" if chat => ("response_format", &mut self.response_format),
            _ => return None,
        })
    }
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

fn read_user(text: &[u8], value: Option<Span>) -> Result<Option<String>, InvalidRequest> {
    let Some(value) = given(text, value) else {
        return Ok(None);
    };
    let Some(content) = json::string(text, value) else {
        return Err(InvalidRequest::mistyped("user", "a string", value.of(text)));
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
fn given(text: &[u8], value: Option<Span>) -> Option<Span> {
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
