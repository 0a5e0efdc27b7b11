//! `contactsync map test`: captured bodies with the writes that are expected of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use comfy_table::Table;
use serde_json::{Value, json};
use shared::{
    plan::Planner,
    shown::{brief, shown},
};

use super::expectation::{Deviation, deviations, reduced};
use crate::commands::{body, fitted, fitting, global::Global, json_text, plan, print, terminal};

/// How the names of expectations end.
const EXPECTED: &str = ".expected.json";
/// How the names of bodies end.
const BODIES: [&str; 3] = ["json", "bin", "xml"];
/// Longest value in the table, in characters.
const LONGEST: usize = 200;

/// Options of `map test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder holds bodies of messages as they were captured (NAME.json, NAME.xml, NAME.bin for .NET binary XML) and beside \
each what plan --json says of it (NAME.expected.json): the user and the properties with their values, or why nothing is \
written, or the reason of the dead letter. Texts for people and versions do not count. Bodies of one NAME in several \
formats share their expectation.

Each body is judged as run judges it. No network is needed, and of the settings only [mapping], [link] and [filter].

Values are printed where they differ. They are those of your files: take bodies of contacts that you made up.

Examples:
  contactsync map test captured                 hold every body against its expectation
  contactsync map test captured --update        write the expectations, then look at what has changed: git diff

Exit codes: 0 all is as expected, 1 something is not, 2 wrong usage, 78 bad settings.")]
pub struct Args {
    /// The folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write what is found as what is expected.
    #[arg(long)]
    update: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It is as expected.
    Passed,
    /// The expectation was written anew.
    Written,
    /// It is not as expected.
    Differs(Vec<Deviation>),
    /// There is nothing to hold it against.
    Failed(String),
}

impl End {
    fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Written)
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "as expected",
            Self::Written => "written",
            Self::Differs(_) | Self::Failed(_) => "FAILED",
        }
    }
}

/// Holds every body of the folder against its expectation.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let planner = global.planner()?;
    let names = names(&args.folder)?;
    let mut ends = Vec::new();
    for (name, bodies) in &names {
        let place = args.folder.join(format!("{name}{EXPECTED}"));
        if bodies.is_empty() {
            let why = "there is no body of that name; take it away, or bring the body back".to_owned();
            ends.push((format!("{name}{EXPECTED}"), End::Failed(why)));
        }
        for (index, body) in bodies.iter().enumerate() {
            // Bodies of one name are one change in several formats.
            let update = args.update && index == 0;
            ends.push((body.clone(), end(&planner, &args.folder.join(body), &place, update)?));
        }
    }
    let good = ends.iter().all(|(_, end)| end.is_good());
    print(&if args.json { as_json(&ends) } else { fitted(&table(&ends)) })?;
    Ok(ExitCode::from(u8::from(!good)))
}

/// Names of bodies in the folder, and the files of each.
fn names(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let file = entry.with_context(cannot)?.file_name();
        let Some(file) = file.to_str() else {
            bail!("{} holds a file whose name is no text in UTF-8; rename it", folder.display());
        };
        if let Some(name) = file.strip_suffix(EXPECTED) {
            names.entry(name.to_owned()).or_default();
        } else if let Some((name, ending)) = file.rsplit_once('.')
            && BODIES.contains(&ending)
        {
            names.entry(name.to_owned()).or_default().push(file.to_owned());
        }
    }
    if names.is_empty() {
        bail!("{} holds no body (a file that ends with .json, .xml or .bin)", folder.display());
    }
    for bodies in names.values_mut() {
        bodies.sort();
    }
    Ok(names)
}

fn end(planner: &Planner, body: &Path, place: &Path, update: bool) -> anyhow::Result<End> {
    let judge = plan::Judge::offline(planner.clone());
    let told = judge.json(&judge.preview(&body::message(body, None)?));
    let text = match fs::read_to_string(place) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", place.display())),
    };
    let end = match text {
        None => End::Failed(
            "nothing is expected of it; write what is found with --update, and look whether it is right"
                .to_owned(),
        ),
        Some(text) => judged(&text, &told),
    };
    if !update || end == End::Passed {
        return Ok(end);
    }
    fs::write(place, json_text(&reduced(&told)))
        .with_context(|| format!("cannot write {}", place.display()))?;
    Ok(End::Written)
}

fn judged(text: &str, told: &Value) -> End {
    let expected: Value = match serde_json::from_str(text) {
        Ok(expected) => expected,
        Err(error) => return End::Failed(format!("the expectation is no JSON: {error}")),
    };
    match deviations(&expected, told) {
        Ok(none) if none.is_empty() => End::Passed,
        Ok(some) => End::Differs(some),
        Err(why) => End::Failed(format!("the expectation cannot be used: {why}")),
    }
}

fn table(ends: &[(String, End)]) -> String {
    let headings = ["body", "result", "what", "expected", "found"];
    let mut table: Table = fitting::table(headings, terminal::width());
    for (file, end) in ends {
        let (file, word) = (brief(file, LONGEST).into_owned(), end.word().to_owned());
        match end {
            End::Passed | End::Written => {
                table.add_row([file, word]);
            }
            End::Failed(why) => {
                table.add_row([file, word, shown(why).into_owned()]);
            }
            End::Differs(deviations) => {
                for one in deviations {
                    let what = brief(&one.what, LONGEST).into_owned();
                    let (expected, found) = (cell(one.expected.as_ref()), cell(one.found.as_ref()));
                    table.add_row([file.clone(), word.clone(), what, expected, found]);
                }
            }
        }
    }
    let failed = ends.iter().filter(|(_, end)| !end.is_good()).count();
    let values = ends.iter().any(|(_, end)| matches!(end, End::Differs(_)));
    let words =
        if values { " The values are those of your files; null is a property that is emptied." } else { "" };
    let noun = if ends.len() == 1 { "body" } else { "bodies" };
    format!("{table}\n{} {noun}, {failed} not as expected.{words}\n", ends.len())
}

fn cell(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| brief(&value.to_string(), LONGEST).into_owned())
}

fn as_json(ends: &[(String, End)]) -> String {
    let bodies = ends.iter().map(|(file, end)| {
        let mut told = json!({ "file": file, "good": end.is_good(), "written": *end == End::Written });
        match end {
            End::Passed | End::Written => {}
            End::Failed(why) => told["why"] = json!(why),
            End::Differs(deviations) => told["differences"] = deviations.iter().map(difference).collect(),
        }
        told
    });
    let good = ends.iter().all(|(_, end)| end.is_good());
    json_text(&json!({ "ok": good, "bodies": bodies.collect::<Vec<_>>() }))
}

/// What is not said of is left out, because null is a value.
fn difference(deviation: &Deviation) -> Value {
    let mut told = json!({ "what": deviation.what });
    for (key, value) in [("expected", &deviation.expected), ("found", &deviation.found)] {
        if let Some(value) = value {
            told[key] = value.clone();
        }
    }
    told
}
