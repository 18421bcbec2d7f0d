//! Numbers as people write them: groups of digits with separators between, read once for all detectors.

/// Digits that are looked at to tell a group from the tail of a word; more of them are no number of anybody.
const LONGEST_GROUP: usize = 32;

/// What stands between two groups of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing: the group is the first of its run.
    Edge,
    Space,
    Dash,
    Dot,
    Slash,
    /// An opening bracket, with or without a space or dash before it.
    Open,
    /// A closing bracket, with or without a space or dash behind it.
    Close,
    /// Two spaces, or a dash between spaces: neighbours, not one number.
    Wide,
}

/// Digits without anything between: `text[start..end]`, and what stands before them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) gap: Gap,
}

/// A longest row of groups with gaps between them. No group touches a letter, a digit or an underscore.
pub(super) struct Run<'t> {
    pub(super) text: &'t [u8],
    pub(super) groups: Vec<Group>,
}

/// What a detector recognised: the bytes it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'t> Run<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            groups: Vec::new(),
        }
    }

    /// Reads the row that begins with the digit at `start` into `groups`: as if it were one with what stands before, so that a
    /// long row may be read from any of its groups on. Returns where its last group ends.
    pub(super) fn read(&mut self, start: usize) -> usize {
        self.groups.clear();
        let mut from = start;
        let mut gap = gap_before(self.text, start);
        let mut last = start;
        loop {
            let end = digits_end(self.text, from);
            let glued = self.text.get(end).is_some_and(|byte| is_word(*byte)) && extension(self.text, end).is_none();
            if glued {
                return last;
            }
            self.groups.push(Group { start: from, end, gap });
            last = end;
            match gap_at(self.text, end) {
                Some((next, length)) => (gap, from) = (next, end + length),
                None => return last,
            }
        }
    }

    pub(super) fn len(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |group| group.end - group.start)
    }

    pub(super) fn digits(&self, group: usize) -> &'t [u8] {
        self.groups
            .get(group)
            .map_or(&[], |group| &self.text[group.start..group.end])
    }

    /// What stands before a group; behind the last one, the edge.
    pub(super) fn gap(&self, group: usize) -> Gap {
        self.groups.get(group).map_or(Gap::Edge, |group| group.gap)
    }

    /// The byte `back` places before `at`; zero at the start of the text.
    pub(super) fn byte_before(&self, at: usize, back: usize) -> u8 {
        at.checked_sub(back)
            .and_then(|index| self.text.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// The bytes of `count` groups.
    pub(super) fn cover(&self, first: usize, count: usize) -> Option<Match> {
        let start = self.groups.get(first)?.start;
        let end = self.groups.get((first + count).checked_sub(1)?)?.end;
        Some(Match { start, end })
    }
}

/// Where a telephone extension that begins at `at` ends: `x12`, `ext. 12`, `extension 12`, up to six digits.
pub(super) fn extension(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..text.len().min(at + 20)];
    let space = usize::from(rest.first() == Some(&b' '));
    let word = rest[space..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let mark = rest[space..space + word].to_ascii_lowercase();
    let dot = match mark.as_slice() {
        b"x" | b"extension" => 0,
        b"ext" => usize::from(rest.get(space + word) == Some(&b'.')),
        _ => return None,
    };
    let behind = space + word + dot;
    let number = behind + usize::from(rest.get(behind) == Some(&b' '));
    let digits = rest[number.min(rest.len())..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = at + number + digits;
    let bounded = text.get(end).is_none_or(|byte| !is_word(*byte));
    ((1..=6).contains(&digits) && bounded).then_some(end)
}

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether what stands directly before `at` makes the characters there part of a word. The letter of an escaped line
/// break (`\\n` within JSON within text) does not.
pub(super) fn follows_word(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [.., b'\\', b'n' | b'r' | b't'] | [] => false,
        [.., byte] => is_word(byte),
    }
}

/// Where the digits at `from` end.
pub(super) fn digits_end(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The gap between a group that stands before and the one at `at`.
fn gap_before(text: &[u8], at: usize) -> Gap {
    let mut start = at;
    for _ in 0..3 {
        let Some(length) = separator_before(&text[..start]) else {
            break;
        };
        start -= length;
    }
    let digits = text[..start]
        .iter()
        .rev()
        .take(LONGEST_GROUP)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if start == at || digits == 0 || follows_word(text, start - digits) && digits < LONGEST_GROUP {
        return Gap::Edge;
    }
    gap_at(text, start).map_or(Gap::Edge, |(gap, _)| gap)
}

/// The length of the separator that `text` ends with.
pub(super) fn separator_before(text: &[u8]) -> Option<usize> {
    (1..=3).find(|length| {
        let start = text.len().checked_sub(*length);
        start.is_some_and(|start| matches!(separator_at(&text[start..]), Some((_, bytes)) if bytes == *length))
    })
}

/// The gap at `at` and its length in bytes, if digits follow it.
pub(super) fn gap_at(text: &[u8], at: usize) -> Option<(Gap, usize)> {
    let mut kind = Gap::Edge;
    let mut length = 0;
    for _ in 0..3 {
        let Some((separator, bytes)) = separator_at(&text[at + length..]) else {
            break;
        };
        kind = joined(kind, separator)?;
        length += bytes;
    }
    text.get(at + length).filter(|byte| byte.is_ascii_digit())?;
    (length > 0).then_some((kind, length))
}

/// What two separators in a row make; nothing, if they do not belong between the parts of one number.
const fn joined(left: Gap, right: Gap) -> Option<Gap> {
    match (left, right) {
        (Gap::Edge, gap) => Some(gap),
        (Gap::Space | Gap::Dash, Gap::Open) => Some(Gap::Open),
        (Gap::Close, Gap::Space | Gap::Dash) => Some(Gap::Close),
        (Gap::Space, Gap::Space | Gap::Dash) | (Gap::Wide, Gap::Space) => Some(Gap::Wide),
        _ => None,
    }
}

/// One separator and its length in bytes. Typographic spaces and dashes count: models like to write them.
pub(super) fn separator_at(text: &[u8]) -> Option<(Gap, usize)> {
    Some(match text {
        [b' ', ..] => (Gap::Space, 1),
        [b'-', ..] => (Gap::Dash, 1),
        [b'.', ..] => (Gap::Dot, 1),
        [b'/', ..] => (Gap::Slash, 1),
        [b'(', ..] => (Gap::Open, 1),
        [b')', ..] => (Gap::Close, 1),
        [0xC2, 0xA0, ..] => (Gap::Space, 2),
        // U+2007 figure, U+2009 thin, U+200A hair, U+202F narrow no-break space.
        [0xE2, 0x80, 0x87 | 0x89 | 0x8A | 0xAF, ..] => (Gap::Space, 3),
        // U+2010 to U+2015 hyphens and dashes, U+2212 minus.
        [0xE2, 0x80, 0x90..=0x95, ..] | [0xE2, 0x88, 0x92, ..] => (Gap::Dash, 3),
        _ => return None,
    })
}
