//! What all commands understand: where the settings are.

use std::path::PathBuf;

use shared::plan::Planner;

use crate::settings::{self, Settings, SettingsFile, SettingsProblems};

/// Exit code for settings that cannot be used (`EX_CONFIG` of sysexits).
pub(crate) const BAD_SETTINGS: u8 = 78;

/// Options of all commands.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// The settings file. Without this, contactsync.toml is read if it is there; the environment
    /// (`CONTACTSYNC__SECTION__KEY`) always wins.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "CONTACTSYNC_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
}

impl Global {
    /// The settings from all their places.
    pub fn settings(&self) -> Result<Settings, SettingsProblems> {
        settings::load(&self.file(), settings::environment())
    }

    /// The mapping alone, for commands that need neither queue nor directory.
    pub fn planner(&self) -> Result<Planner, SettingsProblems> {
        settings::load_planner(&self.file(), settings::environment())
    }

    /// Where the settings file is.
    #[must_use]
    pub fn file(&self) -> SettingsFile {
        self.config.clone().map_or(SettingsFile::Usual, SettingsFile::Named)
    }
}
