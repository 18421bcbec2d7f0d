//! Directions of one signed byte a dimension: their lengths say nothing, only how they lie to each other.

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

/// The sum of the products.
#[must_use]
pub fn dot(left: &[i8], right: &[i8]) -> i32 {
    left.iter().zip(right).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// The cosine of two vectors, -1 to 1; 0 where one has no direction.
#[must_use]
pub fn cosine(left: &[i8], right: &[i8]) -> f32 {
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
