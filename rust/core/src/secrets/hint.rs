//! Words and marks that announce a secret which need not be a long row: one search for all of them.

use aho_corasick::packed::{MatchKind, Searcher};

use super::{address, block};

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// A word for a password, a token or a key.
    Name,
    /// The beginning of a block.
    Block,
    /// The beginning of `PuTTY`'s file.
    Putty,
    /// The mark of an address.
    Address,
    /// A flag of `curl`.
    Flag,
}

/// How far behind its hint a value may begin, in bytes.
pub(super) const NAME_BYTES: usize = 64;
/// How far before a place the hint for what begins there may stand, in bytes.
pub(super) const REACH_BYTES: usize = NAME_BYTES + 16;

const HINTS: &[(&str, Hint)] = &[
    ("assw", Hint::Name),
    ("ASSW", Hint::Name),
    ("assp", Hint::Name),
    ("ASSP", Hint::Name),
    ("asscode", Hint::Name),
    ("pwd", Hint::Name),
    ("PWD", Hint::Name),
    ("_pass", Hint::Name),
    ("_PASS", Hint::Name),
    ("ecret", Hint::Name),
    ("ECRET", Hint::Name),
    ("oken", Hint::Name),
    ("OKEN", Hint::Name),
    ("pi_key", Hint::Name),
    ("PI_KEY", Hint::Name),
    ("pi-key", Hint::Name),
    ("piKey", Hint::Name),
    ("pi key", Hint::Name),
    ("PI key", Hint::Name),
    ("pikey", Hint::Name),
    ("PIKEY", Hint::Name),
    ("uthorization", Hint::Name),
    (block::BEGIN, Hint::Block),
    (block::PUTTY, Hint::Putty),
    (address::MARK, Hint::Address),
    (" -u", Hint::Flag),
    ("--user", Hint::Flag),
];

/// Finds all hints in one pass.
#[derive(Debug)]
pub(super) struct Hints {
    searcher: Option<Searcher>,
}

impl Hints {
    pub(super) fn new() -> Self {
        let mut builder = aho_corasick::packed::Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .builder();
        builder.extend(HINTS.iter().map(|(word, _)| word.as_bytes()));
        Self {
            searcher: builder.build(),
        }
    }

    /// The hints at or behind `from`, with where they begin and end.
    pub(super) fn find<'t>(&'t self, text: &'t [u8], from: usize) -> impl Iterator<Item = (Hint, usize, usize)> + 't {
        let mut at = from;
        std::iter::from_fn(move || {
            let searcher = self.searcher.as_ref()?;
            let found = searcher.find_in(
                text,
                aho_corasick::Span {
                    start: at,
                    end: text.len(),
                },
            )?;
            at = found.start() + 1;
            let (_, hint) = HINTS.get(found.pattern().as_usize())?;
            Some((*hint, found.start(), found.end()))
        })
    }
}
