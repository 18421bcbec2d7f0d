//! Usage rows as the journal holds them (`MessagePack` arrays) made into what `PostgreSQL` copies in binary.
//!
//! A row's fields are those of `tollway.contract.usage.UsageRow`, in its order; the columns that they become are named
//! in `tollway.storage.usage`. Fields that a newer version appended are passed over, those that an older one did not
//! have get their defaults. Sources: `PostgreSQL`, "COPY", "Binary Format", and the `recv` functions of its types;
//! `msgpack.org`, the specification.

mod messagepack;
mod postgres;

use messagepack::Reader;
use postgres::Tuple;

/// Why bytes are no row, or a row is one that no column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARow {
    /// The bytes end too early, or a field is of another kind.
    #[error("field {0} of a usage row can't be read")]
    Unreadable(usize),
    /// A number is beyond what its column holds.
    #[error("field {0} of a usage row is out of range")]
    OutOfRange(usize),
    /// The bytes are no array, or one with too few fields.
    #[error("this is no usage row")]
    Shape,
}

/// What goes wrong in a field; which one, is known outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Unreadable,
    OutOfRange,
}

/// How a field is read and what column it becomes.
#[derive(Clone, Copy)]
enum Field {
    /// `text`, and what stands there where the field is missing.
    Text(&'static str),
    MaybeText,
    /// `timestamptz`, from microseconds since 1970.
    Time,
    /// `bigint`; a larger number is cut, for a provider may tell any.
    Whole,
    MaybeWhole,
    /// `integer`.
    Small,
    Truth,
    /// `numeric` in US dollars, from pico-dollars.
    MaybeMoney,
    /// Eight of these, from an array: zeros are null, and so are all where there is none.
    Costs,
    /// `text[]`; null for none.
    Texts,
    /// `jsonb`, from an array of arrays whose values have these names; null for none.
    Objects(&'static [&'static str]),
}

const COSTS: usize = 8;
const REQUIRED: usize = 23;

const FINDING: &[&str] = &["direction", "check", "kind", "action", "count"];
const TRY: &[&str] = &["target", "status", "result", "took_ms"];

use Field::{Costs, MaybeMoney, MaybeText, MaybeWhole, Objects, Small, Text, Texts, Time, Truth, Whole};

const FIELDS: [Field; 37] = [
    Text(""),         // id
    Text(""),         // request_id
    Time,             // at_us
    Text(""),         // tenant_id
    Text(""),         // api_key_id
    MaybeText,        // user_id
    Text(""),         // model
    Text(""),         // provider
    Text(""),         // provider_model
    Whole,            // prompt_tokens
    Whole,            // completion_tokens
    Whole,            // cached_tokens
    Whole,            // cache_write_tokens
    Whole,            // reasoning_tokens
    MaybeMoney,       // cost_picousd
    MaybeText,        // price_version
    Text(""),         // usage_source
    Text(""),         // outcome
    Small,            // http_status
    Truth,            // stream
    Whole,            // latency_ms
    MaybeWhole,       // first_token_ms
    Small,            // attempts
    Whole,            // cache_write_1h_tokens
    Text("answer"),   // role
    Objects(FINDING), // findings
    Costs,            // costs
    Whole,            // audio_input_tokens
    Whole,            // audio_output_tokens
    Whole,            // image_input_tokens
    Whole,            // image_output_tokens
    Texts,            // tags
    MaybeText,        // service_tier
    Objects(TRY),     // tried
    Text("none"),     // cache
    Texts,            // charged
    MaybeMoney,       // saved_picousd
];

/// How many columns a row becomes.
pub const COLUMNS: usize = FIELDS.len() - 1 + COSTS;

/// Rows on their way to one `COPY`.
#[derive(Debug, Default)]
pub struct Batch {
    tuples: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tuples: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds the row that `payload` is; after an error the batch is what it was.
    pub fn add(&mut self, payload: &[u8]) -> Result<(), NotARow> {
        let begin = self.tuples.len();
        match write(payload, &mut self.tuples) {
            Ok(()) => {
                self.ends.push(self.tuples.len());
                Ok(())
            }
            Err(error) => {
                self.tuples.truncate(begin);
                Err(error)
            }
        }
    }

    /// How many rows it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes to copy all rows with.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        postgres::copy(&self.tuples)
    }

    /// The bytes to copy one row with; `None` if there are not so many.
    #[must_use]
    pub fn copy_of(&self, index: usize) -> Option<Vec<u8>> {
        let end = *self.ends.get(index)?;
        let begin = index
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(postgres::copy(self.tuples.get(begin..end)?))
    }
}

fn write(payload: &[u8], out: &mut Vec<u8>) -> Result<(), NotARow> {
    let mut reader = Reader::new(payload);
    let count = reader.array().map_err(|_| NotARow::Shape)?;
    if count < REQUIRED {
        return Err(NotARow::Shape);
    }
    let mut tuple = Tuple::begin(out, COLUMNS);
    for (place, &field) in FIELDS.iter().enumerate() {
        let written = if place < count {
            column(field, &mut reader, &mut tuple)
        } else {
            missing(field, &mut tuple);
            Ok(())
        };
        written.map_err(|wrong| match wrong {
            Wrong::Unreadable => NotARow::Unreadable(place),
            Wrong::OutOfRange => NotARow::OutOfRange(place),
        })?;
    }
    for place in FIELDS.len()..count {
        reader.skip().map_err(|_| NotARow::Unreadable(place))?;
    }
    if reader.is_at_end() {
        Ok(())
    } else {
        Err(NotARow::Shape)
    }
}

fn column(field: Field, reader: &mut Reader<'_>, tuple: &mut Tuple<'_>) -> Result<(), Wrong> {
    if matches!(field, MaybeText | MaybeWhole | MaybeMoney | Costs) && reader.nil() {
        missing(field, tuple);
        return Ok(());
    }
    match field {
        Text(_) | MaybeText => tuple.text(reader.text()?),
        Time => tuple.time(reader.integer()?)?,
        Whole | MaybeWhole => tuple.whole(reader.integer()?),
        Small => tuple.small(reader.integer()?)?,
        Truth => tuple.truth(reader.truth()?),
        MaybeMoney => tuple.money(reader.integer()?),
        Costs => costs(reader, tuple)?,
        Texts => {
            let count = reader.array()?;
            let texts: Vec<&str> = (0..count).map(|_| reader.text()).collect::<Result<_, _>>()?;
            tuple.texts(&texts);
        }
        Objects(names) => objects(names, reader, tuple)?,
    }
    Ok(())
}

fn missing(field: Field, tuple: &mut Tuple<'_>) {
    match field {
        Text(default) => tuple.text(default),
        Whole => tuple.whole(0),
        Costs => (0..COSTS).for_each(|_| tuple.null()),
        _ => tuple.null(),
    }
}

fn costs(reader: &mut Reader<'_>, tuple: &mut Tuple<'_>) -> Result<(), Wrong> {
    let count = reader.array()?;
    for place in 0..COSTS.max(count) {
        let cost = if place < count { reader.integer()? } else { 0 };
        match (place < COSTS, cost) {
            (true, 0) => tuple.null(),
            (true, _) => tuple.money(cost),
            (false, _) => {}
        }
    }
    Ok(())
}

fn objects(names: &[&str], reader: &mut Reader<'_>, tuple: &mut Tuple<'_>) -> Result<(), Wrong> {
    let count = reader.array()?;
    if count == 0 {
        tuple.null();
        return Ok(());
    }
    let mut json = Vec::with_capacity(64 * count.min(64));
    for index in 0..count {
        json.push(if index == 0 { b'[' } else { b',' });
        let values = reader.array()?;
        if values < names.len() {
            return Err(Wrong::Unreadable);
        }
        for (place, name) in names.iter().enumerate() {
            json.push(if place == 0 { b'{' } else { b',' });
            postgres::json_text(name, &mut json);
            json.push(b':');
            if reader.is_text() {
                postgres::json_text(reader.text()?, &mut json);
            } else {
                json.extend_from_slice(reader.integer()?.to_string().as_bytes());
            }
        }
        json.push(b'}');
        for _ in names.len()..values {
            reader.skip()?;
        }
    }
    json.push(b']');
    tuple.json(&json);
    Ok(())
}

#[cfg(test)]
mod tests;
