//! What is certain, what is not, and what ends a doubt.

use uuid::Uuid;

use super::*;
use crate::{
    change::ChangeOrigin,
    ids::ContactId,
    mapping::Mapping,
    plan::{ChangeFilter, OnForeign},
};

const LINK: &str = "adx_identity_username";

fn user(number: u128) -> String {
    Uuid::from_u128(0x1111_1111_2222_4333_8444_0000_0000_0000 + number).to_string()
}

fn text(text: &str) -> ColumnValue {
    ColumnValue::Text(text.into())
}

/// An update of a mapped column, with a post image of other columns.
fn update(number: u128, target: &[(&str, ColumnValue)], after: &[(&str, ColumnValue)]) -> Change {
    let owned = |columns: &[(&str, ColumnValue)]| columns.iter().cloned().collect::<Columns>();
    let mut target = target.to_vec();
    target.push(("firstname", text("Ada")));
    Change {
        organization: None,
        contact: ContactId(Uuid::from_u128(number)),
        operation: Operation::Update,
        version: None,
        columns: owned(&target),
        before: Columns::default(),
        after: owned(after),
        imaged: !after.is_empty(),
        truncated: false,
        origin: ChangeOrigin::default(),
    }
}

fn watch(link: &str, changes: impl IntoIterator<Item = Change>) -> LinkWatch {
    let planner = Planner { link_column: link.into(), ..Planner::new(Mapping::preset_default()) };
    let mut watch = LinkWatch::new(link);
    for (number, change) in changes.into_iter().enumerate() {
        watch.look(&[change], &planner, SequenceNumber(i64::try_from(number).expect("few") + 1));
    }
    watch
}

/// So many changes, each of another contact.
fn changes(count: u128, change: impl Fn(u128) -> Change) -> Vec<Change> {
    (1..=count).map(change).collect()
}

const LAST: (&str, ColumnValue) = ("lastname", ColumnValue::Bool(true));

#[track_caller]
fn check(what: &str, link: &str, changes: Vec<Change>, expected: Option<Why>) {
    match watch(link, changes).judge() {
        Verdict::Misconfigured(why, _) => assert_eq!(Some(why), expected, "{what}"),
        Verdict::NotSeenYet(_) => assert_eq!(None, expected, "{what}"),
        Verdict::Seen => panic!("{what}: seen"),
    }
}

#[test]
fn what_messages_prove_and_what_they_do_not() {
    let unlinked = |n| update(n, &[], &[LAST]);
    check("unlinked contacts whose images leave the column out", LINK, changes(1_000, unlinked), None);
    let empty = |n| update(n, &[], &[LAST, (LINK, ColumnValue::Null)]);
    check("unlinked contacts whose images show it empty", LINK, changes(1_000, empty), None);
    check("nothing at all", LINK, Vec::new(), None);

    let identity = |n| update(n, &[], &[LAST, (LINK, text(&user(n)))]);
    check("another column is set", "new_portalid", changes(1, identity), Some(Why::AnotherColumn));
    check("a slip of the pen", "adx_identity_user_name", changes(1, identity), Some(Why::AnotherColumn));
    let both = |n| update(n, &[], &[("externaluseridentifier", ColumnValue::Null), (LINK, text(&user(n)))]);
    check("empty, which it may be", "externaluseridentifier", changes(99, both), None);
    check("empty in a hundred", "externaluseridentifier", changes(100, both), Some(Why::AnotherColumn));
    let created = |n| Change { operation: Operation::Create, ..identity(n) };
    check("created without it, which may be", "new_portalid", changes(99, created), None);
    let stamp = |n| update(n, &[], &[("adx_identity_securitystamp", text(&user(n)))]);
    check("a GUID that is no id", LINK, changes(300, stamp), None);

    let lookup = |n| update(n, &[], &[("parentcustomerid", ColumnValue::Lookup { id: None, name: None })]);
    check("a lookup", "parentcustomerid", changes(1, lookup), Some(Why::NoText));
    let own = |n: u128| update(n, &[("contactid", text(&Uuid::from_u128(n).to_string()))], &[LAST]);
    check("the primary key", "contactid", changes(1, own), Some(Why::OwnId));
    let same = |n: u128| update(n, &[(LINK, text(&Uuid::from_u128(n).to_string()))], &[]);
    check("contacts with the ids of their users", LINK, changes(300, same), None);
    let mail = |n| update(n, &[("emailaddress1", text("ada@example.com"))], &[LAST]);
    check("a few texts", "emailaddress1", changes(99, mail), None);
    check("texts without end", "emailaddress1", changes(100, mail), Some(Why::NeverAnId));

    let nulls = |n| update(n, &[], &[("telephone1", ColumnValue::Null)]);
    check("two odd images", LINK, changes(2, nulls), None);
    check("images show what is empty", LINK, changes(3, nulls), Some(Why::EmptiesShown));
    let emptied = |n| update(n, &[("telephone1", ColumnValue::Null)], &[("telephone1", ColumnValue::Null)]);
    check("only what the change emptied", LINK, changes(300, emptied), None);
    let signed_in = |n| update(n, &[], &[(SIGNED_IN, text("2024-03-14T09:26:53Z"))]);
    check("they have signed in", LINK, changes(1, signed_in), Some(Why::SignedIn));
    check("another link than the portal's", "new_link", changes(300, signed_in), None);
    let set = update(1, &[(LINK, text(&user(1)))], &[LAST]);
    check("the image lacks what was set, and nobody is passed over", LINK, vec![set.clone()], None);
    check("and somebody is", LINK, vec![set.clone(), unlinked(2)], Some(Why::PostImageLacks));
    let with_pre = Change { before: [LAST].into_iter().collect(), ..set };
    check("the pre image may have it", LINK, vec![with_pre, unlinked(2)], None);
    let in_target = |n| update(n, &[(LINK, text(&user(n)))], &[]);
    check("in targets only", LINK, changes(300, in_target), None);
    let bare = |n| update(n, &[], &[]);
    check("no image, as of a bulk import", LINK, changes(99, bare), None);
    check("no image at all", LINK, changes(100, bare), Some(Why::NoImage));
    let imaged = changes(100, bare).into_iter().chain([unlinked(101)]).collect();
    check("no image but one", LINK, imaged, None);
}

#[test]
fn one_contact_with_a_user_in_an_image_ends_every_doubt() {
    let post = update(1, &[], &[(LINK, text(&user(1)))]);
    let pre = Change { before: post.after.clone(), after: Columns::default(), ..post.clone() };
    for (what, seen) in [("post image", post), ("pre image", pre)] {
        let unlinked = changes(300, |n| update(n, &[], &[("telephone1", ColumnValue::Null)]));
        let watch = watch(LINK, unlinked.into_iter().chain([seen]));
        assert!(watch.seen(), "{what}");
        assert_eq!(watch.judge(), Verdict::Seen, "{what}");
    }
}

#[test]
fn a_link_that_only_targets_show_says_nothing_about_the_images() {
    let in_target = update(1, &[(LINK, text(&user(1)))], &[]);
    let registered = update(2, &[], &[(LINK, ColumnValue::Null)]);
    assert!(!watch(LINK, [in_target.clone()]).seen());
    assert!(watch(LINK, [in_target, registered]).seen());
}

#[test]
fn what_came_before_the_images_were_mended_stays_doubtful() {
    let planner = Planner::new(Mapping::preset_default());
    let mut watch = watch(LINK, changes(4, |n| update(n, &[], &[("telephone1", ColumnValue::Null)])));
    assert!(matches!(watch.judge(), Verdict::Misconfigured(Why::EmptiesShown, _)));
    watch.hold();
    watch.look(&[update(5, &[], &[(LINK, text(&user(5)))])], &planner, SequenceNumber(9));
    assert!(watch.seen());
    assert!(watch.doubts(SequenceNumber(4)));
    assert!(!watch.doubts(SequenceNumber(9)));
}

#[test]
fn contacts_without_a_user_ahead_of_one_with_a_user_are_not_doubtful() {
    let planner = Planner::new(Mapping::preset_default());
    let mut watch = watch(LINK, changes(300, |n| update(n, &[], &[LAST])));
    assert!(matches!(watch.judge(), Verdict::NotSeenYet(_)));
    watch.look(&[update(5, &[], &[(LINK, text(&user(5)))])], &planner, SequenceNumber(900));
    assert!(watch.seen() && !watch.doubts(SequenceNumber(1)));
}

#[test]
fn a_message_that_is_peeked_and_then_received_counts_once() {
    let planner = Planner::new(Mapping::preset_default());
    let mut watch = LinkWatch::new(LINK);
    for sequence in [1, 2, 1, 2, 3] {
        watch.look(&[update(1, &[], &[LAST])], &planner, SequenceNumber(sequence));
    }
    assert_eq!(watch.counts(), Counts { looked_at: 3, not_in_image: 3, ..Counts::default() });
}

#[test]
fn only_changes_that_need_a_link_are_counted() {
    let planner = Planner::new(Mapping::preset_default());
    let mut watch = LinkWatch::new(LINK);
    let plain = update(1, &[], &[LAST]);
    let unmapped = Change {
        columns: [LAST].into_iter().map(|(_, value)| ("jobtitle", value)).collect(),
        ..plain.clone()
    };
    let deleted = Change { operation: Operation::Delete, ..plain.clone() };
    let cut = Change { truncated: true, ..plain.clone() };
    watch.look(&[unmapped, deleted, cut, plain], &planner, SequenceNumber(1));
    assert_eq!(watch.counts().looked_at, 1);
}

#[test]
fn names_are_told_and_values_are_not() {
    let change = |n| update(n, &[], &[("lastname", text("Lovelace")), (LINK, text(&user(n)))]);
    let Verdict::Misconfigured(why, report) = watch("new_portalid", changes(3, change)).judge() else {
        panic!("not certain")
    };
    assert_eq!(
        report.told(Some(why)),
        "new_portalid never holds a user, while adx_identity_username of the same contacts holds GUIDs; looked at 3 \
         changes that needed it (3 with an image that does not show it); the messages carry adx_identity_username, \
         firstname, lastname; the likeliest link is adx_identity_username: set mapping.link_column = \
         \"adx_identity_username\""
    );
}

#[test]
fn hostile_names_are_neither_kept_nor_told() {
    let long = "x".repeat(200);
    let names: Vec<String> = (0..1_000).map(|n| format!("new_{n}")).collect();
    let mut columns: Vec<_> = names.iter().map(|name| (name.as_str(), ColumnValue::Null)).collect();
    columns.extend([(long.as_str(), ColumnValue::Null), ("a b\nc", ColumnValue::Null)]);
    let watch = watch(LINK, [update(1, &columns, &[])]);
    assert_eq!(watch.carried.len(), NAMES);
    assert!(watch.carried.keys().all(|name| name.len() < 20 && !name.contains(' ')));
}

#[test]
fn links_of_others_that_are_passed_over_prove_nothing_and_are_told() {
    let foreign = |number| update(number, &[], &[(LINK, text("ada@example.com")), LAST]);
    let ignoring = Planner { on_foreign: OnForeign::Ignore, ..Planner::new(Mapping::preset_default()) };
    for (planner, expected) in
        [(Planner::new(Mapping::preset_default()), Some(Why::NeverAnId)), (ignoring, None)]
    {
        let mut watch = LinkWatch::new(LINK);
        for (number, change) in changes(u128::from(NEVER) * 3, foreign).into_iter().enumerate() {
            watch.look(&[change], &planner, SequenceNumber(i64::try_from(number).expect("few") + 1));
        }
        assert_eq!(watch.why(), expected);
        let told = watch.report().told(None);
        let passed_over = "300 with a link that link.on_foreign ignores";
        assert_eq!(told.contains(passed_over), expected.is_none(), "{told}");
        // A wrong column looks like this, too: somebody is warned until a user is seen.
        assert_eq!(watch.counts().without_user(), 300);
        watch.look(&[update(1, &[], &[(LINK, text(&user(1))), LAST])], &planner, SequenceNumber(1_000));
        assert!(watch.seen());
    }
}

#[test]
fn changes_that_do_not_count_are_not_waited_for() {
    let filter = ChangeFilter { operations: vec![Operation::Create], ..ChangeFilter::default() };
    let planner = Planner { filter, ..Planner::new(Mapping::preset_default()) };
    let mut watch = LinkWatch::new(LINK);
    watch.look(&[update(1, &[], &[LAST])], &planner, SequenceNumber(1));
    assert_eq!(watch.counts().looked_at, 0);
}
