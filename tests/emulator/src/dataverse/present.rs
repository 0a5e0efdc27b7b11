//! A row as an answer shows it.

use serde_json::{Map, Value as Json, json};

use super::{
    access::{Access, Verb},
    call::Preferences,
    json,
    query::{Expansion, Way},
    refusal::Refusal,
    schema::{Column, Kind, Table},
    store::Store,
    value::{Row, Value},
};

/// What the answer is for.
#[derive(Clone, Copy)]
pub(crate) struct Eye<'a> {
    pub(crate) store: &'a Store,
    pub(crate) access: &'a Access,
    pub(crate) preferences: &'a Preferences,
}

/// `W/"…"` of a row.
pub(crate) fn etag(row: &Row) -> String {
    let version = match row.get("versionnumber") {
        Some(Value::Long(version)) => *version,
        _ => 0,
    };
    format!("W/\"{version}\"")
}

impl Eye<'_> {
    /// The selected columns, or all, and always the key.
    pub(crate) fn row(
        &self,
        table: &'static Table,
        row: &Row,
        selected: Option<&[&'static Column]>,
        expanded: &[Expansion],
    ) -> Result<Map<String, Json>, Refusal> {
        let mut body = Map::new();
        body.insert("@odata.etag".to_owned(), json!(etag(row)));
        for column in table.columns {
            let wanted = column.kind == Kind::Key
                || selected.is_none_or(|selected| selected.iter().any(|one| one.name == column.name));
            if wanted && !column.write_only {
                self.column(table, row, column, &mut body);
            }
        }
        for expansion in expanded {
            let found = self.expand(row, table, expansion)?;
            body.insert(expansion.name.clone(), found);
        }
        Ok(body)
    }

    fn column(&self, table: &Table, row: &Row, column: &Column, body: &mut Map<String, Json>) {
        let hidden = self.access.is_hidden(table.name, column.name);
        let value = row.get(column.name).filter(|_| !hidden).unwrap_or(&Value::Null);
        let property = column.property();
        if let Value::Lookup { table: to, .. } = value {
            let name = "Microsoft.Dynamics.CRM.lookuplogicalname";
            if self.preferences.wants(name) {
                body.insert(format!("{property}@{name}"), json!(to));
            }
            let name = "Microsoft.Dynamics.CRM.associatednavigationproperty";
            if self.preferences.wants(name)
                && let Kind::Lookup(navigations) = column.kind
                && let Some((navigation, _)) = navigations.iter().find(|(_, target)| target == to)
            {
                body.insert(format!("{property}@{name}"), json!(navigation));
            }
        }
        if self.preferences.wants_formatted()
            && let Some(text) = json::formatted(column, value)
        {
            body.insert(format!("{property}@OData.Community.Display.V1.FormattedValue"), json!(text));
        }
        body.insert(property, json::write(column, value));
    }

    fn expand(&self, row: &Row, table: &Table, expansion: &Expansion) -> Result<Json, Refusal> {
        let selected = expansion.selected.as_deref();
        match expansion.way {
            Way::One(column, to) => {
                self.access.may(Verb::Read, to)?;
                let Some(Value::Lookup { table: name, id, .. }) = row.get(column.name) else {
                    return Ok(Json::Null);
                };
                let found = self.store.row(to.name, *id).filter(|_| name == to.name);
                found.map_or(Ok(Json::Null), |row| Ok(self.row(to, row, selected, &[])?.into()))
            }
            Way::Many(collection, to) => {
                self.access.may(Verb::Read, to)?;
                let Some(Value::Guid(own)) = row.get(table.key) else { return Ok(json!([])) };
                let points = |row: &Row| matches!(row.get(collection.column), Some(Value::Lookup { id, .. }) if id == own);
                let rows = self.store.rows(to.name).filter(|(_, row)| points(row));
                rows.map(|(_, row)| self.row(to, row, selected, &[]).map(Json::from)).collect()
            }
        }
    }
}

/// What stands in brackets behind the set in `@odata.context`.
pub(crate) fn context_columns(selected: Option<&[&'static Column]>, expanded: &[Expansion]) -> String {
    let mut names: Vec<String> = selected.into_iter().flatten().map(|column| column.property()).collect();
    names.extend(expanded.iter().map(|one| format!("{}()", one.name)));
    if names.is_empty() { String::new() } else { format!("({})", names.join(",")) }
}
