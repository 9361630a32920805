//! A run starts on every kind of runtime and thread that a host may have.

use std::path::Path;

use crate::support::embedded::{digest, finish_here, folder, run_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_many_threads() {
    let (one, two) = (folder(), folder());
    let spawn = |folder: &Path| run_in(folder).build().expect("ready").spawn_thread();
    let runs = [
        spawn(one.path()).expect("a thread"),
        spawn(two.path()).expect("a thread"),
    ];
    let [one, two] = runs.map(|run| tokio::spawn(run.join()));
    let digests = (one.await.expect("no panic"), two.await.expect("no panic"));
    assert_eq!(digest(digests.0), digest(digests.1));
}

#[tokio::test]
async fn within_one_thread() {
    let (one, two) = (folder(), folder());
    let run = run_in(one.path())
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let from_thread = digest(run.join().await);
    let local = tokio::task::LocalSet::new();
    let from_set = local.run_until(finish_here(run_in(two.path())));
    assert_eq!(digest(from_set.await), from_thread);
}

#[actix::test]
async fn within_actix_on_this_arbiter_and_on_another() {
    let (one, two) = (folder(), folder());
    let here = run_in(one.path()).build().expect("ready").spawn_local();
    let arbiter = actix_rt::Arbiter::new();
    let there = run_in(two.path())
        .build()
        .expect("ready")
        .spawn_on(&arbiter.handle())
        .await;
    let (here, there) = tokio::join!(here.join(), there.expect("alive").join());
    assert_eq!(digest(here), digest(there));
    arbiter.stop();
    arbiter.join().expect("no panic");
}
