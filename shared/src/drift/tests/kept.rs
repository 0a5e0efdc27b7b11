//! What is held against the last run, and what is kept for the next one.

use super::*;

#[test]
fn what_was_read_and_looks_wrong_keeps_a_run_from_writing() {
    let limits = Limits { changes: Limit::Share(0.05), clears: Limit::Count(3) };
    let totals = Totals { contacts: 1_000, users: 900, linked: 800, writes: 40, ..Totals::default() };
    let fine = Evidence { reads_all: Some(true), full: true, ..Evidence::default() };
    let told = |totals: &Totals, evidence: &Evidence| limits.objections(totals, evidence);
    assert_eq!(told(&totals, &fine), []);
    assert_eq!(
        told(&Totals { writes: 41, ..totals.clone() }, &fine),
        [Objection::TooMany { writes: 41, most: 40 }]
    );
    for reads_all in [None, Some(false)] {
        assert_eq!(told(&totals, &Evidence { reads_all, ..fine.clone() }), [Objection::Depth]);
    }
    let secured = Evidence { secured: vec!["firstname".into()], ..fine.clone() };
    assert_eq!(told(&totals, &secured), [Objection::Secured("firstname".into())]);
    let counted = |counted| Evidence { counted: Some(counted), ..fine.clone() };
    assert_eq!(told(&totals, &counted(1_050)), []);
    assert_eq!(told(&totals, &counted(1_053)), [Objection::Count { read: 1_000, counted: 1_053 }]);
    let last = Evidence { last: Some((1_060, 940)), ..fine.clone() };
    assert_eq!(told(&totals, &last), [Objection::Shrunk { what: "contacts", now: 1_000, before: 1_060 }]);
    assert_eq!(
        told(&totals, &Evidence { full: false, ..last }),
        [],
        "a part of the contacts is no fewer contacts"
    );
    // Where only some contacts were read, a share is one of all.
    let some = Totals { contacts: 50, users: 0, linked: 41, writes: 40, ..Totals::default() };
    let changes = Evidence { full: false, linked: Some(800), ..fine.clone() };
    assert_eq!(told(&some, &changes), []);
    assert_eq!(
        told(&some, &Evidence { linked: None, ..changes }),
        [Objection::TooMany { writes: 40, most: 3 }]
    );
    let surname = property("surname");
    let cleared = Totals { clears: [(surname.clone(), 4)].into(), ..totals };
    assert_eq!(told(&cleared, &fine), [Objection::Clears { property: surname, users: 4, most: 3 }]);
}

#[test]
fn a_state_of_other_settings_or_half_a_line_is_not_believed() {
    let settings = StateScope {
        organization: ORGANIZATION.to_string().into(),
        directory: "graph.microsoft.com".into(),
        columns: vec!["firstname".into()],
    };
    let mut state = ReconcileState::new(settings.clone());
    assert_eq!(ReconcileState::read(&state.write(), &settings), Some(state.clone()));
    state.last = Some(LastRun { contacts: 5, users: 4, linked: 4, at: 3 });
    state.baseline = Some(Baseline {
        link: Some("https://contoso.crm4.dynamics.com/api/data/v9.2/contacts?$deltatoken=5%21x".into()),
        full_at: Timestamp::from_second(NOW).expect("in range"),
        known: vec![contact(7), contact(1)],
    });
    state.run = Some(Uuid::from_u128(9));
    state.posted = vec![contact(1), contact(2)];
    let text = state.write();
    assert_eq!(ReconcileState::read(&text, &settings), Some(state.clone()));
    // Killed in the middle of a line: that message was not sent.
    let cut = ReconcileState::read(&text[..text.len() - 1], &settings).expect("read");
    assert_eq!(cut.posted, [contact(1)]);
    let other = StateScope { columns: Vec::new(), ..settings.clone() };
    assert_eq!(ReconcileState::read(&text, &other), None);
    for damaged in [
        "",
        "{}",
        "no",
        &text.replace("\"posted\"", "\"x\""),
        &text.replace("reconcile\":2,", "reconcile\":1,"),
    ] {
        assert_eq!(ReconcileState::read(damaged, &settings), None, "{damaged}");
    }
}

#[test]
fn limits_are_numbers_or_shares() {
    for (text, expected) in [
        ("500", Limit::Count(500)),
        ("0", Limit::Count(0)),
        ("5%", Limit::Share(0.05)),
        ("2.5 %", Limit::Share(0.025)),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    for text in ["", "-1", "many", "101%", "-1%", "5.5"] {
        text.parse::<Limit>().expect_err(text);
    }
}

#[test]
fn a_pass_over_changes_is_enough_until_everything_is_due_again() {
    let at = |second| Timestamp::from_second(NOW + second).expect("in range");
    let every = jiff::SignedDuration::from_secs(60);
    let baseline = Baseline { link: Some("link".into()), full_at: at(0), known: Vec::new() };
    for (second, enough) in [(0, true), (59, true), (60, false), (-1, false)] {
        assert_eq!(baseline.is_enough(at(second), every), enough, "{second}");
    }
    assert!(!Baseline { link: None, ..baseline }.is_enough(at(0), every), "changes are not tracked");
}
