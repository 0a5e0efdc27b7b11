//! `contactsync check`: whether the settings can work.

use std::{collections::BTreeSet, fmt::Write, process::ExitCode};

use serde_json::{Value, json};

use crate::{
    check::{self, Finding, Severity, Surroundings, permissions},
    cli::{BAD_SETTINGS, Cli},
    commands::{config, print},
    config::{Parts, environment, examine},
};

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync check                       the settings alone, without any network
  contactsync check --replicas 3 --strict for a pipeline: warnings fail too

Exit codes: 0 nothing is wrong, 1 a warning with --strict, 78 the settings cannot work.")]
pub struct Args {
    /// How many replicas run; some findings depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replicas: Option<u32>,
    /// Fail for warnings, too.
    #[arg(long)]
    strict: bool,
    /// Also list every setting with its value and where it comes from, as `config show` does.
    #[arg(long)]
    list: bool,
    /// Print JSON instead of text.
    #[arg(long, conflicts_with = "list")]
    json: bool,
}

/// Looks at the settings and tells everything it found.
pub fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let parts = examine(&cli.file(), environment())?;
    let findings = check::findings(&parts, Surroundings { replicas: args.replicas });
    if args.list {
        print(&config::table(&parts.entries))?;
    }
    let told = if args.json { as_json(&parts, &findings) } else { as_text(&parts, &findings) };
    print(&told)?;
    Ok(code(&findings, args.strict))
}

fn code(findings: &[Finding], strict: bool) -> ExitCode {
    match (count(findings, Severity::Error), count(findings, Severity::Warning)) {
        (0, warnings) if warnings > 0 && strict => ExitCode::FAILURE,
        (0, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(BAD_SETTINGS),
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn as_text(parts: &Parts, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        line(&mut text, &finding.to_string());
    }
    if !findings.is_empty() {
        text.push('\n');
    }
    for (what, value) in summary(parts) {
        line(&mut text, &format!("{what:12}{value}"));
    }
    let errors = count(findings, Severity::Error);
    let verdict = if errors == 0 { "The settings can work" } else { "The settings cannot work" };
    let (warnings, notes) = (count(findings, Severity::Warning), count(findings, Severity::Note));
    let counts = [(errors, "error"), (warnings, "warning"), (notes, "note")];
    let counts = counts.map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
    line(&mut text, &format!("{verdict}: {}.", counts.join(", ")));
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{line}");
}

/// What the settings come to, as far as they can be read.
fn summary(parts: &Parts) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(bus) = &parts.bus {
        lines.push(("takes from", format!("{} at {}", bus.source, bus.endpoint.authority())));
    }
    if let Some(identity) = &parts.identity {
        lines.push(("writes as", identity.credential.to_string()));
    }
    if let Some(planner) = &parts.planner {
        let rows = planner.mapping.rows().iter().map(|row| format!("{} to {}", row.source, row.property));
        lines.push(("maps", rows.collect::<Vec<_>>().join(", ")));
        lines.push(("needs", permissions(parts).into_iter().collect::<Vec<_>>().join(", ")));
    }
    lines
}

/// The permissions that the app is given as a rule for these settings.
fn permissions(parts: &Parts) -> BTreeSet<&'static str> {
    let (Some(planner), Some(graph)) = (&parts.planner, &parts.graph) else { return BTreeSet::new() };
    permissions::needs(planner, &graph.reading).iter().map(permissions::Need::usual).collect()
}

fn as_json(parts: &Parts, findings: &[Finding]) -> String {
    let value = json!({
        "ok": count(findings, Severity::Error) == 0,
        "errors": count(findings, Severity::Error),
        "warnings": count(findings, Severity::Warning),
        "notes": count(findings, Severity::Note),
        "permissions": permissions(parts),
        "findings": findings.iter().map(Finding::json).collect::<Vec<Value>>(),
    });
    format!("{value:#}\n")
}
