//! Change tracking.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{ADA, SOON, contacts, object, started};

/// What a client knows after it has read rows and tombstones.
fn learn(known: &mut BTreeMap<String, String>, rows: &[Json]) {
    for row in rows {
        if row["reason"] == "deleted" {
            known.remove(row["id"].as_str().unwrap());
        } else {
            let name = row["lastname"].as_str().unwrap_or_default();
            known.insert(row["contactid"].as_str().unwrap().to_owned(), name.to_owned());
        }
    }
}

fn link(page: &Json) -> String {
    page["@odata.deltaLink"].as_str().unwrap_or_else(|| panic!("no deltaLink in {page}")).to_owned()
}

#[derive(Clone, Debug)]
enum Step {
    Write(u128, u32),
    Delete(u128),
    Catch(usize),
}

/// The law: a full pass and the deltas after it are the table, whatever happens in between and while paging.
#[tokio::test]
async fn a_full_pass_and_its_deltas_are_the_table() {
    let mut house = started().await;
    let step = prop_oneof![
        5 => (1..12_u128, any::<u32>()).prop_map(|(id, name)| Step::Write(id, name)),
        3 => (1..12_u128).prop_map(Step::Delete),
        2 => (1..6_usize).prop_map(Step::Catch),
    ];
    let steps = proptest::collection::vec(step, 1..60);
    let mut runner = TestRunner::deterministic();
    let (rows, page) = house.api.all("contacts?$select=lastname", "odata.track-changes").await;
    let (mut known, mut delta) = (BTreeMap::new(), link(&page));
    learn(&mut known, &rows);
    for _ in 0..12 {
        for step in steps.new_tree(&mut runner).unwrap().current() {
            match step {
                Step::Write(id, name) => {
                    house.contact(Uuid::from_u128(id), &json!({"lastname": name.to_string()}));
                }
                // One that is not there is no concern of this law.
                Step::Delete(id) => drop(house.dataverse.delete("contacts", Uuid::from_u128(id))),
                Step::Catch(size) => {
                    let (rows, page) = house.api.all(&delta, &format!("odata.maxpagesize={size}")).await;
                    learn(&mut known, &rows);
                    delta = link(&page);
                }
            }
        }
        let (rows, page) = house.api.all(&delta, "").await;
        learn(&mut known, &rows);
        delta = link(&page);
        let (rows, _) = house.api.all("contacts?$select=lastname", "").await;
        let mut table = BTreeMap::new();
        learn(&mut table, &rows);
        assert_eq!(known, table);
    }
}

#[tokio::test]
async fn a_write_between_two_pages_of_the_first_pass_is_in_the_first_delta() {
    let mut house = started().await;
    contacts(&house.dataverse, 3);
    let tracked = "odata.track-changes,odata.maxpagesize=2";
    let first = house.api.prefer("contacts?$select=lastname", tracked).await;
    assert_eq!(first.header("preference-applied"), Some("odata.maxpagesize=2,odata.track-changes"));
    let first = first.json();
    assert!(first.get("@odata.deltaLink").is_none());
    house.contact(Uuid::from_u128(1), &json!({"lastname": "new"}));
    let last = house.api.prefer(first["@odata.nextLink"].as_str().unwrap(), tracked).await.json();
    let delta = house.api.get(&link(&last)).await.json();
    assert_eq!(delta["value"].as_array().unwrap().len(), 1);
    assert_eq!(delta["value"][0]["lastname"], "new");
    assert!(delta["@odata.context"].as_str().unwrap().ends_with("#contacts(lastname)/$delta"));
}

#[tokio::test]
async fn a_tombstone_has_an_id_and_a_reason_and_comes_after_the_rows() {
    let mut house = started().await;
    contacts(&house.dataverse, 2);
    let first = house.api.prefer("contacts?$select=lastname", "odata.track-changes").await.json();
    let link = link(&first);
    assert!(link.contains("$deltatoken=") && link.contains("%21"), "{link}");
    house.dataverse.delete("contacts", Uuid::from_u128(1)).unwrap();
    // Made and gone in between: a tombstone of an id that was never seen.
    house.contact(ADA, &json!({"lastname": "brief"}));
    house.dataverse.delete("contacts", ADA).unwrap();
    house.contact(Uuid::from_u128(2), &json!({"lastname": "two"}));
    let delta = house.api.get(&link).await.json();
    let rows = delta["value"].as_array().unwrap();
    assert_eq!(rows[0]["lastname"], "two");
    assert_eq!(rows[1]["id"], json!(Uuid::from_u128(1)));
    assert_eq!((&rows[2]["id"], &rows[2]["reason"]), (&json!(ADA), &json!("deleted")));
    assert!(rows[2]["@odata.context"].as_str().unwrap().ends_with("#contacts/$deletedEntity"));
    let count = link.replace("contacts?", "contacts/$count?");
    assert_eq!(house.api.get(&count).await.text, "\u{feff}3");
}

#[tokio::test]
async fn options_that_tracking_does_not_know_are_refused_by_name() {
    let mut house = started().await;
    let api = &mut house.api;
    for (option, name) in [
        ("$filter=statecode eq 0", "filter"),
        ("$orderby=lastname", "orderby"),
        ("$top=1", "top"),
        ("$expand=adx_contact_externalidentity", "expand"),
    ] {
        let answer = api.prefer(&format!("contacts?{option}"), "odata.track-changes").await;
        assert_eq!(answer.status, 400, "{option}");
        let sentence =
            format!("The \"{name}\" query parameter isn't supported when Change Tracking is enabled.");
        assert_eq!(answer.json()["error"]["message"], json!(sentence));
    }
}

#[tokio::test]
async fn a_token_expires_by_age_by_order_and_when_it_is_not_one() {
    let mut house = started().await;
    let first = house.api.prefer("contacts", "odata.track-changes").await.json();
    let fresh = link(&first);
    assert_eq!(house.api.get(&fresh).await.status, 200);
    let old = format!("contacts?$deltatoken={}", "72201545%2101%2F01%2F2020%2000%3A00%3A00");
    for (path, code) in [(old.as_str(), "0x80044352"), ("contacts?$deltatoken=soon", "0x80040203")] {
        let answer = house.api.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code));
    }
    let organization = house.dataverse.options().organization;
    let path = format!("organizations({organization})");
    assert_eq!(
        house.api.get("organizations?$select=expirechangetrackingindays").await.json()["value"][0]["expirechangetrackingindays"],
        7
    );
    assert_eq!(house.api.patch(&path, &json!({"expirechangetrackingindays": 0})).await.status, 204);
    assert_eq!(house.api.get(&fresh).await.code(), "0x80044352");
    assert_eq!(house.api.patch(&path, &json!({"expirechangetrackingindays": 7})).await.status, 204);
    assert_eq!(house.api.get(&fresh).await.status, 200);
    house.dataverse.expire_delta_tokens();
    assert_eq!(house.api.get(&fresh).await.code(), "0x80044352");
}

#[tokio::test]
async fn without_tracking_there_is_no_link() {
    let mut house = started().await;
    house.dataverse.set_change_tracking("contact", false);
    let answer = house.api.prefer("contacts", "odata.track-changes").await;
    assert_eq!(answer.status, 200);
    assert!(answer.json().get("@odata.deltaLink").is_none());
    let path =
        "EntityDefinitions(LogicalName='contact')?$select=ChangeTrackingEnabled,CanChangeTrackingBeEnabled";
    let definition = house.api.get(path).await.json();
    assert_eq!(definition["ChangeTrackingEnabled"], false);
    assert_eq!(definition["CanChangeTrackingBeEnabled"]["Value"], true);
    let seen = house.dataverse.wait_for_entry(SOON, |entry| entry.prefer == "odata.track-changes").await;
    assert_eq!(seen.unwrap().status, Some(200));
    assert!(object(&definition).contains_key("MetadataId"));
}
