//! Directions of one signed byte a dimension: their lengths say nothing, only how they lie to each other.

use pulp::{Arch, NullaryFnOnce};

/// Of the built-in embedder's vectors.
pub const DIMENSIONS: usize = 256;

/// Bytes whose largest is 127 in size, or all of them zero.
#[must_use]
pub fn quantized(values: &[f32; DIMENSIONS]) -> [i8; DIMENSIONS] {
    let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let mut bytes = [0; DIMENSIONS];
    if largest > 0.0 {
        for (byte, value) in bytes.iter_mut().zip(values) {
            #[expect(clippy::cast_possible_truncation, reason = "at most 127 in size")]
            let rounded = (value / largest * 127.0).round() as i8;
            *byte = rounded;
        }
    }
    bytes
}

/// The sum of the products, in the widest registers that the processor has.
#[must_use]
pub fn dot(left: &[i8; DIMENSIONS], right: &[i8; DIMENSIONS]) -> i32 {
    Arch::new().dispatch(Dot { left, right })
}

struct Dot<'a> {
    left: &'a [i8; DIMENSIONS],
    right: &'a [i8; DIMENSIONS],
}

impl NullaryFnOnce for Dot<'_> {
    type Output = i32;

    /// Many sums side by side, and none of them checked, else it would go one by one. They stay far below their bounds:
    /// 256 products of at most 2^14.
    #[expect(
        clippy::inline_always,
        reason = "only what is inlined is compiled for those registers"
    )]
    #[inline(always)]
    fn call(self) -> i32 {
        let mut sums = [0_i32; 32];
        for (left, right) in self.left.chunks_exact(32).zip(self.right.chunks_exact(32)) {
            for ((sum, &a), &b) in sums.iter_mut().zip(left).zip(right) {
                *sum = sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b)));
            }
        }
        sums.iter().fold(0, |all, &sum| all.wrapping_add(sum))
    }
}

/// The cosine of two vectors, -1 to 1; 0 where one has no direction.
#[must_use]
pub fn cosine(left: &[i8; DIMENSIONS], right: &[i8; DIMENSIONS]) -> f32 {
    cosine_of(dot(left, right), dot(left, left), dot(right, right))
}

/// The same, of products that are known.
#[must_use]
pub(crate) fn cosine_of(product: i32, left: i32, right: i32) -> f32 {
    if left == 0 || right == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number from -1 to 1")]
    let cosine = (f64::from(product) / (f64::from(left) * f64::from(right)).sqrt()) as f32;
    cosine.clamp(-1.0, 1.0)
}
