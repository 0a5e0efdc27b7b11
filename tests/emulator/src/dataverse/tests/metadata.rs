//! `EntityDefinitions`.

use serde_json::json;

use super::{House, started};

#[tokio::test]
async fn a_table_tells_its_names_and_its_privileges() {
    let mut house = started().await;
    let api = &mut house.api;
    let path = "EntityDefinitions(LogicalName='contact')?$select=LogicalName,EntitySetName,PrimaryIdAttribute,\
                ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,Privileges";
    let body = api.get(path).await.json();
    assert_eq!(body["EntitySetName"], "contacts");
    assert_eq!(body["Privileges"][0]["Name"], "prvReadContact");
    assert_eq!(body["Privileges"][0]["PrivilegeType"], "Read");
    assert!(body["MetadataId"].is_string() && body.get("SchemaName").is_none());
    // As Microsoft's Python client asks.
    let path = "EntityDefinitions?%24select=LogicalName%2CEntitySetName%2CPrimaryIdAttribute\
                &%24filter=LogicalName+eq+%27adx_externalidentity%27";
    let listed = api.get(path).await.json();
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    assert_eq!(listed["value"][0]["EntitySetName"], "adx_externalidentities");
    let by_id = format!("EntityDefinitions({})", body["MetadataId"].as_str().unwrap());
    assert_eq!(api.get(&by_id).await.json()["LogicalName"], "contact");
    assert_eq!(api.get("EntityDefinitions(LogicalName='nope')").await.status, 404);
    assert_eq!(api.get("EntityDefinitions(LogicalName='contact')?$select=Nope").await.code(), "0x80060888");
}

#[tokio::test]
async fn columns_tell_their_type_and_through_a_cast_what_is_special_to_it() {
    let mut house = started().await;
    let api = &mut house.api;
    let table = "EntityDefinitions(LogicalName='contact')/Attributes";
    let one = format!("{table}(LogicalName='adx_identity_username')");
    let body = api.get(&format!("{one}?$select=LogicalName,IsSecured,AttributeType")).await.json();
    assert_eq!((&body["IsSecured"], &body["AttributeType"]), (&json!(false), &json!("String")));
    assert_eq!(body["@odata.type"], "#Microsoft.Dynamics.CRM.StringAttributeMetadata");
    assert!(body.get("MaxLength").is_none());
    let cast = format!("{one}/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=LogicalName,MaxLength");
    assert_eq!(api.get(&cast).await.json()["MaxLength"], 100);
    let wrong = format!("{one}/Microsoft.Dynamics.CRM.MemoAttributeMetadata");
    assert_eq!(api.get(&wrong).await.status, 404);
    let choices = format!(
        "{table}/Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    );
    let body = api.get(&choices).await.json();
    assert_eq!(body["value"][0]["LogicalName"], "gendercode");
    assert_eq!(body["value"][0]["OptionSet"]["Options"][1]["Label"]["LocalizedLabels"][0]["Label"], "Female");
    let texts = api.get(&format!("{table}?$filter=AttributeType eq 'Memo'&$select=LogicalName")).await.json();
    assert_eq!(texts["value"].as_array().unwrap().len(), 1);
    assert_eq!(api.get(&format!("{table}(LogicalName='nope')")).await.status, 404);
}

#[tokio::test]
async fn every_version_answers_and_absolute_urls_are_of_the_version_that_was_asked() {
    let House { mut api, dataverse, graph: _graph } = started().await;
    for version in ["v9.0", "v9.1", "v9.2"] {
        let url = format!("{}/api/data/{version}/WhoAmI", dataverse.http_url());
        let context = api.get(&url).await.json()["@odata.context"].as_str().unwrap().to_owned();
        assert!(context.contains(&format!("/api/data/{version}/$metadata#")), "{context}");
    }
    let url = format!("{}/api/data/v8.2/WhoAmI", dataverse.http_url());
    assert_eq!(api.get(&url).await.status, 404);
}
