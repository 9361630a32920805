# Everything is a plain command; `just` only saves typing.

# Build and run the main job on made-up telemetry
demo:
    cargo run --release -- export --config config/demo.toml

# All tests
test:
    ./test.sh

# Format, lint, document
check:
    cargo fmt --check
    cargo clippy --all-targets --features fault-injection,kusto-emulator -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Licences, bans, sources (advisories need a network)
deny:
    cargo deny check licenses bans sources

# Hot paths, in process
bench:
    cargo bench --bench hot_paths

# Whole process, side by side with a careful Python script (needs orjson and xxhash)
compare:
    cargo build --release
    python3 benches/side_by_side.py
