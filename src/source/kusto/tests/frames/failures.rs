//! Answers that report an error or contradict themselves.

use super::*;

#[test]
fn every_way_to_fail_within_a_200_is_noticed() {
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut frames = frames();
        change(&mut frames);
        read(&answer(&frames)).expect_err("broken").action()
    };
    // Among the rows, where an array is expected.
    assert_eq!(
        broken(&|f| f[3]["Rows"] = json!([["a", 1], {"OneApiErrors": one_api("LimitsExceeded")}])),
        Action::Split
    );
    assert_eq!(broken(&|f| f[3]["Rows"] = json!([{"x": 1}])), Action::Retry);
    // In the table's completion.
    assert_eq!(
        broken(&|f| f[5]["OneApiErrors"] = one_api("LowMemoryCondition")),
        Action::RetryThenSplit
    );
    // In the answer's completion.
    assert_eq!(broken(&|f| f[7]["HasErrors"] = json!(true)), Action::Retry);
    assert_eq!(broken(&|f| f[7]["Cancelled"] = json!(true)), Action::Retry);
    assert_eq!(
        broken(&|f| f[7]["OneApiErrors"] = one_api("E_RUNAWAY_QUERY")),
        Action::Split
    );
    // In the completion information alone.
    assert_eq!(
        broken(&|f| f[6] = completion(2, "(E_QUERY_RESULT_SET_TOO_LARGE)")),
        Action::Split
    );
    assert_eq!(broken(&|f| f[6] = completion(1, "Critical")), Action::Retry);
    // No end, or something behind it.
    assert_eq!(broken(&|f| drop(f.pop())), Action::Retry);
    assert_eq!(broken(&|f| f.push(f[6].clone())), Action::Retry);
    // Counts and shapes that do not fit.
    assert_eq!(broken(&|f| f[5]["RowCount"] = json!(4)), Action::Retry);
    assert_eq!(
        broken(&|f| f[3]["Rows"] = json!([["a"], ["b", 1]])),
        Action::Retry
    );
    assert_eq!(broken(&|f| f[3]["TableId"] = json!(2)), Action::Retry);
    assert_eq!(
        broken(&|f| f[3]["TableFragmentType"] = json!("DataReplace")),
        Action::Retry
    );
    assert_eq!(broken(&|f| drop(f.remove(5))), Action::Retry);
    assert_eq!(broken(&|f| drop(f.remove(2))), Action::Retry);
    assert_eq!(broken(&|f| drop(f.remove(0))), Action::Retry);
    assert_eq!(broken(&|f| f[0]["Version"] = json!("v3.0")), Action::Retry);
    assert_eq!(
        broken(&|f| f[1]["FrameType"] = json!("Other")),
        Action::Retry
    );
    // Two results are a fault of the query.
    assert_eq!(
        broken(&|f| {
            let mut second = plain(three_rows())[2].clone();
            second["TableId"] = json!(2);
            f.insert(6, second);
        }),
        Action::Fail
    );
}

#[test]
fn a_code_leads_to_its_action_wherever_it_stands() {
    let places: [fn(&mut Vec<Value>, &Value, &str); 4] = [
        |f, errors, _| f[4]["Rows"] = json!([{"OneApiErrors": errors}]),
        |f, errors, _| f[5]["OneApiErrors"] = errors.clone(),
        |f, errors, _| f[7]["OneApiErrors"] = errors.clone(),
        |f, _, code| f[6] = completion(2, code),
    ];
    for (code, action) in [
        ("E_QUERY_RESULT_SET_TOO_LARGE", Action::Split),
        ("LimitsExceeded", Action::Split),
        ("E_RUNAWAY_QUERY", Action::Split),
        ("RequestExecutionTimeout", Action::Split),
        ("LowMemoryCondition", Action::RetryThenSplit),
        ("QueryThrottled", Action::Throttle { retry_after: None }),
        ("Internal", Action::Retry),
    ] {
        for (place, break_it) in places.iter().enumerate() {
            // Alone, and as what follows from an error that says less.
            for errors in [
                one_api(code),
                json!([one_api("General")[0], one_api(code)[0]]),
            ] {
                let mut frames = frames();
                break_it(&mut frames, &errors, code);
                let failure = read(&answer(&frames)).expect_err("a partial failure");
                assert_eq!(
                    failure.action(),
                    action,
                    "{code} in place {place}: {failure}"
                );
            }
        }
    }
}

#[test]
fn a_repeated_frame_is_damaged() {
    let text = String::from_utf8(answer(&frames())).expect("text");
    for (once, again) in [
        ("\"RowCount\":3", "\"RowCount\":3"),
        (
            "\"TableKind\":\"PrimaryResult\"",
            "\"TableKind\":\"QueryProperties\"",
        ),
        ("\"Rows\":[[null,-3]]", "\"Rows\":[[null,-3]]"),
        (
            "\"FrameType\":\"TableHeader\"",
            "\"FrameType\":\"TableProgress\"",
        ),
    ] {
        let twice = text.replacen(once, &format!("{once},{again}"), 1);
        assert_ne!(twice, text, "{once}");
        let failure = read(twice.as_bytes()).expect_err("which one counts?");
        assert!(failure.to_string().contains("twice"), "{once}: {failure}");
    }
    // One report of a failure is enough.
    let cancelled = "\"Cancelled\":false";
    let text = text.replace(cancelled, &format!("\"Cancelled\":true,{cancelled}"));
    assert!(read(text.as_bytes()).is_err());
}
