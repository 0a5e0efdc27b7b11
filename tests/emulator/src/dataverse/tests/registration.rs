//! Endpoints, steps and images as rows, and what a write leads to.

use serde_json::{Value as Json, json};

use super::{ADA, House, SOON, started};
use crate::{dataverse::value::Value, graph::tests::client::Answer};

fn endpoint() -> Json {
    json!({
        "name": "contactsync", "contract": 6, "namespaceformat": 2, "namespaceaddress": "sb://bus.example/",
        "solutionnamespace": "bus", "path": "contacts", "connectionmode": 1, "authtype": 2, "saskeyname": "send",
        "saskey": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=", "messageformat": 2, "messagecharset": 0,
        "userclaim": 1,
    })
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 204, "{}", answer.text);
    let url = answer.header("odata-entityid").unwrap();
    url[url.len() - 37..url.len() - 1].to_owned()
}

/// An endpoint, a step on the update of contacts, and its image.
async fn register(house: &mut House) -> (String, String, String) {
    let api = &mut house.api;
    let endpoint = id(&api.post("serviceendpoints", &endpoint()).await);
    let messages = api.get("sdkmessages?$select=sdkmessageid,name&$filter=name eq 'Update'").await.json();
    let message = messages["value"][0]["sdkmessageid"].as_str().unwrap().to_owned();
    let path = format!(
        "sdkmessagefilters?$select=sdkmessagefilterid&$filter=_sdkmessageid_value eq {message} and \
         primaryobjecttypecode eq 'contact'"
    );
    let filters = api.get(&path).await.json();
    let filter = filters["value"][0]["sdkmessagefilterid"].as_str().unwrap().to_owned();
    let step = json!({
        "name": "contactsync: Update of contact", "stage": 40, "mode": 1, "rank": 1, "supporteddeployment": 0,
        "asyncautodelete": true, "invocationsource": 0, "filteringattributes": "firstname,lastname",
        "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
        "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
        "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
    });
    let step = id(&api.post("sdkmessageprocessingsteps", &step).await);
    let image = json!({
        "name": "contactsync", "entityalias": "PostImage", "imagetype": 1, "messagepropertyname": "Target",
        "attributes": "firstname,lastname",
        "sdkmessageprocessingstepid@odata.bind": format!("/sdkmessageprocessingsteps({step})"),
    });
    let image = id(&api.post("sdkmessageprocessingstepimages", &image).await);
    (endpoint, step, image)
}

#[tokio::test]
async fn a_key_goes_in_and_never_comes_out() {
    let mut house = started().await;
    let mut body = endpoint();
    let key = body["saskey"].take();
    let path = format!("serviceendpoints({})", id(&house.api.post("serviceendpoints", &body).await));
    assert_eq!(house.api.get(&path).await.json()["issaskeyset"], false);
    assert_eq!(house.api.patch(&path, &json!({ "saskey": key })).await.status, 204);
    for path in [path.clone(), format!("{path}?$select=saskey,issaskeyset")] {
        let read = house.api.get(&path).await;
        assert_eq!(read.json()["issaskeyset"], true);
        assert!(!read.text.contains(key.as_str().unwrap()) && read.json().get("saskey").is_none());
    }
    assert_eq!(house.api.get(&format!("{path}/saskey")).await.status, 404);
    assert_eq!(house.api.get("serviceendpoints?$filter=saskey ne null").await.code(), "0x80060888");
    // Left out, it stays.
    assert_eq!(house.api.patch(&path, &json!({"description": "x"})).await.status, 204);
    assert_eq!(house.api.get(&path).await.json()["issaskeyset"], true);
    let refused = house.api.patch(&path, &json!({"runtimeintegrationproperties": "x"})).await;
    assert_eq!(refused.code(), "0x80090308");
}

#[tokio::test]
async fn a_registration_is_read_back_by_the_expands_of_a_verification() {
    let mut house = started().await;
    let (endpoint, step, image) = register(&mut house).await;
    let path = format!(
        "sdkmessageprocessingsteps?$filter=_eventhandler_value eq {endpoint}&$select=name,stage,mode,statecode,\
         filteringattributes,asyncautodelete&$expand=sdkmessageid($select=name),\
         sdkmessagefilterid($select=primaryobjecttypecode),\
         sdkmessageprocessingstepid_sdkmessageprocessingstepimage($select=entityalias,imagetype,attributes)"
    );
    let found = house.api.prefer(&path, "odata.include-annotations=\"*\"").await.json();
    let found = &found["value"][0];
    assert_eq!(found["sdkmessageprocessingstepid"], json!(step));
    assert_eq!(found["sdkmessageid"]["name"], "Update");
    assert_eq!(found["sdkmessagefilterid"]["primaryobjecttypecode"], "contact");
    let images = &found["sdkmessageprocessingstepid_sdkmessageprocessingstepimage"];
    assert_eq!(images[0]["sdkmessageprocessingstepimageid"], json!(image));
    assert_eq!(
        (&found["statecode"], &found["stage@OData.Community.Display.V1.FormattedValue"]),
        (&json!(0), &json!("Post-operation"))
    );
    let read = house
        .api
        .prefer(&format!("sdkmessageprocessingsteps({step})"), "odata.include-annotations=\"*\"")
        .await;
    assert_eq!(
        read.json()["_eventhandler_value@Microsoft.Dynamics.CRM.lookuplogicalname"],
        "serviceendpoint"
    );
}

#[tokio::test]
async fn rules_refuse_and_an_endpoint_takes_its_steps_along() {
    let mut house = started().await;
    let (endpoint, step, image) = register(&mut house).await;
    let early = house.api.patch(&format!("sdkmessageprocessingsteps({step})"), &json!({"stage": 20})).await;
    assert_eq!(early.status, 400, "asynchronous steps run after the operation");
    let wrong = json!({"messagepropertyname": "Id"});
    let wrong = house.api.patch(&format!("sdkmessageprocessingstepimages({image})"), &wrong).await;
    assert_eq!(wrong.code(), "0x8004416b");
    let gone = house.api.send("DELETE", &format!("serviceendpoints({endpoint})"), &[], &Json::Null).await;
    assert_eq!(gone.status, 204);
    for table in ["serviceendpoint", "sdkmessageprocessingstep", "sdkmessageprocessingstepimage"] {
        assert!(house.dataverse.rows(table).is_empty(), "{table}");
    }
}

#[tokio::test]
async fn a_write_that_fires_a_step_leaves_a_job_with_its_own_version() {
    let mut house = started().await;
    let (_, step, _) = register(&mut house).await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    assert!(house.dataverse.rows("asyncoperation").is_empty(), "there is no step on Create");
    let tagged = format!("contacts({ADA})?tag=contactsync-test");
    assert_eq!(house.api.patch(&tagged, &json!({"lastname": "L"})).await.status, 204);
    // Nobody listens at the endpoint's address, so the job waits.
    let waiting = |row: &crate::dataverse::value::Row| row.get("statuscode") == Some(&Value::Choice(10));
    let (job, row) = house.dataverse.wait_for_row("asyncoperation", SOON, waiting).await.unwrap();
    let path = format!(
        "asyncoperations?$select=name,statecode,errorcode,_regardingobjectid_value,retrycount&$filter=_owningextensionid_value eq \
         {step} and statuscode eq 10 and createdon ge 2026-01-01T00:00:00Z&$orderby=createdon desc"
    );
    let found = house.api.get(&path).await.json();
    let found = &found["value"][0];
    assert_eq!((&found["asyncoperationid"], &found["_regardingobjectid_value"]), (&json!(job), &json!(ADA)));
    let Some(Value::Long(version)) = row.get("versionnumber") else { panic!("no version: {row:?}") };
    assert_eq!(found["@odata.etag"], json!(format!("W/\"{version}\"")));
    let cancelled =
        house.api.patch(&format!("asyncoperations({job})"), &json!({"statecode": 3, "statuscode": 32})).await;
    assert_eq!(cancelled.status, 204, "{}", cancelled.text);
    let again =
        house.api.patch(&format!("asyncoperations({job})"), &json!({"statecode": 0, "statuscode": 0})).await;
    assert_eq!(again.code(), "0x80044162");
    let bypassed = [("mscrm.bypassbusinesslogicexecution", "CustomSync,CustomAsync")];
    let path = format!("contacts({ADA})");
    assert_eq!(house.api.send("PATCH", &path, &bypassed, &json!({"lastname": "M"})).await.status, 204);
    assert_eq!(house.dataverse.rows("asyncoperation").len(), 1);
}

#[tokio::test]
async fn components_go_into_the_solution_that_is_named() {
    let mut house = started().await;
    let solution = [("mscrm.solutionuniquename", "contactsync")];
    let made = house.api.send("POST", "serviceendpoints", &solution, &endpoint()).await;
    let made = id(&made);
    assert_eq!(house.dataverse.components()[0].id.to_string(), made);
    let unknown = [("mscrm.solutionuniquename", "nope")];
    let refused = house.api.send("POST", "serviceendpoints", &unknown, &endpoint()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "0x80040217"));
    assert_eq!(house.dataverse.rows("serviceendpoint").len(), 1);
    let body = json!({
        "ComponentId": made, "ComponentType": 95, "SolutionUniqueName": "contactsync", "AddRequiredComponents": false,
    });
    assert_eq!(house.api.post("AddSolutionComponent", &body).await.status, 200);
    let path = format!("serviceendpoints({made})/Microsoft.Dynamics.CRM.TriggerServiceEndpointCheck");
    assert_eq!(house.api.post(&path, &json!({})).await.status, 204);
    assert_eq!(house.dataverse.rows("asyncoperation").len(), 1);
}
