//! What was told, in a file, so that a restart repeats nothing.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use shared::{notices::SavedDesk, reason::chain};
use tokio::{sync::oneshot, time::timeout};

use crate::private_file;

/// The form that is written and read.
const FORM: u32 = 1;
/// More is no file of ours.
const LONGEST: u64 = 4 << 20;

/// Longest time to wait for the disk at the end.
pub(super) const LAST_WRITE: Duration = Duration::from_secs(1);

/// What each channel was told, by its name.
type Told = BTreeMap<String, SavedDesk>;

/// Writes the file on a thread of its own, because a disk may be slow or gone.
pub(super) struct Keeper {
    told: mpsc::Sender<Told>,
    ended: oneshot::Receiver<()>,
}

impl Keeper {
    /// Begins to keep; nothing if there can be no thread.
    pub(super) fn start(path: PathBuf) -> Option<Self> {
        let ((told, latest), (end, ended)) = (mpsc::channel(), oneshot::channel());
        let started = thread::Builder::new().name("notify state".into()).spawn(move || {
            while let Ok(mut told) = latest.recv() {
                // Only the newest counts.
                while let Ok(newer) = latest.try_recv() {
                    told = newer;
                }
                if let Err(error) = write(&path, told) {
                    tracing::warn!(error = %chain(&error), "what was told cannot be kept; a restart may tell it again");
                }
            }
            // Nobody waits any more if it took too long.
            end.send(()).ok();
        });
        match started {
            Ok(_) => Some(Self { told, ended }),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "what is told is not kept, because its thread cannot be started");
                None
            }
        }
    }

    /// Keeps this in place of what was kept before.
    pub(super) fn keep(&self, told: Told) {
        // An error is a thread that has ended, and said why.
        self.told.send(told).ok();
    }

    /// Waits until the last is written, but not for long.
    pub(super) async fn finish(self) {
        drop(self.told);
        if timeout(LAST_WRITE, self.ended).await.is_err() {
            tracing::warn!("what was told could not be kept in time");
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    form: u32,
    channels: Told,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// It cannot be read or written.
    #[error("notify.state_file cannot be used; see that its folder is there and may be written")]
    Io(#[from] io::Error),
    /// Something else is there.
    #[error("notify.state_file names what is no file of contactsync")]
    File(#[from] private_file::Error),
    /// It holds something else.
    #[error("notify.state_file holds what contactsync has not written; name another file, or remove it")]
    Form(#[source] Option<serde_json::Error>),
}

/// Reads what each channel was told; nothing if there is no file yet.
pub(super) fn read(path: &Path) -> Result<Told, StateError> {
    let text = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Ok(there) if there.len() > LONGEST || !there.is_file() => return Err(StateError::Form(None)),
        Ok(_) => std::fs::read(path)?,
        Err(error) => return Err(error.into()),
    };
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| StateError::Form(Some(error)))?;
    if kept.form == FORM { Ok(kept.channels) } else { Err(StateError::Form(None)) }
}

/// Writes it, so that there is a whole file whenever somebody looks.
pub(super) fn write(path: &Path, channels: Told) -> Result<(), StateError> {
    let text = serde_json::to_vec(&Kept { form: FORM, channels }).map_err(io::Error::from)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = private_file::replace(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    Ok(std::fs::rename(&beside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("told.json");
        assert!(read(&path).expect("none yet").is_empty());
        let told = BTreeMap::from([("operators".to_owned(), SavedDesk::default())]);
        write(&path, told.clone()).expect("written");
        write(&path, told.clone()).expect("written again");
        assert_eq!(read(&path).expect("read"), told);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        for text in ["{", "[]", "{\"form\":2,\"channels\":{}}"] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(read(&path), Err(StateError::Form(_))), "{text}");
        }
        assert!(write(&folder.path().join("no/folder"), BTreeMap::new()).is_err());
    }
}
