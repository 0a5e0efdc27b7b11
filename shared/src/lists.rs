//! Lists of which one element is the contact's, such as `otherMails`. Graph replaces a list as a whole, so a change is:
//! read it, change that one element, write all of it back.
//!
//! Source: Microsoft's "Update user" page.

use crate::patch::{ListElement, Previous};

/// What an element means for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEdit {
    /// The list is as it shall be.
    Unchanged,
    /// The whole list as it must be written.
    Replace(Vec<Box<str>>),
    /// There is something in the list, and nothing tells whether it is the contact's.
    Unclear,
    /// There is no room for one more.
    Full,
}

/// Works out the list with the contact's element in it, or without one. At most `most` elements fit.
///
/// What the contact had before gives way: the first of [`ListElement::giving_way`] that is in the list, and no other. All
/// else stays, in its order. Where it was, or if it was not there in front, the new element stands. In front, because
/// whoever reads one address of several takes the first one, as portals do with the claim `emails` of Azure AD B2C.
#[must_use]
pub fn edit(list: &[Box<str>], wanted: &ListElement, most: usize) -> ListEdit {
    // A list of one is a scalar in another form: whatever is in it gives way.
    if most == 1 && list.len() <= 1 {
        let only: Vec<_> = wanted.text.iter().cloned().collect();
        return if only == list { ListEdit::Unchanged } else { ListEdit::Replace(only) };
    }
    let is_there = |text: &str| list.iter().any(|element| element.eq_ignore_ascii_case(text));
    let is_new = |text: &str| wanted.text.as_ref().is_some_and(|new| new.eq_ignore_ascii_case(text));
    let old = wanted.giving_way().find(|text| is_there(text) && !is_new(text));
    let is_old = |element: &str| old.is_some_and(|old| old.eq_ignore_ascii_case(element));
    match (&wanted.text, old) {
        (Some(text), None) if is_there(text) => ListEdit::Unchanged,
        (Some(_), None) if most == 1 => ListEdit::Unclear,
        (Some(_), None) if list.len() >= most => ListEdit::Full,
        (Some(text), None) => ListEdit::Replace([text].into_iter().chain(list).cloned().collect()),
        (Some(text), Some(_)) => {
            let mut new = Some(text).filter(|text| !is_there(text));
            let stands =
                list.iter().filter_map(|element| if is_old(element) { new.take() } else { Some(element) });
            ListEdit::Replace(stands.cloned().collect())
        }
        (None, Some(_)) => {
            ListEdit::Replace(list.iter().filter(|element| !is_old(element)).cloned().collect())
        }
        (None, None) if list.is_empty() || wanted.previous != Previous::Unknown => ListEdit::Unchanged,
        (None, None) => ListEdit::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(texts: &[&str]) -> Vec<Box<str>> {
        texts.iter().map(|text| (*text).into()).collect()
    }

    fn wanted(text: Option<&str>, previous: Option<&str>, earlier: &[&str]) -> ListElement {
        ListElement {
            text: text.map(Into::into),
            previous: previous.map_or(Previous::Unknown, |text| Previous::Was(text.into())),
            earlier: list(earlier).into(),
            contact: None,
        }
    }

    #[track_caller]
    fn check(has: &[&str], wanted: &ListElement, expected: &[&str]) {
        let edited = match edit(&list(has), wanted, 250) {
            ListEdit::Unchanged => list(has),
            ListEdit::Replace(edited) => edited,
            edit => panic!("{edit:?}"),
        };
        assert_eq!(edited, list(expected));
    }

    #[test]
    fn the_address_before_gives_way_and_all_others_stay_in_their_order() {
        let moved = wanted(Some("new@b.c"), Some("old@b.c"), &[]);
        check(&["x@y.z", "Old@b.c", "p@q.r"], &moved, &["x@y.z", "new@b.c", "p@q.r"]);
        check(&["old@b.c", "OLD@b.c", "x@y.z"], &moved, &["new@b.c", "x@y.z"]);
        check(&["x@y.z"], &moved, &["new@b.c", "x@y.z"]);
        check(&[], &moved, &["new@b.c"]);
        check(&["x@y.z", "New@b.c"], &moved, &["x@y.z", "New@b.c"]);
        check(&["old@b.c", "New@b.c", "x@y.z"], &moved, &["New@b.c", "x@y.z"]);
        check(&["old@b.c", "x@y.z"], &wanted(Some("new@b.c"), None, &[]), &["new@b.c", "old@b.c", "x@y.z"]);
    }

    #[test]
    fn what_was_there_earlier_gives_way_only_if_what_was_there_before_is_not() {
        let moved = wanted(Some("c@b.c"), Some("b@b.c"), &["a@b.c", "z@b.c"]);
        check(&["x@y.z", "a@b.c", "z@b.c"], &moved, &["x@y.z", "c@b.c", "z@b.c"]);
        check(&["a@b.c", "b@b.c"], &moved, &["a@b.c", "c@b.c"]);
        // And back again.
        let back = wanted(Some("a@b.c"), Some("b@b.c"), &["a@b.c"]);
        check(&["b@b.c"], &back, &["a@b.c"]);
    }

    #[test]
    fn to_empty_takes_out_what_was_the_contacts_and_nothing_else() {
        check(&["x@y.z", "old@b.c"], &wanted(None, Some("old@b.c"), &[]), &["x@y.z"]);
        check(&["x@y.z"], &wanted(None, Some("old@b.c"), &[]), &["x@y.z"]);
        check(&["x@y.z"], &ListElement { previous: Previous::Empty, ..ListElement::default() }, &["x@y.z"]);
        check(&[], &ListElement::default(), &[]);
        assert_eq!(edit(&list(&["x@y.z"]), &ListElement::default(), 250), ListEdit::Unclear);
    }

    #[test]
    fn a_list_has_an_end() {
        let full: Vec<Box<str>> = (0..250).map(|n| format!("{n}@b.c").into()).collect();
        assert_eq!(edit(&full, &ListElement::of("new@b.c"), 250), ListEdit::Full);
        assert_eq!(edit(&full, &ListElement::of("7@b.c"), 250), ListEdit::Unchanged);
        assert!(matches!(
            edit(&full, &wanted(Some("new@b.c"), Some("7@b.c"), &[]), 250),
            ListEdit::Replace(_)
        ));
    }

    #[test]
    fn a_list_of_one_is_replaced_and_a_longer_one_only_where_it_is_clear() {
        let (new, none) = (wanted(Some("2"), Some("1"), &[]), wanted(None, Some("1"), &[]));
        for (has, wanted, expected) in [
            (&[][..], &new, ListEdit::Replace(list(&["2"]))),
            (&["9"], &new, ListEdit::Replace(list(&["2"]))),
            (&["2"], &new, ListEdit::Unchanged),
            (&["9"], &none, ListEdit::Replace(Vec::new())),
            (&[], &none, ListEdit::Unchanged),
            // More than Graph takes, by its documentation.
            (&["9", "1"], &new, ListEdit::Replace(list(&["9", "2"]))),
            (&["9", "8"], &new, ListEdit::Unclear),
            (&["9", "1"], &none, ListEdit::Replace(list(&["9"]))),
        ] {
            assert_eq!(edit(&list(has), wanted, 1), expected, "{has:?}");
        }
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        prop::sample::select(vec!["a@b.c", "A@b.c", "d@e.f", "g@h.i", "j@k.l", "J@K.L"]).prop_map(Into::into)
    }

    proptest! {
        #[test]
        fn whatever_the_list_nothing_else_in_it_is_lost_or_moved(
            has in prop::collection::vec(text(), 0..8),
            new in prop::option::of(text()),
            previous in prop::option::of(text()),
            earlier in prop::collection::vec(text(), 0..4),
            most in 2_usize..8,
        ) {
            let previous = previous.map_or(Previous::Unknown, Previous::Was);
            let wanted = ListElement { text: new.clone(), previous, earlier: earlier.into(), contact: None };
            if let ListEdit::Replace(edited) = edit(&has, &wanted, most) {
                let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
                let is_new = |text: &str| new.as_ref().is_some_and(|new| same(new, text));
                // What has gone is one of those that may, whatever its case, and it has gone for the new one.
                let lower = has.iter().map(|text| text.to_ascii_lowercase());
                let mut gone: Vec<_> =
                    lower.filter(|text| !edited.iter().any(|left| same(left, text))).collect();
                gone.dedup();
                gone.sort_unstable();
                gone.dedup();
                prop_assert!(gone.len() <= 1);
                prop_assert!(gone.iter().all(|gone| wanted.giving_way().any(|old| same(old, gone))));
                // All others are there as often as before and in the same order.
                let others = |list: &[Box<str>]| -> Vec<Box<str>> {
                    let goes = |text: &str| is_new(text) || gone.iter().any(|gone| same(gone, text));
                    list.iter().filter(|text| !goes(text)).cloned().collect()
                };
                prop_assert_eq!(others(&edited), others(&has));
                // The new one is there, and no more often than before.
                let count = |list: &[Box<str>]| list.iter().filter(|text| is_new(text)).count();
                prop_assert_eq!(count(&edited), if new.is_some() { count(&has).max(1) } else { 0 });
                prop_assert!(edited.len() <= has.len().max(most));
            }
        }

        #[test]
        fn of_a_list_that_is_longer_than_graph_takes_nothing_is_lost_but_what_gives_way(
            has in prop::collection::vec(text(), 2..6),
            new in prop::option::of(text()),
            previous in prop::option::of(text()),
        ) {
            let previous = previous.map_or(Previous::Unknown, Previous::Was);
            let wanted = ListElement { text: new, previous, ..ListElement::default() };
            if let ListEdit::Replace(edited) = edit(&has, &wanted, 1) {
                for text in &has {
                    let left = edited.iter().any(|left| left.eq_ignore_ascii_case(text));
                    prop_assert!(left || wanted.giving_way().any(|old| old.eq_ignore_ascii_case(text)), "{text} in {has:?}, {edited:?}");
                }
            }
        }

        #[test]
        fn what_was_edited_needs_no_edit(
            has in prop::collection::vec(text(), 0..8),
            new in text(),
            previous in text(),
        ) {
            let wanted = ListElement {
                text: Some(new),
                previous: Previous::Was(previous),
                ..ListElement::default()
            };
            if let ListEdit::Replace(edited) = edit(&has, &wanted, 250) {
                prop_assert_eq!(edit(&edited, &wanted, 250), ListEdit::Unchanged);
            }
        }
    }
}
