//! The `gleaner` program. Everything is in the library: see `gleaner::cli`.

fn main() -> std::process::ExitCode {
    gleaner::cli::main()
}
