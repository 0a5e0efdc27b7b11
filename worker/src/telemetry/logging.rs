//! The log: text for people, JSON for machines.
//!
//! Both repeat words of brokers, directories and neighbours. What commands a terminal or hides from the eye is written
//! out in either, one event is one line, and no field is longer than anybody reads.

use std::{
    cell::RefCell,
    fmt::Debug,
    io::{self, IsTerminal, Write},
};

use anyhow::Context;
use serde_json::{Map, Value};
use shared::{
    shown::{brief, json},
    target::TargetName,
};
use tracing::field::Field;
use tracing_subscriber::{
    field::MakeExt,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter, format::Writer},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

use crate::settings::{LogFormat, Telemetry, wants_colour};

/// Longest field of a line of text, in characters. The longest of ours is the description of a dead letter.
const LONGEST_FIELD: usize = 4_096;

/// A document of JSON that is longer, in bytes, is looked through for what makes it so.
const LONG: usize = 4 * LONGEST_FIELD;

/// The target of lines about writes, so that they can be told from all others and kept elsewhere.
pub(crate) const AUDIT: &str = "contactsync::audit";

thread_local! {
    /// Which of several targets the events of this thread are about.
    static TARGET: RefCell<Option<TargetName>> = const { RefCell::new(None) };
}

/// Which target the events of this thread are about, if that was said.
fn target() -> Option<TargetName> {
    TARGET.try_with(|target| target.borrow().clone()).ok().flatten()
}

/// From now on every event of this thread says which target it is about.
pub(crate) fn speak_for(target: &TargetName) {
    TARGET.set(Some(target.clone()));
}

/// Starts logging to standard error, once per process.
pub(crate) fn start(settings: &Telemetry) -> anyhow::Result<()> {
    let filter: Targets = settings.log_level.parse().context("telemetry.log_level is not a log filter")?;
    let filter = if settings.audit { filter.with_target(AUDIT, LevelFilter::INFO) } else { filter };
    let terminal = io::stderr().is_terminal();
    let json = match settings.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let (log, lines) = (registry().with(filter), fmt::layer().with_ansi(terminal && wants_colour()));
    let started = if json {
        log.with(lines.json().flatten_event(true).with_writer(Documents(io::stderr))).try_init()
    } else {
        let fields = fmt::format::debug_fn(field).delimited(" ");
        log.with(lines.compact().fmt_fields(fields).with_writer(Lines(io::stderr))).try_init()
    };
    started.context("the log is in use already")
}

/// A field of a line of text.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = brief(&value, LONGEST_FIELD);
    match field.name() {
        "message" => writer.write_str(&value),
        name if writer.has_ansi_escapes() => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

/// Writes lines of text, one event at a time.
struct Lines<M>(M);

/// One event on its way.
struct Line<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: Write> Write for Line<W> {
    /// The formatter writes a whole event at once.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        match target() {
            Some(target) => {
                let mut line = event.strip_suffix(b"\n").unwrap_or(event).to_vec();
                line.extend(format!(" directory={target}\n").bytes());
                self.0.write_all(&line)?;
            }
            None => self.0.write_all(event)?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes documents of JSON, one event at a time.
struct Documents<M>(M);

/// One event on its way.
struct Document<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Documents<M> {
    type Writer = Document<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Document(self.0.make_writer())
    }
}

impl<W: Write> Write for Document<W> {
    /// The formatter writes a whole event at once.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut text = String::from_utf8_lossy(event);
        if let Some(target) = target()
            && let Some(rest) = text.strip_prefix('{')
        {
            // The formatter calls the module of an event its target.
            text = format!("{{\"directory\":\"{target}\",{rest}").into();
        }
        let cut = (event.len() > LONG).then(|| shortened(&text)).flatten();
        self.0.write_all(json(&cut.unwrap_or_else(|| text.into_owned())).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An event without the ends of its long fields.
fn shortened(event: &str) -> Option<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(event).ok()?;
    for value in fields.values_mut() {
        if let Value::String(text) = value {
            *text = brief(text, LONGEST_FIELD).into_owned();
        }
    }
    Some(format!("{}\n", Value::Object(fields)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const POISON: &str = "a\x1b[2J\r\nfake line\u{9b}31m\u{202e}b\u{2028}\u{e0041}";

    fn log() {
        let error = io::Error::other(POISON);
        tracing::warn!(%error, text = POISON, number = 7, flag = true, long = "x".repeat(10_000), "{POISON} told");
    }

    #[test]
    fn text_is_one_line_an_event_and_commands_nothing() {
        let paper = Paper::default();
        let writer = {
            let paper = paper.clone();
            move || paper.clone()
        };
        let fields = fmt::format::debug_fn(field).delimited(" ");
        with_default(
            fmt::fmt().with_ansi(false).compact().fmt_fields(fields).with_writer(writer).finish(),
            log,
        );
        let text = paper.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(shared::shown::is_hidden), "{text}");
        assert!(
            text.contains("number=7 flag=true") && text.contains(r"error=a\u{1b}[2J\u{d}\u{a}fake"),
            "{text}"
        );
        assert!(text.len() < LONGEST_FIELD + 1_000);
    }

    #[test]
    fn a_document_is_one_line_an_event_and_says_what_was_logged() {
        let paper = Paper::default();
        let writer = {
            let paper = paper.clone();
            Documents(move || paper.clone())
        };
        with_default(fmt::fmt().json().flatten_event(true).with_writer(writer).finish(), log);
        let text = paper.text();
        assert!(text.lines().count() == 1 && !text.trim_end().contains(shared::shown::is_hidden), "{text}");
        let event: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&event["text"], &event["number"]), (&POISON.into(), &7.into()));
        assert_eq!(event["long"].as_str().map(str::len), Some(10_000));
    }

    #[test]
    fn an_event_says_which_target_it_is_about() {
        let told = || tracing::info!(number = 7, "told");
        let written = |named: bool| {
            let (lines, documents) = (Paper::default(), Paper::default());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    if named {
                        speak_for(&TargetName::parse("b2c").expect("a name"));
                    }
                    let paper = lines.clone();
                    let writer = Lines(move || paper.clone());
                    with_default(fmt::fmt().with_ansi(false).compact().with_writer(writer).finish(), told);
                    let paper = documents.clone();
                    let writer = Documents(move || paper.clone());
                    with_default(fmt::fmt().json().flatten_event(true).with_writer(writer).finish(), told);
                });
            });
            (lines.text(), documents.text())
        };
        let (line, document) = written(true);
        assert!(line.ends_with("number=7 directory=b2c\n") && line.lines().count() == 1, "{line}");
        let event: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!((&event["directory"], &event["number"]), (&"b2c".into(), &7.into()));
        let (line, document) = written(false);
        assert!(!line.contains("directory") && !document.contains("directory"), "{line}{document}");
    }

    #[test]
    fn a_field_without_an_end_gets_one() {
        let paper = Paper::default();
        let writer = {
            let paper = paper.clone();
            Documents(move || paper.clone())
        };
        let long = || tracing::warn!(long = "x".repeat(1_000_000), number = 7, "told");
        with_default(fmt::fmt().json().flatten_event(true).with_writer(writer).finish(), long);
        let text = paper.text();
        assert!(text.len() < LONG, "{} bytes", text.len());
        let event: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&event["message"], &event["number"]), (&"told".into(), &7.into()));
    }
}
