//! Attacks on the instructions of a model: prompt injection, direct or hidden in what tools and documents bring, and jailbreaks.
//!
//! A text is folded ([`fold`], [`words`]), read for concepts and phrases ([`lexicon`], [`families`]), and each window of it
//! is weighed by a linear model ([`features`], [`weights`]); so is what decodes out of it ([`decode`]). Linear in the
//! text's length, in bounded memory. `benches/guardrails/injection.py` trains the weights and says how well they do.

mod decode;
mod families;
mod features;
mod fold;
mod lexicon;
mod weights;
mod words;

#[cfg(test)]
mod tests;

use decode::View;
pub use features::FEATURES;
use features::{Features, Reader, Trait, family};
use weights::Weights;
use words::Words;

/// A text is read in stretches, so that memory is bounded; each begins some way back, so that nothing is cut in two.
const STRETCH_BYTES: usize = 16 * 1024;
const OVERLAP_BYTES: usize = 768;
/// Encodings inside encodings are followed so deep.
const DEPTH_MAX: usize = 2;
/// So many words that are strong ones in a cipher make the cipher likely.
const CIPHERED_WORDS_MIN: usize = 2;

/// The kind of what no family of phrases names.
const UNNAMED: &str = "suspicious_wording";

/// How much a text looks like an attack, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// 0 to 1. At 0.5 at most one in a hundred ordinary texts is wrongly taken for an attack; higher is stricter.
    pub score: f32,
    /// The family of phrases that weighs most in the worst window.
    pub why: &'static str,
    /// Where the worst window begins, in bytes.
    pub start: usize,
    /// The offset behind it.
    pub end: usize,
}

/// Judges texts. Holds no state of one.
#[derive(Debug)]
pub struct Classifier {
    reader: Reader,
    weights: Weights,
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

/// What is kept between texts for its memory.
#[derive(Default)]
struct Scratch {
    words: Words,
    features: Features,
    window: Vec<usize>,
}

/// Receives each window: its features, its start and end in the source.
type Visit<'a> = dyn FnMut(&[usize], usize, usize) + 'a;

impl Classifier {
    /// With the weights that come with the module.
    #[must_use]
    pub fn new() -> Self {
        Self {
            reader: Reader::new(),
            weights: Weights::shipped(),
        }
    }

    /// With weights of another training; nothing if they are not in the form of `weights.bin`.
    #[must_use]
    pub fn trained(weights: Vec<u8>) -> Option<Self> {
        Weights::trained(weights).map(|weights| Self {
            reader: Reader::new(),
            weights,
        })
    }

    /// Judges a text by its worst window.
    #[must_use]
    pub fn score(&self, text: &str) -> Score {
        let mut worst = Score {
            score: 0.0,
            why: UNNAMED,
            start: 0,
            end: 0,
        };
        self.windows(text, &mut |features, start, end| {
            let score = self.weights.score(features);
            if score > worst.score {
                let why = self.heaviest(features).unwrap_or(UNNAMED);
                worst = Score { score, why, start, end };
            }
        });
        worst
    }

    /// The family of phrases that weighs most.
    fn heaviest(&self, features: &[usize]) -> Option<&'static str> {
        let families = features.iter().filter(|feature| family(**feature).is_some());
        let heaviest = families.max_by_key(|feature| self.weights.weight(**feature))?;
        self.reader.families.name(family(*heaviest)?)
    }

    /// The features of each window of a text, and of what it decodes to: what a training reads.
    #[must_use]
    pub fn features(&self, text: &str) -> Vec<Vec<usize>> {
        let mut windows = Vec::new();
        self.windows(text, &mut |features, _, _| windows.push(features.to_vec()));
        windows
    }

    fn windows(&self, text: &str, visit: &mut Visit<'_>) {
        let mut scratch = Scratch::default();
        let mut from = 0;
        loop {
            let end = cut(text, from + STRETCH_BYTES);
            let stretch = &text[from..end];
            self.view(stretch, None, DEPTH_MAX, &mut scratch, &mut |features, start, end| {
                visit(features, from + start, from + end);
            });
            if end == text.len() {
                return;
            }
            from = cut(text, end - OVERLAP_BYTES);
        }
    }

    /// One text, and what is encoded in it.
    fn view(&self, text: &str, by: Option<Trait>, depth: usize, scratch: &mut Scratch, visit: &mut Visit<'_>) {
        scratch.words.read(text);
        self.reader.read(&scratch.words, by, &mut scratch.features);
        for window in scratch.features.windows() {
            let (Some(first), Some(last)) = (window.first(), window.last()) else {
                continue;
            };
            scratch.features.joined(first, last, &mut scratch.window);
            visit(&scratch.window, first.start, last.end);
        }
        if depth == 0 {
            return;
        }
        let mut views = decode::views(text);
        if by.is_none() && scratch.features.rot13 >= CIPHERED_WORDS_MIN {
            views.push(decode::rot13(text));
        }
        if by.is_none() && scratch.features.reversed >= CIPHERED_WORDS_MIN {
            views.push(decode::reversed(text));
        }
        for View { text, start, end, by } in views {
            self.view(&text, Some(by), depth - 1, scratch, &mut |features, _, _| {
                visit(features, start, end);
            });
        }
    }
}

/// A place to cut a text at: `at`, or the character boundary before it; the end where the text is not so long.
fn cut(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
