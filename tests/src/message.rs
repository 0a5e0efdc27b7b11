//! Bodies as Dataverse posts them, made from a fixture by changing what a test cares about.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The captured shape: an update of a contact that signs in to a portal.
const SHAPE: &str = include_str!("../fixtures/contexts/contact-update-portal-identity.json");

/// A change of one contact, to be posted.
#[derive(Clone, Debug)]
pub struct ContactChange {
    /// The contact.
    pub contact: Uuid,
    /// When Dataverse recorded it, in milliseconds since 1970.
    pub at: i64,
    /// Columns that the change sets, as JSON values.
    pub columns: Vec<(&'static str, Value)>,
    /// Columns of the registered post image.
    pub post_image: Vec<(&'static str, Value)>,
    /// Columns of the registered pre image.
    pub pre_image: Vec<(&'static str, Value)>,
}

impl ContactChange {
    /// A change that sets nothing yet.
    #[must_use]
    pub fn new(contact: Uuid, at: i64) -> Self {
        Self { contact, at, columns: Vec::new(), post_image: Vec::new(), pre_image: Vec::new() }
    }

    /// Sets a column.
    #[must_use]
    pub fn set(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.columns.push((column, value.into()));
        self
    }

    /// Registers a post image that shows a column.
    #[must_use]
    pub fn after(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.post_image.push((column, value.into()));
        self
    }

    /// Registers a pre image that shows a column.
    #[must_use]
    pub fn before(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.pre_image.push((column, value.into()));
        self
    }

    /// The body.
    ///
    /// # Panics
    /// If the fixture is damaged.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut context: Value = serde_json::from_str(SHAPE).expect("the fixture is JSON");
        let id = self.contact.to_string();
        let target = &mut context["InputParameters"][0]["value"];
        target["Id"] = json!(id);
        target["Attributes"] = pairs(&self.columns);
        for (column, value) in
            [("contactid", json!(id)), ("modifiedon", json!(format!("/Date({})/", self.at / 1000 * 1000)))]
        {
            target["Attributes"].as_array_mut().expect("a list").push(json!({"key": column, "value": value}));
        }
        context["PrimaryEntityId"] = json!(id);
        context["OperationId"] = json!(Uuid::new_v4());
        context["CorrelationId"] = json!(Uuid::new_v4());
        context["OperationCreatedOn"] = json!(format!("/Date({}+0000)/", self.at));
        context["PostEntityImages"] = self.image("PostImage", &self.post_image);
        context["PreEntityImages"] = self.image("PreImage", &self.pre_image);
        serde_json::to_vec(&context).expect("serializes")
    }

    fn image(&self, alias: &str, columns: &[(&'static str, Value)]) -> Value {
        if columns.is_empty() {
            return json!([]);
        }
        json!([{"key": alias, "value": {
            "Attributes": pairs(columns), "EntityState": null, "FormattedValues": [], "Id": self.contact,
            "KeyAttributes": [], "LogicalName": "contact", "RelatedEntities": [], "RowVersion": null,
        }}])
    }
}

fn pairs(columns: &[(&'static str, Value)]) -> Value {
    columns.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// So many milliseconds into a fixed day, as milliseconds since 1970, so that bodies do not depend on the clock.
///
/// # Panics
/// If it is past the end of time.
#[must_use]
pub fn moment(millis: usize) -> i64 {
    let day: Timestamp = "2026-03-02T08:00:00Z".parse().expect("a time");
    day.as_millisecond() + i64::try_from(millis).expect("a moment before the end of time")
}
