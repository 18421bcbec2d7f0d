//! The forms of providers' keys, by what the provider is. Where a provider publishes no form, it is the one that
//! gitleaks' public rules give. A form is a fact about a key; its checksum, where it has one, is not asked for.

mod cloud;
mod code;
mod commerce;
mod models;
mod services;

use super::form::{Form, Reading};

/// Every form, indexed by how its prefix begins.
#[derive(Debug)]
pub(super) struct Forms {
    /// In the order of their prefixes.
    sorted: Vec<Form>,
    /// Where the forms begin whose prefix begins with each byte.
    first: [u16; 257],
    /// Which pairs of bytes begin a prefix: one bit each, 64 in a word.
    pairs: Box<[u64]>,
}

/// A key that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'f> {
    pub(super) form: &'f Form,
    pub(super) end: usize,
}

impl Forms {
    pub(super) fn new() -> Self {
        let all = [
            cloud::FORMS,
            code::FORMS,
            commerce::FORMS,
            models::FORMS,
            services::FORMS,
        ];
        let mut forms: Vec<Form> = all.concat();
        forms.sort_by_key(|form| form.prefix);
        let mut pairs = vec![0; 65_536 / 64].into_boxed_slice();
        let mut counts = [0_u16; 256];
        for form in &forms {
            let prefix = form.prefix.as_bytes();
            let pair = pair(prefix[0], prefix[1]);
            pairs[pair / 64] |= 1 << (pair % 64);
            counts[usize::from(prefix[0])] += 1;
        }
        let mut first = [0; 257];
        for byte in 0..256 {
            first[byte + 1] = first[byte] + counts[byte];
        }
        Self {
            sorted: forms,
            first,
            pairs,
        }
    }

    /// The longest key that begins at `start`, or whether one may.
    pub(super) fn read(&self, text: &[u8], start: usize, is_last: bool) -> Result<Option<Read<'_>>, Open> {
        let rest = &text[start..];
        let Some((first, second)) = rest.first().zip(rest.get(1)) else {
            let may_begin = rest.first().is_some_and(|byte| !self.beginning_with(*byte).is_empty());
            return if may_begin && !is_last { Err(Open) } else { Ok(None) };
        };
        let pair = pair(*first, *second);
        if self.pairs[pair / 64] >> (pair % 64) & 1 == 0 {
            return Ok(None);
        }
        let mut longest: Option<Read<'_>> = None;
        for form in self.beginning_with(*first) {
            let reading = match super::form::literal(rest, form.prefix) {
                Reading::Ends(_) => form.read(text, start, is_last),
                Reading::Open if is_last => Reading::No,
                reading => reading,
            };
            match reading {
                Reading::Open => return Err(Open),
                Reading::Ends(end) if longest.is_none_or(|read| end > read.end) => longest = Some(Read { form, end }),
                _ => {}
            }
        }
        Ok(longest)
    }

    fn beginning_with(&self, byte: u8) -> &[Form] {
        let byte = usize::from(byte);
        &self.sorted[usize::from(self.first[byte])..usize::from(self.first[byte + 1])]
    }
}

/// The text ends too early to tell what begins here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open;

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_long_enough_to_be_looked_up() {
        for form in &Forms::new().sorted {
            assert!(form.prefix.len() >= 2, "{form:?}");
            assert!(form.prefix.bytes().all(|byte| (0x2b..0x80).contains(&byte)), "{form:?}");
        }
    }
}
