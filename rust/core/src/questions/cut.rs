//! A text in words: small letters without accents, short forms written out, and the signs that count.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word as it stands.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) start: usize,
    pub(super) end: usize,
    /// A form that a short one stands for, in place of the letters.
    instead: Option<&'static str>,
    pub(super) capital: bool,
    /// Of its sentence.
    pub(super) first: bool,
    /// The letter right before it, where that is none of a word's.
    pub(super) glued: Option<char>,
}

/// A text's letters, and the words in them.
#[derive(Debug, Default)]
pub(super) struct Cut {
    letters: String,
    pub(super) words: Vec<Raw>,
}

const SIGNS: &str = "+*=<>&|^~#@%$€£¥₹";
/// Words after which `'s` is short for "is".
const BEFORE_IS: [&str; 12] = [
    "what", "who", "where", "how", "when", "why", "it", "that", "there", "here", "he", "she",
];
const WITHOUT_APOSTROPHE: [(&str, &str, &str); 23] = [
    ("dont", "do", "not"),
    ("doesnt", "does", "not"),
    ("didnt", "did", "not"),
    ("isnt", "is", "not"),
    ("wasnt", "was", "not"),
    ("arent", "are", "not"),
    ("werent", "were", "not"),
    ("couldnt", "could", "not"),
    ("shouldnt", "should", "not"),
    ("wouldnt", "would", "not"),
    ("havent", "have", "not"),
    ("hasnt", "has", "not"),
    ("hadnt", "had", "not"),
    ("cant", "can", "not"),
    ("wont", "will", "not"),
    ("cannot", "can", "not"),
    ("im", "i", "am"),
    ("ive", "i", "have"),
    ("whats", "what", "is"),
    ("hows", "how", "is"),
    ("wheres", "where", "is"),
    ("whos", "who", "is"),
    ("thats", "that", "is"),
];

const fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || (!letter.is_ascii() && (letter.is_alphanumeric() || is_combining_mark(letter)))
}

const fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// Letters in small without accents, and where there was a capital.
fn fold(text: &str) -> (String, Vec<usize>) {
    let mut letters = String::with_capacity(text.len());
    let mut capitals = Vec::new();
    for letter in text.chars() {
        if letter.is_ascii() {
            if letter.is_ascii_uppercase() {
                capitals.push(letters.len());
            }
            letters.push(letter.to_ascii_lowercase());
            continue;
        }
        for part in std::iter::once(letter).nfkd().filter(|&part| !is_accent(part)) {
            if matches!(part, '’' | '‘' | 'ʼ') {
                letters.push('\'');
                continue;
            }
            let start = letters.len();
            letters.extend(part.to_lowercase().filter(|&small| !is_accent(small)));
            if !letters[start..].starts_with(part) {
                capitals.push(start);
            }
        }
    }
    (letters, capitals)
}

impl Cut {
    /// Cuts a text.
    pub(super) fn new(text: &str) -> Self {
        let (letters, capitals) = fold(text);
        let mut cut = Self {
            letters: String::new(),
            words: Vec::with_capacity(letters.len() / 5 + 1),
        };
        let mut at = 0;
        let mut first = true;
        let mut before = None;
        let mut capital_at = 0;
        while let Some(letter) = letters[at..].chars().next() {
            if !is_letter(letter) {
                if SIGNS.contains(letter) {
                    cut.push(at, at + letter.len_utf8(), None, before);
                } else if matches!(letter, '.' | '?' | '!' | ':' | '\n') {
                    first = true;
                }
                before = Some(letter);
                at += letter.len_utf8();
                continue;
            }
            let end = word_end(&letters, at, letter);
            while capitals.get(capital_at).is_some_and(|&place| place < at) {
                capital_at += 1;
            }
            let raw = Raw {
                start: at,
                end,
                instead: None,
                capital: capitals.get(capital_at) == Some(&at),
                first,
                glued: before,
            };
            at = cut.expand(&letters, raw);
            first = false;
            before = None;
        }
        cut.letters = letters;
        cut
    }

    /// The letters of a word; nothing beyond the last.
    pub(super) fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |raw| {
            raw.instead.unwrap_or_else(|| &self.letters[raw.start..raw.end])
        })
    }

    fn push(&mut self, start: usize, end: usize, instead: Option<&'static str>, glued: Option<char>) {
        self.words.push(Raw {
            start,
            end,
            instead,
            capital: false,
            first: false,
            glued,
        });
    }

    /// Takes a word and what is joined to it by an apostrophe; where the text goes on.
    fn expand(&mut self, letters: &str, mut raw: Raw) -> usize {
        let (start, end) = (raw.start, raw.end);
        let word = &letters[start..end];
        let tail = letters[end..].strip_prefix('\'').unwrap_or_default();
        let tail = &tail[..tail.find(|letter| !is_letter(letter)).unwrap_or(tail.len())];
        let after = end + 1 + tail.len();
        let second = match tail {
            "t" => {
                if let Some(stem) = word.strip_suffix('n') {
                    match word {
                        "can" => {}
                        "won" => raw.instead = Some("will"),
                        "shan" => raw.instead = Some("shall"),
                        "ain" => raw.instead = Some("is"),
                        _ => raw.end = start + stem.len(),
                    }
                    if raw.end > start {
                        self.words.push(raw);
                    }
                    self.push(end, end, Some("not"), None);
                    return after;
                }
                None
            }
            "s" if BEFORE_IS.contains(&word) => Some("is"),
            "re" => Some("are"),
            "m" => Some("am"),
            "ll" => Some("will"),
            "ve" => Some("have"),
            "s" | "d" => None,
            _ => {
                if let Some(&(_, one, other)) = WITHOUT_APOSTROPHE.iter().find(|(form, _, _)| *form == word) {
                    raw.instead = Some(one);
                    self.words.push(raw);
                    self.push(end, end, Some(other), None);
                } else {
                    self.words.push(raw);
                }
                return end;
            }
        };
        self.words.push(raw);
        if second.is_some() {
            self.push(end, end, second, None);
        }
        after
    }
}

/// Where the word that starts here ends: an ideograph is one, and digits go on over points and commas between them.
fn word_end(letters: &str, start: usize, first: char) -> usize {
    let mut end = start + first.len_utf8();
    if is_ideograph(first) {
        return end;
    }
    let mut digits = first.is_ascii_digit();
    let mut rest = letters[end..].chars();
    while let Some(letter) = rest.next() {
        if is_letter(letter) && !is_ideograph(letter) {
            digits = digits && letter.is_ascii_digit();
        } else if !(digits
            && matches!(letter, '.' | ',' | ':')
            && rest.clone().next().is_some_and(|next| next.is_ascii_digit()))
        {
            break;
        }
        end += letter.len_utf8();
    }
    end
}
