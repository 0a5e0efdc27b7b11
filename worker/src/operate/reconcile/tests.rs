//! What is posted reads as what was found.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shared::{
    decode,
    drift::{TableRow, Unlinked},
    ids::OrganizationId,
    mapping::Mapping,
    plan::{Plan, Planner},
};
use uuid::Uuid;

use super::{RowReader, message::message};
use crate::dataverse::Column;

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(7));
const USER: &str = "11111111-2222-4333-8444-aaaaaaaaaaaa";

fn attribute(name: &str, kind: &str) -> Column {
    Column {
        logical_name: name.into(),
        attribute_type: kind.into(),
        is_secured: Some(name == "lastname"),
        is_valid_for_read: None,
    }
}

fn attributes() -> Vec<Column> {
    [
        ("adx_identity_username", "String"),
        ("emailaddress1", "String"),
        ("firstname", "String"),
        ("lastname", "String"),
        ("statecode", "State"),
        ("parentcustomerid", "Customer"),
        ("revenue", "Money"),
    ]
    .map(|(name, kind)| attribute(name, kind))
    .into()
}

fn reader(planner: &Planner) -> RowReader {
    RowReader::new(ORGANIZATION, planner, &attributes()).expect("all columns are known")
}

fn members(columns: &[(&str, Value)]) -> Map<String, Value> {
    let own = [
        ("contactid", json!("03d0d059-3dcf-41f2-9e20-57b85dbff932")),
        ("versionnumber", json!(72_201_545)),
        ("modifiedon", json!("2026-11-28T20:14:03Z")),
    ];
    own.into_iter().chain(columns.iter().cloned()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn row(planner: &Planner, columns: &[(&str, Value)]) -> TableRow {
    reader(planner).row(&members(columns)).expect("a row")
}

#[track_caller]
fn check_same(planner: &Planner, row: &TableRow) {
    let posted = message(row, Uuid::from_u128(1));
    let decoded = decode::decode(&posted.body, posted.content_type.as_deref()).expect("readable");
    let [change] = decoded.changes() else { panic!("one change") };
    assert_eq!(change.version, Some(row.version));
    let found = match planner.plan(change) {
        Plan::Write { user, patch } => Ok(shared::drift::Linked { user, patch }),
        Plan::Nothing(why) => Err(Unlinked::Passed(why)),
        Plan::LookUp(queries) => Err(Unlinked::Asks(queries)),
        Plan::Impossible(letter) => Err(Unlinked::Unfit(letter.reason)),
    };
    assert_eq!(found, row.plan(planner));
}

proptest! {
    #[test]
    fn the_message_of_a_row_is_planned_as_the_row_is(
        first in prop::option::of(".{0,70}"), mail in prop::option::of("[a-z]{0,3}@[a-z]{0,3}\\.com"),
        link in prop::sample::select(vec![None, Some(USER), Some("ada"), Some("")]),
        left_out in prop::collection::vec(prop::sample::select(vec!["emailaddress1", "firstname"]), 0..2),
    ) {
        let planner = Planner::new(Mapping::preset_b2c());
        let columns = [
            ("adx_identity_username", json!(link)), ("emailaddress1", json!(mail)),
            ("firstname", json!(first)), ("lastname", Value::Null),
        ];
        let whole = row(&planner, &columns);
        let columns = whole.columns.iter().filter(|(name, _)| !left_out.contains(name));
        let columns = columns.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        check_same(&planner, &TableRow { columns, ..whole });
    }
}

#[test]
fn what_may_be_hidden_or_says_something_else_than_a_message_is_refused() {
    let planner = Planner::new(Mapping::preset_default());
    assert_eq!(reader(&planner).secured(), [Box::from("lastname")]);
    // A column that is left out of the answer may be hidden; it is not empty.
    let missing = members(&[("adx_identity_username", json!(USER)), ("emailaddress1", Value::Null)]);
    reader(&planner).row(&missing).expect_err("firstname is missing");
    let few = &attributes()[..3];
    let told = RowReader::new(ORGANIZATION, &planner, few).expect_err("no lastname").to_string();
    assert_eq!(told, "the table contact has no column lastname");
}
