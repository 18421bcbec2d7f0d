//! The United States, Canada, Mexico and Brazil.

use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{any, is_uniform, is_year_first, last, letter_value, luhn, luhn_after, number, value, weighted};

const DRIVER: &[&str] = &["driver", "driving", "licence", "license", "dl", "dmv"];
const PASSPORT: &[&str] = &["passport", "travel document"];
const SIN: &[&str] = &["sin", "social insurance", "assurance sociale", "nas"];
const CPF: &[&str] = &["cpf", "cadastro", "contribuinte"];
const CNPJ: &[&str] = &["cnpj", "cadastro", "empresa"];
const NPI: &[&str] = &[
    "npi",
    "national provider",
    "provider id",
    "provider num",
    "healthcare provider",
];
const ABA: &[&str] = &["aba", "routing", "rtn", "transit"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::UsItin, forms: &["ddd-dd-dddd", "ddd dd dddd"], check: itin, worth: [80, 85, 95], words: &["itin", "tax", "taxpayer"] },
    Spec { entity: Entity::UsItin, forms: &["ddddddddd"], check: itin, worth: [20, 58, 90], words: &["itin", "taxpayer"] },
    Spec { entity: Entity::UsSsn, forms: &["ddddddddd"], check: ssn, worth: [20, 60, 90], words: &["ssn", "social security"] },
    Spec { entity: Entity::UsItin, forms: &["ddd-dddddd", "ddddd-dddd"], check: itin, worth: [0, 60, 90], words: &["itin", "taxpayer"] },
    Spec { entity: Entity::UsSsn, forms: &["ddd-dddddd", "ddddd-dddd"], check: ssn, worth: [0, 58, 88], words: &["ssn", "social security"] },
    Spec { entity: Entity::AbaRoutingNumber, forms: &["dddd-dddd-d"], check: aba, worth: [60, 75, 92], words: ABA },
    Spec { entity: Entity::AbaRoutingNumber, forms: &["ddddddddd"], check: aba, worth: [30, 72, 92], words: ABA },
    Spec { entity: Entity::UsBankNumber, forms: &["dddddddd", "ddddddddd", "dddddddddd", "ddddddddddd", "dddddddddddd", "ddddddddddddd",
        "dddddddddddddd", "ddddddddddddddd", "dddddddddddddddd", "ddddddddddddddddd"], check: any, worth: [0, 0, 62],
        words: &["bank account", "bank acct", "account number", "account no", "account #", "acct", "checking acc", "savings acc", "bank number"] },
    Spec { entity: Entity::UsPassport, forms: &["ddddddddd", "adddddddd"], check: any, worth: [0, 30, 80], words: PASSPORT },
    Spec { entity: Entity::UsDriverLicense, forms: &["adddddddd"], check: any, worth: [20, 55, 82], words: DRIVER },
    Spec { entity: Entity::UsDriverLicense, forms: &["addddddd", "adddddd", "addddddddd", "adddddddddd", "addddddddddd", "addddddddddddd", "adddddddddddd",
        "addddddddddddddd", "a-ddd-ddd-ddd-ddd", "a ddd ddd ddd ddd", "addd-dddd-dddd", "add-ddd-ddd", "aadddddd", "aaddddddd", "adaddddd", "dddaadddd",
        "adddddddda", "ddddddda", "aaddddd"], check: any, worth: [0, 35, 80], words: DRIVER },
    Spec { entity: Entity::UsDriverLicense, forms: &["ddddddd", "dddddddd", "ddddddddd", "dddddddddd", "dddddddddddd", "ddd-ddd-ddd", "ddd ddd ddd"], check: any, worth: [0, 0, 65], words: &["driver", "driving", "dl", "dmv"] },
    Spec { entity: Entity::UsNpi, forms: &["dddd-ddd-ddd", "dddd ddd ddd"], check: npi, worth: [60, 78, 93], words: NPI },
    Spec { entity: Entity::UsNpi, forms: &["dddddddddd"], check: npi, worth: [30, 72, 93], words: NPI },
    Spec { entity: Entity::UsMbi, forms: &["daxd-axd-aadd"], check: mbi, worth: [85, 90, 95], words: &["mbi", "medicare", "beneficiary"] },
    Spec { entity: Entity::UsMbi, forms: &["daxdaxdaadd"], check: mbi, worth: [55, 82, 95], words: &["mbi", "medicare", "beneficiary"] },
    Spec { entity: Entity::MedicalLicense, forms: &["axddddddd"], check: dea, worth: [45, 78, 92], words: &["dea", "prescri", "certificate", "medical", "licen", "registration"] },
    Spec { entity: Entity::CaSin, forms: &["ddd-ddd-ddd", "ddd ddd ddd"], check: sin, worth: [45, 60, 92], words: SIN },
    Spec { entity: Entity::CaSin, forms: &["ddddddddd"], check: sin, worth: [20, 50, 92], words: SIN },
    Spec { entity: Entity::MxCurp, forms: &["aaaaddddddaaaaaaxd"], check: curp, worth: [88, 92, 96], words: &["curp"] },
    Spec { entity: Entity::MxRfc, forms: &["aaaaddddddxxx", "aaaa~dddddd~xxx"], check: rfc_person, worth: [50, 75, 92], words: &["rfc", "contribuyente"] },
    Spec { entity: Entity::MxRfc, forms: &["aaaddddddxxx", "aaa~dddddd~xxx"], check: rfc_company, worth: [45, 70, 92], words: &["rfc", "contribuyente"] },
    Spec { entity: Entity::BrCpf, forms: &["ddd.ddd.ddd-dd"], check: cpf, worth: [85, 90, 96], words: CPF },
    Spec { entity: Entity::BrCpf, forms: &["ddddddddddd", "ddd ddd ddd dd", "ddddddddd-dd"], check: cpf, worth: [45, 79, 94], words: CPF },
    Spec { entity: Entity::BrCnpj, forms: &["dd.ddd.ddd/dddd-dd"], check: cnpj, worth: [88, 92, 96], words: CNPJ },
    Spec { entity: Entity::BrCnpj, forms: &["dddddddddddddd", "dddddddd/dddd-dd"], check: cnpj, worth: [45, 80, 94], words: CNPJ },
];

/// Internal Revenue Service: 900 to 999, and in the middle 50-65, 70-88, 90-92, 94-99.
fn itin(digits: &[u8]) -> bool {
    digits[0] == b'9' && matches!(number(&digits[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// Social Security Administration, POMS RM 10201.035.
fn ssn(digits: &[u8]) -> bool {
    let area = number(&digits[..3]);
    area != 0
        && area != 666
        && area < 900
        && number(&digits[3..5]) > 0
        && number(&digits[5..]) > 0
        && !is_uniform(digits)
}

/// American Bankers Association: the Federal Reserve's district in front, weights 3, 7, 1.
fn aba(digits: &[u8]) -> bool {
    let district = matches!(number(&digits[..2]), 0..=12 | 21..=32 | 61..=72 | 80);
    district && number(digits) > 0 && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 == 0
}

/// 45 CFR 162.406: Luhn with the prefix 80840 for the United States, whose share of the sum is 24.
fn npi(digits: &[u8]) -> bool {
    matches!(digits[0], b'1' | b'2') && luhn_after(24, digits) && !is_uniform(&digits[..9])
}

/// Centers for Medicare & Medicaid Services: no S, L, O, I, B, Z anywhere.
fn mbi(symbols: &[u8]) -> bool {
    symbols[0] != b'0' && !symbols.iter().any(|symbol| b"SLOIBZ".contains(symbol))
}

/// Drug Enforcement Administration: a kind of registrant, an initial or 9, and a check digit.
fn dea(symbols: &[u8]) -> bool {
    let kind = b"ABCDEFGHJKLMPRSTUXY".contains(&symbols[0]);
    let initial = symbols[1].is_ascii_uppercase() || symbols[1] == b'9';
    kind && initial && weighted(&symbols[2..], &[1, 2, 1, 2, 1, 2]) % 10 == last(symbols)
}

/// Luhn; 0 and 8 in front were never given.
fn sin(digits: &[u8]) -> bool {
    !matches!(digits[0], b'0' | b'8') && luhn(digits)
}

/// Registro Nacional de Población: a date, a sex, a check digit over the alphabet with Ñ.
fn curp(symbols: &[u8]) -> bool {
    let rank = |symbol: u8| letter_value(symbol) + u32::from(symbol > b'N');
    let sum: u32 = symbols[..17]
        .iter()
        .zip((2..=18).rev())
        .map(|(symbol, weight): (_, u32)| rank(*symbol) * weight)
        .sum();
    is_year_first(&symbols[4..]) && matches!(symbols[10], b'H' | b'M' | b'X') && (10 - sum % 10) % 10 == last(symbols)
}

fn rfc_person(symbols: &[u8]) -> bool {
    is_year_first(&symbols[4..])
}

fn rfc_company(symbols: &[u8]) -> bool {
    is_year_first(&symbols[3..])
}

/// Receita Federal: two check digits modulo 11, weights counting down to 2.
fn cpf(digits: &[u8]) -> bool {
    let check = |digits: &[u8], from: u32| {
        let sum: u32 = digits
            .iter()
            .zip((2..=from).rev())
            .map(|(digit, weight)| value(*digit) * weight)
            .sum();
        sum * 10 % 11 % 10
    };
    check(&digits[..9], 10) == value(digits[9]) && check(&digits[..10], 11) == last(digits) && !is_uniform(digits)
}

fn cnpj(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let check = |length: usize| weighted(&digits[..length], &WEIGHTS[13 - length..]) * 10 % 11 % 10;
    check(12) == value(digits[12]) && check(13) == last(digits) && !is_uniform(digits)
}
