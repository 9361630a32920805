#!/usr/bin/env bash
# ctx.notify is overtaken by messages that are sent to the same actor after it.
#
# Versions: actix 0.13.5, actix-rt 2.15.0 (crates)
# Guess:    ctx.notify(m) puts m behind what is queued, or at once before it; either way a do_send to the
#           same actor that comes later is handled later.
# Seen:     the mailbox is emptied first: a do_send made after the notify, and whatever others send
#           meanwhile, is handled before it. "Tell myself to go on, then take orders" is not what happens.
#           A spawned future waits in the same way; two notifies keep their order.
# Output:   start, other, sent later, notified 1, notified 2
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
use std::time::Duration;

use actix::prelude::*;

#[derive(Message)]
#[rtype(result = "()")]
struct Note(&'static str);

struct Clerk(Arc<Mutex<Vec<&'static str>>>);

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Handler<Note> for Clerk {
    type Result = ();

    fn handle(&mut self, note: Note, ctx: &mut Context<Self>) {
        self.0.lock().unwrap().push(note.0);
        if note.0 == "start" {
            ctx.notify(Note("notified 1"));
            ctx.notify(Note("notified 2"));
            ctx.address().do_send(Note("sent later"));
        }
    }
}

#[actix::main]
async fn main() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let address = Clerk(seen.clone()).start();
    address.do_send(Note("start"));
    address.do_send(Note("other"));
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    println!("{:?}", seen.lock().unwrap());
    assert_eq!(*seen.lock().unwrap(), ["start", "other", "sent later", "notified 1", "notified 2"]);
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
