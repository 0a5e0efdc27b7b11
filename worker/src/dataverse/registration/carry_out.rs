//! Carries a plan out, deed by deed.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    super::{Client, Error, Kind},
    compare::VERSION_REFUSED,
    desired::{VERSION, listed},
    found::names,
    plan::{Deed, Plan, RowRef, RowSet, Slot, Verb},
};

/// A plan that could not be carried out to its end.
#[derive(Debug, thiserror::Error)]
#[error(
    "{title} could not be {verb}; {done} of {all} things are done, and the same command goes on from there; {remedy}"
)]
pub(crate) struct Unfinished {
    title: String,
    verb: &'static str,
    done: usize,
    all: usize,
    remedy: &'static str,
    #[source]
    cause: Error,
}

impl Unfinished {
    /// Whether the application user may not do it.
    pub(crate) fn lacks_privilege(&self) -> bool {
        self.cause.kind() == Some(Kind::Privilege)
    }
}

/// How a deed was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    AsPlanned,
    /// Dataverse does not put the row version into images here.
    WithoutVersion,
}

/// Does everything in order, and tells after each deed. New endpoints and steps join the solution, if one is named.
pub(crate) async fn carry_out(
    client: &Client,
    plan: &Plan,
    solution: Option<&str>,
    mut tell: impl FnMut(&Deed, Done),
) -> Result<(), Unfinished> {
    let mut made = BTreeMap::new();
    for (done, deed) in plan.deeds.iter().enumerate() {
        match carry_out_one(client, deed, solution, &mut made).await {
            Ok(how) => tell(deed, how),
            Err(cause) => {
                let verb = match deed.verb {
                    Verb::Create => "created",
                    Verb::Update => "changed",
                    Verb::Delete => "deleted",
                };
                let (title, remedy) = (deed.title.clone(), cause.remedy());
                return Err(Unfinished { title, verb, done, all: plan.deeds.len(), remedy, cause });
            }
        }
    }
    Ok(())
}

async fn carry_out_one(
    client: &Client,
    deed: &Deed,
    solution: Option<&str>,
    made: &mut BTreeMap<Slot, Uuid>,
) -> Result<Done, Error> {
    let body = body(deed, made)?;
    match write(client, deed, &body, solution, made).await {
        Err(error) if is_about_version(deed, &error) => {
            let mut body = body;
            without_version(&mut body);
            write(client, deed, &body, solution, made).await.map(|()| Done::WithoutVersion)
        }
        other => other.map(|()| Done::AsPlanned),
    }
}

async fn write(
    client: &Client,
    deed: &Deed,
    body: &Map<String, Value>,
    solution: Option<&str>,
    made: &mut BTreeMap<Slot, Uuid>,
) -> Result<(), Error> {
    let set = deed.set.as_str();
    let body = Value::Object(body.clone());
    match (deed.verb, deed.row) {
        (Verb::Create, row) => {
            // Images travel with their step.
            let solution = solution.filter(|_| deed.set != RowSet::Image);
            let id = client.create(set, &body, solution).await?;
            if let RowRef::New(slot) = row {
                made.insert(slot, id);
            }
            Ok(())
        }
        (Verb::Update, row) => client.update(set, id_of(row, made)?, &body).await,
        (Verb::Delete, row) => client.delete(set, id_of(row, made)?).await,
    }
}

fn id_of(row: RowRef, made: &BTreeMap<Slot, Uuid>) -> Result<Uuid, Error> {
    match row {
        RowRef::There(id) => Ok(id),
        RowRef::New(slot) => made.get(&slot).copied().ok_or(Error::Senseless(
            "a row is needed before it is made; this is a fault in contactsync".into(),
        )),
    }
}

/// Columns, lookups to what has come to be, and the key.
fn body(deed: &Deed, made: &BTreeMap<Slot, Uuid>) -> Result<Map<String, Value>, Error> {
    let mut body = deed.columns.clone();
    for (column, set, row) in &deed.links {
        body.insert((*column).to_owned(), json!(format!("/{}({})", set.as_str(), id_of(*row, made)?)));
    }
    if let Some(key) = &deed.key {
        body.insert("authtype".into(), json!(2));
        body.insert("saskeyname".into(), json!(key.name));
        body.insert("saskey".into(), json!(key.key.expose_secret()));
    }
    Ok(body)
}

/// Whether an image was refused that asks for the row version. Not every environment is known to take it.
fn is_about_version(deed: &Deed, error: &Error) -> bool {
    let attributes = deed.columns.get("attributes").and_then(Value::as_str);
    deed.set == RowSet::Image
        && names(attributes).contains(VERSION)
        && matches!(error.kind(), Some(Kind::Configuration | Kind::Request | Kind::Other))
}

/// Leaves the row version out, and says so in the name, so that nobody asks for it again.
fn without_version(body: &mut Map<String, Value>) {
    let mut columns = names(body.get("attributes").and_then(Value::as_str));
    columns.remove(VERSION);
    body.insert("attributes".into(), json!(listed(&columns)));
    let name = body.get("name").and_then(Value::as_str).unwrap_or("contactsync");
    body.insert("name".into(), json!(format!("{name}, {VERSION_REFUSED}")));
}
