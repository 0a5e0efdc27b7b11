//! What a decision is about, and whether somebody agrees to it.

use anyhow::{Context, ensure};
use servicebus::Queue;

use super::list::table;
use crate::{
    commands::{
        consent::{ask, may_ask},
        print, print_words,
    },
    envelope::HeldCensus,
    operate::held::{HeldFilter, each_held},
    settings::{QueueAlone, Settings},
};

/// What a decision is about, and what was said of it beforehand.
pub(super) struct Decision<'a> {
    /// Which messages.
    pub(super) filter: &'a HeldFilter,
    /// All of them, where no filter says which.
    pub(super) all: bool,
    /// It is not asked.
    pub(super) yes: bool,
    /// Nobody reads a table.
    pub(super) json: bool,
    /// The question about so many.
    pub(super) question: fn(u64) -> String,
    /// What would become of them.
    pub(super) would: &'static str,
}

impl Decision<'_> {
    /// Shows what is meant and asks, unless that was answered. How many there are if they are agreed to; else it is told what
    /// would have been done.
    pub(super) async fn agreed(
        &self,
        queue: &dyn Queue,
        settings: &Settings<QueueAlone>,
    ) -> anyhow::Result<Option<u64>> {
        let census = self.meant(queue, settings).await?;
        if !self.json {
            print(&table(&census))?;
        }
        let count = census.messages;
        if count == 0 || self.yes || self.says_yes(count).await? {
            return Ok(Some(count));
        }
        print_words(&format!("{count} messages would be {}; --yes does it.\n", self.would))?;
        Ok(None)
    }

    /// What is held aside and meant. Fails if a decision is about everything and nobody has said so.
    async fn meant(&self, queue: &dyn Queue, settings: &Settings<QueueAlone>) -> anyhow::Result<HeldCensus> {
        ensure!(
            self.filter.is_selective() || self.all,
            "say which messages are meant, for example by --by; --all means all that are held aside"
        );
        let mut census = HeldCensus::default();
        each_held(queue, self.filter, &settings.planner, |message, held| {
            census.add(message, held);
            Ok(())
        })
        .await
        .context("the queue cannot be looked at")?;
        Ok(census)
    }

    /// Whether there is somebody who says yes.
    async fn says_yes(&self, count: u64) -> anyhow::Result<bool> {
        Ok(may_ask() && matches!(ask(&(self.question)(count)).await?.as_str(), "y" | "Y" | "yes"))
    }
}
