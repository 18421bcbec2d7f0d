//! The words of a text, folded, with what stands between them; letters that were spaced out are joined again.

use super::fold::{Fold, fold};

/// A longer word is judged by its beginning.
const WORD_BYTES_MAX: usize = 40;
/// So many single letters in a row are a word that somebody spaced out.
const SPACED_LETTERS_MIN: usize = 4;
/// More bytes between two letters part them.
const SPACED_GAP_BYTES_MAX: usize = 4;

/// What stands before a word, or what was done to it.
pub(super) mod marks {
    /// It is the first of a sentence, a line or the text.
    pub(in super::super) const SENTENCE: u16 = 1;
    /// It is the first of its line.
    pub(in super::super) const LINE: u16 = 1 << 1;
    /// An empty line stands before it.
    pub(in super::super) const PARAGRAPH: u16 = 1 << 2;
    /// A quotation mark opens before it.
    pub(in super::super) const QUOTED: u16 = 1 << 3;
    /// A bracket or a rule of signs stands right before it: `<system`, `[INST`, `### Instruction`.
    pub(in super::super) const BRACKETED: u16 = 1 << 4;
    /// A colon or a closing bracket follows it.
    pub(in super::super) const HEADED: u16 = 1 << 5;
    /// Characters in it were hidden among ones that are not seen, or styled.
    pub(in super::super) const DISGUISED: u16 = 1 << 6;
    /// Letters of two scripts are mixed in it.
    pub(in super::super) const MIXED: u16 = 1 << 7;
    /// Its letters stood apart.
    pub(in super::super) const SPACED: u16 = 1 << 8;
    /// Signs or digits stand in it where letters would.
    pub(in super::super) const SIGNED: u16 = 1 << 9;
    /// All of it is upper case.
    pub(in super::super) const UPPER: u16 = 1 << 10;
    /// It is one letter of ASCII.
    pub(in super::super) const LETTER: u16 = 1 << 11;
}

/// One word: where it lies in the source, where its folded bytes lie, and its [`marks`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    at: usize,
    length: usize,
    pub(super) marks: u16,
}

/// The words of one text. Kept between texts, for its memory.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) list: Vec<Word>,
    bytes: Vec<u8>,
}

/// What kinds of characters the word that is being read has.
mod has {
    pub(super) const PLAIN: u8 = 1;
    pub(super) const LOOKALIKES: u8 = 1 << 1;
    pub(super) const DIGITS: u8 = 1 << 2;
    pub(super) const LETTERS: u8 = 1 << 3;
    pub(super) const UPPER: u8 = 1 << 4;
    pub(super) const LOWER: u8 = 1 << 5;
}

/// A word that is being read.
#[derive(Default)]
struct Open {
    word: Word,
    is_begun: bool,
    has: u8,
}

impl Words {
    /// The folded bytes of a word.
    pub(super) fn folded(&self, word: &Word) -> &[u8] {
        self.bytes.get(word.at..word.at + word.length).unwrap_or_default()
    }

    /// Reads a text.
    pub(super) fn read(&mut self, text: &str) {
        self.list.clear();
        self.bytes.clear();
        let mut open = Open::default();
        let mut before = marks::SENTENCE | marks::LINE;
        let mut last_ideograph: Option<char> = None;
        let bytes = text.as_bytes();
        for (at, character) in text.char_indices() {
            let end = at + character.len_utf8();
            let fold = fold(character);
            match fold {
                Fold::Plain { byte, disguised } => {
                    self.begin(&mut open, at, &mut before);
                    if disguised {
                        open.word.marks |= marks::DISGUISED;
                    }
                    let is_digit = byte.is_ascii_digit();
                    if !is_digit && open.has & has::DIGITS != 0 {
                        open.word.marks |= marks::SIGNED;
                    }
                    open.has |= has::PLAIN | if is_digit { has::DIGITS } else { has::LETTERS };
                    if !is_digit {
                        open.has |= if character.is_ascii_uppercase() {
                            has::UPPER
                        } else {
                            has::LOWER
                        };
                    }
                    self.push(&mut open, byte, end);
                }
                Fold::Lookalike { original, .. } | Fold::Other(original) => {
                    self.begin(&mut open, at, &mut before);
                    if matches!(fold, Fold::Lookalike { .. }) {
                        open.has |= has::LOOKALIKES;
                    }
                    for byte in original.encode_utf8(&mut [0; 4]).bytes() {
                        self.push(&mut open, byte, end);
                    }
                }
                Fold::Ideograph(sign) => {
                    self.close(&mut open, 0);
                    self.begin(&mut open, at, &mut before);
                    for half in [last_ideograph, Some(sign)].into_iter().flatten() {
                        for byte in half.encode_utf8(&mut [0; 4]).bytes() {
                            self.push(&mut open, byte, end);
                        }
                    }
                    self.close(&mut open, 0);
                    last_ideograph = Some(sign);
                    continue;
                }
                Fold::Unseen => {
                    if open.is_begun && end < bytes.len() && !character.is_control() {
                        open.word.marks |= marks::DISGUISED;
                    }
                    continue;
                }
                Fold::Sign(sign) => {
                    if joins(sign, open.is_begun, bytes.get(end).copied()) {
                        if sign != b'\'' {
                            self.begin(&mut open, at, &mut before);
                            open.word.marks |= marks::SIGNED;
                            self.push(&mut open, sign, end);
                        }
                        continue;
                    }
                    self.close(&mut open, sign);
                    before = after_sign(before, sign, character);
                }
                Fold::Space => {
                    self.close(&mut open, b' ');
                    before &= !(marks::QUOTED);
                }
                Fold::Newline => {
                    self.close(&mut open, b'\n');
                    if before & marks::LINE != 0 {
                        before |= marks::PARAGRAPH;
                    }
                    before = (before | marks::LINE | marks::SENTENCE) & !(marks::QUOTED | marks::BRACKETED);
                }
            }
            last_ideograph = None;
        }
        self.close(&mut open, b'\n');
        self.join(text);
    }

    fn begin(&mut self, open: &mut Open, at: usize, before: &mut u16) {
        if !open.is_begun {
            *open = Open {
                word: Word {
                    start: at,
                    end: at,
                    at: self.bytes.len(),
                    length: 0,
                    marks: *before,
                },
                is_begun: true,
                ..Open::default()
            };
            *before = 0;
        }
    }

    fn push(&mut self, open: &mut Open, byte: u8, end: usize) {
        open.word.end = end;
        if open.word.length < WORD_BYTES_MAX {
            self.bytes.push(byte);
            open.word.length += 1;
        }
    }

    fn close(&mut self, open: &mut Open, sign: u8) {
        if !open.is_begun {
            return;
        }
        open.is_begun = false;
        let mut word = open.word;
        if open.has & has::PLAIN != 0 && open.has & has::LOOKALIKES != 0 {
            self.unmix(&mut word);
        }
        if matches!(sign, b':' | b']' | b'>' | b'}' | b'|') {
            word.marks |= marks::HEADED;
        }
        if open.has & (has::UPPER | has::LOWER) == has::UPPER && word.length > 2 {
            word.marks |= marks::UPPER;
        }
        if word.length == 1 && open.has & has::LETTERS != 0 {
            word.marks |= marks::LETTER;
        }
        self.list.push(word);
    }

    /// Lookalikes among letters of ASCII are those letters.
    fn unmix(&mut self, word: &mut Word) {
        let raw = self.bytes.split_off(word.at.min(self.bytes.len()));
        for character in String::from_utf8_lossy(&raw).chars() {
            match fold(character) {
                Fold::Plain { byte, .. } | Fold::Lookalike { byte, .. } => self.bytes.push(byte),
                Fold::Sign(sign) if sign != 0 => self.bytes.push(sign),
                _ => {}
            }
        }
        word.length = self.bytes.len() - word.at;
        word.marks |= marks::MIXED;
    }

    /// Makes words of runs of single letters with the same little between them: `i g n o r e`, `\I\ \h\a\v\e`.
    fn join(&mut self, text: &str) {
        let mut kept = 0;
        let mut at = 0;
        while at < self.list.len() {
            let run = self.run(at);
            if run < SPACED_LETTERS_MIN {
                for _ in 0..run.max(1) {
                    self.list[kept] = self.list[at];
                    kept += 1;
                    at += 1;
                }
                continue;
            }
            let least = (at..at + run - 1).map(|one| self.gap(one)).min().unwrap_or(0);
            let sign = text.as_bytes().get(self.list[at].end).copied();
            let mut first = at;
            for one in at..at + run {
                let parts = one + 1 == at + run
                    || self.gap(one) > least
                    || text.as_bytes().get(self.list[one].end).copied() != sign;
                if !parts {
                    continue;
                }
                let (head, tail) = (self.list[first], self.list[one]);
                let length = (one + 1 - first).min(WORD_BYTES_MAX);
                let begin = self.bytes.len();
                for letter in first..first + length {
                    let byte = self.bytes[self.list[letter].at];
                    self.bytes.push(byte);
                }
                let mut marks = head.marks;
                if length > 1 {
                    marks = (marks | marks::SPACED) & !marks::LETTER;
                }
                self.list[kept] = Word {
                    start: head.start,
                    end: tail.end,
                    at: begin,
                    length,
                    marks,
                };
                kept += 1;
                first = one + 1;
            }
            at += run;
        }
        self.list.truncate(kept);
    }

    /// What stands between a word and the next, in bytes.
    fn gap(&self, one: usize) -> usize {
        self.list[one + 1].start - self.list[one].end
    }

    /// How many single letters follow one another from here on.
    fn run(&self, at: usize) -> usize {
        let is_letter = |word: &Word| word.marks & marks::LETTER != 0;
        if !is_letter(&self.list[at]) {
            return 0;
        }
        let follows = |pair: &&[Word]| is_letter(&pair[1]) && pair[1].start - pair[0].end <= SPACED_GAP_BYTES_MAX;
        1 + self.list[at..].windows(2).take_while(follows).count()
    }
}

/// Whether a sign belongs to the word around it: an apostrophe of `don't`, or a sign in place of a letter.
fn joins(sign: u8, is_open: bool, next: Option<u8>) -> bool {
    let letter_follows = next.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 128);
    match sign {
        b'\'' => is_open && matches!(next, Some(b't' | b'T')),
        b'@' | b'!' => is_open && letter_follows,
        b'$' => letter_follows,
        _ => false,
    }
}

fn after_sign(before: u16, sign: u8, character: char) -> u16 {
    match sign {
        b'.' | b'!' | b'?' | b';' => before | marks::SENTENCE,
        b':' | b'(' | b')' => (before | marks::SENTENCE) & !marks::LINE,
        b'"' | b'\'' | b'`' => before | marks::QUOTED | marks::SENTENCE,
        b'<' | b'[' | b'{' | b'#' | b'|' | b'=' | b'*' | b'-' | b'_' | b'/' => before | marks::BRACKETED,
        b',' => before & !marks::LINE,
        0 if matches!(character, '“' | '„' | '«' | '‘' | '「') => before | marks::QUOTED | marks::SENTENCE,
        0 if matches!(character, '。' | '！' | '？' | '；' | '…') => before | marks::SENTENCE,
        _ => before,
    }
}
