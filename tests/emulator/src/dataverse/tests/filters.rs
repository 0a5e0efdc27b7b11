//! The language of filters.

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use crate::dataverse::filter::{Filter, Function, Literal, Operator, parse};

fn column() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,20}".prop_filter("words of the language", |name| {
        !["and", "or", "not", "null", "true", "false"].contains(&name.as_str())
    })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(Literal::Number),
        ".{0,20}".prop_map(Literal::Text),
        any::<u128>().prop_map(|id| Literal::Guid(Uuid::from_u128(id))),
        (-10_000_000_000_i64..10_000_000_000)
            .prop_map(|second| Literal::Moment(Timestamp::from_second(second).unwrap_or_default())),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        (column(), 0..6_usize, literal()).prop_map(|(column, operator, value)| Filter::Compare(
            column,
            Operator::ALL[operator],
            value
        )),
        (column(), 0..3_usize, ".{0,20}").prop_map(|(column, function, text)| Filter::Text(
            Function::ALL[function],
            column,
            text
        )),
        (column(), proptest::collection::vec(".{0,10}", 0..4))
            .prop_map(|(column, values)| Filter::In(column, values)),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Filter::And(left.into(), right.into())),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Filter::Or(left.into(), right.into())),
            inner.prop_map(|inner| Filter::Not(inner.into())),
        ]
    })
}

/// Pieces from which a filter may be made, in any order.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop_oneof![
        Just("a eq ".to_owned()),
        Just("'".to_owned()),
        Just(" and ".to_owned()),
        Just("not ".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("Microsoft.Dynamics.CRM.In(".to_owned()),
        Just("PropertyName=".to_owned()),
        Just("@p1".to_owned()),
        Just("[\"".to_owned()),
        Just("contains(".to_owned()),
        ".{0,3}",
    ];
    proptest::collection::vec(scrap, 0..12).prop_map(|scraps| scraps.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_as_the_same(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(parse(&text, &|_| None).map_err(|refusal| refusal.message), Ok(filter));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![".{0,40}", scraps()]) {
        let own = text.clone();
        if let Ok(filter) = parse(&text, &move |_| Some(own.clone())) {
            prop_assert!(parse(&filter.to_string(), &|_| None).is_ok());
        }
    }
}

#[test]
fn and_binds_more_strongly_than_or_and_not_most() {
    let read = |text: &str| parse(text, &|_| None).map(|filter| filter.to_string()).unwrap();
    assert_eq!(read("a eq 1 or b eq 2 and not c eq 3"), "(a eq 1 or (b eq 2 and not (c eq 3)))");
    assert_eq!(read("((a ne null))"), "a ne null");
    assert_eq!(read("a eq 'it''s'"), "a eq 'it''s'");
    assert_eq!(read("createdon ge 2026-11-27"), "createdon ge 2026-11-27T00:00:00Z");
}

#[test]
fn depth_and_length_have_an_end() {
    let deep = format!("{}a eq 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&deep, &|_| None).is_err());
    let long = vec!["a eq 1"; 501].join(" or ");
    assert_eq!(parse(&long, &|_| None).unwrap_err().code, 0x8004_430c);
}

mod rows {
    use proptest::prelude::*;

    use crate::dataverse::{
        filter::{Judge, parse},
        schema,
        value::{Row, Value},
    };

    fn takes(filter: &str, row: &Row) -> bool {
        let table = schema::table("contact").unwrap();
        let filter = parse(filter, &|_| None).unwrap();
        Judge::new(filter, table, &|_| Ok(())).unwrap().takes(row)
    }

    #[test]
    fn texts_ignore_case_and_know_wildcards() {
        let row = Row::from([
            ("firstname".to_owned(), Value::Text("Ada Lovelace".to_owned())),
            ("statecode".to_owned(), Value::Choice(0)),
        ]);
        for (filter, expected) in [
            ("firstname eq 'ADA LOVELACE'", true),
            ("contains(firstname,'love')", true),
            ("contains(firstname,'l%e')", true),
            ("contains(firstname,'l_ve')", true),
            ("startswith(firstname,'[ab]da')", true),
            ("startswith(firstname,'[xy]da')", false),
            ("endswith(firstname,'lace')", true),
            ("endswith(firstname,'Ada')", false),
            ("lastname eq null", true),
            ("lastname ne null", false),
            ("lastname ne 'x'", true),
            ("lastname gt 'x'", false),
            ("statecode eq 0 and not contains(lastname,'x')", true),
            ("firstname gt 'ad' and firstname lt 'ae'", true),
        ] {
            assert_eq!(takes(filter, &row), expected, "{filter}");
        }
    }

    proptest! {
        #[test]
        fn a_text_contains_each_of_its_own_pieces(text in "[a-zA-Z ]{0,30}", from in 0..30_usize, length in 0..30_usize) {
            let row = Row::from([("firstname".to_owned(), Value::Text(text.clone()))]);
            let from = from.min(text.len());
            let to = (from + length).min(text.len());
            let needle = format!("contains(firstname,'{}')", &text[from..to]);
            prop_assert!(takes(&needle, &row));
            let starts = format!("startswith(firstname,'{}')", &text[..to]);
            prop_assert!(takes(&starts, &row));
        }
    }
}
