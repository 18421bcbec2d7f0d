//! Germany.

use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{
    any, cross_weighted, is_day, last, letter_value, mod_11_10, number, travel_document, value, weighted,
};

const TAX: &[&str] = &[
    "steuer",
    "idnr",
    "id-nr",
    "tax",
    "tin",
    "finanzamt",
    "identifikationsnummer",
];
const PLATE: &[&str] = &[
    "kennzeichen",
    "kfz",
    "plate",
    "fahrzeug",
    "vehicle",
    "auto",
    "pkw",
    "wagen",
    "registration",
];
const REGISTER: &[&str] = &[
    "handelsregister",
    "amtsgericht",
    "registergericht",
    "register",
    "hrb",
    "hra",
];
const LICENCE: &[&str] = &[
    "fahrerlaubnis",
    "führerschein",
    "fuehrerschein",
    "driver",
    "driving",
    "licen",
];
const PASSPORT: &[&str] = &["passport", "reisepass", "ausweis"];
const ID_CARD: &[&str] = &[
    "personalausweis",
    "ausweis",
    "id card",
    "identity card",
    "perso",
    "id-karte",
];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::DeTaxId, forms: &["ddddddddddd"], check: tax_id, worth: [30, 62, 92], words: TAX },
    Spec { entity: Entity::DeTaxId, forms: &["dd ddd ddd ddd"], check: tax_id, worth: [45, 72, 93], words: TAX },
    Spec { entity: Entity::DeTaxNumber, forms: &["ddddddddddddd"], check: state_in_front, worth: [0, 58, 88], words: TAX },
    Spec { entity: Entity::DeTaxNumber, forms: &["dd/ddd/ddddd", "ddd/ddd/ddddd", "dd/dddd/dddd", "ddd/dddd/dddd", "ddd/ddd/dddd", "ddddd/ddddd",
        "dd ddd ddddd", "ddd dddd dddd"], check: any, worth: [45, 80, 90], words: TAX },
    Spec { entity: Entity::DeSocialSecurity, forms: &["ddddddddaddd", "dd dddddd a ddd", "dd~dddddd~a~ddd"], check: pension, worth: [80, 90, 96],
        words: &["rentenversicherung", "sozialversicherung", "versicherungsnummer", "rvnr", "svnr", "social security", "pension"] },
    Spec { entity: Entity::DePassport, forms: &["axxxxxxxd"], check: passport, worth: [30, 74, 92], words: PASSPORT },
    Spec { entity: Entity::DeIdCard, forms: &["axxxxxxxd"], check: id_card, worth: [30, 72, 92], words: ID_CARD },
    Spec { entity: Entity::DeIdCard, forms: &["axxxxxxxxd"], check: id_card, worth: [40, 74, 93], words: ID_CARD },
    Spec { entity: Entity::DeIdCard, forms: &["axxxxxxxx"], check: document_letters, worth: [0, 0, 70], words: ID_CARD },
    Spec { entity: Entity::DeHealthInsurance, forms: &["addddddddd"], check: health, worth: [45, 82, 93],
        words: &["krankenversich", "krankenkasse", "kvnr", "versicherten", "gesundheitskarte", "health insurance", "egk"] },
    Spec { entity: Entity::DeLanr, forms: &["ddddddddd"], check: physician, worth: [0, 50, 88], words: &["lanr", "arzt", "physician"] },
    Spec { entity: Entity::DeBsnr, forms: &["ddddddddd"], check: practice, worth: [0, 45, 86], words: &["bsnr", "betriebsst", "praxis"] },
    Spec { entity: Entity::DeVatId, forms: &["DEddddddddd", "DE~ddd~ddd~ddd"], check: vat, worth: [80, 90, 95],
        words: &["ust", "umsatzsteuer", "vat", "mwst", "steuer"] },
    Spec { entity: Entity::DeFuehrerschein, forms: &["aaddddddddx", "addddddddxx"], check: any, worth: [40, 73, 90], words: LICENCE },
    Spec { entity: Entity::DeFuehrerschein, forms: &["axxdddddddx"], check: any, worth: [0, 60, 85], words: LICENCE },
    Spec { entity: Entity::DeFuehrerschein, forms: &["axxxxxxxxdx"], check: any, worth: [0, 0, 82], words: LICENCE },
    Spec { entity: Entity::DeHandelsregister, forms: &["HRB~d", "HRB~dd", "HRB~ddd", "HRB~dddd", "HRB~ddddd", "HRB~dddddd", "HRA~d", "HRA~dd", "HRA~ddd",
        "HRA~dddd", "HRA~ddddd", "HRA~dddddd"], check: any, worth: [75, 88, 95], words: REGISTER },
    Spec { entity: Entity::DeKfz, forms: &[
        "a_a~d", "a_a~dd", "a_a~ddd", "a_a~dddd", "a_aa~d", "a_aa~dd", "a_aa~ddd", "a_aa~dddd",
        "aa_a~d", "aa_a~dd", "aa_a~ddd", "aa_a~dddd", "aa_aa~d", "aa_aa~dd", "aa_aa~ddd", "aa_aa~dddd",
        "aaa_a~d", "aaa_a~dd", "aaa_a~ddd", "aaa_a~dddd", "aaa_aa~d", "aaa_aa~dd", "aaa_aa~ddd", "aaa_aa~dddd",
        "a_aa~ddddE", "aa_aa~ddddE", "aaa_aa~ddddE", "a_aa~dddE", "aa_aa~dddE", "aaa_aa~dddE", "a_a~dddE", "aa_a~dddE", "a_a~ddddE", "aa_a~ddddE",
        "a_aa~ddddH", "aa_aa~ddddH", "aaa_aa~ddddH", "a_aa~dddH", "aa_aa~dddH", "aaa_aa~dddH", "a_a~dddH", "aa_a~dddH", "a_a~ddddH", "aa_a~ddddH",
        "a_aa~ddE", "aa_aa~ddE", "a_aa~ddH", "aa_aa~ddH", "a_a~ddE", "a_a~ddH", "aa_a~ddE", "aa_a~ddH",
    ], check: any, worth: [0, 74, 86], words: PLATE },
    Spec { entity: Entity::DePlz, forms: &["ddddd"], check: postcode, worth: [0, 0, 80], words: &["plz", "postleitzahl"] },
];

/// Bundeszentralamt für Steuern: no zero in front, no digit more than three times, ISO 7064.
fn tax_id(digits: &[u8]) -> bool {
    let mut counts = [0; 10];
    for digit in &digits[..10] {
        counts[usize::from(digit - b'0')] += 1;
    }
    let repeated = counts.iter().any(|count| *count > 3);
    digits[0] != b'0' && !repeated && mod_11_10(digits)
}

/// The number of a state, 01 to 16, in front of the thirteen digits that all states share.
fn state_in_front(digits: &[u8]) -> bool {
    (1..=16).contains(&number(&digits[..2]))
}

/// Deutsche Rentenversicherung: an office, a date of birth (days from 51 on after clashes), an initial, a serial, a check digit.
fn pension(symbols: &[u8]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let initial = letter_value(symbols[8]).saturating_sub(9);
    let values = symbols[..8].iter().map(|digit| value(*digit));
    let values = values
        .chain([initial / 10, initial % 10])
        .chain(symbols[9..11].iter().map(|digit| value(*digit)));
    let day = number(&symbols[2..4]);
    let born = is_day(if day > 50 { day - 50 } else { day }, number(&symbols[4..6]));
    number(&symbols[..2]) >= 2 && born && cross_weighted(values, &WEIGHTS) % 10 == last(symbols)
}

/// Letters that cannot be taken for others.
fn document_letters(symbols: &[u8]) -> bool {
    symbols
        .iter()
        .all(|symbol| b"CFGHJKLMNPRTVWXYZ0123456789".contains(symbol))
        && b"LMNPRTVWXY".contains(&symbols[0])
}

fn passport(symbols: &[u8]) -> bool {
    b"CFGHJK".contains(&symbols[0])
        && symbols
            .iter()
            .all(|symbol| b"CFGHJKLMNPRTVWXYZ0123456789".contains(symbol))
        && travel_document(symbols)
}

fn id_card(symbols: &[u8]) -> bool {
    document_letters(symbols) && travel_document(symbols)
}

/// § 290 SGB V: the letter as two digits, weights 1 and 2, cross sums.
fn health(symbols: &[u8]) -> bool {
    let initial = letter_value(symbols[0]).saturating_sub(9);
    let values = [initial / 10, initial % 10]
        .into_iter()
        .chain(symbols[1..9].iter().map(|digit| value(*digit)));
    cross_weighted(values, &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) % 10 == last(symbols)
}

/// Kassenärztliche Bundesvereinigung: six digits, weights 4 and 9, a check digit, two digits of a speciality.
fn physician(digits: &[u8]) -> bool {
    (10 - weighted(digits, &[4, 9, 4, 9, 4, 9]) % 10) % 10 == value(digits[6])
}

/// The first two digits are those of an association of physicians.
fn practice(digits: &[u8]) -> bool {
    matches!(number(&digits[..2]), 1..=3 | 6..=21 | 24..=28 | 31 | 35 | 37..=40 | 43..=83 | 85..=88 | 93..=99)
}

fn vat(symbols: &[u8]) -> bool {
    symbols[2] != b'0' && mod_11_10(&symbols[2..])
}

fn postcode(digits: &[u8]) -> bool {
    (1_067..=99_998).contains(&number(digits))
}
