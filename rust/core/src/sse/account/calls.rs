//! Which call of a choice a piece belongs to, and the index that clients know it by.
//!
//! A client puts calls together by index: 0, 1, 2, in the order in which they began. Some upstreams leave the index out,
//! give all calls the same one, or jump. What they meant follows from the ids: a new id is a new call, and a piece with
//! neither an id nor an index goes on with the call that was spoken of last.

use crate::chat::json::{self, Edit, Member, Span};

/// No model makes more calls in one choice; what comes beyond passes as it is.
const CALLS_MAX: usize = 1024;

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Their ids, raw, in the order in which they began; empty where none was told.
    ids: Vec<Vec<u8>>,
    /// What each of the upstream's indexes stands for now.
    places: Vec<(usize, usize)>,
    last: Option<usize>,
}

/// An item of a delta's `tool_calls`.
struct Piece {
    at: Span,
    /// Where its index stands, if it has one, and the number, if it is one.
    index: Option<(Span, Option<usize>)>,
    id: Option<Span>,
    starts: bool,
}

impl Piece {
    /// The piece at `at`; `None` for an object without members, or for no object.
    fn read(payload: &[u8], at: Span) -> Option<Self> {
        let mut piece = Self {
            at,
            index: None,
            id: None,
            starts: false,
        };
        let mut is_empty = true;
        for Member { key, value } in json::members(payload, at.start) {
            is_empty = false;
            match &*key {
                b"index" => piece.index = Some((value, number(value.of(payload)))),
                b"id" => piece.id = json::string(payload, value).filter(|id| id.len() > 0),
                b"function" => piece.starts = has_name(payload, value),
                _ => {}
            }
        }
        (!is_empty).then_some(piece)
    }

    /// What makes its index `place`; nothing if it is that already.
    fn edit(&self, place: usize) -> Option<Edit> {
        let (span, text) = match self.index {
            Some((_, Some(told))) if told == place => return None,
            Some((span, _)) => (span, place.to_string()),
            None => {
                let start = self.at.start + 1;
                (Span { start, end: start }, format!("\"index\":{place},"))
            }
        };
        Some(Edit {
            span,
            text: text.into(),
        })
    }
}

impl Calls {
    /// Takes in the `tool_calls` of a delta, and adds to `edits` what puts their indexes right.
    pub(super) fn hear(&mut self, payload: &[u8], told: Span, edits: &mut Vec<Edit>) {
        for at in json::elements(payload, told.start) {
            if let Some(piece) = Piece::read(payload, at) {
                edits.extend(self.place(payload, &piece).and_then(|place| piece.edit(place)));
            }
        }
    }

    fn place(&mut self, payload: &[u8], piece: &Piece) -> Option<usize> {
        let index = piece.index.and_then(|(_, told)| told);
        let id = piece.id.map(|id| id.of(payload)).unwrap_or_default();
        let place = match self.known(index, id, piece.starts) {
            Some(place) => {
                if self.ids[place].is_empty() {
                    self.ids[place].extend_from_slice(id);
                }
                place
            }
            None if self.ids.len() == CALLS_MAX => return None,
            None => {
                let place = self.ids.len();
                self.ids.push(id.to_vec());
                if let Some(index) = index {
                    self.places.retain(|&(told, _)| told != index);
                    self.places.push((index, place));
                }
                place
            }
        };
        self.last = Some(place);
        Some(place)
    }

    fn known(&self, index: Option<usize>, id: &[u8], starts: bool) -> Option<usize> {
        if let Some(index) = index {
            let known = self
                .places
                .iter()
                .find(|&&(told, _)| told == index)
                .map(|&(_, place)| place);
            if known.is_none_or(|place| id.is_empty() || self.ids[place].is_empty() || self.ids[place] == id) {
                return known;
            }
        }
        if !id.is_empty() {
            return self.ids.iter().position(|known| known == id);
        }
        if starts { None } else { self.last }
    }
}

fn number(raw: &[u8]) -> Option<usize> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

fn has_name(payload: &[u8], function: Span) -> bool {
    json::members(payload, function.start).any(|Member { key, value }| {
        &*key == b"name" && json::string(payload, value).is_some_and(|name| name.len() > 0)
    })
}
