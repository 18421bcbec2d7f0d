//! The name that stands before a value: `api_key = `, `"token": "`, `--password `, `<secret>`, *the password is*.
//!
//! Names are read as words (`githubToken`, `GITHUB_TOKEN` and `github-token` are the same two), and it is the last one
//! that says what the value is: a `token` is a secret, a `token_count`, a `key_name` or a `credentialsId` is none.

use super::value::{self, word_length};
use super::words::{Meaning, Words};

/// How much of the text before a value is looked at, in bytes: the mark between, and the name.
pub(super) const BEFORE_BYTES: usize = 112;
const LONGEST_MARK: usize = 40;
const LONGEST_NAME: usize = 64;
const HEADER: &[u8] = b"authorization:";
const MOST_WORDS: usize = 8;

/// How sure a name is about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// A `key`, or the name of a provider: only a very random value is a secret.
    Weak,
    /// Said in a sentence.
    Prose,
    /// The name says that it is one.
    Secret,
    /// A password, which may be any word.
    Password,
    /// An `Authorization` header.
    Header,
}

/// What a value is, by what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) strength: Strength,
    /// The quotation mark that opens the value.
    pub(super) quote: Option<u8>,
    /// Whether nothing but space stands between: a sentence, a flag of a command, a scheme of a header.
    pub(super) is_spoken: bool,
    /// What the name is about besides.
    pub(super) topic: Topic,
}

/// What the name is about besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Nothing that matters.
    Plain,
    /// An AWS secret key.
    Aws,
    /// A session or cookie.
    Session,
}

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    start: usize,
    quote: Option<u8>,
    quotes: usize,
    is_assignment: bool,
    has_comma: bool,
}

/// The context of the value that begins at `at`.
pub(super) fn before(words: &Words, text: &[u8], at: usize) -> Option<Context> {
    let floor = at.saturating_sub(BEFORE_BYTES);
    let mark = mark(text, floor, at);
    if mark.start == at || (mark.has_comma && !mark.is_assignment && mark.quotes < 2) {
        return None;
    }
    if !may_name(words, text, floor, mark.start) {
        return None;
    }
    let mut name = Name::read(words, text, floor, mark.start);
    let is_spoken = !mark.is_assignment && !mark.has_comma;
    if !is_spoken {
        // `token: str = "…"`: the name stands before its type; `<add key="Password" value="…"`: before the attribute.
        if name.is_type() || name.is_value() {
            let between = self::mark(text, floor, name.start);
            name = Name::read(words, text, floor, between.start);
        }
        // `${PASSWORD:?not set}` is the shell's, and `"authorization", "content-type"` is a list.
        let (strength, topic) = name.meaning()?;
        if text[..name.start].ends_with(b"${") || strength == Strength::Header && !mark.is_assignment {
            return None;
        }
        return Some(Context {
            strength,
            quote: mark.quote,
            is_spoken,
            topic,
        });
    }
    if mark.quotes > 1 || text[mark.start..at].contains(&b'\n') {
        return None;
    }
    let strength = name.spoken(text)?;
    Some(Context {
        strength,
        quote: mark.quote,
        is_spoken,
        topic: Topic::Plain,
    })
}

/// Whether the last word before a mark says anything: most do not, and that is quickly told.
fn may_name(words: &Words, text: &[u8], floor: usize, end: usize) -> bool {
    let floor = floor.max(end.saturating_sub(LONGEST_NAME));
    let region = &text[floor..end];
    let signs = region
        .iter()
        .rev()
        .take_while(|byte| is_part(**byte) && !byte.is_ascii_alphabetic())
        .count();
    let region = &region[..region.len() - signs];
    let letters = region
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let mut run = &region[region.len() - letters..];
    loop {
        let length = value::word_length(run);
        if length == run.len() {
            return words.meaning(run) != Meaning::Nothing || run.eq_ignore_ascii_case(b"value");
        }
        run = &run[length..];
    }
}

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b'\t')
}

/// Reads the mark that ends at `at`.
fn mark(text: &[u8], floor: usize, at: usize) -> Mark {
    let floor = floor.max(at.saturating_sub(LONGEST_MARK));
    let mut mark = Mark {
        start: at,
        ..Mark::default()
    };
    while mark.start > floor {
        match text[mark.start - 1] {
            quote @ (b'"' | b'\'' | b'`') => {
                if mark.quotes == 0 && !mark.is_assignment {
                    mark.quote = Some(quote);
                }
                mark.quotes += 1;
            }
            b'=' | b':' | b'>' | b'|' => mark.is_assignment = true,
            b'?' | b'.' | b'+' | b'-' if mark.is_assignment => {}
            b',' => mark.has_comma = true,
            b' ' | b'\t' | b'\n' | b'\r' | b'\\' | b'[' | b']' | b'(' | b')' | b'*' | b'{' => {}
            // `\n` and `\t` as escapes.
            b'n' | b't' | b'r' if mark.start >= floor + 2 && text[mark.start - 2] == b'\\' => {}
            _ => break,
        }
        mark.start -= 1;
    }
    mark
}

/// The words before a mark, the last first.
#[derive(Debug)]
struct Name<'t> {
    meanings: &'t Words,
    words: [Word<'t>; MOST_WORDS],
    count: usize,
    start: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Word<'t> {
    text: &'t [u8],
    /// Whether it is of the same name as the word behind it, not one of a sentence.
    is_joined: bool,
}

impl<'t> Name<'t> {
    fn read(meanings: &'t Words, text: &'t [u8], floor: usize, end: usize) -> Self {
        let floor = floor.max(end.saturating_sub(LONGEST_NAME));
        let length = text[floor..end].iter().rev().take_while(|byte| is_part(**byte)).count();
        let start = end - length;
        let mut name = Self {
            meanings,
            words: [Word::default(); MOST_WORDS],
            count: 0,
            start: end,
        };
        let region = &text[start..end];
        // A word that the floor cuts is not the word that it looks like.
        let is_cut = start == floor && floor > 0 && text[floor - 1].is_ascii_alphanumeric();
        let mut at = if is_cut {
            region.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()
        } else {
            0
        };
        let mut is_joined = false;
        while at < region.len() {
            let length = word_length(&region[at..]);
            if length == 0 {
                if matches!(region[at], b' ' | b'\t') {
                    is_joined = false;
                }
                at += 1;
                continue;
            }
            if !is_joined {
                name.start = start + at;
            }
            name.push(&region[at..at + length], is_joined);
            is_joined = true;
            at += length;
        }
        name
    }

    /// Adds a word in front: what was last is now second to last.
    fn push(&mut self, text: &'t [u8], joins: bool) {
        self.words.copy_within(0..MOST_WORDS - 1, 1);
        self.words[0] = Word { text, is_joined: false };
        if joins {
            self.words[1].is_joined = true;
        }
        self.count = (self.count + 1).min(MOST_WORDS);
    }

    fn words(&self) -> &[Word<'t>] {
        &self.words[..self.count]
    }

    fn is_type(&self) -> bool {
        self.words()
            .first()
            .is_some_and(|word| self.meanings.meaning(word.text) == Meaning::Type)
            && !self
                .words()
                .get(1)
                .is_some_and(|word| self.meanings.is_secret(word.text))
    }

    fn is_value(&self) -> bool {
        self.words()
            .first()
            .is_some_and(|word| word.text.eq_ignore_ascii_case(b"value"))
            && !self.words().get(1).is_some_and(|word| word.is_joined)
    }

    /// What the name says of the value that is assigned to it.
    fn meaning(&self) -> Option<(Strength, Topic)> {
        let mut passed_name = false;
        for (index, word) in self.words().iter().enumerate() {
            passed_name |= index > 0 && !word.is_joined;
            let meaning = self.meanings.meaning(word.text);
            let strength = match meaning {
                Meaning::Password => Strength::Password,
                Meaning::Secret | Meaning::Session => Strength::Secret,
                Meaning::Header => Strength::Header,
                Meaning::Key => self.key(index)?,
                Meaning::Provider if index == 0 || !passed_name => Strength::Weak,
                Meaning::Type | Meaning::Suffix | Meaning::KeyOf if index < 3 => continue,
                // `api key for the staging server: …`
                _ if passed_name && index < 5 => continue,
                _ if index > 0 && index < 5 && self.is_sentence() => continue,
                _ => return None,
            };
            if self.is_refused(index) {
                return None;
            }
            let strength = match strength {
                Strength::Secret if passed_name && !self.follows_types(index) => Strength::Prose,
                strength => strength,
            };
            return Some((strength, self.topic(index, meaning)));
        }
        None
    }

    /// Whether only types stand behind the word: `var cloudflareToken string = `.
    fn follows_types(&self, index: usize) -> bool {
        self.words()[..index].iter().all(|word| {
            matches!(
                self.meanings.meaning(word.text),
                Meaning::Type | Meaning::Suffix | Meaning::KeyOf
            )
        })
    }

    fn is_sentence(&self) -> bool {
        self.words().iter().filter(|word| !word.is_joined).count() > 2
    }

    /// A key is a secret if the word before it says so: `api key`, `private key`, `stripe key`.
    fn key(&self, index: usize) -> Option<Strength> {
        let Some(before) = self.words().get(index + 1) else {
            return Some(Strength::Weak);
        };
        match self.meanings.meaning(before.text) {
            Meaning::Refusal => None,
            Meaning::KeyOf
            | Meaning::Provider
            | Meaning::Secret
            | Meaning::Password
            | Meaning::Header
            | Meaning::Session => Some(Strength::Secret),
            _ => Some(Strength::Weak),
        }
    }

    /// `csrf token`, `public key`, `next page token`.
    fn is_refused(&self, index: usize) -> bool {
        self.words()
            .get(index + 1)
            .is_some_and(|word| self.meanings.meaning(word.text) == Meaning::Refusal)
    }

    fn topic(&self, index: usize, meaning: Meaning) -> Topic {
        let is_aws =
            |word: &Word<'_>| word.text.eq_ignore_ascii_case(b"aws") || word.text.eq_ignore_ascii_case(b"access");
        let is_secret = |word: &Word<'_>| word.text.eq_ignore_ascii_case(b"secret");
        let before = &self.words()[index..];
        if meaning == Meaning::Session {
            Topic::Session
        } else if before.iter().any(is_secret) && before.iter().any(is_aws) {
            Topic::Aws
        } else {
            Topic::Plain
        }
    }

    /// What a name says of a value that follows without a mark.
    fn spoken(&self, text: &[u8]) -> Option<Strength> {
        let last = self.words().first()?;
        let is_flag = text[..self.start].ends_with(b"-") || text.get(self.start) == Some(&b'-');
        let meaning = self.meanings.meaning(last.text);
        // `Authorization: Basic …`: what the name ends at is the mark of the header.
        let before = text[..self.start].trim_ascii_end();
        let is_header =
            before.len() > HEADER.len() && before[before.len() - HEADER.len()..].eq_ignore_ascii_case(HEADER);
        match meaning {
            Meaning::Scheme => return Some(Strength::Header),
            Meaning::Basic | Meaning::Secret | Meaning::Key if is_header => return Some(Strength::Header),
            Meaning::Is => {}
            Meaning::Password | Meaning::Secret | Meaning::Key if is_flag => {
                return self.meaning().map(|(strength, _)| strength);
            }
            Meaning::Password if self.words().iter().any(|word| word.text.eq_ignore_ascii_case(b"login")) => {
                return Some(Strength::Password);
            }
            _ => return None,
        }
        for (index, word) in self.words().iter().enumerate().skip(1).take(6) {
            let strength = match self.meanings.meaning(word.text) {
                Meaning::Password => Strength::Password,
                Meaning::Secret => Strength::Prose,
                Meaning::Key if self.key(index) == Some(Strength::Secret) => Strength::Prose,
                _ => continue,
            };
            return (!self.is_refused(index)).then_some(strength);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength(text: &str) -> Option<Strength> {
        before(&Words::new(), text.as_bytes(), text.len()).map(|context| context.strength)
    }

    #[test]
    fn names_are_read_as_words() {
        for text in [
            "githubToken = \"",
            "GITHUB_TOKEN=",
            "\"github-token\": \"",
            "<githubToken>\n    ",
            "System.setProperty(\"GITHUB_TOKEN\", \"",
            "var githubToken string = \"",
            "token: str = \"",
            "$githubToken .= \"",
            "github_TOKEN :::= \"",
            "\"githubToken\" => \"",
            "os.environ[\"API_KEY\"] = \"",
            "stripe_key: ",
            "--api-key ",
            "{\"config.ini\": \"PLAID_TOKEN=",
            "TOKEN_PROD = '",
        ] {
            assert_eq!(strength(text), Some(Strength::Secret), "{text}");
        }
    }

    #[test]
    fn the_last_word_says_what_a_value_is() {
        for text in [
            "credentialsId: '",
            "LLM_SECRET_NAME = \"",
            "issuerKeyHash=",
            "csrf-token=",
            "public_key = \"",
            "keyword: \"",
            "apiUrl=",
            "max_tokens_per_day: ",
            "X-API-Name\": \"",
            "the token ",
            "author = \"",
            "SetSysctl = \"",
            "monkeys-audio:",
        ] {
            assert_eq!(strength(text), None, "{text}");
        }
    }

    #[test]
    fn passwords_are_named_in_many_ways() {
        for text in [
            "password = \"",
            "DB_PASSWORD=",
            "my password is ",
            "the password for the server is ",
            "--password ",
            "pwd: ",
        ] {
            assert_eq!(strength(text), Some(Strength::Password), "{text}");
        }
        assert_eq!(strength("Authorization: Bearer "), Some(Strength::Header));
        assert_eq!(
            strength("<add key=\"ClearTextPassword\" value=\""),
            Some(Strength::Password)
        );
        assert_eq!(strength("key = \""), Some(Strength::Weak));
        assert_eq!(strength("my api key is "), Some(Strength::Prose));
    }
}
