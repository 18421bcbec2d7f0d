//! How long a target takes: a peak that follows a rise at once and a fall slowly, a mean, how long it has been silent though
//! somebody waits for it, and a histogram that forgets.
//!
//! The peak is the peak-EWMA of Finagle's balancer. Each number is one word of its own, written alone: a process killed in
//! between has told a part of a sample, which is as good as none.

use super::board::Place;
use super::entry::{LATENCIES, LATENCY_WORDS, OCCURRENCES, OCTAVES};
use crate::limits::memory::Words;

/// How fast peak and mean follow: to 37 % of the difference in this time.
const FOLLOWS_MS: f64 = 10_000.0;
/// The least part that a sample is of the mean: of many samples, about so many make it up.
const LEAST_PART: f64 = 1.0 / 64.0;

const PEAK: usize = 0;
const MEAN: usize = 1;
const TOLD_MS: usize = 2;
const WAITED_MS: usize = 3;

/// Samples after which those in the histogram are halved.
const REMEMBERED: u64 = 4_096;
/// Below so many samples a percentile says nothing.
const ENOUGH: u64 = 20;

/// Latencies below 2⁸ µs, and from 2²⁹ µs on, are not told apart.
const SHORTEST: u64 = 1 << FIRST_OCTAVE;
const LONGEST: u64 = (1 << (FIRST_OCTAVE + OCTAVES as u32)) - 1;
const FIRST_OCTAVE: u32 = 8;

/// An octave's word has a lane for each of its quarters.
const QUARTERS: u64 = 4;
const LANE_BITS: u64 = 16;
const LANE_MAX: u64 = (1 << LANE_BITS) - 1;
/// All bits of a word but the highest of each lane.
const HALVED: u64 = 0x7FFF_7FFF_7FFF_7FFF;

fn mixed(old_us: u64, new_us: u64, kept: f64) -> u64 {
    (old_us as f64 * kept + new_us as f64 * (1.0 - kept)) as u64
}

/// What a latency is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first byte of a stream.
    Stream,
    /// A whole answer.
    Whole,
}

/// The latencies of one kind of one entry.
pub(super) struct Latency<'a> {
    words: Words<'a>,
    first: usize,
    octaves: usize,
}

impl<'a> Latency<'a> {
    #[inline]
    pub fn new(words: Words<'a>, place: Place, kind: Kind) -> Self {
        Self {
            words,
            first: place.base + LATENCIES + kind as usize * LATENCY_WORDS,
            octaves: place.base + OCCURRENCES + kind as usize * OCTAVES,
        }
    }

    /// The peak; none before the first sample.
    #[inline]
    pub fn peak_us(&self) -> Option<u64> {
        Some(self.words.get(self.first + PEAK)).filter(|peak| *peak > 0)
    }

    /// The mean; zero before the first sample.
    #[inline]
    pub fn mean_us(&self) -> u64 {
        self.words.get(self.first + MEAN)
    }

    /// When the last sample was told.
    #[inline]
    pub fn told_ms(&self) -> u64 {
        self.words.get(self.first + TOLD_MS)
    }

    /// Notes that somebody waits for it, from `now_ms` on unless others have waited before and heard nothing since.
    pub fn wait(&self, now_ms: u64) {
        let at = self.first + WAITED_MS;
        if self.words.get(at) == 0 {
            self.words.set(at, now_ms);
        }
    }

    /// Ends the silence, by whatever was heard. Others may wait on: the next who begins to counts for them.
    pub fn hear(&self) {
        let at = self.first + WAITED_MS;
        if self.words.get(at) != 0 {
            self.words.set(at, 0);
        }
    }

    /// How long nothing was heard though somebody waits: a call takes no less now, whatever the others took.
    #[inline]
    pub fn silent_ms(&self, now_ms: u64) -> u64 {
        match self.words.get(self.first + WAITED_MS) {
            0 => 0,
            since_ms => now_ms.saturating_sub(since_ms),
        }
    }

    /// Takes a sample.
    pub fn tell(&self, latency_us: u64, now_ms: u64) {
        let latency_us = latency_us.clamp(1, LONGEST);
        let kept = (-(now_ms.saturating_sub(self.told_ms()) as f64) / FOLLOWS_MS).exp();
        let (peak_us, mean_us) = match self.peak_us() {
            Some(peak_us) => (
                mixed(peak_us, latency_us, kept).max(latency_us),
                mixed(self.mean_us(), latency_us, kept.clamp(0.5, 1.0 - LEAST_PART)),
            ),
            None => (latency_us, latency_us),
        };
        self.words.set(self.first + PEAK, peak_us);
        self.words.set(self.first + MEAN, mean_us);
        self.words.set(self.first + TOLD_MS, now_ms);
        self.note(latency_us);
    }

    fn note(&self, latency_us: u64) {
        if self.samples() >= REMEMBERED {
            for octave in 0..OCTAVES {
                let at = self.octaves + octave;
                self.words.set(at, self.words.get(at) >> 1 & HALVED);
            }
        }
        let latency_us = latency_us.max(SHORTEST);
        let octave = latency_us.ilog2();
        let quarter = latency_us >> (octave - 2) & (QUARTERS - 1);
        let (at, shift) = (self.octaves + (octave - FIRST_OCTAVE) as usize, quarter * LANE_BITS);
        let counts = self.words.get(at);
        if counts >> shift & LANE_MAX < LANE_MAX {
            self.words.set(at, counts + (1 << shift));
        }
    }

    /// How often each quarter of each octave was seen, shortest first.
    fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        let words = self.words;
        let octaves = self.octaves;
        (0..OCTAVES).flat_map(move |octave| {
            let counts = words.get(octaves + octave);
            (0..QUARTERS).map(move |quarter| {
                let shortest = (QUARTERS + quarter) << (octave as u32 + FIRST_OCTAVE - 2);
                (shortest, counts >> (quarter * LANE_BITS) & LANE_MAX)
            })
        })
    }

    fn samples(&self) -> u64 {
        self.counts().map(|(_, count)| count).sum()
    }

    /// What 95 of 100 were not longer than, to a quarter of an octave; none when too few are known.
    pub fn p95_us(&self) -> Option<u64> {
        let samples = self.samples();
        if samples < ENOUGH {
            return None;
        }
        let mut wanted = (samples * 95).div_ceil(100);
        for (shortest, count) in self.counts() {
            if count >= wanted {
                // Those of one quarter are taken to lie evenly in it.
                let width = 1 << (shortest.ilog2() - 2);
                return Some(shortest + width * wanted / count);
            }
            wanted -= count;
        }
        None
    }
}
