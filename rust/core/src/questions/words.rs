//! The words that are known: their vectors, and what is known of each before any sentence is seen.
//!
//! `words.bin` is made by `benches/cache/train_embedder.py` and read in place: little-endian, a table of hashes, the
//! letters, then a column for each thing known. NOTICE tells where it is from.

use std::ops::Range;

use super::vector::DIMENSIONS;

static FILE: &[u8] = include_bytes!("words.bin");
const HEAD: usize = 28;

/// A word that is a number, by its value's hash.
pub(super) const NUMBER: u32 = 1 << 30;
/// A word that has no vector, by its hash.
pub(super) const UNKNOWN: u32 = 1 << 31;
/// Of a vector's dimensions, those by which single words are compared.
const SHORT: usize = 64;

/// How a word changes what is asked; `benches/cache/words.txt` says which does. The order is the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Content,
    Article,
    Question,
    Time,
    Degree,
    Quantity,
    Joint,
    Person,
    Modal,
    Being,
    Place,
    Filler,
    Asking,
    Negator,
}

const KINDS: [Kind; 14] = [
    Kind::Content,
    Kind::Article,
    Kind::Question,
    Kind::Time,
    Kind::Degree,
    Kind::Quantity,
    Kind::Joint,
    Kind::Person,
    Kind::Modal,
    Kind::Being,
    Kind::Place,
    Kind::Filler,
    Kind::Asking,
    Kind::Negator,
];

/// FNV-1a of 64 bits, folded to 32.
#[must_use]
pub(super) fn hash(parts: [&str; 2]) -> u32 {
    let whole = parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    low(whole ^ (whole >> 32))
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low(value: u64) -> u32 {
    value as u32
}

/// Where each column of the file is.
struct Columns {
    count: usize,
    slots: usize,
    offsets: usize,
    letters: usize,
    scales: usize,
    lemmas: usize,
    weights: usize,
    opposites: Range<usize>,
    synonyms: Range<usize>,
    vectors: usize,
}

const COLUMNS: Columns = columns();

const fn columns() -> Columns {
    let count = u32_at(4) as usize;
    let slots = u32_at(12) as usize;
    let offsets = HEAD + 2 * slots;
    let letters = offsets + 4 * (count + 1);
    let scales = letters + u32_at(24) as usize;
    let lemmas = scales + 4 * count;
    let weights = lemmas + 2 * count;
    let opposites = weights + 3 * count;
    let synonyms = opposites + 4 * u32_at(16) as usize;
    let vectors = synonyms + 4 * u32_at(20) as usize;
    Columns {
        count,
        slots,
        offsets,
        letters,
        scales,
        lemmas,
        weights,
        opposites: opposites..synonyms,
        synonyms: synonyms..vectors,
        vectors,
    }
}

const fn u16_at(at: usize) -> u16 {
    u16::from_le_bytes([FILE[at], FILE[at + 1]])
}

const fn u32_at(at: usize) -> u32 {
    u32::from_le_bytes([FILE[at], FILE[at + 1], FILE[at + 2], FILE[at + 3]])
}

/// The number of a word, or of the end of one where `start` is `##`.
#[must_use]
pub(super) fn place(start: &str, word: &str) -> Option<u32> {
    let mask = COLUMNS.slots - 1;
    let mut slot = hash([start, word]) as usize & mask;
    loop {
        let found = usize::from(u16_at(HEAD + 2 * slot)).checked_sub(1)?;
        let piece = piece(found);
        if piece.len() == start.len() + word.len()
            && piece.starts_with(start.as_bytes())
            && piece.ends_with(word.as_bytes())
        {
            return u32::try_from(found).ok();
        }
        slot = (slot + 1) & mask;
    }
}

fn piece(number: usize) -> &'static [u8] {
    let at = COLUMNS.offsets + 4 * number;
    &FILE[COLUMNS.letters + u32_at(at) as usize..COLUMNS.letters + u32_at(at + 4) as usize]
}

/// The bytes of a piece's longest form; no piece is longer.
pub(super) const LONGEST: usize = 24;

/// What is known of a word, if it is.
const fn known(word: u32) -> Option<usize> {
    if word < NUMBER { Some(word as usize) } else { None }
}

/// The form that a dictionary lists, or the first of those that mean the same.
#[must_use]
pub(super) fn lemma(word: u32) -> u32 {
    known(word).map_or(word, |number| u32::from(u16_at(COLUMNS.lemmas + 2 * number)))
}

/// How much it says, 0 to 1: rare words say more.
#[must_use]
pub(super) fn weight(word: u32) -> f32 {
    known(word).map_or(1.0, |number| f32::from(FILE[COLUMNS.weights + number]) / 255.0)
}

/// What it does.
#[must_use]
pub(super) fn kind(word: u32) -> Kind {
    known(word)
        .and_then(|number| KINDS.get(usize::from(FILE[COLUMNS.weights + COLUMNS.count + number])))
        .map_or(Kind::Content, |kind| *kind)
}

/// Which of `WordNet`'s files it is in, from 1; 0 where in none.
#[must_use]
pub(super) fn file(word: u32) -> u8 {
    known(word).map_or(0, |number| FILE[COLUMNS.weights + 2 * COLUMNS.count + number])
}

/// Whether two lemmas are opposites.
#[must_use]
pub(super) fn opposed(one: u32, other: u32) -> bool {
    listed(&COLUMNS.opposites, one, other)
}

/// Whether two lemmas mean the same in one of their first senses.
#[must_use]
pub(super) fn alike(one: u32, other: u32) -> bool {
    listed(&COLUMNS.synonyms, one, other)
}

fn listed(pairs: &Range<usize>, one: u32, other: u32) -> bool {
    if one.max(other) >= NUMBER {
        return false;
    }
    let wanted = (one << 16) | other;
    let (mut low, mut high) = (0, pairs.len() / 4);
    while low < high {
        let middle = usize::midpoint(low, high);
        if u32_at(pairs.start + 4 * middle) < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low < pairs.len() / 4 && u32_at(pairs.start + 4 * low) == wanted
}

/// The vector of a word, as bytes that are signed.
fn vector(number: usize) -> &'static [u8] {
    &FILE[COLUMNS.vectors + DIMENSIONS * number..COLUMNS.vectors + DIMENSIONS * (number + 1)]
}

/// Adds a piece's vector.
pub(super) fn add(sums: &mut [f32; DIMENSIONS], piece: u32) {
    let number = piece as usize;
    let scale = f32::from_bits(u32_at(COLUMNS.scales + 4 * number));
    for (sum, &byte) in sums.iter_mut().zip(vector(number)) {
        *sum += scale * f32::from(i8::from_ne_bytes([byte]));
    }
}

/// The cosine of two words by their first dimensions; of what has no vector, whether they are the same.
#[must_use]
pub(super) fn close(one: u32, other: u32) -> f32 {
    let (Some(left), Some(right)) = (known(one), known(other)) else {
        return if one == other { 1.0 } else { 0.0 };
    };
    let (left, right) = (&vector(left)[..SHORT], &vector(right)[..SHORT]);
    let product = |left: &[u8], right: &[u8]| -> i32 {
        left.iter()
            .zip(right)
            .map(|(a, b)| i32::from(i8::from_ne_bytes([*a])) * i32::from(i8::from_ne_bytes([*b])))
            .sum()
    };
    super::vector::cosine_of(product(left, right), product(left, left), product(right, right))
}
