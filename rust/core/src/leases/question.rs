//! What Redis is asked next, and when: few questions while the limits are far, one for each need as they near.

use super::entry::{
    ANSWERED, ARRIVED_MS, ASKED, BUCKET, CELL_COUNT, CLOSED_MS, DEMAND, DIRTY, EPOCH, GRANTED, NEED, PENDING, RATE,
    SENT_MS, SLICE, TIGHT, TOLD_MS, VALID_MS, WINDOW_MS, header,
};
use super::region::{Leases, Reign};
use super::ring::{Entry, slot};
use crate::limits::memory::barrier;

/// What has time is asked at most so often.
pub const TURN_MS: u64 = 50;

/// An answer that takes longer will not come: the question is put anew.
pub const LOST_QUESTION_MS: u64 = 1_000;

/// A host with nothing to ask says so often that it is there; four times a second while Redis is away.
pub const HEARTBEAT_MS: u64 = 3_000;
const LOST_HEARTBEAT_MS: u64 = 250;

/// The most counters of one question.
pub const MOST_AT_ONCE: usize = 64;

/// What was spent and not told, or lapsed, is told after this long where nothing is scarce.
const TELL_MS: u64 = 1_000;
/// What is scarce and was granted for a call goes back when the call has not come for it by then: it may still wait for the
/// answer about another of its limits.
const FETCHED_MS: u64 = 250;
/// Slots in use are told again after this long.
const SLOTS_TELL_MS: u64 = 3_000;
/// How quickly the rate of demand follows.
const RATE_MS: f64 = 500.0;
/// A slice is for this much more than what is spent while it is valid.
const AMPLE: f64 = 2.0;

/// What is told and asked of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(super) index: usize,
    /// The counter's identity, which nobody can read a name from.
    pub key: u128,
    /// Its window; zero for concurrency.
    pub window_ms: u64,
    /// Its limit.
    pub limit: u64,
    /// Number of the question: Redis heeds none that is not above the last of this host.
    pub asked: u64,
    /// The bucket of the last grant that arrived: what Redis granted this host in later ones never did.
    pub bucket: u64,
    /// Buckets, and what this host has spent or holds of each. For concurrency bucket 0: the slots it holds.
    pub told: Vec<(u64, u64)>,
    /// What calls wait for.
    pub need: u64,
    /// What would do for a while; at least `need`.
    pub want: u64,
}

/// One round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// This host.
    pub host: u128,
    /// What Redis is taken to remember; empty before it was ever heard of.
    pub memory: Vec<u8>,
    pub(super) epoch: u64,
    /// Of each counter; none: the host only says that it is there.
    pub messages: Vec<Message>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// A call waits.
    Now,
    /// At the next turn.
    Soon,
    /// When something else is asked anyway: then one question does for many counters.
    Along,
    Later,
    Never,
}

impl Leases<'_> {
    /// What is to be asked at `now_ms`, if anything is. Whoever gets it sends it at once: what it tells of has been given up
    /// where it says so, and units are spent by the time of this call.
    pub fn question(&mut self, now_ms: u64) -> Option<Question> {
        if !self.is_on() {
            return None;
        }
        let is_turn = now_ms.saturating_sub(self.head(header::TURN_MS)) >= TURN_MS;
        let mut messages = Vec::new();
        let mut along = Vec::new();
        let (mut is_urgent, mut last) = (false, None);
        let marked: Vec<usize> = self.marked().collect();
        for index in marked {
            let entry = self.entry(index);
            match self.due(entry, now_ms) {
                Due::Now => is_urgent = true,
                Due::Soon if is_turn => {}
                Due::Never => {
                    self.unmark(index);
                    continue;
                }
                Due::Along => {
                    along.push(index);
                    continue;
                }
                Due::Soon | Due::Later => continue,
            }
            messages.push(self.message(entry, now_ms));
            if messages.len() == MOST_AT_ONCE {
                last = Some(index);
                break;
            }
        }
        if !messages.is_empty() {
            let room = MOST_AT_ONCE - messages.len();
            let more = along.into_iter().take(room);
            messages.extend(more.map(|index| self.message(self.entry(index), now_ms)));
        }
        self.set_head(header::CURSOR, last.map_or(0, |index| (index / 64) as u64));
        if messages.is_empty() && !self.is_silent(now_ms) {
            return None;
        }
        if is_turn && !messages.is_empty() && !is_urgent {
            self.set_head(header::TURN_MS, now_ms);
        }
        self.set_head(header::ASKED_MS, now_ms);
        Some(Question {
            host: self.host(),
            memory: self.memory(),
            epoch: self.head(header::EPOCH),
            messages,
        })
    }

    /// Whether Redis should hear from this host again, though there is nothing to say.
    fn is_silent(&self, now_ms: u64) -> bool {
        let is_away = self.head(header::EPOCH) == 0 || self.reign(now_ms) != Reign::Leased;
        let every_ms = if is_away { LOST_HEARTBEAT_MS } else { HEARTBEAT_MS };
        now_ms.saturating_sub(self.head(header::ASKED_MS)) >= every_ms
    }

    fn due(&self, entry: Entry<'_>, now_ms: u64) -> Due {
        let sent_ms = entry.get(SENT_MS);
        if sent_ms != 0 && now_ms < sent_ms.saturating_add(LOST_QUESTION_MS) {
            return Due::Later;
        }
        if entry.get(NEED) > 0 {
            return Due::Now;
        }
        if entry.get(EPOCH) != self.head(header::EPOCH) || sent_ms != 0 {
            return Due::Soon;
        }
        if entry.is_slots() {
            self.slots_due(entry, now_ms)
        } else {
            window_due(entry, now_ms)
        }
    }

    fn slots_due(&self, entry: Entry<'_>, now_ms: u64) -> Due {
        let (granted, held) = (entry.get(GRANTED), self.held(entry));
        if granted == 0 && held == 0 {
            return Due::Never;
        }
        let is_tight = entry.get(TIGHT) != 0;
        let spare = granted.saturating_sub(held);
        let runs_low = !is_tight
            && now_ms >= entry.get(CLOSED_MS)
            && entry.get(DEMAND) > 0
            && spare.saturating_mul(4) < entry.get(SLICE);
        if (is_tight && spare > 0 && !is_awaited(entry, now_ms))
            || runs_low
            || now_ms >= entry.get(TOLD_MS).saturating_add(SLOTS_TELL_MS)
        {
            Due::Soon
        } else if !is_tight && now_ms >= entry.get(TOLD_MS).saturating_add(SLOTS_TELL_MS / 2) {
            Due::Along
        } else {
            Due::Later
        }
    }

    /// The slots that this host's workers hold.
    fn held(&self, entry: Entry<'_>) -> u64 {
        self.table.held_slots(entry.identity(self.tag(entry.index)))
    }

    fn message(&self, entry: Entry<'_>, now_ms: u64) -> Message {
        let asked = self.head(header::ASKED) + 1;
        self.set_head(header::ASKED, asked);
        let (need, demand) = (entry.get(NEED), entry.get(DEMAND));
        let rate = rate(entry, demand, now_ms);
        let (keep, target) = if entry.is_slots() {
            self.keep_slots(entry, demand, now_ms)
        } else {
            keep_units(entry, rate, demand, now_ms)
        };
        entry.set(ASKED, asked);
        entry.set(SENT_MS, now_ms.max(1));
        barrier();
        let told = if entry.is_slots() {
            entry.set(GRANTED, keep);
            vec![(0, keep)]
        } else {
            self.tell(entry, keep)
        };
        entry.set(NEED, 0);
        entry.set(DEMAND, 0);
        entry.set(RATE, rate.to_bits());
        entry.set(TOLD_MS, now_ms);
        let spare = if entry.is_slots() {
            keep.saturating_sub(self.held(entry))
        } else {
            keep
        };
        // What is kept where units are scarce is other calls', and so is what has just come.
        let need = if entry.get(TIGHT) == 0 && !is_awaited(entry, now_ms) {
            need.saturating_sub(spare)
        } else {
            need
        };
        Message {
            index: entry.index,
            key: u128::from(self.tag(entry.index)) << 64 | u128::from(entry.identity(0).rest),
            window_ms: entry.get(WINDOW_MS),
            limit: entry.limit(),
            asked,
            bucket: entry.get(BUCKET),
            told,
            need,
            want: need.max(target.saturating_sub(keep)),
        }
    }

    /// What to keep of the slots, and how many would do.
    fn keep_slots(&self, entry: Entry<'_>, demand: u64, now_ms: u64) -> (u64, u64) {
        let held = self.held(entry);
        let ample = held.saturating_add(held.max(demand.min(8)));
        // Given back before the calls have come for them, slots that two groups of calls ask for in turn would reach neither.
        let keep = match (entry.is_valid(now_ms), entry.get(TIGHT) == 0) {
            (true, _) if is_awaited(entry, now_ms) => entry.get(GRANTED).max(held),
            (true, true) => entry.get(GRANTED).min(ample).max(held),
            _ => held,
        };
        (keep, if held > 0 || demand > 0 { ample } else { 0 })
    }

    /// Gives up all but `keep`, and says what Redis can't know.
    fn tell(&self, entry: Entry<'_>, keep: u64) -> Vec<(u64, u64)> {
        let bucket = entry.get(BUCKET);
        // First what becomes less than Redis believes: killed after it, the host has given something away.
        entry.change(GRANTED, entry.spent(bucket).saturating_add(keep));
        let is_new = entry.get(EPOCH) != self.head(header::EPOCH);
        let dirty = if is_new {
            (1 << CELL_COUNT) - 1
        } else {
            entry.get(DIRTY) | entry.get(PENDING)
        };
        entry.change(PENDING, dirty);
        barrier();
        entry.change(DIRTY, 0);
        let told = |at: u64| {
            let holds = if at == bucket { keep } else { 0 };
            (at, entry.spent(at).saturating_add(holds))
        };
        let mut found: Vec<(u64, u64)> = entry
            .buckets()
            .filter(|at| *at >= bucket || dirty >> slot(*at) & 1 == 1)
            .map(told)
            .filter(|(at, amount)| *amount > 0 || !is_new || *at == bucket)
            .collect();
        if entry.get(ANSWERED) == 0 {
            found.retain(|(_, amount)| *amount > 0);
        }
        found
    }
}

/// Whether the last answer is so young that a call may yet come for what it granted.
fn is_awaited(entry: Entry<'_>, now_ms: u64) -> bool {
    now_ms < entry.get(ARRIVED_MS).saturating_add(FETCHED_MS)
}

/// What to keep of the units, and how many would do for as long as they are valid.
fn keep_units(entry: Entry<'_>, rate: f64, demand: u64, now_ms: u64) -> (u64, u64) {
    let keeps = (entry.get(TIGHT) == 0 || is_awaited(entry, now_ms)) && entry.is_valid(now_ms);
    let keep = if keeps { entry.left_over() } else { 0 };
    let ample = (rate * entry.valid_for_ms() as f64 * AMPLE) as u64;
    (keep, if demand > 0 { ample } else { 0 })
}

fn window_due(entry: Entry<'_>, now_ms: u64) -> Due {
    let (left, is_dirty) = (entry.left_over(), entry.get(DIRTY) | entry.get(PENDING) != 0);
    if left == 0 && !is_dirty && entry.get(DEMAND) == 0 {
        return Due::Never;
    }
    let is_tight = entry.get(TIGHT) != 0;
    if is_tight && ((left > 0 && !is_awaited(entry, now_ms)) || is_dirty) {
        return Due::Soon;
    }
    let valid_ms = entry.get(VALID_MS);
    let lapses = now_ms.saturating_add(entry.valid_for_ms() / 4) >= valid_ms;
    let runs_low = left.saturating_mul(2) < entry.get(SLICE);
    if !is_tight && now_ms >= entry.get(CLOSED_MS) && entry.get(DEMAND) > 0 && (lapses || runs_low) {
        return Due::Soon;
    }
    let is_spent = left.saturating_mul(4) < entry.get(SLICE).saturating_mul(3);
    if !is_tight && now_ms >= entry.get(CLOSED_MS) && entry.get(DEMAND) > 0 && is_spent {
        return Due::Along;
    }
    let is_untold = is_dirty || (left > 0 && now_ms >= valid_ms);
    if is_untold && now_ms >= entry.get(TOLD_MS).saturating_add(TELL_MS) {
        return Due::Soon;
    }
    if left == 0 && !is_dirty { Due::Never } else { Due::Later }
}

/// Units of late in a millisecond.
fn rate(entry: Entry<'_>, demand: u64, now_ms: u64) -> f64 {
    let told_ms = entry.get(TOLD_MS);
    if told_ms == 0 {
        return 0.0;
    }
    let past_ms = now_ms.saturating_sub(told_ms).max(1) as f64;
    let kept = (-past_ms / RATE_MS).exp();
    let before = f64::from_bits(entry.get(RATE));
    // A damaged word is no number.
    let before = if before.is_finite() && before > 0.0 {
        before
    } else {
        0.0
    };
    before * kept + demand as f64 / past_ms * (1.0 - kept)
}
