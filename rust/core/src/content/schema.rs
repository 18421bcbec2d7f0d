//! JSON schemas that answers must hold to, compiled once.
//!
//! Patterns in a schema are linear ones; what it refers to must be in it: nothing is fetched.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// What is said of a schema at most, in characters.
const REASON_CHARS_MAX: usize = 300;

/// The automata of all patterns of a schema, in bytes; each may take an equal part of it.
const PATTERNS_BYTES_MAX: usize = 16 << 20;

/// Why something is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

/// What an answer does not hold to. Says nothing of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unheld {
    /// It is no JSON.
    Json,
    /// The place in the schema, as a pointer (RFC 6901).
    Schema(String),
}

/// A compiled schema: draft 4 to 2020-12, as its `$schema` says, the latest without one.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// Compiles the JSON of a schema.
    pub fn new(schema: &str) -> Result<Self, SchemaError> {
        let schema: Value = serde_json::from_str(schema).map_err(|error| SchemaError(error.to_string()))?;
        let part = PATTERNS_BYTES_MAX / patterns(&schema).max(2);
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(part))
            .offline()
            .build(&schema)
            .map_err(|error| SchemaError(error.to_string().chars().take(REASON_CHARS_MAX).collect()))?;
        Ok(Self { validator })
    }

    /// Whether a whole answer is JSON that holds to the schema.
    pub fn hold(&self, answer: &str) -> Result<(), Unheld> {
        let answer: Value = serde_json::from_str(answer).map_err(|_| Unheld::Json)?;
        self.validator
            .validate(&answer)
            .map_err(|error| Unheld::Schema(error.schema_path().to_string()))
    }
}

/// How many patterns a schema has, at most.
fn patterns(schema: &Value) -> usize {
    match schema {
        Value::Array(parts) => parts.iter().map(patterns).sum(),
        Value::Object(parts) => parts
            .iter()
            .map(|(key, part)| {
                let here = match (key.as_str(), part) {
                    ("pattern", Value::String(_)) => 1,
                    ("patternProperties", Value::Object(each)) => each.len(),
                    _ => 0,
                };
                here + patterns(part)
            })
            .sum(),
        _ => 0,
    }
}
