//! Users in the bin, `directory/deletedItems`: they can be read, and keep their addresses.

use serde_json::Value;
use uuid::Uuid;

use super::{
    call::Call,
    directory::Directory,
    filter::{self, Filter},
    read,
    refusal::Refusal,
    reply::collection,
    user::User,
};

/// `GET /directory/deletedItems/microsoft.graph.user`, all of them or those with a sign-in name.
pub(super) fn page(directory: &Directory, call: &Call) -> Result<Value, Refusal> {
    let selection = read::selection(call.option("select").as_deref(), &directory.extensions)?;
    let meant = match call.option("filter").map(|text| filter::parse(&text)).transpose()? {
        None => None,
        Some(Filter::SignIn { issuer, assigned }) => Some(directory.by_identity(&issuer, &assigned)),
        Some(_) => {
            return Err(Refusal::unsupported_query("Unsupported or invalid query filter clause specified."));
        }
    };
    let found = in_bin(directory).filter(|user| meant.is_none_or(|meant| meant == Some(user.id)));
    let values = found.map(|user| Value::Object(read::show(user, &selection))).collect();
    Ok(Value::Object(collection(&call.origin(), "directory/deletedItems/microsoft.graph.user", values)))
}

/// `GET /directory/deletedItems/{id}`.
pub(super) fn one(directory: &Directory, key: &str, call: &Call) -> Result<Value, Refusal> {
    let selection = read::selection(call.option("select").as_deref(), &directory.extensions)?;
    let id = key.parse::<Uuid>().ok();
    let user = in_bin(directory).find(|user| Some(user.id) == id).ok_or_else(|| Refusal::not_found(key))?;
    Ok(read::single(&call.origin(), user, &selection))
}

fn in_bin(directory: &Directory) -> impl Iterator<Item = &User> {
    directory.all().filter(|user| user.deleted)
}
