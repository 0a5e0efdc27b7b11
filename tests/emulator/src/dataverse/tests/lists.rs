//! Lists and their pages.

use std::collections::BTreeSet;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value as Json, json};

use super::{ADA, contacts, started};

fn names(rows: &[Json]) -> Vec<String> {
    rows.iter().map(|row| row["lastname"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn every_row_comes_exactly_once_whatever_the_size_of_a_page_and_the_order() {
    let mut house = started().await;
    contacts(&house.dataverse, 23);
    let all: BTreeSet<String> = (1..=23).map(|number| format!("{number:04}")).collect();
    let sizes =
        (1..30_usize, prop_oneof![Just(""), Just("&$orderby=lastname desc"), Just("&$orderby=statecode")]);
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let (size, order) = sizes.new_tree(&mut runner).unwrap().current();
        let path = format!("contacts?$select=lastname{order}");
        let (rows, _) = house.api.all(&path, &format!("odata.maxpagesize={size}")).await;
        let names = names(&rows);
        assert_eq!(names.len(), 23, "{size}{order}");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), all, "{size}{order}");
    }
}

#[tokio::test]
async fn rows_that_go_while_paging_do_not_make_others_repeat() {
    let mut house = started().await;
    contacts(&house.dataverse, 6);
    let first = house.api.prefer("contacts?$select=lastname", "odata.maxpagesize=2").await.json();
    house.dataverse.delete("contacts", uuid::Uuid::from_u128(2)).unwrap();
    let next = first["@odata.nextLink"].as_str().unwrap();
    let (rest, _) = house.api.all(next, "odata.maxpagesize=2").await;
    assert_eq!(names(&rest), ["0003", "0004", "0005", "0006"]);
}

#[tokio::test]
async fn a_cookie_is_encoded_twice_and_good_only_as_it_is_and_where_it_is_from() {
    let mut house = started().await;
    contacts(&house.dataverse, 3);
    let answer = house.api.prefer("contacts?$select=lastname", "odata.maxpagesize=1").await;
    assert_eq!(answer.header("preference-applied"), Some("odata.maxpagesize=1"));
    let link = answer.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    for part in ["$skiptoken=%3Ccookie", "pagenumber=%222%22", "%253Ccontactid", "istracking=%22False%22"] {
        assert!(link.contains(part), "{part} in {link}");
    }
    assert_eq!(house.api.get(&link).await.status, 200);
    for bad in [
        link.replace("%252", "%2"),
        link.replace("%222%22", "%223%22"),
        link.replace("$select=lastname", "$select=firstname"),
    ] {
        assert_ne!(bad, link);
        let answer = house.api.get(&bad).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "0x80040203"), "{bad}");
    }
}

#[tokio::test]
async fn options_do_what_is_documented() {
    let mut house = started().await;
    contacts(&house.dataverse, 7);
    let mut names = async |path: &str| names(house.api.get(path).await.json()["value"].as_array().unwrap());
    assert_eq!(names("contacts?$top=2&$orderby=lastname desc").await, ["0007", "0006"]);
    assert_eq!(names("contacts?%24top=1&%24orderby=lastname+desc").await, ["0007"]);
    assert_eq!(names("contacts?$filter=adx_identity_username+eq+'U3'").await, ["0003"]);
    let many = "contacts?$filter=Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)&@p1='contactid'\
                &@p2=[\"00000000-0000-0000-0000-000000000002\",\"00000000-0000-0000-0000-000000000005\"]";
    assert_eq!(names(many).await, ["0002", "0005"]);
    // Documented: `$top` is passed over when a page size is given.
    let answer = house.api.prefer("contacts?$top=2&$count=true", "odata.maxpagesize=5").await.json();
    assert_eq!((answer["value"].as_array().unwrap().len(), &answer["@odata.count"]), (5, &json!(7)));
    assert_eq!(house.api.get("contacts/$count?$filter=lastname gt '0004'").await.text, "\u{feff}3");
    let count = house.api.get("RetrieveTotalRecordCount(EntityNames=['contact'])").await.json();
    assert_eq!(count["EntityRecordCountCollection"]["Values"], json!([7]));
}

#[tokio::test]
async fn what_dataverse_does_not_understand_is_refused_with_its_code() {
    let mut house = started().await;
    let api = &mut house.api;
    for (path, status, code, part) in [
        ("contacts?$skip=1", 400, "0x80060888", "The query parameter $skip is not supported"),
        (
            "contacts?$select=nope",
            400,
            "0x80060888",
            "Could not find a property named 'nope' on type 'Microsoft.Dynamics.CRM.contact'.",
        ),
        ("contacts?$select=ownerid", 400, "0x80060888", "Could not find a property named 'ownerid'"),
        ("contacts?$filter=nope eq 1", 400, "0x80060888", "Could not find a property named 'nope'"),
        ("contacts?$filter=firstname eq", 400, "0x80060888", "Syntax error at position"),
        ("contacts?$filter=firstname eq 1", 400, "0x80060888", "incompatible types"),
        ("contacts?$orderby=firstname up", 400, "0x80060888", ""),
        ("contacts?$expand=nope", 400, "0x80060888", "'nope'"),
        ("acounts", 404, "0x80060888", "Resource not found for the segment 'acounts'."),
        (
            "contacts(adx_key='x')",
            400,
            "0x80060888",
            "The specified key attributes are not a defined key for the contact entity",
        ),
        (
            "contacts(00000000-0000-0000-0000-00000000dead)",
            404,
            "0x80040217",
            "contact With Id = 00000000-0000-0000-0000-00000000dead Does Not Exist",
        ),
        ("contacts?sql=SELECT 1", 501, "0x80040216", "sql"),
    ] {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
    }
    assert_eq!(api.send("DELETE", "contacts", &[], &Json::Null).await.status, 405);
}

#[tokio::test]
async fn one_row_has_an_etag_a_context_and_only_the_columns_that_were_asked_for() {
    let mut house = started().await;
    house.contact(ADA, &json!({"firstname": "Ada"}));
    let path = format!("contacts({ADA})?$select=firstname,lastname");
    let answer = house.api.get(&path).await;
    let body = answer.json();
    let tag = body["@odata.etag"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    assert!(
        body["@odata.context"].as_str().unwrap().ends_with("/$metadata#contacts(firstname,lastname)/$entity")
    );
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["@odata.context", "@odata.etag", "contactid", "firstname", "lastname"]);
    assert_eq!(body["lastname"], Json::Null);
    let same = house.api.send("GET", &path, &[("if-none-match", &tag)], &Json::Null).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(house.api.send("GET", &path, &[("if-none-match", "null")], &Json::Null).await.status, 200);
    let value = house.api.get(&format!("contacts({ADA})/firstname")).await;
    assert_eq!(value.json()["value"], "Ada");
    assert_eq!(house.api.get(&format!("contacts({ADA})/lastname")).await.status, 204);
    // An empty selection, as Microsoft's Python client sends it, means all columns.
    let all = house.api.get(&format!("contacts({ADA})?$select=")).await.json();
    assert!(all.get("adx_identity_passwordhash").is_some());
    let last = house.dataverse.journal().pop().unwrap();
    assert_eq!(last.secrets, ["adx_identity_passwordhash", "adx_identity_securitystamp"]);
}

#[tokio::test]
async fn annotations_come_when_asked_for() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let path = format!("contacts({ADA})?$select=statecode,_ownerid_value");
    let plain = house.api.get(&path).await.json();
    assert!(plain.as_object().unwrap().keys().all(|key| !key.contains("Formatted")));
    let all = house.api.prefer(&path, "odata.include-annotations=\"*\"").await.json();
    assert_eq!(all["statecode@OData.Community.Display.V1.FormattedValue"], "Active");
    assert_eq!(all["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"], "systemuser");
    assert_eq!(all["_ownerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"], "ownerid");
}
