//! The strategies: what was seen, put in order. Pure arithmetic on a copy, outside the lock.

use std::cmp::Ordering;

use super::pool::{Pool, Strategy, Target};
use super::ranking::{Ask, Standing, State};

/// A target so much slower than the fastest is no candidate for the strategy latency.
const TOO_SLOW: u64 = 3;

/// What a target is sorted by, the smallest first.
#[derive(Clone, Copy)]
struct Rank {
    /// A target without weight comes after all others.
    is_last: bool,
    /// Tier or cost: whole numbers, so that equals are equal.
    group: u64,
    score: f64,
    tie: f64,
    index: usize,
}

impl Rank {
    fn compare(&self, other: &Self) -> Ordering {
        (self.is_last, self.group)
            .cmp(&(other.is_last, other.group))
            .then(self.score.total_cmp(&other.score))
            .then(self.tie.total_cmp(&other.tie))
    }
}

/// The indices of those that may be asked, best first. Writes down each one's score, also of those that may not.
pub(super) fn arranged(
    pool: &Pool,
    ask: &Ask,
    standings: &mut [Standing],
    turn: u64,
    explored: Option<usize>,
) -> Vec<u8> {
    let pace = Pace::of(pool, standings);
    let mut ranks: Vec<Rank> = Vec::with_capacity(standings.len());
    for standing in standings.iter_mut() {
        let rank = rank(pool, ask, standing, pace);
        standing.score = match pool.strategy {
            Strategy::Weighted | Strategy::RoundRobin => None,
            Strategy::Cost if rank.group == u64::MAX => None,
            Strategy::Cost | Strategy::Priority => Some(shown(rank.group, pool, standing.index)),
            Strategy::LeastBusy | Strategy::Latency | Strategy::Sticky => Some(rank.score),
        };
        if standing.may_be_asked {
            ranks.push(rank);
        }
    }
    ranks.sort_unstable_by(Rank::compare);
    match pool.strategy {
        Strategy::RoundRobin => {
            let in_turn = ranks.iter().filter(|rank| !rank.is_last).count();
            if in_turn > 0 {
                ranks[..in_turn].rotate_left((turn % in_turn as u64) as usize);
            }
        }
        Strategy::Latency => {
            choose_of_two(&mut ranks, ask.chance);
            if let Some(at) = ranks.iter().position(|rank| Some(rank.index) == explored) {
                ranks[..=at].rotate_right(1);
            }
        }
        _ => {}
    }
    step_back(pool, ask, standings, &mut ranks);
    ranks.iter().map(|rank| rank.index as u8).collect()
}

/// How fast the fastest of those with a weight is that may be asked: the largest numbers when nothing is known.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    peak_us: u64,
    mean_us: u64,
}

impl Pace {
    pub fn of(pool: &Pool, standings: &[Standing]) -> Self {
        let unknown = Self {
            peak_us: u64::MAX,
            mean_us: u64::MAX,
        };
        if pool.strategy != Strategy::Latency {
            return unknown;
        }
        standings
            .iter()
            .filter(|standing| standing.may_be_asked && pool.targets[standing.index].weight > 0)
            .fold(unknown, |pace, standing| match standing.latency_us {
                Some(peak_us) => Self {
                    peak_us: pace.peak_us.min(peak_us),
                    mean_us: pace.mean_us.min(standing.mean_us),
                },
                None => pace,
            })
    }

    /// Whether a target is no candidate: by its peak, as soon as it is slow; by its mean, until it has ceased to be slow
    /// for more than one lucky call; by its silence, before anybody has come back.
    pub fn is_too_slow(self, standing: &Standing) -> bool {
        let peak_us = standing.latency_us.unwrap_or(0).max(standing.silent_us);
        standing.state != State::HalfOpen
            && (peak_us > self.peak_us.saturating_mul(TOO_SLOW)
                || standing.mean_us > self.mean_us.saturating_mul(TOO_SLOW))
    }

    /// How long a call would take if it had to wait for those before it.
    ///
    /// One that nothing is known of, and that nobody calls, is tried at once; and so is one whose breaker is half open: it
    /// has to be found out. With calls under way, it is taken to be as fast as the fastest.
    fn wait_us(self, standing: &Standing) -> f64 {
        let is_to_find_out = standing.latency_us.is_none() || standing.state == State::HalfOpen;
        if is_to_find_out && standing.in_flight == 0 {
            return 0.0;
        }
        let fastest_us = if self.peak_us == u64::MAX { 1 } else { self.peak_us };
        let peak_us = standing.latency_us.unwrap_or(fastest_us).max(standing.silent_us);
        peak_us as f64 * (standing.in_flight as f64 + 1.0)
    }
}

fn shown(group: u64, pool: &Pool, index: usize) -> f64 {
    match pool.strategy {
        Strategy::Priority => pool.targets[index].tier as f64,
        _ => group as f64,
    }
}

fn rank(pool: &Pool, ask: &Ask, standing: &Standing, pace: Pace) -> Rank {
    let target = &pool.targets[standing.index];
    let by_weight = || drawn(random(ask.chance, standing.index as u64), target.weight);
    let (group, score, tie) = match pool.strategy {
        Strategy::Weighted => (0, by_weight(), 0.0),
        Strategy::RoundRobin => (0, standing.index as f64, 0.0),
        Strategy::LeastBusy => {
            let share = f64::from(target.weight.max(1));
            (0, standing.in_flight as f64 / share, by_weight())
        }
        Strategy::Latency => (
            u64::from(pace.is_too_slow(standing)),
            pace.wait_us(standing),
            by_weight(),
        ),
        Strategy::Cost => (cost(target, ask), 0.0, by_weight()),
        // The sign bit turned around, so that the order of the numbers is kept.
        Strategy::Priority => (target.tier as u64 ^ 1 << 63, 0.0, by_weight()),
        Strategy::Sticky => (0, drawn(mixed(ask.sticky ^ target.name.hash()), target.weight), 0.0),
    };
    Rank {
        is_last: target.weight == 0,
        group,
        score,
        tie,
        index: standing.index,
    }
}

/// Two random candidates, and of them the better one first.
fn choose_of_two(ranks: &mut [Rank], chance: u64) {
    let is_candidate = |rank: &Rank| !rank.is_last && rank.group == 0;
    let count = ranks.iter().take_while(|rank| is_candidate(rank)).count();
    if count < 3 {
        // Two of two: the better one is first already.
        return;
    }
    let one = (random(chance, u64::MAX) % count as u64) as usize;
    let other = (random(chance, u64::MAX - 1) % (count as u64 - 1)) as usize;
    let other = if other >= one { other + 1 } else { other };
    // They are sorted: the better one is the one that comes first.
    ranks[..=one.min(other)].rotate_right(1);
}

/// One that starts slowly leaves a part of its turns to the next.
fn step_back(pool: &Pool, ask: &Ask, standings: &[Standing], ranks: &mut [Rank]) {
    let Some(first) = ranks.first().copied() else {
        return;
    };
    let ramp = standings
        .iter()
        .find(|standing| standing.index == first.index)
        .map_or(1.0, |standing| standing.ramp);
    if ramp >= 1.0 || unit(random(ask.chance, u64::MAX - 2)) < ramp {
        return;
    }
    let is_equal = |rank: &Rank| {
        let same_tier = pool.strategy != Strategy::Priority || rank.group == first.group;
        same_tier && rank.is_last == first.is_last
    };
    // Equals lie together.
    if ranks.get(1).is_some_and(is_equal) {
        ranks.swap(0, 1);
    }
}

/// Picodollars; the largest number when a price that is needed is not known.
fn cost(target: &Target, ask: &Ask) -> u64 {
    let part = |price: Option<u64>, tokens: u64| match price {
        Some(price) => Some(price.saturating_mul(tokens)),
        None if tokens == 0 => Some(0),
        None => None,
    };
    if target.input_price.is_none() && target.output_price.is_none() {
        return u64::MAX;
    }
    let (input, output) = (
        part(target.input_price, ask.prompt_tokens),
        part(target.output_price, ask.output_tokens),
    );
    match (input, output) {
        (Some(input), Some(output)) => input.saturating_add(output),
        _ => u64::MAX,
    }
}

/// A waiting time that is short for a heavy target: sorted by it, the first is so by its share, and so are those that
/// follow among the rest (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006; for hashes instead of
/// chance it is weighted rendezvous hashing).
fn drawn(bits: u64, weight: u32) -> f64 {
    -unit(bits).ln() / f64::from(weight.max(1))
}

/// Between 0 and 1, never either.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn random(chance: u64, index: u64) -> u64 {
    mixed(chance.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// Every bit of the one changes half of the other's (the finisher of `SplitMix64`).
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}
