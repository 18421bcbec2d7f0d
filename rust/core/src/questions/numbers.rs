//! Numbers in one writing, whatever a text writes: digits and words, ordinals, times, months and days, units, money.

use super::cut::Cut;

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const POWERS: [(&str, u64); 4] = [
    ("hundred", 100),
    ("thousand", 1_000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
];
const ORDINALS: [&str; 10] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// Units; the first of a group names it.
const UNITS: [&[&str]; 36] = [
    &["usd", "$", "dollar", "dollars", "bucks"],
    &["eur", "€", "euro", "euros"],
    &["gbp", "£", "pound", "pounds"],
    &["jpy", "¥", "yen"],
    &["inr", "₹", "rupee", "rupees"],
    &["cny", "yuan", "rmb"],
    &["%", "percent", "pct"],
    &["ms", "millisecond", "milliseconds"],
    &["s", "sec", "secs", "second", "seconds"],
    &["min", "mins", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days", "d"],
    &["week", "weeks", "wk", "wks"],
    &["month", "months"],
    &["year", "years", "yr", "yrs"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["m", "meter", "meters", "metre", "metres"],
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    &["mm", "millimeter", "millimeters", "millimetre", "millimetres"],
    &["mi", "mile", "miles"],
    &["ft", "feet", "foot"],
    &["inch", "inches"],
    &["yd", "yard", "yards"],
    &["kg", "kilo", "kilos", "kilogram", "kilograms"],
    &["g", "gram", "grams"],
    &["mg", "milligram", "milligrams"],
    &["lb", "lbs"],
    &["oz", "ounce", "ounces"],
    &["ton", "tons"],
    &["l", "liter", "liters", "litre", "litres"],
    &["ml", "milliliter", "milliliters", "millilitre", "millilitres"],
    &["kb", "kilobyte", "kilobytes"],
    &["mb", "megabyte", "megabytes"],
    &["gb", "gigabyte", "gigabytes"],
    &["tb", "terabyte", "terabytes"],
    &["degree", "degrees"],
];
const LARGEST: u64 = 1_000_000_000_000_000;

/// A number, and what of the text it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) writing: String,
    pub(super) words: usize,
    /// Whether a text may say it or not: "one" and "first" are often no numbers.
    pub(super) may_lack: bool,
}

impl Found {
    fn sure(writing: impl Into<String>, words: usize) -> Self {
        Self {
            writing: writing.into(),
            words,
            may_lack: false,
        }
    }
}

/// The number that begins at a word.
pub(super) fn number_at(cut: &Cut, at: usize) -> Option<Found> {
    let word = cut.text(at);
    let first = *word.as_bytes().first()?;
    if first.is_ascii_digit() {
        return Some(in_digits(cut, at));
    }
    if !first.is_ascii() {
        return word
            .bytes()
            .any(|byte| byte.is_ascii_digit())
            .then(|| Found::sure(word, 1));
    }
    let (value, words) = in_words(cut, at);
    if words > 0 {
        return Some(match unit(cut.text(at + words)) {
            Some(unit) => Found::sure(format!("{value}|{unit}"), words + 1),
            None => Found {
                writing: value.to_string(),
                words,
                may_lack: value == 1,
            },
        });
    }
    if let Some(place) = ORDINALS.iter().position(|&ordinal| ordinal == word) {
        return Some(Found {
            writing: format!("{}|th", place + 1),
            words: 1,
            may_lack: true,
        });
    }
    let counted =
        |at: Option<usize>| at.is_some_and(|at| cut.text(at).starts_with(|letter: char| letter.is_ascii_digit()));
    if MONTHS.contains(&word)
        && (!matches!(word, "march" | "may") || counted(at.checked_sub(1)) || counted(Some(at + 1)))
    {
        return Some(Found::sure(format!("{word}|date"), 1));
    }
    if let Some(day) = DAYS.iter().find(|&&day| word.strip_suffix('s').unwrap_or(word) == day) {
        return Some(Found::sure(format!("{day}|date"), 1));
    }
    word.bytes()
        .any(|byte| byte.is_ascii_digit())
        .then(|| Found::sure(word, 1))
}

fn unit(word: &str) -> Option<&'static str> {
    UNITS
        .iter()
        .find(|group| group.contains(&word))
        .and_then(|group| group.first())
        .copied()
}

fn in_digits(cut: &Cut, at: usize) -> Found {
    let word = cut.text(at);
    let end = word
        .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | ',' | ':'))
        .unwrap_or(word.len());
    let (digits, mut letters) = word.split_at(end);
    let mut digits = plain(digits);
    if cut.words[at].glued == Some('-') {
        digits.insert(0, '-');
    }
    if matches!(letters, "st" | "nd" | "rd" | "th") {
        return Found::sure(format!("{digits}|th"), 1);
    }
    if letters == "k" {
        digits.push_str(if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            "000"
        } else {
            "k"
        });
        letters = "";
    }
    let mut words = 1;
    let following = cut.text(at + 1);
    if letters.is_empty() && matches!(following, "am" | "pm") {
        (letters, words) = (following, 2);
    } else if letters.is_empty() && matches!(following, "a" | "p") && cut.text(at + 2) == "m" {
        (letters, words) = (if following == "a" { "am" } else { "pm" }, 3);
    }
    if matches!(letters, "am" | "pm") {
        if let Some(time) = time(&digits, letters == "pm") {
            return Found::sure(time, words);
        }
    }
    if !letters.is_empty() && unit(letters).is_none() {
        return Found::sure(word, 1);
    }
    let mut of = unit(letters);
    if letters.is_empty() && of.is_none() {
        of = unit(following);
        words += usize::from(of.is_some());
    }
    if let Some(before) = at.checked_sub(1).map(|before| cut.text(before)) {
        if matches!(before, "$" | "€" | "£" | "¥" | "₹") {
            of = unit(before);
        }
    }
    match of {
        Some(unit) => Found::sure(
            format!("{}|{unit}", digits.strip_suffix(".00").unwrap_or(&digits)),
            words,
        ),
        None => Found::sure(digits, words),
    }
}

/// An hour of the clock, of twenty-four.
fn time(digits: &str, afternoon: bool) -> Option<String> {
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "00"));
    if hour.len() > 2 || minute.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    let hour: u8 = hour.parse().ok()?;
    Some(format!("{}:{minute}", hour % 12 + if afternoon { 12 } else { 0 }))
}

/// Without commas between thousands and noughts before.
fn plain(digits: &str) -> String {
    let mut groups = digits.split(',');
    let head = groups.next().unwrap_or_default();
    let mut parted = groups.clone().next().is_some() && head.len() <= 3;
    for group in groups {
        parted = parted && group.find('.').unwrap_or(group.len()) == 3;
    }
    let joined = if parted {
        digits.replace(',', "")
    } else {
        digits.to_owned()
    };
    match joined.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Tens,
    Digit,
    Power,
}

fn one_of(word: &str) -> Option<u64> {
    let special = match word {
        "dozen" => Some(12),
        "twice" => Some(2),
        "thrice" => Some(3),
        _ => None,
    };
    special.or_else(|| {
        ONES.iter()
            .position(|&each| each == word)
            .and_then(|place| u64::try_from(place).ok())
    })
}

fn ten_of(word: &str) -> Option<u64> {
    TENS.iter()
        .position(|&each| each == word)
        .and_then(|place| u64::try_from(10 * place + 20).ok())
}

/// A number's value and how many words it takes; none where there is no number.
fn in_words(cut: &Cut, start: usize) -> (u64, usize) {
    let (mut total, mut part) = (0_u64, 0_u64);
    let mut seen = Seen::Nothing;
    let mut at = start;
    while at < cut.words.len() {
        let word = cut.text(at);
        let open = matches!(seen, Seen::Nothing | Seen::Power);
        if let Some(ten) = ten_of(word).filter(|_| open) {
            (part, seen) = (part + ten, Seen::Tens);
        } else if let Some(one) = one_of(word).filter(|&one| open || (seen == Seen::Tens && (1..10).contains(&one))) {
            (part, seen) = (part + one, Seen::Digit);
        } else if let Some(&(_, power)) = POWERS.iter().find(|(name, _)| *name == word) {
            if seen == Seen::Nothing {
                if at == 0 || !matches!(cut.text(at - 1), "a" | "per") {
                    break;
                }
                part = power;
            } else {
                part = part.max(1).saturating_mul(power);
                if power > 100 {
                    (total, part) = (total.saturating_add(part).min(LARGEST), 0);
                }
            }
            seen = Seen::Power;
        } else if !(word == "and"
            && seen == Seen::Power
            && (one_of(cut.text(at + 1)).is_some() || ten_of(cut.text(at + 1)).is_some()))
        {
            break;
        }
        part = part.min(LARGEST);
        at += 1;
    }
    (total + part, at - start)
}
