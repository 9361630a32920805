use super::*;
use crate::scheduling::chunk::HashChunk;
use proptest::prelude::*;

const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

fn table(chunks: u32) -> LeaseTable {
    let chunks = HashChunk::cover(chunks).map(Chunk::Hash);
    LeaseTable::new(chunks, Duration::from_secs(10), 3, BACKOFF, 1)
}

fn grant(table: &mut LeaseTable, now: u64) -> Option<Lease> {
    match table.grant(Duration::from_secs(now)) {
        Grant::Lease(lease) => Some(lease),
        _ => None,
    }
}

#[test]
fn an_old_epoch_is_refused() {
    let mut table = table(1);
    let old = grant(&mut table, 0).expect("free");
    assert_eq!(table.grant(Duration::ZERO), Grant::AllTaken);
    assert_eq!(table.expire(Duration::from_secs(10)), [old]);
    let new = grant(&mut table, 10).expect("free again");
    assert_ne!(old.epoch, new.epoch);
    assert_eq!(new.attempt, 1, "a lost lease is no failure");
    assert!(!table.complete(&old) && !table.renew(&old, Duration::from_secs(11)));
    assert_eq!(
        table.fail(&old, Duration::from_secs(11), 0.0),
        AfterFailure::Stale
    );
    assert!(table.complete(&new));
    assert_eq!(table.grant(Duration::from_secs(12)), Grant::Finished);
}

#[test]
fn a_renewed_lease_does_not_run_out() {
    let mut table = table(1);
    let lease = grant(&mut table, 0).expect("free");
    assert!(table.renew(&lease, Duration::from_secs(9)));
    assert_eq!(table.expire(Duration::from_secs(18)), []);
    assert_eq!(table.expire(Duration::from_secs(19)), [lease]);
}

#[test]
fn failures_wait_longer_each_time_and_then_end() {
    let mut table = table(1);
    let first = grant(&mut table, 0).expect("free");
    let AfterFailure::RetryAt(at) = table.fail(&first, Duration::ZERO, 1.0) else {
        panic!("two attempts are left");
    };
    assert_eq!(table.grant(Duration::ZERO), Grant::Later(at));
    let second = grant(&mut table, 60).expect("due");
    assert_eq!(second.attempt, 2);
    table.fail(&second, Duration::from_secs(60), 0.0);
    let third = grant(&mut table, 120).expect("due");
    assert_eq!(
        table.fail(&third, Duration::from_secs(120), 0.0),
        AfterFailure::Exhausted
    );
}

#[test]
fn halves_come_first_and_start_anew() {
    let mut table = table(3);
    let lease = grant(&mut table, 0).expect("free");
    table.fail(&lease, Duration::ZERO, 0.0);
    let other = grant(&mut table, 0).expect("free");
    let halves = table.split(&other).expect("not too deep");
    assert_eq!(table.split(&other), None, "the lease is gone");
    assert_eq!(table.total(), 4);
    for half in halves {
        let lease = grant(&mut table, 0).expect("free");
        assert_eq!((lease.chunk, lease.attempt), (half, 1));
    }
}

#[test]
fn what_was_throttled_waits_and_is_no_failure() {
    let mut table = table(1);
    let lease = grant(&mut table, 0).expect("free");
    assert!(table.postpone(&lease, Duration::from_secs(30)));
    assert_eq!(
        table.grant(Duration::ZERO),
        Grant::Later(Duration::from_secs(30))
    );
    let again = grant(&mut table, 30).expect("due");
    assert_eq!(again.attempt, 1);
    assert!(table.abandon(&again) && !table.abandon(&again));
    assert_eq!(table.grant(Duration::from_secs(31)), Grant::Finished);
}

proptest! {
    #[test]
    fn a_chunk_has_one_live_epoch_and_is_done_once(steps in prop::collection::vec((0u8..5, 0usize..8), 0..200)) {
        let mut table = table(4);
        let mut held: Vec<Lease> = Vec::new();
        let mut completed = Vec::new();
        for (now, (action, which)) in (0u64..).zip(steps) {
            let time = Duration::from_secs(now);
            match (action, held.get(which % held.len().max(1)).copied()) {
                (0, _) => held.extend(grant(&mut table, now)),
                (1, Some(lease)) if table.complete(&lease) => {
                    prop_assert!(!completed.contains(&lease.chunk));
                    completed.push(lease.chunk);
                }
                (2, Some(lease)) => drop(table.fail(&lease, time, 0.5)),
                (3, Some(lease)) => drop(table.renew(&lease, time)),
                (4, _) => drop(table.expire(time)),
                _ => {}
            }
            let live = held.iter().filter(|lease| table.taken.get(&lease.chunk).is_some_and(|t| t.epoch == lease.epoch));
            prop_assert_eq!(live.count(), table.leased());
            prop_assert_eq!(table.done(), completed.len() as u64);
        }
    }
}

#[test]
fn what_is_given_back_is_granted_again_and_is_no_failure() {
    let mut table = table(2);
    let first = grant(&mut table, 0).expect("free");
    assert!(table.is_current(&first));
    assert!(table.give_back(&first));
    assert!(!table.is_current(&first) && !table.give_back(&first));
    assert!(!table.complete(&first), "it is nobody's");
    let again = grant(&mut table, 0).expect("free");
    assert_eq!((again.chunk, again.attempt), (first.chunk, first.attempt));
    assert!(table.is_current(&again) && !table.is_current(&first));
    // A failure before is not forgotten.
    table.fail(&again, Duration::ZERO, 0.0);
    let other = grant(&mut table, 0).expect("free");
    assert!(table.complete(&other));
    let second = grant(&mut table, 60).expect("due");
    assert!(table.give_back(&second));
    assert_eq!(grant(&mut table, 60).map(|lease| lease.attempt), Some(2));
}

#[test]
fn what_starts_anew_has_all_its_attempts() {
    let mut table = table(1);
    let first = grant(&mut table, 0).expect("free");
    table.fail(&first, Duration::ZERO, 0.0);
    let second = grant(&mut table, 60).expect("due");
    assert_eq!(second.attempt, 2);
    assert!(table.start_anew(&second));
    assert!(!table.start_anew(&second), "the lease is gone");
    let anew = grant(&mut table, 60).expect("free");
    assert_eq!((anew.chunk, anew.attempt), (second.chunk, 1));
}

#[test]
fn what_waits_is_known_and_so_is_the_next_epoch() {
    let chunks = HashChunk::cover(1).map(Chunk::Hash);
    let mut table = LeaseTable::new(chunks, Duration::from_secs(10), 3, BACKOFF, 7);
    assert!(table.has_waiting());
    for epoch in 7..10 {
        assert_eq!(table.next_epoch(), epoch);
        let lease = grant(&mut table, 0).expect("free");
        assert_eq!(lease.epoch, epoch);
        assert!(!table.has_waiting());
        table.give_back(&lease);
        assert!(table.has_waiting());
    }
    assert_eq!(table.next_epoch(), 10);
}

#[test]
fn what_is_done_without_counts_no_longer() {
    let mut table = table(3);
    let lease = grant(&mut table, 0).expect("free");
    assert!(table.abandon(&lease));
    assert_eq!((table.total(), table.done(), table.leased()), (2, 0, 0));
}
