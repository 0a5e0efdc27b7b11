//! `contactsync support-bundle`: one file with what somebody needs who is to help.
//!
//! Each part is what the command of that name prints, run as its own process: so what is in the file is what can be looked at
//! beforehand, and a part that fails or hangs says so and costs nothing else.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use servicebus::clock;
use shared::shown::{Shown, shown};
use tokio::{process::Command, time::timeout};
use url::Url;

use super::{VERSION, json_text, print, print_words, runtime::runtime, screen::Screen, status, wiring};
use crate::{
    commands::global::Global,
    private_file,
    settings::{self, QueueAlone},
};

/// How long a part may take. The slowest, `check --online`, waits half a minute for a Graph that does not answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// As many lines of a log as are kept: the last ones.
const LINES: usize = 2_000;
/// The longest line of a log that is kept whole, in bytes.
const LONGEST_LINE: u64 = 16 * 1024;

/// Options of `support-bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Into the file go: version and machine, the settings with their origins (secrets hidden), `check --online`, `status` and the metrics of a \
worker, the dead letters by reason, and, with --log, the last lines of its log. Nothing of a person: no names, no addresses, no values; \
ids of contacts and users may stand in log lines. Look through it before you send it.

Examples:
  contactsync support-bundle
  kubectl logs deploy/contactsync | contactsync support-bundle --log -
  contactsync support-bundle --offline -        settings and version only, printed")]
pub struct Args {
    /// The file to write; - prints it. Without this a new file contactsync-support-TIME.json.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The log of a worker, of which the last 2,000 lines are taken; - reads standard input.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Where a worker shows its status. Without this, the address in http.listen.
    #[arg(long, value_name = "URL")]
    worker: Option<Url>,
    /// Ask nobody: only what is known on this machine.
    #[arg(long)]
    offline: bool,
}

/// One part: a command of ours.
struct Part {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Whether it asks services.
    online: bool,
}

const PARTS: [Part; 5] = [
    Part { name: "settings", arguments: &["config", "show", "--json"], online: false },
    Part { name: "check", arguments: &["check", "--json"], online: false },
    Part { name: "checkOnline", arguments: &["check", "--online", "--json"], online: true },
    Part { name: "status", arguments: &["status", "--json"], online: true },
    Part { name: "deadLetters", arguments: &["dead-letters", "list", "--json"], online: true },
];

/// Gathers everything and writes the file.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    // First, since standard input may be a pipe whose other end is about to go.
    let log = args.log.as_deref().map(last_lines).transpose()?;
    let mut bundle = json!({
        "takenAt": clock::now().to_string(),
        "version": VERSION,
    });
    runtime()?.block_on(gather(global, args, &mut bundle))?;
    if let Some(lines) = log {
        bundle["log"] = json!(lines);
    }
    write(args.file.as_deref(), &json_text(&bundle))?;
    Ok(ExitCode::SUCCESS)
}

async fn gather(global: &Global, args: &Args, bundle: &mut Value) -> anyhow::Result<()> {
    let mut screen = Screen::new(None);
    for (done, part) in PARTS.iter().filter(|part| !(args.offline && part.online)).enumerate() {
        let told = format!("contactsync {}", part.arguments.join(" "));
        screen.at(done as u64, &told, || told.clone());
        let mut arguments: Vec<OsString> = part.arguments.iter().map(OsString::from).collect();
        if let (Some(worker), "status") = (&args.worker, part.name) {
            arguments.extend(["--worker".into(), worker.as_str().into()]);
        }
        arguments.extend(global.arguments());
        bundle[part.name] = outcome(&arguments).await?;
    }
    if !args.offline {
        screen.at(PARTS.len() as u64, "metrics of a worker", || "metrics of a worker".to_owned());
        bundle["metrics"] = metrics(global, args).await;
    }
    screen.end();
    Ok(())
}

/// Runs a command of ours and keeps what it said.
async fn outcome(arguments: &[OsString]) -> anyhow::Result<Value> {
    let this_program = settings::this_program().context("the path of this program is not known")?;
    let mut command = Command::new(&this_program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(PATIENCE, command.output()).await else {
        return Ok(json!({ "failure": format!("no end within {} s", PATIENCE.as_secs()) }));
    };
    let output = output.context("a part of the bundle cannot be started")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut told = json!({ "exitCode": output.status.code() });
    // Every part prints one document. What is none is kept as it is, for it is what went wrong.
    match serde_json::from_str::<Value>(&said) {
        Ok(document) => told["output"] = document,
        Err(_) if said.trim().is_empty() => {}
        Err(_) => told["text"] = lines(&said),
    }
    let aside = String::from_utf8_lossy(&output.stderr);
    if !aside.trim().is_empty() {
        told["errors"] = lines(&aside);
    }
    Ok(told)
}

fn lines(text: &str) -> Value {
    text.lines().map(|line| Value::from(shown(line).into_owned())).collect()
}

/// The page of metrics, or why there is none.
async fn metrics(global: &Global, args: &Args) -> Value {
    let asked = async {
        let settings = global.settings::<QueueAlone>().map_err(|error| error.to_string())?;
        let clients = wiring::clients(&settings.connection).map_err(|error| error.to_string())?;
        let worker = status::worker(&settings, args.worker.as_ref(), clients);
        worker.map_err(|error| error.to_string())??.page("/metrics").await
    };
    match asked.await {
        Ok(page) => json!({ "output": lines(&page) }),
        Err(why) => json!({ "failure": why }),
    }
}

/// The last lines of a log.
fn last_lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let context = || format!("cannot read {}", Shown(path.display()));
    let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).with_context(context)?))
    };
    let mut kept = VecDeque::with_capacity(LINES);
    while let Some(line) = next_line(&mut *reader).with_context(context)? {
        if kept.len() == LINES {
            kept.pop_front();
        }
        kept.push_back(shown(&line).into_owned());
    }
    Ok(kept.into())
}

/// The next line, or as much of it as is kept.
fn next_line(reader: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if io::Read::take(&mut *reader, LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn write(file: Option<&Path>, text: &str) -> anyhow::Result<()> {
    if file == Some(Path::new("-")) {
        return print(text);
    }
    let named =
        || PathBuf::from(format!("contactsync-support-{}.json", clock::now().strftime("%Y%m%dT%H%M%SZ")));
    let path = file.map_or_else(named, Path::to_path_buf);
    let told = Shown(path.display()).to_string();
    let mut output = private_file::create(&path).with_context(|| format!("cannot write {told}"))?;
    output.write_all(text.as_bytes()).with_context(|| format!("cannot write {told}"))?;
    print_words(&format!("Wrote {told}. Look through it before you send it to anybody.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_last_lines_are_kept_and_an_endless_one_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let long = "x".repeat(100_000);
        let text: Vec<_> = (0..LINES + 5).map(|number| format!("line {number}")).collect();
        let text = text.join("\n");
        std::fs::write(&path, format!("{text}\n{long}\n\u{1b}[31mlast")).expect("a file");
        let lines = last_lines(&path).expect("lines");
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 7");
        assert_eq!(lines[LINES - 2].len() as u64, LONGEST_LINE);
        assert_eq!(lines[LINES - 1], r"\u{1b}[31mlast");
    }
}
