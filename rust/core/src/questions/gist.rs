//! A text without what says nothing: "How do I", "How can I" and "What is the best way to" ask the same.

use super::cut::Cut;

const HELPERS: [&str; 5] = ["do", "can", "could", "should", "would"];
/// Nobody else: what "you" or "they" do may be another question.
const ASKERS: [&str; 2] = ["i", "we"];
const GOOD: [&str; 5] = ["best", "good", "right", "proper", "correct"];
const IDLE: [&str; 9] = [
    "the",
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

/// Hashes of the words after the opening, as they are read.
#[derive(Debug)]
pub(super) struct Gist {
    all: u64,
    telling: u64,
    words: usize,
}

impl Gist {
    /// Of a text with an opening or without.
    pub(super) fn new(opens: bool) -> Self {
        let seed = u64::from(opens);
        Self {
            all: seed,
            telling: seed,
            words: 0,
        }
    }

    /// Takes the next word by its number and its letters; a number has none.
    pub(super) fn push(&mut self, word: u32, text: &str) {
        self.all = folded(self.all, word);
        if !IDLE.contains(&text) {
            self.telling = folded(self.telling, word);
            self.words += 1;
        }
    }

    /// The same for texts that say the same.
    pub(super) const fn hash(&self) -> u64 {
        if self.words < LEAST_WORDS {
            self.all
        } else {
            self.telling
        }
    }
}

fn folded(hash: u64, word: u32) -> u64 {
    (hash.rotate_left(5) ^ (u64::from(word) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
