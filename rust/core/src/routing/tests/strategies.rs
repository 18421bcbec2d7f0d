//! Whom the strategies choose, counted over many rankings.

use std::collections::HashMap;

use super::*;

/// How often each target comes first.
fn firsts(host: &Shared, pool: &Pool, times: u64, now: u64) -> Vec<u64> {
    let mut counts = vec![0; pool.targets().len()];
    for chance in 0..times {
        counts[usize::from(host.ranking(pool, &ask(chance, now)).order[0])] += 1;
    }
    counts
}

/// Within five standard deviations of a count.
fn is_near(found: u64, wanted: f64) -> bool {
    (found as f64 - wanted).abs() <= 5.0 * wanted.sqrt().max(1.0)
}

#[test]
fn every_order_holds_each_that_may_be_asked_once() {
    for strategy in ALL {
        let host = Shared::new();
        let seat = host.seat();
        let pool = pool(strategy, &[1; 9]);
        host.break_down(seat, &pool, 4, NOON);
        for chance in 0..100 {
            let without_two = Ask {
                mask: 0b0_1111_1110,
                ..ask(chance, NOON)
            };
            let mut order = host.ranking(&pool, &without_two).order;
            order.sort_unstable();
            assert_eq!(order, [1, 2, 3, 5, 6, 7], "{strategy:?}");
        }
    }
}

#[test]
fn one_without_weight_comes_after_all_others_but_before_none() {
    for strategy in ALL {
        let host = Shared::new();
        let seat = host.seat();
        let pool = pool(strategy, &[0, 1, 2]);
        for chance in 0..100 {
            assert_eq!(host.ranking(&pool, &ask(chance, NOON)).order[2], 0, "{strategy:?}");
        }
        host.break_down(seat, &pool, 1, NOON);
        host.break_down(seat, &pool, 2, NOON);
        assert_eq!(host.ranking(&pool, &ask(1, NOON)).order, [0]);
    }
}

#[test]
fn shares_are_as_the_weights_and_so_are_those_of_who_comes_second() {
    let host = Shared::new();
    let pool = pool(Strategy::Weighted, &[6, 3, 1]);
    let mut orders: HashMap<Vec<u8>, u64> = HashMap::new();
    for chance in 0..10_000 {
        *orders.entry(host.ranking(&pool, &ask(chance, NOON)).order).or_default() += 1;
    }
    for (order, share) in [
        ([0, 1, 2], 0.6 * 0.75),
        ([0, 2, 1], 0.6 * 0.25),
        ([1, 0, 2], 0.3 * 6.0 / 7.0),
        ([1, 2, 0], 0.3 / 7.0),
        ([2, 0, 1], 0.1 * 2.0 / 3.0),
        ([2, 1, 0], 0.1 / 3.0),
    ] {
        let found = orders[&order.to_vec()];
        assert!(is_near(found, share * 10_000.0), "{order:?}: {found}");
    }
}

#[test]
fn turns_are_taken_evenly_by_all_pools_of_the_route_together() {
    let host = Shared::new();
    let (one, same) = (pool(Strategy::RoundRobin, &[1; 3]), pool(Strategy::RoundRobin, &[1; 3]));
    let turns: Vec<u8> = (0..9)
        .map(|turn| host.ranking([&one, &same][turn % 2], &ask(0, NOON)).order[0])
        .collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    host.break_down(host.seat(), &one, 1, NOON);
    assert_eq!(firsts(&host, &one, 300, NOON), [150, 0, 150]);
}

#[test]
fn the_least_busy_is_the_one_with_the_fewest_calls_for_its_weight() {
    let host = Shared::new();
    let workers = [host.seat(), host.seat()];
    let pool = pool(Strategy::LeastBusy, &[1, 4, 1]);
    let _under_way: Vec<Lease> = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 1)]
        .map(|(index, worker)| host.begin(workers[worker], &pool, index, NOON).unwrap())
        .into();
    let ranking = host.ranking(&pool, &ask(0, NOON));
    assert_eq!(ranking.order, [1, 0, 2]);
    let scores: Vec<_> = ranking.standings.iter().map(|standing| standing.score).collect();
    assert_eq!(scores, [Some(1.0), Some(0.5), Some(2.0)]);
    host.table().bury(workers[1]);
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [2, 1, 0]);
}

#[test]
fn the_faster_of_two_random_ones_comes_first_and_the_slowest_never() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 4]);
    for (index, latency) in [1_000, 1_200, 1_400, 1_600].into_iter().enumerate() {
        host.call(seat, &pool, index, latency, NOON);
    }
    let counts = firsts(&host, &pool, 6_000, NOON);
    for (count, pairs) in counts.iter().zip([3.0, 2.0, 1.0, 0.0]) {
        assert!(is_near(*count, pairs * 1_000.0), "{counts:?}");
    }
    for chance in 0..100 {
        let order = host.ranking(&pool, &ask(chance, NOON)).order;
        assert!(order[1..].is_sorted(), "{order:?}");
    }
}

#[test]
fn calls_in_flight_make_the_fast_one_slower() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 2]);
    host.call(seat, &pool, 0, 1_000, NOON);
    host.call(seat, &pool, 1, 1_900, NOON);
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [0, 1]);
    let _under_way = host.begin(seat, &pool, 0, NOON).unwrap();
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [1, 0]);
}

#[test]
fn what_nothing_is_known_of_is_tried_once_at_a_time_and_then_taken_for_fast() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 2]);
    host.call(seat, &pool, 0, 1_000, NOON);
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [1, 0]);
    let _first = host.begin(seat, &pool, 1, NOON).unwrap();
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [0, 1]);
    let _other = [(), ()].map(|()| host.begin(seat, &pool, 0, NOON).unwrap());
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [1, 0]);
    let scores: Vec<_> = host
        .ranking(&pool, &ask(0, NOON))
        .standings
        .iter()
        .map(|standing| standing.score)
        .collect();
    assert_eq!(scores, [Some(3_000.0), Some(2_000.0)]);
}

#[test]
fn calls_are_spread_before_anything_is_known() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 3]);
    let mut counts = [0; 3];
    let _under_way: Vec<Lease> = (0..300)
        .map(|chance| {
            let first = usize::from(host.ranking(&pool, &ask(chance, NOON)).order[0]);
            counts[first] += 1;
            host.begin(seat, &pool, first, NOON).unwrap()
        })
        .collect();
    assert!(counts.iter().all(|count| (95..=105).contains(count)), "{counts:?}");
}

#[test]
fn a_slow_one_is_left_alone_but_for_one_call_in_a_thousand_and_after_five_minutes() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 3]);
    for (index, latency) in [1_000, 1_100, 3_001].into_iter().enumerate() {
        host.call(seat, &pool, index, latency, NOON);
    }
    let place = |after, chance| {
        let order = host.ranking(&pool, &ask(chance, NOON + after)).order;
        order.iter().position(|index| *index == 2).unwrap()
    };
    let calls = |count| (0..count).for_each(|_| host.call(seat, &pool, 0, 1_000, NOON));
    calls(2_000);
    assert!((0..100).all(|chance| place(4_999, chance) == 2));
    // One, and the next only after as many calls.
    assert_eq!([place(5_000, 0), place(5_000, 0)], [0, 2]);
    calls(999);
    assert_eq!(place(6_000, 0), 2);
    calls(1);
    let mut under_way = host.begin(seat, &pool, 2, NOON).unwrap();
    assert_eq!(place(6_000, 0), 2);
    host.end(&mut under_way, Outcome::Neutral, NOON);
    assert_eq!([place(6_000, 0), place(299_999, 0)], [0, 2]);
    assert_eq!(place(300_000, 0), 0);
}

#[test]
fn one_that_is_silent_while_somebody_waits_is_taken_to_be_as_slow_as_that() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 3]);
    for index in 0..3 {
        host.call(seat, &pool, index, 100_000, NOON);
    }
    let mut waiting = host.begin(seat, &pool, 0, NOON).unwrap();
    let scores = |now| {
        let ranking = host.ranking(&pool, &ask(0, now));
        ranking
            .standings
            .iter()
            .map(|standing| standing.score.unwrap() as u64)
            .collect::<Vec<_>>()
    };
    assert_eq!(scores(NOON + 100), [200_000, 100_000, 100_000]);
    assert_eq!(scores(NOON + 150), [300_000, 100_000, 100_000]);
    let places = |now| {
        let orders = (0..50).map(|chance| host.ranking(&pool, &ask(chance, now)).order);
        orders
            .map(|order| order.iter().position(|index| *index == 0).unwrap())
            .max()
            .unwrap()
    };
    assert_eq!(places(NOON + 301), 2);
    // Somebody who begins later does not begin the silence anew, and a call of the other kind says nothing of this one.
    let _later = host.begin(seat, &pool, 0, NOON + 200).unwrap();
    let mut whole = host
        .table()
        .board()
        .begin(seat, &pool, 0, Kind::Whole, NOON, false, true)
        .unwrap();
    host.end(&mut whole, Outcome::Ok(Some((9, Kind::Whole))), NOON + 200);
    assert_eq!(scores(NOON + 250)[0], 750_000);
    host.heard(&mut waiting, 50_000, NOON + 250);
    assert!(scores(NOON + 300)[0] <= 300_000);
}

#[test]
fn the_silence_of_one_whose_callers_are_gone_says_nothing() {
    let host = Shared::new();
    let (victim, seat) = (host.seat(), host.seat());
    let pool = pool(Strategy::Latency, &[1; 2]);
    for index in 0..2 {
        host.call(seat, &pool, index, 100_000, NOON);
    }
    let mut left = host.begin(seat, &pool, 0, NOON).unwrap();
    host.end(&mut left, Outcome::Neutral, NOON + 400);
    let _lost = host.begin(victim, &pool, 0, NOON + 500).unwrap();
    let score = |now| host.ranking(&pool, &ask(0, now)).standings[0].score.unwrap() as u64;
    assert_eq!(score(NOON + 900), 800_000);
    host.table().bury(victim);
    assert_eq!(score(NOON + 900), 100_000);
}

#[test]
fn one_that_was_slow_is_no_candidate_again_for_a_single_lucky_call() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 3]);
    for turn in 0..200 {
        for (index, latency) in [1_000, 1_000, 10_000].into_iter().enumerate() {
            host.call(seat, &pool, index, latency, NOON + turn);
        }
    }
    // The fast ones had a bad moment, so that their peaks, but not their means, are near the slow one's.
    for index in 0..2 {
        host.call(seat, &pool, index, 3_000, NOON + 200);
    }
    let last = |now| (0..50).all(|chance| host.ranking(&pool, &ask(chance, now)).order[2] == 2);
    host.call(seat, &pool, 2, 6_000, NOON + 4_000);
    assert!(host.status("provider/2", NOON + 4_000).stream_us.unwrap() < 9_000);
    assert!(last(NOON + 4_000));
    for turn in 1..6 {
        host.call(seat, &pool, 2, 1_000, NOON + 4_000 + 9_000 * turn);
    }
    assert!(!last(NOON + 50_000));
}

#[test]
fn a_half_open_one_is_tried_however_slow_it_was() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1; 2]);
    host.call(seat, &pool, 0, 1_000, NOON);
    host.call(seat, &pool, 1, 900_000, NOON);
    host.break_down(seat, &pool, 1, NOON);
    assert_eq!(host.ranking(&pool, &ask(0, NOON + 500)).order, [1, 0]);
    let _probe = host.begin(seat, &pool, 1, NOON + 500).unwrap();
    assert_eq!(host.ranking(&pool, &ask(0, NOON + 500)).order, [0, 1]);
}

#[test]
fn the_cheapest_for_this_request_comes_first_and_one_without_a_price_last() {
    let host = Shared::new();
    let priced = |index, input_price, output_price| Target {
        input_price,
        output_price,
        ..target(index, 1)
    };
    let targets = vec![
        priced(0, None, None),
        priced(1, Some(10), Some(10)),
        priced(2, Some(1), Some(90)),
        priced(3, Some(10), None),
        priced(4, Some(10), Some(10)),
    ];
    let pool = pool_of(Strategy::Cost, targets);
    let ranking = |prompt_tokens, output_tokens, chance| {
        let ask = Ask {
            prompt_tokens,
            output_tokens,
            ..ask(chance, NOON)
        };
        host.ranking(&pool, &ask)
    };
    for chance in 0..50 {
        assert_eq!(ranking(100, 1, chance).order[0], 2);
        assert_eq!(ranking(100, 50, chance).order[2], 2);
        let mut unpriced = ranking(100, 50, chance).order[3..].to_vec();
        unpriced.sort_unstable();
        assert_eq!(unpriced, [0, 3]);
        assert_eq!(ranking(100, 0, chance).order[4], 0);
    }
    let equals: Vec<u8> = (0..50).map(|chance| ranking(100, 50, chance).order[0]).collect();
    assert!(equals.contains(&1) && equals.contains(&4));
    let standings = ranking(100, 10, 0).standings;
    let scores: Vec<_> = standings.iter().map(|standing| standing.score).collect();
    assert_eq!(scores, [None, Some(1_100.0), Some(1_000.0), None, Some(1_100.0)]);
    assert_eq!(ranking(u64::MAX, u64::MAX, 0).order.len(), 5);
}

#[test]
fn a_lower_tier_comes_first_and_within_one_the_weights_count() {
    let host = Shared::new();
    let seat = host.seat();
    let tiered = |index, tier, weight| Target {
        tier,
        ..target(index, weight)
    };
    let targets = vec![tiered(0, 2, 9), tiered(1, -1, 1), tiered(2, -1, 3), tiered(3, 1, 0)];
    let pool = pool_of(Strategy::Priority, targets);
    for chance in 0..50 {
        assert_eq!(host.ranking(&pool, &ask(chance, NOON)).order[2..], [0, 3]);
    }
    let counts = firsts(&host, &pool, 4_000, NOON);
    assert!(is_near(counts[1], 1_000.0) && is_near(counts[2], 3_000.0), "{counts:?}");
    host.break_down(seat, &pool, 1, NOON);
    host.break_down(seat, &pool, 2, NOON);
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).order, [0, 3]);
}

/// Who comes first for each of many hashes.
fn stuck(host: &Shared, pool: &Pool, mask: u64) -> Vec<u8> {
    (0..4_000_u64)
        .map(|hash| {
            let ask = Ask {
                mask,
                sticky: hash,
                ..ask(hash % 7, NOON)
            };
            host.ranking(pool, &ask).order[0]
        })
        .collect()
}

#[test]
fn the_same_hash_comes_to_the_same_target_by_weight_and_only_those_of_one_that_leaves_move() {
    let (host, other) = (Shared::new(), Shared::new());
    let pool = pool(Strategy::Sticky, &[1, 1, 2]);
    let all = stuck(&host, &pool, 0b111);
    assert_eq!(all, stuck(&other, &pool, 0b111));
    let mut counts = [0; 3];
    for first in &all {
        counts[usize::from(*first)] += 1;
    }
    assert!(is_near(counts[0], 1_000.0) && is_near(counts[1], 1_000.0) && is_near(counts[2], 2_000.0));
    let without = stuck(&host, &pool, 0b110);
    assert!(
        all.iter()
            .zip(&without)
            .all(|(before, after)| before == after || *before == 0)
    );
    let moved = all.iter().zip(&without).filter(|pair| pair == &(&0, &2)).count();
    assert!(is_near(moved as u64, counts[0] as f64 * 2.0 / 3.0));
}

#[test]
fn a_target_has_its_hashes_by_its_name_wherever_it_stands_in_the_pool() {
    let host = Shared::new();
    let one = pool(Strategy::Sticky, &[1; 3]);
    let turned = pool_of(Strategy::Sticky, [2, 1, 0].map(|index| target(index, 1)).into());
    let (first, second) = (stuck(&host, &one, 0b111), stuck(&host, &turned, 0b111));
    assert!(first.iter().zip(&second).all(|(one, other)| *one == 2 - *other));
}

#[test]
fn one_that_was_closed_gets_its_share_back_little_by_little_under_any_strategy() {
    let name = Name::of_target("provider/0");
    for strategy in ALL {
        let host = Shared::new();
        let pool = pool(strategy, &[1, 1, 1]);
        let whole = firsts(&host, &pool, 3_000, NOON)[0] as f64;
        host.table().board().open(&name, NOON + 1, NOON);
        host.table().board().close(&name, NOON, 1_000);
        for (after, part) in [(0, 0.1), (500, 0.55), (1_000, 1.0)] {
            let counts = firsts(&host, &pool, 3_000, NOON + after);
            assert!(
                is_near(counts[0], whole * part),
                "{strategy:?} after {after} ms: {counts:?}"
            );
        }
    }
}

#[test]
fn a_slow_start_in_one_tier_sends_nothing_to_the_next() {
    let host = Shared::new();
    let name = Name::of_target("provider/0");
    let second = Target {
        tier: 1,
        ..target(1, 1)
    };
    let pool = pool_of(Strategy::Priority, vec![target(0, 1), second]);
    host.table().board().open(&name, NOON + 1, NOON);
    host.table().board().close(&name, NOON, 1_000);
    assert_eq!(firsts(&host, &pool, 300, NOON), [300, 0]);
}
