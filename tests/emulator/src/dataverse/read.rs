//! One row, or one value of it.

use hyper::{StatusCode, header::IF_NONE_MATCH};
use serde_json::json;
use uuid::Uuid;

use super::{
    access::Verb,
    call::Segment,
    json,
    present::{context_columns, etag},
    query::Query,
    refusal::Refusal,
    reply::Reply,
    schema::Table,
    state::{Asked, State},
    value::{Row, Value},
};

impl State {
    /// A row within the caller's reach.
    pub(crate) fn reachable(
        &self,
        asked: &Asked<'_>,
        verb: Verb,
        table: &Table,
        id: Uuid,
    ) -> Result<&Row, Refusal> {
        let depth = asked.access.may(verb, table)?;
        let row = self.store.row(table.name, id).ok_or_else(|| Refusal::no_such_row(table.name, id))?;
        if !asked.access.reaches(depth, table, row, &self.store) {
            let message = format!(
                "SecLib::AccessCheckEx2 failed. Principal with id {} does not have {verb:?}Access right(s) for record \
                 with id {id} of entity {}.",
                asked.access.user, table.name
            );
            return Err(Refusal::new(403, 0x8004_8306, message));
        }
        Ok(row)
    }

    pub(crate) fn read(&self, asked: &Asked<'_>, table: &'static Table, id: Uuid) -> Result<Reply, Refusal> {
        let query = Query::new(table, &asked.options, &|_| Ok(()))?;
        let row = self.reachable(asked, Verb::Read, table, id)?;
        let tag = etag(row);
        let plain = query.expanded.is_empty() && asked.preferences.annotations.is_none();
        if plain && asked.call.header(IF_NONE_MATCH.as_str()) == Some(&tag) {
            return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with("etag", &tag));
        }
        let mut body = self.eye(asked).row(table, row, query.selected.as_deref(), &query.expanded)?;
        let columns = context_columns(query.selected.as_deref(), &query.expanded);
        let context = format!("{}/$metadata#{}{columns}/$entity", asked.call.root(), table.set);
        body.insert("@odata.context".to_owned(), json!(context));
        let mut reply = Reply::json(StatusCode::OK, body.into()).with("etag", &tag);
        reply.rows = 1;
        Ok(reply)
    }

    /// `set(id)/column`: its value, or 204 if it has none.
    pub(crate) fn read_value(
        &self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        property: &str,
    ) -> Result<Reply, Refusal> {
        let column = table.property(property).filter(|column| !column.write_only);
        let column = column.ok_or_else(|| Refusal::unknown_segment(property))?;
        let row = self.reachable(asked, Verb::Read, table, id)?;
        let hidden = asked.access.is_hidden(table.name, column.name);
        let value = row.get(column.name).filter(|value| !hidden && **value != Value::Null);
        let Some(value) = value else { return Ok(Reply::empty(StatusCode::NO_CONTENT)) };
        let context = format!("{}/$metadata#{}({id})/{property}", asked.call.root(), table.set);
        Ok(Reply::json(
            StatusCode::OK,
            json!({ "@odata.context": context, "value": json::write(column, value) }),
        ))
    }
}

/// The id in the brackets of a segment; alternate keys are refused, as none is defined.
pub(crate) fn key(table: &Table, segment: &Segment) -> Result<Uuid, Refusal> {
    if let Some(id) = segment.id().or_else(|| segment.argument(table.key).and_then(|text| text.parse().ok()))
    {
        return Ok(id);
    }
    if segment.arguments.as_deref().is_some_and(|text| text.contains('=')) {
        let message =
            format!("The specified key attributes are not a defined key for the {} entity", table.name);
        return Err(Refusal::query(message));
    }
    let text = segment.arguments.as_deref().unwrap_or_default();
    Err(Refusal::query(format!("Error in query syntax: '{text}' is not a key of {}.", table.set)))
}
