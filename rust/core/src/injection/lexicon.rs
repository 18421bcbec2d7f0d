//! What words mean to an attack: concepts, by whole word or by stem.

use std::collections::HashMap;

/// Shorter stems would say too little.
const STEM_BYTES_MIN: usize = 2;
/// Bits of the filter that keeps nearly all letters away from the table.
const FILTER_BITS: u32 = 15;

const TEXT: &str = include_str!("lexicon.txt");

/// A concept's number: its section's place in the file, or one of those below.
pub(super) type Concept = u8;

/// The concepts that are no words: the beginning of a sentence, a mark of a turn, a quotation, a word in disguise, a line's head.
pub(super) const SIGNS: [&str; 5] = ["sentence", "mark", "quote", "disguised", "head"];

/// Words and stems by hash.
#[derive(Debug)]
pub(super) struct Lexicon {
    entries: HashMap<u64, Entry>,
    filter: Vec<u64>,
    names: Vec<&'static str>,
    turn: Concept,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    word: Option<Concept>,
    stem: Option<Concept>,
    is_turn: bool,
}

/// What a word says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    /// Hash of its bytes.
    pub(super) hash: u64,
    /// What it means, if anything.
    pub(super) concept: Option<Concept>,
    /// Whether it stands in heads of turns.
    pub(super) is_turn: bool,
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

fn place(hash: u64) -> (usize, u64) {
    let bit = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
    (usize::try_from(bit >> 6).unwrap_or(0), 1 << (bit & 63))
}

impl Lexicon {
    /// The lexicon that comes with the module. What a word means first in the file holds.
    pub(super) fn new() -> Self {
        let mut lexicon = Self {
            entries: HashMap::new(),
            filter: vec![0; 1 << (FILTER_BITS - 6)],
            names: SIGNS.to_vec(),
            turn: Concept::MAX,
        };
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                lexicon.names.push(name);
                if name == "turn" {
                    lexicon.turn = lexicon.last();
                }
            } else {
                for word in line.split_whitespace() {
                    lexicon.learn(word);
                }
            }
        }
        lexicon
    }

    fn last(&self) -> Concept {
        Concept::try_from(self.names.len() - 1).unwrap_or(Concept::MAX)
    }

    fn learn(&mut self, word: &str) {
        let concept = self.last();
        let stem = word.strip_suffix('*');
        let hash = stem.unwrap_or(word).bytes().fold(SEED, step);
        let entry = self.entries.entry(hash).or_default();
        if concept == self.turn {
            entry.is_turn = true;
        } else if stem.is_some() {
            entry.stem.get_or_insert(concept);
        } else {
            entry.word.get_or_insert(concept);
        }
        let (cell, bit) = place(hash);
        self.filter[cell] |= bit;
    }

    /// The number of a concept.
    pub(super) fn concept(&self, name: &str) -> Option<Concept> {
        let place = self.names.iter().position(|known| *known == name)?;
        Concept::try_from(place).ok()
    }

    /// Reads a folded word: the whole of it counts before its longest stem.
    pub(super) fn read(&self, word: impl Iterator<Item = u8>) -> Meaning {
        let mut meaning = Meaning {
            hash: SEED,
            ..Meaning::default()
        };
        let mut last = None;
        for (at, byte) in word.enumerate() {
            meaning.hash = step(meaning.hash, byte);
            let (cell, bit) = place(meaning.hash);
            last = None;
            if at + 1 >= STEM_BYTES_MIN && self.filter[cell] & bit != 0 {
                last = self.entries.get(&meaning.hash).copied();
                if let Some(Entry { stem: Some(stem), .. }) = last {
                    meaning.concept = Some(stem);
                }
            }
        }
        if meaning.hash != SEED
            && let Some(entry) = last.or_else(|| self.single(meaning.hash))
        {
            meaning.concept = entry.word.or(meaning.concept);
            meaning.is_turn = entry.is_turn;
        }
        meaning
    }

    /// Words of one letter.
    fn single(&self, hash: u64) -> Option<Entry> {
        let (cell, bit) = place(hash);
        (self.filter[cell] & bit != 0)
            .then(|| self.entries.get(&hash).copied())
            .flatten()
    }
}
