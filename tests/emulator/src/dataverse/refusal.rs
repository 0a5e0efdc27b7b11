//! A request that Dataverse refuses: status, code and sentence.

/// An error answer before it is given its headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code, as the body writes it in hexadecimal digits.
    pub code: u32,
    /// The sentence for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with this status, code and sentence.
    #[must_use]
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// `error.code`: the code as the Web API writes it.
    #[must_use]
    pub fn code_text(&self) -> String {
        format!("0x{:08x}", self.code)
    }

    pub(crate) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// A query that cannot be understood, or that names what is not there.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::bad_request(0x8006_0888, message)
    }

    /// A body that cannot be understood.
    pub(crate) fn payload(table: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_request(
            0x8004_8d19,
            format!(
                "Error identified in Payload provided by the user for Entity :'{table}', for more information on this error please follow this help link. InnerException : {why}"
            ),
        )
    }

    pub(crate) fn unknown_property(table: &str, property: &str) -> Self {
        Self::query(format!(
            "Could not find a property named '{property}' on type 'Microsoft.Dynamics.CRM.{table}'."
        ))
    }

    pub(crate) fn unknown_segment(segment: &str) -> Self {
        Self::new(404, 0x8006_0888, format!("Resource not found for the segment '{segment}'."))
    }

    pub(crate) fn no_such_row(table: &str, id: uuid::Uuid) -> Self {
        Self::new(404, 0x8004_0217, format!("{table} With Id = {id} Does Not Exist"))
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::bad_request(0x8004_0203, message)
    }
}
