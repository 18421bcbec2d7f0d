#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn table(capacity: usize, negative_capacity: usize) -> KeyTable<&'static str> {
    KeyTable::new(capacity, negative_capacity)
}

fn of(number: u8) -> Digest {
    digest(&[number])
}

#[test]
fn a_key_shows_its_scheme_environment_and_fixed_length() {
    let key = generate("live", &[0; 32]).unwrap();
    assert!(key.starts_with("tw_live_0000000000000000000000000000000000000000000"));
    assert_eq!(key.len(), "tw_live_".len() + 43 + 6);
    assert_eq!(generate("live", &[0xFF; 32]).unwrap().len(), key.len());
}

#[test]
fn an_environment_is_short_and_lower_case() {
    for environment in ["", "Live", "live_", "abcdefghijklm", "tést"] {
        assert_eq!(generate(environment, &[7; 32]), Err(KeyError::Environment));
    }
}

#[test]
fn the_checksum_is_the_crc_of_zlib() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn the_digest_is_sha_256() {
    assert_eq!(digest(b"abc")[..4], [0xBA, 0x78, 0x16, 0xBF]);
}

#[test]
fn only_a_little_of_a_key_may_be_shown() {
    let key = generate("live", &[9; 32]).unwrap();
    assert_eq!(prefix(&key), &key[..14]);
    assert_eq!(prefix("short"), "");
    assert_eq!(prefix("a-much-longer-secret-chosen-by-hand"), "a-mu");
    assert_eq!(prefix("éééééééé"), "é");
}

#[test]
fn a_key_is_fresh_then_stale_then_expired() {
    let mut keys = table(4, 4);
    keys.insert(of(1), "acme", 0, 100, Some(200));
    assert_eq!(keys.find(&of(1), 99), Found::Fresh(&"acme"));
    assert_eq!(keys.find(&of(1), 100), Found::Stale(&"acme"));
    assert_eq!(keys.find(&of(1), 200), Found::Expired);
    assert_eq!(keys.find(&of(2), 0), Found::Unknown);
}

#[test]
fn an_expired_key_is_expired_even_while_fresh() {
    let mut keys = table(4, 4);
    keys.insert(of(1), "acme", 0, 1_000, Some(10));
    assert_eq!(keys.find(&of(1), 10), Found::Expired);
}

#[test]
fn a_refusal_ends_by_time_or_by_learning_the_key() {
    let mut keys = table(4, 4);
    keys.insert(of(1), "acme", 0, 100, None);
    assert_eq!(keys.refuse(of(1), 50), Some("acme"));
    assert_eq!(keys.find(&of(1), 49), Found::Refused);
    assert_eq!(keys.find(&of(1), 50), Found::Unknown);
    keys.refuse(of(1), 500);
    keys.insert(of(1), "acme", 0, 100, None);
    assert_eq!(keys.find(&of(1), 60), Found::Fresh(&"acme"));
}

#[test]
fn the_least_recently_used_key_leaves_first() {
    let mut keys = table(2, 2);
    keys.insert(of(1), "one", 0, 100, None);
    keys.insert(of(2), "two", 0, 100, None);
    keys.find(&of(1), 0);
    assert_eq!(keys.insert(of(3), "three", 0, 100, None), Some("two"));
    assert_eq!(keys.find(&of(2), 0), Found::Unknown);
    assert_eq!(keys.find(&of(1), 0), Found::Fresh(&"one"));
}

#[test]
fn a_flood_of_refusals_pushes_out_no_known_key() {
    let mut keys = table(2, 2);
    keys.insert(of(1), "one", 0, 100, None);
    for number in 10..200 {
        keys.refuse(of(number), 100);
    }
    assert_eq!(keys.find(&of(1), 0), Found::Fresh(&"one"));
    assert_eq!(keys.find(&of(10), 0), Found::Unknown);
    assert_eq!(keys.find(&of(199), 0), Found::Refused);
}

#[test]
fn pinned_keys_stay_and_do_not_count() {
    let mut keys = table(1, 1);
    keys.pin(of(1), "file", Some(500));
    for number in 2..100 {
        keys.insert(of(number), "other", 0, 100, None);
    }
    keys.refuse(of(1), 1_000);
    assert_eq!(keys.find(&of(1), 499), Found::Fresh(&"file"));
    assert_eq!(keys.find(&of(1), 500), Found::Expired);
    assert_eq!(keys.forget(&of(1)), Forgotten::Refusal);
    assert_eq!(keys.len(), 2);
    assert_eq!(keys.clear_unpinned(), ["other"]);
    assert_eq!(keys.clear_pinned(), ["file"]);
    assert!(keys.is_empty());
}

#[test]
fn a_group_is_forgotten_as_a_whole() {
    let mut keys = table(8, 8);
    for number in 0..6 {
        keys.insert(of(number), "value", u64::from(number % 2), 100, None);
    }
    assert_eq!(keys.forget_group(1).len(), 3);
    assert_eq!(keys.forget_group(1).len(), 0);
    assert_eq!(keys.find(&of(1), 0), Found::Unknown);
    assert_eq!(keys.find(&of(2), 0), Found::Fresh(&"value"));
}

#[test]
fn a_key_that_moves_between_groups_follows_the_last() {
    let mut keys = table(8, 8);
    keys.insert(of(1), "before", 1, 100, None);
    keys.insert(of(1), "after", 2, 100, None);
    assert_eq!(keys.forget_group(1).len(), 0);
    assert_eq!(keys.forget_group(2), ["after"]);
}

#[test]
fn a_table_without_room_knows_nothing() {
    let mut keys = table(0, 0);
    assert_eq!(keys.insert(of(1), "one", 3, 100, None), Some("one"));
    keys.refuse(of(2), 100);
    assert_eq!(keys.find(&of(1), 0), Found::Unknown);
    assert_eq!(keys.find(&of(2), 0), Found::Unknown);
    assert_eq!(keys.forget_group(3).len(), 0);
}

proptest! {
    #[test]
    fn every_generated_key_is_well_formed(environment in "[a-z]{1,12}", random: [u8; 32]) {
        prop_assert!(well_formed(generate(&environment, &random).unwrap().as_bytes()));
    }

    #[test]
    fn a_changed_character_is_noticed(random: [u8; 32], at in 0_usize..57, other: u8) {
        let mut key = generate("live", &random).unwrap().into_bytes();
        prop_assume!(key[at] != other);
        key[at] = other;
        prop_assert!(!well_formed(&key));
    }

    #[test]
    fn any_bytes_may_be_asked_about(secret in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!well_formed(&secret));
    }

    #[test]
    fn different_bits_make_different_keys(one: [u8; 32], other: [u8; 32]) {
        prop_assume!(one != other);
        prop_assert_ne!(generate("test", &one).unwrap(), generate("test", &other).unwrap());
    }

    #[test]
    fn the_table_never_outgrows_its_capacity(numbers in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut keys = table(16, 4);
        for number in numbers {
            if number % 5 == 0 { keys.refuse(of(number), 10); } else { keys.insert(of(number), "v", 1, 10, None); }
            prop_assert!(keys.len() <= 16);
        }
        let held = keys.len();
        prop_assert_eq!(keys.forget_group(1).len(), held);
    }
}
