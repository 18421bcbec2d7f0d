//! Whole answers, screened as streams are: every text is fed through the same machines, in one piece.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::field;
use super::joined::{self, Joined};
use super::sites::{ELEMENT, Kind, MEMBER, Site, Sites, steps};
use super::text::Halt;
use super::{Direction, Hit, Judge, Outside, Session, located, rule};
use crate::chat::Operation;
use crate::chat::json::{self, Edit, Span};

/// What the client gets of a whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screened {
    /// The body, if it is another.
    pub body: Option<Vec<u8>>,
    /// Whether tokens one by one were dropped, which repeat the text.
    pub drops_tokens: bool,
}

/// Whether answers to the operation hold texts: vectors, verdicts and sound do not.
#[must_use]
pub const fn has_texts(operation: Operation) -> bool {
    !matches!(
        operation,
        Operation::Embeddings | Operation::CountTokens | Operation::Moderations | Operation::Speech
    )
}

impl Session {
    /// Screens a whole answer, be it JSON, subtitles or a plain text. A detector that panics is a [`Halt`], too.
    pub fn answer(&mut self, body: &[u8], operation: Operation) -> Result<Screened, Halt> {
        if !has_texts(operation) {
            return Ok(Screened::default());
        }
        let mut judge = self.judge(Direction::Output);
        catch_unwind(AssertUnwindSafe(|| answer(&mut judge, body))).unwrap_or(Err(Halt))
    }
}

impl Session {
    /// Every text of a whole answer, for checks that are not native.
    #[must_use]
    pub fn answer_texts(body: &[u8], operation: Operation) -> Vec<String> {
        if !has_texts(operation) {
            return Vec::new();
        }
        let told = String::from_utf8_lossy(body);
        let Some(text) = json::mended(&told) else {
            return vec![told.into_owned()];
        };
        let mut sites = Sites::default();
        sites.find(text.as_bytes());
        let said = |site: Site| match site.kind {
            Kind::Inline => String::from_utf8_lossy(site.span.of(text.as_bytes())).into_owned(),
            _ => json::unescape(site.span.of(text.as_bytes())).into_owned(),
        };
        sites
            .iter()
            .filter(|(site, _)| site.is_text())
            .map(|(site, _)| said(site))
            .collect()
    }

    /// The answer with what checks that are not native found in its texts. JSON stays JSON: where a finding would break it, the
    /// whole text is hidden.
    pub fn edit_answer(&mut self, body: &[u8], operation: Operation, found: &[Outside]) -> Result<Vec<u8>, Halt> {
        let texts = Self::answer_texts(body, operation);
        let hits = located(texts.iter().map(String::as_str), found);
        let told = String::from_utf8_lossy(body);
        let mut places = Sites::default();
        let mended = json::mended(&told);
        if let Some(body) = &mended {
            places.find(body.as_bytes());
        }
        let body = mended.unwrap_or(Cow::Borrowed(&told));
        let sites: Vec<Site> = places.iter().map(|(site, _)| site).filter(Site::is_text).collect();
        let mut edits = Vec::new();
        for (number, hits) in hits {
            let text = &texts[number];
            let Some(edited) = edited(&mut self.outside(Direction::Output, found), text, hits)? else {
                continue;
            };
            let Some(site) = sites.get(number) else {
                return Ok(edited.into_bytes());
            };
            let broken = json::is_json(text.as_bytes()) && !json::is_json(edited.as_bytes());
            let edited = if broken { "\"[HIDDEN]\"".to_owned() } else { edited };
            let text = match site.kind {
                Kind::Inline => edited,
                _ => json::escape(&edited).into_owned(),
            };
            edits.push(Edit {
                span: site.span,
                text: Cow::Owned(text),
            });
        }
        drop_tokens(&places, body.as_bytes(), &mut edits);
        Ok(json::splice(body.as_bytes(), &edits))
    }
}

/// A text in which somebody else has found something; nothing where it stays as it is.
fn edited(judge: &mut dyn Judge, text: &str, mut hits: Vec<Hit>) -> Result<Option<String>, Halt> {
    let mut places = Vec::new();
    if rule(judge, text, &mut hits, text.len(), &mut places).is_blocked {
        return Err(Halt);
    }
    let edits: Vec<Edit> = places
        .into_iter()
        .map(|place| Edit {
            span: Span {
                start: place.start,
                end: place.end,
            },
            text: place.text,
        })
        .collect();
    let edited = json::splice(text.as_bytes(), &edits);
    Ok((!edits.is_empty()).then(|| String::from_utf8_lossy(&edited).into_owned()))
}

/// Screens a whole answer.
pub(super) fn answer(judge: &mut dyn Judge, body: &[u8]) -> Result<Screened, Halt> {
    let told = String::from_utf8_lossy(body);
    let screened = if let Some(text) = json::mended(&told) {
        screen_json(judge, text.as_bytes())?
    } else {
        let written = joined::lines(judge, &told)?;
        Screened {
            body: (written != told).then(|| written.into_bytes()),
            drops_tokens: false,
        }
    };
    Ok(if judge.alters() { screened } else { Screened::default() })
}

fn screen_json(judge: &mut dyn Judge, body: &[u8]) -> Result<Screened, Halt> {
    let mut sites = Sites::default();
    sites.find(body);
    let mut edits = Vec::new();
    for (site, path) in sites.iter() {
        if site.is_text() && part(path).is_none() {
            edits.extend(revised(judge, body, site)?);
        }
    }
    for name in [&b"segments"[..], b"words"] {
        let parts: Vec<Span> = sites
            .iter()
            .filter(|(site, path)| site.kind == Kind::Text && part(path) == Some(name))
            .map(|(site, _)| site.span)
            .collect();
        edits.extend(revised_parts(judge, body, &parts)?);
    }
    if edits.is_empty() {
        return Ok(Screened::default());
    }
    let drops_tokens = drop_tokens(&sites, body, &mut edits);
    Ok(Screened {
        body: Some(json::splice(body, &edits)),
        drops_tokens,
    })
}

/// Where texts change, tokens one by one go, which repeat them: whether there are any. The edits are in order then.
fn drop_tokens(sites: &Sites, body: &[u8], edits: &mut Vec<Edit>) -> bool {
    if edits.is_empty() {
        return false;
    }
    let texts = edits.len();
    for (site, _) in sites.iter().filter(|(site, _)| site.kind == Kind::Tokens) {
        edits.push(Edit {
            span: site.span,
            text: Cow::Borrowed(no_tokens(site.span.of(body))),
        });
    }
    edits.sort_by_key(|edit| edit.span.start);
    edits.len() > texts
}

/// What stands in the place of tokens one by one.
pub(super) fn no_tokens(told: &[u8]) -> &'static str {
    if told.first() == Some(&b'[') { "[]" } else { "null" }
}

/// The list that holds the place, if it is one of a transcript's: they say again, in parts, what was said.
fn part(path: &[u8]) -> Option<&[u8]> {
    let mut steps = steps(path);
    let (_, list) = steps.next().filter(|(mark, _)| *mark == MEMBER)?;
    steps.next().filter(|(mark, _)| *mark == ELEMENT)?;
    let (_, name) = steps.next()?;
    let is_part = steps.next().is_none() && matches!((list, name), (b"segments", b"text") | (b"words", b"word"));
    is_part.then_some(list)
}

fn revised(judge: &mut dyn Judge, body: &[u8], site: Site) -> Result<Option<Edit>, Halt> {
    let raw = std::str::from_utf8(site.span.of(body)).unwrap_or_default();
    let mut out = String::with_capacity(raw.len());
    field::whole(judge, site.kind, raw, &mut out)?;
    Ok((out != raw).then_some(Edit {
        span: site.span,
        text: Cow::Owned(out),
    }))
}

fn revised_parts(judge: &mut dyn Judge, body: &[u8], parts: &[Span]) -> Result<Vec<Edit>, Halt> {
    let mut joined = Joined::default();
    let said: Vec<Cow<'_, str>> = parts.iter().map(|span| json::unescape(span.of(body))).collect();
    for part in &said {
        joined.push(part);
    }
    judge.repeats(true);
    let screened = joined.screen(judge);
    judge.repeats(false);
    let changed = screened?
        .into_iter()
        .zip(said)
        .zip(parts)
        .filter(|((new, old), _)| new != old);
    let edit = |((new, _), span): ((String, Cow<'_, str>), &Span)| Edit {
        span: *span,
        text: Cow::Owned(json::escape(&new).into_owned()),
    };
    Ok(changed.map(edit).collect())
}

#[cfg(test)]
mod tests {
    use super::super::trial::Bench;
    use super::answer;

    fn screened(body: &str) -> String {
        let answer = answer(&mut Bench::rewriting(), body.as_bytes()).unwrap_or_default();
        answer
            .body
            .map_or_else(|| body.to_owned(), |body| String::from_utf8_lossy(&body).into_owned())
    }

    #[test]
    fn every_text_of_an_answer_is_screened_and_nothing_else() {
        assert_eq!(
            screened(
                r#"{"id":"a@b","choices":[{"message":{"role":"a@b","content":"a@b","tool_calls":[{"id":"a@b","function":{"name":"a@b","arguments":"{\"k\":4111111111111111}"}}]},"logprobs":{"content":[]},"finish_reason":"stop"}]}"#
            ),
            r#"{"id":"a@b","choices":[{"message":{"role":"a@b","content":"[Mail 3]","tool_calls":[{"id":"a@b","function":{"name":"a@b","arguments":"{\"k\":\"[Card 16]\"}"}}]},"logprobs":null,"finish_reason":"stop"}]}"#
        );
        assert_eq!(
            screened(r#"{"content":[{"type":"tool_use","name":"n","input":{"name":"a@b","n":4111111111111111}}]}"#),
            r#"{"content":[{"type":"tool_use","name":"n","input":{"name":"[Mail 3]","n":"[Card 16]"}}]}"#
        );
        assert_eq!(
            screened(r#"{"results":[{"index":0,"document":{"name":"a@b"}},{"document":{"text":"a@b"}}]}"#),
            r#"{"results":[{"index":0,"document":{"name":"[Mail 3]"}},{"document":{"text":"[Mail 3]"}}]}"#
        );
        let clean = r#"{"choices":[{"logprobs":{"content":[{"token":"x"}]},"message":{"content":"fine"}}]}"#;
        assert_eq!(screened(clean), clean);
    }

    #[test]
    fn parts_of_a_transcript_hide_what_reaches_over_them() {
        assert_eq!(
            screened(
                r#"{"text":"it is a@b ok","segments":[{"text":"it is a@","tokens":[1,2]},{"text":"b ok","tokens":[3]}],"words":[{"word":"a@b"},{"word":"ok"}]}"#
            ),
            r#"{"text":"it is [Mail 3] ok","segments":[{"text":"it is a@","tokens":[]},{"text":"b ok","tokens":[]}],"words":[{"word":"[Mail 3]"},{"word":"ok"}]}"#
        );
        let srt = "1\n00:00:01,000 --> 00:00:04,000\npin\n\n2\n00:00:05,000 --> 00:00:06,000\n1234 of a@b\n";
        assert_eq!(screened(srt), srt.replace("1234 of a@b", "[Pin 4] of [Mail 3]"));
        assert_eq!(screened("plain a@b"), "plain [Mail 3]");
    }
}
