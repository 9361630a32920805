//! What a plan says of the machine: what a run needs of it at most, what it has, and whether one is enough.
//!
//! The formula of the memory is that of docs/performance.md, which `tests/it/bounded` holds.

use std::path::Path;

use serde_json::{Value, json};

use super::words;
use crate::config::settings::Source;
use crate::pipeline::ingest::first_rows::FirstRows;
use crate::source::Survey;
use crate::source::kusto::estimate::KustoPlan;

/// Memory that a run takes whatever its input, in bytes.
const BASE_MEMORY: u64 = 64_000_000;

/// Memory for each row of input at most, in bytes.
const MEMORY_PER_ROW: u64 = 96;

/// What a run needs at most, in bytes; `None`: not known before its input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Rows of input whose headers are held, about.
    pub rows: Option<u64>,
    /// Bytes that are kept on disk until the dataset is published.
    pub disk: Option<u64>,
}

impl Need {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        rows: None,
        disk: None,
    };

    /// What a run of files needs. Rows of compressed files, of Parquet and of arrays are not counted before they are
    /// read.
    pub fn of_files(survey: &Survey, first_rows: &FirstRows) -> Self {
        if survey.spooled_bytes > 0 {
            return Self::UNKNOWN;
        }
        Self {
            rows: first_rows.rows_of(survey.bytes.unwrap_or(0)),
            disk: Some(0),
        }
    }

    /// What a run on a cluster needs: in two passes the census and the candidates, in one all conversations.
    pub fn of_cluster(source: &Source, counted: &KustoPlan) -> Self {
        match source {
            Source::Kusto(kusto) if kusto.passes == 1 => Self {
                rows: Some(counted.conversations),
                disk: counted.one_pass_bytes,
            },
            _ => Self {
                rows: Some(counted.census_rows),
                disk: counted.two_pass_bytes,
            },
        }
    }

    fn memory(&self) -> Option<u64> {
        let rows = self.rows?;
        Some(BASE_MEMORY.saturating_add(rows.saturating_mul(MEMORY_PER_ROW)))
    }
}

/// What this machine, or the container, can give a run, in bytes; `None`: it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Memory that is free, or can be made so.
    pub memory: Option<u64>,
    /// Room on the disk of the work directory.
    pub disk: Option<u64>,
}

impl Machine {
    /// This one. A work directory that is not there yet is on the disk of the nearest folder above it.
    pub fn here(work_dir: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let free = read("/proc/meminfo").as_deref().and_then(available);
        // The second and the first version of control groups.
        let limits = [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        let limits = limits.map(|path| read(path)?.trim().parse().ok());
        let above = work_dir.ancestors().map(|path| match path.as_os_str() {
            none if none.is_empty() => Path::new("."),
            _ => path,
        });
        let disk = above.into_iter().find_map(|path| {
            let found = rustix::fs::statvfs(path).ok()?;
            Some(found.f_bavail.saturating_mul(found.f_frsize))
        });
        Self {
            memory: limits.into_iter().flatten().chain(free).min(),
            disk,
        }
    }
}

/// `MemAvailable` of `/proc/meminfo`, which has units of 1,024 bytes (proc_meminfo(5)).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Whether one machine has what a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Enough,
    TooLittleMemory,
    TooLittleDisk,
    Unknown,
}

fn verdict(need: Need, machine: Machine) -> Verdict {
    let exceeds = |need: Option<u64>, has: Option<u64>| need.zip(has).map(|(need, has)| need > has);
    let memory = exceeds(need.memory(), machine.memory);
    let disk = exceeds(need.disk, machine.disk);
    match (memory, disk) {
        (Some(true), _) => Verdict::TooLittleMemory,
        (_, Some(true)) => Verdict::TooLittleDisk,
        (Some(false), Some(false)) => Verdict::Enough,
        _ => Verdict::Unknown,
    }
}

/// For a program.
pub fn record(need: Need, machine: Machine) -> Value {
    let is_enough = match verdict(need, machine) {
        Verdict::Enough => Some(true),
        Verdict::TooLittleMemory | Verdict::TooLittleDisk => Some(false),
        Verdict::Unknown => None,
    };
    json!({
        "rows_estimate": need.rows,
        "memory_bytes": need.memory(),
        "memory_available": machine.memory,
        "disk_bytes": need.disk,
        "disk_free": machine.disk,
        "one_machine": is_enough,
    })
}

/// What the memory of a run follows from, for a program.
pub fn memory() -> Value {
    json!({"base_bytes": BASE_MEMORY, "bytes_per_row": MEMORY_PER_ROW})
}

/// For a person, lines of their own.
pub fn text(need: Need, machine: Machine) -> String {
    let size = |bytes: Option<u64>| bytes.map_or("an unknown amount".to_owned(), words::size);
    let base = words::size(BASE_MEMORY);
    let formula = format!("at most {base} and {MEMORY_PER_ROW} bytes for each row of input");
    let memory = match (need.memory(), need.rows) {
        (Some(bytes), Some(rows)) => {
            let bytes = words::size(bytes);
            format!("{formula}: {bytes} for about {rows} rows")
        }
        _ => formula,
    };
    let [memory_here, disk_here] = [machine.memory, machine.disk].map(size);
    let verdict = match verdict(need, machine) {
        Verdict::Enough => {
            format!(
                "one is enough: this one has {memory_here} of memory and {disk_here} of disk free"
            )
        }
        Verdict::TooLittleMemory => format!(
            "this one has {memory_here} of memory free, which is too little; take a larger one, or a shorter window"
        ),
        Verdict::TooLittleDisk => format!(
            "this one has {disk_here} free for about {} on disk; name a larger one with --work-dir",
            size(need.disk)
        ),
        Verdict::Unknown => {
            format!(
                "this one has {memory_here} of memory and {disk_here} of disk free; how many rows there are shows when they are read"
            )
        }
    };
    format!("memory   {memory}\nmachine  {verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Need = Need {
        rows: Some(1_000_000),
        disk: Some(5_000),
    };

    #[test]
    fn one_machine_is_enough_if_it_has_what_is_needed() {
        let needed = ROWS.memory();
        assert_eq!(needed, Some(160_000_000));
        let has = |memory, disk| Machine { memory, disk };
        let less = |bytes: Option<u64>| bytes.map(|bytes| bytes - 1);
        for (machine, expected) in [
            (has(needed, ROWS.disk), Verdict::Enough),
            (has(less(needed), ROWS.disk), Verdict::TooLittleMemory),
            (has(less(needed), None), Verdict::TooLittleMemory),
            (has(needed, less(ROWS.disk)), Verdict::TooLittleDisk),
            (has(None, less(ROWS.disk)), Verdict::TooLittleDisk),
            (has(None, ROWS.disk), Verdict::Unknown),
            (has(needed, None), Verdict::Unknown),
        ] {
            assert_eq!(verdict(ROWS, machine), expected, "{machine:?}");
        }
        let unknown = Need { rows: None, ..ROWS };
        assert_eq!(verdict(unknown, has(needed, ROWS.disk)), Verdict::Unknown);
    }

    #[test]
    fn more_rows_than_any_machine_holds_are_no_overflow() {
        let need = Need {
            rows: Some(u64::MAX),
            disk: Some(0),
        };
        let machine = Machine {
            memory: Some(1 << 40),
            disk: Some(1),
        };
        assert_eq!(verdict(need, machine), Verdict::TooLittleMemory);
        assert!(text(need, machine).contains("too little"));
    }

    #[test]
    fn what_the_kernel_says_is_read_or_left() {
        let text = "MemTotal:       32 kB\nMemAvailable:   16 kB\nBuffers: 1 kB\n";
        assert_eq!(available(text), Some(16_384));
        for none in ["", "MemAvailable: 16\n", "MemAvailable: x kB\n"] {
            assert_eq!(available(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_work_directory_to_be_made_is_on_the_disk_above_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = Machine::here(folder.path()).disk;
        let below = Machine::here(&folder.path().join("a/b")).disk;
        assert!(here.is_some() && below.is_some());
        assert!(Machine::here(Path::new("not-there-yet")).disk.is_some());
    }
}
