//! Policies, compiled.

use std::ops::Range;
use std::sync::Arc;

use super::readers::{Attacks, Shape};
use super::resolve::Hit;
use super::spec::{CheckSpec, ContentSpec, InjectionSpec, Mode, PiiSpec, PolicyError, PolicySpec, SecretsSpec};
use super::{Action, Direction, Source};
use crate::content;
use crate::detector::{Detector, Finding};
use crate::pii::{self, Entities, Entity};
use crate::secrets::{self, Kind};

/// One or more policies, ready for calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    input: Arc<Checks>,
    output: Arc<Checks>,
    secret: Arc<[u8]>,
}

impl Policy {
    /// Compiles the JSON of a `tollway.contract.guardrails.Policy`. Checks that ask somebody else are left to the caller.
    ///
    /// `secret` is what the keys of tenants are made of.
    pub fn compile(spec: &[u8], secret: &[u8]) -> Result<Self, PolicyError> {
        let spec: PolicySpec =
            serde_json::from_slice(spec).map_err(|error| PolicyError::Malformed(error.to_string()))?;
        let is_monitor = spec.mode == Mode::Monitor;
        Ok(Self {
            input: Arc::new(Checks::compile(&spec.input, Direction::Input, is_monitor)?),
            output: Arc::new(Checks::compile(&spec.output, Direction::Output, is_monitor)?),
            secret: secret.into(),
        })
    }

    /// Both policies, as one that reads each text once: of what both see, this one decides, unless it does no more than
    /// to flag it.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        Self {
            input: Arc::new(self.input.beside(&other.input)),
            output: Arc::new(self.output.beside(&other.output)),
            secret: Arc::clone(&self.secret),
        }
    }

    /// The native checks of a direction.
    #[must_use]
    pub const fn checks(&self, direction: Direction) -> &Arc<Checks> {
        match direction {
            Direction::Input => &self.input,
            Direction::Output => &self.output,
        }
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// What a check does about what its detector finds.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The check's name in reports.
    pub(super) check: Arc<str>,
    /// By label; `other` for labels beyond.
    actions: Vec<Action>,
    other: Action,
    /// The least confidence that counts, in percent.
    threshold: u8,
    /// Whether a placeholder's original is put back into answers.
    pub(super) restores: bool,
    is_monitor: bool,
}

impl Rule {
    fn action(&self, finding: &Finding) -> Action {
        if finding.confidence < self.threshold {
            return Action::Allow;
        }
        let named = self.actions.get(usize::from(finding.label));
        self.watched(*named.unwrap_or(&self.other))
    }

    fn alters(&self) -> bool {
        let mut actions = self.actions.iter().chain([&self.other]);
        actions.any(|action| self.watched(*action) > Action::Flag)
    }

    fn watched(&self, action: Action) -> Action {
        if self.is_monitor {
            action.min(Action::Flag)
        } else {
            action
        }
    }
}

/// Judges whole texts.
pub(super) trait Reader: std::fmt::Debug + Send + Sync {
    /// Calls `found` with each thing that is wrong with a text.
    fn read(&self, source: Source, text: &str, found: &mut dyn FnMut(Remark<'_>));
}

/// What a check of whole texts says of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark<'k> {
    pub(super) kind: &'k str,
    /// How sure it is, in percent.
    pub(super) confidence: u8,
    /// The bytes that gave it away.
    pub(super) span: Range<usize>,
}

/// A check of whole texts.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) check: Arc<str>,
    pub(super) action: Action,
    pub(super) reader: Arc<dyn Reader>,
}

impl Reading {
    /// There is no place in a whole text that could be rewritten: it is refused instead.
    fn of(check: &Arc<str>, action: Action, is_monitor: bool, reader: Arc<dyn Reader>) -> Self {
        let action = match action {
            _ if is_monitor => action.min(Action::Flag),
            Action::Allow | Action::Flag => action,
            _ => Action::Block,
        };
        let check = Arc::clone(check);
        Self { check, action, reader }
    }
}

/// The native checks of one direction.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    detectors: Vec<Arc<dyn Detector>>,
    /// Of each detector.
    rules: Vec<Vec<Rule>>,
    readings: Vec<Reading>,
    /// The one detector of personal data, whatever the number of checks, and what it looks for.
    pii: Option<(usize, Entities)>,
    /// The one detector of secrets.
    secrets: Option<usize>,
}

impl Checks {
    /// Who looks at every text.
    #[must_use]
    pub fn detectors(&self) -> &[Arc<dyn Detector>] {
        &self.detectors
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.detectors.is_empty() && self.readings.is_empty()
    }

    /// Whether anything may be rewritten or blocked.
    #[must_use]
    pub fn alter(&self) -> bool {
        let mut rules = self.rules.iter().flatten();
        let mut readings = self.readings.iter();
        rules.any(Rule::alters) || readings.any(|reading| reading.action > Action::Flag)
    }

    /// What is done about a finding: the thresholds and tables of all checks applied. [`Action::Allow`]: nothing.
    #[must_use]
    pub fn action(&self, detector: usize, finding: &Finding) -> Action {
        self.decide(detector, finding)
            .map_or(Action::Allow, |(_, action)| action)
    }

    /// The first rule that rewrites or blocks; else the first that flags. Later checks see what earlier ones have left.
    pub(super) fn decide(&self, detector: usize, finding: &Finding) -> Option<(&Rule, Action)> {
        let mut flagged = None;
        for rule in self.rules.get(detector)? {
            match rule.action(finding) {
                Action::Allow => {}
                Action::Flag => flagged = flagged.or(Some((rule, Action::Flag))),
                action => return Some((rule, action)),
            }
        }
        flagged
    }

    pub(super) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What every one of the detectors finds in a whole text.
    #[must_use]
    pub fn scan(detectors: &[Arc<dyn Detector>], text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut findings = Vec::new();
        for (index, detector) in detectors.iter().enumerate() {
            if detector.may_find(text) {
                detector.scan(text, 0, true, &mut findings);
                hits.extend(findings.drain(..).map(|finding| Hit {
                    detector: index,
                    finding,
                }));
            }
        }
        hits
    }

    fn compile(specs: &[CheckSpec], direction: Direction, is_monitor: bool) -> Result<Self, PolicyError> {
        let mut checks = Self::default();
        for (index, spec) in specs.iter().enumerate() {
            let (check, added) = match spec {
                CheckSpec::Pii(spec) => ("pii", checks.add_pii(spec, is_monitor)),
                CheckSpec::Secrets(spec) => ("secrets", checks.add_secrets(spec, is_monitor)),
                CheckSpec::Injection(spec) => ("injection", checks.add_injection(spec, is_monitor)),
                CheckSpec::Content(spec) => ("content", checks.add_content(spec, direction, is_monitor)),
                CheckSpec::Moderation {} | CheckSpec::Webhook {} | CheckSpec::Presidio {} => continue,
            };
            added.map_err(|fault| PolicyError::Check {
                direction: direction.name(),
                index,
                check,
                fault,
            })?;
        }
        Ok(checks)
    }

    fn add_pii(&mut self, spec: &PiiSpec, is_monitor: bool) -> Result<(), String> {
        let mut actions = Vec::new();
        let mut entities = Vec::new();
        for (name, action) in &spec.actions {
            let entity = Entity::named(name).ok_or_else(|| {
                let known = Entity::ALL.map(Entity::name).join(", ");
                format!("unknown entity {name:?}: use {known}")
            })?;
            set(&mut actions, usize::from(entity as u8), *action);
            entities.push(entity);
        }
        let rule = Rule {
            check: "pii".into(),
            actions,
            other: Action::Allow,
            threshold: percent(spec.threshold)?,
            restores: spec.restore,
            is_monitor,
        };
        self.watch_pii(entities.into_iter().collect(), vec![rule]);
        Ok(())
    }

    fn add_secrets(&mut self, spec: &SecretsSpec, is_monitor: bool) -> Result<(), String> {
        let mut actions = vec![spec.action; Kind::ALL.len()];
        for (name, action) in &spec.actions {
            let named = |kind: &&Kind| kind.name() == name;
            let kind = Kind::ALL.iter().find(named);
            let kind = kind.ok_or_else(|| format!("unknown kind of secret {name:?}"))?;
            set(&mut actions, usize::from(kind.label()), *action);
        }
        let rule = Rule {
            check: "secrets".into(),
            actions,
            other: spec.action,
            threshold: percent(spec.threshold)?,
            restores: spec.restore,
            is_monitor,
        };
        self.watch_secrets(vec![rule]);
        Ok(())
    }

    fn watch_secrets(&mut self, rules: Vec<Rule>) {
        if let Some(index) = self.secrets {
            self.rules[index].extend(rules);
            return;
        }
        self.secrets = Some(self.detectors.len());
        self.detectors.push(Arc::new(secrets::Scanner::new()));
        self.rules.push(rules);
    }

    fn add_injection(&mut self, spec: &InjectionSpec, is_monitor: bool) -> Result<(), String> {
        let reader = Arc::new(Attacks::of(spec)?);
        let check: Arc<str> = "injection".into();
        self.readings.push(Reading::of(&check, spec.action, is_monitor, reader));
        Ok(())
    }

    fn add_content(&mut self, spec: &ContentSpec, direction: Direction, is_monitor: bool) -> Result<(), String> {
        let check: Arc<str> = spec.name.as_str().into();
        if let Some(shape) = Shape::of(spec, direction)? {
            self.readings
                .push(Reading::of(&check, spec.action, is_monitor, Arc::new(shape)));
        }
        if !(spec.deny.is_empty() && spec.patterns.is_empty() && spec.topics.is_empty()) {
            let matcher = content::Matcher::new(&spec.deny, &spec.patterns, &spec.topics, &spec.allow);
            self.detectors
                .push(Arc::new(matcher.map_err(|error| error.to_string())?));
            self.rules.push(vec![Rule {
                check,
                actions: Vec::new(),
                other: spec.action,
                threshold: 0,
                restores: false,
                is_monitor,
            }]);
        }
        Ok(())
    }

    fn watch_pii(&mut self, entities: Entities, rules: Vec<Rule>) {
        let Some((index, held)) = self.pii else {
            self.pii = Some((self.detectors.len(), entities));
            self.detectors.push(Arc::new(pii::Scanner::new(entities)));
            self.rules.push(rules);
            return;
        };
        let both: Entities = Entity::ALL
            .into_iter()
            .filter(|entity| held.contains(*entity) || entities.contains(*entity))
            .collect();
        self.pii = Some((index, both));
        self.detectors[index] = Arc::new(pii::Scanner::new(both));
        self.rules[index].extend(rules);
    }

    fn beside(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (index, (detector, rules)) in other.detectors.iter().zip(&other.rules).enumerate() {
            match other.pii {
                Some((pii, entities)) if pii == index => both.watch_pii(entities, rules.clone()),
                _ if other.secrets == Some(index) => both.watch_secrets(rules.clone()),
                _ => {
                    both.detectors.push(Arc::clone(detector));
                    both.rules.push(rules.clone());
                }
            }
        }
        both.readings.extend(other.readings.iter().cloned());
        both
    }
}

fn set(actions: &mut Vec<Action>, label: usize, action: Action) {
    if actions.len() <= label {
        actions.resize(label + 1, Action::Allow);
    }
    actions[label] = action;
}

/// A confidence of 0 to 1 in percent.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 to 100
pub(super) fn percent(threshold: f32) -> Result<u8, String> {
    if (0.0..=1.0).contains(&threshold) {
        Ok((threshold * 100.0).round() as u8)
    } else {
        Err(format!("the threshold {threshold} is not in 0 to 1"))
    }
}
