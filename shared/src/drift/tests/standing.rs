//! Where a row stands beside the mark of its user.

use super::*;

#[track_caller]
fn check_cause(noted: Option<Version>, row: Version, expected: DriftCause) {
    check_cause_within(None, noted, row, expected);
}

#[track_caller]
fn check_cause_within(table: Option<TableAge>, noted: Option<Version>, row: Version, expected: DriftCause) {
    let mut mark = Mark::default();
    if let Some(noted) = noted {
        mark.note(&property("mail"), noted);
    }
    let standing = Standing::of(&row, &mark, &property("mail"), (table.as_ref(), false));
    assert_eq!(standing.cause, expected, "{noted:?} {row:?}");
    assert!(!mark.is_newer(&property("mail"), &standing.version), "{noted:?} {row:?}");
}

#[test]
fn the_mark_shows_why_a_property_differs() {
    let millis = |version: Version, millis: i64| Version {
        at: version.at.checked_add(jiff::SignedDuration::from_millis(millis)).expect("small"),
        ..version
    };
    let row = version(10, 0);
    let times = |version: Version| Some(Version::at(version.at));
    check_cause(None, row, DriftCause::NeverApplied);
    check_cause(Some(version(9, -60)), row, DriftCause::Missed);
    check_cause(Some(row), row, DriftCause::ChangedElsewhere);
    // A message tells its time by the millisecond and the row by the second.
    check_cause(Some(millis(row, 345)), row, DriftCause::ChangedElsewhere);
    check_cause(times(millis(row, 345)), row, DriftCause::ChangedElsewhere);
    check_cause(times(version(0, -1)), row, DriftCause::Missed);
    // By row, whatever the milliseconds say.
    check_cause(Some(millis(version(9, 0), 900)), row, DriftCause::Missed);
    check_cause(Some(version(11, 1)), row, DriftCause::MarkAhead);
    check_cause(times(version(0, 3_600)), row, DriftCause::MarkAhead);
    // Restored, so that the numbers went back; and then changed again.
    check_cause(Some(version(900, -3_600)), row, DriftCause::Missed);
}

#[test]
fn a_mark_of_another_contact_is_told_from_one_of_a_database_that_is_no_more() {
    let table = |number, minute: i64| {
        let newest = version(number, 0).row.expect("a row version");
        Some(TableAge { newest, settled: None, now: version(0, minute * 60).at })
    };
    let (row, mark) = (version(10, -3_600), Some(version(20, 0)));
    check_cause_within(table(30, 20), mark, row, DriftCause::OtherContact);
    check_cause_within(table(20, 20), mark, row, DriftCause::OtherContact);
    // The table has no row as new as that, so it is an older one than the mark is of.
    check_cause_within(table(19, 20), mark, row, DriftCause::MarkAhead);
    // A moment ago, when a row that lags behind may have been read.
    check_cause_within(table(30, 5), mark, row, DriftCause::MarkAhead);
    check_cause_within(None, mark, row, DriftCause::MarkAhead);
    // By its time alone it cannot be told.
    check_cause_within(table(30, 20), mark.map(|mark| Version::at(mark.at)), row, DriftCause::MarkAhead);
    let other = RowVersion { number: 20, realm: Realm::of(OrganizationId(Uuid::from_u128(8))) };
    let other = mark.map(|mark| Version { row: Some(other), ..mark });
    check_cause_within(table(30, 20), other, row, DriftCause::MarkAhead);
    // Nothing else changes by what is known of the table.
    check_cause_within(table(30, 20), Some(version(9, -3_700)), row, DriftCause::Missed);
}

#[test]
fn a_repair_of_a_row_that_has_settled_is_not_older_than_the_message_of_its_last_change() {
    let mail = property("mail");
    let standing = |row: Version, minute: i64, mark: &Mark| {
        let newest = version(90, 0).row.expect("a row version");
        let table = TableAge { newest, settled: None, now: version(0, minute * 60).at };
        Standing::of(&row, mark, &mail, (Some(&table), false)).version
    };
    let row = version(10, 0);
    // Its message was found to be needless, so no mark shows it; a replica remembers it.
    let remembered = Version { at: row.at + jiff::SignedDuration::from_millis(952), ..row };
    let unmarked = Mark::default();
    assert!(!remembered.is_newer_than(&standing(row, 7, &unmarked)));
    assert!(!Version::at(remembered.at).is_newer_than(&standing(row, 7, &unmarked)));
    // Nobody knows whether something else is under way that has nearly the same time.
    assert_eq!(standing(row, 5, &unmarked), row);
    let mut older = Mark::default();
    older.note(&mail, version(9, -60));
    assert!(!remembered.is_newer_than(&standing(row, 7, &older)));
    let mut newer = Mark::default();
    newer.note(&mail, Version { at: row.at + jiff::SignedDuration::from_mins(3), ..row });
    assert!(!newer.is_newer(&mail, &standing(row, 7, &newer)));
}

#[test]
fn where_marks_show_no_row_version_a_repair_carries_the_newest_that_its_row_is_known_to_hold() {
    let mail = property("mail");
    let settled = version(80, 0).row;
    let newest = version(90, 0).row.expect("a row version");
    let table = TableAge { newest, settled, now: version(0, 7 * 60).at };
    let standing = |mark: Version| {
        let mut noted = Mark::default();
        noted.note(&mail, mark);
        Standing::of(&version(10, 0), &noted, &mail, (Some(&table), false))
    };
    let unnumbered = standing(Version::at(version(0, -30).at));
    assert_eq!((unnumbered.cause, unnumbered.version.row), (DriftCause::Missed, settled));
    // A mark with a row version shows all that there is to know.
    assert_eq!(standing(version(9, -30)).version.row, version(10, 0).row);
    // Except where needless messages leave no mark.
    let mut marked = Mark::default();
    marked.note(&mail, version(9, -30));
    assert_eq!(Standing::of(&version(10, 0), &marked, &mail, (Some(&table), true)).version.row, settled);
    // What such a repair has written is told to be of the row.
    let later = TableAge { now: version(0, 8 * 60).at, ..table };
    let mut repaired = Mark::default();
    repaired.note(&mail, unnumbered.version);
    let again = Standing::of(&version(10, 0), &repaired, &mail, (Some(&later), false));
    assert_eq!(again.cause, DriftCause::ChangedElsewhere);
    assert!(!repaired.is_newer(&mail, &again.version));
}

#[test]
fn a_row_older_than_its_mark_is_written_if_a_person_says_that_it_is_right() {
    let planner = Planner::new(Mapping::preset_default());
    let link = user(1).to_string();
    let row = row(1, Some(&link), [Some("Ada"), Some("King"), None], version(5, 0));
    let mut mark = Mark::default();
    mark.note(&property("givenName"), version(50, 3_600));
    let mark = mark.write(1_024).map(Into::into);
    let mut current = Current { mark, ..shown([None, Some("King")], &[], &[]) };
    let linked = row.plan(&planner).expect("linked");
    let comparison = RowComparison::new(&guarded());
    let kept = comparison.judge(&row, &linked, &current).expect("it differs");
    assert!(!kept.is_written() && kept.change(&row, &planner).is_none());
    let overruling = comparison.overruling(true);
    let difference = overruling.judge(&row, &linked, &current).expect("it differs");
    assert_eq!(difference.found[&property("givenName")].cause, DriftCause::MarkAhead);
    let repair = difference.change(&row, &planner).expect("it is written");
    assert_eq!(apply(&planner, &guarded(), &repair, &mut current), 1);
    assert_eq!(overruling.judge(&row, &linked, &current), None);
}
