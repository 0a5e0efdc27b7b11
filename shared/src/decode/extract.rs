//! From the lossless context to the changes it reports: the one place that knows what the messages mean.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{
    columns::{attribute, columns, guid, unsigned},
    context::{Context, Images},
    error::{DecodeProblem, Error},
    message::{DecodedMessage, Format, Subject, Unread, Unreadable},
    pipeline::Pipeline,
    value::{ContextValue, ContractMember, Entities, Entity},
};
use crate::{
    change::{Change, ChangeOrigin, Columns, Operation},
    ids::{ContactId, JobId, OrganizationId},
    version::{Realm, RowVersion, Version},
};

/// The table whose changes we look for.
const CONTACT: &str = "contact";
/// Column of its primary key.
const CONTACT_ID: &str = "contactid";
/// Image that the asynchronous service adds without anybody having registered it.
pub const AUTOMATIC_IMAGE: &str = "AsynchronousStepPrimaryName";

pub(super) fn message(context: &Context<'_>, format: Format) -> Result<DecodedMessage, Error> {
    let name = context.message_name.text().ok_or_else(|| missing("MessageName"))?;
    let parts = Parts {
        context,
        origin: origin(context, name),
        stripped: context.input_parameters.items().is_empty(),
    };
    Ok(DecodedMessage {
        format,
        name: name.into(),
        organization: parts.organization(),
        truncated: parts.truncated(name),
        subject: parts.subject(name)?,
        origin: parts.origin,
    })
}

fn missing(what: &'static str) -> Error {
    Error::of_document(DecodeProblem::Missing(what))
}

fn origin(context: &Context<'_>, name: &str) -> ChangeOrigin {
    ChangeOrigin {
        message: Arc::from(name),
        position: None,
        marked: false,
        initiating_user: known(&context.initiating_user_id),
        correlation: known(&context.correlation_id),
        job: known(&context.operation_id).map(JobId),
        depth: context.depth.get().copied(),
        created: context.operation_created_on.get().and_then(|date| date.as_lost_utc()),
    }
}

/// An id that is neither missing nor all zero.
fn known(id: &ContractMember<Uuid>) -> Option<Uuid> {
    id.get().copied().filter(|id| !id.is_nil())
}

/// A context with what is worked out once for all of its changes.
struct Parts<'c, 'a> {
    context: &'c Context<'a>,
    origin: ChangeOrigin,
    /// Whether there are no input parameters, which only the size limit can be the reason of.
    stripped: bool,
}

impl<'c, 'a> Parts<'c, 'a> {
    fn organization(&self) -> Option<OrganizationId> {
        known(&self.context.organization_id).map(OrganizationId)
    }

    fn truncated(&self, name: &str) -> bool {
        self.stripped && !matches!(Pipeline::of(name), Pipeline::Untouching | Pipeline::Unknown)
    }

    fn input(&self, key: &str) -> Option<&'c ContextValue<'a>> {
        attribute(&self.context.input_parameters, key)
    }

    fn output(&self, key: &str) -> Option<&'c ContextValue<'a>> {
        attribute(&self.context.output_parameters, key)
    }

    /// What the message was about, whatever the message calls it.
    fn target(&self) -> Option<&'c ContextValue<'a>> {
        self.input("Target").or_else(|| self.input("EntityMoniker")).or_else(|| self.input("Targets"))
    }

    fn subject(&self, name: &str) -> Result<Subject, Error> {
        let pipeline = Pipeline::of(name);
        let table = match self.table() {
            // A custom message may be about nothing in particular.
            Err(_) | Ok("none" | "") if pipeline == Pipeline::Unknown => return Ok(Subject::Unsupported),
            table => table?,
        };
        if table != CONTACT {
            return Ok(Subject::OtherEntity { name: table.into() });
        }
        match pipeline {
            Pipeline::One(operation) => self.one(operation).map(Subject::of),
            Pipeline::Upsert => self.upsert().map(Subject::of),
            Pipeline::Several(_) if self.stripped => Ok(Subject::Stripped),
            Pipeline::Several(operation) => match self.input("Targets") {
                Some(ContextValue::Entities(targets)) => Ok(self.several(operation, targets)),
                _ => Err(missing("Targets")),
            },
            Pipeline::Untouching => Ok(Subject::NoChange),
            Pipeline::Unknown => Ok(self.unknown()),
        }
    }

    /// What nobody has told us about still says what it does if it carries contacts with their columns.
    fn unknown(&self) -> Subject {
        match (self.input("Target"), self.input("Targets")) {
            (Some(ContextValue::Entity(entity)), _) if is_contact(entity) => {
                self.contact(self.input("Target")).map_or(Subject::Unsupported, |contact| {
                    Subject::of(self.change(Operation::Unknown, contact, Some(entity)))
                })
            }
            (None, Some(ContextValue::Entities(targets))) => self.several(Operation::Unknown, targets),
            _ => Subject::Unsupported,
        }
    }

    /// The table: messages about two records leave the primary one unnamed.
    fn table(&self) -> Result<&'c str, Error> {
        let named = |name: &&str| !name.is_empty() && *name != "none";
        let primary = self.context.primary_entity_name.text();
        let target = match self.target() {
            Some(ContextValue::Entity(entity)) => entity.logical_name.text(),
            Some(ContextValue::Reference(reference)) => reference.logical_name.text(),
            Some(ContextValue::Entities(entities)) => entities.entity_name.text(),
            _ => None,
        };
        primary.filter(named).or(target.filter(named)).or(primary).ok_or_else(|| missing("PrimaryEntityName"))
    }

    /// The one change of a message about one record.
    fn one(&self, operation: Operation) -> Result<Change, Error> {
        let target = match self.target() {
            Some(ContextValue::Entity(entity)) => Some(&**entity),
            _ => None,
        };
        let content = match operation {
            Operation::Merge => match self.input("UpdateContent") {
                Some(ContextValue::Entity(content)) => Some(&**content),
                _ => None,
            },
            Operation::Create | Operation::Update | Operation::Unknown => {
                if target.is_none() && !self.stripped {
                    return Err(missing("Target"));
                }
                target
            }
            Operation::Delete | Operation::Administrative => None,
        };
        Ok(self.change(operation, self.contact(self.target())?, content))
    }

    /// An upsert does not say what it became, except in its results.
    fn upsert(&self) -> Result<Change, Error> {
        let created = matches!(self.output("RecordCreated"), Some(ContextValue::Bool(true)));
        let operation = if created { Operation::Create } else { Operation::Update };
        let content = match self.input("Target") {
            Some(ContextValue::Entity(entity)) => Some(&**entity),
            _ if self.stripped => None,
            _ => return Err(missing("Target")),
        };
        let contact = self.contact(self.input("Target")).or_else(|error| match self.output("Target") {
            Some(result) if error.problem != DecodeProblem::IdsDisagree => self.contact(Some(result)),
            _ => Err(error),
        })?;
        Ok(self.change(operation, contact, content))
    }

    /// The changes of a message about several records; created ones get their ids from the results. One that
    /// cannot be read says nothing about the others.
    fn several(&self, operation: Operation, targets: &Entities<'_>) -> Subject {
        let created = match self.output("Ids") {
            Some(ContextValue::Array(ids) | ContextValue::List(ids)) if operation == Operation::Create => {
                ids.as_slice()
            }
            _ => &[],
        };
        let (mut changes, mut unread) = (Vec::new(), Vec::new());
        for (index, entity) in targets.entities.items().iter().enumerate() {
            let position = index + 1;
            let id = own_id(entity).or_else(|| created.get(index).and_then(guid));
            match id {
                _ if !is_contact(entity) => unread.push(Unread { position, why: Unreadable::OtherTable }),
                None => unread.push(Unread { position, why: Unreadable::NoId }),
                Some(id) => {
                    let mut change = self.bare_change(operation, ContactId(id), Some(entity));
                    change.origin.position = Some(position);
                    changes.push(change);
                }
            }
        }
        Subject::Contacts { changes, unread }
    }

    /// Which contact: the primary id, checked against the target's own.
    fn contact(&self, target: Option<&ContextValue<'_>>) -> Result<ContactId, Error> {
        let primary = known(&self.context.primary_entity_id);
        let own = match target {
            Some(ContextValue::Entity(entity)) => own_id(entity),
            Some(ContextValue::Reference(reference)) => known(&reference.id),
            _ => None,
        };
        let created = || self.output("id").and_then(guid);
        match (primary, own) {
            (Some(primary), Some(own)) if primary != own => {
                Err(Error::of_document(DecodeProblem::IdsDisagree))
            }
            (Some(id), _) | (None, Some(id)) => Ok(ContactId(id)),
            (None, None) => created().map(ContactId).ok_or_else(|| missing("id of the contact")),
        }
    }

    /// The change of the message's one contact, with its images.
    fn change(&self, operation: Operation, contact: ContactId, content: Option<&Entity<'_>>) -> Change {
        let before: Vec<_> = images(&self.context.pre_entity_images, contact).collect();
        let after: Vec<_> = images(&self.context.post_entity_images, contact).collect();
        Change {
            version: self.version(content, &after),
            imaged: !before.is_empty() || !after.is_empty(),
            before: columns(before),
            after: columns(after),
            ..self.bare_change(operation, contact, content)
        }
    }

    /// A change without images. Messages about several contacts bring none in the members we know, and to copy
    /// whatever is there into each of very many changes would take quadratic time and space.
    fn bare_change(&self, operation: Operation, contact: ContactId, content: Option<&Entity<'_>>) -> Change {
        Change {
            organization: self.organization(),
            contact,
            operation,
            version: self.version(content, &[]),
            columns: content.map_or_else(|| self.state(), |entity| columns([entity])),
            before: Columns::default(),
            after: Columns::default(),
            imaged: false,
            truncated: self.stripped,
            origin: self.origin.clone(),
        }
    }

    /// The columns behind the parameters of the old messages that set a state.
    fn state(&self) -> Columns {
        [("State", "statecode"), ("Status", "statuscode")]
            .into_iter()
            .filter_map(|(parameter, column)| match self.input(parameter) {
                Some(ContextValue::OptionSet(value)) => {
                    let value = crate::change::ColumnValue::Choice { value: (*value).into(), label: None };
                    Some((column, value))
                }
                _ => None,
            })
            .collect()
    }

    /// Where the change stands among those of its contact. An image is newer than what the target says of itself,
    /// whose row version is the one the caller had read.
    fn version(&self, content: Option<&Entity<'_>>, after: &[&Entity<'_>]) -> Option<Version> {
        let column = |name| {
            let places = content.into_iter().chain(after.iter().copied());
            places.filter_map(move |entity| attribute(&entity.attributes, name))
        };
        let of_record = |entity: &Entity<'_>| entity.row_version.text().and_then(row_version);
        let row = column("versionnumber")
            .find_map(|value| unsigned(value).filter(|row| is_row_version(*row)))
            .or_else(|| after.iter().copied().find_map(of_record))
            .or_else(|| content.and_then(of_record));
        let modified = || {
            column("modifiedon").find_map(|value| match value {
                ContextValue::DateTime(date) => date.as_instant(),
                _ => None,
            })
        };
        let realm = self.organization().map_or(Realm::UNKNOWN, Realm::of);
        let row = row.map(|number| RowVersion { number, realm });
        Some(Version { row, at: self.origin.created.or_else(modified)? })
    }
}

/// A row version in text.
fn row_version(text: &str) -> Option<u64> {
    text.parse().ok().filter(|row| is_row_version(*row))
}

/// Dataverse keeps row versions as signed numbers of 64 bits; what is above them is no row version, and would be newer
/// than all that is to come.
fn is_row_version(row: u64) -> bool {
    i64::try_from(row).is_ok()
}

/// The id of a record, else the one in its primary key column.
fn own_id(entity: &Entity<'_>) -> Option<Uuid> {
    known(&entity.id).or_else(|| attribute(&entity.attributes, CONTACT_ID).and_then(guid))
}

/// Whether a record is a contact, or does not say otherwise.
fn is_contact(entity: &Entity<'_>) -> bool {
    entity.logical_name.text().is_none_or(|name| name.is_empty() || name == CONTACT)
}

/// The registered images of a contact.
fn images<'i, 'a>(
    images: &'i ContractMember<Images<'a>>,
    contact: ContactId,
) -> impl Iterator<Item = &'i Entity<'a>> {
    let registered = |(alias, image): &'i (Cow<'a, str>, Option<Entity<'a>>)| {
        image.as_ref().filter(|_| alias != AUTOMATIC_IMAGE)
    };
    let own = move |entity: &&Entity<'_>| own_id(entity).is_none_or(|id| id == contact.0);
    images.items().iter().filter_map(registered).filter(own)
}
