//! Australia and Africa.

use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{any, is_uniform, is_year_first, last, luhn, value, verhoeff, weighted};

const TFN: &[&str] = &["tfn", "tax file", "tax"];
const ABN: &[&str] = &["abn", "australian business", "business number"];
const ACN: &[&str] = &["acn", "australian company", "company number"];
const NIN: &[&str] = &["nin", "national identification", "nimc", "nigeria"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::AuTfn, forms: &["ddd ddd ddd"], check: tax_file, worth: [40, 76, 94], words: TFN },
    Spec { entity: Entity::AuTfn, forms: &["ddddddddd"], check: tax_file, worth: [25, 67, 93], words: TFN },
    Spec { entity: Entity::AuAbn, forms: &["dd ddd ddd ddd"], check: business, worth: [66, 82, 95], words: ABN },
    Spec { entity: Entity::AuAbn, forms: &["ddddddddddd"], check: business, worth: [48, 78, 94], words: ABN },
    Spec { entity: Entity::AuAcn, forms: &["ddd ddd ddd"], check: company, worth: [40, 75, 93], words: ACN },
    Spec { entity: Entity::AuAcn, forms: &["ddddddddd"], check: company, worth: [20, 65, 92], words: ACN },
    Spec { entity: Entity::AuMedicare, forms: &["dddd ddddd d", "dddd-ddddd-d"], check: medicare, worth: [60, 79, 95], words: &["medicare"] },
    Spec { entity: Entity::AuMedicare, forms: &["dddddddddd", "ddddddddddd"], check: medicare, worth: [25, 63, 93], words: &["medicare"] },
    Spec { entity: Entity::NgNin, forms: &["ddddddddddd"], check: verhoeff, worth: [25, 61, 90], words: NIN },
    Spec { entity: Entity::NgNin, forms: &["ddddddddddd"], check: any, worth: [0, 0, 75], words: NIN },
    Spec { entity: Entity::NgVehicleRegistration, forms: &["aaa_dddaa", "aaadddaa"], check: any, worth: [45, 79, 89], words: &["vehicle", "plate", "registration", "car"] },
    Spec { entity: Entity::ZaIdNumber, forms: &["ddddddddddddd", "dddddd dddd ddd", "dddddd dddd d dd"], check: south_african, worth: [58, 80, 95],
        words: &["south africa", "rsa", "sa id", "id number", "identity"] },
];

/// Australian Taxation Office: modulo 11.
fn tax_file(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 == 0 && !is_uniform(digits)
}

/// Australian Business Register: one less in front, modulo 89.
fn business(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digits[0] != b'0' && (sum - 10) % 89 == 0
}

/// Australian Securities and Investments Commission: weights 8 to 1, modulo 10.
fn company(digits: &[u8]) -> bool {
    (10 - weighted(digits, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == last(digits) && !is_uniform(digits)
}

/// Services Australia: 2 to 6 in front, weights 1 3 7 9, the check digit at the ninth place.
fn medicare(digits: &[u8]) -> bool {
    (b'2'..=b'6').contains(&digits[0]) && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == value(digits[8])
}

/// Department of Home Affairs: a date, a sex, 0 to 2 for citizens, residents and refugees, 8 or 9, Luhn.
fn south_african(digits: &[u8]) -> bool {
    is_year_first(digits) && (b'0'..=b'2').contains(&digits[10]) && digits[11] >= b'8' && luhn(digits)
}
