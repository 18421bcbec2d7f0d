//! Families of phrases: sequences of concepts with room between them.

use super::lexicon::{Concept, Lexicon};

const TEXT: &str = include_str!("families.txt");
/// How many concepts a phrase is looked for in.
const RING: usize = 8;
/// More families than this have no feature of their own.
pub(super) const FAMILIES_MAX: usize = 64;

/// One phrase: what its steps may be, and how many words behind the step before.
#[derive(Debug)]
struct Phrase {
    family: usize,
    steps: Vec<(u64, usize)>,
}

/// All phrases, by the concept they end with.
#[derive(Debug)]
pub(super) struct Families {
    phrases: Vec<Phrase>,
    names: Vec<&'static str>,
    ends: u64,
}

/// The last concepts that were met, and at which word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ring {
    met: [(Concept, usize); RING],
    count: usize,
}

impl Ring {
    /// Takes in one more.
    pub(super) fn push(&mut self, concept: Concept, word: usize) {
        self.met[self.count % RING] = (concept, word);
        self.count += 1;
    }

    /// The last one first.
    pub(super) fn back(&self) -> impl Iterator<Item = (Concept, usize)> + Clone + '_ {
        (1..=self.count.min(RING)).map(|ago| self.met[(self.count - ago) % RING])
    }
}

impl Families {
    /// The families that come with the module. A test holds that every line of theirs is understood.
    pub(super) fn new(lexicon: &Lexicon) -> Self {
        let mut families = Self {
            phrases: Vec::new(),
            names: Vec::new(),
            ends: 0,
        };
        for line in TEXT.lines() {
            if let Some((name, steps)) = line.split_once(": ")
                && !line.starts_with('#')
                && let Some(steps) = read(lexicon, steps)
            {
                let family = families.names.iter().position(|known| *known == name);
                let family = family.unwrap_or_else(|| {
                    families.names.push(name);
                    families.names.len() - 1
                });
                families.ends |= steps.last().map_or(0, |step| step.0);
                families.phrases.push(Phrase { family, steps });
            }
        }
        families
    }

    /// A family's name.
    pub(super) fn name(&self, family: usize) -> Option<&'static str> {
        self.names.get(family).copied()
    }

    /// The families of which a phrase ends with the concept that was met last.
    pub(super) fn ending<'a>(&'a self, ring: &'a Ring) -> impl Iterator<Item = usize> + 'a {
        let last = ring.back().next().map_or(0, |(concept, _)| bit(concept));
        let phrases = if self.ends & last == 0 {
            &[]
        } else {
            self.phrases.as_slice()
        };
        phrases
            .iter()
            .filter(move |phrase| phrase.steps.last().is_some_and(|step| step.0 & last != 0) && phrase.holds(ring))
            .map(|phrase| phrase.family)
    }
}

impl Phrase {
    fn holds(&self, ring: &Ring) -> bool {
        let mut met = ring.back();
        let Some((_, mut word)) = met.next() else {
            return false;
        };
        self.steps.windows(2).rev().all(|pair| {
            let ((mask, _), (_, within)) = (pair[0], pair[1]);
            let found = met.find(|(concept, at)| mask & bit(*concept) != 0 || word - at > within);
            match found {
                Some((_, at)) if word - at <= within => {
                    word = at;
                    true
                }
                _ => false,
            }
        })
    }
}

fn bit(concept: Concept) -> u64 {
    1u64.checked_shl(u32::from(concept)).unwrap_or(0)
}

/// `one|other >words then|or`
fn read(lexicon: &Lexicon, text: &str) -> Option<Vec<(u64, usize)>> {
    let mut within = 0;
    let mut steps = Vec::new();
    for part in text.split_whitespace() {
        if let Some(words) = part.strip_prefix('>') {
            within = words.parse().ok()?;
            continue;
        }
        let mut mask = 0;
        for name in part.split('|') {
            mask |= bit(lexicon.concept(name)?);
        }
        steps.push((mask, within));
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_line_is_understood() {
        let lexicon = Lexicon::new();
        let families = Families::new(&lexicon);
        let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines.clone() {
            let steps = line.split_once(": ").and_then(|(_, steps)| read(&lexicon, steps));
            assert!(steps.is_some(), "{line}");
        }
        assert_eq!(families.phrases.len(), lines.count());
        assert!(families.names.len() <= FAMILIES_MAX);
    }
}
