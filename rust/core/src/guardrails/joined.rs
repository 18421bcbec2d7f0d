//! Parts of one text that stand apart: segments and words of a transcript, the lines of subtitles. What is found may reach over
//! several of them; it is replaced where it begins.

use super::Judge;
use super::spelt::Sink;
use super::text::{Halt, TextStream};

/// A text of parts.
#[derive(Debug, Default)]
pub(super) struct Joined {
    text: String,
    /// Where each part begins and ends.
    parts: Vec<(usize, usize)>,
}

impl Joined {
    pub(super) fn push(&mut self, part: &str) {
        let is_apart = part.starts_with(char::is_whitespace) || self.text.ends_with(char::is_whitespace);
        if !self.text.is_empty() && !is_apart {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(part);
        self.parts.push((start, self.text.len()));
    }

    /// What becomes of each part.
    pub(super) fn screen(&self, judge: &mut dyn Judge) -> Result<Vec<String>, Halt> {
        let mut spread = Spread {
            joined: self,
            at: 0,
            part: 0,
            out: vec![String::new(); self.parts.len()],
        };
        TextStream::default().feed(judge, &self.text, true, &mut spread)?;
        Ok(spread.out)
    }
}

struct Spread<'a> {
    joined: &'a Joined,
    at: usize,
    part: usize,
    out: Vec<String>,
}

impl Spread<'_> {
    /// Steps to the part that ends behind where we are.
    fn step(&mut self) -> Option<(usize, usize)> {
        while self.joined.parts.get(self.part)?.1 <= self.at {
            self.part += 1;
        }
        self.joined.parts.get(self.part).copied()
    }
}

impl Sink for Spread<'_> {
    fn keep(&mut self, bytes: usize) {
        let end = self.at + bytes;
        while self.at < end {
            let Some((start, stop)) = self.step() else {
                break;
            };
            let (from, to) = (usize::max(start, self.at), usize::min(stop, end));
            if from < to {
                self.out[self.part].push_str(&self.joined.text[from..to]);
            }
            self.at = usize::max(to, start).min(end);
        }
        self.at = end;
    }

    fn put(&mut self, bytes: usize, text: &str) {
        if self.step().is_some() {
            self.out[self.part].push_str(text);
        }
        self.at += bytes;
    }
}

/// What becomes of a plain text, or of subtitles, whose times are left alone (`SubRip`, W3C `WebVTT`).
pub(super) fn lines(judge: &mut dyn Judge, text: &str) -> Result<String, Halt> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_time = |line: &&str| line.contains("-->");
    if !lines.iter().any(is_time) {
        let mut out = String::with_capacity(text.len());
        super::field::plain(judge, text, &mut out)?;
        return Ok(out);
    }
    let is_said = |at: usize| {
        let line = lines[at].trim();
        let is_number = line.bytes().all(|byte| byte.is_ascii_digit()) && lines.get(at + 1).is_some_and(is_time);
        !(line.is_empty() || is_number || is_time(&lines[at]) || (at == 0 && line.ends_with("WEBVTT")))
    };
    let mut joined = Joined::default();
    let said: Vec<usize> = (0..lines.len()).filter(|at| is_said(*at)).collect();
    for &at in &said {
        joined.push(lines[at]);
    }
    let mut screened = joined.screen(judge)?.into_iter();
    let mut out = String::with_capacity(text.len());
    let mut said = said.into_iter().peekable();
    for (at, line) in lines.iter().enumerate() {
        if said.next_if_eq(&at).is_none() {
            out.push_str(line);
            continue;
        }
        let screened = screened.next().unwrap_or_default();
        out.push_str(&screened);
        if line.ends_with('\n') && !screened.ends_with('\n') {
            out.push('\n');
        }
    }
    Ok(out)
}
