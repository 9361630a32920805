//! `[selection]`: splits, buckets and targets.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;

use super::source::see_excluded;
use super::values::{bad, text, texts};
use crate::config::ConfigError;
use crate::config::raw::{self, Number, Text};
use crate::config::settings::Source;
use crate::config::targets::{Target, Targets};
use crate::domain::conversion::Preset;
use crate::domain::describe_error;
use crate::domain::privacy::users::Users;
use crate::domain::record::row::RowShape;
use crate::domain::selection::exclude::ExcludeList;
use crate::domain::selection::fitness::{Fitness, TokenLimit};
use crate::domain::selection::group::GroupField;
use crate::domain::selection::stratum::{ALL, Bucket, Selection, Split};
use crate::tokenizer;

/// What splits unless something else is named.
const DEFAULT_SPLIT_BY: &str = "conversationId";

/// The selection that a table means. `defaults` and `written` are the targets of the built-in
/// defaults and of the user; `only` names the only splits that are wanted, if it is not empty.
pub(super) fn selection(
    selection: raw::Selection,
    defaults: Targets,
    written: Targets,
    only: &[String],
) -> Result<Selection, ConfigError> {
    let splits: Vec<Split> = selection
        .splits
        .unwrap_or_default()
        .into_iter()
        .map(|split| Split {
            name: text(split.name),
            percent: split.percent.map_or(0, |Number(n)| n),
        })
        .collect();
    let buckets = buckets(selection.buckets.unwrap_or_default())?;
    check_splits(only, &splits)?;
    // Default targets of splits and buckets that the configuration no longer has do not count.
    let exists = |split: &String, bucket: &String| {
        splits.iter().any(|known| known.name == *split)
            && buckets.iter().any(|known| known.name == *bucket)
    };
    let mut targets = list(defaults, &splits, &buckets);
    targets.retain(|(split, bucket, _)| exists(split, bucket));
    targets.extend(list(written, &splits, &buckets));
    if !only.is_empty() {
        targets.retain(|(split, bucket, _)| only.contains(split) || !exists(split, bucket));
        for split in splits.iter().filter(|split| !only.contains(&split.name)) {
            targets.retain(|(name, ..)| *name != split.name);
        }
    }
    let seed = text(selection.seed);
    let spares = selection.spare_percent.map_or(0.0, |Number(n)| n);
    Ok(Selection::new(&seed, spares, splits, buckets, &targets)?)
}

/// `selection.valid_for`, `selection.max_tokens` and `selection.tokenizer`
pub(super) fn fitness(selection: &raw::Selection) -> Result<Fitness, ConfigError> {
    let presets = texts(selection.valid_for.clone()).into_iter();
    let presets = presets.map(|name| {
        let preset = name.parse::<Preset>();
        preset.map_err(|error| bad("selection.valid_for", &name, error.to_string()))
    });
    let presets = presets.collect::<Result<_, _>>()?;
    let max_tokens = selection.max_tokens.as_ref().map_or(0, |Number(n)| *n);
    let file = text(selection.tokenizer.clone());
    let limit = match (NonZeroU64::new(max_tokens), file.as_str()) {
        (None, "") => None,
        (Some(most), "") => {
            let reason =
                "nothing counts tokens: set selection.tokenizer to the tokenizer.json of the model";
            return Err(bad("selection.max_tokens", most, reason));
        }
        (max_tokens, file) => {
            let tokenizer = tokenizer::load(Path::new(file))
                .map_err(|error| bad("selection.tokenizer", file, describe_error(&error)))?;
            Some(TokenLimit {
                max_tokens,
                sha256: tokenizer.sha256().to_owned(),
                tokenizer: Some(tokenizer),
            })
        }
    };
    Ok(Fitness::new(presets, limit))
}

/// `selection.split_by`; `None`: the id.
pub(super) fn split_by(
    selection: &raw::Selection,
    schema: Option<RowShape>,
    source: &mut Source,
    users: Users,
) -> Result<Option<GroupField>, ConfigError> {
    const KEY: &str = "selection.split_by";
    let field = text(selection.split_by.clone());
    if field == DEFAULT_SPLIT_BY {
        return Ok(None);
    }
    let group = GroupField::new(&field).map_err(|reason| bad(KEY, &field, reason))?;
    if group.is_user() && users == Users::Drop {
        let reason = "privacy.users is drop: without names nobody can check that a user is in one split only; keep pseudonyms (privacy.users=pseudonym, see `gleaner key new`), or split by another field";
        return Err(bad(KEY, &field, reason));
    }
    if let Source::Kusto(kusto) = source
        && let Some(census) = kusto.census.by_user()
    {
        if !group.is_user() {
            let reason = "the shipped queries ask for no field of a conversation but userName that could say who belongs together; name that, or queries of your own whose rows have the field, with a census that has groupResidue (docs/kusto.md)";
            return Err(bad(KEY, &field, reason));
        }
        kusto.census = census;
    }
    match schema {
        Some(shape @ (RowShape::Turns | RowShape::CopilotChat)) if !group.is_user() => {
            let reason = format!(
                "records that are put together from rows of {} have no other field than userName that could say who belongs together: name that, or conversationId",
                shape.name()
            );
            Err(bad(KEY, &field, reason))
        }
        _ => Ok(Some(group)),
    }
}

/// `selection.exclude`
pub(super) fn exclude(file: Option<Text>, source: &mut Source) -> Result<ExcludeList, ConfigError> {
    let file = text(file);
    if file.is_empty() {
        return Ok(ExcludeList::default());
    }
    let refused = |reason: String| bad("selection.exclude", &file, reason);
    let bytes = std::fs::read(Path::new(&file)).map_err(|error| {
        refused(format!(
            "it cannot be read: {error}; name a text file with an id, or userName:NAME, a line"
        ))
    })?;
    let list = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        refused(format!("line {line} is not UTF-8; save the file as UTF-8"))
    })?;
    let list = ExcludeList::parse(&list).map_err(|line| {
        refused(format!(
            "line {line} names no user: write `userName:NAME`, in these letters"
        ))
    })?;
    if list.is_empty() {
        tracing::warn!("selection.exclude: {file:?} lists no id and no user: nothing is left out");
    }
    if list.names_users() && matches!(source, Source::Kusto(_)) {
        let reason = "it names users, whose conversations only the cluster could find, and nothing of the file is sent there; list the conversations' ids instead";
        return Err(refused(reason.to_owned()));
    }
    if !list.is_empty() {
        see_excluded(source)?;
    }
    Ok(list)
}

fn buckets(written: Vec<raw::Bucket>) -> Result<Vec<Bucket>, ConfigError> {
    let mut buckets = Vec::new();
    for bucket in written {
        let name = text(bucket.name);
        let turns: Vec<u64> = bucket
            .turns
            .unwrap_or_default()
            .iter()
            .map(|n| n.0)
            .collect();
        let Ok(turns) = <[u64; 2]>::try_from(turns) else {
            return Err(bad(
                "selection.buckets.turns",
                &name,
                "it must be the first and the last number of turns, such as [3, 5]",
            ));
        };
        let file = bucket.file.map_or_else(|| name.clone(), |Text(file)| file);
        buckets.push(Bucket { name, turns, file });
    }
    Ok(buckets)
}

fn check_splits(only: &[String], splits: &[Split]) -> Result<(), ConfigError> {
    let is_known = |name: &String| splits.iter().any(|split| split.name == *name);
    let Some(unknown) = only.iter().find(|name| !is_known(name)) else {
        return Ok(());
    };
    let known: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
    let reason = format!("known splits are {}", known.join(", "));
    Err(bad("--split", unknown, reason))
}

/// Targets as (split, bucket, records).
fn list(targets: Targets, splits: &[Split], buckets: &[Bucket]) -> Vec<(String, String, u64)> {
    let each = match targets {
        Targets::Each(each) => each,
        Targets::All => {
            let buckets: BTreeMap<_, _> = (buckets.iter())
                .map(|bucket| (bucket.name.clone(), Target(ALL)))
                .collect();
            let all = splits.iter().filter(|split| split.percent > 0);
            all.map(|split| (split.name.clone(), buckets.clone()))
                .collect()
        }
    };
    let of_split = |(split, of_split): (String, BTreeMap<String, Target>)| {
        of_split
            .into_iter()
            .map(move |(bucket, Target(target))| (split.clone(), bucket, target))
    };
    each.into_iter().flat_map(of_split).collect()
}
