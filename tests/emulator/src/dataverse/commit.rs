//! A write as the platform carries it out: what it fills in by itself, and what goes along.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    pipeline::{check_delete, check_write},
    refusal::Refusal,
    schema::{self, Kind, Setting, Table},
    store::Store,
    value::{Row, Value},
    written::{Message, Written},
};

/// Who writes, and on what occasion.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) user: Uuid,
    pub(crate) user_agent: String,
    pub(crate) tag: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) request: Uuid,
    pub(crate) bypass: bool,
    /// Whether a new row may begin inactive, which requests cannot ask for.
    pub(crate) sets_state: bool,
}

/// Makes a row; its id is in `target` if the caller chose it.
pub(crate) fn create(
    store: &mut Store,
    table: &'static Table,
    mut target: Row,
    author: &Author,
) -> Result<Written, Refusal> {
    let id = match target.get(table.key) {
        Some(Value::Guid(id)) => *id,
        _ => Uuid::new_v4(),
    };
    if store.row(table.name, id).is_some() {
        return Err(Refusal::new(412, 0x8004_0237, "A record with matching key values already exists."));
    }
    if !author.sets_state {
        target.retain(|name, _| name != "statecode" && name != "statuscode");
    }
    target.insert(table.key.to_owned(), Value::Guid(id));
    check_write(&store.tables, table.name, id, None, &target)?;
    let mut row = target.clone();
    defaults(table, &mut row, author);
    touch(store, table, &mut row, author);
    compute(table, &mut row, &target);
    store.put(table.name, id, row);
    Ok(written(store, table, Message::Create, id, target, None, author))
}

/// Changes the row that is there.
pub(crate) fn update(
    store: &mut Store,
    table: &'static Table,
    id: Uuid,
    mut target: Row,
    author: &Author,
) -> Result<Written, Refusal> {
    let before = store.row(table.name, id).cloned().ok_or_else(|| Refusal::no_such_row(table.name, id))?;
    target.retain(|name, _| table.column(name).is_none_or(|column| column.setting != Setting::AtCreation));
    check_write(&store.tables, table.name, id, Some(&before), &target)?;
    let mut row = before.clone();
    row.extend(target.clone());
    follow_state(table, &mut row, &target);
    touch(store, table, &mut row, author);
    compute(table, &mut row, &target);
    store.put(table.name, id, row);
    Ok(written(store, table, Message::Update, id, target, Some(before), author))
}

/// Removes a row and what cascades from it; the writes in the order in which they happened.
pub(crate) fn delete(
    store: &mut Store,
    table: &'static Table,
    id: Uuid,
    author: &Author,
) -> Result<Vec<Written>, Refusal> {
    let before = store.row(table.name, id).cloned().ok_or_else(|| Refusal::no_such_row(table.name, id))?;
    let mut done = Vec::new();
    for (name, child) in check_delete(&store.tables, table.name, id)? {
        if let (Some(other), Some(row)) = (schema::table(name), store.remove(name, child)) {
            done.push(written(store, other, Message::Delete, child, Row::new(), Some(row), author));
        }
    }
    unlink(store, table, id);
    store.remove(table.name, id);
    done.push(written(store, table, Message::Delete, id, Row::new(), Some(before), author));
    Ok(done)
}

/// Clears the lookups of what stays and pointed here.
fn unlink(store: &mut Store, table: &Table, id: Uuid) {
    for collection in table.collections {
        let points =
            |row: &Row| matches!(row.get(collection.column), Some(Value::Lookup { id: to, .. }) if *to == id);
        let rows = store.rows(collection.table).filter(|(_, row)| points(row));
        let rows: Vec<(Uuid, Row)> = rows.map(|(id, row)| (*id, row.clone())).collect();
        for (child, mut row) in rows {
            row.insert(collection.column.to_owned(), Value::Null);
            store.put(collection.table, child, row);
        }
    }
}

fn written(
    store: &Store,
    table: &Table,
    message: Message,
    id: Uuid,
    target: Row,
    before: Option<Row>,
    author: &Author,
) -> Written {
    Written {
        message,
        table: table.name.to_owned(),
        id,
        target,
        before,
        after: store.row(table.name, id).cloned(),
        user: author.user,
        user_agent: author.user_agent.clone(),
        tag: author.tag.clone(),
        at: author.at,
        request: author.request,
        correlation: author.request,
        depth: 1,
        bypass: author.bypass,
    }
}

/// What a new row gets by itself.
fn defaults(table: &Table, row: &mut Row, author: &Author) {
    let mut set = |name: &str, value: Value| {
        if table.column(name).is_some() {
            row.entry(name.to_owned()).or_insert(value);
        }
    };
    set("createdon", Value::Moment(author.at));
    set("ownerid", Value::Lookup { table: "systemuser".to_owned(), id: author.user, name: None });
    set("statecode", Value::Choice(0));
    set("ismanaged", Value::Bool(false));
    set("iscustomizable", Value::Bool(true));
    match table.name {
        "serviceendpoint" => {
            for name in ["issaskeyset", "issastokenset", "isauthvalueset", "usekeyvaultconfiguration"] {
                set(name, Value::Bool(false));
            }
        }
        "sdkmessageprocessingstep" => {
            set("canbebypassed", Value::Bool(true));
            set("supporteddeployment", Value::Choice(0));
            set("asyncautodelete", Value::Bool(false));
        }
        "systemuser" => set("isdisabled", Value::Bool(false)),
        _ => {}
    }
    let state = row.get("statecode").cloned();
    if let (Some(column), Some(Value::Choice(state))) = (table.column("statuscode"), state) {
        row.entry("statuscode".to_owned()).or_insert(first_reason(column.kind, state));
    }
}

/// The status reason that goes with a state when none is named.
fn first_reason(kind: Kind, state: i32) -> Value {
    let Kind::Status(reasons) = kind else { return Value::Null };
    // Each state has its tens; a completed job that no reason is named for was cancelled.
    if reasons.len() > 2 {
        return Value::Choice(if state == 3 { 32 } else { state * 10 });
    }
    let at = usize::try_from(state).unwrap_or(0);
    reasons.get(at).map_or(Value::Null, |(number, _)| Value::Choice(*number))
}

/// A state that is set without its reason takes the usual one along.
fn follow_state(table: &Table, row: &mut Row, target: &Row) {
    if target.contains_key("statuscode") {
        return;
    }
    if let (Some(Value::Choice(state)), Some(column)) = (target.get("statecode"), table.column("statuscode"))
    {
        row.insert("statuscode".to_owned(), first_reason(column.kind, *state));
    }
}

fn touch(store: &Store, table: &Table, row: &mut Row, author: &Author) {
    if table.column("modifiedon").is_some() {
        row.insert("modifiedon".to_owned(), Value::Moment(author.at));
    }
    if table.column("modifiedby").is_some() {
        let name = store.row("systemuser", author.user).and_then(|user| text(user, "fullname"));
        let user = Value::Lookup { table: "systemuser".to_owned(), id: author.user, name };
        row.insert("modifiedby".to_owned(), user);
    }
}

/// Columns that follow from others.
fn compute(table: &Table, row: &mut Row, target: &Row) {
    match table.name {
        "contact" => {
            let parts = ["firstname", "middlename", "lastname"].map(|name| text(row, name));
            let name = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            row.insert("fullname".to_owned(), Value::Text(name.join(" ")));
        }
        "serviceendpoint" => {
            for (secret, shown) in
                [("saskey", "issaskeyset"), ("sastoken", "issastokenset"), ("authvalue", "isauthvalueset")]
            {
                if let Some(value) = target.get(secret) {
                    let is_set = matches!(value, Value::Text(text) if !text.is_empty());
                    row.insert(shown.to_owned(), Value::Bool(is_set));
                }
            }
        }
        _ => {}
    }
}

pub(crate) fn text(row: &Row, column: &str) -> Option<String> {
    match row.get(column) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}
