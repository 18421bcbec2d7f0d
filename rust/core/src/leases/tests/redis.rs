//! What the script in Redis does (`proxy/limits/granting.py`), as plainly as can be.

use std::collections::BTreeMap;

use crate::leases::{Answer, Message, Question, Told, span, width_ms};

const SETTLING_MS: u64 = 2_500;
const HOST_MS: u64 = 10_000;

#[derive(Default)]
struct Counter {
    asked: BTreeMap<u128, u64>,
    /// By host and bucket; for concurrency bucket 0, and when the host was heard of.
    spent: BTreeMap<(u128, u64), u64>,
    seen: BTreeMap<u128, u64>,
}

pub struct Redis {
    pub memory: String,
    pub questions: u64,
    born_ms: Option<u64>,
    seen: BTreeMap<u128, u64>,
    counters: BTreeMap<u128, Counter>,
}

impl Redis {
    pub fn new(memory: &str) -> Self {
        Self {
            memory: memory.into(),
            questions: 0,
            born_ms: None,
            seen: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// The answer; or the name of what is remembered, if the question is about another memory.
    pub fn answer(&mut self, question: &Question, now_ms: u64) -> Result<Answer, String> {
        self.questions += 1;
        if question.memory != self.memory.as_bytes() {
            return Err(self.memory.clone());
        }
        let born_ms = *self.born_ms.get_or_insert(now_ms);
        self.seen.insert(question.host, now_ms);
        self.seen.retain(|_, seen| now_ms - *seen <= HOST_MS);
        let settling_ms = (born_ms + SETTLING_MS).saturating_sub(now_ms);
        let hosts = self.seen.len() as u64;
        let mut told = Vec::new();
        for message in &question.messages {
            let counter = self.counters.entry(message.key).or_default();
            told.push(counter.answer(question.host, message, hosts, settling_ms > 0, now_ms));
        }
        Ok(Answer {
            redis_ms: now_ms,
            hosts,
            settling_ms,
            told,
        })
    }
}

impl Counter {
    fn answer(&mut self, host: u128, message: &Message, hosts: u64, is_settling: bool, now_ms: u64) -> Option<Told> {
        if self.asked.get(&host).is_some_and(|asked| *asked >= message.asked) {
            return None;
        }
        self.asked.insert(host, message.asked);
        self.seen.insert(host, now_ms);
        let is_slots = message.window_ms == 0;
        let (width, span) = (width_ms(message.window_ms), span(message.window_ms.max(1)));
        let bucket = if is_slots { 0 } else { now_ms / width };
        if is_slots {
            let seen = &self.seen;
            self.spent.retain(|(name, _), _| now_ms - seen[name] <= HOST_MS);
        } else {
            self.spent.retain(|(_, at), _| at + span >= bucket);
        }
        self.spent
            .retain(|(name, at), _| *name != host || *at <= message.bucket);
        for (at, amount) in &message.told {
            assert!(*at <= bucket, "a host is ahead of Redis");
            if is_slots || at + span >= bucket {
                self.spent.insert((host, *at), *amount);
            }
        }
        let total: u64 = self.spent.values().sum();
        let free = message.limit.saturating_sub(total);
        let slice = free / (2 * hosts);
        let is_tight = slice < message.want;
        let wanted = if is_tight { message.need } else { message.want };
        let more = if is_settling { 0 } else { free.min(wanted) };
        *self.spent.entry((host, bucket)).or_default() += more;
        let mut freed = 0;
        let excess = (total + message.need).saturating_sub(message.limit);
        let mut by_age: Vec<_> = self.spent.iter().map(|((_, at), amount)| (*at, *amount)).collect();
        by_age.sort_unstable();
        let freeing = by_age.into_iter().find(|(_, amount)| {
            freed += amount;
            freed >= excess
        });
        Some(Told {
            bucket,
            granted: self.spent[&(host, bucket)],
            free: free - more,
            is_tight: is_tight || free == more,
            is_met: more >= message.need,
            retry_ms: freeing.map_or(1, |(at, _)| ((at + span + 1) * width).saturating_sub(now_ms)),
        })
    }
}
