//! After any failure the same command goes on.

mod actor_exits;
mod chaos;
mod chunk_failures;
mod disk_errors;
mod fault_matrix;
mod kill_loop;
mod resume;
mod telemetry;
mod work_dir;
