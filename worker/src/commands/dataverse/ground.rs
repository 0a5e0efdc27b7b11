//! What the commands about the registration stand on: the settings, what they want, and the environment.

use anyhow::Context;
use serde_json::{Value, json};
use shared::shown::Shown;

use crate::{
    commands::{probes::tally, waiting::patiently, wiring},
    dataverse::{
        self, Client, Error, NAME, WhoAmI,
        registration::{self, Desired, Deviation, Found, RolePurpose},
    },
    settings::{QueueAndDataverse, Settings, check::Severity},
};

/// Which endpoint is meant.
#[derive(Debug, clap::Args)]
pub(super) struct EndpointName {
    /// Name of the endpoint in Dataverse.
    #[arg(long, value_name = "NAME", default_value = NAME)]
    pub(super) endpoint: String,
}

/// Settings, and the environment that they name.
pub(super) struct Ground {
    pub(super) settings: Settings<QueueAndDataverse>,
    pub(super) desired: Desired,
    pub(super) client: Client,
    pub(super) who: WhoAmI,
}

impl Ground {
    /// Asks the environment who we are.
    pub(super) async fn open(
        settings: Settings<QueueAndDataverse>,
        beside: &[Settings<QueueAndDataverse>],
        name: &EndpointName,
    ) -> anyhow::Result<Self> {
        let environment = settings.dataverse.required()?;
        let planners: Vec<_> =
            [&settings].into_iter().chain(beside).map(|settings| &settings.planner).collect();
        let desired = Desired::of(&name.endpoint, &settings.bus, environment.purpose, &planners)?;
        let clients = wiring::clients(&settings.connection)?;
        let client = wiring::dataverse(&settings, &clients).context("dataverse.url is empty")?;
        let asked = client.who_am_i();
        let who = patiently(format_args!("dataverse at {}", environment.authority()), asked)
            .await
            .map_err(failed)?;
        Ok(Self { settings, desired, client, who })
    }

    /// What is registered.
    pub(super) async fn look(&self) -> anyhow::Result<Found> {
        let read = registration::read(&self.client, &self.who, &self.desired);
        patiently("the registration in dataverse", read).await.map_err(failed)
    }

    /// What the application user may not do and would have to, by name.
    pub(super) async fn missing(&self, purposes: &[RolePurpose]) -> anyhow::Result<Vec<&'static str>> {
        let held = registration::privileges(&self.client, self.who.user_id).await.map_err(failed)?;
        Ok(held.map_or_else(Vec::new, |held| registration::missing(purposes, &held)))
    }
}

/// A failure of Dataverse with its remedy.
pub(super) fn failed(error: Error) -> anyhow::Error {
    let remedy = error.remedy();
    let error = anyhow::Error::new(error);
    if remedy.is_empty() { error } else { anyhow::anyhow!("{}; {remedy}", chained(&error)) }
}

fn chained(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The environment, and where its messages are wanted.
pub(super) fn heading(found: &Found, desired: &Desired) -> String {
    let organization = &found.organization;
    let kind = match organization.organization_type {
        dataverse::OrganizationType::Production => "production",
        dataverse::OrganizationType::NotProduction => "not for production",
        dataverse::OrganizationType::Unknown => "of unknown purpose",
    };
    let name = Shown(&organization.friendly_name).to_string();
    format!(
        "environment {name}{}{kind}, organization {}\nendpoint    {}, to {} at {}\n\n",
        if name.is_empty() { "" } else { ", " },
        organization.organization_id,
        Shown(&desired.name),
        desired.destination.entity,
        desired.authority
    )
}

/// The same for machines.
pub(super) fn heading_json(found: &Found, desired: &Desired) -> Value {
    json!({
        "organization": found.organization.organization_id.to_string(), "endpoint": desired.name,
        "queue": desired.destination.entity, "namespace": desired.authority,
    })
}

/// What is not as wanted, one thing a line, and a verdict.
pub(super) fn told(deviations: &[Deviation]) -> String {
    let mut text = String::new();
    for one in deviations {
        text.push_str(&Shown(&one.to_string()).to_string());
        text.push('\n');
    }
    let counts = counts(deviations);
    let [errors, warnings, _] = counts;
    let verdict = match (errors, warnings) {
        (0, 0) => "The registration is as the settings need it",
        (0, _) => "The registration works, and should be better",
        _ => "The registration does not do what the settings need",
    };
    format!("{text}{verdict}: {}.\n", tally(counts))
}

/// Errors, warnings and notes.
pub(super) fn counts(deviations: &[Deviation]) -> [usize; 3] {
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| deviations.iter().filter(|one| one.severity == severity).count())
}

/// What the application user lacks, and where to read about it. Nothing if it lacks nothing.
pub(super) fn lacking(missing: &[&str]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    format!(
        "warning  the application user lacks {}; give it a role that has them for the whole organization: \
         deploy/dataverse/README.md. A change of a role takes a minute or two to count\n",
        missing.join(", ")
    )
}
