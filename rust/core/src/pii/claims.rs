//! The words beside a code that claim it as somebody's: all of them are looked up in one pass over what stands there.

/// At most so much is looked at, in bytes.
pub(super) const LONGEST_PLACE: usize = 64;
/// As many bytes of a word are compared at once.
const HEAD_BYTES: usize = 8;

/// Words by their first byte.
pub(super) struct Claims {
    by_first: [Vec<Claim>; 256],
}

/// A word that claims something, and the bits of the lists it is in.
struct Claim {
    word: &'static [u8],
    /// Its first bytes, and the mask of those that it has.
    head: u64,
    mask: u64,
    lists: u128,
}

impl Claims {
    pub(super) const fn new() -> Self {
        Self {
            by_first: [const { Vec::new() }; 256],
        }
    }

    pub(super) fn learn(&mut self, list: &[&'static str], claim: u128) {
        for word in list.iter().map(|word| word.as_bytes()) {
            let same = &mut self.by_first[usize::from(word[0])];
            match same.iter_mut().find(|known| known.word == word) {
                Some(known) => known.lists |= claim,
                None => same.push(Claim::new(word, claim)),
            }
        }
    }

    /// The lists that have a word in `place`. With `cut`, the letters it begins with are the rest of a word.
    pub(super) fn of(&self, place: &[u8], cut: bool) -> u128 {
        let mut padded = [0_u8; LONGEST_PLACE + HEAD_BYTES];
        let Some(lower) = padded.get_mut(..place.len()) else {
            return 0;
        };
        lower.copy_from_slice(place);
        lower.make_ascii_lowercase();
        let (lower, heads) = (&padded[..place.len()], padded.windows(HEAD_BYTES));
        let (mut claims, mut within) = (0, cut);
        for ((at, byte), head) in lower.iter().enumerate().zip(heads) {
            let is_letter = byte.is_ascii_alphabetic();
            if !within || !byte.is_ascii() {
                let head = head_of(head);
                for known in &self.by_first[usize::from(*byte)] {
                    if head & known.mask == known.head
                        && lower[at..].starts_with(known.word)
                        && is_whole(known.word, lower.get(at + known.word.len()))
                    {
                        claims |= known.lists;
                    }
                }
            }
            within = is_letter;
        }
        claims
    }
}

impl Claim {
    fn new(word: &'static [u8], lists: u128) -> Self {
        let mask = u64::MAX >> (8 * HEAD_BYTES.saturating_sub(word.len()));
        let head = head_of(word);
        Self {
            word,
            head,
            mask,
            lists,
        }
    }
}

/// The first bytes of a word as one number, the first of them the lowest.
fn head_of(word: &[u8]) -> u64 {
    let mut head = [0; HEAD_BYTES];
    for (to, byte) in head.iter_mut().zip(word) {
        *to = *byte;
    }
    u64::from_le_bytes(head)
}

/// Whether a word may end before `next`: short ones stand for themselves only.
fn is_whole(word: &[u8], next: Option<&u8>) -> bool {
    word.len() > 3 || !word.is_ascii() || next.is_none_or(|next| !next.is_ascii_alphabetic())
}
