//! Frames of `application/vnd.amazon.eventstream`, out of any chunking.
//!
//! A frame is a prelude (its length and that of its headers, both 32 bits, big-endian, and their CRC-32), headers, a
//! payload, and the CRC-32 of everything before it. Both sums are checked: a frame whose length cannot be trusted is
//! never waited for. Source: smithy.io, "Amazon Event Stream Specification".

mod frame;

pub use frame::{Frame, Value};
use frame::{PRELUDE_BYTES, frame_bytes};

/// Why a stream can't be read any further. The upstream is broken, or it is no such stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// A frame exceeds the bound.
    #[error("the upstream sent a frame of more than {max_frame_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_frame_bytes: usize,
    },
    /// A sum does not agree with what it stands for.
    #[error("a frame's checksum does not agree with its bytes")]
    Checksum,
    /// The lengths of a frame and of its headers contradict each other.
    #[error("a frame's lengths contradict each other")]
    Lengths,
    /// The headers can't be read: cut, of an unknown type, no UTF-8, without a name, or named twice.
    #[error("a frame's headers cannot be read")]
    Headers,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
}

/// Assembles frames. Every byte is copied once at most, however the stream is cut into chunks.
#[derive(Debug)]
pub struct Frames {
    max_frame_bytes: usize,
    /// The beginning of a frame whose end has not come yet.
    held: Vec<u8>,
    failure: Option<BadFrame>,
}

impl Frames {
    /// Refuses frames of more than `max_frame_bytes`, all of their bytes counted.
    #[must_use]
    pub const fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            held: Vec::new(),
            failure: None,
        }
    }

    /// Calls `each` with every frame that `chunk` completes.
    ///
    /// After an error the stream has failed: whatever is fed further yields the same error.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(&Frame<'_>)) -> Result<(), BadFrame> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let read = self.read(chunk, &mut each);
        if let Err(failure) = read {
            self.failure = Some(failure);
            self.held = Vec::new();
        }
        read
    }

    /// The stream has ended.
    pub fn finish(&self) -> Result<(), BadFrame> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.held.is_empty() => Ok(()),
            None => Err(BadFrame::Cut),
        }
    }

    fn read(&mut self, chunk: &[u8], each: &mut impl FnMut(&Frame<'_>)) -> Result<(), BadFrame> {
        let mut rest = self.complete_held(chunk, each)?;
        while let Some(length) = frame_bytes(rest, self.max_frame_bytes)? {
            let Some((frame, behind)) = rest.split_at_checked(length) else {
                break;
            };
            each(&Frame::read(frame)?);
            rest = behind;
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Adds to the frame that is held until it is whole; returns what is left of `chunk`. If something is left,
    /// nothing is held any more.
    fn complete_held<'a>(&mut self, chunk: &'a [u8], each: &mut impl FnMut(&Frame<'_>)) -> Result<&'a [u8], BadFrame> {
        let mut rest = chunk;
        while !self.held.is_empty() && !rest.is_empty() {
            let wanted = frame_bytes(&self.held, self.max_frame_bytes)?.unwrap_or(PRELUDE_BYTES);
            let taken = rest.len().min(wanted - self.held.len());
            self.held.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if frame_bytes(&self.held, self.max_frame_bytes)? == Some(self.held.len()) {
                each(&Frame::read(&self.held)?);
                self.held.clear();
            }
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests;
