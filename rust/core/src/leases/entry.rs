//! What the ledger holds of one counter that hosts share.

/// Words of one entry: eight cache lines.
pub(crate) const WORDS: usize = 64;

/// The half of the identity that is not the tag.
pub(super) const IDENTITY: usize = 0;
/// The window's length; zero for concurrency.
pub(super) const WINDOW_MS: usize = 1;
/// The limit, as the last admission had it.
pub(super) const LIMIT: usize = 2;
/// Number of the last question, and of the last one that was answered.
pub(super) const ASKED: usize = 3;
pub(super) const ANSWERED: usize = 4;
/// When the question that is under way was sent; zero: none is.
pub(super) const SENT_MS: usize = 5;
/// To which memory of Redis all was told; see `header::EPOCH`.
pub(super) const EPOCH: usize = 6;
/// The bucket of the last grant, all that was granted in it, and until when that may be spent. For concurrency the slots.
pub(super) const BUCKET: usize = 7;
pub(super) const GRANTED: usize = 8;
pub(super) const VALID_MS: usize = 9;
/// How much the last answer left to spend here, and to all hosts.
pub(super) const SLICE: usize = 10;
pub(super) const FREE: usize = 11;
/// One: units are handed out one by one.
pub(super) const TIGHT: usize = 12;
/// Redis has refused: nothing is asked before the one, nothing comes free before the other, as things stand.
pub(super) const CLOSED_MS: usize = 13;
pub(super) const RETRY_MS: usize = 14;
/// What calls wait for.
pub(super) const NEED: usize = 15;
/// What was spent since the last question, and how much in a millisecond of late, as the bits of an `f64`.
pub(super) const DEMAND: usize = 16;
pub(super) const RATE: usize = 17;
/// When Redis was last asked.
pub(super) const TOLD_MS: usize = 18;
/// The cells that differ from what Redis was told, and those of the question that is under way.
pub(super) const DIRTY: usize = 19;
pub(super) const PENDING: usize = 20;
/// The newest bucket of the ring.
pub(super) const HEAD: usize = 21;
/// When the last answer came.
pub(super) const ARRIVED_MS: usize = 22;
/// What was spent, by the bucket it was granted in.
pub(super) const CELLS: usize = 24;
pub(super) const CELL_COUNT: usize = 36;

const _: () = assert!(CELLS + CELL_COUNT <= WORDS);

/// The words of the region before the entries.
pub(super) mod header {
    /// One: hosts hold limits together.
    pub const ON: usize = 0;
    /// What this host is known by, a number of 128 bits, made anew with the file.
    pub const HOST: usize = 1;
    /// When it began to be known.
    pub const SINCE_MS: usize = 3;
    /// Raised whenever Redis turns out to remember nothing; and the name of what it remembers, zero-padded.
    pub const EPOCH: usize = 4;
    pub const MEMORY: usize = 5;
    pub const MEMORY_WORDS: usize = 4;
    /// How many hosts there were when Redis last answered.
    pub const HOSTS: usize = 9;
    /// Redis learns anew what was spent until then: everybody keeps to a share.
    pub const SETTLED_MS: usize = 10;
    /// Since when a call waits for an answer, and no answer has come; zero: it has.
    pub const WAITING_MS: usize = 11;
    /// When Redis last answered, when it was last asked, and when for something that had time.
    pub const ANSWERED_MS: usize = 12;
    pub const ASKED_MS: usize = 13;
    pub const TURN_MS: usize = 14;
    /// The clock of Redis less the steady one.
    pub const AHEAD_MS: usize = 15;
    /// Number of the last question.
    pub const ASKED: usize = 16;
    /// The workers whose connection works, a bit of each.
    pub const CONNECTED: usize = 17;
    /// Where the last look for questions ended.
    pub const CURSOR: usize = 18;
    pub const WORDS: usize = 24;
}
