//! Rows that several conversations name: bodies of messages, and options.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::bag::Prop;
use super::event::EventKind;
use super::fragment::Fragment;
use super::message::{self, MessageRef, Messages};
use super::split::{self, Joined, Loss};

/// A message, and what its JSON may have lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub message: MessageRef,
    pub loss: Loss,
}

/// What shared rows hold, by id. What is not whole is not here.
#[derive(Default)]
pub struct Bodies {
    messages: BTreeMap<Vec<u8>, Item>,
    /// The definitions of tools, as JSON.
    tools: BTreeMap<Vec<u8>, Option<Joined>>,
}

impl Bodies {
    /// Puts the pieces of some rows together.
    pub fn new(rows: &[Fragment<'_>], messages: &mut Messages) -> Self {
        let mut bodies = Self::default();
        for (id, pieces) in pieces_by_id(rows, Prop::MessageUuid, EventKind::MessageAdded) {
            if let Some(joined) = join_pieces(&pieces, Prop::MessageJson)
                && let Ok(message) = messages.intern(&joined.text)
            {
                let loss = joined.loss;
                bodies.messages.insert(id, Item { message, loss });
            }
        }
        for (id, pieces) in pieces_by_id(rows, Prop::RequestOptionsId, EventKind::OptionsAdded) {
            if let Some(joined) = join_pieces(&pieces, Prop::RequestOptionsJson) {
                bodies.tools.insert(id, tools_of_options(&joined));
            }
        }
        bodies
    }

    pub fn message(&self, id: &[u8]) -> Option<Item> {
        self.messages.get(id).copied()
    }

    /// The tools that options offer; the inner `None`: none.
    pub fn tools(&self, id: &[u8]) -> Option<&Option<Joined>> {
        self.tools.get(id)
    }
}

/// `request.option.tools` of options.
fn tools_of_options(options: &Joined) -> Option<Joined> {
    let mut tools = None;
    message::members(&options.text, |key, value| {
        if matches!(key, b"request.option.tools" | b"request_option_tools")
            && let Some(text) = message::string(value)
        {
            let loss = options.loss;
            tools = Some(Joined { text, loss });
        }
        Ok(())
    })
    .ok()?;
    tools
}

type Pieces<'f, 'r> = Vec<&'f Fragment<'r>>;

fn pieces_by_id<'f, 'r>(
    rows: &'f [Fragment<'r>],
    id: Prop,
    event: EventKind,
) -> BTreeMap<Vec<u8>, Pieces<'f, 'r>> {
    let mut by_id: BTreeMap<Vec<u8>, Pieces<'f, 'r>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.header.event == event) {
        if let Some(id) = row.id(id) {
            by_id.entry(id).or_default().push(row);
        }
    }
    by_id
}

/// Puts together what was cut into events. `None` if a piece is missing.
pub fn join_pieces(pieces: &[&Fragment<'_>], prop: Prop) -> Option<Joined> {
    // Of pieces that have the same place and differ, the smaller one, in any order of arrival.
    let mut by_place: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut total = 0;
    for piece in pieces {
        let place = piece.count(Prop::ChunkIndex).unwrap_or(0);
        total = total.max(piece.count(Prop::TotalChunks).unwrap_or(1));
        let text = piece.joined(prop)?.text;
        match by_place.entry(place) {
            Entry::Vacant(place) => {
                place.insert(text);
            }
            Entry::Occupied(mut kept) if text < *kept.get() => {
                kept.insert(text);
            }
            Entry::Occupied(_) => {}
        }
    }
    if !(0..total).eq(by_place.keys().copied()) {
        return None;
    }
    let mut joined = split::join(by_place.into_values().map(Cow::Owned), split::EVENT_CUT);
    if total == 1 {
        // JSON begins and ends with a bracket: it has no white space to lose.
        joined.loss = Loss::None;
    }
    Some(joined)
}
