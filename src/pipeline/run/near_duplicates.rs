//! What is published of near-duplicates: a report for each split, and what the manifest says.

use crate::config::settings::Settings;
use crate::domain::dataset::left_out::{NearDuplicatesRecord, near_duplicates_report};
use crate::domain::near_duplicates::decisions::NearDuplicate;
use crate::domain::selection::rank::Ranker;
use crate::pipeline::state::work_dir::RunRecord;
use crate::pipeline::supervisor::RunOutput;

/// What the manifest says, without the reports; nothing if they were not looked for.
pub fn record(output: &RunOutput, settings: &Settings) -> Option<NearDuplicatesRecord> {
    let (templates, clusters) = output.near_duplicates.clone()?;
    let settings = settings.near_duplicates?;
    Some(NearDuplicatesRecord::new(settings, templates, clusters))
}

/// One report for each split that has near-duplicates, in the order of splits; those of all its strata together are
/// in rank order.
pub fn reports(
    output: &RunOutput,
    record: &RunRecord,
    settings: &Settings,
) -> Vec<(String, Vec<u8>)> {
    let selection = &settings.selection;
    let timestamp = record.started.strftime("%Y%m%d_%H%M%S").to_string();
    let mut ranker = Ranker::new(selection.seed());
    let mut reports = Vec::new();
    for split in selection.splits() {
        let strata = output.strata.iter();
        let strata = strata.filter(|result| selection.split(result.stratum) == split);
        let mut records: Vec<(&str, &NearDuplicate)> = strata
            .flat_map(|result| {
                let bucket = selection.bucket(result.stratum).name.as_str();
                let records = result.near_duplicates.iter();
                records.map(move |record| (bucket, record))
            })
            .collect();
        records.sort_by_cached_key(|(_, record)| (ranker.rank(&record.id), &record.id));
        if !records.is_empty() {
            let path = format!("near_duplicates_{}_{timestamp}.json", split.name);
            reports.push((path, near_duplicates_report(&records, selection)));
        }
    }
    reports
}
