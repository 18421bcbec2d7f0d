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
fn what_only_opens_a_question_or_says_nothing_may_differ() {
    for (one, other) in [
        ("How do I cancel my subscription?", "how can I cancel my subscription"),
        ("How to learn Spanish?", "What's the best way to learn Spanish?"),
        ("What are some good ways to lose weight?", "How should I lose weight?"),
        (
            "Is the PIN delivered with my card?",
            "Is PIN really delivered with my card?",
        ),
        ("What is the way for me to get a refund", "How would we get a refund"),
    ] {
        let sure = question(one).confidence(&question(other), None);
        assert!(sure >= 0.99, "{one} / {other}: {sure}");
    }
}

#[test]
fn what_asks_something_else_is_not_the_same() {
    for (one, other) in [
        ("How do I store my data?", "How do you store my data?"),
        ("How do I learn Spanish?", "What is the fastest way to learn Spanish?"),
        ("What is matter?", "What is the matter?"),
        ("How can I move to Spain?", "Can I move to Spain?"),
        ("Please", "Hello"),
        ("What does please mean in Spanish?", "What does hello mean in Spanish?"),
        (
            "How do I say hello in formal Japanese?",
            "How do I say thanks in formal Japanese?",
        ),
        (
            "Is it hi and then hello in letters?",
            "Is it hello and then hi in letters?",
        ),
        ("How do I get to Paris by train?", "How do I get to Lyon by train?"),
    ] {
        let sure = question(one).confidence(&question(other), None);
        assert!(sure < 0.99, "{one} / {other}: {sure}");
    }
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

mod graph {
    use proptest::prelude::*;

    use crate::questions::{DIMENSIONS, Graph, Scratch, cosine};

    type Vector = [i8; DIMENSIONS];

    /// Vectors about a few directions, as questions of a few kinds are; the same for the same seed.
    fn vectors(count: usize, seed: u64) -> Vec<Vector> {
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            i8::from_le_bytes([state.to_le_bytes()[3]])
        };
        let kinds: Vec<Vector> = (0..8).map(|_| std::array::from_fn(|_| next() / 2)).collect();
        (0..count)
            .map(|number| kinds[number % 8].map(|value| value.saturating_add(next() / 3)))
            .collect()
    }

    fn built(vectors: &[Vector]) -> Graph {
        let (mut graph, mut scratch) = (Graph::new(), Scratch::new());
        for (number, vector) in vectors.iter().enumerate() {
            let plan = graph.plan(vector, &mut scratch);
            assert_eq!(graph.commit(plan), Some(number));
        }
        graph
    }

    fn exact(vectors: &[Vector], asked: &Vector, most: usize, is_there: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut all: Vec<usize> = (0..vectors.len()).filter(|&number| is_there(number)).collect();
        all.sort_by(|&one, &other| cosine(asked, &vectors[other]).total_cmp(&cosine(asked, &vectors[one])));
        all.truncate(most);
        all
    }

    #[test]
    fn nearly_all_of_the_nearest_are_found() {
        let all = vectors(700, 7);
        let (graph, mut scratch) = (built(&all[..600]), Scratch::new());
        let mut found = 0;
        for asked in &all[600..] {
            let wanted = exact(&all[..600], asked, 8, |_| true);
            let nearest = graph.nearest(asked, 8, 32, &mut scratch);
            found += nearest.iter().filter(|(number, _)| wanted.contains(number)).count();
        }
        assert!(found >= 760, "{found} of 800");
    }

    #[test]
    fn a_plan_that_was_overtaken_changes_nothing() {
        let all = vectors(3, 1);
        let (mut graph, mut scratch) = (built(&all[..1]), Scratch::new());
        let (first, second) = (graph.plan(&all[1], &mut scratch), graph.plan(&all[2], &mut scratch));
        assert_eq!(graph.commit(first), Some(1));
        assert_eq!(graph.commit(second), None);
        assert_eq!(graph.len(), 2);
    }

    #[test]
    fn an_empty_graph_and_one_that_is_all_gone_find_nothing() {
        let all = vectors(40, 3);
        let mut scratch = Scratch::new();
        assert!(Graph::new().nearest(&all[0], 8, 128, &mut scratch).is_empty());
        let mut graph = built(&all);
        assert!((0..40).all(|number| graph.forget(number)));
        assert!(!graph.forget(40));
        assert!(graph.nearest(&all[0], 8, 128, &mut scratch).is_empty());
        let plan = graph.plan(&all[0], &mut scratch);
        assert_eq!(graph.commit(plan), Some(40));
        assert_eq!(
            graph.nearest(&all[0], 8, 128, &mut scratch).len(),
            1,
            "what is new is found though all else is gone"
        );
    }

    #[test]
    fn a_search_among_what_is_gone_ends() {
        let all = vectors(1_200, 5);
        let (mut graph, mut scratch) = (built(&all), Scratch::new());
        graph.nearest(&all[0], 4, 4, &mut scratch);
        assert!(scratch.visited() <= 4 * 64);
        assert!((0..1_199).all(|number| graph.forget(number)));
        graph.nearest(&all[0], 4, 4, &mut scratch);
        let visited = scratch.visited();
        assert!((4 * 64..=4 * 64 + 32).contains(&visited), "{visited}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_found_is_there_in_order_and_as_near_as_it_says(
            count in 1_usize..200, seed: u64, most in 0_usize..12, gone in proptest::collection::vec(0_usize..200, 0..60),
        ) {
            let all = vectors(count + 1, seed);
            let (asked, all) = (all[count], &all[..count]);
            let (mut graph, mut scratch) = (built(all), Scratch::new());
            for &number in &gone {
                prop_assert_eq!(graph.forget(number), number < count);
            }
            let found = graph.nearest(&asked, most, 128, &mut scratch);
            let left = (0..count).filter(|number| !gone.contains(number)).count();
            prop_assert!(found.len() <= most.min(left));
            prop_assert!(found.is_sorted_by(|one, other| one.1 >= other.1));
            for &(number, similarity) in &found {
                prop_assert!(!gone.contains(&number));
                prop_assert!((similarity - cosine(&asked, &all[number])).abs() < 1e-5);
            }
        }
    }
}
