//! Writes, and what is refused of them.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{ADA, BOB, House, started};
use crate::dataverse::value::Value;

#[tokio::test]
async fn a_create_tells_the_id_in_both_headers_and_a_representation_on_request() {
    let House { mut api, dataverse, graph: _graph } = started().await;
    let made = api.post("contacts", &json!({"firstname": "Ada", "contactid": ADA})).await;
    assert_eq!((made.status, made.text.as_str()), (204, ""));
    let url = format!("{}/contacts({ADA})", api.root);
    assert_eq!(
        (made.header("odata-entityid"), made.header("location")),
        (Some(url.as_str()), Some(url.as_str()))
    );
    assert_eq!(dataverse.row("contact", ADA).unwrap()["fullname"], Value::Text("Ada".to_owned()));
    let prefer = [("prefer", "return=representation")];
    let made = api.send("POST", "contacts?$select=firstname", &prefer, &json!({"firstname": "Bob"})).await;
    assert_eq!((made.status, &made.json()["firstname"]), (201, &json!("Bob")));
    assert_eq!(made.header("preference-applied"), Some("return=representation"));
    let changed = api.send("PATCH", &format!("contacts({ADA})"), &prefer, &json!({"lastname": "L"})).await;
    assert_eq!((changed.status, &changed.json()["lastname"]), (200, &json!("L")));
    let again = api.post("contacts", &json!({"contactid": ADA})).await;
    assert_eq!((again.status, again.code().as_str()), (412, "0x80040237"));
}

#[tokio::test]
async fn a_patch_is_an_upsert_unless_the_headers_say_otherwise() {
    let mut house = started().await;
    let api = &mut house.api;
    let path = format!("contacts({ADA})");
    let name = |name: &str| json!({ "lastname": name });
    let mut change = async |header: Option<(&str, &str)>, body: Json| {
        let answer = api.send("PATCH", &path, header.as_slice(), &body).await;
        (answer.status, answer.code())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(change(Some(("if-match", "*")), name("a")).await, refused(404, "0x80040217"));
    assert_eq!(change(None, name("b")).await, refused(204, ""));
    assert_eq!(change(Some(("if-none-match", "*")), name("c")).await, refused(412, "0x80040237"));
    assert_eq!(change(Some(("if-match", "W/\"1\"")), name("d")).await, refused(412, "0x80060882"));
    let read = api.get(&path).await.json();
    assert_eq!(read["lastname"], "b");
    let tag = read["@odata.etag"].as_str().unwrap().to_owned();
    let good = [("if-match", tag.as_str())];
    assert_eq!(api.send("PATCH", &path, &good, &name("e")).await.status, 204);
    // The version has moved on.
    assert_eq!(api.send("DELETE", &path, &good, &Json::Null).await.status, 412);
    assert_eq!(api.send("DELETE", &path, &[], &Json::Null).await.status, 204);
    assert_eq!(api.send("DELETE", &path, &[], &Json::Null).await.status, 404);
}

#[tokio::test]
async fn a_refused_write_names_its_reason_and_changes_nothing() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let before = house.dataverse.row("contact", ADA);
    let path = format!("contacts({ADA})");
    for (body, code, part) in [
        (
            json!({"lastname": "x", "nope": 1}),
            "0x80048d19",
            "The property 'nope' does not exist on type 'Microsoft.Dynamics.CRM.contact'",
        ),
        (
            json!({"firstname": "x".repeat(51)}),
            "0x80044331",
            "A validation error occurred.  The length of the 'firstname' attribute of the 'contact' entity exceeded the maximum allowed length of '50'.",
        ),
        (json!({"firstname": 1}), "0x80048d19", "Edm.String"),
        (json!({"numberofchildren": "two"}), "0x80048d19", "Edm.Int32"),
        (json!({"gendercode": 9}), "0x80044330", "outside the valid range"),
        (json!({"_ownerid_value": ADA}), "0x80048d19", "Entity Reference"),
        (
            json!({"OwnerId@odata.bind": format!("/systemusers({ADA})")}),
            "0x80048d19",
            "undeclared property 'OwnerId'",
        ),
        (json!({"ownerid@odata.bind": format!("/systemusers({ADA})")}), "0x80040217", "systemuser With Id"),
        (json!({"ownerid@odata.bind": format!("/contacts({ADA})")}), "0x80048d19", "systemusers"),
    ] {
        let answer = house.api.patch(&path, &body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text);
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
        assert_eq!(house.dataverse.row("contact", ADA), before, "{body}");
    }
    let answer = house.api.send_text("PATCH", &path, &[], "{").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "0x80048d19"));
}

#[tokio::test]
async fn lookups_are_bound_cleared_and_linked() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let id = Uuid::from_u128(7);
    let body = json!({
        "adx_externalidentityid": id, "adx_username": "u", "adx_identityprovidername": "p",
        "adx_contactid@odata.bind": format!("{}/contacts({ADA})", house.api.root),
    });
    assert_eq!(house.api.post("adx_externalidentities", &body).await.status, 204);
    let listed = format!("adx_externalidentities?$select=adx_username&$filter=_adx_contactid_value eq {ADA}");
    let found = house.api.get(&listed).await.json();
    assert_eq!(found["value"][0]["adx_username"], "u");
    let expanded = format!(
        "contacts({ADA})?$select=lastname&$expand=adx_contact_externalidentity($select=adx_username)"
    );
    let found = house.api.get(&expanded).await.json();
    assert_eq!(found["adx_contact_externalidentity"][0]["adx_username"], "u");
    let path = format!("adx_externalidentities({id})");
    let found = house.api.get(&format!("{path}?$expand=adx_contactid($select=lastname)")).await.json();
    assert_eq!(found["adx_contactid"]["lastname"], "Ada");
    let reference = format!("{path}/adx_contactid/$ref");
    assert_eq!(house.api.send("DELETE", &reference, &[], &Json::Null).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["_adx_contactid_value"], Json::Null);
    let to = json!({"@odata.id": format!("/contacts({ADA})")});
    assert_eq!(house.api.send("PUT", &reference, &[], &to).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["_adx_contactid_value"], json!(ADA));
    assert_eq!(house.api.patch(&path, &json!({"adx_contactid@odata.bind": null})).await.status, 204);
    let collection = format!("contacts({ADA})/adx_contact_externalidentity/$ref");
    assert_eq!(house.api.post(&collection, &json!({"@odata.id": path})).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["_adx_contactid_value"], json!(ADA));
    // What pointed to a row that is gone points nowhere.
    assert_eq!(house.api.send("DELETE", &format!("contacts({ADA})"), &[], &Json::Null).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["_adx_contactid_value"], Json::Null);
}

#[tokio::test]
async fn one_property_is_put_and_deleted() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let path = format!("contacts({ADA})/lastname");
    assert_eq!(house.api.send("PUT", &path, &[], &json!({"value": "L"})).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["value"], "L");
    assert_eq!(house.api.send("DELETE", &path, &[], &Json::Null).await.status, 204);
    assert_eq!(house.api.get(&path).await.status, 204);
}

#[tokio::test]
async fn a_state_takes_its_reason_along_and_a_new_row_begins_active() {
    let mut house = started().await;
    let api = &mut house.api;
    let body = json!({"contactid": BOB, "statecode": 1, "statuscode": 2});
    assert_eq!(api.post("contacts", &body).await.status, 204);
    let path = format!("contacts({BOB})");
    let states = |row: &Json| (row["statecode"].clone(), row["statuscode"].clone());
    assert_eq!(states(&api.get(&path).await.json()), (json!(0), json!(1)));
    assert_eq!(api.patch(&path, &json!({"statecode": 1})).await.status, 204);
    assert_eq!(states(&api.get(&path).await.json()), (json!(1), json!(2)));
}

#[tokio::test]
async fn versions_grow_with_every_write_and_are_never_used_twice() {
    let mut house = started().await;
    let mut versions = Vec::new();
    for id in [ADA, BOB, ADA, BOB, ADA] {
        house.contact(id, &json!({"lastname": "same"}));
        let row = house.api.get(&format!("contacts({id})?$select=versionnumber")).await.json();
        assert_eq!(row["@odata.etag"], json!(format!("W/\"{}\"", row["versionnumber"])));
        versions.push(row["versionnumber"].as_i64().unwrap());
    }
    assert!(versions.is_sorted_by(|left, right| left < right), "{versions:?}");
}

#[tokio::test]
async fn many_rows_are_written_at_once_or_not_at_all() {
    let House { mut api, dataverse, graph: _graph } = started().await;
    let target = |name: &str| json!({"@odata.type": "Microsoft.Dynamics.CRM.contact", "lastname": name});
    let path = "contacts/Microsoft.Dynamics.CRM.CreateMultiple";
    let made = api.post(path, &json!({"Targets": [target("a"), target("b")]})).await;
    let ids: Vec<String> = serde_json::from_value(made.json()["Ids"].clone()).unwrap();
    assert_eq!((made.status, ids.len()), (200, 2));
    let failed = api.post(path, &json!({"Targets": [target("c"), target(&"d".repeat(51))]})).await;
    assert_eq!((failed.status, failed.code().as_str()), (400, "0x80044331"));
    assert_eq!(dataverse.rows("contact").len(), 2);
    let change = |id: &str, name: &str| json!({"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": id, "lastname": name});
    let path = "contacts/Microsoft.Dynamics.CRM.UpdateMultiple";
    let body = json!({"Targets": [change(&ids[0], "x"), change(&BOB.to_string(), "y")]});
    assert_eq!(api.post(path, &body).await.status, 404);
    assert_eq!(api.get(&format!("contacts({})/lastname", ids[0])).await.json()["value"], "a");
    let path = "contacts/Microsoft.Dynamics.CRM.UpsertMultiple";
    assert_eq!(api.post(path, &body).await.status, 204);
    assert_eq!(dataverse.rows("contact").len(), 3);
    let untyped = json!({"Targets": [{"lastname": "x"}]});
    assert_eq!(
        api.post("contacts/Microsoft.Dynamics.CRM.CreateMultiple", &untyped).await.code(),
        "0x80048d19"
    );
}
