//! Answers of the management interface from their text.

use super::{Description, xml};

/// What a queue is said to be; `Err` tells why an answer cannot be used.
pub fn description(text: &str) -> Result<Description, String> {
    let elements = xml::elements(text).map_err(|unusable| format!("{unusable:?}"))?;
    Description::of(&elements).map_err(str::to_owned)
}
