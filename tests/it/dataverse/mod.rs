//! The local Dataverse before the product: what it posts is what the product reads, and arrives where it should; and
//! `contactsync dataverse`, as the real binary, against it.

mod check;
mod failures;
mod formats;
mod jobs;
mod path;
mod registration;

use anyhow::{Context, Result};
use emulator::{
    ca::Ca,
    dataverse::{ApplicationUser, Dataverse, Depth, Options, Role},
    graph::DEFAULT_CLIENT_ID,
};
use serde_json::Value;
use tests::{
    binary, organization,
    world::{self, World},
};

/// A world with an environment of Dataverse that posts to its Service Bus.
struct Place {
    world: World,
    dataverse: Dataverse,
}

/// How a command ended, and what it told.
struct Told {
    code: Option<i32>,
    document: Value,
    aside: String,
}

impl Place {
    async fn start(options: Options) -> Result<Self> {
        let world = World::start(world::Options::default()).await?;
        let mut options = options;
        options.pipeline.buses.push(world.bus.poster());
        let dataverse = Dataverse::start(options, &Ca::new()?, &world.graph).await?;
        Ok(Self { world, dataverse })
    }

    /// The settings of `[dataverse]`.
    fn layer(&self) -> String {
        organization::settings(&self.world, &self.dataverse)
    }

    /// Runs a command of `contactsync`, with these settings over the usual ones.
    async fn run(&self, layers: &[&str], arguments: &[&str]) -> Result<Told> {
        let own = self.layer();
        let settings = self.world.layered(&[&[own.as_str()], layers].concat())?;
        let mut command = binary::command()?;
        command.args(arguments).args(["--json", "--config"]).arg(settings).kill_on_drop(true);
        let output = command.output().await.context("contactsync cannot be started")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, aside) = (text(&output.stdout), text(&output.stderr));
        let document = if out.is_empty() { Value::Null } else { serde_json::from_str(&out).context(out)? };
        Ok(Told { code: output.status.code(), document, aside })
    }
}

impl Told {
    /// Names and results of what was tried, in order.
    fn results(&self) -> Vec<(&str, &str)> {
        let probes = self.document["online"].as_array().map(Vec::as_slice).unwrap_or_default();
        probes
            .iter()
            .map(|probe| {
                (probe["check"].as_str().unwrap_or_default(), probe["result"].as_str().unwrap_or_default())
            })
            .collect()
    }

    /// What was told of the worst probe of this name.
    #[track_caller]
    fn says(&self, check: &str, result: &str, parts: &[&str]) {
        let probes = self.document["online"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told: Vec<_> = probes
            .iter()
            .filter(|probe| probe["check"] == check && probe["result"] == result)
            .map(|probe| format!("{} {}", probe["what"], probe["remedy"]))
            .collect();
        let found = told.iter().any(|told| parts.iter().all(|part| told.contains(part)));
        assert!(found, "{check} {result} {parts:?} in {:#} {}", self.document, self.aside);
    }
}

/// An environment whose one user may do this with contacts, and look at jobs.
fn reader(contact: Option<Depth>) -> Options {
    let jobs = ["prvReadServiceEndpoint", "prvReadSdkMessageProcessingStep", "prvReadAsyncOperation"];
    let mut privileges: std::collections::BTreeMap<_, _> =
        jobs.iter().map(|name| ((*name).to_owned(), Depth::Global)).collect();
    if let Some(depth) = contact {
        privileges.insert("prvReadContact".to_owned(), depth);
    }
    let mut options = Options::default();
    options.seed.roles = vec![Role { name: "reader".to_owned(), privileges }];
    options.seed.application_users = vec![ApplicationUser::new(DEFAULT_CLIENT_ID, &["reader"])];
    options
}
