//! JSON in one spelling: what two texts that say the same have in common.
//!
//! A string is `"`, its bytes with escapes undone, and `0xFF`, which no text holds. A surrogate without its other half stands
//! as its three bytes would, so that none is taken for another. A number is `#`, its digits without zeros at either end, `e`,
//! its exponent, and `0xFF`. Members are in the order of their keys; those of the same key stay in the order in which they
//! came, since their readers differ in which of them counts. It is not the form of RFC 8785, whose numbers are doubles: two
//! long ids that only differ in their last digit would be one.
//!
//! Trusts that [`super::json::check`] has seen the text: so it recurses, 128 levels deep at most.

use std::borrow::Cow;

use super::json::{self, Span};

/// Behind every string and number.
const END: u8 = 0xFF;

/// What does not count, and what is noticed on the way.
pub(super) trait Hearing {
    /// Where in the dialect something stands.
    type Place: Copy;

    /// Whether the member of an object that stands at `place` counts, and what its value then is.
    fn hears(&mut self, place: Self::Place, key: &[u8], value: Span) -> Option<Self::Place>;

    /// What the elements of an array at `place` are.
    fn element(&self, place: Self::Place) -> Self::Place;

    /// An object has ended; what counts of it is in order.
    fn ended(&mut self, place: Self::Place, members: Heard<'_>);
}

/// The members of an object that count.
pub(super) struct Heard<'a> {
    out: &'a [u8],
    members: &'a [Place],
}

impl Heard<'_> {
    /// The value of a member in its one spelling; of several of the same key the first.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let mut members = self.members.iter();
        let member = members.find(|member| self.key(member) == key)?;
        Some(&self.out[member.value..member.end])
    }

    /// Whether a key stands there twice.
    pub(super) fn has_twin(&self) -> bool {
        let mut pairs = self.members.windows(2);
        pairs.any(|pair| self.key(&pair[0]) == self.key(&pair[1]))
    }

    fn key(&self, member: &Place) -> &[u8] {
        &self.out[member.start + 1..member.value - 1]
    }
}

/// Where a member lies in what was written.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    value: usize,
    end: usize,
}

fn key<'a>(out: &'a [u8], member: &Place) -> &'a [u8] {
    &out[member.start..member.value]
}

/// Writes values of one text in their one spelling.
pub(super) struct Writer<'a> {
    text: &'a [u8],
    out: Vec<u8>,
    /// A value that is left out, by its place.
    hole: Option<usize>,
    members: Vec<Place>,
    ordered: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(text: &'a [u8], hole: Option<usize>) -> Self {
        Self {
            text,
            out: Vec::with_capacity(text.len() + text.len() / 8 + 64),
            hole,
            members: Vec::with_capacity(16),
            ordered: Vec::new(),
        }
    }

    /// What was written since it was taken last.
    pub(super) fn written(&self) -> &[u8] {
        &self.out
    }

    /// Forgets what was written, and leaves nothing out any more.
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.hole = None;
    }

    /// Writes the value at `at`; the position behind it.
    pub(super) fn write<H: Hearing>(&mut self, at: usize, place: H::Place, hearing: &mut H) -> usize {
        if self.hole == Some(at) {
            self.out.push(b'?');
            return json::value_end(self.text, at);
        }
        match self.text.get(at) {
            Some(b'"') => {
                let (content, is_plain) = content(self.text, at + 1);
                self.string(content.of(self.text), is_plain);
                content.end + 1
            }
            Some(b'{') => self.object(at, place, hearing),
            Some(b'[') => self.array(at, place, hearing),
            _ => {
                let end = json::value_end(self.text, at);
                self.scalar(Span { start: at, end }.of(self.text));
                end
            }
        }
    }

    fn object<H: Hearing>(&mut self, at: usize, place: H::Place, hearing: &mut H) -> usize {
        let (first, opened) = (self.members.len(), self.out.len());
        self.out.push(b'{');
        let mut at = json::skip_space(self.text, at + 1);
        while self.text.get(at) == Some(&b'"') {
            at = self.member(at + 1, place, hearing);
            if self.text.get(at) != Some(&b',') {
                break;
            }
            at = json::skip_space(self.text, at + 1);
        }
        self.order(first, opened + 1);
        let heard = Heard {
            out: &self.out,
            members: &self.members[first..],
        };
        hearing.ended(place, heard);
        self.members.truncate(first);
        self.out.push(b'}');
        at + 1
    }

    /// Writes the member whose key's content begins at `at`, if it counts; the next position that is no white space.
    fn member<H: Hearing>(&mut self, at: usize, place: H::Place, hearing: &mut H) -> usize {
        let (name, is_plain) = content(self.text, at);
        let raw = name.of(self.text);
        let key = if is_plain { Cow::Borrowed(raw) } else { json::key(raw) };
        let at = json::skip_space(self.text, json::skip_space(self.text, name.end + 1) + 1);
        let value = Span {
            start: at,
            end: self.text.len(),
        };
        let Some(inner) = hearing.hears(place, &key, value) else {
            return json::skip_space(self.text, json::value_end(self.text, at));
        };
        let start = self.out.len();
        self.string(raw, is_plain);
        let value = self.out.len();
        let behind = self.write(at, inner, hearing);
        self.members.push(Place {
            start,
            value,
            end: self.out.len(),
        });
        json::skip_space(self.text, behind)
    }

    /// Puts the members from `first` on, whose bytes begin at `from`, in the order of their keys.
    fn order(&mut self, first: usize, from: usize) {
        let (out, members) = (&mut self.out, &mut self.members[first..]);
        if members.is_sorted_by(|one, other| key(out, one) <= key(out, other)) {
            return;
        }
        members.sort_by(|one, other| key(out, one).cmp(key(out, other)));
        self.ordered.clear();
        for member in members {
            let moved = from + self.ordered.len();
            self.ordered.extend_from_slice(&out[member.start..member.end]);
            *member = Place {
                start: moved,
                value: moved + member.value - member.start,
                end: moved + member.end - member.start,
            };
        }
        out[from..].copy_from_slice(&self.ordered);
    }

    fn array<H: Hearing>(&mut self, at: usize, place: H::Place, hearing: &mut H) -> usize {
        let inner = hearing.element(place);
        self.out.push(b'[');
        let mut at = json::skip_space(self.text, at + 1);
        while !matches!(self.text.get(at), None | Some(b']')) {
            at = json::skip_space(self.text, self.write(at, inner, hearing));
            if self.text.get(at) != Some(&b',') {
                break;
            }
            at = json::skip_space(self.text, at + 1);
        }
        self.out.push(b']');
        at + 1
    }

    fn string(&mut self, raw: &[u8], is_plain: bool) {
        self.out.push(b'"');
        if is_plain {
            self.out.extend_from_slice(raw);
        } else {
            self.out.extend_from_slice(&unescaped(raw));
        }
        self.out.push(END);
    }

    fn scalar(&mut self, raw: &[u8]) {
        match raw.first() {
            Some(b'-' | b'0'..=b'9') => number(raw, &mut self.out),
            _ => self.out.extend_from_slice(raw.get(..1).unwrap_or_default()),
        }
    }
}

/// The content of the string that begins at `start`, and whether there is no escape in it.
fn content(text: &[u8], start: usize) -> (Span, bool) {
    let rest = text.get(start..).unwrap_or_default();
    match memchr::memchr2(b'"', b'\\', rest) {
        Some(found) if rest[found] == b'"' => {
            let end = start + found;
            (Span { start, end }, true)
        }
        _ => {
            let end = json::string_end(text, start);
            (Span { start, end }, false)
        }
    }
}

/// What the content of a string says, in UTF-8 but for surrogates that stand alone.
pub(super) fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut said = Vec::with_capacity(raw.len());
    let (mut from, mut next) = (0, Some(first));
    while let Some(at) = next {
        said.extend_from_slice(&raw[from..at]);
        let (character, len) = json::escape_at(raw, at);
        match (character, lone_surrogate(raw, at)) {
            (char::REPLACEMENT_CHARACTER, Some(bytes)) => said.extend_from_slice(&bytes),
            _ => said.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        from = (at + len).min(raw.len());
        next = memchr::memchr(b'\\', &raw[from..]).map(|found| from + found);
    }
    said.extend_from_slice(&raw[from..]);
    Cow::Owned(said)
}

/// The bytes of the surrogate that is escaped at `at`, as UTF-8 would have them if it had any.
fn lone_surrogate(raw: &[u8], at: usize) -> Option<[u8; 3]> {
    let digits = std::str::from_utf8(raw.get(at + 2..at + 6)?).ok()?;
    let code = u16::from_str_radix(digits, 16).ok()?;
    let low_bits = |shift: u16| u8::try_from(code >> shift & 0x3F).unwrap_or_default() | 0x80;
    (0xD800..=0xDFFF)
        .contains(&code)
        .then(|| [0xED, low_bits(6), low_bits(0)])
}

/// Writes a number by its value.
fn number(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'#');
    let (mantissa, power) = match raw.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&raw[..at], &raw[at + 1..]),
        None => (raw, &b"0"[..]),
    };
    let (is_negative, digits) = match mantissa.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &b""[..]),
    };
    if is_negative {
        out.push(b'-');
    }
    let first = out.len();
    let all = whole.iter().chain(fraction);
    out.extend(all.skip_while(|digit| **digit == b'0'));
    let written = out.len();
    while out.len() > first && out.last() == Some(&b'0') {
        out.pop();
    }
    let cut = written - out.len();
    if out.len() == first {
        out.truncate(start + 1); // zero has neither sign nor exponent
        out.extend_from_slice(b"0\xFF");
        return;
    }
    let exponent = std::str::from_utf8(power)
        .ok()
        .and_then(|power| power.parse::<i64>().ok());
    let moved = i64::try_from(cut).ok().zip(i64::try_from(fraction.len()).ok());
    match exponent
        .zip(moved)
        .and_then(|(exponent, (cut, fraction))| exponent.checked_add(cut - fraction))
    {
        Some(0) => {}
        Some(exponent) => out.extend_from_slice(format!("e{exponent}").as_bytes()),
        None => {
            out.truncate(start + 1);
            out.extend_from_slice(raw);
        }
    }
    out.push(END);
}
