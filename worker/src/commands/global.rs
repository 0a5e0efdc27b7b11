//! What all commands understand: where the settings are.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Context;
use shared::plan::Planner;

use crate::settings::{self, Bus, Needs, PlannerError, Settings, SettingsFile, SettingsProblems, Targets};

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
    /// Which of several targets ([[target]] in the settings) is meant, by its name. run and check are about all of them
    /// without this; the others have to be told where there are several.
    #[arg(long, global = true, value_name = "NAME")]
    target: Option<String>,
}

impl Global {
    /// The settings that a command needs, from all their places, of the target that is meant.
    pub fn settings<N: Needs>(&self) -> anyhow::Result<Settings<N>> {
        self.settings_of(self.target.as_deref())
    }

    /// The same of the target of this name.
    pub fn settings_of<N: Needs>(&self, target: Option<&str>) -> anyhow::Result<Settings<N>> {
        let one = self.set()?.only(target)?.needed()?.pop();
        one.context("there are no settings; this is a fault in contactsync")
    }

    /// The settings of the target that is meant, and of those that take from the same queue or topic. Where all do, any of
    /// them may be meant.
    pub fn with_those_beside<N>(&self) -> anyhow::Result<(Settings<N>, Vec<Settings<N>>)>
    where
        N: Needs<Bus = Bus>,
    {
        let all = settings::examine(&self.file(), settings::environment())?.needed::<N>()?;
        let place = |one: &Settings<N>| (one.bus.authority(), one.bus.source.target().to_owned());
        let same = all.iter().all(|one| all.first().is_some_and(|first| place(first) == place(one)));
        let one = if self.target.is_none() && same {
            all.into_iter().next().context("there are no settings; this is a fault in contactsync")?
        } else {
            self.settings()?
        };
        let others = settings::examine(&self.file(), settings::environment())?.needed::<N>()?;
        let others =
            others.into_iter().filter(|other| other.target != one.target && place(other) == place(&one));
        let others = others.collect();
        Ok((one, others))
    }

    /// The settings of the target that is meant, or of all, section by section, with what is wrong.
    pub fn targets(&self) -> anyhow::Result<Targets> {
        let targets = settings::examine(&self.file(), settings::environment())?;
        Ok(if self.target.is_some() { targets.only(self.target.as_deref())? } else { targets })
    }

    /// The settings of all targets, if anybody has set anything.
    fn set(&self) -> Result<Targets, SettingsProblems> {
        let (file, environment) = (self.file(), settings::environment());
        match settings::nothing_set(&file, &environment) {
            Some(problem) => Err(problem.into()),
            None => settings::examine(&file, environment),
        }
    }

    /// What there is to check: the same as [`Self::targets`], or why there is nothing.
    pub fn checked(&self) -> anyhow::Result<Result<Targets, SettingsProblems>> {
        Ok(match self.set() {
            Ok(targets) if self.target.is_some() => Ok(targets.only(self.target.as_deref())?),
            other => other,
        })
    }

    /// The mapping alone, for commands that need neither queue nor directory.
    pub fn planner(&self) -> anyhow::Result<Planner> {
        let planner = settings::load_planner(&self.file(), settings::environment(), self.target.as_deref());
        planner.map_err(|error| match error {
            // By these the exit code is told.
            PlannerError::Settings(problems) => problems.into(),
            error @ PlannerError::Target(_) => error.into(),
        })
    }

    /// Which target is meant, if that was said.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// These options as arguments of another process of ours.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let config = self.config.iter().flat_map(|file| ["--config".into(), file.clone().into_os_string()]);
        let target = self.target.iter().flat_map(|name| ["--target".into(), name.into()]);
        config.chain(target).collect()
    }

    /// Where the settings file is.
    #[must_use]
    pub fn file(&self) -> SettingsFile {
        self.config.clone().map_or(SettingsFile::Usual, SettingsFile::Named)
    }
}
