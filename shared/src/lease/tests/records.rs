//! Reading what stands in a session, and writing it.

use proptest::prelude::*;

use super::*;

const RECORD: &str = r#"{"v":1,"term":17,"holder":"pod-7f/3c9a","since":1790000000000,"clean":true,"rate":18.2,"tokens":4.0,"at":1790000003000,"settings":"9f3a","version":"0.9.0"}"#;

fn read(state: &str) -> Found {
    Found::read(Some(state.as_bytes()))
}

#[test]
fn what_cannot_be_read_is_unclean_and_tells_its_term_if_it_can() {
    let long = RECORD.replace("9f3a", &"9".repeat(1024));
    let cases = [
        ("", 0, false),
        (RECORD, 17, false),
        (&RECORD.replace("true", "false"), 17, true),
        (&RECORD.replace("\"v\":1", "\"v\":2"), 17, true),
        (&RECORD.replace("\"v\":1,", ""), 17, true),
        (&RECORD.replace("true", "\"yes\""), 17, true),
        (&RECORD.replace("1790000003000", "1e99"), 17, true),
        (&RECORD.replace("17,", "\"17\","), 0, true),
        (&RECORD.replace("17,", "-17,"), 0, true),
        (&RECORD.replace("17,", "18446744073709551615,"), 0, true),
        (&RECORD.replace("17,", "0,"), 0, true),
        (&long, 17, true),
        (&RECORD[..60], 0, true),
        ("17", 0, true),
        ("[]", 0, true),
        (&"[".repeat(5000), 0, true),
        ("\u{0}", 0, true),
    ];
    for (state, term, unclean) in cases {
        let found = read(state);
        assert_eq!((found.term(), found.is_unclean()), (term, unclean), "{state}");
    }
    assert_eq!(Found::read(None), Found::Nothing);
    assert!(Found::read(Some(b"\xff\xfe")).is_unclean());
}

#[test]
fn a_record_says_what_it_said() {
    let Found::Record(record) = read(RECORD) else { panic!("a record") };
    assert_eq!(
        (record.since.as_millisecond(), record.at.as_millisecond()),
        (1_790_000_000_000, 1_790_000_003_000)
    );
    assert_eq!(record.holder.name, "pod-7f/3c9a");
    assert_eq!(record.budget, Some(Budget { rate: 18.2, tokens: 4.0 }));
    assert_eq!(read(&record.to_json()), Found::Record(record));
}

#[test]
fn members_of_other_versions_stay_as_long_as_there_is_room() {
    for state in [RECORD.to_owned(), RECORD.replace("\"v\":1", "\"v\":3")] {
        let (_, others) = read(&state.replace('{', r#"{"beacon":{"x":[1]},"#)).into_parts();
        let Found::Record(record) = read(RECORD) else { panic!("a record") };
        let rewritten = LeaseRecord { term: 18, others, ..record }.to_json();
        assert!(rewritten.contains(r#""beacon":{"x":[1]}"#) && rewritten.contains(r#""v":1"#), "{rewritten}");
        assert_eq!(read(&rewritten).term(), 18, "ours win");
    }
}

#[test]
fn of_a_budget_only_what_is_young_is_believed() {
    let Found::Record(record) = read(RECORD) else { panic!("a record") };
    let at = |seconds: i64| record.at + jiff::SignedDuration::from_secs(seconds);
    assert_eq!(record.budget_at(at(10), false), Some(Budget { rate: 18.2, tokens: 186.0 }));
    assert_eq!(record.budget_at(at(10), true), Some(Budget { rate: 18.2, tokens: 1.0 }));
    assert_eq!(record.budget_at(at(-10), false), Some(Budget { rate: 18.2, tokens: 4.0 }));
    assert_eq!(record.budget_at(at(600), false), None);
    for rate in ["0", "-1", "null", "\"x\""] {
        let Found::Record(record) = read(&RECORD.replace("18.2", rate)) else { panic!("a record") };
        assert_eq!(record.budget_at(record.at, false), None, "{rate}");
    }
}

proptest! {
    #[test]
    fn every_record_is_short_and_is_read_as_it_was_written(
        (name, settings, version) in any::<(String, String, String)>(),
        term in 1_u64..=1 << 53,
        times in prop::array::uniform2(-377_705_023_201_000_i64..=253_402_207_200_999),
        clean in any::<bool>(),
        budget in prop::option::of(any::<(f64, f64)>()),
        others in prop::collection::btree_map("[a-z]{2}", ".{0,200}", 0..8),
        repeat in 1_usize..60,
    ) {
        let holder = Holder { name: name.repeat(repeat), settings: settings.repeat(repeat), version: version.repeat(repeat) };
        let [since, at] = times.map(|time| Timestamp::from_millisecond(time).expect("within its range"));
        let budget = budget.map(|(rate, tokens)| Budget { rate, tokens });
        let others: Map<_, _> = others.into_iter().filter(|(name, _)| name != "at").map(|(name, value)| (name, value.into())).collect();
        let record = LeaseRecord { term, holder: holder.bounded(), since, clean, budget, at, others };
        let document = record.to_json();
        prop_assert!(document.len() <= 1024, "{} bytes", document.len());
        let Found::Record(found) = read(&document) else { return Err(TestCaseError::fail(document)) };
        let told = found.budget;
        let budget = budget.filter(|budget| budget.rate.is_finite() && budget.tokens.is_finite());
        prop_assert_eq!(told.is_some(), budget.is_some());
        if let Some((told, budget)) = told.zip(budget) {
            // Of reading floats the last digit is not promised.
            let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 1e-12;
            prop_assert!(near(told.rate, budget.rate) && near(told.tokens, budget.tokens));
        }
        prop_assert!(found.others.is_empty() || found.others == record.others);
        prop_assert_eq!(LeaseRecord { others: Map::new(), ..found }, LeaseRecord { budget: told, others: Map::new(), ..record });
    }

    #[test]
    fn no_state_is_too_strange(state in any::<Vec<u8>>(), cut in 0..RECORD.len(), byte in any::<u8>()) {
        Found::read(Some(&state));
        let mut bent = RECORD.as_bytes().to_vec();
        bent[cut] = byte;
        prop_assert!(Found::read(Some(&bent)).term() < 1 << 53);
    }
}
