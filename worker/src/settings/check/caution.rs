//! What takes messages to where nobody looks for them: told by `check`, `status` and `dead-letters list`.

use serde_json::{Value, json};
use servicebus::admin::EntityProperties;

use crate::{duration::exact, settings::Bus};

/// Something about the queue that a person has to know to find all messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caution {
    /// What is the case.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Caution {
    fn new(what: String, remedy: impl Into<String>) -> Self {
        Self { what, remedy: remedy.into() }
    }

    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        format!("warning: {}; {}", self.what, self.remedy)
    }

    /// The same for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "what": self.what, "remedy": self.remedy })
    }
}

/// Everything of that kind. What the service does not tell, for want of the right *Manage*, is left out.
#[must_use]
pub fn cautions(bus: &Bus, properties: Option<&EntityProperties>) -> Vec<Caution> {
    let address = bus.source.address();
    let told = properties.map(|properties| {
        let forwarded = properties.forward_to.as_deref().map(|other| forwarded(&address, other));
        [
            forwarded,
            dead_letters_elsewhere(&address, properties),
            deleted(&address, properties),
            expired(properties),
        ]
    });
    entity_path(bus).into_iter().chain(told.into_iter().flatten().flatten()).collect()
}

/// The connection string is for another entity than the settings name.
#[must_use]
pub(super) fn entity_path(bus: &Bus) -> Option<Caution> {
    let other = bus.entity_path.as_deref()?;
    let (address, target) = (bus.source.address(), bus.source.target());
    let same = [&*address, target].iter().any(|name| name.eq_ignore_ascii_case(other.trim_matches('/')));
    (!same).then(|| {
        Caution::new(
            format!("the connection string is for {other} (its EntityPath), and messages are taken from {address}"),
            format!(
                "if {other} is meant, name it in the settings; if not, use the connection string of a rule of {target}"
            ),
        )
    })
}

/// Every message goes on to another entity.
pub(super) fn forwarded(address: &str, other: &str) -> Caution {
    Caution::new(
        format!("{address} forwards every message to {other}, so that none can be received"),
        "take the forwarding away, or receive from where it leads",
    )
}

/// Dead letters go on to another entity.
pub(super) fn dead_letters_elsewhere(address: &str, properties: &EntityProperties) -> Option<Caution> {
    let other = properties.forward_dead_letters_to.as_deref()?;
    Some(Caution::new(
        format!("{address} forwards its dead letters to {other}, so that none of them stays here"),
        format!(
            "look in {other}, where they are ordinary messages; take the forwarding away, or dead-letters and replay \
             cannot reach them"
        ),
    ))
}

/// The service deletes what nobody uses.
pub(super) fn deleted(address: &str, properties: &EntityProperties) -> Option<Caution> {
    let idle = exact(properties.auto_delete_on_idle?);
    Some(Caution::new(
        format!("{address} is deleted with everything in it when nobody has used it for {idle}"),
        "set auto-delete on idle to never: a worker that is stopped for so long would lose every message",
    ))
}

/// Messages end without becoming dead letters.
pub(super) fn expired(properties: &EntityProperties) -> Option<Caution> {
    let ttl = properties.default_ttl.filter(|_| properties.dead_letters_expired != Some(true))?;
    Some(Caution::new(
        format!("messages vanish without a trace after {}", exact(ttl)),
        "switch dead-lettering on expiration on",
    ))
}
