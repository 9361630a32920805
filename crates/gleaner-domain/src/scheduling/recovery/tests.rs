use super::*;

const FIRST: Pass = Pass::Round(0);

fn hash(count: u32, index: u32, depth: u32) -> Chunk {
    Chunk::Hash(HashChunk {
        count,
        index,
        depth,
    })
}

/// A chunk of four.
fn chunk(index: u32) -> Chunk {
    hash(4, index, 0)
}

fn halves(index: u32) -> [Chunk; 2] {
    [hash(8, index, 1), hash(8, index + 4, 1)]
}

fn piece(start: u64) -> Chunk {
    Chunk::Piece(super::super::chunk::Piece {
        file: 0,
        start,
        end: start + 1,
    })
}

fn sealed(pass: Pass, chunk: Chunk) -> ChunkPass {
    ChunkPass { chunk, pass }
}

#[test]
fn an_action_without_a_history_is_followed_at_once() {
    let retry_after = Some(Duration::from_secs(7));
    for (action, response) in [
        (
            Action::Throttle { retry_after },
            FailureResponse::Throttle { retry_after },
        ),
        (Action::Split, FailureResponse::Split),
        (Action::Retry, FailureResponse::Retry),
        (Action::Fail, FailureResponse::Fail),
    ] {
        let mut recovery = Recovery::new(0);
        for _ in 0..3 {
            assert_eq!(recovery.after_failure(chunk(0), action, FIRST), response);
        }
        assert!(!recovery.must_recount());
    }
}

#[test]
fn a_chunk_that_is_short_of_memory_twice_is_split_also_with_other_failures_between() {
    let mut recovery = Recovery::new(0);
    let mut fail = |of, action| recovery.after_failure(chunk(of), action, Pass::All);
    assert_eq!(fail(0, Action::RetryThenSplit), FailureResponse::Retry);
    assert_eq!(fail(1, Action::RetryThenSplit), FailureResponse::Retry);
    assert_eq!(fail(0, Action::Retry), FailureResponse::Retry);
    assert_eq!(fail(0, Action::RetryThenSplit), FailureResponse::Split);
    assert_eq!(fail(1, Action::RetryThenSplit), FailureResponse::Split);
}

#[test]
fn a_census_is_fetched_again_after_two_mismatches_in_a_row_and_once_a_run() {
    const MISMATCH: Action = Action::RetryThenRefetchCensus;
    let mut recovery = Recovery::new(0);
    let mut fail = |of, action| recovery.after_failure(chunk(of), action, FIRST);
    assert_eq!(fail(0, MISMATCH), FailureResponse::Retry);
    assert_eq!(
        fail(1, MISMATCH),
        FailureResponse::Retry,
        "of another chunk"
    );
    assert_eq!(fail(0, Action::Retry), FailureResponse::Retry);
    assert_eq!(fail(0, MISMATCH), FailureResponse::Retry, "not in a row");
    assert_eq!(fail(0, MISMATCH), FailureResponse::RefetchCensus);
    assert_eq!(fail(1, MISMATCH), FailureResponse::Retry, "once a run");
    assert!(recovery.must_recount());
    assert!(!recovery.take_census_refetch(chunk(1)));
    assert!(recovery.take_census_refetch(chunk(0)));
    assert!(!recovery.take_census_refetch(chunk(0)), "one attempt");
    recovery.recounting();
    assert!(!recovery.must_recount());
}

#[test]
fn a_later_round_keeps_its_census() {
    for pass in [Pass::Round(1), Pass::Census, Pass::All] {
        let mut recovery = Recovery::new(0);
        for _ in 0..4 {
            let action = Action::RetryThenRefetchCensus;
            let response = recovery.after_failure(chunk(0), action, pass);
            assert_eq!(response, FailureResponse::Retry, "{pass:?}");
        }
        assert!(!recovery.must_recount());
    }
}

#[test]
fn as_many_chunks_may_be_missing_as_are_allowed() {
    let mut recovery = Recovery::new(2);
    let mut without = |of| recovery.go_without(chunk(of), Pass::All, None, false);
    assert_eq!(without(0), Some(vec![chunk(0)]));
    assert_eq!(without(1), Some(vec![chunk(1)]));
    assert_eq!(without(1), Some(vec![chunk(1)]), "counts once");
    assert_eq!(without(2), None);
    assert_eq!(*recovery.missing(), BTreeSet::from([chunk(0), chunk(1)]));
    assert!(!recovery.must_recount(), "nothing was counted of them");
}

#[test]
fn nothing_is_missing_of_what_is_written_or_lies_in_a_file() {
    let mut recovery = Recovery::new(9);
    let mut without = |chunk, pass, has_files| {
        let censuses = [hash(4, 0, 0)];
        recovery.go_without(chunk, pass, Some(&censuses), has_files)
    };
    assert_eq!(
        without(chunk(0), Pass::Round(1), false),
        None,
        "later round"
    );
    assert_eq!(without(chunk(0), FIRST, true), None, "a file has records");
    assert_eq!(without(piece(0), FIRST, false), None, "a file is whole");
    assert_eq!(without(chunk(0), FIRST, false), Some(vec![chunk(0)]));
}

#[test]
fn with_a_chunk_its_whole_census_is_missing() {
    let censuses = [chunk(0), halves(1)[0], halves(1)[1]];
    let mut recovery = Recovery::new(2);
    let whole = recovery.go_without(halves(0)[1], FIRST, Some(&censuses), false);
    assert_eq!(whole, Some(vec![chunk(0)]));
    assert!(recovery.must_recount());
    let both = recovery.go_without(chunk(1), FIRST, Some(&censuses), false);
    assert_eq!(both, None, "one more may be missing, not two");
    assert_eq!(*recovery.missing(), BTreeSet::from([chunk(0)]));
}

#[test]
fn what_an_earlier_start_went_without_stays_missing_unless_fewer_may_be() {
    let recorded = BTreeSet::from([chunk(0), chunk(3)]);
    let mut recovery = Recovery::new(2);
    assert!(recovery.adopt_missing(&recorded));
    assert_eq!(*recovery.missing(), recorded);
    let mut stricter = Recovery::new(1);
    assert!(!stricter.adopt_missing(&recorded));
    assert!(stricter.missing().is_empty());
}

#[test]
fn a_pass_fetches_what_an_earlier_start_has_made_of_the_chunks() {
    let cover = [chunk(0), chunk(1), chunk(2), piece(0)];
    let [left, right] = halves(0);
    let mut recovery = Recovery::new(2);
    let other_pass = sealed(Pass::Census, halves(2)[0]);
    let found = [
        sealed(Pass::All, left),
        other_pass,
        sealed(Pass::All, piece(0)),
    ];
    let chunks = recovery.chunks_of_pass(Pass::All, &cover, found);
    assert_eq!(chunks, [left, right, chunk(1), chunk(2), piece(0)]);
    assert_eq!(
        *recovery.splits(),
        BTreeMap::from([(chunk(0), [left, right])])
    );
}

#[test]
fn a_missing_half_says_that_its_chunk_was_split_and_is_not_fetched() {
    let mut recovery = Recovery::new(2);
    let [left, right] = halves(1);
    recovery.adopt_missing(&BTreeSet::from([right, chunk(0)]));
    let chunks = recovery.chunks_of_pass(Pass::All, &[chunk(0), chunk(1)], []);
    assert_eq!(chunks, [left]);
    assert_eq!(
        *recovery.splits(),
        BTreeMap::from([(chunk(1), [left, right])])
    );
    recovery.record_split(left, halves(2));
    assert_eq!(recovery.splits().len(), 2);
}
