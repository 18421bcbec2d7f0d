//! Whether characters look drawn at random, or like words, or like what documentation writes for a secret.

/// As much of a value is judged: a random value shows it within that, and the work stays bounded.
const JUDGED_BYTES: usize = 128;
/// So many letters or digits that follow each other (`abcdef`, `123456`) are nobody's secret.
const LONGEST_SEQUENCE: usize = 7;
/// So many times the same character neither.
const LONGEST_REPEAT: usize = 6;

/// What stands in documentation, forms and templates instead of a secret. In lower case.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "your",
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "dummy",
    "xxxx",
    "redacted",
    "insert",
    "replace",
    "sample",
    "foobar",
    "deadbeef",
];

/// The Shannon entropy of the bytes, in bits a byte.
pub(super) fn entropy(value: &[u8]) -> f32 {
    let value = &value[..value.len().min(JUDGED_BYTES)];
    let mut counts = [0_u8; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let total = f32::from(u8::try_from(value.len()).unwrap_or(u8::MAX));
    let of = |count: &u8| {
        let share = f32::from(*count) / total;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(of).sum()
}

/// Whether `value` is what documentation writes where a secret would stand.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let value = &value[..value.len().min(JUDGED_BYTES)];
    let lower: Vec<u8> = value.to_ascii_lowercase();
    sequence(&lower) >= LONGEST_SEQUENCE
        || repeat(&lower) >= LONGEST_REPEAT.max(value.len() / 5)
        || PLACEHOLDERS.iter().any(|word| contains(&lower, word.as_bytes()))
}

/// The CRC-32 of keys that public documentation and samples print, in order, as gitleaks lists them: Firebase's samples above all.
const PUBLISHED: [u32; 18] = [
    0x0839_4327,
    0x0ba5_9aba,
    0x1f35_8cbe,
    0x202f_468f,
    0x3627_aa84,
    0x3c17_8f9b,
    0x3c59_5871,
    0x3c5d_7fda,
    0x5c29_8136,
    0x6159_ac90,
    0x6a4f_7820,
    0x6b66_e8a8,
    0x6b94_63f8,
    0x7aa1_20d5,
    0x94bb_94f9,
    0xafe8_ff3e,
    0xfbc4_7221,
    0xffdd_d189,
];

/// Whether `key` is one that everybody knows.
pub(super) fn is_published(key: &[u8]) -> bool {
    PUBLISHED.binary_search(&crc32fast::hash(key)).is_ok()
}

pub(super) fn contains(value: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else {
        return true;
    };
    memchr::memchr_iter(*first, value).any(|at| value[at + 1..].starts_with(rest))
}

/// The longest run of characters each of which follows the one before: `abcd`, `1234567890`.
fn sequence(value: &[u8]) -> usize {
    longest(value, |one, next| {
        next == one.wrapping_add(1) || (one == b'9' && next == b'0')
    })
}

fn repeat(value: &[u8]) -> usize {
    longest(value, |one, next| one == next)
}

fn longest(value: &[u8], goes_on: impl Fn(u8, u8) -> bool) -> usize {
    let (mut longest, mut current) = (0, 1);
    for pair in value.windows(2) {
        current = if goes_on(pair[0], pair[1]) { current + 1 } else { 1 };
        longest = longest.max(current);
    }
    longest
}

/// What of a value is letters, digits, and words.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texture {
    pub(super) digits: usize,
    pub(super) lower: usize,
    pub(super) upper: usize,
    pub(super) others: usize,
    /// Letters that are part of something one could read.
    pub(super) readable: usize,
}

impl Texture {
    pub(super) fn of(value: &[u8]) -> Self {
        let value = &value[..value.len().min(JUDGED_BYTES)];
        let mut texture = Self::default();
        let mut at = 0;
        while at < value.len() {
            match value[at] {
                byte if byte.is_ascii_alphabetic() => {
                    let length = word_length(&value[at..]);
                    let word = &value[at..at + length];
                    texture.upper += word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
                    texture.lower += word.iter().filter(|byte| byte.is_ascii_lowercase()).count();
                    if is_readable(word) {
                        texture.readable += length;
                    }
                    at += length;
                    continue;
                }
                b'0'..=b'9' => texture.digits += 1,
                _ => texture.others += 1,
            }
            at += 1;
        }
        texture
    }

    pub(super) const fn letters(&self) -> usize {
        self.lower + self.upper
    }

    /// Whether more than `percent` of the letters and digits are readable.
    pub(super) const fn is_wordy(&self, percent: usize) -> bool {
        self.readable * 100 > (self.letters() + self.digits) * percent
    }
}

/// The length of the word that `value` begins with: letters of one case, the first of a lower one perhaps upper.
pub(super) fn word_length(value: &[u8]) -> usize {
    let upper = value.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let lower = value[upper..]
        .iter()
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    match (upper, lower) {
        (upper, 0) => upper,
        (0 | 1, lower) => upper + lower,
        // `AWSToken`: the last capital belongs to the next word.
        (upper, _) => upper - 1,
    }
}

const SHORTEST_WORD: usize = 4;

/// Whether letters could be a word of English or of code: at most one pair in eight of them is unusual.
fn is_readable(word: &[u8]) -> bool {
    let pairs = word.windows(2);
    let unusual = pairs.filter(|pair| !is_usual(pair[0], pair[1])).count();
    word.len() >= SHORTEST_WORD && unusual * 8 < word.len()
}

const fn is_usual(one: u8, next: u8) -> bool {
    let (one, next) = (one.to_ascii_lowercase() - b'a', next.to_ascii_lowercase() - b'a');
    USUAL[one as usize] >> next & 1 == 1
}

/// For each letter, the letters that usually follow it, as bits: the 408 pairs that make up 98.5 % of those within the
/// words of the development sets' prompts and of Python's standard library.
const USUAL: [u32; 26] = [
    0x3fe_bd7f, 0x11e_6b3f, 0x11e_fdbf, 0x11e_f97f, 0x3ff_fdff, 0x11e_f97f, 0x01e_f9d5, 0x11e_7919, 0x2af_fd7f,
    0x054_4011, 0x05c_6959, 0x13e_fd7f, 0x11c_f93b, 0x13e_ffff, 0x1fe_ff7f, 0x13e_fdfd, 0x014_0800, 0x17e_fd7f,
    0x17f_fdff, 0x37e_fdff, 0x00e_f97f, 0x004_4115, 0x00e_6191, 0x008_9115, 0x00c_f955, 0x000_0111,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_random_characters() {
        let is_wordy = |value: &str| Texture::of(value.as_bytes()).is_wordy(50);
        assert!(is_wordy("NRG0-Hermes-INTERNAL-API"));
        assert!(is_wordy("jetbrains.mps.v8_elimination"));
        assert!(is_wordy("kubernetes-v1beta1"));
        assert!(!is_wordy("qymudogjl6ntcnkb"));
        assert!(!is_wordy("hetomQpSY5ytPCyABL8MRdX8"));
        assert!(!is_wordy("29e3366306770d108179f23f54340ebc"));
    }

    #[test]
    fn documentation_writes_placeholders() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "your-api-key",
            "XXXXXXXX",
            "0123456789abc",
            "00000000",
            "changeme1",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        assert!(!is_placeholder(b"tq8Zk2vN0xW5"));
    }

    #[test]
    fn entropy_counts_bits() {
        assert!(entropy(b"aaaa").abs() < 1e-6);
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-6);
        assert!((entropy(b"") - 0.0).abs() < 1e-6);
    }

    #[test]
    fn words_end_where_a_capital_begins_the_next() {
        assert_eq!(word_length(b"AWSToken"), 3);
        assert_eq!(word_length(b"Token"), 5);
        assert_eq!(word_length(b"githubToken"), 6);
        assert_eq!(word_length(b"API_KEY"), 3);
    }
}
