//! Asia.

use super::super::birth::is_month;
use super::super::code::Spec;
use super::super::entity::Entity;
use super::checks::{any, is_day, is_uniform, is_year_first, last, letter_value, number, value, verhoeff, weighted};

const AADHAAR: &[&str] = &["aadhaar", "aadhar", "adhaar", "uidai", "uid"];
const VEHICLE: &[&str] = &["vehicle", "registration", "plate", "rto", "car", "bike", "number plate"];
const RRN: &[&str] = &["rrn", "resident", "korean", "주민", "주민등록번호"];
const FRN: &[&str] = &["frn", "foreign", "korean", "외국인"];
const BRN: &[&str] = &["brn", "business", "사업자"];
const KR_PASSPORT: &[&str] = &["passport", "여권"];
const THAI: &[&str] = &["thai", "tnin", "national id", "id card", "บัตร", "ประชาชน"];
const NRIC: &[&str] = &["nric", "fin", "singapore", "identity", "ic no"];
const UEN: &[&str] = &["uen", "entity", "business", "acra", "company"];
const TURKISH: &[&str] = &["tckn", "kimlik", "turkish", "tc no", "t.c."];
const MY_NUMBER: &[&str] = &["my number", "mynumber", "individual number", "マイナンバー", "個人番号"];
const CHINESE: &[&str] = &["身份证", "resident identity", "id card"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::InAadhaar, forms: &["dddd dddd dddd", "dddd-dddd-dddd"], check: aadhaar, worth: [70, 82, 95], words: AADHAAR },
    Spec { entity: Entity::InAadhaar, forms: &["dddddddddddd"], check: aadhaar, worth: [35, 72, 94], words: AADHAAR },
    Spec { entity: Entity::InPan, forms: &["aaaaadddda"], check: pan, worth: [60, 80, 93], words: &["pan", "permanent account", "income tax"] },
    Spec { entity: Entity::InPan, forms: &["aaaaadddda"], check: any, worth: [0, 40, 75], words: &["pan", "permanent account"] },
    Spec { entity: Entity::InGstin, forms: &["ddaaaaaddddaxZx"], check: gstin, worth: [82, 90, 95], words: &["gst", "gstin"] },
    Spec { entity: Entity::InVoter, forms: &["aaaddddddd"], check: any, worth: [20, 40, 86], words: &["voter", "epic", "election"] },
    Spec { entity: Entity::InPassport, forms: &["addddddd", "a ddddddd"], check: indian_passport, worth: [0, 42, 85], words: &["passport"] },
    Spec { entity: Entity::InVehicleRegistration, forms: &["aadda~dddd", "aaddaa~dddd", "aaddaaa~dddd", "aa~dd~a~dddd", "aa~dd~aa~dddd", "aa~dd~aaa~dddd", "aa~d~a~dddd",
        "aa~d~aa~dddd", "aada~dddd", "aadaa~dddd"], check: indian_plate, worth: [48, 80, 90], words: VEHICLE },
    Spec { entity: Entity::SgNricFin, forms: &["addddddda"], check: nric, worth: [70, 84, 94], words: NRIC },
    Spec { entity: Entity::SgNricFin, forms: &["addddddda"], check: nric_series, worth: [40, 72, 88], words: NRIC },
    Spec { entity: Entity::SgUen, forms: &["dddddddda"], check: uen_business, worth: [48, 85, 93], words: UEN },
    Spec { entity: Entity::SgUen, forms: &["ddddddddda"], check: uen_company, worth: [60, 84, 93], words: UEN },
    Spec { entity: Entity::SgUen, forms: &["addaadddda"], check: uen_other, worth: [60, 84, 93], words: UEN },
    Spec { entity: Entity::KrRrn, forms: &["dddddd-ddddddd"], check: resident, worth: [78, 88, 96], words: RRN },
    Spec { entity: Entity::KrRrn, forms: &["ddddddddddddd"], check: resident, worth: [35, 68, 93], words: RRN },
    Spec { entity: Entity::KrFrn, forms: &["dddddd-ddddddd"], check: foreigner, worth: [78, 88, 96], words: FRN },
    Spec { entity: Entity::KrFrn, forms: &["ddddddddddddd"], check: foreigner, worth: [35, 68, 93], words: FRN },
    Spec { entity: Entity::KrBrn, forms: &["ddd-dd-ddddd"], check: business, worth: [60, 80, 94], words: BRN },
    Spec { entity: Entity::KrBrn, forms: &["dddddddddd"], check: business, worth: [25, 54, 91], words: BRN },
    Spec { entity: Entity::KrPassport, forms: &["adddadddd", "adddddddd"], check: korean_passport, worth: [0, 46, 87], words: KR_PASSPORT },
    Spec { entity: Entity::KrDriverLicense, forms: &["dd-dd-dddddd-dd"], check: korean_licence, worth: [62, 82, 92], words: &["licen", "driver", "면허"] },
    Spec { entity: Entity::KrDriverLicense, forms: &["dddddddddddd"], check: korean_licence, worth: [0, 30, 80], words: &["driver", "면허"] },
    Spec { entity: Entity::ThTnin, forms: &["d-dddd-ddddd-dd-d", "d dddd ddddd dd d"], check: thai, worth: [85, 90, 96], words: THAI },
    Spec { entity: Entity::ThTnin, forms: &["ddddddddddddd"], check: thai, worth: [35, 72, 94], words: THAI },
    Spec { entity: Entity::TrNationalId, forms: &["ddddddddddd"], check: turkish, worth: [48, 81, 94], words: TURKISH },
    Spec { entity: Entity::TrLicensePlate, forms: &["dd~a~dddd", "dd~a~ddddd", "dd~aa~ddd", "dd~aa~dddd", "dd~aaa~dd", "dd~aaa~ddd", "dd~aaa~dddd", "dd~a~ddd", "dd~a~dd", "dd~aa~dd"],
        check: turkish_plate, worth: [0, 79, 88], words: &["plate", "plaka", "araç", "vehicle", "licen", "registration"] },
    Spec { entity: Entity::PhTin, forms: &["ddd-ddd-ddd-ddd", "ddd-ddd-ddd-ddddd", "ddd-ddd-ddd"], check: philippine, worth: [40, 55, 85], words: &["tin", "bir", "taxpayer"] },
    Spec { entity: Entity::PhTin, forms: &["ddddddddd", "dddddddddddd"], check: philippine, worth: [0, 40, 82], words: &["tin", "bir", "taxpayer"] },
    Spec { entity: Entity::CnIdCard, forms: &["dddddddddddddddddx"], check: chinese, worth: [88, 92, 96], words: CHINESE },
    Spec { entity: Entity::JpMyNumber, forms: &["dddddddddddd"], check: my_number, worth: [30, 66, 93], words: MY_NUMBER },
    Spec { entity: Entity::JpMyNumber, forms: &["dddd dddd dddd", "dddd-dddd-dddd"], check: my_number, worth: [45, 70, 94], words: MY_NUMBER },
    Spec { entity: Entity::HkIdCard, forms: &["adddddd(x", "aadddddd(x"], check: hong_kong, worth: [80, 88, 95], words: &["hkid", "hong kong", "identity"] },
    Spec { entity: Entity::HkIdCard, forms: &["addddddx", "aaddddddx"], check: hong_kong, worth: [35, 66, 92], words: &["hkid", "hong kong"] },
    Spec { entity: Entity::TwNationalId, forms: &["addddddddd"], check: taiwanese, worth: [48, 79, 93], words: &["taiwan", "身分證", "national id"] },
];

/// Unique Identification Authority of India: 2 to 9 in front, Verhoeff.
fn aadhaar(digits: &[u8]) -> bool {
    digits[0] >= b'2' && verhoeff(digits)
}

/// Income Tax Department: the fourth letter says who it is.
fn pan(symbols: &[u8]) -> bool {
    b"ABCFGHJLPT".contains(&symbols[3])
}

/// A state in front of a tax account number.
fn gstin(symbols: &[u8]) -> bool {
    matches!(number(&symbols[..2]), 1..=38 | 97 | 99)
}

fn indian_passport(symbols: &[u8]) -> bool {
    !b"QXZ".contains(&symbols[0]) && symbols[1] != b'0'
}

/// The states and territories.
fn indian_plate(symbols: &[u8]) -> bool {
    #[rustfmt::skip]
    const STATES: &[&[u8; 2]] = &[
        b"AN", b"AP", b"AR", b"AS", b"BR", b"CG", b"CH", b"DD", b"DL", b"DN", b"GA", b"GJ", b"HP", b"HR", b"JH", b"JK", b"KA", b"KL",
        b"LA", b"LD", b"MH", b"ML", b"MN", b"MP", b"MZ", b"NL", b"OD", b"OR", b"PB", b"PY", b"RJ", b"SK", b"TG", b"TN", b"TR", b"TS",
        b"UK", b"UP", b"WB",
    ];
    STATES.iter().any(|state| symbols.starts_with(*state))
}

fn nric_series(symbols: &[u8]) -> bool {
    b"STFGM".contains(&symbols[0])
}

/// Immigration & Checkpoints Authority: weights 2 7 6 5 4 3 2, an offset by series, a letter modulo 11.
fn nric(symbols: &[u8]) -> bool {
    let (offset, letters): (u32, &[u8; 11]) = match symbols[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let rest = (weighted(&symbols[1..8], &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
    let place = if symbols[0] == b'M' { 10 - rest } else { rest };
    letters.get(place as usize) == Some(&symbols[8])
}

/// Accounting and Corporate Regulatory Authority: a letter modulo 11.
fn uen_business(symbols: &[u8]) -> bool {
    let rest = weighted(symbols, &[10, 4, 9, 3, 8, 2, 7, 1]) % 11;
    b"XMKECAWLJDB".get(rest as usize) == Some(&symbols[8])
}

fn uen_company(symbols: &[u8]) -> bool {
    let rest = weighted(symbols, &[10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11;
    b"ZKCMDNERGWH".get(rest as usize) == Some(&symbols[9]) && (1_800..=2_100).contains(&number(&symbols[..4]))
}

fn uen_other(symbols: &[u8]) -> bool {
    b"RST".contains(&symbols[0])
}

/// A date, a sex (with the century), a region.
fn resident(digits: &[u8]) -> bool {
    is_year_first(digits) && (b'1'..=b'4').contains(&digits[6]) && number(&digits[7..9]) <= 95
}

fn foreigner(digits: &[u8]) -> bool {
    is_year_first(digits) && (b'5'..=b'8').contains(&digits[6])
}

/// National Tax Service: weights 1 3 7, of the last product the tens as well.
fn business(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + value(digits[8]) * 5 / 10;
    (10 - sum % 10) % 10 == last(digits) && number(&digits[..3]) >= 101
}

fn korean_passport(symbols: &[u8]) -> bool {
    b"DGMORS".contains(&symbols[0])
}

/// A region, 11 to 28, in front.
fn korean_licence(digits: &[u8]) -> bool {
    (11..=28).contains(&number(&digits[..2]))
}

/// Department of Provincial Administration: a kind, a province, modulo 11.
fn thai(digits: &[u8]) -> bool {
    let province = matches!(number(&digits[1..3]), 10..=27 | 30..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96);
    let sum = weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    (b'1'..=b'8').contains(&digits[0]) && province && (11 - sum % 11) % 10 == last(digits) && !is_uniform(digits)
}

/// Two check digits: of the odd and even places, and of all.
fn turkish(digits: &[u8]) -> bool {
    let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let all = odd + even + value(digits[9]);
    digits[0] != b'0' && (odd * 7 + 90 - even) % 10 == value(digits[9]) && all % 10 == last(digits)
}

/// A province, 01 to 81, in front; `12 MAY 2024` is a day.
fn turkish_plate(symbols: &[u8]) -> bool {
    (1..=81).contains(&number(&symbols[..2])) && !is_month(&symbols[2..5])
}

/// Bureau of Internal Revenue: modulo 11 at the ninth place.
fn philippine(digits: &[u8]) -> bool {
    weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == value(digits[8]) && !is_uniform(digits)
}

/// GB 11643: a date of birth, and ISO 7064 MOD 11-2.
fn chinese(symbols: &[u8]) -> bool {
    let sum = weighted(symbols, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let born = matches!(number(&symbols[6..8]), 18..=20) && is_day(number(&symbols[12..14]), number(&symbols[10..12]));
    born && b"10X98765432".get((sum % 11) as usize) == symbols.last()
}

/// Weights 6 5 4 3 2 7 6 5 4 3 2, modulo 11.
fn my_number(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest <= 1 { 0 } else { 11 - rest };
    check == last(digits) && !is_uniform(digits)
}

/// One or two letters, six digits, modulo 11 (10 is written A).
fn hong_kong(symbols: &[u8]) -> bool {
    let letters = symbols.iter().take_while(|symbol| symbol.is_ascii_uppercase()).count();
    let (first, second) = if letters == 2 {
        (letter_value(symbols[0]), symbols[1])
    } else {
        (36, symbols[0])
    };
    let digits = weighted(&symbols[letters..], &[7, 6, 5, 4, 3, 2]);
    let check = match symbols.last() {
        Some(b'A') => 10,
        Some(digit @ b'0'..=b'9') => value(*digit),
        _ => return false,
    };
    (first * 9 + letter_value(second) * 8 + digits + check) % 11 == 0
}

/// The letter as a number of two digits, a sex or kind, weights 1 9 8 … 1 1.
fn taiwanese(symbols: &[u8]) -> bool {
    const AREAS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(area) = (10_u32..).zip(AREAS).find(|(_, letter)| **letter == symbols[0]) else {
        return false;
    };
    let sum = area.0 / 10 + area.0 % 10 * 9 + weighted(&symbols[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    b"1289".contains(&symbols[1]) && sum % 10 == 0
}
