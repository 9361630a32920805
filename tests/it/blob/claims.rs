//! Whose dataset it is: claims, runs that are killed and go on, and what others put in between.

use std::process::Stdio;

use crate::support::blob::{Blob, KEEPING, run, undisturbed};
use crate::support::proxy::{On, Proxy};
use crate::support::{Run, Sandbox};

/// What a run says of what it did not send again.
fn kept(run: &Run) -> Option<String> {
    let notes = run.json()["notes"].clone();
    let notes = notes.as_array().expect("a list").iter();
    let mut notes = notes.filter_map(|note| note.as_str());
    let note = notes.find(|note| note.contains("not sent again"))?;
    let (size, _) = note.split_once(" had been uploaded").expect("a size");
    Some(size.to_owned())
}

#[test]
#[ignore = "needs Azurite and the feature fault-injection: run ./test.sh"]
fn killed_at_any_block_or_commit_it_goes_on_and_sends_nothing_twice() {
    let expected = undisturbed();
    let proxy = Proxy::start();
    let whole = Sandbox::new();
    let blob = Blob::new(&whole, proxy.endpoint(), "whole");
    let run = blob.finishes(&expected, "whole");
    assert_eq!(kept(&run), None);
    let blocks = proxy.count(On::Block);
    // Where it is killed, and whether something must have been kept by then.
    let points = [
        ("upload.stage.before:1", false),
        ("upload.stage.before:6", false),
        ("upload.stage.after:1", true),
        ("upload.stage.after:7", true),
        ("upload.commit.before:1", true),
        ("upload.commit.before:5", true),
        ("upload.commit.after:1", true),
        ("upload.commit.after:9", true),
        ("upload.publish.before:1", true),
        ("upload.publish.after:1", true),
    ];
    for (point, something) in points {
        let sandbox = Sandbox::new();
        let name = point.replace([':', '.'], "-");
        let blob = Blob::new(&sandbox, proxy.endpoint(), &name);
        proxy.fail(None);
        blob.export_killed(point);
        let sent = proxy.count(On::Block);
        assert_eq!(
            blob.has("metadata.json"),
            point == "upload.publish.after:1",
            "{point}"
        );
        // Not reset in between: a block that was on its way when it was killed is counted late.
        let run = blob.finishes(&expected, point);
        assert_eq!(run.json()["resumed"], true, "{point}");
        let again = proxy.count(On::Block) - sent;
        if point == "upload.publish.after:1" {
            assert_eq!(
                (again, kept(&run)),
                (0, None),
                "only the claim was left to remove"
            );
            continue;
        }
        assert_eq!(kept(&run).is_some(), something || again < blocks, "{point}");
        // A block that was on its way when it was killed may have arrived or not.
        let uploaders = 4;
        assert!(
            (blocks..=blocks + uploaders).contains(&(sent + again)),
            "{point}: {sent} + {again} of {blocks}"
        );
    }
}

#[test]
#[ignore = "needs Azurite and the feature fault-injection: run ./test.sh"]
fn another_run_learns_the_owner_and_the_time_of_the_claim() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::start();
    let blob = Blob::new(&sandbox, proxy.endpoint(), "claimed");
    blob.export_killed("upload.stage.before:2");
    let status = sandbox.run(&["status", "work", "--json"]).json()["runs"][0].clone();
    proxy.fail(None);
    // The same settings, and other ones: it is the run that counts.
    for more in [
        &["--work-dir", "other"][..],
        &["--work-dir", "third", "--seed", "s"],
    ] {
        let refused = blob.export(more);
        let reported = refused.expect(2);
        for word in ["run_id", "started"] {
            let word = status[word].as_str().expect("text");
            assert!(reported.contains(word), "{word}: {reported}");
        }
        assert!(
            reported.contains("az://devstoreaccount1/it-claimed/some/prefix/d belongs to run"),
            "{reported}"
        );
        assert!(reported.contains("--name"), "{reported}");
        assert!(
            !sandbox.path(more[1]).exists(),
            "nothing is left of a run that was refused"
        );
    }
    assert_eq!(proxy.count(On::Block), 0);
    blob.export(&[]).expect(0);
    // What is published belongs to nobody, and stays.
    let refused = blob.export(&["--work-dir", "other"]);
    refused.says(2, &["never overwritten"]);
    blob.verify(&[]).expect(0);
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn of_two_runs_at_once_one_publishes() {
    let expected = undisturbed();
    let proxy = Proxy::start();
    for round in 0..3 {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, proxy.endpoint(), &format!("race{round}"));
        let start = |work: &str| {
            let mut command = blob.export_command(&["--work-dir", work]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("it runs")
        };
        let both = ["a", "b", "c"].map(start);
        let runs = both.map(|child| Run::from(child.wait_with_output().expect("it ends")));
        let mut codes = runs.each_ref().map(|run| run.code);
        codes.sort();
        assert_eq!(codes, [Some(0), Some(2), Some(2)], "{}", runs[0].stderr);
        let winner = runs.iter().find(|run| run.code == Some(0)).expect("one");
        assert_eq!(winner.json()["content_sha256"], expected);
        let verified = blob.verify(&[]);
        verified.expect(0);
        assert!(!blob.has(".claim.json"));
    }
}

#[test]
#[ignore = "needs Azurite and the feature fault-injection: run ./test.sh"]
fn what_others_put_there_is_named_and_left_alone() {
    let expected = undisturbed();
    let proxy = Proxy::start();
    let sandbox = Sandbox::new();
    let blob = Blob::new(&sandbox, proxy.endpoint(), "foreign");
    let file = "val/long_11_to_20_turns.jsonl";
    blob.put(file, &[], b"precious");
    let refused = blob.export(&[]);
    refused.says(2, &[file]);
    blob.ask("DELETE", file);

    // While a run goes on.
    blob.export_killed("upload.stage.before:2");
    blob.put(file, &[], b"precious");
    let refused = blob.export(&[]);
    let reported = refused.says(
        1,
        &[&format!("foreign/some/prefix/d/{file} is there already")],
    );
    assert!(reported.contains("remove it"), "{reported}");
    assert!(!blob.has("metadata.json"));
    let there = blob.ask("GET", file);
    assert!(there.ends_with("precious"), "{there}");
    blob.ask("DELETE", file);
    blob.finishes(&expected, "once it is gone");
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn a_claim_that_may_not_be_removed_is_reported_and_the_dataset_is_there() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::start();
    let mut blob = Blob::new(&sandbox, proxy.endpoint(), "keeping");
    blob.signature = KEEPING;
    let published = blob.export(&[]);
    published.expect(0);
    let notes = published.json()["notes"].to_string();
    assert!(notes.contains(".claim.json: HTTP 403"), "{notes}");
    blob.verify(&[]).expect(0);
    let refused = blob.export(&["--work-dir", "other"]);
    refused.says(2, &["exists already"]);
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn blobs_that_were_tampered_with_are_found() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::start();
    let blob = Blob::new(&sandbox, proxy.endpoint(), "tampered");
    blob.export(&[]).expect(0);
    let file = "test/short_3_to_5_turns.jsonl";
    let whole = blob.ask("GET", file);
    let (head, body) = whole.split_once("\r\n\r\n").expect("an answer");
    let header = |line: &&str| line.starts_with("x-ms-meta-sha256");
    let digest = head.lines().find(header).expect("a digest is kept");
    let other = body.replacen("\"userMessage\":\"", "\"userMessage\":\"X", 1);
    let same_length = body
        .replacen("\"userMessage\":\"", "\"userMessage\":\"X", 1)
        .replacen(" ", "", 1);
    assert_eq!(same_length.len(), body.len());
    let verify = |reported: &str, quick: i32, full: i32| {
        for (more, code) in [(&["--quick"][..], quick), (&[], full)] {
            let run = blob.verify(more);
            run.expect(code);
            let findings = run.json()["findings"].to_string();
            assert_eq!(findings.contains(file), code == 1, "{reported}: {findings}");
        }
    };
    // What is stored says what it said: only reading it all tells.
    blob.put(file, &[digest], same_length.as_bytes());
    verify("same length, same stored digest", 0, 1);
    blob.put(file, &["x-ms-meta-sha256: 00"], same_length.as_bytes());
    verify("another stored digest", 1, 1);
    blob.put(file, &[], same_length.as_bytes());
    verify("no stored digest", 1, 1);
    blob.put(file, &[], body.as_bytes());
    verify("no stored digest, and the right bytes", 1, 0);
    blob.put(file, &[digest], other.as_bytes());
    verify("another length", 1, 1);
    blob.put(file, &[digest], body.as_bytes());
    verify("as it was", 0, 0);
    blob.ask("DELETE", file);
    verify("removed", 1, 1);
    run(blob.command(
        &["verify", "az://devstoreaccount1/it-tampered/some/prefix"],
        &[],
    ))
    .expect(1);
}
