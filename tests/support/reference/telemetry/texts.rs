//! What the user typed and what the model answered last: docs/telemetry.md, "Fields".

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::calls::{Call, Trust};
use super::json::{Units, units};
use super::row::Row;
use super::split::{Loss, trim_end};
use super::tools::Later;

pub type Codes = BTreeSet<&'static str>;

fn utf8(text: &[u16]) -> Vec<u8> {
    let bytes = |decoded: Result<char, std::char::DecodeUtf16Error>| match decoded {
        Ok(c) => c.to_string().into_bytes(),
        Err(half) => {
            let half = half.unpaired_surrogate();
            vec![
                0xED,
                0x80 | (half >> 6 & 0x3F) as u8,
                0x80 | (half & 0x3F) as u8,
            ]
        }
    };
    char::decode_utf16(text.iter().copied())
        .flat_map(bytes)
        .collect()
}

/// What stands between the tags that the prompt puts around what was typed.
fn within(prompt: &[u16]) -> Option<Units> {
    let (open, close) = (units("<userRequest>\n"), units("\n</userRequest>"));
    let last = |what: &[u16]| {
        prompt
            .windows(what.len())
            .rposition(|window| window == what)
    };
    let (from, to) = (last(&open)? + open.len(), last(&close)?);
    prompt.get(from..to).map(<[u16]>::to_vec)
}

pub fn user_text(rows: &[&Row], later: &Later) -> (Option<Units>, Codes) {
    let lengths = rows.iter().filter(|row| {
        row.is_of("conversation.messageText/user")
            || row.is_of("conversation.messageText/offTopic")
            || row.is_of("toolCallDetailsInternal")
            || row.is_of("conversation.messageText/model") && !row.bag.has("initiatorClientType")
    });
    let lengths: BTreeSet<u64> = lengths
        .filter_map(|row| row.count("messageCharLen"))
        .collect();
    let length = lengths.first().copied().filter(|_| lengths.len() == 1);
    let fits = |text: &Units| length == Some(text.len() as u64);
    let mut typed: Vec<(Loss, Units)> = Vec::new();
    for row in rows {
        let key = match () {
            () if row.is_of("conversation.messageText/user") => "messageText",
            () if row.is_of("conversation.messageText/offTopic") => "messageText",
            () if row.is_of("interactiveSessionMessage") => "query",
            () if row.is_of("interactiveSessionResponse") => "request",
            () => continue,
        };
        typed.extend(
            row.bag
                .value(key, usize::MAX)
                .map(|value| (value.loss, value.text)),
        );
    }
    typed.sort_by_key(|(loss, text)| (*loss, Reverse(utf8(text).len()), utf8(text)));
    let exact = |(loss, text): &&(Loss, Units)| {
        *loss == Loss::Nothing || *loss < Loss::Character && fits(text)
    };
    if let Some((_, text)) = typed.iter().find(exact) {
        return (Some(text.clone()), Codes::new());
    }
    let prompts = later.prompts.iter();
    let mut prompted: Vec<(Trust, Units)> = prompts
        .filter_map(|(text, trust)| Some((*trust, within(text)?)))
        .collect();
    prompted.sort_by_key(|(trust, text)| Reverse((*trust, utf8(text))));
    let exact = |(trust, text): &&(Trust, Units)| match length {
        Some(_) => fits(text) && (*trust > Trust::Damaged || !text.contains(&0xFFFD)),
        None => *trust == Trust::Verified,
    };
    if let Some((_, text)) = prompted.iter().find(exact) {
        return (Some(text.clone()), Codes::new());
    }
    if let Some((_, text)) = typed.first().filter(|(loss, _)| *loss < Loss::Inside) {
        return (Some(text.clone()), Codes::from(["user_text_trimmed"]));
    }
    let all = prompted
        .iter()
        .map(|(_, text)| text)
        .chain(typed.first().map(|(_, text)| text));
    let longest = all.max_by_key(|text| utf8(text).len());
    (longest.cloned(), Codes::from(["user_text_cut"]))
}

/// An answer as a row of the model reports it.
struct Reported {
    at: i64,
    text: Units,
    loss: Loss,
    /// Its own length: only an agent host tells it.
    length: Option<u64>,
}

pub fn model_text(rows: &[&Row], calls: &[Call], later: &Later) -> (Option<Units>, Codes) {
    let of_model = rows
        .iter()
        .filter(|row| row.is_of("conversation.messageText/model"));
    let mut reported: Vec<Reported> = of_model
        .map(|row| {
            let value = row.bag.value("messageText", usize::MAX);
            let is_host = row.bag.has("initiatorClientType");
            Reported {
                at: row.at,
                loss: value.as_ref().map_or(Loss::Nothing, |value| value.loss),
                text: value.map(|value| value.text).unwrap_or_default(),
                length: row.count("messageCharLen").filter(|_| is_host),
            }
        })
        .collect();
    reported.sort_by_key(|reported| (reported.at, utf8(&reported.text)));
    let last = reported.last();
    let answered = (0..calls.len()).rfind(|place| calls[*place].is_answered);
    // Unless a row reports a still later answer.
    let confirmed = answered.and_then(|place| {
        let reported_at = last.map_or(i64::MIN, |last| last.at);
        let is_last = calls[place + 1..].iter().all(|call| call.at > reported_at);
        confirmed(&calls[place], place, last, later).filter(|_| is_last)
    });
    if let Some(text) = confirmed {
        return (Some(text), Codes::new());
    }
    let Some(last) = last else {
        let text = answered.and_then(|place| later.texts.get(&place));
        return (
            text.map(|text| text.0.clone()),
            Codes::from(["model_text_unconfirmed"]),
        );
    };
    let codes = match last.loss {
        _ if last.length == Some(last.text.len() as u64) => Codes::new(),
        Loss::Rest => Codes::from(["model_text_cut"]),
        _ => Codes::from(["model_text_unconfirmed"]),
    };
    (Some(last.text.clone()), codes)
}

/// The text of a call's answer, if a length or a second source confirms it.
fn confirmed(call: &Call, place: usize, last: Option<&Reported>, later: &Later) -> Option<Units> {
    let [answer] = &call.output[..] else {
        return None;
    };
    let sources = answer
        .content()
        .into_iter()
        .chain(later.texts.get(&place).cloned());
    if let Some((text, _)) = sources
        .into_iter()
        .find(|(_, trust)| *trust == Trust::Verified)
    {
        return Some(text);
    }
    let length = answer.length(|message| Some(message.get("content")))?;
    if length == 0 {
        return Some(Units::new());
    }
    let last = last.filter(|last| trim_end(&last.text).len() as u64 == length)?;
    let is_whole = match last.loss {
        Loss::Character => false,
        Loss::Rest => length <= 8192,
        _ => true,
    };
    is_whole.then(|| last.text.clone())
}
