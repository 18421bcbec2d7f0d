//! From a text to its words, numbers, negation and names, in one walk.

use super::cut::{Cut, Raw};
use super::gist::{Gist, opening};
use super::numbers::number_at;
use super::vector::{DIMENSIONS, quantized};
use super::words::{self, Kind, NUMBER, UNKNOWN};

/// Beyond so many words two texts have to be the same, word for word.
const MOST_WORDS: usize = 160;
/// A longer word has no pieces.
const MOST_LETTERS: usize = 64;
const MOST_SIGNS: usize = 32;
const NEGATORS: [&str; 10] = [
    "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "nowhere",
];
const PREFIXES: [&str; 7] = ["un", "in", "im", "il", "ir", "non", "dis"];
/// Numbers of `WordNet`'s files of adjectives and adverbs, plus one.
const ADJECTIVES: [u8; 4] = [1, 2, 3, 45];

/// What a text counts, in one writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) hash: u32,
    /// The lemma of what is counted, plus one; 0 where that is not told.
    pub(super) next: u32,
    pub(super) may_lack: bool,
}

/// All that a text is compared by, beside its vector.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) words: Box<[u32]>,
    /// A hash of the words beyond the most.
    pub(super) rest: u64,
    pub(super) numbers: Box<[Number]>,
    pub(super) negations: u16,
    /// What is negated.
    pub(super) scopes: Box<[u32]>,
    pub(super) names: Box<[u32]>,
    pub(super) gist: Gist,
}

impl Reading {
    pub(super) fn new(cut: &Cut) -> Self {
        let mut sequence = Vec::with_capacity(cut.words.len());
        let mut numbers: Vec<Number> = Vec::new();
        let (mut scopes, mut names) = (Vec::new(), Vec::new());
        let mut negations = 0_u16;
        let (mut awaiting, mut negated) = (false, false);
        let opening = opening(cut);
        let mut gist = Gist::new(opening > 0);
        let mut at = 0;
        while let Some(raw) = cut.words.get(at) {
            if let Some(found) = number_at(cut, at) {
                let hash = words::hash(["", &found.writing]);
                numbers.push(Number {
                    hash,
                    next: 0,
                    may_lack: found.may_lack,
                });
                awaiting = true;
                let word = NUMBER | (hash & (NUMBER - 1));
                sequence.push(word);
                gist.push(word, "");
                at += found.words;
                continue;
            }
            let text = cut.text(at);
            let word = words::place("", text).unwrap_or_else(|| UNKNOWN | (words::hash(["", text]) & (UNKNOWN - 1)));
            let kind = words::kind(word);
            if negates(cut, at) {
                negations = negations.saturating_add(1);
                negated = true;
            } else if kind == Kind::Content {
                negations = negations.saturating_add(u16::from(opposed_by_prefix(text)));
                if std::mem::take(&mut negated) {
                    scopes.push(words::lemma(word));
                }
            }
            if matches!(kind, Kind::Content | Kind::Person) && std::mem::take(&mut awaiting) {
                if let Some(number) = numbers.last_mut() {
                    number.next = words::lemma(word).saturating_add(1);
                }
            }
            if is_name(raw, text) {
                names.push(words::lemma(word));
            }
            sequence.push(word);
            if at >= opening {
                gist.push(word, text);
            }
            at += 1;
        }
        let (kept, beyond) = sequence.split_at(sequence.len().min(MOST_WORDS));
        let rest = beyond.iter().fold(0_u64, |hash, &word| {
            hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(word) + 1)
        });
        names.sort_unstable();
        names.dedup();
        names.truncate(MOST_SIGNS);
        scopes.sort_unstable();
        scopes.truncate(MOST_SIGNS);
        Self {
            words: kept.into(),
            rest,
            numbers: bounded(numbers),
            negations,
            scopes: scopes.into(),
            names: names.into(),
            gist,
        }
    }
}

/// At most so many numbers; what is beyond becomes part of the last one.
fn bounded(mut numbers: Vec<Number>) -> Box<[Number]> {
    if numbers.len() > MOST_SIGNS {
        let beyond = numbers[MOST_SIGNS - 1..].iter().fold(0_u32, |hash, number| {
            hash.wrapping_mul(0x0100_0193).wrapping_add(number.hash)
        });
        numbers.truncate(MOST_SIGNS);
        if let Some(last) = numbers.last_mut() {
            *last = Number {
                hash: beyond,
                next: 0,
                may_lack: false,
            };
        }
    }
    numbers.into()
}

fn is_name(raw: &Raw, text: &str) -> bool {
    raw.capital && !raw.first && text != "i"
}

fn negates(cut: &Cut, at: usize) -> bool {
    let word = cut.text(at);
    if !NEGATORS.contains(&word) || (at > 0 && cut.text(at - 1) == "or") {
        return false;
    }
    let following = cut.text(at + 1);
    match word {
        "not" => following != "only",
        "no" => !following.starts_with(|letter: char| letter.is_ascii_digit()),
        _ => true,
    }
}

/// Whether a word is the opposite of itself without its beginning: unable, insecure.
fn opposed_by_prefix(text: &str) -> bool {
    for base in PREFIXES.iter().filter_map(|prefix| text.strip_prefix(prefix)) {
        let Some(without) = words::place("", base) else {
            continue;
        };
        let Some(with) = words::place("", text) else {
            return base.len() > 3 && ADJECTIVES.contains(&words::file(without));
        };
        if words::opposed(words::lemma(with), words::lemma(without)) {
            return true;
        }
    }
    false
}

/// The vector of all words: the sum of those of their pieces, and of what has none a pattern that its hash says.
pub(super) fn embedded(cut: &Cut) -> [i8; DIMENSIONS] {
    let mut sums = [0.0_f32; DIMENSIONS];
    let mut pieces = Vec::new();
    for at in 0..cut.words.len() {
        let text = cut.text(at);
        if split(text, &mut pieces) {
            for &piece in &pieces {
                words::add(&mut sums, piece);
            }
            continue;
        }
        let mut hash = words::hash(["", text]);
        for _ in 0..16 {
            hash = hash.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sums[(hash >> 24) as usize] += if hash & 0x100 == 0 { -0.25 } else { 0.25 };
        }
    }
    quantized(&sums)
}

/// The longest pieces from the left; whether they cover the word.
fn split(word: &str, pieces: &mut Vec<u32>) -> bool {
    pieces.clear();
    if !word.is_ascii() || word.len() > MOST_LETTERS {
        return false;
    }
    let mut at = 0;
    while at < word.len() {
        let start = if at == 0 { "" } else { "##" };
        let most = word.len().min(at + words::LONGEST);
        let Some((end, piece)) = (at + 1..=most)
            .rev()
            .find_map(|end| words::place(start, &word[at..end]).map(|piece| (end, piece)))
        else {
            return false;
        };
        pieces.push(piece);
        at = end;
    }
    true
}
