//! The United Kingdom and Ireland.

use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{any, is_day, is_uniform, last, letter_value, number, value, weighted};

const NHS: &[&str] = &["nhs", "national health", "health service", "patient"];
const NINO: &[&str] = &["nino", "national insurance", "ni number", "ni no"];
const PLATE: &[&str] = &["reg", "registration", "vehicle", "car", "plate", "mot", "van", "dvla"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::UkNhs, forms: &["ddd-ddd-dddd", "ddd ddd dddd"], check: nhs, worth: [35, 77, 94], words: NHS },
    Spec { entity: Entity::UkNhs, forms: &["dddddddddd"], check: nhs, worth: [30, 71, 93], words: NHS },
    Spec { entity: Entity::UkNino, forms: &["aa~dd~dd~dd~a", "aa~dddddd~a"], check: nino, worth: [78, 88, 96], words: NINO },
    Spec { entity: Entity::UkPassport, forms: &["aaddddddd"], check: any, worth: [0, 40, 84], words: &["passport"] },
    Spec { entity: Entity::UkDrivingLicence, forms: &["xxxxxddddddxxdaa", "xxxxx~dddddd~xxdaa", "xxxxxddddddxxxaa"], check: driver, worth: [82, 88, 96], words: &["licen", "driv", "dvla"] },
    Spec { entity: Entity::UkPostcode, forms: &["ad~daa", "add~daa", "aad~daa", "aadd~daa", "ada~daa", "aada~daa"], check: postcode, worth: [0, 42, 80],
        words: &["postcode", "post code", "postal"] },
    Spec { entity: Entity::UkVehicleRegistration, forms: &["aadd aaa", "aaddaaa"], check: plate, worth: [45, 78, 88], words: PLATE },
    Spec { entity: Entity::UkVehicleRegistration, forms: &["ad~aaa", "add~aaa", "addd~aaa", "aaa~ddda", "aaa~dda", "aaa~da"], check: older_plate, worth: [0, 44, 80], words: &["reg", "registration", "plate"] },
    Spec { entity: Entity::IePps, forms: &["ddddddda", "dddddddaa"], check: pps, worth: [50, 80, 94], words: &["pps", "ppsn", "personal public"] },
];

/// Modulo 11, weights from 10 down.
fn nhs(digits: &[u8]) -> bool {
    let check = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == last(digits) && check != 10 && !is_uniform(digits)
}

/// HM Revenue and Customs, NIM39110: prefixes that are never given, suffixes A to D.
fn nino(symbols: &[u8]) -> bool {
    const NEVER: [&[u8]; 7] = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    !b"DFIQUV".contains(&symbols[0])
        && !b"DFIOQUV".contains(&symbols[1])
        && !NEVER.contains(&&symbols[..2])
        && matches!(symbols[8], b'A'..=b'D')
}

/// Five letters of the surname (filled with 9), the decade, the month (women's plus 50), the day, the year's last digit.
fn driver(symbols: &[u8]) -> bool {
    let letters = symbols[..5]
        .iter()
        .take_while(|symbol| symbol.is_ascii_uppercase())
        .count();
    let filled = letters > 0 && symbols[letters..5].iter().all(|symbol| *symbol == b'9');
    let month = number(&symbols[6..8]);
    let initials = symbols[11].is_ascii_uppercase() && (symbols[12].is_ascii_uppercase() || symbols[12] == b'9');
    filled && initials && is_day(number(&symbols[8..10]), if month > 50 { month - 50 } else { month })
}

/// Letters that never stand at a place of a postcode (Royal Mail, PAF).
fn postcode(symbols: &[u8]) -> bool {
    let (outward, inward) = symbols.split_at(symbols.len() - 3);
    !b"QVX".contains(&outward[0])
        && !b"IJZ".contains(&outward[1])
        && !inward[1..].iter().any(|letter| b"CIKMOV".contains(letter))
}

/// DVLA: no I, Q or Z in the area, a half-year, no I or Q in the rest.
fn plate(symbols: &[u8]) -> bool {
    let half = matches!(number(&symbols[2..4]), 2..=29 | 51..=79);
    half && !symbols[..2].iter().any(|letter| b"IQZ".contains(letter))
        && !symbols[4..].iter().any(|letter| b"IQ".contains(letter))
}

fn older_plate(symbols: &[u8]) -> bool {
    let letters = |letter: &u8| b"IQ".contains(letter);
    !b"IOQUZ".contains(&symbols[0]) && !symbols.iter().any(letters)
}

/// Department of Social Protection: modulo 23, a second letter counts nine times.
fn pps(symbols: &[u8]) -> bool {
    let second = symbols.get(8).map_or(0, |letter| letter_value(*letter) - 9);
    let second = if symbols.get(8) == Some(&b'W') { 0 } else { second };
    let rest = (weighted(&symbols[..7], &[8, 7, 6, 5, 4, 3, 2]) + second * 9) % 23;
    let expected = if rest == 0 {
        b'W'
    } else {
        b'@' + u8::try_from(rest).unwrap_or(0)
    };
    expected == symbols[7]
        && symbols.get(8).is_none_or(|letter| matches!(letter, b'A'..=b'I' | b'W'))
        && value(symbols[0]) < 10
}
