//! A text without what says nothing: "How do I", "How can I" and "What is the best way to" ask the same.

use super::cut::Cut;

const HELPERS: [&str; 5] = ["do", "can", "could", "should", "would"];
/// Nobody else: what "you" or "they" do may be another question.
const ASKERS: [&str; 2] = ["i", "we"];
const GOOD: [&str; 5] = ["best", "good", "right", "proper", "correct"];
const ARTICLE: &str = "the";
const FILLERS: [&str; 8] = [
    "please",
    "kindly",
    "really",
    "actually",
    "basically",
    "hi",
    "hello",
    "thanks",
];
/// Of a text that says less nothing is left out: "What is matter?" is not "What is the matter?".
const LEAST_WORDS: usize = 4;

/// How many words at the beginning ask how something is done, without saying what.
pub(super) fn opening(cut: &Cut) -> usize {
    let is = |at: usize, any: &[&str]| any.contains(&cut.text(at));
    if is(0, &["how"]) {
        return match () {
            () if is(1, &["to"]) => 2,
            () if is(1, &HELPERS) && is(2, &ASKERS) => 3,
            () => 0,
        };
    }
    if !is(0, &["what"]) || !is(1, &["is", "are"]) {
        return 0;
    }
    let mut at = 2 + usize::from(is(2, &["the", "a", "some"]));
    at += usize::from(is(at, &GOOD));
    if !is(at, &["way", "ways"]) {
        return 0;
    }
    at += if is(at + 1, &["for"]) && is(at + 2, &["me"]) {
        3
    } else {
        1
    };
    if is(at, &["to"]) { at + 1 } else { 0 }
}

/// What a text says after its opening, as hashes of its words.
#[derive(Debug, Default)]
pub(super) struct Gist {
    all: u64,
    /// Without articles and fillers.
    telling: u64,
    words: usize,
    has_fillers: bool,
}

impl Gist {
    /// Of a text with an opening or without, before its first word.
    pub(super) fn new(opens: bool) -> Self {
        let seed = u64::from(opens);
        Self {
            all: seed,
            telling: seed,
            words: 0,
            has_fillers: false,
        }
    }

    /// Takes the next word by its number and its letters; a number has none.
    pub(super) fn push(&mut self, word: u32, text: &str) {
        self.all = folded(self.all, word);
        if FILLERS.contains(&text) {
            self.has_fillers = true;
        } else if text != ARTICLE {
            self.telling = folded(self.telling, word);
            self.words += 1;
        }
    }

    /// Whether two texts say the same. Where both have fillers these are compared, too: they may be what is asked about,
    /// as in "What does please mean in Spanish?".
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        let is_long = self.words >= LEAST_WORDS && other.words >= LEAST_WORDS;
        let may_differ = is_long && !(self.has_fillers && other.has_fillers);
        self.all == other.all || (may_differ && self.telling == other.telling)
    }
}

fn folded(hash: u64, word: u32) -> u64 {
    (hash.rotate_left(5) ^ (u64::from(word) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
