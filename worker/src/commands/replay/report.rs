//! What a run shows: a bar on a terminal, lines elsewhere, or JSON for machines; and the file of the audit.

use std::{borrow::Cow, fs::File, io::Write, path::Path, time::Duration};

use anyhow::Context;
use shared::shown::{Shown, brief};
use tokio::time::Instant;

use crate::{
    commands::{json_line, print, print_words, probes::counted, queues::none_match, screen::Screen},
    duration::exact,
    operate::{
        replay::{Audit, Event, Progress, ReplayEnd, Summary},
        status::units,
    },
    private_file,
};

/// Time between two lines of progress.
const PAUSE: Duration = Duration::from_secs(5);

/// How events are shown.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct EventForm {
    /// As lines of JSON.
    pub(in crate::commands) json: bool,
    /// With a line for each message, which JSON always has.
    pub(in crate::commands) verbose: bool,
}

/// Opens the file of the audit.
pub(super) fn audit(path: &Path) -> anyhow::Result<File> {
    // It tells who was written and why, which is nobody else's business on this machine.
    private_file::append(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Shows events.
pub(in crate::commands) struct Report {
    form: EventForm,
    audit: Option<File>,
    screen: Screen,
    told: Instant,
    failed: Option<anyhow::Error>,
}

impl Report {
    pub(in crate::commands) fn new(form: EventForm, audit: Option<File>, of: u64) -> Self {
        Self { form, audit, screen: Screen::new(Some(of)), told: Instant::now(), failed: None }
    }

    /// Shows one event. That it cannot be shown never stops a run; it is told in the end.
    pub(in crate::commands) fn tell(&mut self, event: &Event) {
        let told = self.record(event).and_then(|()| self.show(event));
        if let Err(error) = told {
            self.failed.get_or_insert(error);
        }
    }

    pub(in crate::commands) fn finished(&mut self, summary: &Summary) {
        self.screen.end();
        self.tell(&Event::Finished(summary.clone()));
    }

    /// Whether everything could be shown and recorded.
    pub(in crate::commands) fn end(self) -> anyhow::Result<()> {
        self.failed
            .map_or(Ok(()), |error| Err(error.context("the run went on, but not all of it could be told")))
    }

    fn record(&mut self, event: &Event) -> anyhow::Result<()> {
        match (&mut self.audit, event) {
            (None, _) | (Some(_), Event::Progress(_) | Event::Waiting(_)) => Ok(()),
            (Some(file), event) => {
                file.write_all(json_line(&event.json()).as_bytes()).context("cannot write the audit file")
            }
        }
    }

    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        if self.form.json {
            let rare = matches!(event, Event::Progress(_)) && !self.is_time();
            return if rare { Ok(()) } else { print(&json_line(&event.json())) };
        }
        match event {
            Event::Progress(progress) => {
                let note = note(progress);
                if progress.rest.is_some() {
                    self.screen.goes_on();
                }
                if self.screen.is_terminal() {
                    self.screen.at(progress.replayed, &note, String::new);
                } else if self.is_time() {
                    print_words(&format!("{} of {} done {note}\n", progress.replayed, progress.members))?;
                }
                Ok(())
            }
            Event::Waiting(what) => {
                self.screen.waiting(&format!("waiting {what}"));
                Ok(())
            }
            Event::Finished(summary) => print_words(&conclusion(summary)),
            Event::Started { members: 0, looked_at, .. } => print_words(&none_match(*looked_at)),
            Event::Started { replay, members, looked_at } => print_words(&format!(
                "{} of {} chosen; run {replay}\n",
                units::count(*members),
                counted(*looked_at, "dead letter")
            )),
            Event::Replayed(_) | Event::Removed(_) if !self.form.verbose => Ok(()),
            Event::Replayed(audit) => self.line(&replayed(audit)),
            Event::Removed(letter) => {
                self.line(&format!("removed {} {}", letter.sequence, word(&letter.reason)))
            }
            Event::Left { sequence, why } => self.line(&format!("left {sequence}: {}", Shown(why))),
        }
    }

    fn line(&self, text: &str) -> anyhow::Result<()> {
        if self.screen.is_terminal() {
            self.screen.say(text);
            return Ok(());
        }
        print_words(&format!("{text}\n"))
    }

    fn is_time(&mut self) -> bool {
        let time = self.told.elapsed() >= PAUSE;
        if time {
            self.told = Instant::now();
        }
        time
    }
}

/// What stands on a dead letter, in a line of text.
fn word(text: &str) -> Cow<'_, str> {
    brief(text, 80)
}

fn replayed(audit: &Audit) -> String {
    let letter = &audit.letter;
    let mut text = format!("replayed {} {}", letter.sequence, word(&letter.reason));
    for part in [&letter.code, &letter.target].into_iter().flatten() {
        text.push(' ');
        text.push_str(&word(part));
    }
    text.push_str(" as ");
    text.push_str(&audit.message_id);
    if !audit.completed {
        text.push_str(", its dead letter is not out of the queue yet");
    }
    text
}

fn note(progress: &Progress) -> String {
    let rest = progress.rest.map(|rest| format!("about {} left", exact(rest)));
    let outcomes = match (progress.well, progress.failed) {
        (0, 0) => None,
        (well, failed) => Some(format!("({well} well, {})", again(failed))),
    };
    rest.into_iter().chain(outcomes).collect::<Vec<_>>().join("  ")
}

fn again(failed: u64) -> String {
    format!("{} again", counted(failed, "dead letter"))
}

fn conclusion(summary: &Summary) -> String {
    let Summary { progress, open, watched, gone, left, took, end, .. } = summary;
    let seconds = took.as_secs_f64();
    let mut parts = vec![format!("{} of {} done in {seconds:.1} s", progress.replayed, progress.members)];
    if *watched {
        let (well, failed) = (progress.well, progress.failed);
        parts.push(format!("{well} well, {}, {open} not known yet", again(failed)));
    }
    for (count, what) in [(gone, "were gone before their turn"), (left, "could not be copied and stay")] {
        if *count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if progress.members == 0 && *end == ReplayEnd::Done {
        return String::new();
    }
    let end = if *end == ReplayEnd::Done { String::new() } else { end.explain() + "\n" };
    format!("{}\n{end}", parts.join("; "))
}
