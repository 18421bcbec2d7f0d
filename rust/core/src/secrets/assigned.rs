//! Values that a name beside them gives away: `api_key = …`, *the password is …*, `Authorization: Basic …`.

use super::context::{Context, Strength, Topic, before};
use super::form::Reading;
use super::kind::Kind;
use super::set::{Set, URL64};
use super::value::{self, Texture};
use super::words::Words;
use super::{Candidate, LONGEST_ALIVE};

/// What values are made of that are no passwords.
const VALUE: Set = URL64.and(b'+').and(b'.').and(b'~').and(b'=').and(b':');
/// So far back a row is looked at for names before this one: `a=b=c=d` assigns nothing.
const CHAIN_BYTES: usize = 64;
const LONGEST_CHAIN: usize = 2;
const SHORTEST_SECRET: usize = 10;
const SHORTEST_PASSWORD: usize = 6;
const LONGEST_PASSWORD: usize = 128;

/// Whether a value may begin at `at`: not within one.
pub(super) fn may_begin(text: &[u8], at: usize) -> bool {
    let begins = text
        .get(at)
        .is_some_and(|byte| byte.is_ascii_graphic() && !b"\"'`=:,;<>()[]{}|".contains(byte));
    begins
        && at.checked_sub(1).is_none_or(|before| match text[before] {
            b'=' | b':' | b'>' | b'|' | b'"' | b'\'' | b'`' | b' ' | b'\t' | b'\n' | b',' => true,
            b'n' | b't' => before > 0 && text[before - 1] == b'\\',
            _ => false,
        })
}

/// The secret that begins at `at`, where a value may begin.
pub(super) fn read(
    words: &Words,
    text: &[u8],
    at: usize,
    is_last: bool,
) -> Result<Option<Candidate>, super::forms::Open> {
    let Some(context) = before(words, text, at) else {
        return Ok(None);
    };
    if is_chained(text, at) {
        return Ok(None);
    }
    let end = match extent(text, at, context, is_last) {
        Reading::No => return Ok(None),
        Reading::Open => return Err(super::forms::Open),
        Reading::Ends(end) => end,
    };
    let judged = judge(&text[at..end], context);
    Ok(judged.map(|(kind, confidence)| Candidate {
        kind,
        confidence,
        start: at,
        end,
        is_own_form: false,
    }))
}

/// Whether more marks stand in the row before `at` than a name and its section have. It bounds how often a row is judged.
fn is_chained(text: &[u8], at: usize) -> bool {
    let row = text[at.saturating_sub(CHAIN_BYTES)..at]
        .iter()
        .rev()
        .take_while(|byte| VALUE.has(**byte));
    let mut previous = b'=';
    let marks = row.filter(|byte| {
        let behind = std::mem::replace(&mut previous, **byte);
        matches!(**byte, b'=' | b':') && !matches!(behind, b'=' | b':')
    });
    marks.count() > LONGEST_CHAIN
}

/// Where the value ends.
fn extent(text: &[u8], at: usize, context: Context, is_last: bool) -> Reading {
    let rest = &text[at..];
    if context.strength == Strength::Password {
        return password_extent(text, at, context, is_last);
    }
    let length = VALUE.run(rest, LONGEST_ALIVE);
    if length >= LONGEST_ALIVE {
        return Reading::No;
    }
    let Some(next) = rest.get(length) else {
        return if is_last {
            trimmed(rest, at, context)
        } else {
            Reading::Open
        };
    };
    let closes = match context.quote {
        Some(quote) => *next == quote || *next == b'\\',
        None => !next.is_ascii_graphic() || b"\"'`;,)]}<\\&|#!?*".contains(next),
    };
    if closes && !rest[length..].starts_with("\u{2026}".as_bytes()) {
        trimmed(&rest[..length], at, context)
    } else if context.strength == Strength::Secret && context.quote.is_some() {
        // Between quotation marks, a secret may hold any sign, as a password may.
        password_extent(text, at, context, is_last)
    } else {
        Reading::No
    }
}

/// Where a password ends: at its quotation mark, or before the next space.
fn password_extent(text: &[u8], at: usize, context: Context, is_last: bool) -> Reading {
    let rest = &text[at..];
    let length = password_length(rest, context.quote);
    match rest.get(length) {
        _ if length > LONGEST_PASSWORD => Reading::No,
        None if !is_last => Reading::Open,
        Some(b'\n') if context.quote.is_some() => Reading::No,
        _ => trimmed(&rest[..length], at, context),
    }
}

/// The end of the value without the sentence's stop; what three dots cut off is no secret any more.
fn trimmed(value: &[u8], at: usize, context: Context) -> Reading {
    let stops = value.iter().rev().take_while(|byte| b".,;:!?".contains(byte)).count();
    let length = if context.quote.is_some() {
        value.len()
    } else {
        value.len() - stops
    };
    if length == 0 || value.ends_with(b"..") {
        Reading::No
    } else {
        Reading::Ends(at + length)
    }
}

/// Passwords go on to the quotation mark, or to the next space.
fn password_length(rest: &[u8], quote: Option<u8>) -> usize {
    let near = &rest[..rest.len().min(LONGEST_PASSWORD + 1)];
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote || *byte == b'\\' || *byte == b'\n',
        None => !byte.is_ascii_graphic() || b"\"'`;,)]}<\\&|".contains(byte),
    };
    near.iter().position(ends).unwrap_or(near.len())
}

/// Whether the value is a secret, of which kind, and how sure that is.
fn judge(value: &[u8], context: Context) -> Option<(Kind, u8)> {
    let texture = Texture::of(value);
    match context.strength {
        Strength::Password => is_password(value, &texture, context).then_some((Kind::Password, 80)),
        Strength::Header => is_credential(value, &texture).then_some((Kind::AuthorizationHeader, 85)),
        Strength::Secret => {
            let (kind, confidence) = match context.topic {
                Topic::Aws if value.len() == 40 => (Kind::AwsSecretAccessKey, 90),
                Topic::Session => (Kind::Cookie, 70),
                _ => (Kind::GenericSecret, if context.quote.is_some() { 80 } else { 75 }),
            };
            is_random(value, &texture, 28, SHORTEST_SECRET).then_some((kind, confidence))
        }
        Strength::Prose => is_random(value, &texture, 30, SHORTEST_SECRET).then_some((Kind::GenericSecret, 70)),
        Strength::Weak => is_very_random(value, &texture).then_some((Kind::GenericSecret, 60)),
    }
}

/// Whether a value of at least `least` characters looks drawn at random: entropy in tenths of a bit.
fn is_random(value: &[u8], texture: &Texture, floor: u8, least: usize) -> bool {
    if value.iter().any(|byte| b" (){}[]<>".contains(byte)) {
        return false;
    }
    if value.len() < least || value::is_placeholder(value) || value::is_published(value) || is_code(value) {
        return false;
    }
    let entropy = value::entropy(value) * 10.0;
    let is_long = value.len() >= 14;
    if texture.letters() == 0 {
        // Colons and dots make times, versions and addresses of digits.
        return texture.others == 0 && value.len() >= 15 && entropy >= 23.0;
    }
    if texture.digits == 0 {
        let is_mixed = texture.upper > 1 && texture.lower > 1;
        return value.len() >= 14 && entropy >= 32.0 && !texture.is_wordy(if is_mixed { 25 } else { 0 });
    }
    let wordy = if is_long { 45 } else { 30 };
    let digits = if is_long { 1 } else { 2 };
    entropy >= f32::from(floor) && texture.digits >= digits && !texture.is_wordy(wordy)
}

/// Whether a header's value is one: base64 of name and password may read like words.
fn is_credential(value: &[u8], texture: &Texture) -> bool {
    let is_mixed = texture.digits > 0 || texture.upper > 1 && texture.lower > 1;
    value.len() >= 8
        && !value::is_placeholder(value)
        && !is_code(value)
        && is_mixed
        && value::entropy(value) >= 2.75
        && !texture.is_wordy(60)
}

fn is_very_random(value: &[u8], texture: &Texture) -> bool {
    let is_mixed = texture.upper > 1 && texture.lower > 1 && texture.digits > 1;
    let is_dense = texture.digits > 2 && texture.letters() > 2 && texture.others == 0;
    (is_mixed && value.len() >= 20 || is_dense && value.len() >= 24)
        && !texture.is_wordy(25)
        && is_random(value, texture, 33, 20)
}

/// Whether it is a piece of code or an address: `settings.token`, `config/token.json`, `example.com`.
fn is_code(value: &[u8]) -> bool {
    let tail = value.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let has_ending = tail.len() < value.len() && tail.len() <= 5 && is_letters(tail);
    let head = value.split(|byte| *byte == b'.').next().unwrap_or_default();
    let has_owner = head.len() < value.len() && is_letters(head) && Texture::of(head).readable == head.len();
    // `rfc3447.RSAPrivateKey`: a name within a module.
    let is_member = tail.len() < value.len() && tail.len() >= 6 && Texture::of(tail).is_wordy(60);
    has_ending
        || has_owner
        || is_member
        || value::contains(value, b"://")
        || value.starts_with(b"--")
        || value.starts_with(b"./")
        || value.starts_with(b"../")
}

fn is_letters(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphabetic)
}

/// What is not a password although it stands where one would, in lower case.
const NO_PASSWORD: &str = "\
    123456 8- argon2 args base32 base64 bcrypt config encrypt env example false field generate hash http input \
    localhost md5 none null oauth param pass pbkdf2 prompt pwd request required return scrypt secret self. \
    settings sha1 sha2 sha3 sha5 string test this. token true undefined user utf-8 utf16 utf8 value varchar \
    word";

fn is_password(value: &[u8], texture: &Texture, context: Context) -> bool {
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&value.len()) || value::is_placeholder(value) {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    if NO_PASSWORD
        .split(' ')
        .any(|word| value::contains(&lower, word.as_bytes()))
    {
        return false;
    }
    let is_constant = texture.lower == 0 && value.contains(&b'_') && context.quote.is_none();
    let is_template =
        b"$<{%@[(*#?".contains(&value[0]) || value.iter().any(|byte| b"(){}[]<> ".contains(byte)) || is_constant;
    if is_template || is_code(value) && texture.digits < 2 {
        return false;
    }
    let signs = value.iter().filter(|byte| b"!@#$%^&*?+~".contains(byte)).count();
    let separators = texture.others - signs.min(texture.others);
    if texture.digits == 0 && signs == 0 {
        let is_mixed = texture.upper > 1 && texture.lower > 1;
        return is_mixed && value.len() >= 12 && !texture.is_wordy(25);
    }
    // Times, dates, versions and numbers.
    if texture.letters() == 0 {
        return signs > 0 && texture.digits > 0 && value.len() >= 8 || value.len() >= 15 && texture.others == 0;
    }
    // `step-2`, `foo_bar1`, `v1.2.3` are names; in a sentence more is asked for.
    if separators > 0 && texture.is_wordy(60) {
        return false;
    }
    let is_name_like = signs == 0 && texture.is_wordy(60) && texture.digits < 2;
    !(context.is_spoken || context.quote.is_none())
        || !is_name_like
        || texture.digits + texture.upper >= 1 && value.len() >= 6 && !context.is_spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        (0..text.len())
            .filter(|at| may_begin(text.as_bytes(), *at))
            .find_map(|at| read(&Words::new(), text.as_bytes(), at, true).ok().flatten())
            .map(|candidate| &text[candidate.start..candidate.end])
    }

    #[test]
    fn random_values_beside_a_key_word_are_secrets() {
        for (text, secret) in [
            ("confluentToken := `qymudogjl6ntcnkb`", "qymudogjl6ntcnkb"),
            (
                "export API_KEY=9f86d081884c7d659a2feaa0c55ad015",
                "9f86d081884c7d659a2feaa0c55ad015",
            ),
            ("the api key is 4Kq8ZtP2mN7vX1wB, please", "4Kq8ZtP2mN7vX1wB"),
            ("asana_token: 7476676938924875", "7476676938924875"),
            ("plaidToken = 'hetomQpSY5ytPCyABL8MRdX8'", "hetomQpSY5ytPCyABL8MRdX8"),
        ] {
            assert_eq!(found(text), Some(secret), "{text}");
        }
    }

    #[test]
    fn passwords_are_any_word_that_is_no_plain_one() {
        for (text, secret) in [
            ("password = \"hunter2\"", "hunter2"),
            ("DB_PASSWORD=Tr0ub4dor&3", "Tr0ub4dor"),
            ("my password is S3cure!Horse.", "S3cure!Horse"),
            (
                "passwd = 7Cz3F6nwRTx2V8SUpvgKHCEK2ZbYwt",
                "7Cz3F6nwRTx2V8SUpvgKHCEK2ZbYwt",
            ),
            ("{\"password\": \"p!x9-Tq\"}", "p!x9-Tq"),
            ("client_secret = \"RZm!MWCu8HmRPEtz?CJlL\"", "RZm!MWCu8HmRPEtz?CJlL"),
        ] {
            assert_eq!(found(text), Some(secret), "{text}");
        }
    }

    #[test]
    fn placeholders_code_and_sentences_are_none() {
        for text in [
            "password = os.environ[\"X1\"]",
            "password: ${DB_PASSWORD1}",
            "password=<your password 1>",
            "the password is required",
            "The password is too short1 to be used",
            "password = get_password(user1)",
            "API_KEY=your-api-key-1234",
            "token = xxxxxxxxxxxxxxxx1",
            "\"password\": \"string\"",
            "secret: 2024-01-31T10:00:00",
            "the password is base64 encoded",
            "key: kubernetes-v1beta1-resource",
            "LLM_SECRET_NAME = \"NEXUS-GPT4-API-KEY\"",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
