# Everything is a plain command; `just` only saves typing.

# Build and run the main job on made-up telemetry
demo:
    cargo run --release -- export --config config/demo.toml

# All tests
test:
    ./test.sh

# Format, lint, document
check:
    cargo fmt --all --check
    cargo clippy --all-targets --features fault-injection,kusto-emulator -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Licences, bans, sources and advisories (needs `cargo install cargo-deny`, and a network for the advisories)
deny:
    cargo deny --all-features check licenses bans sources advisories

# Hot paths, in process
bench:
    cargo bench --bench hot_paths

# Whole process, side by side with a careful Python script (needs orjson and xxhash)
compare:
    cargo build --release
    python3 benches/side_by_side.py

# What is shipped, into dist/: program, manual pages, completions, SBOM, SHA256SUMS
dist:
    ./dist.sh

# Lists what is public, to be looked at when it changes
public-api:
    python3 docs/public_api.py > docs/public-api.txt
    git diff --stat docs/public-api.txt

# Every fuzz target for a while, a stable toolchain is enough (needs `cargo install cargo-fuzz`)
fuzz seconds="60":
    for target in event_line conversation_record kusto_frames config work_dir blob_names; do RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $target -- -max_total_time={{seconds}} || exit 1; done

# The real binary, killed a thousand times
kills:
    GLEANER_KILLS=1000 ./test.sh --test it -- kill_loop --nocapture

# Mistakes that the unit tests of the domain and of spool/ would not notice (needs `cargo install cargo-mutants`); 0/1 is all
mutants shard="0/1":
    -cargo mutants -p gleaner-domain -o target/mutants/domain -j1 --timeout 120 --sharding round-robin --shard {{shard}}
    cargo mutants -p gleaner -o target/mutants/spool --features fault-injection,kusto-emulator -j1 --timeout 120 --sharding round-robin --shard {{shard}} -- -- spool::

# Each cargo feature by itself, and the unit tests of a build without any.
features:
    for one in cli serve kusto azure parquet testing; do cargo check --locked --quiet --no-default-features --features $one || exit 1; done
    cargo test --locked --no-default-features --lib
