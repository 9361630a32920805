# Every recipe is a plain command.

# Build and run the main job on synthetic telemetry
demo:
    cargo run --release -- export --config config/demo.toml

# Run all tests
test:
    ./test.sh

# Format, lint, document
check:
    cargo fmt --all --check
    cargo clippy --all-targets -p gleaner -p gleaner-domain -p gleaner-py --features gleaner/fault-injection,gleaner/kusto-emulator,gleaner/tokenizer -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Check licences, bans, sources and advisories (needs `cargo install cargo-deny`, and a network for the advisories)
deny:
    cargo deny --all-features check licenses bans sources advisories

# Time the hot paths, in process
bench:
    cargo bench --bench hot_paths

# Whole process, compared with a careful Python script (needs orjson and xxhash)
compare:
    cargo build --profile dist
    python3 benches/side_by_side.py

# The same over a folder of Copilot Chat telemetry (`*.jsonl`, `*.jsonl.zst`), against a script of the same mapping
compare-telemetry folder:
    cargo build --profile dist
    python3 benches/telemetry.py {{folder}}

# What a census of some ranks costs at 335,000 and at 10 million conversations: bytes that come, and memory
compare-census:
    cargo build --release --features kusto-emulator
    python3 benches/census.py target/release 335000 10000000

# Build the release into dist/: program, man pages, completions, SBOM, SHA256SUMS
dist:
    ./dist.sh

# Build the Python package into dist/: one wheel for every Python from 3.10 (needs nothing but Rust, a C compiler and Python)
wheel:
    python/wheel.sh

# Test the Python package against the program
wheel-test *arguments:
    python/tests/run.sh {{arguments}}

# Try Spark and Ray with the wheel in dist/: kills of executors, workers, nodes and drivers, and what they cost (needs Java 17, an hour)
scale:
    python/scale/run.sh

# Execute the notebook, from raw rows to a trained step, with the wheel in dist/ (installs about 6 GB under target/)
notebook:
    python/examples/run.sh

# List the public interface, to be reviewed when it changes
public-api:
    ./docs/public-api.sh > docs/public-api.txt
    git diff --stat docs/public-api.txt

# Run every fuzz target for some seconds, with a stable toolchain (needs `cargo install cargo-fuzz`)
fuzz seconds="60":
    for target in event_line conversation_record kusto_frames config work_dir blob_names; do RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $target -- -max_total_time={{seconds}} || exit 1; done

# Kill the real binary a thousand times
kills:
    GLEANER_KILLS=1000 ./test.sh --test it -- kill_loop --nocapture

# Find mistakes that the unit tests of the domain, spool/ and pipeline/ miss (needs `cargo install cargo-mutants`); 0/1 is all
mutants shard="0/1":
    mkdir -p target/mutants
    -cargo mutants -p gleaner-domain -o target/mutants/domain -j1 --timeout 120 --sharding round-robin --shard {{shard}}
    cargo mutants -p gleaner -o target/mutants/program --features fault-injection,kusto-emulator,tokenizer -j1 --timeout 120 --sharding round-robin --shard {{shard}} -- -- spool:: pipeline::

# Check each cargo feature by itself, and run the unit tests of a build without any
features:
    for one in cli serve kusto azure parquet testing tokenizer; do cargo check --locked --quiet --no-default-features --features $one || exit 1; done
    cargo test --locked --no-default-features --lib

# Converted datasets, read by the trainers that they are for (installs about 30 GB under target/)
loaders dataset="":
    tests/loaders/run.sh {{dataset}}
