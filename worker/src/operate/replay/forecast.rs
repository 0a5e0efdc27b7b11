//! What would become of a message if it were put back now.

use jiff::Timestamp;
use servicebus::Message;
use shared::{
    engine::{Intake, Planned},
    outcome::Outcome,
    patch::UserWrite,
    plan::Planner,
    reason::DeadLetter,
    urgency::Urgency,
};

use crate::{envelope::DeliveryHistory, graph::Foreseen};

/// An outcome that is to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// These properties would be written.
    Write(Vec<Box<str>>),
    /// Newer values are there; nothing would be written.
    Stale,
    /// The user is so already.
    Same,
    /// Nothing that concerns a user.
    Unchanged(&'static str),
    /// It would be a dead letter again.
    DeadLetter(DeadLetter),
    /// Graph could not be asked.
    Unknown(Box<str>),
    /// It cannot be copied, and would be left where it is.
    Left,
}

impl Forecast {
    /// A short name.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Stale => "stale",
            Self::Same => "same",
            Self::Unchanged(_) => "unchanged",
            Self::DeadLetter(_) => "dead letter",
            Self::Unknown(_) => "unknown",
            Self::Left => "left",
        }
    }

    /// What goes with it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Write(properties) => properties.join(", "),
            Self::Stale => "newer values are there".into(),
            Self::Same => "the user has these values".into(),
            Self::Unchanged(why) => (*why).into(),
            Self::DeadLetter(letter) => letter.reason.as_str().into(),
            Self::Unknown(why) => why.to_string(),
            Self::Left => "its body cannot be read".into(),
        }
    }

    /// The forecast by what Graph shows, for all writes of one message.
    #[must_use]
    pub fn of(foreseen: &[Foreseen]) -> Self {
        let mut properties: Vec<Box<str>> =
            foreseen.iter().flat_map(|one| &one.properties).map(|property| property.name().into()).collect();
        properties.sort_unstable();
        properties.dedup();
        if !properties.is_empty() {
            return Self::Write(properties);
        }
        let superseded = foreseen.iter().any(|one| !one.superseded.is_empty());
        if superseded { Self::Stale } else { Self::Same }
    }
}

/// Decodes and plans a message; the writes are what Graph could be asked about.
#[must_use]
pub fn forecast(message: &Message, planner: &Planner, now: Timestamp) -> (Forecast, Vec<UserWrite>) {
    let Ok(body) = &message.body else { return (Forecast::Left, Vec::new()) };
    let marked =
        message.properties.iter().any(|(name, _)| shared::decode::Message::is_truncation_marker(name));
    match Intake::of(body, message.content_type.as_deref(), marked, planner) {
        Intake::Work(works, failures) => {
            // What is good in it would be written again, and the message come back for the rest.
            if let Some(letter) = failures.letter() {
                return (Forecast::DeadLetter(letter), Vec::new());
            }
            let writes: Vec<_> = works.iter().map(|work| write_of(work, message, now)).collect();
            let names = writes.iter().flat_map(|write| &write.entries);
            let names = names.map(|entry| entry.property.name().into()).collect();
            (Forecast::Write(names), writes)
        }
        Intake::Settle(Outcome::Unchanged(needless)) => (Forecast::Unchanged(needless.as_str()), Vec::new()),
        Intake::Settle(Outcome::DeadLettered(letter) | Outcome::Returned(letter)) => {
            (Forecast::DeadLetter(letter), Vec::new())
        }
        Intake::Settle(_) => (Forecast::Unchanged(""), Vec::new()),
    }
}

/// The write that a worker would make of a planned change alone.
#[must_use]
pub fn write_of(planned: &Planned, message: &Message, now: Timestamp) -> UserWrite {
    let past = DeliveryHistory::of(message);
    let alone = planned.alone(past.first_seen.unwrap_or(now), past.arrival);
    UserWrite { urgency: Urgency::Replayed, ..alone }
}

#[cfg(test)]
mod tests {
    use shared::property::Property;

    use super::*;

    fn foreseen(written: &[&str], superseded: &[&str]) -> Foreseen {
        let named = |names: &[&str]| names.iter().map(|name| Property::named(name).expect("known")).collect();
        Foreseen { properties: named(written), superseded: named(superseded) }
    }

    #[test]
    fn one_write_makes_a_message_written_and_newer_values_make_it_stale() {
        let write = Forecast::Write(vec!["givenName".into()]);
        assert_eq!(Forecast::of(&[foreseen(&["givenName"], &["surname"]), foreseen(&[], &[])]), write);
        assert_eq!(Forecast::of(&[foreseen(&[], &["surname"]), foreseen(&[], &[])]), Forecast::Stale);
        assert_eq!(Forecast::of(&[foreseen(&[], &[])]), Forecast::Same);
    }
}
