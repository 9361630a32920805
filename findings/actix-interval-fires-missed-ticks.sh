#!/usr/bin/env bash
# After an actor was busy, ctx.run_interval fires once for every tick that it missed, all at one instant.
#
# Versions: actix 0.13.5, actix-rt 2.15.0 (crates)
# Guess:    an interval that could not run is late once and goes on from there; a heartbeat of 50 ms that
#           was held up for 320 ms beats once afterwards.
# Seen:     six beats within the same millisecond, then on the old beat. What counts beats, or sends a
#           request with each, takes a pause of the arbiter for a burst of life.
# Output:   beats at 320 320 320 320 320 320 350 400 ms (rounded to 10)
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
actix = { version = "=0.13.5", default-features = false, features = ["macros"] }
actix-rt = "=2.15.0"
TOML
cat >src/main.rs <<'RS'
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::prelude::*;

struct Busy(Arc<Mutex<Vec<u128>>>);

impl Actor for Busy {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let start = Instant::now();
        ctx.run_interval(Duration::from_millis(50), move |busy, _| {
            busy.0.lock().unwrap().push(start.elapsed().as_millis());
        });
        std::thread::sleep(Duration::from_millis(320));
    }
}

#[actix::main]
async fn main() {
    let beats = Arc::new(Mutex::new(Vec::new()));
    let _address = Busy(beats.clone()).start();
    actix_rt::time::sleep(Duration::from_millis(450)).await;
    let beats = beats.lock().unwrap();
    println!("beats at {beats:?} ms");
    let burst = beats.iter().filter(|at| **at - beats[0] < 25).count();
    assert!(beats[0] >= 320 && (5..=8).contains(&burst), "{burst} beats at once");
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
