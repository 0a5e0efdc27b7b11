//! Settings: read from all places at once, checked once, all mistakes reported together.

mod bus;
pub mod check;
mod cloud;
mod dataverse;
mod entry;
mod filter;
mod fingerprint;
mod identity;
mod lines;
mod link_rules;
mod load;
mod mapping;
mod names;
mod needs;
mod notify;
mod observing;
mod parts;
mod problem;
mod proxy;
mod reader;
mod reconcile;
mod schema;
mod secrets;
mod sections;
mod source;
mod starter;
mod stored_credential;
mod targets;
#[cfg(test)]
mod tests;

pub use self::{
    bus::{Access, Bus, MessageSource, Namespace},
    cloud::{Cloud, cloud_of},
    dataverse::{Dataverse, Environment, Purpose},
    entry::{Entries, SettingOrigin, SourcedValue},
    load::{PlannerError, SettingsFile, examine, load_planner, nothing_set, parse},
    mapping::LinkUnseen,
    needs::{
        DataverseAlone, Everything, GraphAlone, Needed, Needs, QueueAlone, QueueAndDataverse, QueueAndGraph,
        Unused,
    },
    notify::{
        ChannelWay, Mailing, Notify, NotifyChannel, SecretUrl, SmtpAuth, SmtpServer, SmtpTls, WebhookKey,
    },
    observing::{Http, JournalPolicy, LogFormat, Otlp, Telemetry},
    parts::{Parts, Settings},
    problem::{SettingsProblem, SettingsProblems},
    reconcile::{Reconcile, ReconcilePolicy},
    schema::schema,
    secrets::{shown, without_credentials},
    sections::{Connection, Graph, Guard, Replicas, ShellPolicy},
    source::{DEFAULTS, arguments, environment, this_program, wants_colour},
    starter::starter,
    stored_credential::StoredCredential,
    targets::Targets,
};
