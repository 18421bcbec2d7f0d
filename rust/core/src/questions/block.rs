//! Vectors in one piece of memory, for exact search among few.

use super::vector::{DIMENSIONS, cosine_of, dot};

/// Slots of vectors, numbered from 0.
#[derive(Default)]
pub struct Block {
    vectors: Vec<[i8; DIMENSIONS]>,
    squares: Vec<i32>,
}

impl Block {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            vectors: Vec::new(),
            squares: Vec::new(),
        }
    }

    /// The number of slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.squares.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.squares.is_empty()
    }

    /// The slot that the vector gets.
    pub fn append(&mut self, vector: &[i8; DIMENSIONS]) -> usize {
        self.vectors.push(*vector);
        self.squares.push(dot(vector, vector));
        self.squares.len() - 1
    }

    /// Frees a slot and gives its number to the last one; whether there was such a slot.
    pub fn swap_remove(&mut self, slot: usize) -> bool {
        if slot >= self.squares.len() {
            return false;
        }
        self.vectors.swap_remove(slot);
        self.squares.swap_remove(slot);
        true
    }

    /// The nearest slots and their cosines, best first; of equal ones the older first.
    #[must_use]
    pub fn nearest(&self, vector: &[i8; DIMENSIONS], most: usize) -> Vec<(usize, f32)> {
        let square = dot(vector, vector);
        let mut best: Vec<(usize, f32)> = Vec::with_capacity(most + 1);
        for (slot, other) in self.vectors.iter().enumerate() {
            let cosine = cosine_of(dot(vector, other), square, self.squares[slot]);
            if best.len() == most && best.last().is_none_or(|worst| worst.1 >= cosine) {
                continue;
            }
            let place = best.partition_point(|each| each.1 >= cosine);
            best.insert(place, (slot, cosine));
            best.truncate(most);
        }
        best
    }
}
