//! Europe without Germany and the British Isles.

use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{
    any, is_day, is_day_first, is_uniform, is_year_first, last, letter_value, luhn, number, value, weighted,
};

const NIF: &[&str] = &["dni", "nif", "documento nacional", "identificación", "identificacion"];
const NIE: &[&str] = &["nie", "extranjero", "dni", "identificación"];
const CODICE: &[&str] = &["codice fiscale", "fiscal", "cf"];
const IVA: &[&str] = &["partita", "p.iva", "p. iva", "piva", "iva", "vat"];
const PNR: &[&str] = &[
    "personnummer",
    "pnr",
    "personal identity",
    "swedish",
    "samordningsnummer",
    "id code",
];
const ORG: &[&str] = &[
    "organisationsnummer",
    "orgnummer",
    "orgnr",
    "org.nr",
    "org nr",
    "företag",
    "bolag",
    "organisation",
];
const HETU: &[&str] = &["hetu", "henkilötunnus", "personal identity code"];
const NIR: &[&str] = &[
    "sécurité sociale",
    "securite sociale",
    "nir",
    "insee",
    "carte vitale",
    "assuré",
];
const CARD: &[&str] = &["carta d", "identità", "identita", "identity card", "id card"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::FrNir, forms: &["dddddxddddddddd", "d dd dd dx ddd ddd dd", "dddddxddddddd dd", "d~dd~dd~dx~ddd~ddd~dd"], check: nir, worth: [80, 90, 96], words: NIR },
    Spec { entity: Entity::EsNif, forms: &["dddddddda", "dddddddd_a", "dd.ddd.ddd_a", "dd.ddd.ddda"], check: nif, worth: [65, 86, 95], words: NIF },
    Spec { entity: Entity::EsNie, forms: &["addddddda", "addddddd_a", "a_ddddddd_a", "a_ddddddda"], check: nie, worth: [70, 90, 96], words: NIE },
    Spec { entity: Entity::EsPassport, forms: &["aaadddddd"], check: any, worth: [0, 45, 86], words: &["pasaporte", "passport"] },
    Spec { entity: Entity::ItFiscalCode, forms: &["aaaaaaxxaxxaxxxa", "aaa~aaa~xxaxx~axxxa"], check: fiscal, worth: [88, 92, 96], words: CODICE },
    Spec { entity: Entity::ItFiscalCode, forms: &["aaaaaaddaddaddda"], check: fiscal_form, worth: [60, 78, 90], words: CODICE },
    Spec { entity: Entity::ItVatCode, forms: &["ddddddddddd"], check: iva, worth: [35, 72, 92], words: IVA },
    Spec { entity: Entity::ItVatCode, forms: &["ITddddddddddd", "IT~ddddddddddd"], check: iva_coded, worth: [75, 85, 95], words: IVA },
    Spec { entity: Entity::ItDriverLicense, forms: &["aaddddddda", "U1xxxxxxxa"], check: any, worth: [55, 76, 90], words: &["patente", "driver", "driving", "licen", "guida"] },
    Spec { entity: Entity::ItIdentityCard, forms: &["aaddddddd", "aadddddaa", "dddddddaa"], check: any, worth: [0, 42, 86], words: CARD },
    Spec { entity: Entity::ItPassport, forms: &["aaddddddd"], check: any, worth: [0, 38, 86], words: &["passaporto"] },
    Spec { entity: Entity::PlPesel, forms: &["ddddddddddd"], check: pesel, worth: [48, 77, 94], words: &["pesel"] },
    Spec { entity: Entity::PlNip, forms: &["dddddddddd"], check: nip, worth: [25, 54, 92], words: &["nip", "podatk"] },
    Spec { entity: Entity::PlNip, forms: &["ddd-ddd-dd-dd", "ddd-dd-dd-ddd"], check: nip, worth: [70, 80, 94], words: &["nip", "podatk"] },
    Spec { entity: Entity::SePersonnummer, forms: &["dddddd-dddd"], check: personnummer, worth: [70, 83, 95], words: PNR },
    Spec { entity: Entity::SePersonnummer, forms: &["dddddddd-dddd", "dddddddddddd"], check: personnummer_long, worth: [62, 84, 95], words: PNR },
    Spec { entity: Entity::SePersonnummer, forms: &["dddddddddd"], check: personnummer, worth: [40, 77, 94], words: PNR },
    Spec { entity: Entity::SeOrganisationsnummer, forms: &["dddddd-dddd"], check: organisation, worth: [45, 77, 94], words: ORG },
    Spec { entity: Entity::SeOrganisationsnummer, forms: &["dddddddddd"], check: organisation, worth: [20, 52, 90], words: ORG },
    Spec { entity: Entity::FiPersonalIdentityCode, forms: &["ddddddadddx", "dddddd-dddx"], check: hetu, worth: [88, 92, 96], words: HETU },
    Spec { entity: Entity::NlBsn, forms: &["ddddddddd", "dddd.dd.ddd", "ddd ddd ddd"], check: bsn, worth: [25, 56, 92], words: &["bsn", "burgerservice", "sofi", "citizen service"] },
    Spec { entity: Entity::BeNationalNumber, forms: &["dd.dd.dd-ddd.dd"], check: belgian, worth: [88, 92, 96], words: &["rijksregister", "national", "nrn"] },
    Spec { entity: Entity::BeNationalNumber, forms: &["ddddddddddd"], check: belgian, worth: [48, 79, 94], words: &["rijksregister", "registre national", "insz", "niss"] },
    Spec { entity: Entity::PtNif, forms: &["ddddddddd", "ddd ddd ddd", "PTddddddddd"], check: portuguese, worth: [25, 57, 92], words: &["nif", "contribuinte", "fiscal"] },
    Spec { entity: Entity::ChAhv, forms: &["ddd.dddd.dddd.dd", "ddd dddd dddd dd"], check: ahv, worth: [88, 92, 96], words: &["ahv", "avs", "sozialversicherung"] },
    Spec { entity: Entity::ChAhv, forms: &["ddddddddddddd"], check: ahv, worth: [60, 84, 95], words: &["ahv", "avs", "sozialversicherung"] },
    Spec { entity: Entity::AtSocialSecurity, forms: &["dddd dddddd", "dddd-dddddd"], check: austrian, worth: [62, 78, 94], words: &["sozialversicherung", "svnr", "sv-nummer"] },
    Spec { entity: Entity::AtSocialSecurity, forms: &["dddddddddd"], check: austrian, worth: [35, 58, 93], words: &["sozialversicherung", "svnr", "sv-nummer"] },
    Spec { entity: Entity::DkCpr, forms: &["dddddd-dddd"], check: is_day_first, worth: [45, 74, 92], words: &["cpr", "personnummer", "danish"] },
    Spec { entity: Entity::DkCpr, forms: &["dddddddddd"], check: is_day_first, worth: [0, 40, 88], words: &["cpr", "personnummer"] },
    Spec { entity: Entity::NoFodselsnummer, forms: &["ddddddddddd", "dddddd ddddd"], check: norwegian, worth: [62, 83, 95], words: &["fødselsnummer", "fodselsnummer", "personnummer", "fnr"] },
];

/// INSEE: a sex, a year and a month, a department (2A and 2B in Corsica), and 97 less the remainder.
fn nir(symbols: &[u8]) -> bool {
    let mut digits = [0_u8; 13];
    digits.copy_from_slice(&symbols[..13]);
    let corsican = match symbols[6] {
        b'A' => 1_000_000,
        b'B' => 2_000_000,
        b'0'..=b'9' => 0,
        _ => return false,
    };
    if corsican > 0 {
        digits[6] = b'0';
    }
    let month = matches!(number(&symbols[3..5]), 1..=12 | 20..=42 | 50..=99);
    let rest = (number(&digits) - corsican) % 97;
    matches!(symbols[0], b'1'..=b'4' | b'7' | b'8')
        && month
        && symbols[5..].len() == 10
        && 97 - rest == number(&symbols[13..])
}

const NIF_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn has_letter(number: u64, letter: u8) -> bool {
    usize::try_from(number % 23).is_ok_and(|place| NIF_LETTERS[place] == letter)
}

/// Ministerio del Interior: the letter is the remainder modulo 23.
fn nif(symbols: &[u8]) -> bool {
    has_letter(number(&symbols[..8]), symbols[8])
}

fn nie(symbols: &[u8]) -> bool {
    let series = match symbols[0] {
        b'X' => 0,
        b'Y' => 10_000_000,
        b'Z' => 20_000_000,
        _ => return false,
    };
    has_letter(series + number(&symbols[1..8]), symbols[8])
}

/// Agenzia delle Entrate: a month's letter, a day (women's plus 40), a check letter. Letters may stand for digits after clashes.
fn fiscal(symbols: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let rank = |symbol: u8| {
        if symbol.is_ascii_digit() {
            value(symbol)
        } else {
            letter_value(symbol) - 10
        }
    };
    let digits = [6, 7, 9, 10, 12, 13, 14];
    let replaced = digits
        .iter()
        .all(|place| symbols[*place].is_ascii_digit() || b"LMNPQRSTUV".contains(&symbols[*place]));
    let sum: u32 = symbols[..15]
        .iter()
        .enumerate()
        .map(|(place, symbol)| {
            rank(*symbol) as usize * (place % 2) + ODD[rank(*symbol) as usize] as usize * (1 - place % 2)
        })
        .map(|value| u32::try_from(value).unwrap_or(0))
        .sum();
    replaced && b"ABCDEHLMPRST".contains(&symbols[8]) && sum % 26 == rank(symbols[15])
}

/// The letter of a month, and a day; what is written so is hardly anything else.
fn fiscal_form(symbols: &[u8]) -> bool {
    b"ABCDEHLMPRST".contains(&symbols[8]) && matches!(number(&symbols[9..11]), 1..=31 | 41..=71)
}

/// Luhn, and an office of the tax authority at the eighth place.
fn iva(digits: &[u8]) -> bool {
    matches!(number(&digits[7..10]), 1..=100 | 120 | 121 | 888 | 999) && luhn(digits)
}

fn iva_coded(symbols: &[u8]) -> bool {
    iva(&symbols[2..])
}

/// A date of birth with the century in the month; weights 1, 3, 7, 9.
fn pesel(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_day(number(&digits[4..6]), number(&digits[2..4]) % 20) && (10 - sum % 10) % 10 == last(digits)
}

fn nip(digits: &[u8]) -> bool {
    weighted(digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == last(digits) && !is_uniform(digits)
}

/// Skatteverket: a date of birth (days plus 60 for coordination numbers) and Luhn.
fn personnummer(digits: &[u8]) -> bool {
    let day = number(&digits[4..6]);
    is_day(if day > 60 { day - 60 } else { day }, number(&digits[2..4])) && luhn(digits)
}

fn personnummer_long(digits: &[u8]) -> bool {
    matches!(number(&digits[..2]), 18..=20) && personnummer(&digits[2..])
}

/// What would be the month is 20 or more.
fn organisation(digits: &[u8]) -> bool {
    digits[2] >= b'2' && !matches!(digits[0], b'0' | b'4') && luhn(digits)
}

/// Digital and Population Data Services Agency: a date, a letter for the century, and the remainder modulo 31.
fn hetu(symbols: &[u8]) -> bool {
    const SIGNS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (century, rest) = match symbols.len() {
        11 => (symbols[6], &symbols[7..]),
        _ => (b'A', &symbols[6..]),
    };
    let rest_of = number(&symbols[..6]) * 1_000 + number(&rest[..3]);
    let sign = usize::try_from(rest_of % 31).ok().and_then(|place| SIGNS.get(place));
    b"ABCDEFUVWXY".contains(&century) && is_day_first(symbols) && number(&rest[..3]) >= 2 && sign == rest.last()
}

/// The eleven test, the last digit counted negative.
fn bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 - last(digits);
    sum % 11 == 0 && !is_uniform(digits)
}

/// 97 less the remainder; with a 2 in front for who was born from 2000 on.
fn belgian(digits: &[u8]) -> bool {
    let (birth, check) = (number(&digits[..9]), number(&digits[9..]));
    is_year_first(digits) && (97 - birth % 97 == check || 97 - (2_000_000_000 + birth) % 97 == check)
}

fn portuguese(symbols: &[u8]) -> bool {
    let digits = symbols.strip_prefix(b"PT").unwrap_or(symbols);
    let rest = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    b"1235689".contains(&digits[0]) && check == last(digits) && !is_uniform(digits)
}

/// The country, 756, in front; the check digit of article numbers.
fn ahv(digits: &[u8]) -> bool {
    digits.starts_with(b"756") && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 == 0
}

/// A serial, a check digit at the fourth place, a date of birth (months 13 to 15 after clashes).
fn austrian(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    let month = number(&digits[6..8]);
    digits[0] != b'0'
        && is_day(number(&digits[4..6]), if month > 12 { month - 12 } else { month })
        && sum % 11 == value(digits[3])
}

/// Skatteetaten: a date (days plus 40 for D numbers), two check digits modulo 11.
fn norwegian(digits: &[u8]) -> bool {
    let day = number(&digits[..2]);
    is_day(if day > 40 { day - 40 } else { day }, number(&digits[2..4]))
        && weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 == 0
        && weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 == 0
}
