//! What a local service begins with, from a JSON file.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why a seed could not be read.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The file is not there, or not ours to read.
    #[error("read the seed {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no JSON, or not of the form that README.md describes.
    #[error("understand the seed {path}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

/// Reads a seed.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, SeedError> {
    let read = |source| SeedError::Read { path: path.to_owned(), source };
    let parse = |source| SeedError::Parse { path: path.to_owned(), source };
    serde_json::from_str(&std::fs::read_to_string(path).map_err(read)?).map_err(parse)
}
