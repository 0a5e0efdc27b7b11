//! `contactsync config`: a settings file to begin with, the effective settings, and a schema for editors.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use shared::shown::Shown;

use crate::{
    commands::{
        global::{BAD_SETTINGS, Global},
        json_text, print, print_error, print_words,
        terminal::print_aside,
    },
    private_file,
    settings::{self, Entries, Parts, SettingOrigin, SettingsProblems, SourcedValue, Targets},
};

/// The subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a starter settings file: every setting with its default and the reason for it.
    #[command(after_help = "\
Examples:
  contactsync config init                 writes contactsync.toml
  contactsync config init /etc/contactsync.toml
  contactsync config init -               prints it")]
    Init(Init),
    /// Print every setting with its value and origin. Secrets stay hidden.
    Show(ShowConfig),
    /// Print a JSON Schema of the settings, for editors that complete and check TOML.
    #[command(after_help = "\
Examples:
  contactsync config schema > contactsync.schema.json
  # Even Better TOML and others: put this line first into contactsync.toml
  #:schema ./contactsync.schema.json")]
    Schema,
}

/// Options of `config init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The file to write; - prints it.
    #[arg(default_value = "contactsync.toml")]
    file: PathBuf,
    /// Overwrite an existing file.
    #[arg(long)]
    force: bool,
}

/// Options of `config show`.
#[derive(Debug, clap::Args)]
pub struct ShowConfig {
    /// Only settings that someone has set.
    #[arg(long)]
    changed: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Does what the subcommand says.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(args) => init(args),
        Command::Show(args) => show(global, args),
        Command::Schema => {
            print(&json_text(&settings::schema()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn init(args: &Init) -> anyhow::Result<ExitCode> {
    let text = settings::starter();
    if args.file == Path::new("-") {
        print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = Shown(args.file.display());
    // It is made to be filled in with secrets: nobody else on the machine needs to read them.
    let made = if args.force { private_file::replace(&args.file) } else { private_file::create(&args.file) };
    match made {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(|| format!("cannot write {path}"))?;
        }
        Err(private_file::Error::Open(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{path} is there already, and may hold settings that work; --force writes over it");
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {path}")),
    }
    print_words(&format!(
        "Wrote {path}. Fill in what stands open in [service_bus] and [identity], then run: contactsync check\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn show(global: &Global, args: &ShowConfig) -> anyhow::Result<ExitCode> {
    let mut targets = global.targets()?;
    for parts in &mut targets.each {
        if args.changed {
            parts.entries.retain(|_, entry| entry.origin != SettingOrigin::Default);
        }
    }
    print(&if args.json { json_text(&all_as_json(&targets)) } else { tables(&targets) })?;
    let mut outdated: Vec<_> = targets.each.iter().flat_map(|parts| &parts.outdated).collect();
    outdated.dedup();
    for outdated in outdated {
        print_aside(&format!("warning: {outdated}"));
    }
    let problems = targets.take_problems();
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    // What cannot be used is not shown, so that it has to be said.
    print_error(&SettingsProblems(problems).into());
    Ok(ExitCode::from(BAD_SETTINGS))
}

/// The settings of each target, under its name if it has one.
fn tables(targets: &Targets) -> String {
    let one = |parts: &Parts| match &parts.target {
        Some(name) => format!("# target {name}\n{}", table(&parts.entries)),
        None => table(&parts.entries),
    };
    targets.each.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The settings; those of each target by its name, if they have names.
fn all_as_json(targets: &Targets) -> Value {
    match &*targets.each {
        [Parts { target: None, entries, .. }] => as_json(entries),
        each => each
            .iter()
            .filter_map(|parts| Some((parts.target.as_ref()?.to_string(), as_json(&parts.entries))))
            .collect(),
    }
}

/// Every setting with its value and its origin, one a line.
pub(super) fn table(entries: &Entries) -> String {
    let width = entries.keys().map(String::len).max().unwrap_or(0);
    entries.iter().fold(String::new(), |mut text, (key, entry)| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "{key:width$} = {}   # {}",
            Shown(settings::shown(key, entry)),
            Shown(origin(entry))
        );
        text
    })
}

fn as_json(entries: &Entries) -> Value {
    let settings = entries.iter().map(|(key, entry)| {
        let value = entry.told(key);
        let setting = json!({
            "value": value, "hidden": value.is_none(), "origin": origin(entry),
            "default": entry.origin == SettingOrigin::Default,
        });
        (key.clone(), setting)
    });
    Value::Object(settings.collect::<Map<_, _>>())
}

fn origin(entry: &SourcedValue) -> String {
    match &entry.file {
        Some(file) => format!("{}, file {}", entry.origin, file.display()),
        None => entry.origin.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Entries {
        let text = "[identity]\nclient_secret = \"s3cret\"\ntenant = \"t\"";
        Parts::of(Some((Path::new("x.toml"), text)), Vec::new()).expect("TOML").entries
    }

    #[test]
    fn secrets_are_hidden_and_origins_told() {
        let text = table(&entries());
        let line =
            |key: &str| text.lines().find(|line| line.starts_with(key)).map(str::trim).unwrap_or_default();
        assert!(!text.contains("s3cret"));
        assert!(line("identity.client_secret ").ends_with(" = (hidden)   # x.toml"), "{text}");
        assert!(line("identity.tenant ").ends_with(" = \"t\"   # x.toml"), "{text}");
        assert!(line("service_bus.connection_string ").ends_with(" = \"\"   # default"), "{text}");
        let json = as_json(&entries());
        assert!(!json.to_string().contains("s3cret"));
        assert_eq!(
            json["identity.client_secret"],
            json!({"value": null, "hidden": true, "origin": "x.toml", "default": false})
        );
        assert_eq!(json["pool.concurrency"]["value"], 16);
    }
}
