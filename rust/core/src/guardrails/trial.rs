//! Small detectors and a judge, for tests of what reads texts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Action, Judge, Judges, Ruling};
use crate::detector::{Detector, Finding};

/// What a trial's detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// Runs of 16 digits.
    Card,
    /// `a@b`: lower-case words around an `@`.
    Mail,
    /// Runs of four digits with `pin` somewhere in the 32 bytes before.
    Pin,
    /// `xx` followed by anything in `xyz`, so that it overlaps with others.
    Cross,
    /// The word `STOP`.
    Stop,
    /// Panics at the word `PANIC`.
    Panic,
}

#[derive(Debug)]
pub(super) struct Trial(pub(super) Looks);

impl Trial {
    fn belongs(&self, byte: u8) -> bool {
        match self.0 {
            Looks::Card | Looks::Pin => byte.is_ascii_digit(),
            Looks::Mail => byte.is_ascii_lowercase() || byte == b'@',
            Looks::Cross => matches!(byte, b'x' | b'y' | b'z' | b'@'),
            Looks::Stop | Looks::Panic => byte.is_ascii_uppercase(),
        }
    }

    fn is_found(&self, text: &str, start: usize, end: usize) -> bool {
        let run = &text[start..end];
        match self.0 {
            Looks::Card => run.len() == 16,
            Looks::Mail => run.split('@').count() == 2 && !run.starts_with('@') && !run.ends_with('@'),
            Looks::Pin => {
                let before = &text.as_bytes()[start.saturating_sub(32)..start];
                run.len() == 4 && before.windows(3).any(|word| word == b"pin")
            }
            Looks::Cross => run.starts_with("xx") && run.len() > 2,
            Looks::Stop => run == "STOP",
            Looks::Panic => {
                assert_ne!(run, "PANIC", "a detector may be wrong");
                false
            }
        }
    }
}

impl Detector for Trial {
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<Finding>) -> usize {
        let bytes = text.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            let len = bytes[at..].iter().take_while(|byte| self.belongs(**byte)).count();
            let end = at + len;
            if end == bytes.len() && !is_last && len > 0 {
                return at;
            }
            let is_begun = at == 0 || !self.belongs(bytes[at - 1]);
            if len > 0 && is_begun && self.is_found(text, at, end) {
                let confidence = 80;
                findings.push(Finding {
                    label: 0,
                    confidence,
                    start: at,
                    end,
                });
            }
            at = usize::max(end, at + 1);
        }
        bytes.len()
    }

    fn name(&self, _label: u16) -> &'static str {
        "trial"
    }
}

/// Judges by a table, and knows originals.
#[derive(Debug)]
pub(super) struct Bench {
    detectors: Vec<Arc<dyn Detector>>,
    actions: Vec<(Looks, Action)>,
    pub(super) originals: BTreeMap<String, String>,
    pub(super) counted: usize,
    is_repeated: bool,
}

impl Bench {
    pub(super) fn of(actions: &[(Looks, Action)]) -> Self {
        Self {
            detectors: actions
                .iter()
                .map(|(looks, _)| Arc::new(Trial(*looks)) as Arc<dyn Detector>)
                .collect(),
            actions: actions.to_vec(),
            originals: BTreeMap::new(),
            counted: 0,
            is_repeated: false,
        }
    }

    /// Everything is rewritten, and there is a placeholder with an awkward original.
    pub(super) fn rewriting() -> Self {
        let looks = [Looks::Card, Looks::Mail, Looks::Pin, Looks::Cross];
        let mut bench = Self::of(&looks.map(|looks| (looks, Action::Redact)));
        bench.originals.insert(PLACEHOLDER.to_owned(), ORIGINAL.to_owned());
        bench
    }

    pub(super) fn shared(self) -> Box<dyn Judges> {
        Box::new(Shared(Arc::new(Mutex::new(self))))
    }
}

pub(super) const PLACEHOLDER: &str = "[EMAIL_BCDFGHJK]";
pub(super) const ORIGINAL: &str = "jane \"x\"\\ o\u{e9}\n@4111111111111111";

#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Mutex<Bench>>);

impl Judges for Shared {
    fn sit(&self, work: &mut dyn FnMut(&mut dyn Judge)) {
        if let Ok(mut bench) = self.0.lock() {
            work(&mut *bench);
        }
    }
}

impl Judge for Bench {
    fn detectors(&self) -> &[Arc<dyn Detector>] {
        &self.detectors
    }

    fn action(&self, detector: usize, _finding: &Finding) -> Action {
        self.actions[detector].1
    }

    fn judge(&mut self, detector: usize, _finding: &Finding, value: &str) -> Ruling {
        self.counted += usize::from(!self.is_repeated);
        let (looks, action) = self.actions[detector];
        match action {
            Action::Block => Ruling::Block,
            Action::Redact => Ruling::Replace(format!("[{looks:?} {}]", value.len()).into()),
            _ => Ruling::Pass,
        }
    }

    fn judge_sealed(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        self.judge(detector, finding, value)
    }

    fn original(&self, placeholder: &str) -> Option<&str> {
        self.originals.get(placeholder).map(String::as_str)
    }

    fn alters(&self) -> bool {
        self.actions.iter().any(|(_, action)| *action > Action::Flag) || !self.originals.is_empty()
    }

    fn repeats(&mut self, is_repeated: bool) {
        self.is_repeated = is_repeated;
    }
}

/// The pieces of `text`, cut at the given places, each taken modulo its length and moved to a character's beginning.
pub(super) fn cut<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    crate::detector::proof::cut(text, cuts)
}
