//! What Redis has answered.

use super::entry::{
    ANSWERED, ARRIVED_MS, ASKED, BUCKET, CLOSED_MS, EPOCH, FREE, GRANTED, PENDING, RETRY_MS, SENT_MS, SLICE, TIGHT,
    VALID_MS, WINDOW_MS, header,
};
use super::question::{Message, Question};
use super::region::Leases;
use super::ring::Entry;
use crate::limits::memory::Writes;

/// What is remembered of a refusal: whoever asks sooner is refused without asking Redis. Units that another host gives back
/// are found by then.
const CLOSED_MS_MOST: u64 = 200;
const CLOSED_MS_LEAST: u64 = 20;

/// Redis' answer about one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The current bucket; zero for concurrency.
    pub bucket: u64,
    /// What this host has of it now, spent or not; for concurrency the slots.
    pub granted: u64,
    /// What is left to all hosts.
    pub free: u64,
    /// Units are handed out one by one.
    pub is_tight: bool,
    /// The need was met.
    pub is_met: bool,
    /// When, as things stand, so much as was needed comes free.
    pub retry_ms: u64,
}

/// Redis' answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The time by its clock.
    pub redis_ms: u64,
    /// How many hosts there are, this one included.
    pub hosts: u64,
    /// For so long it learns what was spent before it forgot, and grants nothing.
    pub settling_ms: u64,
    /// In the question's order; nothing for a counter of which it has heard a later question.
    pub told: Vec<Option<Told>>,
}

impl Leases<'_> {
    /// Takes in what Redis has answered to `question`. An answer that has been overtaken by another question changes nothing.
    pub fn answered(&mut self, question: &Question, answer: &Answer, now_ms: u64) {
        for (message, told) in question.messages.iter().zip(&answer.told) {
            let entry = self.entry(message.index);
            let key = u128::from(self.tag(message.index)) << 64 | u128::from(entry.identity(0).rest);
            if let Some(told) = told.filter(|_| key == message.key && entry.get(ASKED) == message.asked) {
                self.learn(entry, question, message, told, answer, now_ms);
            }
        }
        self.set_head(header::HOSTS, answer.hosts.max(1));
        self.set_head(header::AHEAD_MS, answer.redis_ms.wrapping_sub(now_ms));
        self.set_head(header::SETTLED_MS, now_ms.saturating_add(answer.settling_ms));
        self.set_head(header::ANSWERED_MS, now_ms);
        self.set_head(header::WAITING_MS, 0);
    }

    fn learn(
        &self,
        entry: Entry<'_>,
        question: &Question,
        message: &Message,
        told: Told,
        answer: &Answer,
        now_ms: u64,
    ) {
        let before = entry.get(BUCKET);
        if !entry.is_slots() {
            if before != told.bucket && entry.left_over() > 0 {
                entry.mark(before); // Redis was told that this is held, and now it lapses.
            }
            entry.move_to(told.bucket);
        }
        let spent = if entry.is_slots() { 0 } else { entry.spent(told.bucket) };
        let mut writes = Writes::new();
        writes.push(entry.base + BUCKET, told.bucket);
        writes.push(entry.base + GRANTED, told.granted);
        writes.push(
            entry.base + VALID_MS,
            entry.get(SENT_MS).saturating_add(entry.valid_for_ms()),
        );
        writes.push(entry.base + PENDING, 0);
        writes.push(entry.base + ANSWERED, message.asked);
        writes.push(entry.base + SENT_MS, 0);
        writes.commit(self.words());
        entry.change(SLICE, told.granted.saturating_sub(spent));
        entry.change(FREE, told.free);
        entry.change(ARRIVED_MS, now_ms);
        entry.change(TIGHT, u64::from(told.is_tight));
        if question.epoch == self.head(header::EPOCH) {
            entry.change(EPOCH, question.epoch);
        }
        let is_refused = !told.is_met && answer.settling_ms == 0;
        let closed_ms = told.retry_ms.clamp(CLOSED_MS_LEAST, CLOSED_MS_MOST);
        entry.change(CLOSED_MS, if is_refused { now_ms + closed_ms } else { 0 });
        entry.change(RETRY_MS, now_ms.saturating_add(told.retry_ms));
        debug_assert_eq!(entry.get(WINDOW_MS), message.window_ms);
        self.mark(entry.index);
    }

    /// Redis has not answered `question`: what it told is told again.
    pub fn unanswered(&mut self, question: &Question) {
        for message in &question.messages {
            let entry = self.entry(message.index);
            if entry.get(ASKED) == message.asked && entry.get(SENT_MS) != 0 {
                entry.set(SENT_MS, 1); // long ago
                self.mark(message.index);
            }
        }
    }
}
