//! A world of contacts from its first change to its rest, and whether every promise was kept.

use std::cmp::Reverse;

use shared::monotonic_time::MonotonicTime;

use super::{
    super::{
        model::Broken,
        queue::{Message, State},
        shape::Shape,
        world::{PATIENCE, World},
    },
    ledger::TableReport,
    pass::lacks,
};

/// Runs the world of contacts of this seed.
pub fn simulate_table(shape: Shape, seed: u64) -> Result<TableReport, Broken> {
    let mut world = World::new(shape, seed);
    while let Some(Reverse(next)) = world.events.pop() {
        world.now = next.at;
        if world.now > MonotonicTime::after_start(PATIENCE) {
            return Err(Broken::Stuck(format!("{:?}", world.queue.open().next())));
        }
        world.happen(*next.event)?;
        if world.table.as_ref().is_none_or(|table| table.done) {
            break;
        }
    }
    world.judge()
}

impl World {
    /// Whether every contact has its user as it says. Who is named by two is left alone by everybody.
    fn judge(self) -> Result<TableReport, Broken> {
        let Some(table) = self.table else { return Ok(TableReport::default()) };
        let requires = self.shape.table.is_some_and(|kind| kind.requires);
        // Without rows, a message that was cut is a dead letter. With them nothing is.
        let dead = |message: &&Message| matches!(message.state, State::Dead(_));
        if let Some(letter) = self.queue.messages().iter().find(dead).filter(|_| table.planner.read_back) {
            return Err(Broken::DeadLettered(format!("{letter:?}")));
        }
        let links = table.links(requires);
        let mut report = table.ledger.report;
        for (contact, user) in &links {
            if links.iter().filter(|(_, other)| other == user).count() > 1 {
                continue;
            }
            let Some(row) = table.contacts.row(*contact) else { continue };
            let current = self.directory.current(*user);
            if let Some((property, expected)) = lacks(&row, &current).into_iter().next() {
                let found = current.values.into_iter().find(|(name, _)| *name == property);
                let found = found.map(|(_, value)| value);
                return Err(Broken::Value { user: *user, property, expected, found });
            }
            report.linked += 1;
        }
        Ok(report)
    }
}
