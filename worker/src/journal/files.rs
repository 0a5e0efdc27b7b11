//! The files of the journal: a current and an old one for each replica, bounded in size and age.
//!
//! Replicas may share a directory. Each holds the lock of a slot and writes the files of that slot, so no two write one
//! file; a replica that starts again goes on with the files that it had.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    key,
    names::{ENTRIES, OLD},
    reading,
};
use crate::private_file;

const LOCK: &str = ".lock";
/// Replicas of one host in one directory.
const SLOTS: u32 = 64;

/// The journal cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// A file cannot be opened.
    #[error("{0} cannot be opened")]
    Open(PathBuf, #[source] private_file::Error),
    /// A file cannot be written, renamed or looked at.
    #[error("{0} cannot be written")]
    Write(PathBuf, #[source] io::Error),
    /// Too many replicas of one host.
    #[error(
        "{0} replicas of this host already keep their journals in the directory; give this one another journal.path"
    )]
    Crowded(u32),
}

/// Bounds of the files of one replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of both files together.
    pub(crate) bytes: u64,
    /// How long entries are kept.
    pub(crate) keep: Duration,
}

/// The files of one replica, being written.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    slot: String,
    bounds: Bounds,
    file: File,
    length: u64,
    /// When the first entry of the current file was made.
    since: Timestamp,
    /// Whether the file may end within a line.
    torn: bool,
    /// Held as long as this lives.
    _lock: File,
}

impl Log {
    /// Opens the files of a slot of this host that is free.
    pub(super) fn open(directory: &Path, host: &str, bounds: Bounds, now: Timestamp) -> Result<Self, Error> {
        let (slot, lock) = free_slot(directory, host)?;
        remove_forgotten(directory, bounds.keep, now);
        let path = directory.join(format!("{slot}{ENTRIES}"));
        let mut file = private_file::open(&path).map_err(|error| Error::Open(path.clone(), error))?;
        let (length, torn) = end_of(&mut file).map_err(|error| Error::Write(path.clone(), error))?;
        let since = reading::first_time(&path).unwrap_or(now);
        let directory = directory.to_owned();
        Ok(Self { directory, slot, bounds, file, length, since, torn, _lock: lock })
    }

    /// Whether so many more bytes belong into a new file.
    pub(super) fn is_full(&self, bytes: usize, now: Timestamp) -> bool {
        let half = SignedDuration::try_from(self.bounds.keep / 2).unwrap_or(SignedDuration::MAX);
        let age = now.duration_since(self.since);
        self.length > 0 && (self.length + bytes as u64 > self.bounds.bytes / 2 || age > half)
    }

    /// Makes the current file the old one, and begins another.
    pub(super) fn rotate(&mut self, now: Timestamp) -> Result<(), Error> {
        let (path, old) = (self.path(ENTRIES), self.path(OLD));
        fs::rename(&path, &old).map_err(|error| Error::Write(path.clone(), error))?;
        self.file = private_file::open(&path).map_err(|error| Error::Open(path.clone(), error))?;
        (self.length, self.since, self.torn) = (0, now, false);
        remove_forgotten(&self.directory, self.bounds.keep, now);
        Ok(())
    }

    /// Removes what has been kept long enough.
    pub(super) fn expire(&self, now: Timestamp) {
        remove_if_older(&self.path(OLD), self.bounds.keep / 2, now);
    }

    /// Writes whole lines at the end.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        let begin: &[u8] = if self.torn { b"\n" } else { b"" };
        // Whatever fails may have written a part.
        self.torn = true;
        let written = self.file.write_all(begin).and_then(|()| self.file.write_all(lines));
        written.map_err(|error| Error::Write(self.path(ENTRIES), error))?;
        self.torn = false;
        self.length += (begin.len() + lines.len()) as u64;
        Ok(())
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}{ending}", self.slot))
    }
}

/// The first slot of a host whose lock nobody holds.
fn free_slot(directory: &Path, host: &str) -> Result<(String, File), Error> {
    let host: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(64).collect();
    for number in 1..=SLOTS {
        let slot = format!("{host}.{number}");
        let path = directory.join(format!("{slot}{LOCK}"));
        let lock = private_file::open(&path).map_err(|error| Error::Open(path.clone(), error))?;
        match lock.try_lock() {
            Ok(()) => return Ok((slot, lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Error::Write(path, error)),
        }
    }
    Err(Error::Crowded(SLOTS))
}

/// Goes to the end. Returns how long the file is, and whether it ends within a line: a process was killed there.
fn end_of(file: &mut File) -> io::Result<(u64, bool)> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok((0, false));
    }
    file.seek(SeekFrom::Start(length - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok((file.seek(SeekFrom::End(0))?, last != *b"\n"))
}

/// Removes what replicas have left that are no more. Those that live write to theirs, or rotate them.
fn remove_forgotten(directory: &Path, keep: Duration, now: Timestamp) {
    let Ok(files) = fs::read_dir(directory) else { return };
    for file in files.flatten() {
        let name = file.file_name();
        if name.to_string_lossy().ends_with(ENTRIES) {
            remove_if_older(&file.path(), keep, now);
        }
    }
}

fn remove_if_older(path: &Path, keep: Duration, now: Timestamp) {
    let changed = fs::metadata(path).and_then(|file| file.modified()).ok().map(Timestamp::try_from);
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    if let Some(Ok(changed)) = changed
        && now.duration_since(changed) > keep
    {
        // What cannot be removed now is tried again later.
        fs::remove_file(path).ok();
    }
}
