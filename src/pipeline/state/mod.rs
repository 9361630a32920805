//! What a run leaves on disk: its work directory and its status.

pub(crate) mod exclude_key;
pub mod start;
pub(crate) mod status_file;
pub mod work_dir;
