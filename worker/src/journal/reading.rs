//! Reading what replicas have kept: every file of a directory, entry by entry. What is no entry is counted and passed over:
//! a process may have been killed within a line, and another version may tell what this one does not know.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use jiff::Timestamp;

use super::{
    entry::Entry,
    key::Tag,
    names::{self, slot_of},
};

/// Longest line that is read. The longest of ours names a thousand contacts.
const LONGEST: u64 = 1 << 20;

/// Where an entry is from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The replica: host and slot.
    pub(crate) replica: String,
    /// The run; empty before the first one is named.
    pub(crate) run: String,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Files.
    pub(crate) files: usize,
    /// Entries.
    pub(crate) entries: u64,
    /// Lines that are none.
    pub(crate) unreadable: u64,
    /// The oldest and the newest of them.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
}

impl Reading {
    /// This and what was read elsewhere.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let both = self.span.zip(other.span);
        Self {
            files: self.files + other.files,
            entries: self.entries + other.entries,
            unreadable: self.unreadable + other.unreadable,
            span: both.map(|(one, two)| (one.0.min(two.0), one.1.max(two.1))).or(self.span).or(other.span),
        }
    }
}

/// An entry as a line.
type Line = (i64, Entry<Tag>);

/// The line of an entry, with its end.
pub(super) fn line(at: Timestamp, entry: &Entry<Tag>, lines: &mut Vec<u8>) {
    // What fails to serialize is left out as a whole; nothing of ours does.
    let begun = lines.len();
    if serde_json::to_writer(&mut *lines, &(at.as_millisecond(), entry)).is_err() {
        lines.truncate(begun);
        return;
    }
    lines.push(b'\n');
}

/// Reads every file of a directory, each in its order, and shows each entry.
pub(crate) fn read(
    directory: &Path,
    mut each: impl FnMut(&Place, Timestamp, Entry<Tag>),
) -> io::Result<Reading> {
    let mut reading = Reading::default();
    let mut place = Place { replica: String::new(), run: String::new() };
    for path in names::entries(directory)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let replica = slot_of(&name);
        if place.replica != replica {
            place = Place { replica: replica.to_owned(), run: String::new() };
        }
        // A file that is rotated away at this moment is there under its other name.
        let Ok(file) = File::open(&path) else { continue };
        reading.files += 1;
        each_line(file, |line| {
            let Some((at, entry)) = line.and_then(parse) else {
                reading.unreadable += 1;
                return;
            };
            reading.entries += 1;
            let (first, last) = reading.span.unwrap_or((at, at));
            reading.span = Some((first.min(at), last.max(at)));
            if let Entry::Began { run, .. } = &entry {
                place.run.clone_from(run);
            }
            each(&place, at, entry);
        })?;
    }
    Ok(reading)
}

/// When the first entry of a file was made.
pub(super) fn first_time(path: &Path) -> Option<Timestamp> {
    let mut line = Vec::new();
    BufReader::new(File::open(path).ok()?.take(LONGEST)).read_until(b'\n', &mut line).ok()?;
    parse(&line).map(|(at, _)| at)
}

fn parse(line: &[u8]) -> Option<(Timestamp, Entry<Tag>)> {
    let (at, entry): Line = serde_json::from_slice(line).ok()?;
    Some((Timestamp::from_millisecond(at).ok()?, entry))
}

/// Shows each line, and nothing in place of one that is too long. Empty lines are none.
fn each_line(file: impl Read, mut each: impl FnMut(Option<&[u8]>)) -> io::Result<()> {
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    loop {
        line.clear();
        let read = file.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && read as u64 == LONGEST {
            file.skip_until(b'\n')?;
            each(None);
            continue;
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            each(Some(text));
        }
    }
}
