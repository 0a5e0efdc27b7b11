//! Functions and actions that belong to no table, and those that belong to one row.

use hyper::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    access::{Depth, Verb, privilege_id},
    call::Segment,
    refusal::Refusal,
    reply::Reply,
    schema,
    state::{Asked, State, second},
    store::Component,
    value::{Row, Value},
};
use crate::clock;

/// What stands before the names of bound functions and actions.
pub(crate) const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

impl State {
    /// Answers a function or action by its name; none if there is none of that name.
    pub(crate) fn function(
        &mut self,
        asked: &Asked<'_>,
        segment: &Segment,
    ) -> Option<Result<Reply, Refusal>> {
        let answer = match segment.name.as_str() {
            "WhoAmI" => Ok(self.who_am_i(asked)),
            "RetrieveCurrentOrganization" => Ok(self.current_organization(asked)),
            "RetrieveTotalRecordCount" => self.total_record_count(asked, segment),
            "AddSolutionComponent" => self.add_solution_component(asked),
            _ => return None,
        };
        Some(answer)
    }

    fn who_am_i(&self, asked: &Asked<'_>) -> Reply {
        answered(
            asked,
            "WhoAmIResponse",
            json!({
                "BusinessUnitId": self.facts.pipeline.business_unit,
                "UserId": asked.access.user,
                "OrganizationId": self.facts.pipeline.organization,
            }),
        )
    }

    fn current_organization(&self, asked: &Asked<'_>) -> Reply {
        let facts = &self.facts;
        let origin = asked.call.origin();
        let url = format!("{origin}/");
        let endpoints = json!({
            "Count": 2, "IsReadOnly": false, "Keys": ["WebApplication", "OrganizationDataService"],
            "Values": [url, format!("{origin}/XRMServices/2011/OrganizationData.svc")],
        });
        answered(
            asked,
            "RetrieveCurrentOrganizationResponse",
            json!({ "Detail": {
                "OrganizationId": facts.pipeline.organization,
                "FriendlyName": facts.friendly_name,
                "OrganizationVersion": "9.2.25113.00178",
                "EnvironmentId": facts.environment,
                "Geo": "EMEA",
                "TenantId": facts.tenant,
                "UrlName": facts.pipeline.unique_name,
                "UniqueName": facts.pipeline.unique_name,
                "State": "Enabled",
                "OrganizationType": facts.kind,
                "Endpoints": endpoints,
            }}),
        )
    }

    fn total_record_count(&self, asked: &Asked<'_>, segment: &Segment) -> Result<Reply, Refusal> {
        let wrong = || Refusal::invalid_argument("EntityNames must be a list of logical names.");
        let text = segment.argument("EntityNames").ok_or_else(wrong)?;
        let text = if text.starts_with('@') { asked.options.get(text).ok_or_else(wrong)? } else { text };
        let names: Vec<String> = serde_json::from_str(&text.replace('\'', "\"")).map_err(|_| wrong())?;
        let mut counts = Vec::new();
        for name in &names {
            let table = schema::table(name).ok_or_else(|| unknown_table(name))?;
            asked.access.may(Verb::Read, table)?;
            counts.push(self.store.rows(name).count());
        }
        let collection =
            json!({ "Count": names.len(), "IsReadOnly": false, "Keys": names, "Values": counts });
        let body = json!({ "EntityRecordCountCollection": collection });
        Ok(answered(asked, "RetrieveTotalRecordCountResponse", body))
    }

    fn add_solution_component(&mut self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let body = asked.object()?;
        let text = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
        let solution = text("SolutionUniqueName").to_owned();
        self.check_solution(&solution)?;
        let id = text("ComponentId").parse::<Uuid>();
        let kind = body.get("ComponentType").and_then(Json::as_i64).and_then(|kind| i32::try_from(kind).ok());
        let (Ok(id), Some(kind)) = (id, kind) else {
            return Err(Refusal::invalid_argument("ComponentId and ComponentType are required."));
        };
        let table = match kind {
            92 => "sdkmessageprocessingstep",
            93 => "sdkmessageprocessingstepimage",
            95 => "serviceendpoint",
            _ => {
                return Err(Refusal::invalid_argument(format!(
                    "The component type {kind} is not known here."
                )));
            }
        };
        if self.store.row(table, id).is_none() {
            return Err(Refusal::no_such_row(table, id));
        }
        self.store.components.insert(Component { solution, kind, id });
        let part = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
        Ok(answered(asked, "AddSolutionComponentResponse", json!({ "id": part })))
    }

    /// Answers a function or action of one row; none if there is none of that name.
    pub(crate) fn bound(
        &mut self,
        asked: &Asked<'_>,
        table: &'static schema::Table,
        id: Uuid,
        name: &str,
    ) -> Option<Result<Reply, Refusal>> {
        match (table.name, name) {
            ("systemuser", "RetrieveUserPrivileges") => Some(self.user_privileges(asked, id)),
            ("serviceendpoint", "TriggerServiceEndpointCheck") => Some(self.check_endpoint(asked, table, id)),
            _ => None,
        }
    }

    fn user_privileges(&self, asked: &Asked<'_>, user: Uuid) -> Result<Reply, Refusal> {
        if user != asked.access.user {
            asked
                .access
                .may(Verb::Read, schema::table("systemuser").ok_or_else(|| unknown_table("systemuser"))?)?;
        }
        let row =
            self.store.row("systemuser", user).ok_or_else(|| Refusal::no_such_row("systemuser", user))?;
        let access = self.rights.of_user(&self.store, user, row, tokio::time::Instant::now());
        let mut privileges = access.privileges;
        if access.administrator {
            for table in schema::tables() {
                for verb in Verb::ALL {
                    privileges.insert(super::access::privilege(verb, table), Depth::Global);
                }
            }
        }
        let privileges: Vec<Json> = privileges
            .iter()
            .map(|(name, depth)| {
                json!({
                    "Depth": depth, "PrivilegeId": privilege_id(name), "PrivilegeName": name,
                    "BusinessUnitId": self.facts.pipeline.business_unit,
                })
            })
            .collect();
        Ok(answered(asked, "RetrieveUserPrivilegesResponse", json!({ "RolePrivileges": privileges })))
    }

    /// Leaves a job that is done, and sends nothing.
    fn check_endpoint(
        &mut self,
        asked: &Asked<'_>,
        table: &'static schema::Table,
        id: Uuid,
    ) -> Result<Reply, Refusal> {
        self.reachable(asked, Verb::Read, table, id)?;
        let now = Value::Moment(second(clock::now()));
        let job = Uuid::new_v4();
        let row = [
            ("asyncoperationid", Value::Guid(job)),
            ("name", Value::Text("TriggerServiceEndpointCheck".to_owned())),
            ("operationtype", Value::Choice(1)),
            ("messagename", Value::Text("TriggerServiceEndpointCheck".to_owned())),
            ("primaryentitytype", Value::Text(table.name.to_owned())),
            ("regardingobjectid", Value::Lookup { table: table.name.to_owned(), id, name: None }),
            ("statecode", Value::Choice(3)),
            ("statuscode", Value::Choice(30)),
            ("createdon", now.clone()),
            ("startedon", now.clone()),
            ("completedon", now),
        ];
        let row: Row = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.store.put("asyncoperation", job, row);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }
}

/// A table that the metadata does not know.
pub(crate) fn unknown_table(name: &str) -> Refusal {
    let message = format!(
        "The entity with a name = '{name}' with namemapping = 'Logical' was not found in the MetadataCache."
    );
    Refusal::bad_request(0x8004_1102, message)
}

fn answered(asked: &Asked<'_>, response: &str, mut body: Json) -> Reply {
    body["@odata.context"] = json!(format!("{}/$metadata#{NAMESPACE}{response}", asked.call.root()));
    Reply::json(StatusCode::OK, body)
}
