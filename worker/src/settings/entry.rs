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

impl SettingOrigin {
    /// File and line as editors take them, or the variable.
    pub(super) fn position(&self, line: Option<usize>) -> Option<String> {
        match (self, line) {
            (Self::Default, _) => None,
            (Self::File(path), Some(line)) => Some(format!("{path}:{line}")),
            (Self::File(_) | Self::Environment(_), _) => Some(self.to_string()),
        }
    }
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
    /// The line of the settings file in which it stands.
    pub line: Option<usize>,
    /// The name of the last release by which it was set, if it was.
    pub old_name: Option<Box<str>>,
}

/// All keys, as `section.key`.
pub type Entries = BTreeMap<String, SourcedValue>;

impl SourcedValue {
    pub(super) fn of_default(value: Value) -> Self {
        Self { value, origin: SettingOrigin::Default, file: None, line: None, old_name: None }
    }

    /// Where it was set, for somebody who looks for it.
    pub(super) fn position(&self) -> Option<String> {
        self.origin.position(self.line)
    }
}
