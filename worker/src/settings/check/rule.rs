//! A rule: one function of the sections that could be read.

use super::finding::Finding;
use crate::settings::Parts;

/// What the settings themselves do not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// How many replicas run, if that is known.
    pub replicas: Option<u32>,
}

impl Surroundings {
    /// How many replicas run, if it is known that there are several.
    pub(super) fn several(self) -> Option<u32> {
        self.replicas.filter(|replicas| *replicas > 1)
    }
}

/// Finds something, or stays silent.
pub(super) type Rule = fn(&Parts, Surroundings) -> Option<Finding>;
