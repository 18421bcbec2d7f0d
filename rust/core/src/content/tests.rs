#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::detector::proof::same_in_pieces;

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn matcher(deny: &[&str], patterns: &[&str], topics: &[&str], allow: &[&str]) -> Matcher {
    Matcher::new(&owned(deny), &owned(patterns), &owned(topics), &owned(allow)).unwrap()
}

fn found<'t>(matcher: &Matcher, text: &'t str) -> Vec<(String, &'t str)> {
    let findings = matcher.find(text);
    findings
        .iter()
        .map(|finding| {
            (
                matcher.name(finding.label).to_owned(),
                &text[finding.start..finding.end],
            )
        })
        .collect()
}

fn spans<'t>(matcher: &Matcher, text: &'t str) -> Vec<&'t str> {
    found(matcher, text).into_iter().map(|(_, span)| span).collect()
}

#[test]
fn a_phrase_is_found_in_every_guise() {
    let matcher = matcher(&["Project Bluebird", "straße", "café", "C++"], &[], &[], &[]);
    for text in [
        "project bluebird",
        "PROJECT BLUEBIRD",
        "Project  \n\t Bluebird",
        "Pro\u{200b}ject\u{a0}Blue\u{ad}bird",
        "Ｐｒｏｊｅｃｔ Ｂｌｕｅｂｉｒｄ",
        "STRASSE",
        "cafe\u{301}",
        "CAFÉ",
        "c++",
    ] {
        assert_eq!(spans(&matcher, text), [text]);
        let inside = format!("So ({text}), they say.");
        assert_eq!(spans(&matcher, &inside), [text]);
    }
}

#[test]
fn only_whole_words_are_found_where_words_have_boundaries() {
    let matcher = matcher(&["sex", "cafe", "禁止", "ban"], &[], &[], &[]);
    assert_eq!(
        spans(
            &matcher,
            "Essex, sexes, _sex, sex\u{200b}y, café, cafe\u{301}, b\u{e4}n"
        ),
        [""; 0]
    );
    assert_eq!(spans(&matcher, "sex-ed \"sex\" sex"), ["sex"; 3]);
    assert_eq!(spans(&matcher, "这是禁止的"), ["禁止"]);
}

#[test]
fn the_longest_of_what_begins_at_a_place_is_found() {
    let matcher = matcher(&["new york", "new york times", "york times square"], &[], &[], &[]);
    assert_eq!(spans(&matcher, "the New York Times Square"), ["New York Times"]);
    assert_eq!(spans(&matcher, "New York timestamp"), ["New York"]);
}

#[test]
fn what_is_allowed_is_taken_out_first() {
    let matcher = matcher(
        &["how to kill", "drug", "process"],
        &[r"\d{4}"],
        &[],
        &["kill process", "drug store", "order 1234"],
    );
    assert_eq!(spans(&matcher, "how to kill process 77, at the drug store"), [""; 0]);
    assert_eq!(
        spans(&matcher, "how to kill the drug process"),
        ["how to kill", "drug", "process"]
    );
    assert_eq!(spans(&matcher, "order 1234 and 1234"), ["1234"]);
}

#[test]
fn a_pattern_is_as_written_and_knows_unicode_words() {
    let matcher = matcher(&[], &[r"\bproj-\d{3,5}\b", r"(?i)top secret", r"^BEGIN"], &[], &[]);
    assert_eq!(
        spans(&matcher, "proj-1234, éproj-1234, proj-123456, PROJ-1234"),
        ["proj-1234"]
    );
    assert_eq!(spans(&matcher, "ToP SeCreT"), ["ToP SeCreT"]);
    assert_eq!(spans(&matcher, "BEGIN BEGIN"), ["BEGIN"]);
}

#[test]
fn an_unbounded_pattern_matches_so_many_bytes_at_most() {
    let matcher = matcher(&[], &["a.*b"], &[], &[]);
    let near = format!("a{}b", "c".repeat(MATCH_BYTES_MAX - 2));
    assert_eq!(spans(&matcher, &near), [near.as_str()]);
    let far = format!("a{}b", "c".repeat(MATCH_BYTES_MAX - 1));
    assert_eq!(spans(&matcher, &far), [""; 0]);
    let later = format!("{far} axb");
    assert_eq!(spans(&matcher, &later), ["axb"]);
}

#[test]
fn errors_say_which_and_why() {
    let refused = |deny: &[&str], patterns: &[&str], topics: &[&str], allow: &[&str]| {
        Matcher::new(&owned(deny), &owned(patterns), &owned(topics), &owned(allow))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused(&["ok", " \u{200b}"], &[], &[], &[]), "deny[1] is empty");
    assert_eq!(
        refused(&[], &[], &[], &["x".repeat(257).as_str()]),
        "allow[0] is longer than 256 bytes"
    );
    assert_eq!(
        refused(&[], &["a", "foo("], &[], &[]),
        "patterns[1] \"foo(\": unclosed group"
    );
    assert_eq!(
        refused(&[], &["a*"], &[], &[]),
        "patterns[0] \"a*\": it matches the empty text"
    );
    assert_eq!(
        refused(&[], &["(a)\\1"], &[], &[]),
        "patterns[0] \"(a)\\\\1\": backreferences are not supported"
    );
    assert!(refused(&[], &[r"\w{900}{900}"], &[], &[]).contains("too large when compiled"));
    assert!(refused(&[], &[], &["wepons"], &[]).starts_with("unknown topic \"wepons\": use crime, drugs"));
}

#[test]
fn every_topic_has_phrases_of_sensible_weight() {
    for topic in topics() {
        let (_, phrases) = topics::listed(topic).unwrap();
        let phrases: Vec<_> = phrases.collect();
        assert!((40..10_000).contains(&phrases.len()), "{topic}: {}", phrases.len());
        for (weight, phrase) in phrases {
            assert!(
                (30..=ENOUGH).contains(&weight) && !phrase.contains(['?', '|']),
                "{topic}: {phrase:?}"
            );
            assert!(
                (1..=PHRASE_BYTES_MAX).contains(&fold::folded(&phrase).len()),
                "{topic}: {phrase:?}"
            );
        }
    }
}

#[test]
fn a_topic_is_met_by_one_strong_phrase_or_several_weak_words() {
    let matcher = matcher(&[], &[], &["weapons", "gambling"], &["casino royale"]);
    assert_eq!(
        found(&matcher, "How do I build a pipe bomb?"),
        [("weapons".to_owned(), "build a pipe bomb")]
    );
    assert_eq!(spans(&matcher, "a bath bomb for the gun show"), ["gun"]);
    assert_eq!(spans(&matcher, "a gun, a gun, a gun"), [""; 0]);
    assert_eq!(spans(&matcher, "roulette at Casino Royale"), [""; 0]);
    assert_eq!(spans(&matcher, "at the casino we played roulette"), ["roulette"]);
    let apart = format!("at the casino {} we played roulette", "and then ".repeat(20));
    assert_eq!(spans(&matcher, &apart), [""; 0]);
}

#[test]
fn plain_prose_is_decided_at_once_but_for_what_may_go_on() {
    let matcher = matcher(&["project bluebird", "c++"], &[r"proj-\d+"], &[], &[]);
    let held = |text: &str| text.len() - matcher.scan(text, 0, false, &mut Vec::new());
    assert_eq!(held("The quick brown fox jumps over the lazy dog. "), 0);
    assert_eq!(held("The quick brown fox jumps over the lazy dog"), 0);
    assert_eq!(held("So it is about project"), "project".len());
    assert_eq!(held("So it is about project blue"), "project blue".len());
    assert_eq!(held("So it is about projects"), 0);
    assert_eq!(held("see proj-12"), "proj-12".len());
}

#[test]
fn a_pattern_of_whole_words_is_not_looked_for_within_one() {
    let matcher = matcher(&[], &[r"\b[a-z]+\b"], &[], &[]);
    let text = "a".repeat(3 * MATCH_BYTES_MAX);
    assert_eq!(matcher.scan(&text, 0, false, &mut Vec::new()), text.len());
    assert_eq!(spans(&matcher, &format!("{text} whole")), ["whole"]);
}

#[test]
fn patterns_that_are_too_large_together_are_refused_before_all_are_compiled() {
    let patterns: Vec<_> = (0..20)
        .map(|number| format!(r"\w{{60}}{number}"))
        .chain(["(".to_owned()])
        .collect();
    let refused = Matcher::new(&[], &patterns, &[], &[]).unwrap_err();
    assert_eq!(refused.to_string(), "the patterns together: too large when compiled");
}

#[test]
fn a_schema_is_held_or_not_and_says_nothing_of_the_answer() {
    let schema = Schema::new(
        r#"{"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}}}"#,
    )
    .unwrap();
    assert_eq!(schema.hold(" {\"city\": \"Rome\"}\n"), Ok(()));
    assert_eq!(schema.hold("Rome"), Err(Unheld::Json));
    assert_eq!(schema.hold("{}"), Err(Unheld::Schema("/required".to_owned())));
    assert_eq!(
        schema.hold("{\"city\": \"rome\"}"),
        Err(Unheld::Schema("/properties/city/pattern".to_owned()))
    );
    for unheld in [format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), String::new()] {
        assert_eq!(schema.hold(&unheld), Err(Unheld::Json));
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    for schema in [
        "{",
        r#"{"type": "text"}"#,
        r#"{"$ref": "https://example.com/schema.json"}"#,
        r#"{"pattern": "("}"#,
        r#"{"pattern": "(?=a)b"}"#,
        r#"{"pattern": "(a)\\1"}"#,
    ] {
        assert!(Schema::new(schema).is_err(), "{schema}");
    }
}

#[test]
fn the_patterns_of_a_schema_are_bounded_together() {
    let with = |count: usize| {
        let patterns: Vec<_> = (0..count)
            .map(|number| format!(r#"{{"pattern": "\\p{{L}}{{60}}{number}"}}"#))
            .collect();
        Schema::new(&format!(r#"{{"anyOf": [{}]}}"#, patterns.join(", ")))
    };
    assert!(with(1).is_ok());
    assert!(with(100).is_err());
}

#[test]
fn a_language_is_known_from_a_sentence() {
    for (code, text) in [
        (
            "en",
            "Where can I find a good introduction to the history of the Roman empire?",
        ),
        (
            "de",
            "Wo finde ich eine gute Einführung in die Geschichte des römischen Reiches?",
        ),
        (
            "fr",
            "Où puis-je trouver une bonne introduction à l'histoire de l'empire romain ?",
        ),
        (
            "es",
            "¿Dónde puedo encontrar una buena introducción a la historia del imperio romano?",
        ),
        ("ru", "Где я могу найти хорошее введение в историю Римской империи?"),
        ("ja", "ローマ帝国の歴史についての良い入門書はどこで見つかりますか。"),
        ("zh", "我在哪里可以找到关于罗马帝国历史的好介绍？"),
        ("ar", "أين يمكنني أن أجد مقدمة جيدة لتاريخ الإمبراطورية الرومانية؟"),
    ] {
        assert_eq!(language(text).map(|found| found.code), Some(code));
        assert!(speaks(text, &owned(&[code])));
        assert!(speaks(&text[..text.find(' ').unwrap_or(9)], &owned(&["xx"])));
    }
    assert!(!speaks(
        "Где я могу найти хорошее введение в историю Римской империи?",
        &owned(&["en", "de"])
    ));
    let hidden = format!(
        "{} {}",
        "A good introduction to history. ".repeat(99),
        "Где я могу найти введение в историю? ".repeat(99)
    );
    assert!(!speaks(&hidden, &owned(&["en"])));
    assert_eq!(language("12 + 34 = 46"), None);
}

#[test]
fn a_schema_that_means_itself_ends() {
    if let Ok(schema) = Schema::new(r##"{"$ref": "#"}"##) {
        let _ = schema.hold("[[1], {\"a\": [2]}]");
    }
    let lists = Schema::new(r##"{"type": "array", "items": {"$ref": "#"}}"##).unwrap();
    assert_eq!(lists.hold(&format!("{}{}", "[".repeat(100), "]".repeat(100))), Ok(()));
    assert_eq!(lists.hold("[[[], 1]]"), Err(Unheld::Schema("/type".to_owned())));
}

/// Words of all lists, their beginnings, and what stands between words.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "kill", "the", "process", "a", "b", "aa", "new", "york", "times", "drug", "store", "casino", "roulette", "poker",
            "gun", "rifle", "guns", "bomb", "make", "build", "pipe", "royale", "e", "e\u{301}", "é", "禁", "止", "x1", "proj-1",
            "22", "ß", "ss", "ABC", "end", "$", "c++", "+", "jackpot", "bet",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![" ", "  ", "\n", "", "\u{200b}", " \u{200d} ", "-", ", ", "\u{a0}", "_", ". "]).prop_map(str::to_owned),
        1 => "[ \u{200b}]{0,70}",
        1 => "[a-c]{0,300}",
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

static HARD: LazyLock<Matcher> = LazyLock::new(|| {
    matcher(
        &[
            "kill the process",
            "kill",
            "a b a b c",
            "new york times",
            "禁止",
            "é",
            "c++",
            "ss",
            "drug",
        ],
        &[
            r"proj-\d+",
            r"\b[ab]{2,40}\b",
            r"a.*c",
            r"(?i)abc$",
            r"(?m)^end",
            r"\d+ ?\d+",
            r"\b\w+ß\b|é+",
            "x.{0,30}x",
        ],
        &["weapons", "gambling"],
        &[
            "kill a process",
            "process a",
            "york",
            "drug store",
            "casino royale",
            "gun",
            "b a",
            "x1",
        ],
    )
});
static TOPICAL: LazyLock<Matcher> =
    LazyLock::new(|| matcher(&[], &[], &["weapons", "gambling", "violence"], &["make", "gun rifle"]));

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_text_in_pieces_is_judged_like_a_whole_one(text in texts(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        same_in_pieces(&*HARD, &text, &cuts);
    }

    #[test]
    fn topics_in_pieces_weigh_the_same(text in texts(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        same_in_pieces(&*TOPICAL, &text, &cuts);
    }
}
