//! Policies as they are written: the JSON of `tollway.contract.guardrails.Policy`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Action;

/// Why a policy can't be used: which of its checks is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is not the JSON of a policy.
    #[error("not a policy: {0}")]
    Malformed(String),
    /// A check asks for what there is not.
    #[error("{direction}[{index}] ({check}): {fault}")]
    Check {
        /// Of which direction.
        direction: &'static str,
        /// Which of its checks, from 0.
        index: usize,
        /// The check.
        check: &'static str,
        /// What is wrong.
        fault: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct PolicySpec {
    #[serde(default)]
    pub(super) input: Vec<CheckSpec>,
    #[serde(default)]
    pub(super) output: Vec<CheckSpec>,
    #[serde(default)]
    pub(super) mode: Mode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    #[default]
    Enforce,
    Monitor,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "check", rename_all = "lowercase")]
pub(super) enum CheckSpec {
    Pii(PiiSpec),
    Secrets(SecretsSpec),
    Injection(InjectionSpec),
    Content(ContentSpec),
    // Others ask somebody: that is not done here.
    Moderation {},
    Webhook {},
    Presidio {},
}

const fn half() -> f32 {
    0.5
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct PiiSpec {
    pub(super) actions: BTreeMap<String, Action>,
    #[serde(default = "half")]
    pub(super) threshold: f32,
    #[serde(default)]
    pub(super) restore: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SecretsSpec {
    pub(super) action: Action,
    #[serde(default)]
    pub(super) actions: BTreeMap<String, Action>,
    #[serde(default = "half")]
    pub(super) threshold: f32,
    #[serde(default)]
    pub(super) restore: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Where {
    User,
    Tool,
}

fn everywhere() -> Vec<Where> {
    vec![Where::User, Where::Tool]
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct InjectionSpec {
    pub(super) action: Action,
    #[serde(default = "half")]
    pub(super) threshold: f32,
    #[serde(default = "everywhere", rename = "where")]
    pub(super) places: Vec<Where>,
}

fn content_name() -> String {
    "content".to_owned()
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ContentSpec {
    pub(super) action: Action,
    #[serde(default = "content_name")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) deny: Vec<String>,
    #[serde(default)]
    pub(super) patterns: Vec<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    #[serde(default)]
    pub(super) allow: Vec<String>,
    #[serde(default)]
    pub(super) max_characters: Option<usize>,
    #[serde(default)]
    pub(super) languages: Vec<String>,
    #[serde(default)]
    pub(super) json_schema: Option<String>,
}
