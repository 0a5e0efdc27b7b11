//! The state file: written anew as a whole when a run begins and ends, and by a line before each message.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use shared::{
    drift::{Baseline, LastRun, ReconcileState, StateScope},
    ids::{ContactId, SequenceNumber},
};
use uuid::Uuid;

use super::{DriftPlan, ReconcileError};
use crate::private_file;

/// Nothing longer is a state of ours: ten million lines.
const LONGEST: u64 = 1 << 30;

/// The state of a run, in memory and in its file, if there is one.
pub(crate) struct StateFile {
    state: ReconcileState,
    path: Option<PathBuf>,
    lines: Option<File>,
}

impl StateFile {
    /// What the file tells of earlier runs with these settings; nothing without a file.
    pub(crate) fn open(path: Option<&Path>, settings: StateScope) -> Result<Self, ReconcileError> {
        let mut text = String::new();
        if let Some(path) = path {
            private_file::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        }
        let state = ReconcileState::read(&text, &settings).unwrap_or_else(|| {
            if !text.is_empty() {
                tracing::warn!("the state file is of other settings, or damaged; nothing in it counts");
            }
            ReconcileState::new(settings)
        });
        Ok(Self { state, path: path.map(Into::into), lines: None })
    }

    /// The last full run.
    pub(crate) fn last(&self) -> Option<LastRun> {
        self.state.last
    }

    /// The run that was not ended, if there is one.
    pub(crate) fn unfinished(&self) -> Option<Uuid> {
        self.state.run
    }

    /// The contact of a message of that run.
    pub(crate) fn contact(&self, number: SequenceNumber) -> Option<ContactId> {
        usize::try_from(number.0).ok().and_then(|number| self.state.posted.get(number)).copied()
    }

    /// Goes on with the run that was not ended, or begins this one; tells which it is.
    pub(crate) fn begin(&mut self, run: Uuid) -> Result<Uuid, ReconcileError> {
        let run = *self.state.run.get_or_insert(run);
        self.lines = self.rewrite()?;
        Ok(run)
    }

    /// The number of a message that is about to be sent.
    pub(crate) fn number(&mut self, contact: ContactId) -> Result<SequenceNumber, ReconcileError> {
        if let Some(lines) = &mut self.lines {
            lines.write_all(ReconcileState::line(contact).as_bytes())?;
        }
        let number = i64::try_from(self.state.posted.len()).unwrap_or(i64::MAX);
        self.state.posted.push(contact);
        Ok(SequenceNumber(number))
    }

    /// Whether it is of these settings.
    pub(crate) fn is_of(&self, settings: &StateScope) -> bool {
        self.state.settings == *settings
    }

    /// Where the last run has left off, if that is known.
    pub(crate) fn baseline(&self) -> Option<&Baseline> {
        self.state.baseline.as_ref()
    }

    /// Notes what a run has read: its counts if it has read everything, and where the next one goes on.
    pub(crate) fn read(&mut self, plan: &DriftPlan) -> Result<(), ReconcileError> {
        let totals = &plan.totals;
        if plan.full {
            let (contacts, users, linked) = (totals.contacts, totals.users, totals.linked);
            let at = plan.begun.as_millisecond();
            self.state.last = Some(LastRun { contacts, users, linked, at });
        }
        self.state.baseline.clone_from(&plan.baseline);
        self.lines = self.rewrite()?;
        Ok(())
    }

    /// Nothing is known any more of where to go on.
    pub(crate) fn forget(&mut self) {
        self.state.baseline = None;
    }

    /// Ends the run: whatever it has posted is consumed.
    pub(crate) fn end(&mut self) -> Result<(), ReconcileError> {
        self.state.run = None;
        self.state.posted.clear();
        self.lines = self.rewrite()?;
        Ok(())
    }

    /// Writes all of it beside the file, and puts it in its place.
    fn rewrite(&self) -> Result<Option<File>, ReconcileError> {
        let Some(path) = &self.path else { return Ok(None) };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        let mut file = private_file::replace(&beside)?;
        file.write_all(self.state.write().as_bytes()).and_then(|()| file.sync_all())?;
        fs::rename(&beside, path)?;
        Ok(Some(file))
    }
}
