//! Checks of whole texts: what no place in them gives away.

use super::policy::{Reader, Remark, percent};
use super::spec::{ContentSpec, InjectionSpec, Where};
use super::{Direction, Source};
use crate::content::{Schema, speaks};
use crate::injection::Classifier;

/// Attacks on the instructions of a model: in what users say, and in what tools and documents bring.
#[derive(Debug)]
pub(super) struct Attacks {
    classifier: Classifier,
    threshold: f32,
    places: Vec<Where>,
}

impl Attacks {
    pub(super) fn of(spec: &InjectionSpec) -> Result<Self, String> {
        percent(spec.threshold)?;
        Ok(Self {
            classifier: Classifier::new(),
            threshold: spec.threshold,
            places: spec.places.clone(),
        })
    }

    /// Who is not known may be anybody; operators and models attack nobody.
    fn looks_at(&self, source: Source) -> bool {
        match source {
            Source::User => self.places.contains(&Where::User),
            Source::Tool => self.places.contains(&Where::Tool),
            Source::Other => true,
            Source::System | Source::Assistant => false,
        }
    }
}

impl Reader for Attacks {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a score is within 0 and 1
    fn read(&self, source: Source, text: &str, found: &mut dyn FnMut(Remark<'_>)) {
        if !self.looks_at(source) {
            return;
        }
        let score = self.classifier.score(text);
        if score.score > 0.0 && score.score >= self.threshold {
            found(Remark {
                kind: score.why,
                confidence: (score.score * 100.0).round() as u8,
                span: score.start..score.end,
            });
        }
    }
}

/// Lengths, languages and the form of answers.
#[derive(Debug)]
pub(super) struct Shape {
    direction: Direction,
    characters_max: Option<usize>,
    languages: Vec<String>,
    schema: Option<Schema>,
}

impl Shape {
    /// What a content check says of whole texts; `None` if that is nothing. A schema holds for answers alone.
    pub(super) fn of(spec: &ContentSpec, direction: Direction) -> Result<Option<Self>, String> {
        let schema = spec.json_schema.as_deref().filter(|_| direction == Direction::Output);
        let schema = schema
            .map(Schema::new)
            .transpose()
            .map_err(|error| format!("json_schema: {error}"))?;
        let is_idle = spec.max_characters.is_none() && spec.languages.is_empty() && schema.is_none();
        Ok((!is_idle).then(|| Self {
            direction,
            characters_max: spec.max_characters,
            languages: spec.languages.clone(),
            schema,
        }))
    }

    /// Whether the language of a text is its speaker's choice: an operator's own texts and what tools bring is not.
    fn chooses_language(&self, source: Source) -> bool {
        match self.direction {
            Direction::Input => matches!(source, Source::User | Source::Other),
            Direction::Output => source == Source::Assistant,
        }
    }
}

impl Reader for Shape {
    fn read(&self, source: Source, text: &str, found: &mut dyn FnMut(Remark<'_>)) {
        let mut whole = |kind| {
            found(Remark {
                kind,
                confidence: 100,
                span: 0..text.len(),
            });
        };
        // A character is a byte at least: most texts need no counting.
        if self
            .characters_max
            .is_some_and(|max| text.len() > max && text.chars().count() > max)
        {
            whole("max_characters");
        }
        if !self.languages.is_empty() && self.chooses_language(source) && !speaks(text, &self.languages) {
            whole("language");
        }
        if let Some(schema) = self.schema.as_ref().filter(|_| source == Source::Assistant) {
            if schema.hold(text).is_err() {
                whole("json_schema");
            }
        }
    }
}
