//! The trained weights: how they lie in `weights.bin`, and what a window weighs.
//!
//! Four bytes of name, six little-endian floats (a scale for each group, the bias, the slope), then a signed byte a feature.

use std::borrow::Cow;

use super::features::{FEATURES, Feature, GROUPS};

const NAME: &[u8] = b"TWI1";
const HEAD_BYTES: usize = 4 + 4 * 6;
static SHIPPED: &[u8; HEAD_BYTES + FEATURES] = include_bytes!("weights.bin");

/// What each feature weighs.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    bytes: Cow<'static, [u8]>,
    scales: [f32; 4],
    bias: f32,
    slope: f32,
}

impl Weights {
    /// Those that come with the module.
    pub(super) fn shipped() -> Self {
        Self::read(Cow::Borrowed(SHIPPED.as_slice()))
    }

    /// Those that a training wrote; nothing if they are not in the form above.
    pub(super) fn trained(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == HEAD_BYTES + FEATURES && bytes.starts_with(NAME)).then(|| Self::read(Cow::Owned(bytes)))
    }

    fn read(bytes: Cow<'static, [u8]>) -> Self {
        let float = |nth: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&bytes[4 + 4 * nth..8 + 4 * nth]);
            f32::from_le_bytes(four)
        };
        Self {
            scales: [float(0), float(1), float(2), float(3)],
            bias: float(4),
            slope: float(5),
            bytes,
        }
    }

    /// What one feature weighs, unscaled.
    pub(super) fn weight(&self, feature: Feature) -> i8 {
        self.bytes
            .get(HEAD_BYTES + feature)
            .map_or(0, |byte| i8::from_le_bytes([*byte]))
    }

    /// The score of a window, 0 to 1: each group's sum over the root of its count, so that a long window is no louder than a
    /// short one; traits count in full.
    pub(super) fn score(&self, features: &[Feature]) -> f32 {
        // Of all features from a group's first on, then less those of the next: no branch, for groups come in any order.
        let mut sums = [0i32; 4];
        let mut counts = [0i32; 4];
        for &feature in features {
            let weight = i32::from(self.weight(feature));
            for ((sum, count), first) in sums.iter_mut().zip(&mut counts).zip(GROUPS) {
                let is_behind = feature >= first;
                *sum = sum.wrapping_add(if is_behind { weight } else { 0 });
                *count = count.wrapping_add(i32::from(is_behind));
            }
        }
        for group in 0..3 {
            sums[group] -= sums[group + 1];
            counts[group] -= counts[group + 1];
        }
        let mut total = self.bias;
        for group in 0..4 {
            let sum = i16::try_from(sums[group].clamp(-32_000, 32_000)).map_or(0.0, f32::from);
            let count = u16::try_from(counts[group].max(1)).map_or(f32::MAX, f32::from);
            let norm = if group == 3 { 1.0 } else { count.sqrt() };
            total += self.scales[group] * sum / norm;
        }
        1.0 / (1.0 + (-self.slope * total).exp())
    }
}
