//! `RemoteExecutionContext`: what the platform says about one event.

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    datetime::DateTime,
    value::{ContractMember, Entity, Parameters, Reference},
};

/// Hands the members of the contract, in wire order, to a macro: field, name on the wire, reader, type. One
/// table keeps the struct, the reader and the printer from disagreeing.
macro_rules! with_members {
    ($use:ident) => {
        $use! {
            /// Business unit of the acting user.
            business_unit_id "BusinessUnitId" guid: Uuid,
            /// The same for all extensions of one top-level request.
            correlation_id "CorrelationId" guid: Uuid,
            /// 1 for a direct request, more for requests made by extensions.
            depth "Depth" int: i32,
            /// User agent of the request; empty when unknown.
            initiating_user_agent "InitiatingUserAgent" text: Cow<'a, str>,
            /// Directory object of the initiating user; all zero if there is none.
            initiating_user_azure_active_directory_object_id "InitiatingUserAzureActiveDirectoryObjectId" guid: Uuid,
            /// User on whose behalf the request was made.
            initiating_user_id "InitiatingUserId" guid: Uuid,
            /// What was asked for.
            input_parameters "InputParameters" parameters: Parameters<'a>,
            /// From an offline client.
            is_executing_offline "IsExecutingOffline" boolean: bool,
            /// Posted before the transaction was committed.
            is_in_transaction "IsInTransaction" boolean: bool,
            /// Replayed from an offline client.
            is_offline_playback "IsOfflinePlayback" boolean: bool,
            /// 1 none, 2 sandbox.
            isolation_mode "IsolationMode" int: i32,
            /// `Create`, `Update`, ...
            message_name "MessageName" text: Cow<'a, str>,
            /// 0 synchronous, 1 asynchronous.
            mode "Mode" int: i32,
            /// When the event was recorded; see [`DateTime::as_lost_utc`].
            operation_created_on "OperationCreatedOn" date: DateTime,
            /// Id of the system job of an asynchronous step.
            operation_id "OperationId" guid: Uuid,
            /// Organization.
            organization_id "OrganizationId" guid: Uuid,
            /// Unique name of the organization.
            organization_name "OrganizationName" text: Cow<'a, str>,
            /// What came out.
            output_parameters "OutputParameters" parameters: Parameters<'a>,
            /// The registered step.
            owning_extension "OwningExtension" reference: Reference<'a>,
            /// Context of the event that caused this one. Its message name lies at times.
            parent_context "ParentContext" boxed_context: Box<Context<'a>>,
            /// Records after the event, by the alias they were registered under.
            post_entity_images "PostEntityImages" images: Images<'a>,
            /// Records before the event, by the alias they were registered under.
            pre_entity_images "PreEntityImages" images: Images<'a>,
            /// Record; all zero for messages without one.
            primary_entity_id "PrimaryEntityId" guid: Uuid,
            /// Table, or `none`.
            primary_entity_name "PrimaryEntityName" text: Cow<'a, str>,
            /// Request that caused the event.
            request_id "RequestId" guid: Uuid,
            /// Second table, or `none`.
            secondary_entity_name "SecondaryEntityName" text: Cow<'a, str>,
            /// Free for all extensions to pass things along.
            shared_variables "SharedVariables" parameters: Parameters<'a>,
            /// 10, 20, 30 or 40.
            stage "Stage" int: i32,
            /// Directory object of the acting user; all zero if there is none.
            user_azure_active_directory_object_id "UserAzureActiveDirectoryObjectId" guid: Uuid,
            /// User as whom the event was handled.
            user_id "UserId" guid: Uuid,
        }
    };
}
pub(super) use with_members;

/// Images by alias, in the order of the message; an image can be null.
pub type Images<'a> = Vec<(Cow<'a, str>, Option<Entity<'a>>)>;

macro_rules! declare {
    ($($(#[$doc:meta])* $field:ident $name:literal $read:ident: $type:ty,)*) => {
        /// All that a message says, without loss. Members that the contract does not know are skipped.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Context<'a> {
            $($(#[$doc])* pub $field: ContractMember<$type>,)*
        }
    };
}
with_members!(declare);
