//! What is heard beside the calls; latencies; room.

use super::*;

fn name() -> Name {
    Name::of_target("provider/0")
}

#[test]
fn cooling_is_never_shortened_and_ends_by_itself() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1, 1]);
    let cool = |until, is_limited| host.table().board().cool(&name(), until, NOON, is_limited);
    assert!(!cool(NOON, true));
    assert!(cool(NOON + 2_000, true));
    assert!(!cool(NOON + 1_000, false));
    let status = host.status("provider/0", NOON);
    let cooling = (State::Cooling, NOON + 2_000, 0);
    assert_eq!((status.state, status.until_ms, status.failures), cooling);
    assert!(host.begin(seat, &pool, 0, NOON + 1_999).is_none());
    let ranking = host.ranking(&pool, &ask(0, NOON));
    assert_eq!((ranking.order, ranking.retry_at_ms), (vec![1], NOON + 2_000));
    assert!(!host.begin(seat, &pool, 0, NOON + 2_000).unwrap().is_probe());
}

#[test]
fn a_ranking_is_limited_only_when_nothing_but_rate_limits_holds_the_others_back() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1, 1, 1]);
    let one = Name::of_target("provider/1");
    assert!(!host.ranking(&pool, &ask(0, NOON)).is_limited);
    host.table().board().cool(&one, NOON + 900, NOON, true);
    assert!(host.ranking(&pool, &ask(0, NOON)).is_limited);
    host.break_down(seat, &pool, 0, NOON);
    let ranking = host.ranking(&pool, &ask(0, NOON));
    assert_eq!((ranking.order, ranking.retry_at_ms), (vec![2], NOON + 500));
    assert!(!ranking.is_limited);
    // Those that are not asked about say nothing.
    let only_one = Ask {
        mask: 0b10,
        ..ask(0, NOON)
    };
    assert!(host.ranking(&pool, &only_one).is_limited);
    host.table().board().cool(&one, NOON + 901, NOON, false);
    assert!(!host.ranking(&pool, &only_one).is_limited);
}

#[test]
fn an_opening_from_elsewhere_holds_until_then_and_a_closing_ends_all() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let open = |until| host.table().board().open(&name(), until, NOON);
    let close = || host.table().board().close(&name(), NOON, 1_000);
    assert!(!close());
    assert!(!open(NOON));
    assert!(open(NOON + 100));
    assert!(!open(NOON + 50));
    assert!(open(FOR_GOOD_MS));
    assert_eq!(host.ranking(&pool, &ask(0, NOON)).retry_at_ms, 0);
    assert!(host.begin(seat, &pool, 0, NOON + 9_000_000).is_none());
    assert!(close());
    assert!(!close());
    // What is called from now on counts, and the first opening is short again.
    host.break_down(seat, &pool, 0, NOON);
    assert_eq!(host.status("provider/0", NOON).until_ms, NOON + 500);
}

#[test]
fn closing_by_hand_forgets_cooling_but_starts_slowly_only_what_was_open() {
    let host = Shared::new();
    let ramp = |now| host.status("provider/0", now).ramp;
    host.table().board().cool(&name(), NOON + 900, NOON, false);
    assert!(host.table().board().close(&name(), NOON, 1_000));
    assert_eq!(host.status("provider/0", NOON).state, State::Closed);
    assert!((ramp(NOON) - 1.0).abs() < 1e-9);
    host.table().board().open(&name(), NOON + 900, NOON);
    host.table().board().close(&name(), NOON, 1_000);
    for (after, part) in [(0, 0.1), (500, 0.55), (1_000, 1.0)] {
        assert!((ramp(NOON + after) - part).abs() < 1e-9);
    }
}

#[test]
fn a_closing_by_hand_forgets_the_failures_of_the_window() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    for _ in 0..3 {
        host.call(seat, &pool, 0, 1_000, NOON);
        assert_eq!(host.fail(seat, &pool, 0, NOON), None);
    }
    host.table().board().open(&name(), NOON + 9, NOON);
    host.table().board().close(&name(), NOON, 0);
    host.call(seat, &pool, 0, 1_000, NOON);
    assert_eq!(host.fail(seat, &pool, 0, NOON), None);
}

#[test]
fn one_worker_counts_no_more_than_its_lane_holds_and_no_fewer_than_none() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let mut leases: Vec<Lease> = (0..65_540).map(|_| host.begin(seat, &pool, 0, NOON).unwrap()).collect();
    assert_eq!(host.status("provider/0", NOON).in_flight, 65_535);
    let beyond = leases.split_off(65_535);
    for mut lease in beyond {
        host.end(&mut lease, Outcome::Neutral, NOON);
    }
    assert_eq!(host.status("provider/0", NOON).in_flight, 65_535);
    for lease in &mut leases {
        host.end(lease, Outcome::Neutral, NOON);
    }
    assert_eq!(host.status("provider/0", NOON).in_flight, 0);
}

#[test]
fn active_probes_open_a_target_that_nobody_calls_and_close_it_when_its_cooldown_is_over() {
    let host = Shared::new();
    let probed = |is_ok, now| host.table().board().probed(&name(), &POLICY, is_ok, now);
    assert_eq!([probed(false, NOON), probed(false, NOON)], [None, None]);
    // That the server answers does not make up for it.
    assert_eq!(probed(true, NOON), None);
    let until_ms = NOON + 500;
    assert_eq!(probed(false, NOON), Some(Change::Opened { until_ms }));
    assert_eq!(probed(true, NOON + 499), None);
    assert_eq!(probed(false, NOON + 499), None);
    let until_ms = NOON + 1_500;
    assert_eq!(probed(false, NOON + 500), Some(Change::Opened { until_ms }));
    assert_eq!(probed(true, NOON + 1_500), Some(Change::Closed));
    assert!((host.status("provider/0", NOON + 1_500).ramp - 0.1).abs() < 1e-9);
}

#[test]
fn one_of_the_host_has_each_interval() {
    let host = Shared::new();
    let claim = |after| host.table().board().claim(&name(), 100, NOON + after);
    let claims = [0, 1, 99, 100, 150, 200].map(claim);
    assert_eq!(claims, [true, false, false, true, false, true]);
}

#[test]
fn the_peak_follows_a_rise_at_once_and_a_fall_slowly() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1]);
    let peak = |now| host.status("provider/0", now).stream_us.unwrap();
    host.call(seat, &pool, 0, 1_000, NOON);
    host.call(seat, &pool, 0, 9_000, NOON);
    assert_eq!(peak(NOON), 9_000);
    host.call(seat, &pool, 0, 1_000, NOON);
    assert_eq!(peak(NOON), 9_000);
    host.call(seat, &pool, 0, 1_000, NOON + 10_000);
    assert_eq!(peak(NOON), 1_000 + (8_000.0 * (-1.0_f64).exp()) as u64);
    assert_eq!(host.status("provider/0", NOON).whole_us, None);
    let mut whole = host.begin(seat, &pool, 0, NOON).unwrap();
    host.end(&mut whole, Outcome::Ok(Some((77, Kind::Whole))), NOON);
    assert_eq!(host.status("provider/0", NOON).whole_us, Some(77));
}

fn p95(host: &Shared, pool: &Pool) -> Option<u64> {
    host.table().board().p95_us(&pool.targets()[0], Kind::Stream)
}

#[test]
fn the_percentile_is_within_a_fifth_and_of_the_last_few_thousand() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1]);
    for turn in 1..=1_000_u64 {
        assert_eq!(p95(&host, &pool).is_some(), turn > 20);
        host.call(seat, &pool, 0, turn * 7_919 % 1_000 * 100, NOON);
    }
    let is_near = |wanted: u64| {
        let found = p95(&host, &pool).unwrap();
        found * 5 >= wanted * 4 && found * 5 <= wanted * 6
    };
    assert!(is_near(95_000));
    for _ in 0..12_000 {
        host.call(seat, &pool, 0, 5_000, NOON);
    }
    assert!(is_near(5_000));
}

#[test]
fn latencies_beyond_all_measure_are_counted_as_the_longest() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Latency, &[1]);
    for latency in [0, 1, u64::MAX] {
        for _ in 0..30 {
            host.call(seat, &pool, 0, latency, NOON);
        }
    }
    assert!((1 << 28..1 << 30).contains(&p95(&host, &pool).unwrap()));
}

/// Pools of one target each.
fn crowd(count: usize) -> Vec<Arc<Pool>> {
    let single = |index| pool_of(Strategy::Weighted, vec![target(index, 1)]);
    (0..count).map(single).collect()
}

#[test]
fn a_full_board_gives_up_what_was_of_no_use_for_longest() {
    let host = Shared::new();
    let seat = host.seat();
    let pools = crowd(200);
    let far = NOON + 90_000_000;
    host.table().board().open(&Name::of_target("provider/0"), far, NOON);
    let _held = host.begin(seat, &pools[1], 0, NOON).unwrap();
    host.table()
        .board()
        .cool(&Name::of_target("provider/2"), far, NOON, true);
    for (turn, pool) in pools.iter().enumerate().skip(3) {
        host.call(seat, pool, 0, 1_000, NOON + 1_000 * turn as u64);
    }
    let now = NOON + 200_000;
    assert_eq!(host.status("provider/0", now).state, State::Open);
    assert_eq!(host.status("provider/1", now).in_flight, 1);
    assert_eq!(host.status("provider/2", now).state, State::Cooling);
    assert_eq!(host.status("provider/199", now).stream_us, Some(1_000));
    assert_eq!(host.status("provider/3", now).stream_us, None);
    // Whoever takes another's place takes nothing else of it.
    host.table()
        .board()
        .cool(&Name::of_target("provider/900"), now + 9, now, true);
    let newcomer = host.status("provider/900", now);
    assert_eq!((newcomer.state, newcomer.stream_us), (State::Cooling, None));
}

#[test]
fn what_finds_no_room_is_called_as_if_nothing_were_known() {
    let host = Shared::new();
    let seat = host.seat();
    let pools = crowd(200);
    let mut leases: Vec<Lease> = pools
        .iter()
        .map(|pool| host.begin(seat, pool, 0, NOON).unwrap())
        .collect();
    let in_flight = |index: &usize| host.status(&format!("provider/{index}"), NOON).in_flight;
    let lost: Vec<usize> = (0..200).filter(|index| in_flight(index) == 0).collect();
    assert!(lost.len() > 100);
    assert_eq!(host.ranking(&pools[lost[0]], &ask(0, NOON)).order, [0]);
    let name = Name::of_target(&format!("provider/{}", lost[0]));
    assert!(!host.table().board().open(&name, NOON + 9, NOON));
    for lease in &mut leases {
        host.heard(lease, 1_000, NOON);
        assert_eq!(host.end(lease, Outcome::Failed, NOON), None);
    }
    assert_eq!((0..200).map(|index| in_flight(&index)).sum::<u64>(), 0);
}

#[test]
fn a_policy_or_a_pool_that_makes_no_sense_is_refused() {
    assert_eq!(POLICY.checked(), Ok(POLICY));
    let spoilt: [fn(&mut Policy); 8] = [
        |policy| policy.consecutive = 0,
        |policy| policy.failure_permille = 0,
        |policy| policy.failure_permille = 1_001,
        |policy| policy.minimum_calls = 0,
        |policy| policy.window_ms = 0,
        |policy| policy.cooldown_ms = 0,
        |policy| policy.max_cooldown_ms = policy.cooldown_ms - 1,
        |policy| policy.probes = 0,
    ];
    for spoil in spoilt {
        let mut policy = POLICY;
        spoil(&mut policy);
        assert!(matches!(policy.checked(), Err(PoolError::Policy { .. })));
    }
    let many = (0..65).map(|index| target(index, 1)).collect();
    let refused = Pool::new("chat", Strategy::Weighted, many).unwrap_err();
    assert_eq!(refused, PoolError::TooMany(65));
}
