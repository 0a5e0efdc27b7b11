//! `contactsync guard`: the mark of a user, which tells which version of each property was written last.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Context;
use serde_json::{Value, json};
use shared::{
    ids::UserId,
    mark::{LEAD, Mark, hash_of},
    plan::Planner,
    property::{Property, PropertyKind},
    version::Version,
};

use super::{fitted, json_text, print, queues::start_log, runtime::runtime, wiring};
use crate::{
    commands::global::Global,
    graph::{self, GraphClient},
    preview::render::{line, version, version_json},
    settings::{GraphAlone, Settings},
};

/// What to do with the mark of a user.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the version of each property in the mark.
    Show(ShowGuard),
    /// Remove versions from the mark, so that an older change can be written again.
    Clear(Clear),
}

/// Options of `guard show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A mark keeps properties by a hash of their names, and forgets the oldest when there is no more room. What stands in \
the attribute before the mark belongs to somebody else; only its length is told.

Examples:
  contactsync guard show --user ID
  contactsync guard show --user ID --json")]
pub struct ShowGuard {
    /// The object id of the user.
    #[arg(long, value_name = "ID", value_parser = user)]
    user: UserId,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Options of `guard clear`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is taken out is not guarded until the next change writes it: the next message wins, however old it is. Text of \
somebody else in the attribute stays. Graph has no conditional write: if a worker writes to the same user at the same \
moment, one of the two marks is lost, so see that nothing of this user waits or is under way.

Examples:
  contactsync guard clear --user ID                              what would be taken out
  contactsync guard clear --user ID --yes                        take all of it out
  contactsync guard clear --user ID --property givenName --yes   one property only

Exit codes: 0 done, or nothing has to be; 1 failed; 2 wrong usage; 78 bad settings.")]
pub struct Clear {
    /// The object id of the user.
    #[arg(long, value_name = "ID", value_parser = user)]
    user: UserId,
    /// Only this property, by Graph's name; may be given several times. Without it, the whole mark.
    #[arg(long, value_name = "NAME", value_parser = property)]
    property: Vec<Property>,
    /// Do it; without this, it is only told what would be taken out.
    #[arg(long)]
    yes: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("must be the object id of a user, a GUID")
}

fn property(text: &str) -> Result<Property, &'static str> {
    Property::named(text)
        .ok_or("is no property that contactsync writes; spell it as Graph does, such as givenName")
}

/// Shows or clears.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    let settings: Settings<GraphAlone> = global.settings()?;
    start_log(&settings.telemetry)?;
    let guard = settings.guard.attribute.clone().context(
        "guard.attribute is not set, so no marks are kept; set it, or name the settings file of the workers by --config",
    )?;
    runtime()?.block_on(async {
        let directory = wiring::directory(&settings, wiring::clients(&settings.connection)?);
        let user = match command {
            Command::Show(args) => args.user,
            Command::Clear(args) => args.user,
        };
        let text = directory.mark(user).await.map_err(|error| failed(error, "read"))?;
        let look = Look::at(user, guard, Mark::read(text.as_deref().unwrap_or_default()), &settings.planner);
        match command {
            Command::Show(args) => print(&if args.json { look.json() } else { fitted(&look.text()) })?,
            Command::Clear(args) => clear(&directory, &look, args).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn failed(error: graph::Error, done: &str) -> anyhow::Error {
    let context = if error.is_about_the_user() {
        format!("the mark cannot be {done}; see that the user exists in the tenant of identity.tenant")
    } else {
        format!("the mark cannot be {done}; contactsync check --online tells what is wrong")
    };
    anyhow::Error::new(error).context(context)
}

async fn clear(directory: &GraphClient, look: &Look, args: &Clear) -> anyhow::Result<()> {
    let mut left = look.mark.clone();
    let wanted: Vec<_> = args.property.iter().map(hash_of).collect();
    let is_meant = |hash: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == hash);
    let gone: Vec<_> = look.mark.versions().filter(|(hash, _)| is_meant(hash)).collect();
    for (hash, _) in &gone {
        left.forget(hash);
    }
    let writes = args.yes && !gone.is_empty();
    if writes {
        let PropertyKind::Text { max } = look.guard.rules().kind else {
            anyhow::bail!("{} holds no text", look.guard)
        };
        let text = left.rest(max);
        directory.set_mark(look.user, text.as_deref()).await.map_err(|error| failed(error, "written"))?;
    }
    let absent = args.property.iter().filter(|property| look.mark.version(property).is_none());
    let absent: Vec<_> = absent.map(Property::name).collect();
    print(&if args.json {
        look.cleared_json(&gone, &absent, writes)
    } else {
        fitted(&look.cleared(&gone, &absent, writes))
    })
}

/// A mark that was read.
#[derive(Debug)]
pub(super) struct Look {
    user: UserId,
    guard: Property,
    mark: Mark,
    /// Names by hash.
    names: BTreeMap<String, String>,
}

impl Look {
    pub(super) fn at(user: UserId, guard: Property, mark: Mark, planner: &Planner) -> Self {
        let known = Property::names().filter_map(Property::named);
        let mapped = planner.mapping.rows().iter().map(|row| row.property.clone());
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for property in known.chain(mapped) {
            let slot = names.entry(hash_of(&property)).or_default();
            match &**slot {
                "" => property.name().clone_into(slot),
                name if name == property.name() => {}
                _ => *slot = format!("{slot} or {property}"),
            }
        }
        Self { user, guard, mark, names }
    }

    /// What a hash stands for, if that is known.
    fn name(&self, hash: &str) -> Option<&str> {
        self.names.get(hash).map(String::as_str)
    }

    /// Length of what somebody else keeps there, as Graph counts.
    fn foreign(&self) -> usize {
        self.mark.foreign().encode_utf16().count()
    }

    /// Whether something that looks like a mark is taken for text of somebody else.
    fn is_damaged(&self) -> bool {
        self.mark.is_empty() && self.mark.foreign().contains(LEAD)
    }

    fn head(&self) -> String {
        let mut text = String::new();
        line(&mut text, "user", &self.user.to_string());
        line(&mut text, "attribute", self.guard.name());
        if self.foreign() > 0 {
            let foreign = format!("{} characters of somebody else's, which stay", self.foreign());
            line(&mut text, "before it", &foreign);
        }
        text
    }

    fn row(&self, hash: &str, of: Version) -> String {
        let name = self.name(hash).map_or_else(|| format!("unknown, hash {hash}"), str::to_owned);
        format!("{name}: {}", version(of))
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.head();
        for (hash, version) in self.mark.versions() {
            line(&mut text, "version", &self.row(hash, version));
        }
        if self.mark.is_empty() {
            line(&mut text, "mark", if self.is_damaged() { "none that can be read" } else { "none" });
        }
        text
    }

    fn cleared(&self, gone: &[(&str, Version)], absent: &[&str], written: bool) -> String {
        let mut text = self.head();
        for (hash, version) in gone {
            line(&mut text, "take out", &self.row(hash, *version));
        }
        for name in absent {
            line(&mut text, "not there", name);
        }
        text.push_str(match (gone.is_empty(), written) {
            (true, _) => "\nThere is nothing to take out.\n",
            (false, true) => "\nTaken out.\n",
            (false, false) => "\nNothing was written; --yes takes it out.\n",
        });
        text
    }

    fn json(&self) -> String {
        json_text(&self.document())
    }

    pub(super) fn document(&self) -> Value {
        let versions: Vec<_> = self.mark.versions().collect();
        self.told(&versions)
    }

    fn cleared_json(&self, gone: &[(&str, Version)], absent: &[&str], written: bool) -> String {
        let mut told = self.told(gone);
        told["written"] = json!(written);
        told["absent"] = json!(absent);
        json_text(&told)
    }

    fn told(&self, versions: &[(&str, Version)]) -> Value {
        let versions = versions.iter().map(|(hash, version)| {
            let mut told = version_json(*version);
            told["property"] = json!(self.name(hash));
            told["hash"] = json!(hash);
            told
        });
        json!({
            "user": self.user.to_string(),
            "attribute": self.guard.name(),
            "foreignCharacters": self.foreign(),
            "versions": versions.collect::<Vec<_>>(),
        })
    }
}
