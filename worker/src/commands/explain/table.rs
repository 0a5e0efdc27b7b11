//! What Dataverse says now: the row of the contact, and the system job. Names of columns are told, and whether they are filled; of
//! values only ids.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{
    ids::{ContactId, UserId},
    plan::Planner,
    shown::Shown,
};
use uuid::Uuid;

use super::services::Part;
use crate::{
    commands::wiring,
    dataverse::{Client, Column, ContactRow, ContextWriter, Error, Job, Kind},
    settings::{DataverseAlone, Settings},
};

const CHECK: &str = "contactsync dataverse check tells what is wrong";
const STATE: &str = "statecode";
const VERSION: &str = "versionnumber";
const MODIFIED: &str = "modifiedon";

/// What Dataverse says.
#[derive(Debug)]
pub(super) struct Table {
    contact: Part<Option<ContactState>>,
    job: Part<Option<Job>>,
}

/// A contact as its row shows it.
#[derive(Debug)]
struct ContactState {
    contact: ContactId,
    links: Vec<(Box<str>, LinkState)>,
    version: Option<u64>,
    modified: Option<String>,
    state: Option<i64>,
    filled: Vec<Box<str>>,
    empty: Vec<Box<str>>,
    /// Columns that may hide their values, or are not there.
    unknown: Vec<Box<str>>,
}

/// What a column that names the user holds.
#[derive(Debug, PartialEq, Eq)]
enum LinkState {
    Empty,
    User(UserId),
    /// A text that is no object id.
    Other,
}

impl Table {
    /// Asks about an id that may be a contact's or a job's. `None` if there is no environment to ask.
    pub(super) async fn ask(settings: anyhow::Result<Settings<DataverseAlone>>, id: Uuid) -> Option<Self> {
        let opened = settings.and_then(|settings| {
            let clients = wiring::clients(&settings.connection)?;
            Ok((wiring::dataverse(&settings, &clients), settings))
        });
        let (client, settings) = match opened {
            Ok((client, settings)) => (client?, settings),
            Err(error) => {
                let why = format!("{error:#}");
                return Some(Self {
                    contact: Part::unknown(why.clone(), CHECK),
                    job: Part::unknown(why, CHECK),
                });
            }
        };
        let job = part(client.job(id).await);
        let contact = match &job {
            Part::Told(Some(job)) => job.regarding.unwrap_or(id),
            _ => id,
        };
        let contact = part(ContactState::read(&client, &settings.planner, ContactId(contact)).await);
        Some(Self { contact, job })
    }

    /// Whether Dataverse knows the id.
    pub(super) fn knows_it(&self) -> bool {
        matches!(self.contact, Part::Told(Some(_))) || matches!(self.job, Part::Told(Some(_)))
    }

    /// Users whom the row of the contact names.
    pub(super) fn users(&self) -> Vec<UserId> {
        let Part::Told(Some(contact)) = &self.contact else { return Vec::new() };
        let user = |(_, link): &(Box<str>, LinkState)| match link {
            LinkState::User(user) => Some(*user),
            LinkState::Empty | LinkState::Other => None,
        };
        contact.links.iter().filter_map(user).collect()
    }

    pub(super) fn text(&self) -> String {
        let contact = self.contact.text("Dataverse", |contact| match contact {
            Some(contact) => contact.lines(),
            None => vec!["no contact has this id, or it was deleted".to_owned()],
        });
        match &self.job {
            // Most ids are none of a job, and one that has posted its message is gone.
            Part::Told(None) => contact,
            job => contact + &job.text("System job", |job| job.iter().flat_map(job_lines).collect()),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "contact": self.contact.json(|contact| contact.as_ref().map_or(Value::Null, ContactState::json)),
            "job": self.job.json(|job| job.as_ref().map_or(Value::Null, job_json)),
        })
    }
}

/// What was answered, or why nothing was.
fn part<T>(answered: Result<Option<T>, Error>) -> Part<Option<T>> {
    answered.map_or_else(|error| Part::unknown(error.explained(), CHECK), Part::Told)
}

impl ContactState {
    async fn read(client: &Client, planner: &Planner, contact: ContactId) -> Result<Option<Self>, Error> {
        let needed: BTreeSet<&str> = planner.columns().into_iter().chain([STATE]).collect();
        let known = client.columns("contact").await?;
        let known: Vec<_> = known
            .into_iter()
            .filter(|column| needed.contains(&*column.logical_name) && column.is_secured != Some(true))
            .collect();
        let members: Vec<_> = known.iter().map(Column::in_rows).collect();
        let select = [VERSION, MODIFIED].into_iter().chain(members.iter().map(String::as_str));
        let query = format!("contacts({contact})?$select={}", select.collect::<Vec<_>>().join(","));
        let row: ContactRow = match client.row(&query).await {
            Ok(row) => row,
            Err(error) if error.kind() == Some(Kind::Gone) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut state = Self::of(&row, ContextWriter::contact(&row).unwrap_or(contact));
        for (column, member) in known.iter().zip(&members) {
            let value = row.get(member).unwrap_or(&Value::Null);
            let name = &column.logical_name;
            if planner.link_columns().any(|link| link == &**name) {
                state.links.push((name.clone(), LinkState::of(value)));
            }
            let list = if is_empty(value) { &mut state.empty } else { &mut state.filled };
            list.push(name.clone());
        }
        let seen: BTreeSet<_> = known.iter().map(|column| &*column.logical_name).collect();
        let absent = needed.into_iter().filter(|name| !seen.contains(name));
        state.unknown = absent.map(Into::into).collect();
        Ok(Some(state))
    }

    fn of(row: &ContactRow, contact: ContactId) -> Self {
        Self {
            contact,
            links: Vec::new(),
            version: row.get(VERSION).and_then(Value::as_u64),
            modified: row.get(MODIFIED).and_then(Value::as_str).map(str::to_owned),
            state: row.get(STATE).and_then(Value::as_i64),
            filled: Vec::new(),
            empty: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let state = match self.state {
            Some(0) => "active".to_owned(),
            Some(1) => "inactive".to_owned(),
            Some(other) => format!("state {other}"),
            None => "state not known".to_owned(),
        };
        let version =
            self.version.map_or_else(|| "no row version".to_owned(), |row| format!("row version {row}"));
        let modified = self.modified.as_deref().unwrap_or("at a time that is not known");
        let head = format!("contact {}  {state}; {version}, modified {}", self.contact, Shown(modified));
        let links = self.links.iter().map(|(column, link)| format!("link    {column}: {}", link.told()));
        let list = |what: &str, names: &[Box<str>]| {
            (!names.is_empty()).then(|| format!("{what}  {}", names.join(", ")))
        };
        let lists = [
            list("filled", &self.filled),
            list("empty ", &self.empty),
            list("hidden", &self.unknown).map(|line| line + " (secured, or not there)"),
        ];
        [head].into_iter().chain(links).chain(lists.into_iter().flatten()).collect()
    }

    fn json(&self) -> Value {
        let links: Vec<_> = self
            .links
            .iter()
            .map(|(column, link)| match link {
                LinkState::Empty => json!({ "column": column, "holds": "nothing" }),
                LinkState::User(user) => {
                    json!({ "column": column, "holds": "user", "user": user.to_string() })
                }
                LinkState::Other => json!({ "column": column, "holds": "text" }),
            })
            .collect();
        json!({
            "contact": self.contact.to_string(), "links": links, "rowVersion": self.version,
            "modifiedOn": self.modified, "state": self.state, "filled": self.filled, "empty": self.empty,
            "hidden": self.unknown,
        })
    }
}

impl LinkState {
    fn of(value: &Value) -> Self {
        match value {
            value if is_empty(value) => Self::Empty,
            Value::String(text) => UserId::parse(text).map_or(Self::Other, Self::User),
            _ => Self::Other,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Empty => "empty, so the contact has no user by it".to_owned(),
            Self::User(user) => format!("user {user}"),
            Self::Other => "a text that is no object id".to_owned(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn job_lines(job: &Job) -> Vec<String> {
    let about = job.regarding.map_or_else(String::new, |contact| format!(", about contact {contact}"));
    let head = format!("job {}  {}, made {}{about}", job.id, job.state().as_str(), job.created);
    let code = job.code().map(|code| format!("{code}; contactsync dataverse jobs tells what to do"));
    [head].into_iter().chain(code).collect()
}

fn job_json(job: &Job) -> Value {
    json!({
        "job": job.id, "state": job.state().as_str(), "created": job.created.to_string(),
        "contact": job.regarding, "code": job.code().map(|code| code.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_values_only_ids_are_told() {
        let user = "11111111-2222-4333-8444-aaaaaaaaaaaa";
        let row = json!({VERSION: 5, MODIFIED: "2026-03-02T08:00:00Z", STATE: 1});
        let row = row.as_object().expect("an object").clone();
        let mut state = ContactState::of(&row, ContactId(Uuid::from_u128(7)));
        for (value, expected) in [
            (json!(null), LinkState::Empty),
            (json!(" "), LinkState::Empty),
            (json!(user), LinkState::User(UserId::parse(user).expect("a GUID"))),
            (json!("ada@example.org"), LinkState::Other),
            (json!(7), LinkState::Other),
        ] {
            assert_eq!(LinkState::of(&value), expected, "{value}");
            state.links.push(("adx_identity_username".into(), LinkState::of(&value)));
        }
        state.filled.push("firstname".into());
        let told = format!("{} {}", state.lines().join("\n"), state.json());
        assert!(told.contains(user) && told.contains("row version 5") && told.contains("inactive"), "{told}");
        assert!(!told.contains("ada@example.org"), "{told}");
    }
}
