//! Codes of letters and digits: what begins at a place, by the forms of all the countries.
//!
//! A place is read once into a [`Window`]: its letters and digits without the separators, and where its words end. Each
//! form of the same length is then laid over it; what fits must pass its check digits, and is worth what the words beside it
//! say (see [`Spec`]).

use std::cell::Cell;
use std::sync::LazyLock;

use super::claims::{self, Claims};
use super::context::{self, Topic};
use super::countries::SPECS;
use super::entity::Entity;
use super::number::{Gap, follows_word, is_word, separator_at};
use super::scan::Candidate;
use super::{birth, crypto, iban};

/// So near to its beginning a text may still turn out to be nothing but one value.
pub(super) const OPENING_BYTES: usize = 12;
/// Letters and digits of the longest form.
const LONGEST: usize = 24;
/// Most words of a form.
const WORDS: usize = 8;
/// How far a word about something else counts against a code, in bytes.
const NEAR_BYTES: usize = 24;
/// A word about telephones that stands directly before a number has the last word on it.
const BESIDE_BYTES: usize = 3;
/// How far the words may stand that claim a code, in bytes.
const BEFORE_BYTES: usize = claims::LONGEST_PLACE;
const AFTER_BYTES: usize = 40;
/// Less is not worth reporting.
const WORTH_REPORTING: u8 = 20;
/// Confidence in what a word about something else stands beside.
const DENIED: u8 = 30;

/// How an entity is written, checked, and believed.
pub(super) struct Spec {
    pub(super) entity: Entity,
    /// `d` a digit, `a` a letter, `x` either, a capital itself; before it `-`, ` `, `.`, `/`, `(` as written, `_` a space or dash, `~` any
    /// separator or none.
    pub(super) forms: &'static [&'static str],
    /// Check digits and ranges, of capitals and digits without separators.
    pub(super) check: fn(&[u8]) -> bool,
    /// Confidence in percent: in a sentence that says nothing of it, as all there is of a text, and with a word of `words`.
    pub(super) worth: [u8; 3],
    /// Words that claim it, in small letters; longer words may begin with them if they have more than three letters.
    pub(super) words: &'static [&'static str],
}

/// A form, what it is one of, and the bit of the words that claim it.
#[derive(Clone, Copy)]
struct Form {
    signs: &'static [u8],
    outline: Outline,
    spec: &'static Spec,
    claim: u128,
}

/// Roughly what stands where: one bit for each symbol of a form. It refuses most that does not fit in a few instructions.
#[derive(Clone, Copy, Default)]
struct Outline {
    digits: u32,
    letters: u32,
    /// Before which symbols there must be a separator, and before which none.
    divided: u32,
    glued: u32,
}

/// All forms, and the words that claim them, ready to be looked up.
struct Forms {
    /// By the number of letters and digits: forms that begin with a digit, and others.
    by_length: [[Vec<Form>; 2]; LONGEST + 1],
    words: Claims,
    /// The bit of the words that tell a date of birth.
    birth: u128,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let mut forms = Forms {
        by_length: [const { [const { Vec::new() }; 2] }; LONGEST + 1],
        words: Claims::new(),
        birth: 1,
    };
    let mut lists: Vec<&[&str]> = vec![birth::WORDS];
    forms.words.learn(birth::WORDS, forms.birth);
    for spec in SPECS.iter().copied().flatten() {
        let place = lists.iter().position(|list| *list == spec.words).unwrap_or(lists.len());
        let claim = 1 << place;
        if place == lists.len() {
            lists.push(spec.words);
            forms.words.learn(spec.words, claim);
        }
        for form in spec.forms {
            let signs = form.as_bytes();
            let length = signs.iter().filter(|sign| sign.is_ascii_alphanumeric()).count();
            if let Some(same) = forms.by_length.get_mut(length) {
                let outline = Outline::of(signs);
                let form = Form {
                    signs,
                    outline,
                    spec,
                    claim,
                };
                if matches!(signs, [b'd' | b'x', ..]) {
                    same[0].push(form);
                }
                if !matches!(signs, [b'd', ..]) {
                    same[1].push(form);
                }
            }
        }
    }
    forms
});

impl Outline {
    fn of(form: &[u8]) -> Self {
        let mut outline = Self::default();
        let (mut place, mut mark) = (1, 0);
        for sign in form {
            match sign {
                b'd' | b'0'..=b'9' => outline.digits |= place,
                b'a' | b'A'..=b'Z' => outline.letters |= place,
                b'x' => {}
                _ => {
                    mark = *sign;
                    continue;
                }
            }
            match mark {
                0 => outline.glued |= place,
                b'~' => {}
                _ => outline.divided |= place,
            }
            (place, mark) = (place << 1, 0);
        }
        outline
    }

    /// Whether nothing of a form with this outline speaks against a window with `other`.
    const fn agrees(self, other: Self) -> bool {
        self.digits & !other.digits
            | self.letters & !other.letters
            | self.divided & !other.divided
            | self.glued & other.divided
            == 0
    }
}

/// A text, and whether somebody looked beyond what is there of it.
pub(super) struct View<'t> {
    pub(super) bytes: &'t [u8],
    is_last: bool,
    short: Cell<bool>,
    /// What the words before a place and behind another claim, once asked for.
    before: Cell<Option<(usize, u128)>>,
    behind: Cell<Option<(usize, u128)>>,
}

impl<'t> View<'t> {
    pub(super) fn new(text: &'t str, is_last: bool) -> Self {
        Self {
            bytes: text.as_bytes(),
            is_last,
            short: Cell::new(false),
            before: Cell::new(None),
            behind: Cell::new(None),
        }
    }

    /// Whether an answer depends on text that has not come yet.
    pub(super) fn fell_short(&self) -> bool {
        self.short.get()
    }

    /// Says that the text was read to its end.
    pub(super) fn fall_short(&self) {
        self.short.set(!self.is_last);
    }

    /// Whether text up to `end` has not come yet.
    pub(super) fn is_open(&self, end: usize) -> bool {
        !self.is_last && self.bytes.len() < end
    }

    /// The surest code that begins at `start`.
    pub(super) fn at(&self, start: usize) -> Option<Candidate> {
        if follows_word(self.bytes, start) {
            return None;
        }
        let found = |entity: Entity| {
            move |end: usize| Candidate {
                entity,
                start,
                end,
                confidence: 95,
            }
        };
        iban::at(self, start)
            .map(found(Entity::Iban))
            .or_else(|| crypto::at(self, start).map(found(Entity::Crypto)))
            .or_else(|| self.coded(start))
    }

    /// Behind which byte a code that begins at `start` cannot reach. It is `start` where no text is to come, for whatever is there
    /// is decided then.
    pub(super) fn reach(&self, start: usize) -> usize {
        if self.is_last {
            return start;
        }
        Window::read(self.bytes, start).stop
    }

    fn coded(&self, start: usize) -> Option<Candidate> {
        if is_part_of_something(self.bytes, start) {
            return None;
        }
        let window = Window::read(self.bytes, start);
        let outline = window.outline();
        let mut best: Option<Candidate> = None;
        for &(length, end) in &window.ends[..window.words] {
            let symbols = &window.symbols[..length];
            let forms = &FORMS.by_length[length][usize::from(!symbols[0].is_ascii_digit())];
            if forms.is_empty() || goes_on(self.bytes, end) {
                continue;
            }
            for form in forms {
                if form.outline.agrees(outline) && fits(form.signs, symbols, &window.gaps) && (form.spec.check)(symbols)
                {
                    let confidence = self.worth(form, start, end);
                    let stands = best.is_some_and(|best| best.confidence >= confidence);
                    if !stands && confidence >= WORTH_REPORTING {
                        let entity = form.spec.entity;
                        best = Some(Candidate {
                            entity,
                            start,
                            end,
                            confidence,
                        });
                    }
                }
            }
        }
        best
    }

    fn worth(&self, form: &Form, start: usize, end: usize) -> u8 {
        let [base, alone, told] = form.spec.worth;
        let claimed = (self.claims_before(start) | self.claims_behind(end)) & form.claim != 0;
        if claimed
            && !matches!(
                context::before(self.bytes, start),
                Some((Topic::Phone, 0..=BESIDE_BYTES))
            )
        {
            return told;
        }
        if alone > base && self.is_alone(start, end) {
            return alone;
        }
        if base <= DENIED {
            return base;
        }
        match context::before(self.bytes, start) {
            Some((topic, distance)) if distance <= NEAR_BYTES && topic != Topic::Ssn => DENIED,
            _ => base,
        }
    }

    fn claims_before(&self, start: usize) -> u128 {
        match self.before.get() {
            Some((at, claims)) if at == start => claims,
            _ => {
                let from = start.saturating_sub(BEFORE_BYTES);
                let cut = from > 0 && self.bytes[from - 1].is_ascii_alphabetic();
                let claims = FORMS.words.of(&self.bytes[from..start], cut);
                self.before.set(Some((start, claims)));
                claims
            }
        }
    }

    /// Of the same line.
    fn claims_behind(&self, end: usize) -> u128 {
        match self.behind.get() {
            Some((at, claims)) if at == end => claims,
            _ => {
                let rest = &self.bytes[end..self.bytes.len().min(end + AFTER_BYTES)];
                let line = memchr::memchr(b'\n', rest);
                if line.is_none() && rest.len() < AFTER_BYTES {
                    self.fall_short();
                }
                let claims = FORMS.words.of(&rest[..line.unwrap_or(rest.len())], false);
                self.behind.set(Some((end, claims)));
                claims
            }
        }
    }

    /// Whether a word before `start` says that what stands there is a date of birth.
    pub(super) fn is_birth(&self, start: usize) -> bool {
        self.claims_before(start) & FORMS.birth != 0
    }

    /// Whether nothing but marks stands around a value: an answer, or a field of a form.
    pub(super) fn is_alone(&self, start: usize, end: usize) -> bool {
        let is_mark = |byte: &u8| !byte.is_ascii_alphanumeric() && byte.is_ascii();
        if start > OPENING_BYTES || !self.bytes[..start].iter().all(is_mark) {
            return false;
        }
        let rest = &self.bytes[end..self.bytes.len().min(end + OPENING_BYTES)];
        let marks = rest.iter().all(is_mark);
        if marks && rest.len() < OPENING_BYTES {
            self.fall_short();
        }
        marks && rest.len() < OPENING_BYTES
    }
}

/// Letters and digits from a place on, with what stands before each.
struct Window {
    /// In capitals.
    symbols: [u8; LONGEST],
    gaps: [Gap; LONGEST],
    /// For each word: how many symbols there are up to its end, and where that is.
    ends: [(usize, usize); WORDS],
    words: usize,
    /// Where the reading ended.
    stop: usize,
}

impl Window {
    fn read(text: &[u8], start: usize) -> Self {
        let mut window = Self {
            symbols: [0; LONGEST],
            gaps: [Gap::Edge; LONGEST],
            ends: [(0, 0); WORDS],
            words: 0,
            stop: start,
        };
        let (mut length, mut at, mut gap) = (0, start, Gap::Edge);
        while window.words < WORDS {
            let word = text[at..]
                .iter()
                .take(LONGEST + 1)
                .take_while(|byte| is_word(**byte))
                .count();
            window.stop = at + word;
            if word == 0 || length + word > LONGEST || (window.words > 0 && !belongs(&text[at..at + word], at)) {
                break;
            }
            window.symbols[length..length + word].copy_from_slice(&text[at..at + word]);
            window.gaps[length] = gap;
            length += word;
            window.ends[window.words] = (length, at + word);
            window.words += 1;
            let Some((next, bytes)) = separator_at(&text[at + word..]) else {
                break;
            };
            (gap, at) = (next, at + word + bytes);
        }
        window.symbols.make_ascii_uppercase();
        window
    }

    /// Here only separators are marked: what has none before it is glued.
    fn outline(&self) -> Outline {
        let mut outline = Outline::default();
        let length = self.ends[..self.words].last().map_or(0, |(length, _)| *length);
        for (place, (symbol, gap)) in self.symbols[..length].iter().zip(&self.gaps).enumerate() {
            outline.digits |= u32::from(symbol.is_ascii_digit()) << place;
            outline.letters |= u32::from(symbol.is_ascii_uppercase()) << place;
            outline.divided |= u32::from(*gap != Gap::Edge) << place;
        }
        outline
    }
}

/// Whether a further word may be part of a code: it has a digit in it, or is a few capitals. At the start of a text small
/// letters will do.
fn belongs(word: &[u8], at: usize) -> bool {
    let capitals = word.iter().all(u8::is_ascii_uppercase) || at <= OPENING_BYTES || word.len() == 1;
    word.iter().any(u8::is_ascii_digit) || (word.len() <= 4 && capitals)
}

/// Whether a form describes these symbols and what stands between them.
fn fits(form: &[u8], symbols: &[u8], gaps: &[Gap]) -> bool {
    let mut mark = 0;
    let mut place = 0;
    for sign in form {
        let symbol = symbols[place];
        let right = match sign {
            b'd' => symbol.is_ascii_digit(),
            b'a' => symbol.is_ascii_uppercase(),
            b'x' => symbol.is_ascii_alphanumeric(),
            b'A'..=b'Z' | b'0'..=b'9' => symbol == *sign,
            _ => {
                mark = *sign;
                continue;
            }
        };
        let gap = gaps[place];
        let divided = match mark {
            0 => gap == Gap::Edge,
            b'-' => gap == Gap::Dash,
            b' ' => gap == Gap::Space,
            b'.' => gap == Gap::Dot,
            b'/' => gap == Gap::Slash,
            b'(' => gap == Gap::Open,
            b'_' => matches!(gap, Gap::Space | Gap::Dash),
            _ => matches!(gap, Gap::Edge | Gap::Space | Gap::Dash | Gap::Dot | Gap::Slash),
        };
        if !right || !divided {
            return false;
        }
        mark = 0;
        place += 1;
    }
    true
}

/// Whether what stands before `start` makes it the rest of a longer code, a path or a price.
fn is_part_of_something(text: &[u8], start: usize) -> bool {
    match text[..start] {
        [.., before, b'-' | b'.' | b'/' | b'+' | b'_'] => is_word(before) || before == b'.',
        // Prices in dollars, pounds, yen, euros; tails of other things.
        [.., b'$' | b'@' | b'%' | b'&' | b'~' | b'^'] | [.., 0xC2, 0xA3 | 0xA5] | [.., 0xE2, 0x82, 0xAC] => true,
        _ => false,
    }
}

/// Whether a code that ends at `end` has more to it.
fn goes_on(text: &[u8], end: usize) -> bool {
    match text[end..] {
        [b'-' | b'.' | b'/' | b':', next, ..] => is_word(next),
        [b'@' | b'%' | b'=' | b'(' | b'_', ..] => true,
        _ => false,
    }
}
