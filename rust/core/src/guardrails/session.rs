//! What the guard of one call remembers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::digest::DigestKey;
use super::outside::{Outside, OutsideJudge};
use super::policy::{Checks, Policy, Rule};
use super::vault::Vault;
use super::{Action, Direction, Judge, Ruling, Source, pattern};
use crate::detector::{Detector, Finding};

/// So many kinds of findings are told apart; no policy has as many.
const KINDS_MAX: usize = 1024;

/// What was found of one kind. Never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In which direction.
    pub direction: Direction,
    /// By which check.
    pub check: Arc<str>,
    /// What it is: an entity, a kind of secret.
    pub kind: String,
    /// What was done.
    pub action: Action,
    /// How many.
    pub count: usize,
}

/// Why nothing of a call may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// In which direction.
    pub direction: Direction,
    /// The check that says so.
    pub check: Arc<str>,
    /// What it found.
    pub kind: String,
}

/// The guard of one call.
#[derive(Debug)]
pub struct Session {
    policy: Policy,
    key: DigestKey,
    vault: Vault,
    tally: BTreeMap<(Direction, Arc<str>, String, Action), usize>,
    blocked: Option<Blocked>,
    /// What is said now was said before, and is counted.
    is_repeated: bool,
}

impl Session {
    /// A session of a call of `tenant`.
    #[must_use]
    pub fn new(policy: Policy, tenant: &str) -> Self {
        let key = DigestKey::of_tenant(policy.secret(), tenant);
        Self {
            policy,
            key,
            vault: Vault::default(),
            tally: BTreeMap::new(),
            blocked: None,
            is_repeated: false,
        }
    }

    /// The guard of one of several answers to this call, of which one will count: it knows the same originals, and has found
    /// nothing yet.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            key: self.key,
            vault: self.vault.clone(),
            tally: BTreeMap::new(),
            blocked: None,
            is_repeated: false,
        }
    }

    /// The answer counts: what its guard has found was found in this call, and is forgotten there.
    pub fn adopt(&mut self, fork: &mut Self) {
        for (key, count) in std::mem::take(&mut fork.tally) {
            if self.tally.len() < KINDS_MAX || self.tally.contains_key(&key) {
                *self.tally.entry(key).or_default() += count;
            }
        }
        if self.blocked.is_none() {
            self.blocked.clone_from(&fork.blocked);
        }
    }

    /// The policy that it applies.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The judge of a direction.
    pub fn judge(&mut self, direction: Direction) -> SessionJudge<'_> {
        SessionJudge {
            checks: Arc::clone(self.policy.checks(direction)),
            direction,
            session: self,
        }
    }

    /// The judge of what somebody else has found in that direction.
    pub fn outside<'a>(&'a mut self, direction: Direction, found: &'a [Outside]) -> OutsideJudge<'a> {
        OutsideJudge {
            session: self,
            direction,
            found,
        }
    }

    /// The value that a placeholder of this call stands for, if it is to be put back.
    #[must_use]
    pub fn original(&self, placeholder: &str) -> Option<&str> {
        self.vault.original(placeholder)
    }

    /// Whether there are values that may have to be put back into an answer.
    #[must_use]
    pub fn has_originals(&self) -> bool {
        !self.vault.is_empty()
    }

    /// What has been found so far, in order of direction, check, kind and action.
    pub fn found(&self) -> impl Iterator<Item = Found> {
        self.tally
            .iter()
            .map(|((direction, check, kind, action), count)| Found {
                direction: *direction,
                check: Arc::clone(check),
                kind: kind.clone(),
                action: *action,
                count: *count,
            })
    }

    /// The first reason why nothing may pass any more.
    #[must_use]
    pub const fn blocked(&self) -> Option<&Blocked> {
        self.blocked.as_ref()
    }

    /// Counts what somebody else has found. [`Action::Block`] blocks the call.
    pub fn note(&mut self, direction: Direction, check: &Arc<str>, kind: &str, action: Action) {
        if action == Action::Allow {
            return;
        }
        let key = (direction, Arc::clone(check), kind.to_owned(), action);
        if self.is_repeated && action != Action::Block {
            return;
        }
        if self.tally.len() < KINDS_MAX || self.tally.contains_key(&key) {
            *self.tally.entry(key).or_default() += 1;
        }
        if action == Action::Block && self.blocked.is_none() {
            self.blocked = Some(Blocked {
                direction,
                check: Arc::clone(check),
                kind: kind.to_owned(),
            });
        }
    }

    /// What stands in the place of a value that is to be rewritten.
    pub(super) fn replacement(&mut self, kind: &str, value: &str, action: Action, restores: bool) -> Cow<'static, str> {
        Cow::Owned(match action {
            Action::Mask => pattern::mask(value),
            Action::Hash => pattern::hash(kind, value, &self.key),
            _ if restores => self.vault.keep(kind, value, &self.key),
            _ => pattern::placeholder(kind),
        })
    }
}

/// A session as it judges the texts of one direction.
#[derive(Debug)]
pub struct SessionJudge<'a> {
    session: &'a mut Session,
    checks: Arc<Checks>,
    direction: Direction,
}

impl SessionJudge<'_> {
    fn apply(&mut self, rule: &Rule, kind: &str, action: Action, value: &str) -> Ruling {
        self.session.note(self.direction, &rule.check, kind, action);
        match action {
            Action::Allow | Action::Flag => Ruling::Pass,
            Action::Block => Ruling::Block,
            Action::Redact | Action::Mask | Action::Hash => {
                let restores = rule.restores && self.direction == Direction::Input;
                Ruling::Replace(self.session.replacement(kind, value, action, restores))
            }
        }
    }
}

impl Judge for SessionJudge<'_> {
    fn detectors(&self) -> &[Arc<dyn Detector>] {
        self.checks.detectors()
    }

    fn action(&self, detector: usize, finding: &Finding) -> Action {
        self.checks.action(detector, finding)
    }

    fn judge(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        let checks = Arc::clone(&self.checks);
        let Some((rule, action)) = checks.decide(detector, finding) else {
            return Ruling::Pass;
        };
        let kind = checks.detectors()[detector].name(finding.label);
        self.apply(rule, kind, action, value)
    }

    fn judge_sealed(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        let checks = Arc::clone(&self.checks);
        let Some((rule, action)) = checks.decide(detector, finding) else {
            return Ruling::Pass;
        };
        let kind = checks.detectors()[detector].name(finding.label);
        let action = match action {
            Action::Redact if rule.restores => action,
            Action::Redact | Action::Mask | Action::Hash => Action::Flag,
            _ => action,
        };
        self.apply(rule, kind, action, value)
    }

    fn original(&self, placeholder: &str) -> Option<&str> {
        self.session.original(placeholder)
    }

    fn alters(&self) -> bool {
        self.checks.alter() || !self.session.vault.is_empty()
    }

    fn repeats(&mut self, is_repeated: bool) {
        self.session.is_repeated = is_repeated;
    }

    fn reads_texts(&self) -> bool {
        !self.checks.readings().is_empty()
    }

    fn read(&mut self, source: Source, text: &str) -> Ruling {
        let checks = Arc::clone(&self.checks);
        let mut ruling = Ruling::Pass;
        for reading in checks.readings() {
            reading.reader.read(source, text, &mut |remark| {
                self.session
                    .note(self.direction, &reading.check, remark.kind, reading.action);
                if reading.action == Action::Block {
                    ruling = Ruling::Block;
                }
            });
        }
        ruling
    }
}
