//! The rules a request is under, hashed once when the set is built so that admission only compares numbers.

use sha2::{Digest, Sha256};

/// The most rules one set may hold: a tenant's, a key's, and those of the pairs that a call belongs to. It bounds the undo
/// log.
pub const MAX_RULES: usize = 32;

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Calls admitted within the window.
    Requests,
    /// Tokens reserved within the window, those of the prompt and those of the answer, corrected when the call is settled.
    Tokens,
    /// Those of the prompt alone.
    InputTokens,
    /// Those of the answer alone.
    OutputTokens,
    /// Calls open at this moment.
    Concurrency,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Concurrency,
    ];

    /// How many kinds are counted in windows: the first ones of [`Kind::ALL`].
    pub(super) const WINDOWED: usize = 4;

    /// The name used in configuration, headers and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Concurrency => "concurrency",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One limit: at most `limit` of `kind` for `scope` within any `window_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom the rule is about, such as `tenant:acme`. Rules of the same scope, kind and window share one counter.
    pub scope: String,
    /// What is counted.
    pub kind: Kind,
    /// The most that is admitted. Not part of the counter's identity: a changed limit keeps what was counted.
    pub limit: u64,
    /// Length of the window; zero for concurrency, and only for it.
    pub window_ms: u64,
}

/// Why a set of rules cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// More rules than [`MAX_RULES`].
    #[error("a limit set holds at most {MAX_RULES} rules, not {0}")]
    TooMany(usize),
    /// A window without a length, or a concurrency rule with one.
    #[error("the {} rule of {scope} cannot have a window of {window_ms} ms", kind.name())]
    Window {
        /// The rule's scope.
        scope: String,
        /// The rule's kind.
        kind: Kind,
        /// The window given.
        window_ms: u64,
    },
    /// The same counter twice: it would be charged twice for one request.
    #[error("the {} rule of {scope} stands twice with the same window", kind.name())]
    Twice {
        /// The rule's scope.
        scope: String,
        /// The rule's kind.
        kind: Kind,
    },
}

/// Names a counter: 128 bits of SHA-256, so that two tenants meet in one counter about never (2⁻⁶⁴ at 2³² counters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Never zero: it stands in the tag row, where zero means an empty way.
    pub tag: u64,
    pub rest: u64,
}

impl Identity {
    fn of(rule: &Rule) -> Self {
        let mut hash = Sha256::new();
        hash.update(rule.kind.name());
        hash.update([0]);
        hash.update(rule.window_ms.to_le_bytes());
        hash.update(&rule.scope);
        Self::digested(hash)
    }

    /// The identity of what is called `name` among those of `kind`, which holds no NUL.
    pub fn named(kind: &str, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update([0]);
        hash.update(name);
        Self::digested(hash)
    }

    fn digested(hash: Sha256) -> Self {
        let digest = hash.finalize();
        let word = |from: usize| {
            digest[from..from + 8]
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Self {
            tag: word(0) | 1,
            rest: word(8),
        }
    }
}

/// The rules of one principal, ready to be admitted against. Immutable; shared by every request under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSet {
    rules: Vec<Rule>,
    identities: Vec<Identity>,
    is_shared: bool,
}

impl LimitSet {
    /// Checks the rules and computes their counters' identities.
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleError> {
        if rules.len() > MAX_RULES {
            return Err(RuleError::TooMany(rules.len()));
        }
        if let Some(Rule {
            scope, kind, window_ms, ..
        }) = rules
            .iter()
            .find(|rule| (rule.kind == Kind::Concurrency) != (rule.window_ms == 0))
        {
            return Err(RuleError::Window {
                scope: scope.clone(),
                kind: *kind,
                window_ms: *window_ms,
            });
        }
        let identities: Vec<Identity> = rules.iter().map(Identity::of).collect();
        for (index, rule) in rules.iter().enumerate() {
            if identities[..index].contains(&identities[index]) {
                return Err(RuleError::Twice {
                    scope: rule.scope.clone(),
                    kind: rule.kind,
                });
            }
        }
        Ok(Self {
            rules,
            identities,
            is_shared: false,
        })
    }

    /// The same rules, held together with other hosts where there are any (`crate::leases`).
    #[must_use]
    pub fn shared(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The rules, in the order given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&Rule, Identity)> {
        self.rules.iter().zip(self.identities.iter().copied())
    }
}
