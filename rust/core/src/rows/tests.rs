#![allow(clippy::unwrap_used)]

use super::{Batch, COLUMNS, NotARow};

const HEADER: usize = 19;

/// The fields of a row from its first version, each as it stands in an array.
fn fields() -> Vec<Vec<u8>> {
    let text = |text: &str| [&[0xa0 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let mut fields = vec![
        text("id"),
        text("request"),
        vec![0],
        text("acme"),
        text("key"),
        vec![0xc0],
    ];
    fields.extend([text("m"), text("p"), text("pm")]);
    fields.extend([vec![1], vec![2], vec![3], vec![4], vec![5]]);
    fields.extend([
        vec![7],
        vec![0xc0],
        text("told"),
        text("ok"),
        vec![0xcc, 200],
        vec![0xc2],
    ]);
    fields.extend([vec![9], vec![0xc0], vec![1]]);
    fields
}

fn row(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut row = vec![0xdc, 0, u8::try_from(fields.len()).unwrap()];
    row.extend(fields.concat());
    row
}

/// The columns of the only row of a batch.
fn columns(payload: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut batch = Batch::new();
    batch.add(payload).unwrap();
    let copy = batch.copy();
    let mut rest = &copy[HEADER..copy.len() - 2];
    let mut found = Vec::new();
    let count = u16::from_be_bytes([rest[0], rest[1]]);
    rest = &rest[2..];
    for _ in 0..count {
        let size = i32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = &rest[4..];
        found.push(usize::try_from(size).ok().map(|size| {
            let (value, behind) = rest.split_at(size);
            rest = behind;
            value.to_vec()
        }));
    }
    assert!(rest.is_empty());
    found
}

#[test]
fn a_row_of_the_first_version_has_every_column() {
    let found = columns(&row(&fields()));
    assert_eq!(found.len(), COLUMNS);
    assert_eq!(found[0].as_deref(), Some(&b"id"[..]));
    assert_eq!(found[2].as_deref(), Some(&(-946_684_800_000_000_i64).to_be_bytes()[..]));
    assert_eq!(found[5], None);
    assert_eq!(found[18].as_deref(), Some(&200_i32.to_be_bytes()[..]));
    assert_eq!(found[19].as_deref(), Some(&[0][..]));
    assert_eq!(found[24].as_deref(), Some(&b"answer"[..]));
    assert_eq!(found[41].as_deref(), Some(&b"none"[..]));
    assert_eq!((&found[42], &found[43]), (&None, &None));
}

#[test]
fn money_is_groups_of_four_digits_around_the_point() {
    for (picousd, groups, weight) in [
        (0_u64, vec![], 0_i16),
        (1, vec![1], -3),
        (10_000, vec![1], -2),
        (5_850_000, vec![585], -2),
        (1_000_000_000_000, vec![1], 0),
        (10_000_000_000_000_000, vec![1], 1),
        (10_000_000_000_000_001, vec![1, 0, 0, 0, 1], 1),
        (999_999_999_999, vec![9999, 9999, 9999], -1),
    ] {
        let mut fields = fields();
        fields[14] = [&[0xcf][..], &picousd.to_be_bytes()].concat();
        let mut wanted: Vec<u8> = u16::try_from(groups.len()).unwrap().to_be_bytes().to_vec();
        wanted.extend(weight.to_be_bytes());
        wanted.extend([0, 0, 0, 12]);
        wanted.extend(groups.iter().flat_map(|digits: &u16| digits.to_be_bytes()));
        assert_eq!(columns(&row(&fields))[14].as_deref(), Some(&wanted[..]), "{picousd}");
    }
}

#[test]
fn what_is_cut_anywhere_is_no_row_and_leaves_the_batch_as_it_was() {
    let whole = row(&fields());
    let mut batch = Batch::new();
    batch.add(&whole).unwrap();
    let before = batch.copy();
    for end in 0..whole.len() {
        assert!(batch.add(&whole[..end]).is_err(), "{end}");
    }
    assert_eq!((batch.copy(), batch.len()), (before, 1));
}

#[test]
fn numbers_beyond_their_columns_are_cut_or_refused() {
    let mut fields = fields();
    fields[9] = [&[0xcf][..], &u64::MAX.to_be_bytes()].concat();
    assert_eq!(columns(&row(&fields))[9].as_deref(), Some(&i64::MAX.to_be_bytes()[..]));
    for (place, number) in [(18, 1_i64 << 40), (2, 1 << 62), (22, i64::MIN)] {
        let mut fields = self::fields();
        fields[place] = [&[0xd3][..], &number.to_be_bytes()].concat();
        assert_eq!(Batch::new().add(&row(&fields)), Err(NotARow::OutOfRange(place)));
    }
}

#[test]
fn fields_of_tomorrow_are_passed_over_whatever_they_are() {
    let mut fields = fields();
    fields.extend((23..37).map(|place| match place {
        24 | 34 => vec![0xa1, b'x'],
        25 | 31 | 33 | 35 => vec![0x90],
        26 | 32 | 36 => vec![0xc0],
        _ => vec![0],
    }));
    let plain = columns(&row(&fields));
    fields.extend([
        vec![0x82, 1, 0x92, 1, 2, 0xa1, b'x', 0xc0],
        vec![0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![0xc4, 2, 1, 2],
        vec![0xd4, 1, 1],
        vec![0xc7, 1, 9, 9],
    ]);
    assert_eq!(columns(&row(&fields)), plain);
    fields.push(vec![0xc1]);
    assert_eq!(Batch::new().add(&row(&fields)), Err(NotARow::Unreadable(42)));
}

#[test]
fn a_count_that_lies_takes_no_memory() {
    let mut fields = fields();
    fields.extend([vec![0], vec![0xa1, b'x'], vec![0xdd, 0xff, 0xff, 0xff, 0xff]]);
    assert_eq!(Batch::new().add(&row(&fields)), Err(NotARow::Unreadable(25)));
}

#[test]
fn each_row_can_be_had_by_itself() {
    let mut batch = Batch::new();
    for number in 0..3 {
        let mut fields = fields();
        fields[9] = vec![number];
        batch.add(&row(&fields)).unwrap();
    }
    for number in 0..3_u8 {
        let mut alone = Batch::new();
        let mut fields = fields();
        fields[9] = vec![number];
        alone.add(&row(&fields)).unwrap();
        assert_eq!(batch.copy_of(number.into()), Some(alone.copy()));
    }
    assert_eq!(batch.copy_of(3), None);
}
