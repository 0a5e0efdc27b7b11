//! Both sides as they are when a pass begins, and what is known beside them.

use shared::{
    drift::{Evidence, LastRun, StateScope},
    target::TargetName,
};

use super::{ContactAccess, DriftPlan, Sides};

/// Both sides as they are now.
pub(crate) struct OpenedSides {
    /// Both sides.
    pub(crate) sides: Sides,
    /// Who reads Dataverse.
    pub(crate) access: ContactAccess,
    /// What may be remembered of them for the next pass.
    pub(crate) scope: StateScope,
    /// Which of several targets changes are posted for.
    pub(crate) addressed_to: Option<TargetName>,
}

/// How much both sides were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Requests to Dataverse.
    pub(crate) dataverse: u64,
    /// Reads of Graph.
    pub(crate) graph: u64,
}

impl OpenedSides {
    /// What is held against the totals of a pass before anything is written.
    pub(crate) fn evidence(&self, last: Option<LastRun>, planned: &DriftPlan) -> Evidence {
        Evidence {
            reads_all: self.access.reads_all,
            secured: self.sides.reader.secured().to_vec(),
            counted: self.access.counted,
            last: last.map(|last| (last.contacts, last.users)),
            linked: last.map(|last| last.linked),
            full: planned.full,
        }
    }

    /// How much was asked so far.
    pub(crate) fn asked(&self) -> Asked {
        Asked { dataverse: self.sides.dataverse.requests(), graph: self.sides.toll.graph_reads() }
    }
}

impl Asked {
    /// How much of it was asked since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { dataverse: self.dataverse - before.dataverse, graph: self.graph - before.graph }
    }
}
