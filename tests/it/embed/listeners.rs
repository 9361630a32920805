//! What a host hears of a run: its events, and the report when it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures_util::StreamExt;
use gleaner::pipeline::host::run_actor::Subscribe;
use gleaner::telemetry::{Notice, RunEvent};
use tokio::sync::mpsc;

use crate::support::embedded::{digest_of, folder, paused, run_in, started_in};

/// An actor that takes its notices, each after a while if it is a slow one.
struct Listener {
    heard: mpsc::UnboundedSender<RunEvent>,
    pause: Duration,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<RunEvent> for Listener {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, event: RunEvent, _: &mut Context<Self>) -> Self::Result {
        let (heard, pause) = (self.heard.clone(), self.pause);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            heard.send(event).expect("the test listens");
        })
    }
}

#[test]
fn all_who_listen_hear_the_same_and_none_holds_up_the_run() {
    let folder = folder();
    paused(async {
        let listen = |pause| {
            let (heard, hears) = mpsc::unbounded_channel();
            let listener = Listener {
                heard,
                pause: Duration::from_secs(pause),
            };
            (listener.start(), hears)
        };
        let (quick, mut quick_hears) = listen(0);
        let (slow, mut slow_hears) = listen(3600);
        let run = started_in(folder.path());
        for listener in [&quick, &slow] {
            let subscribe = Subscribe(listener.clone().recipient());
            run.address().send(subscribe).await.expect("alive");
        }
        let (channel, stream) = (run.events(), run.event_stream());
        let begun = tokio::time::Instant::now();
        run.join().await.expect("published");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            begun.elapsed()
        );
        let from_channel: Vec<RunEvent> = channel.iter().collect();
        let from_stream: Vec<RunEvent> = stream.collect().await;
        assert_eq!(from_channel, from_stream);
        let all = async |hears: &mut mpsc::UnboundedReceiver<RunEvent>| {
            let mut heard = Vec::new();
            while heard
                .last()
                .is_none_or(|event: &RunEvent| !matches!(event.notice, Notice::Ended { .. }))
            {
                heard.push(hears.recv().await.expect("an end"));
            }
            heard
        };
        let quick_heard = all(&mut quick_hears).await;
        assert_eq!(quick_heard, from_channel);
        let mut slow_heard = all(&mut slow_hears).await;
        slow_heard.sort_by_key(|event| event.number);
        slow_heard.dedup();
        let numbers = |event: &[RunEvent]| {
            event
                .iter()
                .map(|event| event.number)
                .collect::<BTreeSet<_>>()
        };
        assert!(numbers(&slow_heard).is_subset(&numbers(&from_channel)));
        let chunks = from_channel
            .iter()
            .filter(|event| matches!(event.notice, Notice::Chunk { .. }));
        assert_eq!(chunks.count(), 12);
        let strata = from_channel
            .iter()
            .filter(|event| matches!(event.notice, Notice::Stratum { .. }));
        assert_eq!(strata.count(), 9);
    });
}

#[test]
fn the_report_is_in_the_work_directory_and_beside_the_dataset_if_asked_for() {
    let folder = folder();
    digest_of(run_in(folder.path()).report(true));
    let page = |path: &str| std::fs::read_to_string(folder.path().join(path)).expect("a page");
    let (kept, beside) = (page("work/report.html"), page("out/d.report.html"));
    for page in [kept, beside] {
        let (_, rest) = page
            .split_once("type=\"application/json\">")
            .expect("a view");
        let (json, _) = rest.split_once("</script>").expect("its end");
        let view: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(view["state"], "published");
        assert_eq!(view["chunks"].as_array().map(Vec::len), Some(12));
        assert_eq!(view["provenance"]["dataset"], "d");
        let turns = view["strata"][0]["turns"].as_array().expect("a histogram");
        let records: u64 = turns.iter().filter_map(|bin| bin[1].as_u64()).sum();
        assert_eq!(records, 20);
        assert!(
            !view["strata"][0]["tokens"]
                .as_array()
                .expect("a histogram")
                .is_empty()
        );
    }
}
