//! Names of the files with entries.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How names of files with entries end.
pub(super) const ENTRIES: &str = ".jsonl";
/// How those of old ones end.
pub(super) const OLD: &str = ".old.jsonl";

/// The files with entries in a directory, those of one slot together, its old one first.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENTRIES)) {
            paths.push(path);
        }
    }
    paths.sort_by_key(|path| {
        let name = path.to_string_lossy().into_owned();
        let slot = slot_of(&name).to_owned();
        (slot, !name.ends_with(OLD))
    });
    Ok(paths)
}

/// The slot that a file is of.
pub(super) fn slot_of(name: &str) -> &str {
    name.strip_suffix(OLD).or_else(|| name.strip_suffix(ENTRIES)).unwrap_or(name)
}
