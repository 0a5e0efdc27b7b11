//! The messages of an exported file that are meant.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
};

use jiff::Timestamp;
use servicebus::Message;
use shared::plan::Planner;

use crate::operate::dead_letters::{Selection, record};

/// A file, read line by line.
pub(crate) struct File {
    lines: io::Lines<BufReader<fs::File>>,
    line: usize,
    selection: Selection,
    planner: Planner,
    now: Timestamp,
    left: u64,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be read.
    #[error("line {line} cannot be read")]
    Read {
        /// Which line.
        line: usize,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A line is no record.
    #[error("line {line}")]
    Record {
        /// Which line.
        line: usize,
        /// Why not.
        #[source]
        cause: record::Error,
    },
}

impl File {
    /// Opens a file; ages are as of `now`.
    pub(crate) fn open(
        path: &Path,
        selection: &Selection,
        planner: &Planner,
        now: Timestamp,
    ) -> io::Result<Self> {
        Ok(Self {
            lines: BufReader::new(fs::File::open(path)?).lines(),
            line: 0,
            selection: selection.clone(),
            planner: planner.clone(),
            now,
            left: selection.limit.unwrap_or(u64::MAX),
        })
    }

    /// The next message that is meant.
    pub(crate) fn take(&mut self) -> Result<Option<Message>, Error> {
        while self.left > 0 {
            let Some(text) = self.lines.next() else { return Ok(None) };
            self.line += 1;
            let line = self.line;
            let text = text.map_err(|cause| Error::Read { line, cause })?;
            let message = record::Record::parse(&text).and_then(record::Record::message);
            let message = message.map_err(|cause| Error::Record { line, cause })?;
            if self.selection.matches(&message, self.now, &self.planner) {
                self.left -= 1;
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}
