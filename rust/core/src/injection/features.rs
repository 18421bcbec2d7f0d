//! What the linear model sees of a text: hashed n-grams of words and letters, concepts and their order, traits.
//!
//! Training reads the same numbers through the binding, so nothing here may change without new weights.

use super::families::{FAMILIES_MAX, Families, Ring};
use super::lexicon::{Concept, Lexicon, Meaning};
use super::words::{Word, Words, marks};

/// One feature: an index into the weights.
pub(super) type Feature = usize;

const WORDS_BITS: u32 = 17;
const LETTERS_BITS: u32 = 17;
const CONCEPTS_BITS: u32 = 16;
const LETTERS_FROM: usize = 1 << WORDS_BITS;
const CONCEPTS_FROM: usize = LETTERS_FROM + (1 << LETTERS_BITS);
const TRAITS_FROM: usize = CONCEPTS_FROM + (1 << CONCEPTS_BITS);
const TRAITS: usize = 128;
const FAMILIES_FROM: usize = TRAITS_FROM + TRAITS - FAMILIES_MAX;
/// How many weights there are.
pub const FEATURES: usize = TRAITS_FROM + TRAITS;
/// Where the groups of features begin: words, letters, concepts, traits.
pub(super) const GROUPS: [usize; 4] = [0, LETTERS_FROM, CONCEPTS_FROM, TRAITS_FROM];

/// A block ends behind so many words, or bytes. Two neighbours are a window.
const BLOCK_WORDS_MAX: usize = 60;
const BLOCK_BYTES_MAX: usize = 480;
/// Concepts further apart than this make no pair.
const PAIR_WORDS_MAX: usize = 9;
const PAIRS_MAX: usize = 5;

/// What was done to a text or a word of it, as a trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trait {
    Disguised,
    Mixed,
    Spaced,
    Signed,
    Base64,
    Base32,
    Hex,
    Escapes,
    Codes,
    Morse,
    Rot13,
    Reversed,
}

/// The features of a part of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) end: usize,
    first: usize,
    last: usize,
}

/// The features of one text, block by block. Kept between texts, for its memory.
#[derive(Debug, Default)]
pub(super) struct Features {
    found: Vec<Feature>,
    pub(super) blocks: Vec<Block>,
    /// Words that read as strong ones through rot13, and from right to left.
    pub(super) rot13: usize,
    pub(super) reversed: usize,
}

/// The concepts that are no words.
#[derive(Clone, Copy, Debug)]
struct Signs {
    sentence: Concept,
    mark: Concept,
    quote: Concept,
    disguised: Concept,
    head: Concept,
    rot13: Concept,
    reversed: Concept,
}

/// Finds the features of words.
#[derive(Debug)]
pub(super) struct Reader {
    lexicon: Lexicon,
    pub(super) families: Families,
    signs: Signs,
}

/// What is remembered from word to word.
#[derive(Default)]
struct Course {
    ring: Ring,
    one_ago: u64,
    two_ago: u64,
}

fn mixed(hash: u64, bits: u32) -> usize {
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - bits)).unwrap_or(0)
}

fn paired(one: u64, other: u64) -> u64 {
    one.rotate_left(23).wrapping_mul(0x2545_f491_4f6c_dd1d) ^ other
}

impl Features {
    /// The blocks from one to another, joined: each feature once, as far as a filter of 64 Kibit can tell.
    pub(super) fn joined(&self, first: &Block, last: &Block, into: &mut Vec<Feature>) {
        let found = self.found.get(first.first..last.last).unwrap_or_default();
        into.resize(found.len(), 0);
        let mut seen = [0u64; 1024];
        let mut kept = 0;
        for feature in found {
            let spread = (feature ^ (feature >> 16).wrapping_mul(0x35d3)) & 0xffff;
            let (cell, bit) = (&mut seen[spread >> 6], spread & 63);
            into[kept] = *feature;
            kept += usize::from(*cell >> bit & 1 == 0); // no branch: which ones came before is not foreseen
            *cell |= 1 << bit;
        }
        into.truncate(kept);
    }

    /// The windows: every two blocks that are neighbours, or the only one.
    pub(super) fn windows(&self) -> impl Iterator<Item = &[Block]> {
        self.blocks.windows(self.blocks.len().clamp(1, 2))
    }
}

impl Reader {
    pub(super) fn new() -> Self {
        let lexicon = Lexicon::new();
        let concept = |name| lexicon.concept(name).unwrap_or(Concept::MAX);
        Self {
            families: Families::new(&lexicon),
            signs: Signs {
                sentence: concept("sentence"),
                mark: concept("mark"),
                quote: concept("quote"),
                disguised: concept("disguised"),
                head: concept("head"),
                rot13: concept("rot13"),
                reversed: concept("reversed"),
            },
            lexicon,
        }
    }

    /// Reads the features of a text's words; each block begins with the trait that says how the text was found.
    pub(super) fn read(&self, words: &Words, found_by: Option<Trait>, into: &mut Features) {
        *into = Features {
            found: std::mem::take(&mut into.found),
            blocks: std::mem::take(&mut into.blocks),
            ..Features::default()
        };
        into.found.clear();
        into.blocks.clear();
        let mut course = Course::default();
        let mut first = 0;
        let mut head = 0;
        for (at, word) in words.list.iter().enumerate() {
            if at == head {
                first = into.found.len();
                into.found.extend(found_by.map(trait_feature));
            }
            self.word(words, word, at, &mut course, into);
            let start = words.list[head].start;
            let is_full = at + 1 - head >= BLOCK_WORDS_MAX || word.end - start >= BLOCK_BYTES_MAX;
            if is_full || at + 1 == words.list.len() {
                into.blocks.push(Block {
                    start,
                    end: word.end,
                    first,
                    last: into.found.len(),
                });
                head = at + 1;
            }
        }
    }

    fn word(&self, words: &Words, word: &Word, at: usize, course: &mut Course, into: &mut Features) {
        let folded = words.folded(word);
        let mut meaning = self.lexicon.read(folded.iter().copied());
        if word.marks & marks::SIGNED != 0 && meaning.concept.is_none() {
            meaning = self.unsigned(folded, meaning, into);
        }
        let is_number = folded.iter().all(u8::is_ascii_digit);
        let hash = if is_number { 48 } else { meaning.hash };
        into.found.push(mixed(hash, WORDS_BITS));
        let two = paired(course.one_ago, hash);
        into.found.push(mixed(two, WORDS_BITS));
        into.found
            .push(mixed(paired(paired(course.two_ago, course.one_ago), hash), WORDS_BITS));
        (course.two_ago, course.one_ago) = (course.one_ago, hash);
        if !is_number {
            letters(folded, &mut into.found);
        }
        for (mark, sign) in [(marks::DISGUISED, Trait::Disguised), (marks::MIXED, Trait::Mixed)] {
            if word.marks & mark != 0 {
                into.found.push(trait_feature(sign));
            }
        }
        self.concepts(word, at, meaning, course, into);
    }

    /// A word with signs in place of letters, if it means something without.
    fn unsigned(&self, folded: &[u8], raw: Meaning, into: &mut Features) -> Meaning {
        for one in [b'i', b'l'] {
            let meaning = self.lexicon.read(folded.iter().map(|byte| unsigned(*byte, one)));
            if meaning.concept.is_some() {
                into.found.push(trait_feature(Trait::Signed));
                return meaning;
            }
        }
        raw
    }

    fn concepts(&self, word: &Word, at: usize, meaning: Meaning, course: &mut Course, into: &mut Features) {
        if word.marks & marks::SENTENCE != 0 {
            self.meet(self.signs.sentence, at, course, into);
        }
        if word.marks & marks::QUOTED != 0 {
            self.meet(self.signs.quote, at, course, into);
        }
        if meaning.is_turn {
            if word.marks & marks::BRACKETED != 0 {
                self.meet(self.signs.mark, at, course, into);
            } else if word.marks & marks::HEADED != 0 {
                self.meet(self.signs.head, at, course, into);
            }
        }
        let Some(concept) = meaning.concept else {
            return;
        };
        if word.marks & (marks::DISGUISED | marks::MIXED | marks::SPACED) != 0 {
            self.meet(self.signs.disguised, at, course, into);
            if word.marks & marks::SPACED != 0 {
                into.found.push(trait_feature(Trait::Spaced));
            }
        }
        into.rot13 += usize::from(concept == self.signs.rot13);
        into.reversed += usize::from(concept == self.signs.reversed);
        self.meet(concept, at, course, into);
    }

    /// One more concept: itself, its pairs and triple with those before it, and the families that it completes.
    fn meet(&self, concept: Concept, at: usize, course: &mut Course, into: &mut Features) {
        let code = u64::from(concept) + 1;
        into.found.push(CONCEPTS_FROM + mixed(code, CONCEPTS_BITS));
        let mut crossed = 0;
        let mut before = 0;
        for (nth, (met, place)) in course.ring.back().take(PAIRS_MAX).enumerate() {
            let distance = at - place;
            if distance > PAIR_WORDS_MAX {
                break;
            }
            let pair = (u64::from(met) + 1) << 8 | code | crossed;
            into.found.push(CONCEPTS_FROM + mixed(pair, CONCEPTS_BITS));
            if distance <= 1 {
                into.found.push(CONCEPTS_FROM + mixed(pair | 1 << 17, CONCEPTS_BITS));
            }
            if nth == 1 {
                let triple = (u64::from(met) + 1) << 32 | before << 24 | code << 40 | 1 << 20;
                into.found.push(CONCEPTS_FROM + mixed(triple, CONCEPTS_BITS));
            }
            if met == self.signs.sentence {
                crossed = 1 << 16;
            }
            before = u64::from(met) + 1;
        }
        course.ring.push(concept, at);
        for family in self.families.ending(&course.ring) {
            into.found.push(FAMILIES_FROM + family.min(FAMILIES_MAX - 1));
        }
    }
}

/// The family that a feature stands for.
pub(super) fn family(feature: Feature) -> Option<usize> {
    feature.checked_sub(FAMILIES_FROM)
}

fn trait_feature(sign: Trait) -> Feature {
    TRAITS_FROM + sign as usize
}

fn unsigned(byte: u8, one: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' | b'!' => one,
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'6' | b'9' => b'g',
        b'7' => b't',
        b'8' => b'b',
        _ => byte,
    }
}

/// All sequences of three to five bytes of a word and its two edges.
fn letters(word: &[u8], into: &mut Vec<Feature>) {
    let mut last = u64::from(b'_');
    for (at, byte) in word.iter().copied().chain([b'_']).enumerate() {
        last = last << 8 | u64::from(byte);
        for length in 3..=5u32 {
            if at + 2 >= usize::try_from(length).unwrap_or(0) {
                let sequence = last & ((1 << (8 * length)) - 1) | u64::from(length) << 56;
                into.push(LETTERS_FROM + mixed(sequence, LETTERS_BITS));
            }
        }
    }
}
