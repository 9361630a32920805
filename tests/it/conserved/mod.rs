//! Every row and every conversation is accounted for.

mod bad_input;
mod filled_rows;
mod input_files;
mod large_rows;
mod parquet_input;
mod renamed_fields;
mod row_faults;
mod telemetry_rows;
mod whole_conversations;
