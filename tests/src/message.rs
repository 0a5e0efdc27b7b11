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
    /// The organization that posts it; that of the fixture if none.
    pub organization: Option<Uuid>,
    /// The user of Dataverse on whose behalf it was made; that of the fixture if none.
    pub by: Option<Uuid>,
}

impl ContactChange {
    /// A change that sets nothing yet.
    #[must_use]
    pub fn new(contact: Uuid, at: i64) -> Self {
        let (columns, post_image, pre_image) = (Vec::new(), Vec::new(), Vec::new());
        Self { contact, at, columns, post_image, pre_image, organization: None, by: None }
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

    /// Carries a row version, as with `versionnumber` registered in an image.
    #[must_use]
    pub fn row(self, version: u64) -> Self {
        self.after("versionnumber", version)
    }

    /// Comes from this organization.
    #[must_use]
    pub fn organization(mut self, id: Uuid) -> Self {
        self.organization = Some(id);
        self
    }

    /// Is made on behalf of this user of Dataverse.
    #[must_use]
    pub fn by(mut self, id: Uuid) -> Self {
        self.by = Some(id);
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
        if let Some(organization) = self.organization {
            context["OrganizationId"] = json!(organization);
        }
        if let Some(by) = self.by {
            context["InitiatingUserId"] = json!(by);
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

/// A database of Dataverse, as far as its messages show it: whose it is, its row versions and its clock.
#[derive(Clone, Copy, Debug)]
pub struct Database {
    /// The organization.
    pub organization: Uuid,
    /// The row version that was given last.
    pub row: u64,
    /// The present time, in milliseconds since 1970.
    pub now: i64,
}

impl Database {
    /// The next change of a contact: the row version is one higher, and a second has passed.
    pub fn change(&mut self, contact: Uuid) -> ContactChange {
        self.row += 1;
        self.now += 1_000;
        ContactChange::new(contact, self.now).row(self.row).organization(self.organization)
    }

    /// Restores a backup: row versions go on from a lower one, time goes on from where it is.
    pub fn reset(&mut self, row: u64) {
        self.row = row;
    }

    /// A copy that lives on as another organization, with the same row versions.
    #[must_use]
    pub fn copied_to(self, organization: Uuid) -> Self {
        Self { organization, ..self }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(change: &ContactChange) -> (String, Option<u64>, i64) {
        let message = shared::decode::decode(&change.body(), None).expect("a body of ours is readable");
        let [change] = message.changes() else { panic!("one change") };
        let version = change.version.expect("it has a version");
        let organization = change.organization.expect("it has an organization");
        (organization.to_string(), version.row.map(|row| row.number), version.at.as_millisecond())
    }

    #[test]
    fn a_reset_lowers_row_versions_and_a_copy_keeps_them() {
        let (first, second, contact) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut database = Database { organization: first, row: 900, now: moment(0) };
        assert_eq!(seen(&database.change(contact)), (first.to_string(), Some(901), moment(1_000)));
        let mut copy = database.copied_to(second);
        database.reset(100);
        assert_eq!(seen(&database.change(contact)), (first.to_string(), Some(101), moment(2_000)));
        assert_eq!(seen(&copy.change(contact)), (second.to_string(), Some(902), moment(2_000)));
    }
}
