//! Service endpoints.

use super::{invalid, one_of, require};
use crate::dataverse::{
    pipeline::columns::{ENDPOINT, choice, text},
    refusal::Refusal,
    value::Row,
};

pub(super) fn check(after: &Row, target: &Row) -> Result<(), Refusal> {
    require(after, ENDPOINT, &["name", "contract", "userclaim", "connectionmode"])?;
    one_of(choice(after, "contract"), "contract", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])?;
    one_of(choice(after, "authtype"), "authtype", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    one_of(choice(after, "messageformat"), "messageformat", &[1, 2, 3])?;
    one_of(choice(after, "messagecharset"), "messagecharset", &[0, 1, 2])?;
    one_of(choice(after, "namespaceformat"), "namespaceformat", &[1, 2])?;
    one_of(choice(after, "userclaim"), "userclaim", &[1, 2, 3])?;
    one_of(choice(after, "connectionmode"), "connectionmode", &[1, 2])?;
    if posts_to_bus(after) {
        require(after, ENDPOINT, &["namespaceaddress", "solutionnamespace", "path"])?;
    }
    // A connection string is what people paste.
    if text(target, "saskey").is_some_and(|key| key.contains("SharedAccessKey=") || key.contains("Endpoint="))
    {
        return Err(invalid("Required a valid SASKey."));
    }
    Ok(())
}

/// Whether the contract is one of Service Bus or Event Hubs.
pub(super) fn posts_to_bus(endpoint: &Row) -> bool {
    matches!(choice(endpoint, "contract"), Some(1..=7))
}
