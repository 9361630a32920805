//! Whether a text is what was sent: held against the length that another row tells.

use super::calls::Seen;
use super::message::{Content, Message};
use super::split::Loss;
use super::wtf8;

/// A text of a message, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It has another length than it should, or a character of it was replaced.
    Damaged,
    /// Nothing speaks against it, nothing for it.
    Plausible,
    /// It was never split, or its length is right.
    Verified,
}

/// How sure a text is, from the length that it should have.
pub fn trust(text: &[u8], loss: Loss, units: Option<u64>) -> Trust {
    if loss == Loss::Character
        && text
            .windows(3)
            .any(|window| window == "\u{fffd}".as_bytes())
    {
        return Trust::Damaged;
    }
    match units {
        Some(units) if units == wtf8::units(text) as u64 => Trust::Verified,
        Some(_) => Trust::Damaged,
        None if loss == Loss::None => Trust::Verified,
        None => Trust::Plausible,
    }
}

/// The text of a message, as it was sent.
pub fn text_of<'m>(seen: &Seen<'m>) -> Option<(&'m [u8], Trust)> {
    of(seen, |message| Some(&message.content))
}

/// The arguments of a message's call of a tool.
pub fn arguments_of<'m>(seen: &Seen<'m>, call: usize) -> Option<(&'m [u8], Trust)> {
    of(seen, |message| {
        message.calls.get(call).map(|call| &call.arguments)
    })
}

fn of<'m>(
    seen: &Seen<'m>,
    part: impl Fn(&'m Message) -> Option<&'m Content>,
) -> Option<(&'m [u8], Trust)> {
    let (message, loss) = seen.message?;
    let text = part(message)?.text()?;
    let lengths = seen.lengths.filter(|lengths| lengths.role == message.role);
    let units = lengths.and_then(|lengths| part(lengths)?.units());
    Some((text, trust(text, loss, units)))
}
