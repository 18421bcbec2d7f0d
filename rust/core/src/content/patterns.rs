//! Regular expressions as lazy automata: linear, bounded in size, and telling what may still match where a text ends.
//!
//! Of the matches that begin at a place the longest counts, of at most [`MATCH_BYTES_MAX`] bytes, or of what a pattern with
//! an end can match. Every pattern is one automaton with its neighbours: one pass tells whether anything matches at all, and
//! only there it is asked, start by start, from where.

use std::fmt;
use std::ops::Range;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::{Pool, PoolGuard};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::fold::is_word;

/// What an unbounded pattern (`.*`, `\w+`) matches at most, in bytes. So much of a stream it may hold back.
pub const MATCH_BYTES_MAX: usize = 256;

/// What a pattern with an end may match, in bytes: `[a-z]{1,1000}` is held to it.
const BOUNDED_BYTES_MAX: usize = 1024;

/// The size of all patterns of a check, in bytes: of their automaton, and of what is kept of its states for each thread.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;
const STATES_BYTES_MAX: usize = 2 << 20;

/// What patterns that fit together never reach one by one, each with a beginning and an end of its own.
const ALONE_BYTES_MAX: usize = 2 * AUTOMATON_BYTES_MAX;

const TOO_LARGE: &str = "too large when compiled";

type Create = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;
type Guard<'a> = PoolGuard<'a, Cache, Create>;

/// The patterns of a check.
pub(super) struct Patterns {
    automaton: DFA,
    rules: Vec<Rule>,
    bytes_max: usize,
    /// Whether none of them begins within a word.
    begin_words: bool,
    caches: Pool<Cache, Create>,
}

/// What the automaton does not know of a pattern.
#[derive(Clone, Copy, Debug)]
struct Rule {
    begins_word: bool,
    ends_word: bool,
    bytes_max: usize,
}

/// Where the next pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The leftmost match, the longest there.
    At { start: usize, end: usize },
    /// From there on it depends on what follows the text.
    Open { start: usize },
    /// Nowhere.
    Never,
}

/// What patterns find ahead of a place in a text: looked for once, until it is passed.
pub(super) struct Ahead<'s> {
    patterns: Option<(&'s Patterns, Guard<'s>)>,
    text: &'s str,
    is_last: bool,
    next: Next,
}

impl<'s> Ahead<'s> {
    /// At or behind `from`.
    pub(super) fn new(patterns: Option<&'s Patterns>, text: &'s str, from: usize, is_last: bool) -> Self {
        let mut ahead = Self {
            patterns: patterns.map(|patterns| (patterns, patterns.caches.get())),
            text,
            is_last,
            next: Next::Never,
        };
        ahead.look(from);
        ahead
    }

    /// What is next at or behind `from`, and where it begins.
    pub(super) fn from(&mut self, from: usize) -> Option<(usize, Next)> {
        let start = match self.next {
            Next::At { start, .. } | Next::Open { start } => start,
            Next::Never => return None,
        };
        if start >= from {
            return Some((start, self.next));
        }
        self.look(from);
        self.from(from)
    }

    fn look(&mut self, from: usize) {
        self.next = match &mut self.patterns {
            Some((patterns, cache)) => patterns.next(cache, self.text, from, self.is_last),
            None => Next::Never,
        };
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Patterns")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Patterns {
    /// Compiles the patterns; an error is the index of the one at fault (none where it is their number) and why.
    pub(super) fn new(patterns: &[String]) -> Result<Self, (Option<usize>, String)> {
        let (mut rules, mut parsed) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for (index, pattern) in patterns.iter().enumerate() {
            let (rule, hir) = read(pattern).map_err(|reason| (Some(index), reason))?;
            let alone = automaton(std::slice::from_ref(&hir)).map_err(|reason| (Some(index), reason))?;
            // Two hundred large ones would take seconds, only to be refused together.
            bytes += alone.get_nfa().memory_usage();
            if bytes > ALONE_BYTES_MAX {
                return Err((None, TOO_LARGE.to_owned()));
            }
            rules.push(rule);
            parsed.push(hir);
        }
        let automaton = automaton(&parsed).map_err(|reason| (None, reason))?;
        let create: Create = {
            let automaton = automaton.clone();
            Box::new(move || automaton.create_cache())
        };
        Ok(Self {
            automaton,
            bytes_max: rules.iter().map(|rule| rule.bytes_max).max().unwrap_or(0),
            begin_words: rules.iter().all(|rule| rule.begins_word),
            rules,
            caches: Pool::new(create),
        })
    }

    /// The leftmost match that begins at or behind `from`.
    fn next(&self, cache: &mut Guard<'_>, text: &str, mut from: usize, is_last: bool) -> Next {
        loop {
            let input = Input::new(text).range(from..).earliest(true);
            let end = match self.automaton.try_search_fwd(cache, &input) {
                Ok(found) => found.map(|found| found.offset()),
                Err(_) => Some(text.len()), // neither bytes nor clearings make it give up; if so, each start is asked
            };
            // What begins further back than a match is long would have to end before it.
            let first = end.unwrap_or(text.len()).saturating_sub(self.bytes_max).max(from);
            if end.is_some() || !is_last {
                for start in first..end.unwrap_or(text.len()) {
                    if !text.is_char_boundary(start) {
                        continue;
                    }
                    match self.walk(cache, text, start, is_last) {
                        Walk::Dead => {}
                        Walk::Open => return Next::Open { start },
                        Walk::Ended(end) => return Next::At { start, end },
                    }
                }
            }
            match end {
                Some(end) if end < text.len() => from = end,
                _ => return Next::Never,
            }
        }
    }

    /// The longest match that begins at `start`.
    fn walk(&self, cache: &mut Guard<'_>, text: &str, start: usize, is_last: bool) -> Walk {
        let at_word = is_boundary(text, start);
        if self.begin_words && !at_word {
            return Walk::Dead; // else every letter of a long word would cost what a match is long
        }
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let (automaton, bytes) = (&self.automaton, text.as_bytes());
        let Ok(mut state) = automaton.start_state_forward(cache, &input) else {
            return Walk::Dead;
        };
        let mut longest = Walk::Dead;
        // A state tells a byte late that a match has ended, since `$` and `\b` look at what follows.
        let last = start + self.bytes_max;
        for (at, byte) in bytes.iter().enumerate().take(last + 1).skip(start) {
            let Ok(next) = automaton.next_state(cache, state, *byte) else {
                return longest;
            };
            state = next;
            if state.is_tagged() {
                if state.is_match() && self.counts(cache, state, text, start..at, at_word) {
                    longest = Walk::Ended(at);
                } else if state.is_dead() {
                    return longest;
                }
            }
        }
        if last < bytes.len() {
            return longest;
        }
        if !is_last {
            return Walk::Open;
        }
        match automaton.next_eoi_state(cache, state) {
            Ok(state) if state.is_match() && self.counts(cache, state, text, start..bytes.len(), at_word) => {
                Walk::Ended(bytes.len())
            }
            _ => longest,
        }
    }

    /// Whether one of the patterns that match at `place`, which begins `at_word` or not, is long and bounded as it should be.
    fn counts(&self, cache: &Guard<'_>, state: LazyStateID, text: &str, place: Range<usize>, at_word: bool) -> bool {
        (0..self.automaton.match_len(cache, state)).any(|index| {
            let rule = self.rules[self.automaton.match_pattern(cache, state, index).as_usize()];
            place.len() <= rule.bytes_max
                && (!rule.begins_word || at_word)
                && (!rule.ends_word || is_boundary(text, place.end))
        })
    }
}

enum Walk {
    Dead,
    Open,
    Ended(usize),
}

fn is_boundary(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back().is_some_and(is_word);
    before != text[at..].chars().next().is_some_and(is_word)
}

fn automaton(parsed: &[Hir]) -> Result<DFA, String> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(AUTOMATON_BYTES_MAX)),
        )
        .build_many_from_hir(parsed)
        .map_err(|_| TOO_LARGE.to_owned())?;
    Builder::new()
        .configure(
            Config::new()
                .match_kind(MatchKind::All)
                .cache_capacity(STATES_BYTES_MAX),
        )
        .build_from_nfa(nfa)
        .map_err(|_| TOO_LARGE.to_owned())
}

/// A pattern without the word boundaries at its ends, which automata know for ASCII only; and why it can't be had.
fn read(pattern: &str) -> Result<(Rule, Hir), String> {
    let hir = regex_syntax::parse(pattern).map_err(|error| match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "not a regular expression".to_owned(),
    })?;
    let mut parts = match hir.into_kind() {
        HirKind::Concat(parts) => parts,
        HirKind::Capture(group) => match group.sub.into_kind() {
            HirKind::Concat(parts) => parts,
            kind => vec![rebuilt(kind)],
        },
        kind => vec![rebuilt(kind)],
    };
    let is_edge = |part: Option<&Hir>| matches!(part.map(Hir::kind), Some(HirKind::Look(Look::WordUnicode)));
    let begins_word = is_edge(parts.first());
    if begins_word {
        parts.remove(0);
    }
    let ends_word = is_edge(parts.last());
    if ends_word {
        parts.pop();
    }
    let hir = Hir::concat(parts.into_iter().map(|part| rebuilt(part.into_kind())).collect());
    match hir.properties().minimum_len() {
        None => return Err("it matches nothing".to_owned()),
        Some(0) => return Err("it matches the empty text".to_owned()),
        Some(_) => {}
    }
    let rule = Rule {
        begins_word,
        ends_word,
        bytes_max: match hir.properties().maximum_len() {
            Some(bytes) => bytes.min(BOUNDED_BYTES_MAX),
            None => MATCH_BYTES_MAX,
        },
    };
    Ok((rule, hir))
}

/// The same, with word boundaries inside a pattern as ASCII has them.
fn rebuilt(kind: HirKind) -> Hir {
    match kind {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            same => same,
        }),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(rebuilt(repetition.sub.into_kind()));
            Hir::repetition(repetition)
        }
        HirKind::Capture(group) => rebuilt(group.sub.into_kind()),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(|part| rebuilt(part.into_kind())).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.into_iter().map(|part| rebuilt(part.into_kind())).collect())
        }
    }
}
