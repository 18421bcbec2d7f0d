//! Which language a text is in: by its script, and by the trigrams of 70 languages.

use whatlang::{Info, Lang};

/// So much of a text is looked at in one place.
const SAMPLE_BYTES: usize = 1024;

/// Fewer letters tell nothing.
const LETTERS_MIN: usize = 24;

/// A language, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Language {
    /// ISO 639-1: `en`.
    pub code: &'static str,
    /// 0 to 1.
    pub confidence: f64,
    /// Whether no other language comes near.
    pub is_certain: bool,
}

/// The language of the beginning of a text; `None` for one that is too short, or holds no words.
#[must_use]
pub fn language(text: &str) -> Option<Language> {
    let info = detect(sample(text, 0))?;
    Some(Language {
        code: code(info.lang()),
        confidence: info.confidence(),
        is_certain: info.is_reliable(),
    })
}

/// Whether a text is in one of the `languages`. Only one that certainly is not, at its beginning, middle or end, is told from
/// them: by its script, or since no other language comes near the one that it is in.
#[must_use]
pub fn speaks(text: &str, languages: &[String]) -> bool {
    let places = [0, text.len() / 2, text.len().saturating_sub(SAMPLE_BYTES)];
    let looked_at = if text.len() <= SAMPLE_BYTES { 1 } else { places.len() };
    let is_one = |lang: &Lang| languages.iter().any(|language| *language == code(*lang));
    places[..looked_at].iter().all(|place| {
        detect(sample(text, *place)).is_none_or(|found| {
            is_one(&found.lang()) || !found.is_reliable() && found.script().langs().iter().any(is_one)
        })
    })
}

fn detect(sample: &str) -> Option<Info> {
    let letters: usize = sample
        .chars()
        .filter(|letter| letter.is_alphabetic())
        .map(|letter| if letter < '\u{3000}' { 1 } else { 3 }) // a Chinese sign is a word
        .sum();
    if letters < LETTERS_MIN {
        return None;
    }
    whatlang::detect(sample)
}

fn sample(text: &str, from: usize) -> &str {
    let begin = (0..=from).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (begin + SAMPLE_BYTES).min(text.len());
    let end = (begin..=end)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(begin);
    &text[begin..end]
}

fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::Epo => "eo",
        Lang::Eng => "en",
        Lang::Rus => "ru",
        Lang::Cmn => "zh",
        Lang::Spa => "es",
        Lang::Por => "pt",
        Lang::Ita => "it",
        Lang::Ben => "bn",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ukr => "uk",
        Lang::Kat => "ka",
        Lang::Ara => "ar",
        Lang::Hin => "hi",
        Lang::Jpn => "ja",
        Lang::Heb => "he",
        Lang::Yid => "yi",
        Lang::Pol => "pl",
        Lang::Amh => "am",
        Lang::Jav => "jv",
        Lang::Kor => "ko",
        Lang::Nob => "no",
        Lang::Dan => "da",
        Lang::Swe => "sv",
        Lang::Fin => "fi",
        Lang::Tur => "tr",
        Lang::Nld => "nl",
        Lang::Hun => "hu",
        Lang::Ces => "cs",
        Lang::Ell => "el",
        Lang::Bul => "bg",
        Lang::Bel => "be",
        Lang::Mar => "mr",
        Lang::Kan => "kn",
        Lang::Ron => "ro",
        Lang::Slv => "sl",
        Lang::Hrv => "hr",
        Lang::Srp => "sr",
        Lang::Mkd => "mk",
        Lang::Lit => "lt",
        Lang::Lav => "lv",
        Lang::Est => "et",
        Lang::Tam => "ta",
        Lang::Vie => "vi",
        Lang::Urd => "ur",
        Lang::Tha => "th",
        Lang::Guj => "gu",
        Lang::Uzb => "uz",
        Lang::Pan => "pa",
        Lang::Aze => "az",
        Lang::Ind => "id",
        Lang::Tel => "te",
        Lang::Pes => "fa",
        Lang::Mal => "ml",
        Lang::Ori => "or",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Sin => "si",
        Lang::Khm => "km",
        Lang::Tuk => "tk",
        Lang::Aka => "ak",
        Lang::Zul => "zu",
        Lang::Sna => "sn",
        Lang::Afr => "af",
        Lang::Lat => "la",
        Lang::Slk => "sk",
        Lang::Cat => "ca",
        Lang::Tgl => "tl",
        Lang::Hye => "hy",
        Lang::Cym => "cy",
    }
}

/// Every language that is known, by ISO 639-1.
#[must_use]
pub fn languages() -> impl ExactSizeIterator<Item = &'static str> {
    Lang::all().iter().map(|lang| code(*lang))
}
