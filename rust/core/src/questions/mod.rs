//! Questions as a semantic cache compares them: a vector of the words, and the signs that tell near-duplicates apart.
//!
//! A text is cut into words (`cut`), read for numbers, negation and names (`numbers`, `reading`), and embedded as the sum
//! of its words' vectors (`words`). Two are compared by their signs (`signs`), which a learned verifier weighs. None of it
//! asks anybody, and all of it is the same on every host.

mod block;
mod cut;
mod gist;
mod graph;
mod numbers;
mod reading;
mod scratch;
mod signs;
mod vector;
mod verifier;
mod words;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use block::Block;
use cut::Cut;
pub use graph::{Graph, Plan};
use reading::{Number, Reading};
pub use scratch::Scratch;
pub use signs::SIGNS;
pub use vector::{DIMENSIONS, cosine};

/// A longer text is no question.
pub const MOST_BYTES: usize = 8 * 1024;

/// How sure one is of texts that say the same, but for words that say nothing.
const SAME_GIST: f32 = 0.99;

/// Why a text is no question.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum QuestionError {
    /// It says nothing.
    #[error("the text has no words")]
    Empty,
    /// It says too much.
    #[error("the text is longer than {MOST_BYTES} bytes")]
    TooLong,
}

/// A text, and what it is compared by.
#[derive(Debug)]
pub struct Question {
    text: Box<str>,
    vector: Box<[i8; DIMENSIONS]>,
    reading: Reading,
}

impl Question {
    /// Reads a text.
    pub fn new(text: &str) -> Result<Self, QuestionError> {
        if text.len() > MOST_BYTES {
            return Err(QuestionError::TooLong);
        }
        let cut = Cut::new(text);
        if cut.words.is_empty() {
            return Err(QuestionError::Empty);
        }
        Ok(Self {
            text: text.into(),
            vector: Box::new(reading::embedded(&cut)),
            reading: Reading::new(&cut),
        })
    }

    /// As it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its direction.
    #[must_use]
    pub fn vector(&self) -> &[i8; DIMENSIONS] {
        &self.vector
    }

    /// The cosine of the vectors.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f32 {
        cosine(self.vector(), other.vector())
    }

    /// Whether numbers and negation are the same, and all that is too long to be compared word by word.
    ///
    /// A number that may as well be none ("one", "first") may lack on one side. Numbers may change places where it is
    /// told what each counts.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let (one, other) = (&self.reading, &other.reading);
        one.negations == other.negations && one.rest == other.rest && same_numbers(&one.numbers, &other.numbers)
    }

    /// What the verifier weighs, the same in either order.
    #[must_use]
    pub fn signs(&self, other: &Self) -> [f32; SIGNS] {
        signs::signs(self, other)
    }

    /// Whether only words differ that say nothing: "How do I" and "How can I", "the", "please".
    fn says_as(&self, other: &Self) -> bool {
        self.reading.gist.is_same(&other.reading.gist) && self.reading.names == other.reading.names
    }

    /// How sure one can be that an answer to the one serves the other, 0 to 1; 0 where they do not agree.
    ///
    /// `second` is the cosine by another embedder; one that is no number counts as none.
    #[must_use]
    pub fn confidence(&self, other: &Self, second: Option<f32>) -> f32 {
        if !self.agrees(other) {
            return 0.0;
        }
        if self.reading.words == other.reading.words && self.reading.names == other.reading.names {
            return 1.0;
        }
        let judged = verifier::confidence(&self.signs(other), second.filter(|second| second.is_finite()));
        if self.says_as(other) {
            judged.max(SAME_GIST)
        } else {
            judged
        }
    }
}

fn same_numbers(one: &[Number], other: &[Number]) -> bool {
    let hashes = |numbers: &[Number]| -> Vec<u32> { numbers.iter().map(|number| number.hash).collect() };
    let (left, right) = (hashes(one), hashes(other));
    if left == right {
        return true;
    }
    let extra = [surplus(one, &right), surplus(other, &left)];
    if extra.iter().all(|more| !more.is_empty()) || extra.iter().flatten().any(|number| !number.may_lack) {
        return false;
    }
    let shared = |numbers: &[Number], others: &[u32]| -> Vec<Number> {
        numbers
            .iter()
            .filter(|number| others.contains(&number.hash))
            .copied()
            .collect()
    };
    let (mut one, mut other) = (shared(one, &right), shared(other, &left));
    if hashes(&one) == hashes(&other) {
        return true;
    }
    let key = |number: &Number| (number.next, number.hash);
    one.sort_unstable_by_key(key);
    other.sort_unstable_by_key(key);
    one.iter().map(key).eq(other.iter().map(key))
        && one.iter().all(|number| number.next != 0)
        && one.windows(2).all(|pair| pair[0].next != pair[1].next)
}

/// Numbers that the others have less often.
fn surplus(numbers: &[Number], others: &[u32]) -> Vec<Number> {
    let count = |number: &Number| others.iter().filter(|&&other| other == number.hash).count();
    numbers
        .iter()
        .enumerate()
        .filter(|(at, number)| {
            numbers[..*at]
                .iter()
                .filter(|before| before.hash == number.hash)
                .count()
                >= count(number)
        })
        .map(|(_, number)| *number)
        .collect()
}
