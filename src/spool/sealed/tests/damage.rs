//! What is damaged, or stands in the place of another chunk, is not taken for sealed.

use super::*;

#[test]
fn every_flipped_or_missing_byte_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, chunk_files) = sealed(folder.path());
    for path in [&chunk_files.seal, &chunk_files.rows] {
        let good = fs::read(path).expect("a file");
        let seal = fs::read(&chunk_files.seal).expect("a file");
        for at in (0..good.len())
            .step_by(good.len() / 50)
            .chain([good.len() - 1])
        {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            for damage in [&flipped[..], &good[..at]] {
                fs::write(path, damage).expect("writable");
                assert!(
                    spool.sealed(chunk_pass()).expect("readable").is_none(),
                    "{path:?} at {at}"
                );
                fs::write(&chunk_files.seal, &seal).expect("writable");
            }
        }
        fs::write(path, &good).expect("writable");
        assert!(spool.sealed(chunk_pass()).expect("readable").is_some());
    }
}

#[test]
fn rows_that_changed_places_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, chunk) = sealed(folder.path());
    let good = fs::read(&chunk.rows).expect("rows");
    let [first, second] = [&b"payload 0"[..], b"payload 1"];
    assert!(good.starts_with(&[first, second].concat()));
    let swapped = [second, first, &good[first.len() + second.len()..]].concat();
    fs::write(&chunk.rows, swapped).expect("writable");
    assert!(spool.sealed(chunk_pass()).expect("readable").is_none());
}

#[test]
fn the_seal_of_a_damaged_chunk_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let damages: [fn(&SealedChunk); 4] = [
        |chunk| fs::remove_file(&chunk.rows).expect("a file"),
        |chunk| fs::write(&chunk.rows, b"").expect("writable"),
        |chunk| fs::write(&chunk.seal, b"").expect("writable"),
        |chunk| fs::write(&chunk.seal, [0; 100]).expect("writable"),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let chunk = seal_one(&spool, chunk_pass(), 5);
        damage(&chunk);
        let found = spool.sealed(chunk_pass()).expect("readable");
        assert!(found.is_none() && !chunk.seal.exists(), "damage {number}");
    }
    // What cannot be removed is named.
    fs::create_dir(spool.path(chunk_pass(), "sealed")).expect("writable");
    assert!(is_io(spool.sealed(chunk_pass()), "remove"));
    fs::remove_dir(spool.path(chunk_pass(), "sealed")).expect("empty");
    // Nothing is there to be removed.
    assert!(spool.sealed(chunk_pass()).expect("readable").is_none());
}

#[test]
fn injected_damage_is_one_bit_or_the_second_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rows");
    for (kind, of_four, of_none) in [
        (Kind::Corrupt, &[0, 1, 3, 3][..], &[][..]),
        (Kind::Truncated, &[0, 1], &[]),
    ] {
        for (bytes, damaged) in [(&[0, 1, 2, 3][..], of_four), (&[], of_none)] {
            fs::write(&file, bytes).expect("writable");
            damage(&file, kind).expect("a file");
            assert_eq!(fs::read(&file).expect("a file"), damaged, "{kind:?}");
        }
    }
}

#[test]
fn the_seal_of_another_pass_is_not_taken_for_this_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let census = ChunkPass {
        pass: Pass::Census,
        ..chunk_pass()
    };
    seal_one(&spool, chunk_pass(), 5);
    for ending in ["rows", "sealed"] {
        let from = spool.path(chunk_pass(), ending);
        fs::copy(from, spool.path(census, ending)).expect("writable");
    }
    assert!(spool.sealed(census).expect("readable").is_none());
    assert!(spool.sealed(chunk_pass()).expect("readable").is_some());
}
