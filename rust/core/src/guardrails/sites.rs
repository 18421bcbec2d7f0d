//! Where the texts stand in an answer, or in an event of one.
//!
//! The rule is a deny-list: every string is text but those known to be structure (roles, types, ids, names of tools), ciphertext
//! or media. What a provider invents next year is screened.

use crate::chat::json::{self, Member, Span};

/// Deeper than this a value is one text of JSON.
const DEPTH_MAX: usize = 24;

/// What stands in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The content of a string.
    Text,
    /// The content of a string that ought to be JSON: a call's arguments.
    Json,
    /// A whole value that is text: arguments as an object, a document.
    Inline,
    /// The number of an event.
    Sequence,
    /// Tokens one by one, which repeat the text.
    Tokens,
    /// An answer so far, in a stream that says it again and again.
    SoFar,
}

/// One place, and where in the buffer of paths its path stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) kind: Kind,
    pub(super) span: Span,
    path: (usize, usize),
}

impl Site {
    /// Whether a text stands there.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Json | Kind::Inline)
    }
}

/// The places of one payload, in order. Their paths are made of steps, each with its mark in front.
#[derive(Debug, Default)]
pub(super) struct Sites {
    found: Vec<Site>,
    paths: Vec<u8>,
    here: Vec<u8>,
    is_stream: bool,
}

/// A step to a member: its key follows, as it is spelt.
pub(super) const MEMBER: u8 = 1;
/// A step to an element: its number follows.
pub(super) const ELEMENT: u8 = 2;

impl Sites {
    /// For the events of a stream.
    pub(super) fn of_events() -> Self {
        Self {
            is_stream: true,
            ..Self::default()
        }
    }

    /// Finds the places in `payload`, which is JSON.
    pub(super) fn find(&mut self, payload: &[u8]) {
        self.found.clear();
        self.paths.clear();
        self.here.clear();
        self.walk(payload, json::skip_space(payload, 0), 0);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Site, &[u8])> {
        self.found
            .iter()
            .map(|site| (*site, &self.paths[site.path.0..site.path.1]))
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) fn get(&self, at: usize) -> (Site, &[u8]) {
        let site = self.found[at];
        (site, &self.paths[site.path.0..site.path.1])
    }

    fn add(&mut self, kind: Kind, span: Span) {
        let start = self.paths.len();
        self.paths.extend_from_slice(&self.here);
        self.found.push(Site {
            kind,
            span,
            path: (start, self.paths.len()),
        });
    }

    fn walk(&mut self, payload: &[u8], at: usize, depth: usize) {
        match payload.get(at) {
            Some(b'"') => self.add(Kind::Text, content(payload, at)),
            Some(b'{' | b'[') if depth > DEPTH_MAX => self.add(Kind::Inline, value(payload, at)),
            Some(b'{') => {
                for member in json::members(payload, at) {
                    let back = self.here.len();
                    self.here.push(MEMBER);
                    self.here.extend_from_slice(&member.key);
                    self.member(payload, at, &member, depth);
                    self.here.truncate(back);
                }
            }
            Some(b'[') => {
                for (place, element) in json::elements(payload, at).enumerate() {
                    let back = self.here.len();
                    self.here.push(ELEMENT);
                    self.number(payload, element, place);
                    self.walk(payload, element.start, depth + 1);
                    self.here.truncate(back);
                }
            }
            _ => {}
        }
    }

    /// The number of an element: the one that it tells itself, else its place.
    fn number(&mut self, payload: &[u8], element: Span, place: usize) {
        let told = member_of(payload, element.start, b"index").map(|index| index.of(payload));
        match told.filter(|digits| !digits.is_empty() && digits.len() < 8 && digits.iter().all(u8::is_ascii_digit)) {
            Some(digits) => self.here.extend_from_slice(digits),
            None => self.here.extend_from_slice(place.to_string().as_bytes()),
        }
    }

    fn member(&mut self, payload: &[u8], object: usize, member: &Member<'_>, depth: usize) {
        let Member { key, value } = member;
        let first = payload.get(value.start).copied().unwrap_or_default();
        match meaning(key, first) {
            Meaning::Tokens if !matches!(value.of(payload), b"null" | b"[]" | b"{}") => self.add(Kind::Tokens, *value),
            Meaning::Structure | Meaning::Tokens => {}
            Meaning::Coded if is_coded(payload, object, key) => {}
            Meaning::Json if first == b'"' => self.add(Kind::Json, content(payload, value.start)),
            Meaning::Json | Meaning::Inline if matches!(first, b'{' | b'[') => self.add(Kind::Inline, *value),
            Meaning::Sequence => self.add(Kind::Sequence, *value),
            Meaning::SoFar if self.is_stream && self.is_choice() => self.add(Kind::SoFar, *value),
            _ => self.walk(payload, value.start, depth + 1),
        }
    }

    /// Whether the place is a member of one of a chat's choices.
    fn is_choice(&self) -> bool {
        let mut steps = steps(&self.here);
        steps.next() == Some((MEMBER, b"choices")) && steps.nth(1).is_some() && steps.next().is_none()
    }
}

/// The steps of a path: the mark of each, and what follows it.
pub(super) fn steps(path: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (&mark, behind) = rest.split_first()?;
        let len = behind.iter().position(|byte| *byte <= ELEMENT).unwrap_or(behind.len());
        let step;
        (step, rest) = behind.split_at(len);
        Some((mark, step))
    })
}

/// The value of a member, if it has one of that key.
pub(super) fn member_of(payload: &[u8], object: usize, key: &[u8]) -> Option<Span> {
    json::members(payload, object)
        .find(|member| *member.key == *key)
        .map(|member| member.value)
}

fn value(payload: &[u8], at: usize) -> Span {
    Span {
        start: at,
        end: json::value_end(payload, at),
    }
}

/// The content of the string at `at`.
fn content(payload: &[u8], at: usize) -> Span {
    Span {
        start: at + 1,
        end: json::string_end(payload, at + 1),
    }
}

enum Meaning {
    Said,
    Structure,
    /// Text, unless the object that holds it says that it is media or ciphertext.
    Coded,
    Json,
    Inline,
    Sequence,
    Tokens,
    SoFar,
}

fn meaning(key: &[u8], first: u8) -> Meaning {
    match key {
        // Names and numbers of the dialect's own.
        b"role" | b"type" | b"id" | b"index" | b"object" | b"model" | b"name" | b"status" | b"finish_reason"
        | b"native_finish_reason" | b"stop_reason" | b"system_fingerprint" | b"service_tier" | b"item_id"
        | b"response_id" | b"previous_response_id" | b"call_id" | b"tool_call_id" | b"tool_use_id" | b"file_id"
        | b"container_id" | b"approval_request_id" | b"format" | b"media_type" | b"usage"
        | b"obfuscation"
        // What the client has said itself, and the model has not.
        | b"metadata" | b"user" | b"safety_identifier" | b"prompt_cache_key" | b"tools" | b"tool_choice"
        // Signatures, ciphertext and media.
        | b"signature" | b"thought_signature" | b"encrypted_content" | b"encrypted_index" | b"encrypted_stdout"
        | b"b64_json" | b"partial_image_b64" => Meaning::Structure,
        b"data" | b"result" | b"delta" | b"audio" | b"image_url" => Meaning::Coded,
        b"arguments" | b"partial_json" => Meaning::Json,
        b"input" | b"document" if first != b'"' => Meaning::Inline,
        b"sequence_number" if first != b'"' => Meaning::Sequence,
        b"logprobs" | b"tokens" | b"bytes" => Meaning::Tokens,
        b"message" if first == b'{' => Meaning::SoFar,
        _ => Meaning::Said,
    }
}

/// Whether a string under this key is structure, and no text.
pub(super) fn is_structure(key: &[u8]) -> bool {
    matches!(meaning(key, b'"'), Meaning::Structure)
}

/// Whether the object says that what it holds under `key` is sound, an image or ciphertext.
fn is_coded(payload: &[u8], object: usize, key: &[u8]) -> bool {
    let is_string = |value: Span| payload.get(value.start) == Some(&b'"');
    if !member_of(payload, object, key).is_some_and(is_string) {
        return false;
    }
    let kind = member_of(payload, object, b"type").map_or(&b""[..], |kind| kind.of(payload));
    match key {
        b"data" => {
            let has = |name: &[u8]| member_of(payload, object, name).is_some();
            matches!(
                kind,
                br#""redacted_thinking""# | br#""reasoning.encrypted""# | br#""base64""#
            ) || (kind.is_empty() && (has(b"transcript") || has(b"expires_at") || has(b"format")))
                || is_base64(content_of(payload, object, key))
        }
        b"result" => kind == br#""image_generation_call""#,
        b"delta" => kind.ends_with(br#"audio.delta""#),
        b"audio" => kind == br#""speech.audio.delta""#,
        _ => content_of(payload, object, key).starts_with(b"data:"),
    }
}

fn content_of<'a>(payload: &'a [u8], object: usize, key: &[u8]) -> &'a [u8] {
    member_of(payload, object, key).map_or(&b""[..], |value| content(payload, value.start).of(payload))
}

/// Whether it is coded bytes, and too long for anything else.
fn is_base64(content: &[u8]) -> bool {
    let coded = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    content.len() > 256 && content.iter().all(coded)
}
