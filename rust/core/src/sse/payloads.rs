//! The payloads of any event stream, for dialects whose answers are translated.

use super::frames::{EventTooLarge, Frame, Frames};

/// Takes the bytes of an event stream in any chunking and hands out the data of each complete event.
///
/// Comments, names, ids and retry times are dropped: the dialects in question say in the data what an event is.
#[derive(Debug)]
pub struct Payloads {
    frames: Frames,
}

impl Payloads {
    /// Refuses events of more than `max_event_bytes`.
    #[must_use]
    pub const fn new(max_event_bytes: usize) -> Self {
        Self {
            frames: Frames::new(max_event_bytes),
        }
    }

    /// Calls `each` with the payload of every event that `chunk` completes.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), EventTooLarge> {
        let mut rest = chunk;
        while let Some(frame) = self.frames.take(&mut rest)? {
            if let Frame::Event { data, .. } = frame {
                each(data);
            }
        }
        Ok(())
    }

    /// The stream has ended: calls `each` with its last payload, if only the blank line behind it was missing.
    pub fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if let Some(Frame::Event { data, .. }) = self.frames.end() {
            each(data);
        }
    }
}
