//! The main job over real dialogues. `GLEANER_SHARED` names the folder that holds `data/sgd`.

use crate::support::{Run, Sandbox, shared};

const POPULATIONS: [(&str, &str, u64, u64); 9] = [
    ("train", "short", 1500, 1609),
    ("train", "medium", 6000, 8298),
    ("train", "long", 4000, 4318),
    ("val", "short", 150, 185),
    ("val", "medium", 800, 851),
    ("val", "long", 450, 485),
    ("test", "short", 150, 160),
    ("test", "medium", 750, 794),
    ("test", "long", 440, 447),
];

/// Exports so many times the targets that the dialogues can meet, if they are there.
fn export(factor: u64) -> Option<(Sandbox, Run)> {
    let input = format!("{}/data/sgd/*.jsonl.zst", shared()?.display());
    let sandbox = Sandbox::new();
    let mut args: Vec<String> = "export --window-start 2025-01-01T00:00:00Z --window-end 2025-05-01T00:00:00Z --seed s1 --json --progress none --input"
        .split(' ').map(str::to_owned).collect();
    args.push(input);
    args.push("--name".to_owned());
    args.push(format!("d{factor}"));
    for (split, bucket, target, _) in POPULATIONS {
        args.push("--set".to_owned());
        args.push(format!(
            "selection.targets.{split}.{bucket}={}",
            target * factor
        ));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let run = sandbox.run(&args);
    Some((sandbox, run))
}

#[test]
fn the_schema_guided_dialogues_come_out_exact() {
    let Some((sandbox, run)) = export(1) else {
        return;
    };
    run.expect(0);
    let result = run.json();
    assert_eq!(result["population"]["rows_read"], 156_111);
    assert_eq!(result["population"]["conversations"], 17_191);
    assert_eq!(result["population"]["out_of_range"], 44);
    for (record, (split, bucket, target, population)) in result["strata"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(POPULATIONS)
    {
        assert_eq!(record["split"], split);
        assert_eq!(record["bucket"], bucket);
        assert_eq!(record["records"], target);
        assert_eq!(record["population"], population);
    }
    sandbox.run(&["verify", "out/d1"]).expect(0);
}

#[test]
fn targets_above_the_population_are_a_shortfall() {
    let Some((sandbox, run)) = export(2) else {
        return;
    };
    run.expect(3);
    let wanted: u64 = POPULATIONS
        .iter()
        .map(|p| (2 * p.2).saturating_sub(p.3))
        .sum();
    assert_eq!(run.json()["shortfall"], wanted);
    sandbox.run(&["verify", "out/d2"]).expect(0);
}
