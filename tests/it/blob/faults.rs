//! Whole exports into the storage emulator, through every way in which a network or a service
//! fails: the dataset is there and right, or it is not there and the same command finishes it.

use crate::support::Sandbox;
use crate::support::blob::{Blob, undisturbed};
use crate::support::proxy::{ALWAYS, Fault, On, Plan, Proxy};

fn plan(on: On, skip: usize, times: usize, fault: Fault) -> Plan {
    Plan {
        on,
        skip,
        times,
        fault,
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn a_run_lives_through_what_passes() {
    let expected = undisturbed();
    let proxy = Proxy::start();
    let status = |status, code, later| Fault::Status(status, code, later);
    let faults = [
        ("early", plan(On::Block, 0, 1, Fault::Reset(100))),
        ("late", plan(On::Block, 3, 2, Fault::Reset(60_000))),
        (
            "s500",
            plan(On::Block, 1, 2, status(500, "InternalError", false)),
        ),
        (
            "s503",
            plan(On::Block, 1, 2, status(503, "ServerBusy", true)),
        ),
        (
            "s429",
            plan(On::Block, 1, 2, status(429, "TooManyRequests", true)),
        ),
        ("hang", plan(On::Block, 2, 1, Fault::Hang)),
        ("slow", plan(On::Block, 0, 1, Fault::Slow(100_000))),
        ("lostblock", plan(On::Block, 1, 2, Fault::LostReply)),
        ("lostcommit", plan(On::Commit, 1, 2, Fault::LostReply)),
        ("lostmanifest", plan(On::Manifest, 0, 1, Fault::LostReply)),
        ("flipped", plan(On::Block, 2, 2, Fault::Flip)),
        ("flippedcrc", plan(On::Block, 2, 2, Fault::Flip)),
        // Nothing gets through for a while, whatever is asked.
        ("outage", plan(On::Any, 9, 9, Fault::Reset(0))),
    ];
    for (name, plan) in faults {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, proxy.endpoint(), name);
        proxy.fail(Some(plan));
        let more: &[&str] = match name {
            "hang" => &["--set", "sink.azure_blob.timeout=2s"],
            "flippedcrc" => &["--set", "sink.azure_blob.checksum=crc64"],
            _ => &[],
        };
        let run = blob.export(more);
        run.expect(0);
        assert_eq!(proxy.hits(), plan.times, "{name}");
        assert_eq!(run.json()["content_sha256"], expected, "{name}");
        assert!(!blob.has(".claim.json"), "{name}: the claim is left");
        blob.verify(&[]).expect(0);
    }
}

/// Faults that last: a name, the request that meets it, the fault, the message and the hint.
fn lasting() -> [(&'static str, On, Fault, &'static str, &'static str); 7] {
    let refused = |status, code| Fault::Status(status, code, false);
    [
        (
            "expired",
            On::Block,
            refused(403, "AuthenticationFailed"),
            "HTTP 403 AuthenticationFailed",
            "the signature must be valid",
        ),
        (
            "expiredcommit",
            On::Commit,
            refused(403, "AuthenticationFailed"),
            "HTTP 403",
            "the signature must be valid",
        ),
        (
            "deleted",
            On::Block,
            Fault::Delete,
            "ContainerNotFound",
            "there is no such container",
        ),
        (
            "full",
            On::Block,
            refused(409, "MemoryExtentStoreAtSizeLimit"),
            "HTTP 409",
            "make room",
        ),
        (
            "broken",
            On::Block,
            Fault::Flip,
            "HTTP 400 Md5Mismatch",
            "the line damages",
        ),
        (
            "down",
            On::Block,
            Fault::Reset(0),
            "cannot write a block of az://devstoreaccount1/it-down/",
            "sink.azure_blob.retry_timeout",
        ),
        (
            "hanging",
            On::Commit,
            Fault::Hang,
            "timed out",
            "sink.azure_blob.timeout",
        ),
    ]
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn what_does_not_pass_ends_a_run_that_goes_on_later() {
    let expected = undisturbed();
    let proxy = Proxy::start();
    for (name, on, fault, said, hint) in lasting() {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, proxy.endpoint(), name);
        proxy.fail(Some(plan(on, 1, ALWAYS, fault)));
        let impatient = "--set sink.azure_blob.retry_timeout=1s --set sink.azure_blob.timeout=1s";
        let impatient: Vec<&str> = impatient.split(' ').collect();
        let run = blob.export(&impatient);
        let reported = run.expect(if fault == Fault::Delete { 2 } else { 1 });
        assert!(reported.contains(said), "{name}: {reported}");
        assert!(reported.contains(hint), "{name}: {reported}");
        assert!(
            reported.contains("run the same command again"),
            "{name}: {reported}"
        );
        if fault == Fault::Delete {
            blob.make();
        }
        assert!(!blob.has("metadata.json"), "{name}");
        blob.verify(&[]).expect(1);
        proxy.fail(None);
        blob.finishes(&expected, name);
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn any_answer_may_be_lost_or_break_off() {
    let proxy = Proxy::start();
    let few = "--set selection.targets.val={short=0,medium=0,long=0} --set selection.targets.test={short=0,medium=0,long=0} --set selection.targets.train={short=30,medium=0,long=0}";
    let few: Vec<&str> = few.split(' ').collect();
    let export = |name: &str, plan: Option<Plan>| {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, proxy.endpoint(), name);
        proxy.fail(plan);
        let run = blob.export(&few);
        run.expect(0);
        assert!(!blob.has(".claim.json"), "{name}: the claim is left");
        (
            run.json()["content_sha256"].clone(),
            proxy.requests().len(),
            proxy.hits(),
        )
    };
    let (expected, requests, _) = export("undisturbed", None);
    assert!(requests > 10, "{requests}");
    for (kind, fault) in [("lost", Fault::LostReply), ("cut", Fault::CutReply)] {
        for skip in 0..requests {
            let name = format!("{kind}{skip}");
            let (found, _, hits) = export(&name, Some(plan(On::Any, skip, 1, fault)));
            assert_eq!(
                (&found, hits),
                (&expected, 1),
                "{name}: {:?}",
                proxy.requests()
            );
        }
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn a_download_that_breaks_off_goes_on() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::start();
    let blob = Blob::new(&sandbox, proxy.endpoint(), "download");
    blob.export(&[]).expect(0);
    for fault in [Fault::LostReply, Fault::CutReply] {
        proxy.fail(Some(plan(On::Download, 2, 3, fault)));
        blob.verify(&[]).expect(0);
        assert_eq!(proxy.hits(), 3, "{fault:?}");
    }
}
