#!/usr/bin/env bash
# The toml crate refuses an integer in a Table that it takes for a field, and figment reads an older TOML.
#
# Versions: toml 1.2.1, figment 0.10.19 (crates)
# Guess:    what toml::from_str::<Settings> accepts is TOML, so it is for toml::Table and for figment's
#           Toml provider, which is built on the same crate.
# Seen:     seed = 9223372036854775808 fills a u64 field and is an error as a Table. A line break in an
#           inline table (TOML 1.1) is read by toml, into a struct or a Table; figment brings a toml 0.8
#           of its own, which stops there. A file can pass one check and fail the next.
# Output:   struct Ok(9223372036854775808), Table "u64 value was too large"; toml Ok, figment "invalid inline table"
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "look"
version = "0.0.0"
edition = "2021"

[dependencies]
figment = { version = "=0.10.19", features = ["toml"] }
serde = { version = "1", features = ["derive"] }
toml = "=1.2.1"
TOML
cat >src/main.rs <<'RS'
use figment::providers::{Format, Toml};
use figment::Figment;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Seed {
    seed: u64,
}

#[derive(Debug, Deserialize)]
struct Targets {
    train: Lengths,
}

#[derive(Debug, Deserialize)]
struct Lengths {
    short: u32,
    long: u32,
}

fn main() {
    let large = "seed = 9223372036854775808";
    let (typed, table) = (toml::from_str::<Seed>(large), large.parse::<toml::Table>());
    println!("{typed:?}\n{table:?}");
    assert_eq!(typed.unwrap().seed, 1 << 63);
    assert!(table.unwrap_err().to_string().contains("too large"));

    let broken = "train = { short = 4,\n  long = 2 }";
    let read = toml::from_str::<Targets>(broken).unwrap().train;
    assert_eq!((read.short, read.long), (4, 2));
    assert!(broken.parse::<toml::Table>().is_ok());
    let figment = Figment::from(Toml::string(broken)).extract::<Targets>().unwrap_err().to_string();
    println!("{figment}");
    assert!(figment.contains("invalid inline table"));
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
