//! Any order of calls and of the bank's answers, with workers that die, against a list of what each holds.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const WORKERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Reserve { worker: usize, which: usize, amount: u64 },
    Settle { which: usize, cost: u64 },
    Grow { which: usize, amount: u64 },
    Grant { name: usize, more: u64 },
    Trim { name: usize, keep: u64 },
    Die { worker: usize },
    Wait { wait_ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..WORKERS, 1..8_usize, 0..60_u64).prop_map(|(worker, which, amount)| Step::Reserve { worker, which, amount }),
        4 => (any::<usize>(), 0..80_u64).prop_map(|(which, cost)| Step::Settle { which, cost }),
        2 => (any::<usize>(), 0..90_u64).prop_map(|(which, amount)| Step::Grow { which, amount }),
        4 => (0..NAMES.len(), 0..150_u64).prop_map(|(name, more)| Step::Grant { name, more }),
        1 => (0..NAMES.len(), 0..50_u64).prop_map(|(name, keep)| Step::Trim { name, keep }),
        1 => (0..WORKERS).prop_map(|worker| Step::Die { worker }),
        2 => (0..TTL).prop_map(|wait_ms| Step::Wait { wait_ms }),
    ];
    prop::collection::vec(step, 1..100)
}

/// The naive host: what was granted and spent of each purse, and every hold with its worker.
#[derive(Default)]
struct Naive {
    granted: [u64; 3],
    spent: [u64; 3],
    until: [u64; 3],
    /// Bit mask of purses, worker, amount.
    holds: Vec<(usize, usize, u64)>,
}

impl Naive {
    fn held(&self, name: usize) -> u64 {
        let of = self.holds.iter().filter(|(which, ..)| which >> name & 1 == 1);
        of.map(|(.., amount)| amount).sum()
    }

    fn available(&self, name: usize, now: u64) -> u64 {
        if now >= self.until[name] {
            return 0;
        }
        self.granted[name].saturating_sub(self.spent[name] + self.held(name))
    }

    fn fits(&self, which: usize, amount: u64, now: u64) -> bool {
        members(which).all(|name| amount <= self.available(name, now))
    }
}

fn members(which: usize) -> impl Iterator<Item = usize> {
    (0..NAMES.len()).filter(move |name| which >> name & 1 == 1)
}

fn chosen(which: usize) -> Arc<PurseSet> {
    set(&members(which).map(|name| NAMES[name]).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_purses_agree_with_the_naive_host(steps in steps()) {
        let host = Shared::new();
        let mut seats: Vec<Seat> = (0..WORKERS).map(|_| host.seat()).collect();
        let _ = host.reserve(seats[0], &chosen(7), u64::MAX, NOW);
        let mut naive = Naive::default();
        let mut holds: Vec<Hold> = Vec::new();
        let mut now = NOW;
        for step in steps {
            match step {
                Step::Reserve { worker, which, amount } => {
                    let outcome = host.reserve(seats[worker], &chosen(which), amount, now);
                    prop_assert_eq!(outcome.is_ok(), naive.fits(which, amount, now));
                    match outcome {
                        Ok(hold) => {
                            holds.push(hold);
                            naive.holds.push((which, worker, amount));
                        }
                        Err(shortage) => {
                            let name = NAMES.iter().position(|name| *name == shortage.name()).unwrap();
                            prop_assert_eq!(shortage.missing, amount - naive.available(name, now));
                        }
                    }
                }
                Step::Grant { name, more } => {
                    let mut purses = host.purses();
                    let turn = purses.take_turn(seats[0], now, now + 1).unwrap();
                    naive.granted[name] += more;
                    naive.until[name] = now + TTL;
                    prop_assert!(purses.grant(turn, NAMES[name], naive.granted[name], naive.until[name], 0));
                    purses.end_turn(turn);
                }
                Step::Trim { name, keep } => {
                    let mut purses = host.purses();
                    let turn = purses.take_turn(seats[0], now, now + 1).unwrap();
                    let kept = naive.spent[name] + naive.held(name) + keep;
                    naive.granted[name] = naive.granted[name].min(kept);
                    prop_assert_eq!(purses.trim(turn, NAMES[name], keep, now).unwrap().granted, naive.granted[name]);
                    purses.end_turn(turn);
                }
                Step::Die { worker } => {
                    Table::resume(&host.0).bury(seats[worker]);
                    let mut index = 0;
                    holds.retain(|_| {
                        index += 1;
                        naive.holds[index - 1].1 != worker
                    });
                    naive.holds.retain(|(_, of, _)| *of != worker);
                    let mut table = Table::resume(&host.0);
                    let (waiting, all) = (table.to_clean(), table.cleanable());
                    table.clean(waiting, 0, all);
                    table.free(waiting);
                    seats[worker] = host.seat();
                }
                Step::Wait { wait_ms } => now += wait_ms,
                _ if holds.is_empty() => {}
                Step::Settle { which, cost } => {
                    let index = which % holds.len();
                    let mut hold = holds.swap_remove(index);
                    let (which, ..) = naive.holds.swap_remove(index);
                    host.purses().settle(&mut hold, cost);
                    members(which).for_each(|name| naive.spent[name] += cost);
                }
                Step::Grow { which, amount } => {
                    let index = which % holds.len();
                    let (which, _, held) = naive.holds[index];
                    let more = amount.saturating_sub(held);
                    let fits = more == 0 || naive.fits(which, more, now);
                    prop_assert_eq!(host.purses().grow(&mut holds[index], amount, now), fits);
                    if fits && more > 0 {
                        naive.holds[index].2 = amount;
                    }
                }
            }
            for (name, text) in NAMES.iter().enumerate() {
                let found = host.purses().standing(text, now).unwrap();
                prop_assert_eq!(
                    (found.granted, found.spent, found.held),
                    (naive.granted[name], naive.spent[name], naive.held(name))
                );
            }
        }
    }
}
