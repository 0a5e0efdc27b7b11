//! What a read shows.

use serde_json::{Map, Value, json};

use super::{
    property::{self, DEFAULT},
    refusal::Refusal,
    user::User,
};

/// The properties that a request wants: the default ones, or those of `$select`.
pub(super) fn selection(select: Option<&str>, extensions: &[String]) -> Result<Vec<String>, Refusal> {
    let Some(select) = select else { return Ok(DEFAULT.map(str::to_owned).into()) };
    let names: Vec<String> = select.split(',').map(|name| name.trim().to_owned()).collect();
    let unknown = names.iter().find(|name| property::rule(name, extensions).is_none());
    match unknown {
        Some(name) => {
            let message = format!("Could not find a property named '{name}' on type 'microsoft.graph.user'.");
            Err(Refusal::bad_request(message))
        }
        None => Ok(names),
    }
}

/// A user as JSON, with the selected properties.
pub(super) fn show(user: &User, selection: &[String]) -> Map<String, Value> {
    selection.iter().map(|name| (name.clone(), user.get(name))).collect()
}

/// A single user as the body of an answer.
pub(super) fn single(origin: &str, user: &User, selection: &[String]) -> Value {
    let mut body = Map::new();
    let context = format!("{origin}/v1.0/$metadata#users/$entity");
    body.insert("@odata.context".to_owned(), json!(context));
    body.extend(show(user, selection));
    Value::Object(body)
}
