//! What the user typed and what the model answered last, from the rows that repeat it.

use super::bag::Prop;
use super::calls::Call;
use super::event::EventKind;
use super::fragment::Fragment;
use super::message::Messages;
use super::quality::{QualityCode, QualityCodes};
use super::split::{self, Loss};
use super::trajectory::Hindsight;
use super::verified::{self, Trust};
use super::wtf8;
use crate::record::timestamp::Ticks;

/// A text of a record, and what is uncertain about it.
#[derive(Default)]
pub struct Text {
    /// `None`: not known at all.
    pub text: Option<Vec<u8>>,
    pub codes: QualityCodes,
}

impl Text {
    fn sure(text: Vec<u8>) -> Self {
        Self {
            text: Some(text),
            codes: QualityCodes::default(),
        }
    }

    fn doubtful(text: Option<Vec<u8>>, code: QualityCode) -> Self {
        let mut codes = QualityCodes::default();
        codes.insert(code);
        Self { text, codes }
    }
}

/// What the prompt puts around what the user typed.
const PROMPT_OPEN: &[u8] = b"<userRequest>\n";
const PROMPT_CLOSE: &[u8] = b"\n</userRequest>";

/// What the user typed, within the prompt that was made of it.
fn within_prompt(prompt: &[u8]) -> Option<&[u8]> {
    let open = memchr::memmem::rfind(prompt, PROMPT_OPEN)? + PROMPT_OPEN.len();
    let close = memchr::memmem::rfind(prompt, PROMPT_CLOSE)?;
    prompt.get(open..close)
}

/// The property that has the user's text, by event.
fn user_prop(event: EventKind) -> Option<Prop> {
    match event {
        EventKind::UserText | EventKind::OffTopic => Some(Prop::MessageText),
        EventKind::SessionMessage => Some(Prop::Query),
        EventKind::SessionResponse => Some(Prop::Request),
        _ => None,
    }
}

/// What the user typed. All rows of a turn say the same.
pub fn user_text(rows: &[&Fragment<'_>], seen: &Hindsight) -> Text {
    let units = user_units(rows);
    let is_whole = |text: &[u8]| units == Some(wtf8::units(text) as u64);
    let mut typed: Vec<(Loss, Vec<u8>)> = rows
        .iter()
        .filter_map(|row| row.joined(user_prop(row.header.event)?))
        .map(|joined| (joined.loss, joined.text))
        .collect();
    // Whatever the order of rows: the surest, then the longest, then the smallest.
    typed.sort_by(|a, b| {
        let key = |text: &(Loss, Vec<u8>)| (text.0, std::cmp::Reverse(text.1.len()));
        key(a).cmp(&key(b)).then_with(|| a.1.cmp(&b.1))
    });
    let exact = typed
        .iter()
        .find(|(loss, text)| *loss == Loss::None || *loss < Loss::Character && is_whole(text));
    if let Some((_, text)) = exact {
        return Text::sure(text.clone());
    }
    let mut prompted: Vec<(Trust, &[u8])> = seen
        .prompts
        .iter()
        .filter_map(|(prompt, trust)| Some((*trust, within_prompt(prompt)?)))
        .collect();
    prompted.sort_by(|a, b| b.cmp(a));
    let exact = prompted.iter().find(|(trust, text)| match units {
        // A length says nothing of a character whose halves were replaced.
        Some(_) => is_whole(text) && (*trust > Trust::Damaged || !has_replaced(text)),
        None => *trust == Trust::Verified,
    });
    if let Some((_, text)) = exact {
        return Text::sure(text.to_vec());
    }
    doubtful_user_text(&typed, &prompted)
}

/// Whether a text has U+FFFD, which stands for what could not be kept.
fn has_replaced(text: &[u8]) -> bool {
    memchr::memmem::find(text, "\u{fffd}".as_bytes()).is_some()
}

/// The best of texts none of which is known to be exact.
fn doubtful_user_text(typed: &[(Loss, Vec<u8>)], prompted: &[(Trust, &[u8])]) -> Text {
    match typed.first() {
        Some((loss, text)) if *loss < Loss::Inner => {
            Text::doubtful(Some(text.clone()), QualityCode::UserTextTrimmed)
        }
        typed => {
            let typed = typed.map(|(_, text)| text.as_slice());
            let prompted = prompted.iter().map(|(_, text)| *text);
            let longest = prompted.chain(typed).max_by_key(|text| text.len());
            Text::doubtful(longest.map(<[u8]>::to_vec), QualityCode::UserTextCut)
        }
    }
}

/// The length of what the user typed, in UTF-16 units, if all rows agree.
fn user_units(rows: &[&Fragment<'_>]) -> Option<u64> {
    let mut units = rows.iter().filter_map(|row| {
        let is_of_user = match row.header.event {
            EventKind::UserText | EventKind::OffTopic | EventKind::ToolCallDetails => true,
            // An agent host reports the length of the model's own text.
            EventKind::ModelText => !row.has(Prop::InitiatorClientType),
            _ => false,
        };
        is_of_user
            .then(|| row.count(Prop::MessageCharLen))
            .flatten()
    });
    let first = units.next()?;
    units.all(|other| other == first).then_some(first)
}

/// What the model answered last.
pub fn model_text(
    rows: &[&Fragment<'_>],
    calls: &[Call],
    seen: &Hindsight,
    messages: &Messages,
) -> Text {
    let reported = reported_texts(rows);
    let last_reported = reported.last();
    // The last call that the model answered, and whether a row reports a later answer.
    let last_call = (0..calls.len())
        .rev()
        .find(|&place| calls[place].has_output());
    let is_last = |place: usize| {
        let reported_at = last_reported.map_or(Ticks::MIN, |reported| reported.at);
        calls[place + 1..]
            .iter()
            .all(|later| later.at > reported_at)
    };
    if let Some(place) = last_call.filter(|&place| is_last(place))
        && let Some(text) = confirmed(&calls[place], place, &reported, seen, messages)
    {
        return Text::sure(text);
    }
    let Some(last_reported) = last_reported else {
        let text = last_call.and_then(|place| seen.texts.get(&place));
        let text = text.map(|(text, _)| text.clone());
        return Text::doubtful(text, QualityCode::ModelTextUnconfirmed);
    };
    if last_reported.is_sure() {
        return Text::sure(last_reported.text.clone());
    }
    let code = match last_reported.loss {
        Loss::Cut => QualityCode::ModelTextCut,
        _ => QualityCode::ModelTextUnconfirmed,
    };
    Text::doubtful(Some(last_reported.text.clone()), code)
}

/// The text of an answer of the model, as a row reports it.
struct ReportedText {
    at: Ticks,
    text: Vec<u8>,
    loss: Loss,
    /// Its own length, which only an agent host reports.
    units: Option<u64>,
}

impl ReportedText {
    fn is_sure(&self) -> bool {
        self.units == Some(wtf8::units(&self.text) as u64)
    }
}

/// The answers in the order of time; an answer without text is an empty one.
fn reported_texts(rows: &[&Fragment<'_>]) -> Vec<ReportedText> {
    let mut reported: Vec<ReportedText> = rows
        .iter()
        .filter(|row| row.header.event == EventKind::ModelText)
        .map(|row| {
            let joined = row.joined(Prop::MessageText).unwrap_or_default();
            let is_host = row.has(Prop::InitiatorClientType);
            ReportedText {
                at: row.header.at,
                text: joined.text,
                loss: joined.loss,
                units: row.count(Prop::MessageCharLen).filter(|_| is_host),
            }
        })
        .collect();
    reported.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
    reported
}

/// The text of the answer of a call, if a length or a second source says that it is whole.
fn confirmed(
    call: &Call,
    place: usize,
    reported: &[ReportedText],
    seen: &Hindsight,
    messages: &Messages,
) -> Option<Vec<u8>> {
    let output = call.output(messages);
    let [answer] = &output[..] else {
        return None;
    };
    let body = verified::text_of(answer);
    if let Some((text, Trust::Verified)) = body {
        return Some(text.to_vec());
    }
    if let Some((text, Trust::Verified)) = seen.texts.get(&place) {
        return Some(text.clone());
    }
    let units = answer.lengths?.content.units()?;
    if units == 0 {
        return Some(Vec::new());
    }
    // A length is that of the text without the white space at its end.
    let is_it =
        |reported: &&ReportedText| wtf8::units(wtf8::trim_end(&reported.text)) as u64 == units;
    let reported = reported
        .last()
        .filter(is_it)
        .filter(|reported| match reported.loss {
            Loss::Character => false,
            Loss::Cut => units <= split::CUT as u64,
            _ => true,
        })?;
    Some(reported.text.clone())
}
