//! What is read, and what a row decides.

use jiff::SignedDuration;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    change::{ChangeOrigin, Columns},
    mapping::Mapping,
    patch::{MovesFrom, PropertyValue},
    plan::{
        ChangeFilter, Requirement,
        tests::samples::{LINK, OTHER, Table, USER, change, columns},
    },
    property::Property,
    version::{Realm, RowVersion},
};

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(7));

fn planner() -> Planner {
    Planner { read_back: true, ..Planner::new(Mapping::preset_default()) }
}

fn version(row: u64, second: i64) -> Version {
    let row = RowVersion { number: row, realm: Realm::of(ORGANIZATION) };
    Version { row: Some(row), at: Timestamp::from_second(second).expect("small") }
}

/// What Dataverse shows of the contact: every column that planning needs.
fn row(table: Table<'_>) -> RowAnswer {
    let empty: Table<'_> = &[(LINK, "-"), ("firstname", "-"), ("lastname", "-"), ("emailaddress1", "-")];
    let shown = columns(&[empty, table].concat());
    let change = Change {
        version: Some(version(50, 100)),
        columns: shown.clone(),
        after: shown,
        imaged: true,
        ..change(Operation::Update, &[], &[], &[])
    };
    RowAnswer::Shown { change: Box::new(change), read: Timestamp::from_second(200).expect("small") }
}

fn known(change: &Change, answer: RowAnswer) -> KnownRows {
    let mut rows = KnownRows::default();
    rows.learn(RowId::of(change), answer);
    rows
}

fn reading(rows: &KnownRows) -> RowGrounds<'_> {
    RowGrounds { rows, ..RowGrounds::default() }
}

fn truncated() -> Change {
    Change { truncated: true, ..change(Operation::Update, &[], &[], &[]) }
}

/// In words: what is written, or why nothing is.
fn told(judged: &Judgement) -> String {
    let (by, plan) = match judged {
        Judgement::Read(cause) => return format!("read {}", cause.as_str()),
        Judgement::ByMessage(plan) => ("message", plan),
        Judgement::ByRow(plan, ..) => ("row", plan),
    };
    match plan {
        Plan::Write { user, patch } => {
            let user = if user.to_string() == USER { "the user" } else { "another" };
            let values = patch.iter().map(|(property, value)| match value {
                PropertyValue::Text(text) => format!("{property}={text}"),
                _ => format!("{property}=-"),
            });
            format!("{by}: {user} {}", values.collect::<Vec<_>>().join(" "))
        }
        Plan::Nothing(why) => format!("{by}: {}", why.as_str()),
        Plan::LookUp(_) => format!("{by}: look up"),
        Plan::Impossible(letter) => format!("{by}: {}", letter.reason),
    }
}

#[test]
fn what_a_message_lacks_is_read_and_what_it_says_is_not() {
    use Operation::{Create, Delete, Update};
    let (linked, ada) = ((LINK, USER), ("firstname", "Ada"));
    let whole = change(Update, &[ada], &[], &[linked, ada]);
    let deleted = Change { truncated: true, ..change(Delete, &[], &[], &[]) };
    let by_image = change(Update, &[ada], &[], &[ada]);
    for (name, change, expected) in [
        ("whole", whole.clone(), "message: the user givenName=Ada"),
        ("cut", truncated(), "read truncated"),
        ("no link", change(Update, &[ada], &[], &[]), "read link-unknown"),
        ("not in the image", by_image.clone(), "read link-not-shown"),
        ("new user, no image", change(Update, &[linked], &[], &[]), "read column-missing"),
        ("no user", change(Update, &[ada], &[], &[(LINK, "-")]), "message: not-a-portal-user"),
        ("made without a user", change(Create, &[ada], &[], &[]), "message: not-a-portal-user"),
        ("nothing of ours", change(Update, &[("telephone1", "1")], &[], &[]), "message: nothing-mapped"),
        ("no id", change(Update, &[ada], &[], &[(LINK, "ada")]), "message: UserLinkInvalid"),
        ("deleted", deleted, "message: operation-ignored"),
    ] {
        assert_eq!(told(&planner().judge(&change, RowGrounds::default())), expected, "{name}");
    }
    let seen = RowGrounds { images_show_link: true, ..RowGrounds::default() };
    assert_eq!(told(&planner().judge(&by_image, seen)), "message: link-not-in-image");
    let again = RowGrounds { replayed: true, ..RowGrounds::default() };
    assert_eq!(told(&planner().judge(&whole, again)), "read replay");
    let off = Planner { read_back: false, ..planner() };
    assert_eq!(told(&off.judge(&truncated(), again)), "message: ContextTruncated");
}

#[test]
fn the_row_decides_and_what_cannot_be_known_is_as_it_would_be_without() {
    let cut = truncated();
    for (name, answer, expected) in [
        ("linked", row(&[(LINK, USER), ("firstname", "Ada")]), "row: the user givenName=Ada surname=-"),
        ("another", row(&[(LINK, OTHER)]), "row: another givenName=- surname=-"),
        ("no user", row(&[("firstname", "Ada")]), "row: not-a-portal-user"),
        ("no id", row(&[(LINK, "ada")]), "row: UserLinkInvalid"),
        ("gone", RowAnswer::Gone, "message: contact-gone"),
        ("not ours", RowAnswer::Unknown, "message: ContextTruncated"),
    ] {
        let rows = known(&cut, answer);
        assert_eq!(told(&planner().judge(&cut, reading(&rows))), expected, "{name}");
    }
    let elsewhere = Change { organization: Some(ORGANIZATION), ..cut.clone() };
    let rows = known(&cut, RowAnswer::Gone);
    let unanswered = planner().judge(&elsewhere, reading(&rows));
    assert_eq!(told(&unanswered), "read truncated", "the answer is about another organization's row");
}

#[test]
fn another_organization_is_never_read() {
    let planner = Planner { organizations: vec![ORGANIZATION], ..planner() };
    for replayed in [false, true] {
        let reading = RowGrounds { replayed, ..RowGrounds::default() };
        assert_eq!(told(&planner.judge(&truncated(), reading)), "message: ForeignOrganization");
    }
}

#[test]
fn whose_changes_count_is_judged_by_the_message_and_what_the_contact_is_like_by_the_row() {
    let require = vec![Requirement::parse("lastname = King").expect("a requirement")];
    let me = Uuid::from_u128(9);
    let filter = ChangeFilter {
        operations: vec![Operation::Create],
        initiating_users: vec![me],
        require,
        ..ChangeFilter::default()
    };
    let planner = Planner { filter, ..planner() };
    let created = Change { operation: Operation::Create, ..truncated() };
    let judge = |change: &Change, rows: &KnownRows| told(&planner.judge(change, reading(rows)));
    let king = known(&created, row(&[(LINK, USER), ("lastname", "King")]));
    assert_eq!(judge(&created, &king), "row: the user givenName=- surname=King");
    let byron = known(&created, row(&[(LINK, USER), ("lastname", "Byron")]));
    assert_eq!(judge(&created, &byron), "row: filter-not-met");
    let origin = ChangeOrigin { initiating_user: Some(me), ..ChangeOrigin::default() };
    assert_eq!(judge(&Change { origin, ..created.clone() }, &king), "message: initiating-user-ignored");
    assert_eq!(judge(&truncated(), &king), "message: operation-switched-off");
}

#[test]
fn a_row_that_lags_behind_its_message_is_read_again_unless_the_message_is_enough() {
    let newer = |change: Change| Change { version: Some(version(51, 101)), ..change };
    let shown = || row(&[(LINK, USER), ("firstname", "Old")]);
    let cut = newer(truncated());
    assert_eq!(told(&planner().judge(&cut, reading(&known(&cut, shown())))), "read truncated");
    let whole = newer(change(Operation::Update, &[("firstname", "Ada")], &[], &[(LINK, USER)]));
    let rows = known(&whole, shown());
    let again = RowGrounds { replayed: true, ..reading(&rows) };
    assert_eq!(told(&planner().judge(&whole, again)), "message: the user givenName=Ada");
    // A restored database has lower numbers, and its row is what holds.
    let before = Change { version: Some(version(51, 100_000)), ..truncated() };
    let rows = known(&before, shown());
    assert_eq!(told(&planner().judge(&before, reading(&rows))), "row: the user givenName=Old surname=-");
}

#[test]
fn an_address_is_moved_only_where_the_message_vouches_for_the_user_of_the_row() {
    let planner = Planner { read_back: true, ..Planner::new(Mapping::preset_b2c()) };
    let mail = ("emailaddress1", "new@b.c");
    let from = |change: &Change, link: &str| {
        let rows = known(change, row(&[(LINK, link), mail]));
        let reading = RowGrounds { replayed: true, ..reading(&rows) };
        let Judgement::ByRow(Plan::Write { patch, .. }, ..) = planner.judge(change, reading) else {
            panic!("not by the row")
        };
        let property = Property::named(Property::SIGN_IN).expect("known");
        match patch.get(&property) {
            Some(PropertyValue::SignIn(wanted)) => wanted.from,
            other => panic!("{other:?}"),
        }
    };
    let kept = change(Operation::Update, &[mail], &[(LINK, USER)], &[(LINK, USER), mail]);
    assert_eq!((from(&kept, USER), from(&kept, OTHER)), (MovesFrom::Any, MovesFrom::Nowhere));
    let moved = change(Operation::Update, &[(LINK, USER), mail], &[(LINK, OTHER)], &[(LINK, USER), mail]);
    assert_eq!(from(&moved, USER), MovesFrom::Nowhere);
    let silent = change(Operation::Update, &[mail], &[], &[]);
    assert_eq!((from(&silent, USER), from(&truncated(), USER)), (MovesFrom::Nowhere, MovesFrom::Nowhere));
}

fn some_columns() -> impl Strategy<Value = Columns> {
    let value = proptest::sample::select(vec!["-", USER, OTHER, "Ada", "a@b.c"]);
    let name = proptest::sample::select(vec![LINK, "firstname", "lastname", "emailaddress1", "telephone1"]);
    proptest::collection::vec((name, value), 0..6).prop_map(|table| columns(&table))
}

fn some_change() -> impl Strategy<Value = Change> {
    let operations = vec![Operation::Create, Operation::Update, Operation::Delete, Operation::Unknown];
    let columns = (some_columns(), some_columns(), some_columns());
    let flags = (any::<bool>(), any::<bool>(), proptest::option::of(0..90_u64));
    (proptest::sample::select(operations), columns, flags).prop_map(
        |(operation, (columns, before, after), (imaged, truncated, number))| Change {
            imaged,
            truncated,
            columns,
            before,
            after,
            version: number.map(|number| version(number, i64::try_from(number).expect("small") * 2)),
            ..change(operation, &[], &[], &[])
        },
    )
}

proptest! {
    /// Neither is lost nor made worse what the message alone was enough for.
    #[test]
    fn without_an_answer_a_plan_is_the_messages_own_or_a_question(
        change in some_change(), replayed in any::<bool>(), images_show_link in any::<bool>(),
    ) {
        let own = planner().plan(&change);
        match planner().judge(&change, RowGrounds { replayed, images_show_link, ..RowGrounds::default() }) {
            Judgement::ByMessage(plan) => {
                prop_assert!(!replayed || !is_work(&plan), "a replayed message is not written by its own word");
                if let Plan::Impossible(letter) = &plan {
                    prop_assert_eq!(ReadCause::of(letter.reason), None);
                }
                prop_assert_eq!(plan, own);
            }
            Judgement::Read(_) => prop_assert!(replayed || !is_work(&own)),
            Judgement::ByRow(..) => prop_assert!(false, "nothing was read"),
        }
        let off = Planner { read_back: false, ..planner() };
        prop_assert_eq!(off.judge(&change, RowGrounds { replayed, ..RowGrounds::default() }), Judgement::ByMessage(planner().plan(&change)));
    }

    /// Whatever is written by a row is what the row shows, at a version that is neither older than the row nor than the message.
    #[test]
    fn what_is_written_by_a_row_is_the_rows_own(
        change in some_change(), shown in some_columns(), replayed in any::<bool>(),
    ) {
        let table: Vec<_> = shown.iter().map(|(name, value)| (name, match value {
            crate::change::ColumnValue::Text(text) => &**text,
            _ => "-",
        })).collect();
        let answer = row(&table);
        let RowAnswer::Shown { change: seen, .. } = answer.clone() else { unreachable!() };
        let rows = known(&change, answer);
        if let Judgement::ByRow(plan, at, read) =
            planner().judge(&change, RowGrounds { replayed, images_show_link: false, rows: &rows })
        {
            let shown_version = seen.version.expect("a version");
            prop_assert_eq!(at.row, shown_version.row);
            prop_assert!(at.at >= shown_version.at && change.version.is_none_or(|own| at.at >= own.at));
            prop_assert!(at.at.duration_since(read) < SignedDuration::from_secs(1));
            // A complete row leaves no question open.
            let open = matches!(&plan, Plan::Impossible(letter) if ReadCause::of(letter.reason).is_some());
            prop_assert!(!open, "{plan:?}");
            let by_itself = planner().plan(&seen);
            prop_assert_eq!(matches!(plan, Plan::Write { .. }), matches!(by_itself, Plan::Write { .. }));
            if let (Plan::Write { user, patch }, Plan::Write { user: expected, patch: values }) = (plan, by_itself) {
                prop_assert_eq!((user, patch), (expected, values));
            }
        }
    }
}
