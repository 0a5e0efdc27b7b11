//! `contactsync decode`: what a captured body says.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use shared::{
    decode::{self, Format},
    shown::json,
};

use crate::commands::{body, print};

/// Options of `decode`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The body of a message; - reads standard input.
    file: PathBuf,
    /// Content type of the message. Rarely needed, because the bytes themselves tell the format.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// How much of the types to show.
    #[arg(long, value_enum, default_value_t)]
    view: View,
    /// Print it on one line.
    #[arg(long)]
    line: bool,
}

/// How much of the types to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum View {
    /// What the body itself tells: all types in XML and binary XML, few in JSON.
    #[default]
    Auto,
    /// All types; refused for JSON, which does not carry them.
    Full,
    /// Only what JSON would tell, for comparing bodies of different formats.
    Json,
}

/// Prints a body as JSON.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let body = body::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let shown =
        show(&body, args, !args.line).with_context(|| format!("cannot decode {}", args.file.display()))?;
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

fn show(body: &[u8], args: &Args, pretty: bool) -> anyhow::Result<String> {
    let payload = decode::open(body, args.content_type.as_deref())?;
    let view = match args.view {
        View::Full if payload.format() == Format::Json => {
            bail!("JSON does not carry the types of the full view")
        }
        View::Auto | View::Full => decode::View::Full,
        View::Json => decode::View::Json,
    };
    let context = payload.context()?;
    let shown = context.shown(view);
    let text = if pretty { serde_json::to_string_pretty(&shown)? } else { serde_json::to_string(&shown)? };
    Ok(json(&text).into_owned() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &[u8] = br#"{"Depth":1,"InputParameters":[{"key":"a","value":1.50}]}"#;

    fn args(view: View) -> Args {
        Args { file: PathBuf::from("-"), content_type: None, view, line: true }
    }

    #[track_caller]
    fn check(body: &[u8], view: View, expected: Result<&str, &str>) {
        let shown = show(body, &args(view), false).map_err(|error| format!("{error:#}"));
        assert_eq!(shown.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_body_is_shown_as_one_line_of_json() {
        let expected = "{\"Depth\":1,\"InputParameters\":[[\"a\",{\"t\":\"number\",\"v\":\"1.50\"}]]}\n";
        check(JSON, View::Auto, Ok(expected));
        check(JSON, View::Json, Ok(expected));
    }

    #[test]
    fn a_view_that_the_format_cannot_give_is_refused() {
        check(JSON, View::Full, Err("JSON does not carry the types of the full view"));
    }

    #[test]
    fn what_is_no_context_is_refused_in_one_line() {
        check(b"{", View::Auto, Err("body ends too early at byte 1"));
        check(b"", View::Auto, Err("body is empty"));
    }

    #[test]
    fn a_person_gets_it_indented() {
        let shown = show(b"{\"Depth\":1}", &args(View::Auto), true).expect("a context");
        assert_eq!(shown, "{\n  \"Depth\": 1\n}\n");
    }
}
