//! What the words beside a number say it is.
//!
//! A bare number is nobody's until a word claims it: `8605665299` may be a telephone, an order or a moment. The nearest
//! word with an opinion decides; the look never goes further than a fixed number of bytes, so asking is O(1).

use std::sync::LazyLock;

/// How far to the left a word may stand, in bytes.
const BEFORE_BYTES: usize = 48;
/// How far to the right the first word may end, in bytes.
const AFTER_BYTES: usize = 24;

/// Bytes of the longest word of the lists, or more.
const LONGEST_WORD: usize = 16;

/// What a word makes of the number beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Phone,
    Card,
    Ssn,
    /// Goods and meters: numbers that are printed on things.
    Article,
    /// Software.
    Version,
    /// Any other number that is nobody's telephone.
    Other,
}

#[rustfmt::skip]
const PHONE: &[&str] = &[
    "call", "calling", "cel", "cell", "cellphone", "cellular", "celular", "cep", "contact", "desk", "dial", "dialing",
    "emergency", "fax", "faxnumber", "handy", "handynummer", "helpline", "hotline", "landline", "messages", "mob",
    "mobil", "mobile", "mobilenumber", "mobiles", "mobilnummer", "movil", "móvil", "pager", "ph", "phone", "phoneno",
    "phonenumber", "phones", "reach", "reached", "ring", "rufnummer", "sms", "tel", "telefon", "telefone", "telefonnr",
    "telefonnummer", "telefono", "telephone", "telephones", "telepono", "telno", "teléfono", "texting", "téléphone",
    "viber", "voicemail", "whatsapp",
];
#[rustfmt::skip]
const CARD: &[&str] = &[
    "amex", "card", "cardnumber", "cards", "cc", "ccnum", "credit", "creditcard", "debit", "diners", "discover", "jcb",
    "maestro", "mastercard", "pan", "payment", "unionpay", "visa",
];
const SSN: &[&str] = &["security", "social", "socialsecurity", "ss", "ssn", "ssns"];
#[rustfmt::skip]
const ARTICLE: &[&str] = &[
    "asin", "barcode", "counter", "ean", "gtin", "imei", "isbn", "issn", "meter", "part", "reading", "scan", "serial",
    "sku", "upc",
];
const VERSION: &[&str] = &[
    "build", "driver", "firmware", "release", "upgrade", "ver", "version", "versions",
];
#[rustfmt::skip]
const OTHER: &[&str] = &[
    "account", "acct", "amount", "article", "bic", "budget", "bytes", "calculate", "case", "code", "commit", "compute",
    "convert", "cost", "count", "date", "dollars", "epoch", "error", "etag", "eur", "flight", "hash", "host", "iban",
    "id", "ids", "inv", "invoice", "ip", "item", "items", "job", "line", "lines", "model", "order", "orders", "otp",
    "page", "pages", "parcel", "pin", "plz", "po", "points", "population", "port", "postal", "postcode", "price",
    "product", "record", "records", "ref", "reference", "request", "room", "row", "rows", "score", "seat", "server",
    "sha", "shipment", "size", "subnet", "sum", "ticket", "tickets", "time", "timestamp", "total", "trace", "track",
    "tracking", "transaction", "ts", "unix", "usd", "year", "years", "zip", "zipcode",
];
/// Words that mean a telephone only when they directly follow one.
#[rustfmt::skip]
const PHONE_AFTER: &[&str] = &[
    "cell", "ext", "extension", "fax", "home", "landline", "mob", "mobile", "office", "phone", "tel", "telephone",
    "whatsapp", "work",
];
const POSSESSIVE: &[&str] = &["contact", "her", "his", "my", "new", "our", "their", "your"];
/// Words that mean a telephone only when one of `TOWARDS` follows them.
const TALK: &[&str] = &["called", "calls", "message", "text"];
const TOWARDS: &[&str] = &["from", "her", "him", "me", "them", "to", "us"];

/// The opinion of the nearest word before `at` that has one, and the bytes between that word and `at`.
///
/// `number` has no opinion, but *my number* is a telephone, and so is what one should *text me* at
/// or was *called from*.
pub(super) fn before(text: &[u8], at: usize) -> Option<(Topic, usize)> {
    let floor = at.saturating_sub(BEFORE_BYTES);
    let mut end = at;
    let mut following = Word::default();
    while let Some(last) = text[floor..end].iter().rposition(|byte| is_letter(*byte)) {
        let word_end = floor + last + 1;
        let start = text[floor..word_end]
            .iter()
            .rposition(|byte| !is_letter(*byte))
            .map_or(floor, |gap| floor + gap + 1);
        // A word cut by the floor is not the word it looks like.
        if start == floor && floor > 0 && is_letter(text[floor - 1]) {
            return None;
        }
        let escaped = start > 0 && text[start - 1] == b'\\' && b"nrt".contains(&text[start]);
        let word = Word::lower(&text[start + usize::from(escaped)..word_end]);
        let is_phone = match following.text() {
            "number" | "numbers" | "no" => word.is_one_of(POSSESSIVE),
            _ => word.is_one_of(TALK) && following.is_one_of(TOWARDS),
        };
        if let Some(topic) = if is_phone { Some(Topic::Phone) } else { topic_of(&word) } {
            return Some((topic, at - word_end));
        }
        following = word;
        end = start;
    }
    None
}

/// Whether the first word behind `at`, on the same line, names a telephone: `555 0100 (mobile)`.
pub(super) fn phone_follows(text: &[u8], at: usize) -> bool {
    let rest = &text[at..text.len().min(at + AFTER_BYTES)];
    let skip = rest.iter().take_while(|byte| b" ()-:,".contains(byte)).count();
    let length = rest[skip..].iter().take_while(|byte| is_letter(**byte)).count();
    Word::lower(&rest[skip..skip + length]).is_one_of(PHONE_AFTER)
}

/// The words by their first byte, the lists in the order of their weight.
static TOPICS: LazyLock<Vec<Vec<(&'static str, Topic)>>> = LazyLock::new(|| {
    let lists = [
        (PHONE, Topic::Phone),
        (CARD, Topic::Card),
        (SSN, Topic::Ssn),
        (ARTICLE, Topic::Article),
        (VERSION, Topic::Version),
        (OTHER, Topic::Other),
    ];
    let mut topics = vec![Vec::new(); 256];
    for (words, topic) in lists {
        for word in words {
            topics[usize::from(word.as_bytes()[0])].push((*word, topic));
        }
    }
    topics
});

fn topic_of(word: &Word) -> Option<Topic> {
    let text = word.text();
    let same = TOPICS.get(usize::from(*text.as_bytes().first()?))?;
    same.iter().find(|(known, _)| *known == text).map(|(_, topic)| *topic)
}

/// A word in lower case, without an allocation; empty if it is longer than any word of the lists.
#[derive(Default)]
struct Word {
    bytes: [u8; LONGEST_WORD],
    length: usize,
}

impl Word {
    fn lower(word: &[u8]) -> Self {
        let mut lower = Self::default();
        if let Some(bytes) = lower.bytes.get_mut(..word.len()) {
            bytes.copy_from_slice(word);
            bytes.make_ascii_lowercase();
            lower.length = word.len();
        }
        lower
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// The lists above are sorted; a test holds them to it.
    fn is_one_of(&self, words: &[&str]) -> bool {
        words.binary_search(&self.text()).is_ok()
    }
}

/// Letters, and every byte of a letter beyond ASCII.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_words_are_sorted() {
        for words in [
            PHONE,
            CARD,
            SSN,
            ARTICLE,
            VERSION,
            OTHER,
            PHONE_AFTER,
            POSSESSIVE,
            TALK,
            TOWARDS,
        ] {
            assert!(words.is_sorted(), "{words:?}");
            assert!(words.iter().all(|word| word.len() <= LONGEST_WORD), "{words:?}");
        }
    }

    #[test]
    fn the_nearest_word_with_an_opinion_decides() {
        let asked = |text: &str| before(text.as_bytes(), text.len()).map(|(topic, _)| topic);
        assert_eq!(asked("call me about the order "), Some(Topic::Other));
        assert_eq!(asked("about the order, call me at "), Some(Topic::Phone));
        assert_eq!(asked("my number is "), Some(Topic::Phone));
        assert_eq!(asked("the number is "), None);
        assert_eq!(asked("text me at "), Some(Topic::Phone));
        assert_eq!(asked("he called from "), Some(Topic::Phone));
        assert_eq!(asked("the text at "), None);
        assert_eq!(asked("phone_number: "), Some(Topic::Phone));
        assert_eq!(
            asked("phone, as everybody at the company has known for ages and ages: "),
            None
        );
    }

    #[test]
    fn a_word_may_stand_behind() {
        assert!(phone_follows(b"555 0100 (mobile)", 8));
        assert!(!phone_follows(b"555 0100 dollars", 8));
    }
}
