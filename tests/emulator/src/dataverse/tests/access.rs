//! Tokens, application users, privileges, depths, and what is hidden.

use std::time::Duration;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    ADA, BOB, READER, SOON,
    api::{Api, token},
    started,
};
use crate::{
    ca::Ca,
    dataverse::{ApplicationUser, Dataverse, Depth, Options, Privileges, Role},
    graph::DEFAULT_CLIENT_ID,
};

fn privileges(list: &[(&str, Depth)]) -> Privileges {
    list.iter().map(|(name, depth)| ((*name).to_owned(), *depth)).collect()
}

#[tokio::test]
async fn without_a_good_token_the_organization_tells_its_tenant() {
    let house = started().await;
    let (graph, dataverse) = (&house.graph, &house.dataverse);
    let other = token(graph, DEFAULT_CLIENT_ID, "https://other.crm4.dynamics.com").await;
    let graphs = token(graph, DEFAULT_CLIENT_ID, "https://graph.microsoft.com").await;
    for bad in [String::new(), "x".to_owned(), other, graphs] {
        let answer = Api::with_token(dataverse, bad).await.get("WhoAmI").await;
        assert_eq!((answer.status, answer.text.as_str()), (401, ""));
        let challenge = answer.header("www-authenticate").unwrap();
        let tenant = graph.tenant().id;
        assert!(challenge.starts_with(&format!(
            "Bearer authorization_uri=https://login.microsoftonline.com/{tenant}/oauth2/authorize, resource_id=http"
        )));
        assert!(challenge.ends_with('/'));
    }
    let slashed = token(graph, DEFAULT_CLIENT_ID, &format!("{}/", dataverse.http_url())).await;
    assert_eq!(Api::with_token(dataverse, slashed).await.get("WhoAmI").await.status, 200);
    graph.revoke_tokens();
    let mut api = house.api;
    assert_eq!(api.get("WhoAmI").await.status, 401);
}

#[tokio::test]
async fn an_app_needs_a_user_that_is_enabled_and_has_the_privilege() {
    let house = started().await;
    let mut api = Api::new(&house.graph, &house.dataverse, READER).await;
    let answer = api.get("WhoAmI()").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "0x80072560"));
    house.dataverse.set_application_user(&ApplicationUser::new(READER, &[]));
    let me = api.get("WhoAmI()").await;
    assert_eq!(me.status, 200);
    assert_eq!(me.json()["OrganizationId"], json!(house.dataverse.options().organization));
    let answer = api.get("contacts?$select=firstname").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "0x80040220"));
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    for part in [
        "roleCount=0, privilegeCount=0",
        "is missing prvReadContact privilege (Id=",
        "OTC=2 for entity 'contact'",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let user = ApplicationUser { disabled: true, ..ApplicationUser::new(READER, &[]) };
    house.dataverse.set_application_user(&user);
    assert_eq!(api.get("WhoAmI").await.code(), "0x80040225");
}

#[tokio::test]
async fn each_verb_needs_its_own_privilege() {
    let house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let mut api = house.reader(privileges(&[("prvReadContact", Depth::Global)])).await;
    let row = format!("contacts({ADA})");
    assert_eq!(api.get(&row).await.status, 200);
    let body = json!({"lastname": "x"});
    for (method, path, missing) in [
        ("POST", "contacts", "prvCreateContact"),
        ("PATCH", row.as_str(), "prvWriteContact"),
        ("DELETE", row.as_str(), "prvDeleteContact"),
        ("GET", "serviceendpoints", "prvReadServiceEndpoint"),
        ("GET", "sdkmessageprocessingsteps", "prvReadSdkMessageProcessingStep"),
    ] {
        let body = if method == "GET" { &Json::Null } else { &body };
        let answer = api.send(method, path, &[], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "0x80040220"), "{method} {path}");
        assert!(answer.text.contains(&format!("is missing {missing} privilege")), "{}", answer.text);
    }
    let listed = api.get("WhoAmI").await.json()["UserId"].as_str().unwrap().to_owned();
    let path = format!("systemusers({listed})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
    let own = api.get(&path).await.json();
    assert_eq!(own["RolePrivileges"][0]["PrivilegeName"], "prvReadContact");
    assert_eq!(own["RolePrivileges"][0]["Depth"], "Global");
}

#[tokio::test]
async fn a_shallow_depth_hides_rows_in_silence_but_refuses_change_tracking() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let rights = [("prvReadContact", Depth::Basic), ("prvCreateContact", Depth::Global)];
    let mut api = house.reader(privileges(&rights)).await;
    assert_eq!(api.post("contacts", &json!({"lastname": "own"})).await.status, 204);
    let listed = api.get("contacts?$select=lastname&$count=true").await.json();
    assert_eq!((&listed["@odata.count"], &listed["value"][0]["lastname"]), (&json!(1), &json!("own")));
    assert_eq!(api.get(&format!("contacts({ADA})")).await.code(), "0x80048306");
    assert_eq!(api.prefer("contacts", "odata.track-changes").await.code(), "0x80040220");
    assert_eq!(house.api.get("contacts/$count").await.text, "\u{feff}2");
}

#[tokio::test]
async fn secured_columns_are_null_for_those_without_a_profile() {
    let mut house = started().await;
    house.contact(ADA, &json!({"firstname": "Ada", "lastname": "Lovelace"}));
    house.dataverse.secure("contact", "firstname");
    let rights = [("prvReadContact", Depth::Global), ("prvWriteContact", Depth::Global)];
    let mut api = house.reader(privileges(&rights)).await;
    let row = format!("contacts({ADA})?$select=firstname,lastname");
    let seen = api.get(&row).await.json();
    assert_eq!((&seen["firstname"], &seen["lastname"]), (&Json::Null, &json!("Lovelace")));
    assert_eq!(api.get("contacts?$filter=firstname eq 'Ada'").await.code(), "0x8004f506");
    let path = format!("contacts({ADA})");
    assert_eq!(api.patch(&path, &json!({"firstname": "x"})).await.code(), "0x8004f507");
    assert_eq!(house.api.get(&row).await.json()["firstname"], "Ada");
    let path = "EntityDefinitions(LogicalName='contact')/Attributes?$select=LogicalName,IsSecured&$filter=IsSecured eq true";
    let secured = api.get(path).await.json();
    assert_eq!(secured["value"].as_array().unwrap().len(), 1);
    assert_eq!(secured["value"][0]["LogicalName"], "firstname");
}

#[tokio::test]
async fn a_change_of_rights_is_noticed_late_when_the_cache_lags() {
    let house = started().await;
    let mut api = house.reader(Privileges::new()).await;
    house.dataverse.set_rights_lag(SOON);
    let rights = privileges(&[("prvReadContact", Depth::Global)]);
    house.dataverse.set_role(&Role { name: "reader".to_owned(), privileges: rights.clone() });
    assert_eq!(api.get("contacts").await.code(), "0x80040220");
    house.dataverse.set_rights_lag(Duration::ZERO);
    house.dataverse.set_role(&Role { name: "reader".to_owned(), privileges: rights });
    assert_eq!(api.get("contacts").await.status, 200);
}

#[tokio::test]
async fn an_administrator_can_make_the_user_through_the_api() {
    let mut house = started().await;
    house.dataverse.set_role(&Role {
        name: "reader".to_owned(),
        privileges: privileges(&[("prvReadContact", Depth::Global)]),
    });
    let unit = house.api.get("WhoAmI").await.json()["BusinessUnitId"].as_str().unwrap().to_owned();
    let body =
        json!({"applicationid": READER, "businessunitid@odata.bind": format!("/businessunits({unit})")});
    let made = house.api.post("systemusers", &body).await;
    assert_eq!(made.status, 204, "{}", made.text);
    let url = made.header("odata-entityid").unwrap().to_owned();
    let roles = house.api.get("roles?$select=roleid&$filter=name eq 'reader'").await.json();
    let role = roles["value"][0]["roleid"].as_str().unwrap().to_owned();
    let path = format!("{url}/systemuserroles_association/$ref");
    let reference = json!({"@odata.id": format!("{}/roles({role})", house.api.root)});
    assert_eq!(house.api.post(&path, &reference).await.status, 204);
    let mut api = Api::new(&house.graph, &house.dataverse, READER).await;
    assert_eq!(api.get("contacts").await.status, 200);
}

#[tokio::test]
async fn a_copy_has_the_rows_and_another_id_and_goes_its_own_way() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let options = Options {
        organization: Uuid::from_u128(0xc0_97),
        kind: "CustomerTest".to_owned(),
        ..Options::default()
    };
    let ca = Ca::new().unwrap();
    let copy: Dataverse = house.dataverse.start_copy(options, &ca, &house.graph).await.unwrap();
    let mut api = Api::new(&house.graph, &copy, DEFAULT_CLIENT_ID).await;
    let me = api.get("WhoAmI").await.json();
    assert_eq!(me["OrganizationId"], json!(Uuid::from_u128(0xc0_97)));
    let path = "RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Default')";
    assert_eq!(api.get(path).await.json()["Detail"]["OrganizationType"], "CustomerTest");
    copy.write_contact(BOB, &super::object(&json!({"lastname": "Bob"}))).unwrap();
    assert_eq!(api.get(&format!("contacts({ADA})")).await.status, 200);
    assert_eq!(house.api.get(&format!("contacts({BOB})")).await.status, 404);
    let foreign = token(&house.graph, DEFAULT_CLIENT_ID, &house.dataverse.http_url()).await;
    assert_eq!(Api::with_token(&copy, foreign).await.get("WhoAmI").await.status, 401);
}
