//! Writes: create, change, one property, remove, and links between rows.

use hyper::{
    Method, StatusCode,
    header::{IF_MATCH, IF_NONE_MATCH},
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    access::{Access, Verb},
    call::{Segment, parse_id},
    commit, json,
    present::etag,
    read::key,
    refusal::Refusal,
    reply::Reply,
    schema::{self, Setting, Table},
    state::{Asked, State},
    store::Component,
    value::{Row, Value},
};

impl State {
    /// The columns that a body sets.
    pub(crate) fn payload(
        &self,
        access: &Access,
        table: &'static Table,
        body: &Map<String, Json>,
    ) -> Result<Row, Refusal> {
        let mut target = Row::new();
        for (name, value) in body {
            if let Some(navigation) = name.strip_suffix("@odata.bind") {
                let (column, lookup) = self.bind(table, navigation, value)?;
                access.may_set(table.name, column)?;
                target.insert(column.to_owned(), lookup);
                continue;
            }
            if name.contains('@') {
                continue;
            }
            if table.property(name).is_some_and(schema::Column::is_lookup) {
                let why = "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.";
                return Err(Refusal::payload(table.name, why));
            }
            let column = table.column(name).filter(|column| !column.is_lookup());
            let Some(column) = column else {
                // `null` clears a lookup by the name of its navigation.
                match table.navigation(name) {
                    Some((column, _)) if value.is_null() => {
                        target.insert(column.name.to_owned(), Value::Null);
                        continue;
                    }
                    _ => return Err(json::unknown(table, name)),
                }
            };
            match column.setting {
                Setting::Refused => {
                    let message = format!("The column '{name}' of '{}' is not writable.", table.name);
                    return Err(Refusal::bad_request(0x8009_0308, message));
                }
                Setting::Ignored => {}
                Setting::Anybody | Setting::AtCreation => {
                    access.may_set(table.name, column.name)?;
                    target.insert(name.clone(), json::read(table, column, value)?);
                }
            }
        }
        Ok(target)
    }

    /// What a navigation is bound to: `/set(id)`, an absolute URL, or `$1`.
    fn bind(
        &self,
        table: &'static Table,
        navigation: &str,
        value: &Json,
    ) -> Result<(&'static str, Value), Refusal> {
        let Some((column, to)) = table.navigation(navigation) else {
            let why = format!(
                "Microsoft.OData.ODataException: An undeclared property '{navigation}' which only has property \
                 annotations in the payload but no property value was found in the payload."
            );
            return Err(Refusal::payload(table.name, why));
        };
        let Some(url) = value.as_str() else {
            return if value.is_null() {
                Ok((column.name, Value::Null))
            } else {
                Err(Refusal::payload(table.name, format_args!("'{navigation}' is bound to what is no URL.")))
            };
        };
        let (set, id) = self.reference(url)?;
        let Some(other) = schema::table(to) else {
            // Business units have no table here.
            return Ok((column.name, Value::Lookup { table: to.to_owned(), id, name: None }));
        };
        if other.set != set {
            let why = format!("'{navigation}' leads to {}, not to {set}.", other.set);
            return Err(Refusal::payload(table.name, why));
        }
        let row = self.store.row(to, id).ok_or_else(|| Refusal::no_such_row(to, id))?;
        let name = commit::text(row, other.primary_name);
        Ok((column.name, Value::Lookup { table: to.to_owned(), id, name }))
    }

    /// Set and id of a URL that names a row.
    pub(crate) fn reference(&self, url: &str) -> Result<(String, Uuid), Refusal> {
        let meant = url.trim_start_matches('/');
        let url = self.references.get(meant).map_or(url, String::as_str);
        let last = url.rsplit('/').next().unwrap_or_default();
        let found = last.strip_suffix(')').and_then(|rest| rest.split_once('('));
        let found = found.and_then(|(set, id)| Some((set.to_owned(), parse_id(id)?)));
        found.ok_or_else(|| Refusal::query(format!("The URL '{url}' does not name a row.")))
    }

    /// `POST /set`
    pub(crate) fn post(&mut self, asked: &Asked<'_>, table: &'static Table) -> Result<Reply, Refusal> {
        let body = asked.object()?;
        let id = self.create(asked, table, &body)?;
        self.confirm(asked, table, id, true)
    }

    pub(crate) fn create(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        body: &Map<String, Json>,
    ) -> Result<Uuid, Refusal> {
        asked.access.may(Verb::Create, table)?;
        let target = self.payload(&asked.access, table, body)?;
        let solution = self.solution(asked)?;
        let written = commit::create(&mut self.store, table, target, &asked.author())?;
        let id = written.id;
        if let (Some(solution), Some(kind)) = (solution, component_kind(table)) {
            self.store.components.insert(Component { solution, kind, id });
        }
        self.written.push(written);
        Ok(id)
    }

    /// The unmanaged solution that the request puts its component into.
    fn solution(&self, asked: &Asked<'_>) -> Result<Option<String>, Refusal> {
        let Some(name) = asked.call.header("mscrm.solutionuniquename") else { return Ok(None) };
        self.check_solution(name)?;
        Ok(Some(name.to_owned()))
    }

    pub(crate) fn check_solution(&self, name: &str) -> Result<(), Refusal> {
        let is_it = |row: &Row| commit::text(row, "uniquename").as_deref() == Some(name);
        if self.store.rows("solution").any(|(_, row)| is_it(row)) {
            return Ok(());
        }
        let message = format!("The solution with unique name '{name}' does not exist.");
        Err(Refusal::bad_request(0x8004_0217, message))
    }

    /// `PATCH /set(id)`: changes the row, or makes it where the headers allow that.
    pub(crate) fn patch(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
    ) -> Result<Reply, Refusal> {
        let body = asked.object()?;
        let exists = self.store.row(table.name, id).is_some();
        if exists && asked.call.header(IF_NONE_MATCH.as_str()) == Some("*") {
            return Err(Refusal::new(412, 0x8004_0237, "A record with matching key values already exists."));
        }
        if exists {
            self.check_version(asked, table, id)?;
            self.change(asked, table, id, &body)?;
            return self.confirm(asked, table, id, false);
        }
        if asked.call.header(IF_MATCH.as_str()).is_some() {
            return Err(Refusal::no_such_row(table.name, id));
        }
        let mut body = body;
        body.insert(table.key.to_owned(), Json::String(id.to_string()));
        self.create(asked, table, &body)?;
        self.confirm(asked, table, id, true)
    }

    pub(crate) fn change(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        body: &Map<String, Json>,
    ) -> Result<(), Refusal> {
        self.reachable(asked, Verb::Write, table, id)?;
        let target = self.payload(&asked.access, table, body)?;
        let written = commit::update(&mut self.store, table, id, target, &asked.author())?;
        self.written.push(written);
        Ok(())
    }

    /// Whether the row is of the version that the request is about.
    fn check_version(&self, asked: &Asked<'_>, table: &Table, id: Uuid) -> Result<(), Refusal> {
        let Some(wanted) = asked.call.header(IF_MATCH.as_str()).filter(|wanted| *wanted != "*") else {
            return Ok(());
        };
        match self.store.row(table.name, id) {
            Some(row) if etag(row) != wanted => {
                let message =
                    "The version of the existing record doesn't match the RowVersion property provided.";
                Err(Refusal::new(412, 0x8006_0882, message))
            }
            _ => Ok(()),
        }
    }

    /// `PUT /set(id)/column`, and `DELETE` of the same, which sets it to nothing.
    pub(crate) fn put_value(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        property: &str,
    ) -> Result<Reply, Refusal> {
        if table.column(property).is_none() {
            return Err(Refusal::unknown_segment(property));
        }
        let value = if asked.call.method == Method::DELETE {
            Json::Null
        } else {
            let mut body = asked.object()?;
            body.remove("value").ok_or_else(|| Refusal::payload(table.name, "There is no 'value'."))?
        };
        self.change(asked, table, id, &Map::from_iter([(property.to_owned(), value)]))?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// `DELETE /set(id)`
    pub(crate) fn remove(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
    ) -> Result<Reply, Refusal> {
        self.reachable(asked, Verb::Delete, table, id)?;
        self.check_version(asked, table, id)?;
        let written = commit::delete(&mut self.store, table, id, &asked.author())?;
        self.written.extend(written);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// What a create or a change is answered with.
    fn confirm(
        &self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        made: bool,
    ) -> Result<Reply, Refusal> {
        let url = format!("{}/{}({id})", asked.call.root(), table.set);
        let reply = if asked.preferences.representation {
            let mut reply = self.read(asked, table, id)?;
            reply.status = if made { StatusCode::CREATED } else { StatusCode::OK };
            reply.with("preference-applied", "return=representation")
        } else {
            Reply::empty(StatusCode::NO_CONTENT)
        };
        Ok(reply.with("odata-entityid", &url).with("location", &url))
    }

    /// `POST`, `PUT` and `DELETE` of `/set(id)/navigation/$ref`.
    pub(crate) fn link(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        navigation: &Segment,
    ) -> Result<Reply, Refusal> {
        self.reachable(asked, Verb::Write, table, id)?;
        let removes = asked.call.method == Method::DELETE;
        let other = match (removes, navigation.id()) {
            (true, Some(other)) => Some(other),
            (true, None) => None,
            (false, _) => {
                let body = asked.object()?;
                let url = body.get("@odata.id").and_then(Json::as_str).unwrap_or_default();
                Some(self.reference(url)?.1)
            }
        };
        let name = navigation.name.as_str();
        if let ("systemuser", "systemuserroles_association", Some(role)) = (table.name, name, other) {
            self.assign(id, role, removes)?;
        } else if let Some((column, to)) = table.navigation(name) {
            let value = other.filter(|_| !removes);
            let value =
                value.map_or(Value::Null, |id| Value::Lookup { table: to.to_owned(), id, name: None });
            self.set_lookup(asked, table, id, column.name, value)?;
        } else if let (Some(collection), Some(other)) = (table.collection(name), other) {
            let child = schema::table(collection.table).ok_or_else(|| Refusal::unknown_segment(name))?;
            let value = Value::Lookup { table: table.name.to_owned(), id, name: None };
            let value = if removes { Value::Null } else { value };
            self.set_lookup(asked, child, other, collection.column, value)?;
        } else {
            return Err(Refusal::unknown_segment(name));
        }
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    fn set_lookup(
        &mut self,
        asked: &Asked<'_>,
        table: &'static Table,
        id: Uuid,
        column: &str,
        value: Value,
    ) -> Result<(), Refusal> {
        let target = Row::from([(column.to_owned(), value)]);
        let written = commit::update(&mut self.store, table, id, target, &asked.author())?;
        self.written.push(written);
        Ok(())
    }

    fn assign(&mut self, user: Uuid, role: Uuid, removes: bool) -> Result<(), Refusal> {
        if self.store.row("role", role).is_none() {
            return Err(Refusal::no_such_row("role", role));
        }
        self.change_rights(tokio::time::Instant::now(), |_, store| {
            if removes {
                store.roles.remove(&(user, role));
            } else {
                store.roles.insert((user, role));
            }
        });
        Ok(())
    }

    /// The row that a segment names, or the refusal of a key that is none.
    pub(crate) fn key_of(table: &Table, segment: &Segment) -> Result<Uuid, Refusal> {
        key(table, segment)
    }
}

/// The number that solutions know a kind of component by.
fn component_kind(table: &Table) -> Option<i32> {
    match table.name {
        "sdkmessageprocessingstep" => Some(92),
        "sdkmessageprocessingstepimage" => Some(93),
        "serviceendpoint" => Some(95),
        _ => None,
    }
}
