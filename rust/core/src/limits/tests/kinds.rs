use super::*;

fn every_kind() -> Arc<LimitSet> {
    set(&[
        rule("t", Kind::Tokens, 1_000, MINUTE),
        rule("t", Kind::InputTokens, 600, MINUTE),
        rule("t", Kind::OutputTokens, 500, MINUTE),
        rule("t", Kind::OutputTokens, 400, 1_000),
    ])
}

#[test]
fn tokens_of_the_prompt_and_of_the_answer_are_counted_apart_and_together() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = every_kind();
    let mut admission = demand(&words, seat, &limits, exchange(200, 300), NOON).unwrap();
    assert_eq!(remaining(&words, &limits, NOON), [500, 400, 200, 100]);
    let levels: Vec<_> = admission
        .levels()
        .map(|(kind, level)| (kind, level.limit, level.remaining))
        .collect();
    assert_eq!(
        levels,
        [
            (Kind::Tokens, 1_000, 500),
            (Kind::InputTokens, 600, 400),
            (Kind::OutputTokens, 400, 100)
        ]
    );
    for (asked, kind) in [
        (exchange(401, 0), Kind::InputTokens),
        (exchange(0, 201), Kind::OutputTokens),
        (exchange(400, 101), Kind::Tokens),
    ] {
        assert_eq!(
            demand(&words, seat, &limits, asked, NOON).unwrap_err().rule().kind,
            kind
        );
    }
    Table::resume(&words).settle(&mut admission, 150, 700, NOON);
    assert_eq!(remaining(&words, &limits, NOON), [150, 450, 0, 0]);
    Table::resume(&words).cancel(&mut admission, NOON);
    assert_eq!(remaining(&words, &limits, NOON), [1_000, 600, 500, 400]);
}

#[test]
fn an_answer_grows_as_far_as_every_rule_lets_it() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = every_kind();
    let mut admission = demand(&words, seat, &limits, exchange(100, 100), NOON).unwrap();
    let _other = demand(&words, seat, &limits, exchange(0, 200), NOON).unwrap();
    let mut grow = |tokens, now| Table::resume(&words).grow(&mut admission, tokens, now);
    assert!(grow(150, NOON));
    assert_eq!(remaining(&words, &limits, NOON), [550, 500, 150, 50]);
    assert!(!grow(201, NOON));
    assert_eq!(remaining(&words, &limits, NOON), [550, 500, 150, 50]);
    assert!(grow(120, NOON));
    assert_eq!(remaining(&words, &limits, NOON), [550, 500, 150, 50]);
    assert!(grow(200, NOON));
    // The second in which it was admitted is long over: the minute alone may hold it back.
    assert!(!grow(301, NOON + 5_000));
    assert!(grow(300, NOON + 5_000));
    assert_eq!(remaining(&words, &limits, NOON + 5_000), [400, 500, 0, 400]);
    assert!(grow(100_000, NOON + 2 * MINUTE));
    assert_eq!(remaining(&words, &limits, NOON + 2 * MINUTE), [1_000, 600, 500, 400]);
}

#[test]
fn what_has_ended_grows_no_more() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = every_kind();
    let mut admission = demand(&words, seat, &limits, exchange(100, 100), NOON).unwrap();
    Table::resume(&words).cancel(&mut admission, NOON);
    assert!(Table::resume(&words).grow(&mut admission, 200, NOON));
    assert_eq!(remaining(&words, &limits, NOON), [1_000, 600, 500, 400]);
}

#[test]
fn as_many_rules_as_a_set_may_hold_are_charged_and_returned_together() {
    let words = memory(64);
    let seat = seat(&words);
    let rules: Vec<_> = (0..MAX_RULES)
        .map(|index| {
            rule(
                &index.to_string(),
                Kind::ALL[index % 5],
                1_000,
                if index % 5 == 4 { 0 } else { MINUTE },
            )
        })
        .collect();
    let limits = set(&rules);
    let mut admission = demand(&words, seat, &limits, exchange(3, 4), NOON).unwrap();
    let left = |kind| match kind {
        Kind::Requests | Kind::Concurrency => 999,
        Kind::Tokens => 993,
        Kind::InputTokens => 997,
        Kind::OutputTokens => 996,
    };
    let expected: Vec<u64> = rules.iter().map(|rule| left(rule.kind)).collect();
    assert_eq!(remaining(&words, &limits, NOON), expected);
    Table::resume(&words).cancel(&mut admission, NOON);
    assert_eq!(remaining(&words, &limits, NOON), vec![1_000; MAX_RULES]);
}
