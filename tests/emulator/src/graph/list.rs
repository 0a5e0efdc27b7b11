//! Reads of many users: pages, filters, reads by id.

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    call::Call,
    directory::Directory,
    filter::{self, Filter},
    property, read,
    refusal::Refusal,
    reply::collection,
    user::User,
};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;
const MOST_IDS: usize = 1_000;

/// A page of `GET /users`.
pub(super) fn page(directory: &Directory, call: &Call, now: Instant) -> Result<Value, Refusal> {
    refuse_advanced(call)?;
    let select = call.option("select");
    let selection = read::selection(select.as_deref(), &directory.extensions)?;
    let top = match call.option("top") {
        None => DEFAULT_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|top| (1..=LARGEST_PAGE).contains(top))
            .ok_or_else(|| Refusal::bad_request(format!("Invalid page size specified: '{text}'.")))?,
    };
    let skip: usize = call.option("skiptoken").and_then(|text| text.parse().ok()).unwrap_or(0);
    let matching: Vec<&User> = match call.option("filter") {
        None => directory.all_seen(now).skip(skip).take(top + 1).collect(),
        Some(text) => filtered(directory, &filter::parse(&text)?, now)?.skip(skip).take(top + 1).collect(),
    };
    let values = matching.iter().take(top).map(|user| Value::Object(read::show(user, &selection))).collect();
    let mut body = collection(&call.origin(), "users", values);
    if matching.len() > top {
        body.insert("@odata.nextLink".to_owned(), json!(next_link(call, skip + top)));
    }
    Ok(Value::Object(body))
}

/// A page of `GET /roleManagement/directory/roleAssignments`: every administrator is a Global Administrator here.
pub(super) fn role_assignments(directory: &Directory, call: &Call, now: Instant) -> Value {
    const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
    let skip: usize = call.option("skiptoken").and_then(|text| text.parse().ok()).unwrap_or(0);
    let holders: Vec<&User> =
        directory.all_seen(now).filter(|user| user.admin).skip(skip).take(DEFAULT_PAGE + 1).collect();
    let assignment = |user: &&User| {
        json!({
            "id": format!("assignment-{}", user.id), "principalId": user.id.to_string(),
            "roleDefinitionId": GLOBAL_ADMINISTRATOR, "directoryScopeId": "/",
        })
    };
    let values = holders.iter().take(DEFAULT_PAGE).map(assignment).collect();
    let mut body = collection(&call.origin(), "roleManagement/directory/roleAssignments", values);
    if holders.len() > DEFAULT_PAGE {
        body.insert("@odata.nextLink".to_owned(), json!(next_link(call, skip + DEFAULT_PAGE)));
    }
    Value::Object(body)
}

/// `POST /directoryObjects/getByIds`.
pub(super) fn by_ids(
    directory: &Directory,
    call: &Call,
    body: &Map<String, Value>,
    now: Instant,
) -> Result<Value, Refusal> {
    let selection = read::selection(call.option("select").as_deref(), &directory.extensions)?;
    let ids =
        body.get("ids").and_then(Value::as_array).ok_or_else(|| Refusal::bad_request("ids is missing."))?;
    if ids.len() > MOST_IDS {
        return Err(Refusal::bad_request("The number of ids exceeds the limit of 1000."));
    }
    let wanted = ids.iter().filter_map(|id| id.as_str()?.parse::<Uuid>().ok());
    let show = |user: &User| {
        let mut shown = read::show(user, &selection);
        shown.insert("@odata.type".to_owned(), json!("#microsoft.graph.user"));
        Value::Object(shown)
    };
    let values = wanted.filter_map(|id| directory.seen(id, now)).map(show).collect();
    Ok(Value::Object(collection(&call.origin(), "directoryObjects", values)))
}

/// Advanced queries are not to be had in B2C, and whether External ID has them is not known.
fn refuse_advanced(call: &Call) -> Result<(), Refusal> {
    for name in ["search", "count", "orderby"] {
        if call.option(name).is_some() {
            return Err(Refusal::unsupported_query(format!("The query option '${name}' is not supported.")));
        }
    }
    Ok(())
}

fn filtered<'a>(
    directory: &'a Directory,
    filter: &Filter,
    now: Instant,
) -> Result<Box<dyn Iterator<Item = &'a User> + 'a>, Refusal> {
    Ok(match filter.clone() {
        Filter::Ids(ids) => {
            let ids = ids.into_iter().filter_map(|id| id.parse::<Uuid>().ok());
            Box::new(ids.filter_map(move |id| directory.seen(id, now)))
        }
        Filter::SignIn { issuer, assigned } => {
            let found = directory.by_identity(&issuer, &assigned).and_then(|id| directory.seen(id, now));
            // The element of the principal name cannot be found by a filter.
            let is_it = move |user: &&User| {
                let mut others = user.identities.iter().filter(|identity| !identity.is_upn());
                others.any(|identity| {
                    identity.issuer.eq_ignore_ascii_case(&issuer)
                        && identity.issuer_assigned_id.to_lowercase() == assigned.to_lowercase()
                })
            };
            Box::new(found.into_iter().filter(is_it))
        }
        Filter::OtherMail(address) => Box::new(directory.all_seen(now).filter(move |user| {
            let list = user.get("otherMails");
            let is_it = |one: &Value| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(&address));
            list.as_array().is_some_and(|list| list.iter().any(is_it))
        })),
        Filter::Numbered(name, value) => Box::new(directory.all_seen(now).filter(move |user| {
            let all = user.get("onPremisesExtensionAttributes");
            let found = all.get(&name).and_then(Value::as_str);
            found.is_some_and(|text| text.to_lowercase() == value.to_lowercase())
        })),
        Filter::Equals(name, value) => {
            if property::rule(&name, &directory.extensions).is_none() {
                return Err(Refusal::unsupported_query(
                    "Unsupported or invalid query filter clause specified.",
                ));
            }
            let same = move |user: &&User| {
                user.get(&name).as_str().is_some_and(|text| text.to_lowercase() == value.to_lowercase())
            };
            Box::new(directory.all_seen(now).filter(same))
        }
    })
}

/// The same query from further on.
fn next_link(call: &Call, skip: usize) -> String {
    let query = call.uri.query().unwrap_or_default();
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !name.ends_with("skiptoken") {
            next.append_pair(&name, &value);
        }
    }
    next.append_pair("$skiptoken", &skip.to_string());
    format!("{}{}?{}", call.origin(), call.uri.path(), next.finish())
}
