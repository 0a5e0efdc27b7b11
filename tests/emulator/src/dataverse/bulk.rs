//! `CreateMultiple`, `UpdateMultiple` and `UpsertMultiple`: many rows, all or nothing.

use hyper::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{
    refusal::Refusal,
    reply::Reply,
    schema::Table,
    state::{Asked, State},
};

impl State {
    pub(crate) fn bulk(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        action: &str,
    ) -> Result<Reply, Refusal> {
        if asked.call.method != Method::POST {
            return Err(Refusal::new(
                405,
                0x8006_0888,
                "The requested resource does not support this method.",
            ));
        }
        let mut body = asked.object()?;
        let targets = match body.remove("Targets") {
            Some(Json::Array(targets)) if !targets.is_empty() => targets,
            _ => return Err(Refusal::invalid_argument("Targets must hold at least one row.")),
        };
        let mut ids = Vec::new();
        for target in targets {
            let Json::Object(target) = target else {
                return Err(Refusal::payload(table.name, "A target is no object."));
            };
            ids.push(self.one_of_many(asked, table, action, &target)?);
        }
        Ok(match action {
            "CreateMultiple" => {
                let context =
                    format!("{}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse", asked.call.root());
                Reply::json(StatusCode::OK, json!({ "@odata.context": context, "Ids": ids }))
            }
            _ => Reply::empty(StatusCode::NO_CONTENT),
        })
    }

    fn one_of_many(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        action: &str,
        target: &Map<String, Json>,
    ) -> Result<Uuid, Refusal> {
        let kind = target.get("@odata.type").and_then(Json::as_str).unwrap_or_default();
        if kind.trim_start_matches('#') != format!("Microsoft.Dynamics.CRM.{}", table.name) {
            let why = format!("A target has the type '{kind}', which is not that of {}.", table.set);
            return Err(Refusal::payload(table.name, why));
        }
        let named = target.get(table.key).and_then(Json::as_str).and_then(|text| text.parse::<Uuid>().ok());
        let url = target.get("@odata.id").and_then(Json::as_str);
        let id = match (named, url) {
            (Some(id), _) => Some(id),
            (None, Some(url)) => Some(self.reference(url)?.1),
            (None, None) => None,
        };
        let exists = id.is_some_and(|id| self.store.row(table.name, id).is_some());
        match (action, id) {
            ("CreateMultiple", _) => self.create(asked, table, target),
            ("UpsertMultiple", _) if !exists => self.create(asked, table, target),
            (_, Some(id)) => self.change(asked, table, id, target).map(|()| id),
            (_, None) => Err(Refusal::invalid_argument(format!("A target lacks its key '{}'.", table.key))),
        }
    }
}
