//! A value of the settings and where it came from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::Value;

/// Where the value of a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// Nobody set it.
    Default,
    /// The settings file.
    File(Box<str>),
    /// An environment variable, or the file it names.
    Environment(Box<str>),
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcedValue {
    /// The value, of the same type as the default.
    pub value: Value,
    /// Where it came from.
    pub origin: SettingOrigin,
    /// The file that held it, if it was given as `…_FILE`.
    pub file: Option<PathBuf>,
    /// The name of the last release by which it was set, if it was.
    pub old_name: Option<Box<str>>,
}

/// All keys, as `section.key`.
pub type Entries = BTreeMap<String, SourcedValue>;

impl SourcedValue {
    pub(super) fn of_default(value: Value) -> Self {
        Self { value, origin: SettingOrigin::Default, file: None, old_name: None }
    }
}
