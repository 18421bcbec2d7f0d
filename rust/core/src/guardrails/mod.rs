//! Guardrail policies: which checks a text must pass, what is done about what they find, and what one call's guard remembers.
//!
//! - [`Policy`] compiles the checks of one or more named policies; its [`Checks`] of a direction share their detectors, so that
//!   a text is read once.
//! - [`Session`] is the guard of one call: it counts what was found, knows the originals of its placeholders, and whether the call
//!   is blocked. It lives in memory only.
//! - [`Judge`] is what whoever reads texts sees of a session in one direction.
//! - [`Screen`] has a stream judged event by event.
//! - [`Segments`] has a stream judged by somebody else, piece by piece.
//! - [`rule`] settles what stands where several detectors see something in the same place.

mod added;
mod answer;
mod any_text;
#[cfg(test)]
mod careless_tests;
mod digest;
mod events;
#[cfg(test)]
mod events_tests;
mod examine;
mod field;
mod joined;
mod json_text;
mod outside;
mod pattern;
mod policy;
mod readers;
mod resolve;
mod scopes;
mod segments;
mod session;
mod sites;
mod spec;
mod spelt;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod text_tests;
mod texts;
#[cfg(test)]
mod trial;
mod vault;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use crate::detector::{Detector, Finding};

pub use answer::{Screened, has_texts};
pub use events::{Judges, Screen};
pub use examine::Examined;
pub use outside::{Outside, OutsideJudge, located};
pub use policy::{Checks, Policy};
pub use resolve::{Hit, Place, Ruled, rule};
pub use segments::{SEGMENT_BYTES, Segments};
pub use session::{Blocked, Found, Session, SessionJudge};
pub use spec::PolicyError;
pub use text::Halt;

/// What is done about a finding. In order of how much it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing; it is not even counted.
    Allow,
    /// It is counted.
    Flag,
    /// A typed placeholder stands in its place.
    Redact,
    /// It stays but for its letters and digits, of which the last four are left.
    Mask,
    /// A keyed digest stands in its place: the same for the same value and tenant.
    Hash,
    /// The call is refused.
    Block,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Allow,
        Self::Flag,
        Self::Redact,
        Self::Mask,
        Self::Hash,
        Self::Block,
    ];

    /// Its name in configuration and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Block => "block",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether something else stands in the finding's place.
    #[must_use]
    pub const fn rewrites(self) -> bool {
        matches!(self, Self::Redact | Self::Mask | Self::Hash)
    }
}

/// Which way a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To a provider.
    Input,
    /// To the client.
    Output,
}

impl Direction {
    /// Its name in configuration and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// The direction of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Input, Self::Output]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// Who says a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator: `system`, `developer`, instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's result, a document or the contents of a file.
    Tool,
    /// Who says it is not told.
    Other,
}

impl Source {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other => "other",
        }
    }
}

/// What a judge says of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The text stays as it is.
    Pass,
    /// This stands in the finding's place: plain text, not escaped for JSON.
    Replace(Cow<'static, str>),
    /// Nothing of the text may pass.
    Block,
}

/// Decides what is done about what detectors find in the texts of one direction of a call, and counts it.
pub trait Judge {
    /// Who looks at every text.
    fn detectors(&self) -> &[Arc<dyn Detector>];

    /// What would be done about a finding of the detector at that index. Counts nothing.
    fn action(&self, detector: usize, finding: &Finding) -> Action;

    /// Does it, once for each finding that stands: counts it, and remembers the original where it is to be put back.
    /// `value` is the found text as its reader sees it.
    fn judge(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling;

    /// The same for a text whose signature holds for no other: what would be rewritten is counted as flagged and passes.
    /// But a value that is restored in answers is replaced again, for its placeholder is what was signed.
    fn judge_sealed(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling;

    /// The value that a placeholder of this call stands for, if it is to be put back.
    fn original(&self, placeholder: &str) -> Option<&str>;

    /// Whether anything that it says may change a text, or stop it.
    fn alters(&self) -> bool {
        true
    }

    /// What follows was said before, in pieces, until this is taken back: it is not counted again.
    fn repeats(&mut self, is_repeated: bool) {
        let _ = is_repeated;
    }

    /// Whether there is a check that judges whole texts, so that [`Judge::read`] must be called with each.
    fn reads_texts(&self) -> bool {
        false
    }

    /// Judges a whole text: attacks on the instructions, lengths, languages. Never [`Ruling::Replace`].
    fn read(&mut self, source: Source, text: &str) -> Ruling {
        let _ = (source, text);
        Ruling::Pass
    }
}
