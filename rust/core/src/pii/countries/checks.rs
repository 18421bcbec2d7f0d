//! Check digits and dates: what the arithmetic of an identity number says of it. All take capitals and digits, without
//! separators, in the form that the tables ask for.

/// A form that says enough, or has no check digit.
pub(super) const fn any(_: &[u8]) -> bool {
    true
}

pub(super) fn value(digit: u8) -> u32 {
    u32::from(digit.wrapping_sub(b'0'))
}

/// The number that a few digits write.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(value(*digit)))
}

/// The sum of each digit times its weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| value(*digit) * weight)
        .sum()
}

/// The sum of products, of each its cross sum.
pub(super) fn cross_weighted(digits: impl Iterator<Item = u32>, weights: &[u32]) -> u32 {
    digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight / 10 + digit * weight % 10)
        .sum()
}

pub(super) fn last(digits: &[u8]) -> u32 {
    digits.last().map_or(0, |digit| value(*digit))
}

/// Whether all symbols are one and the same: nobody was given such a number.
pub(super) fn is_uniform(digits: &[u8]) -> bool {
    digits.windows(2).all(|two| two[0] == two[1])
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_after(0, digits)
}

/// The same with the sum of a prefix that is not written.
pub(super) fn luhn_after(prefix: u32, digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| value(*digit) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    (sum + prefix) % 10 == 0 && !is_uniform(digits)
}

/// ISO/IEC 7064, MOD 11,10.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let product = digits[..digits.len() - 1].iter().fold(10, |product, digit| {
        let sum = (value(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == last(digits)
}

/// Verhoeff's check digit, over the dihedral group of order 10.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const FLIP: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let multiply = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let digit = usize::try_from(value(*digit)).unwrap_or(0);
        let turned = (0..place % 8).fold(digit, |digit, _| FLIP[digit]);
        multiply(sum, turned)
    });
    sum == 0 && !is_uniform(digits)
}

/// The check digit of machine-readable travel documents (ICAO 9303-3): weights 7, 3, 1, letters from 10.
pub(super) fn travel_document(symbols: &[u8]) -> bool {
    let (check, rest) = match symbols {
        [rest @ .., check] => (*check, rest),
        [] => return false,
    };
    let sum: u32 = rest
        .iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(symbol, weight)| letter_value(*symbol) * weight)
        .sum();
    sum % 10 == value(check)
}

/// Digits as they are, letters from 10.
pub(super) fn letter_value(symbol: u8) -> u32 {
    match symbol {
        b'A'..=b'Z' => u32::from(symbol - b'A') + 10,
        _ => value(symbol),
    }
}

/// A day and a month that exist.
pub(super) fn is_day(day: u64, month: u64) -> bool {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=longest).contains(&day)
}

/// `yymmdd`.
pub(super) fn is_year_first(digits: &[u8]) -> bool {
    digits.len() >= 6 && is_day(number(&digits[4..6]), number(&digits[2..4]))
}

/// `ddmmyy`.
pub(super) fn is_day_first(digits: &[u8]) -> bool {
    digits.len() >= 6 && is_day(number(&digits[..2]), number(&digits[2..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_digit_is_always_seen() {
        for (check, good) in [
            (luhn as fn(&[u8]) -> bool, "4111111111111111"),
            (mod_11_10, "98765432106"),
            (verhoeff, "399876543211"),
            (travel_document, "C01234565"),
        ] {
            assert!(check(good.as_bytes()), "{good}");
            for place in 1..good.len() {
                let mut wrong = good.as_bytes().to_vec();
                wrong[place] = b'0' + (wrong[place] - b'0' + 1) % 10;
                assert!(!check(&wrong), "{good} at {place}");
            }
        }
    }

    #[test]
    fn days_exist_or_not() {
        assert!(is_day_first(b"310190") && is_year_first(b"000229"));
        assert!(!is_day_first(b"310490") && !is_year_first(b"001301") && !is_day_first(b"000190"));
    }
}
