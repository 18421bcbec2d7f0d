use proptest::prelude::*;

use super::{Question, QuestionError};

fn question(text: &str) -> Question {
    Question::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

fn agrees(one: &str, other: &str) -> bool {
    question(one).agrees(&question(other))
}

#[test]
fn numbers_agree_however_they_are_written() {
    for (one, other) in [
        ("two nights in Rome", "2 nights in Rome"),
        ("is it 1,000 km", "is it 1000 kilometres"),
        ("I have $5", "I have five dollars"),
        ("at 2pm", "at 14:00"),
        ("5 a.m. is early", "5am is early"),
        ("two hundred and five people", "205 people"),
        ("the first step", "the 1st step"),
        ("3 nights for 2 people", "2 people for 3 nights"),
        ("which one is it", "which is it"),
    ] {
        assert!(agrees(one, other), "{one} / {other}");
    }
}

#[test]
fn other_numbers_do_not_agree() {
    for (one, other) in [
        ("2 nights in Rome", "3 nights in Rome"),
        ("two nights", "one night"),
        ("the second chapter", "the third chapter"),
        ("5% of 10", "10% of 5"),
        ("python 3.10", "python 3.11"),
        ("5 km", "5 miles"),
        ("on March 5", "on April 5"),
        ("open on Monday", "open on Tuesday"),
        ("at 2am", "at 2pm"),
        ("gpt4 or so", "gpt5 or so"),
        ("-5 degrees", "5 degrees"),
    ] {
        assert!(!agrees(one, other), "{one} / {other}");
    }
}

#[test]
fn negation_agrees_however_it_is_written() {
    for (one, other) in [
        ("It isn't working", "it is not working"),
        ("I can't log in", "I am unable to log in"),
        ("my card doesnt work", "my card does not work"),
        ("I am unhappy with it", "I am not happy with it"),
        ("tell me whether or not it is", "tell me whether it is"),
    ] {
        assert!(agrees(one, other), "{one} / {other}");
    }
}

#[test]
fn a_negation_more_does_not_agree() {
    for (one, other) in [
        ("can I eat this", "can't I eat this"),
        ("is it acceptable to fish", "is it acceptable not to fish"),
        ("with my passport", "without my passport"),
        ("I have always paid", "I have never paid"),
        ("become a happy person", "become an unhappy person"),
    ] {
        assert!(!agrees(one, other), "{one} / {other}");
    }
}

#[test]
fn what_is_too_long_to_compare_has_to_be_the_same() {
    let long = "all work and play makes dull boys ".repeat(40);
    assert!(agrees(&format!("{long} end"), &format!("{long} end")));
    assert!(!agrees(&format!("{long} end"), &format!("{long} start")));
}

#[test]
fn the_same_words_are_sure_and_other_ones_are_not() {
    let one = question("How do I open an account?");
    assert!((one.confidence(&question("how do i open an account"), None) - 1.0).abs() < f32::EPSILON);
    assert!(one.confidence(&question("Who won the cup in France?"), None) < 0.5);
    assert!(one.confidence(&question("How do I close an account?"), None) < 0.95);
}

#[test]
fn words_without_vectors_are_told_apart() {
    assert!(question("как открыть счёт").similarity(&question("как закрыть вклад")) < 0.9);
    assert!(question("как открыть счёт").similarity(&question("Как открыть счет?")) > 0.99);
}

#[test]
fn no_words_are_no_question() {
    assert_eq!(Question::new(" ?!").err(), Some(QuestionError::Empty));
    assert_eq!(Question::new(&"a ".repeat(5000)).err(), Some(QuestionError::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_read_and_any_two_are_compared_in_either_order(one in ".{0,60}", other in "[a-z0-9'’ .,:$%-]{0,60}") {
        if let (Ok(one), Ok(other)) = (Question::new(&one), Question::new(&other)) {
            prop_assert_eq!(one.agrees(&other), other.agrees(&one));
            for second in [None, Some(0.9), Some(f32::NAN)] {
                let confidence = one.confidence(&other, second);
                prop_assert!((0.0..=1.0).contains(&confidence));
                prop_assert!((confidence - other.confidence(&one, second)).abs() < 1e-6);
            }
            prop_assert!(one.agrees(&one));
        }
    }

    #[test]
    fn a_changed_digit_never_agrees(number in 2_u32..90_000, words in "[a-z]{3,8} [a-z]{3,8}") {
        let (one, other) = (format!("{words} {number}"), format!("{words} {}", number + 1));
        prop_assert!(!agrees(&one, &other));
    }
}
