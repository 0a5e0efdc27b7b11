//! The execution context of a step that fired: 30 members in the order of the contract.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Facts,
    columns::lookup,
    entity::{image, owning_extension, primary_name_image, requested, target},
    node::{Members, Node, Pairs},
    steps::{Step, message_name},
};
use crate::dataverse::{
    value::{Row, Tables},
    written::{Message, Written},
};

/// The image that the asynchronous service adds by itself.
const PRIMARY_NAME: &str = "AsynchronousStepPrimaryName";

/// Images under their aliases.
type Images = Vec<(String, Node)>;

/// What all contexts of one job have in common.
pub(super) struct Firing<'a> {
    pub(super) facts: &'a Facts,
    pub(super) tables: &'a Tables,
    pub(super) written: &'a Written,
    pub(super) step: &'a Step,
    /// Id of the system job.
    pub(super) job: Uuid,
    /// When the system job was made.
    pub(super) created: Timestamp,
}

/// What differs between the context that is posted and the one around it.
struct Level {
    stage: i32,
    input: Vec<(String, Node)>,
    output: Vec<(String, Node)>,
    before: Vec<(String, Node)>,
    after: Vec<(String, Node)>,
    shared: Vec<(String, Node)>,
    parent: Node,
}

impl Firing<'_> {
    /// The context that is posted.
    pub(super) fn context(&self) -> Members {
        let Written { message, id, .. } = *self.written;
        let output = if message == Message::Create { vec![pair("id", Node::Guid(id))] } else { Vec::new() };
        let (before, after) = self.images();
        self.members(Level {
            stage: 40,
            input: vec![pair("Target", target(self.written))],
            output,
            before,
            after,
            shared: self.shared_variables(),
            parent: Node::Members(self.around()),
        })
    }

    /// The context around it: the platform's own operation, with what the request said.
    fn around(&self) -> Members {
        let mut input = vec![pair("Target", requested(self.written))];
        if self.written.message != Message::Delete {
            input.push(pair("SuppressDuplicateDetection", Node::Bool(true)));
        }
        self.members(Level {
            stage: 30,
            input,
            output: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            shared: self.shared_variables(),
            parent: Node::Nil,
        })
    }

    fn members(&self, level: Level) -> Members {
        let Self { facts, written, .. } = self;
        let user = self.user();
        let directory_id =
            user.and_then(|user| lookup(user, "azureactivedirectoryobjectid")).unwrap_or_default();
        let unit = user.and_then(|user| lookup(user, "businessunitid")).unwrap_or(facts.business_unit);
        vec![
            ("BusinessUnitId", Node::Guid(unit)),
            ("CorrelationId", Node::Guid(written.correlation)),
            ("Depth", Node::Int(written.depth)),
            ("InitiatingUserAgent", Node::Text(written.user_agent.clone())),
            ("InitiatingUserAzureActiveDirectoryObjectId", Node::Guid(directory_id)),
            ("InitiatingUserId", Node::Guid(written.user)),
            ("InputParameters", Node::Pairs(Pairs::Any, level.input)),
            ("IsExecutingOffline", Node::Bool(false)),
            ("IsInTransaction", Node::Bool(false)),
            ("IsOfflinePlayback", Node::Bool(false)),
            ("IsolationMode", Node::Int(1)),
            ("MessageName", Node::Text(message_name(written.message).to_owned())),
            ("Mode", Node::Int(1)),
            ("OperationCreatedOn", Node::Reading(self.created)),
            ("OperationId", Node::Guid(self.job)),
            ("OrganizationId", Node::Guid(facts.organization)),
            ("OrganizationName", Node::Text(facts.unique_name.clone())),
            ("OutputParameters", Node::Pairs(Pairs::Any, level.output)),
            ("OwningExtension", Node::Members(owning_extension(self.step.id))),
            ("ParentContext", level.parent),
            ("PostEntityImages", Node::Pairs(Pairs::Images, level.after)),
            ("PreEntityImages", Node::Pairs(Pairs::Images, level.before)),
            ("PrimaryEntityId", Node::Guid(written.id)),
            ("PrimaryEntityName", Node::Text(written.table.clone())),
            ("RequestId", Node::Guid(written.request)),
            ("SecondaryEntityName", Node::Text("none".to_owned())),
            ("SharedVariables", Node::Pairs(Pairs::Any, level.shared)),
            ("Stage", Node::Int(level.stage)),
            ("UserAzureActiveDirectoryObjectId", Node::Guid(directory_id)),
            ("UserId", Node::Guid(written.user)),
        ]
    }

    fn user(&self) -> Option<&Row> {
        self.tables.get("systemuser")?.get(&self.written.user)
    }

    /// Images before and after, each registered one under its alias, and the one of the asynchronous service last.
    fn images(&self) -> (Images, Images) {
        let Written { table, id, before, after, .. } = self.written;
        let side = |row: &Option<Row>, wanted: fn(&super::steps::Image) -> bool| {
            let registered = self.step.images.iter().filter(|registered| wanted(registered));
            let mut images = Vec::new();
            if let Some(row) = row {
                images.extend(
                    registered
                        .map(|registered| (registered.alias.clone(), image(table, *id, row, registered))),
                );
            }
            images
        };
        let mut pre = side(before, |image| image.before);
        let mut post = side(after, |image| image.after);
        match (after, before) {
            (Some(row), _) => post.push(pair(PRIMARY_NAME, primary_name_image(table, *id, row))),
            (None, Some(row)) => pre.push(pair(PRIMARY_NAME, primary_name_image(table, *id, row))),
            (None, None) => {}
        }
        (pre, post)
    }

    fn shared_variables(&self) -> Vec<(String, Node)> {
        let mut shared =
            vec![pair("IsAutoTransact", Node::Bool(true)), pair("AcceptLang", Node::Text(String::new()))];
        if self.written.message == Message::Create {
            shared.push(pair("DefaultsAddedFlag", Node::Bool(true)));
        }
        if let Some(tag) = &self.written.tag {
            shared.push(pair("tag", Node::Text(tag.clone())));
        }
        shared
    }
}

/// Takes out of a context what is left out of one that is too large.
pub(super) fn strip(context: &mut Members) {
    for (name, value) in context {
        match *name {
            "ParentContext" => *value = Node::Nil,
            "InputParameters" => *value = Node::Pairs(Pairs::Any, Vec::new()),
            "PreEntityImages" | "PostEntityImages" => *value = Node::Pairs(Pairs::Images, Vec::new()),
            _ => {}
        }
    }
}

fn pair(key: &str, value: Node) -> (String, Node) {
    (key.to_owned(), value)
}
