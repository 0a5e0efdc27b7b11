//! `contactsync explain`: what happened to a contact, and how it stands now.

mod services;
mod table;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use serde_json::{Value, json};
use shared::{ids::UserId, reason::chain};
use uuid::Uuid;

use self::{
    services::{Part, Services},
    table::Table,
};
use super::{
    fitted, json_text, print, probes::counted, queues::start_log, runtime::runtime, waiting::patiently,
};
use crate::{
    commands::global::Global,
    operate::explain::{
        Story,
        runbook::{self, RunbookEntry},
        telling,
    },
    settings::{QueueAlone, Settings},
};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The journal of each replica tells what became of messages: seen, merged into which write, waited and why, written (with \
Graph's request-id, for Microsoft's support), or why not. Beside it stand the messages that wait now, the dead letters, \
the user as the directory has it and, with [dataverse], the row of the contact and the system job. Ids and names of \
properties are printed, no values. What cannot be asked is told in a line, and the rest is shown.

Examples:
  contactsync explain 03d0d059-3dcf-41f2-9e20-57b85dbff932     a contact, by its id in Dataverse
  contactsync explain USER                                     a user, by the object id
  contactsync explain JOB                                      all that a system job of Dataverse has posted
  contactsync explain ID --offline                             the journal only; needs no queue and no secret
  contactsync explain ID --journal a --journal b --json        what two replicas kept, for machines
  contactsync explain ID ID ID                                 of several, with each journal read once
  contactsync explain UserNotFound                             what a dead-letter reason means, and what to do
  contactsync explain ContactsyncNotReady                      the same of an alert

Exit codes: 0 something is known of each, 1 nothing is of one or the command failed, 2 wrong usage, 78 bad settings.")]
pub struct Args {
    /// The id of a contact, the object id of a user, or the id of a system job; or a dead-letter reason or the name of an
    /// alert, of which the runbook's entry is printed. Of several, one after the other is told.
    #[arg(value_name = "CONTACT|USER|JOB|REASON", value_parser = about, required = true)]
    about: Vec<About>,
    /// Read the journal only, and ask neither Service Bus nor Graph nor Dataverse.
    #[arg(long)]
    offline: bool,
    /// The directory of a journal, in place of journal.path; may be given several times.
    #[arg(long, value_name = "DIR")]
    journal: Vec<PathBuf>,
    /// Print JSON instead of text: a document, or an array of them if several were asked for.
    #[arg(long)]
    json: bool,
}

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
enum About {
    /// A contact, a user or a system job.
    Id(Uuid),
    /// A dead-letter reason or an alert.
    Entry(RunbookEntry),
}

impl About {
    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Entry(_) => None,
        }
    }
}

fn about(text: &str) -> Result<About, String> {
    let bare = text.trim().trim_start_matches('{').trim_end_matches('}');
    if let Ok(id) = Uuid::try_parse(bare) {
        return Ok(About::Id(id));
    }
    runbook::entry(text).map(About::Entry).ok_or_else(|| {
        let near = runbook::names()
            .map(|name| (strsim::damerau_levenshtein(&name.to_lowercase(), &text.to_lowercase()), name))
            .filter(|(distance, _)| *distance <= 3)
            .min();
        let meant = near.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
        format!("must be the id of a contact, a user or a system job (a GUID), a dead-letter reason or an alert{meant}")
    })
}

/// Tells what is known.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let ids: Vec<_> = args.about.iter().filter_map(About::id).collect();
    let mut found = if ids.is_empty() { Vec::new() } else { look(global, args, ids)? }.into_iter();
    let explained: Vec<_> = args
        .about
        .iter()
        .filter_map(|about| match about {
            About::Id(_) => found.next().map(|found| Explained::Id(Box::new(found))),
            About::Entry(entry) => Some(Explained::Entry(*entry)),
        })
        .collect();
    print(&match &*explained {
        [one] if args.json => json_text(&one.json()),
        all if args.json => json_text(&all.iter().map(Explained::json).collect()),
        all => fitted(&all.iter().map(Explained::text).collect::<Vec<_>>().join("\n")),
    })?;
    Ok(ExitCode::from(u8::from(!explained.iter().all(Explained::is_known))))
}

/// Reads the journals and, unless that is not wanted, asks everybody else.
fn look(global: &Global, args: &Args, ids: Vec<Uuid>) -> anyhow::Result<Vec<Explanation>> {
    if args.offline {
        // Nobody is asked, so whatever else is missing from the settings is no matter.
        let targets = global.targets()?;
        let first = targets.each.first().context("there are no settings; this is a fault in contactsync")?;
        let kept = first.journal.as_ref().and_then(|journal| journal.path.clone());
        let stories = stories(args, &ids, kept, global.target());
        let found = ids.into_iter().zip(stories);
        return Ok(found.map(|(id, story)| Explanation { id, story, now: None }).collect());
    }
    let settings: Settings<QueueAlone> = global.settings()?;
    start_log(&settings.telemetry)?;
    let target = settings.target.as_ref().map(shared::target::TargetName::as_str);
    let stories = stories(args, &ids, settings.journal.path.clone(), target);
    let runtime = runtime()?;
    let ask = |(id, mut story)| {
        let now = runtime.block_on(ask(&settings, global, id, &mut story));
        Explanation { id, story, now: Some(now) }
    };
    Ok(ids.into_iter().zip(stories).map(ask).collect())
}

/// What the journals tell of each id.
fn stories(args: &Args, ids: &[Uuid], kept: Option<PathBuf>, target: Option<&str>) -> Vec<Part<Story>> {
    const REMEDY: &str = "run this where a worker runs (in its pod or container), name the directory by --journal, or set \
                          journal.path to one that is there";
    let unknown = |why: String| ids.iter().map(|_| Part::unknown(why.clone(), REMEDY)).collect();
    let directories: Vec<_> =
        if args.journal.is_empty() { kept.into_iter().collect() } else { args.journal.clone() };
    if directories.is_empty() {
        return unknown("no journal is kept: journal.path is empty".to_owned());
    }
    match Story::of_each(&directories, ids, target) {
        Ok(stories) => stories.into_iter().map(Part::Told).collect(),
        Err(error) => unknown(chain(&error)),
    }
}

/// What Dataverse, the queues and the directory say now.
struct Present {
    table: Option<Table>,
    services: Services,
}

async fn ask(settings: &Settings<QueueAlone>, global: &Global, id: Uuid, story: &mut Part<Story>) -> Present {
    let is_user = match story {
        Part::Told(story) => story.kinds.is_empty() || story.kinds.contains("user"),
        Part::Unknown { .. } => true,
    };
    let table = patiently("dataverse", Box::pin(Table::ask(global.settings(), id))).await;
    // A contact names its user itself.
    let users =
        is_user.then_some(UserId(id)).into_iter().chain(table.iter().flat_map(Table::users)).collect();
    let asked = Box::pin(Services::ask(settings, global.settings(), id, users));
    let services = patiently("queue, dead letters and directory", asked).await;
    if let Part::Told(story) = story {
        services.users.iter().for_each(|user| story.know(user.0));
    }
    Present { table, services }
}

/// What is known of an id.
struct Explanation {
    id: Uuid,
    story: Part<Story>,
    /// Unless nobody was asked.
    now: Option<Present>,
}

impl Explanation {
    fn is_known(&self) -> bool {
        let knows =
            |now: &Present| now.services.knows_it() || now.table.as_ref().is_some_and(Table::knows_it);
        matches!(&self.story, Part::Told(story) if !story.events.is_empty())
            || self.now.as_ref().is_some_and(knows)
    }

    fn json(&self) -> Value {
        let kinds = match &self.story {
            Part::Told(story) => json!(story.kinds),
            Part::Unknown { .. } => json!([]),
        };
        let mut document =
            json!({ "id": self.id.to_string(), "is": kinds, "journal": self.story.json(telling::json) });
        if let Some(now) = &self.now {
            if let Some(table) = &now.table {
                document["dataverse"] = table.json();
            }
            now.services.add_to(&mut document);
        }
        document
    }

    fn text(&self) -> String {
        let journal = self.story.text("Journal", |story| {
            let reading = &story.reading;
            let span = reading
                .span
                .map_or_else(String::new, |(from, until)| format!(", from {from:.0} until {until:.0}"));
            let (entries, files) = (reading.entries, reading.files);
            let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
            let head = format!("{entries} in {}{span}", counted(files as u64, "file"));
            let kinds: Vec<_> = story.kinds.iter().copied().collect();
            let told = telling::lines(story);
            let about = match (&*kinds, &*told) {
                (_, []) => "nothing of it; it was not seen in that time, or by another replica".to_owned(),
                ([], _) => "what is told of it:".to_owned(),
                (kinds, _) => format!("it is the id of a {}:", kinds.join(" and a ")),
            };
            [head, about].into_iter().chain(told).collect()
        });
        let now = self.now.as_ref();
        let table = now.and_then(|now| now.table.as_ref()).map_or_else(String::new, Table::text);
        let services = now.map_or_else(String::new, |now| now.services.text());
        format!("{}\n\n{journal}{table}{services}", self.id)
    }
}

/// What is printed of one thing that was asked about.
enum Explained {
    Id(Box<Explanation>),
    Entry(RunbookEntry),
}

impl Explained {
    fn is_known(&self) -> bool {
        match self {
            Self::Id(found) => found.is_known(),
            Self::Entry(_) => true,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Id(found) => found.json(),
            Self::Entry(RunbookEntry { name, text }) => json!({ "name": name, "text": text }),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Id(found) => found.text(),
            Self::Entry(entry) => format!("{}\n\n{}\n", entry.name, entry.paragraphs()),
        }
    }
}
