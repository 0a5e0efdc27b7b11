//! What a failure of Service Bus means, and what a person can do about it. `check --online`, the log and the readiness of
//! `run`, and every command that looks at a queue or sends to one say it by these words.

use std::fmt;

use servicebus::{Error, RefusalKind};
use shared::{class::Class, reason::chain};

use super::NetworkFault;
use crate::settings::{Access, Bus};

/// What is done with an entity, and with which right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueRight {
    /// Messages are received or looked at.
    Listen,
    /// Messages are sent.
    Send,
}

/// An entity of a namespace, and what is done with it.
#[derive(Clone, Debug)]
pub struct EntityUse {
    /// What is done.
    pub right: QueueRight,
    /// Name of the queue, subscription or topic.
    pub entity: Box<str>,
    /// Host and port of the namespace.
    pub place: Box<str>,
    /// Whether the key is a value of the settings themselves, which are read once.
    pub fixed_key: bool,
}

impl EntityUse {
    /// Where messages come from.
    #[must_use]
    pub fn intake(bus: &Bus) -> Self {
        Self::of(bus, QueueRight::Listen, &bus.source.address())
    }

    /// Where copies are sent to.
    #[must_use]
    pub fn copies(bus: &Bus) -> Self {
        Self::of(bus, QueueRight::Send, bus.source.target())
    }

    fn of(bus: &Bus, right: QueueRight, entity: &str) -> Self {
        let fixed_key = matches!(bus.namespace.access, Access::Shared(_));
        Self { right, entity: entity.into(), place: bus.authority().into(), fixed_key }
    }

    /// The same with another entity.
    #[must_use]
    pub fn towards(&self, entity: &str) -> Self {
        Self { entity: entity.into(), ..self.clone() }
    }

    /// Whether only other settings can help: the entity is not there, or the key that stands in the settings is wrong. A
    /// key in a file can be replaced, a right or a role can be given and a clock be set while somebody tries again.
    #[must_use]
    pub fn needs_other_settings(&self, error: &Error) -> bool {
        let Error::Refused { kind, class: Class::Installation, description, .. } = error else {
            return false;
        };
        match kind {
            RefusalKind::NotFound => true,
            RefusalKind::Token => self.fixed_key && !is_about_time(description),
            RefusalKind::Denied | RefusalKind::Disabled | RefusalKind::Other => false,
        }
    }
}

/// On which part of the way something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurdle {
    /// The way to the host, or the host.
    Service,
    /// The token.
    Token,
    /// The right at the entity, or the entity.
    Right,
}

/// What happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Where it failed.
    pub hurdle: Hurdle,
    /// What is the case.
    pub what: String,
    /// What to do; empty where `what` says so already.
    pub remedy: &'static str,
    /// Whether the service answered and refused. Otherwise it is away, or busy.
    pub is_refusal: bool,
}

impl Advice {
    /// About a failure at an entity.
    #[must_use]
    pub fn of(error: &Error, at: &EntityUse) -> Self {
        let is_refusal = error.class() == Class::Installation;
        let (hurdle, what, remedy) = match error {
            Error::Tls { .. } => by_network(NetworkFault::Untrusted, at, error),
            Error::Timeout { .. } => by_network(NetworkFault::Silent, at, error),
            Error::Connection { .. } => by_network(NetworkFault::of(error), at, error),
            Error::Token { .. } => (Hurdle::Token, chain(error), ""),
            Error::Refused { class: Class::Installation, kind, condition, description, .. } => {
                refused(*kind, at, condition, description).unwrap_or_else(|| {
                    let hurdle = if *kind == RefusalKind::Other { Hurdle::Right } else { Hurdle::Token };
                    (hurdle, chain(error), "")
                })
            }
            Error::Refused { .. } => {
                (Hurdle::Right, chain(error), "it passes by itself as a rule; try again")
            }
            Error::Closed | Error::Settings { .. } | Error::Protocol { .. } => {
                (Hurdle::Service, chain(error), "")
            }
        };
        Self { hurdle, what, remedy, is_refusal }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

type Words = (Hurdle, String, &'static str);

fn by_network(fault: NetworkFault, at: &EntityUse, error: &Error) -> Words {
    let (what, remedy) = fault.words(&at.place);
    (Hurdle::Service, format!("{what} ({})", chain(error)), remedy)
}

/// Whether a refusal speaks of the time, which a clock or a new signature mends.
fn is_about_time(description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    ["expired", "clock"].iter().any(|word| description.contains(word))
}

fn refused(kind: RefusalKind, at: &EntityUse, condition: &str, description: &str) -> Option<Words> {
    let entity = &at.entity;
    Some(match (kind, at.right) {
        (RefusalKind::Token, _) if is_about_time(description) => (
            Hurdle::Token,
            format!("service bus says that the token has ended: {description}"),
            "let the system set its clock by NTP; a SharedAccessSignature in the connection string ends by itself, so put \
             a new one into it",
        ),
        (RefusalKind::Token, _) => (
            Hurdle::Token,
            format!("service bus does not accept the token ({condition})"),
            "copy the connection string again: the key was replaced, or the rule is another queue's; with Entra, give \
             the identity the roles Azure Service Bus Data Receiver and Data Sender",
        ),
        (RefusalKind::NotFound, _) => (
            Hurdle::Right,
            format!("there is no {entity} in this namespace"),
            "make it, or correct service_bus.queue, or topic and subscription",
        ),
        (RefusalKind::Denied, QueueRight::Listen) => (
            Hurdle::Right,
            format!("the credential may not listen at {entity}"),
            "give the rule the right Listen, or the identity the role Azure Service Bus Data Receiver",
        ),
        (RefusalKind::Denied, QueueRight::Send) => (
            Hurdle::Right,
            format!("the credential may not send to {entity}"),
            "give the rule the right Send, or the identity the role Azure Service Bus Data Sender",
        ),
        (RefusalKind::Disabled, _) => (
            Hurdle::Right,
            format!("{entity} is switched off: somebody paused it, or set its status"),
            "it stays so until somebody lets it go on with contactsync resume, or sets its status to Active",
        ),
        (RefusalKind::Other, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(fixed_key: bool) -> EntityUse {
        let (entity, place) = ("contacts".into(), "ns:5671".into());
        EntityUse { right: QueueRight::Listen, entity, place, fixed_key }
    }

    fn refusal(kind: RefusalKind, class: Class, description: &str) -> Error {
        let (condition, description) = ("amqp:unauthorized-access".into(), description.into());
        Error::Refused { doing: "putting a token", condition, description, kind, class }
    }

    #[test]
    fn what_is_refused_is_told_from_what_is_away() {
        let away = Error::Timeout { doing: "attaching", after: std::time::Duration::from_secs(5) };
        let away = Advice::of(&away, &at(true));
        assert!(away.what.starts_with("ns:5671 does not answer") && !away.is_refusal, "{away}");
        let busy = refusal(RefusalKind::Token, Class::Transient, "busy");
        assert!(!Advice::of(&busy, &at(true)).is_refusal && !at(true).needs_other_settings(&busy));
        let wrong = refusal(RefusalKind::Token, Class::Installation, "InvalidSignature");
        let told = Advice::of(&wrong, &at(true));
        assert!(told.is_refusal && told.hurdle == Hurdle::Token);
        assert!(
            told.to_string().contains("(amqp:unauthorized-access); copy the connection string again"),
            "{told}"
        );
    }

    #[test]
    fn only_what_stands_in_the_settings_cannot_be_mended_while_somebody_waits() {
        for (kind, description, fixed, expected) in [
            (RefusalKind::Token, "InvalidSignature", true, true),
            (RefusalKind::Token, "InvalidSignature", false, false),
            (RefusalKind::Token, "ExpiredToken", true, false),
            (RefusalKind::Token, "no; the clock of this machine is behind", true, false),
            (RefusalKind::NotFound, "no such queue", false, true),
            (RefusalKind::Denied, "Listen is required", true, false),
            (RefusalKind::Disabled, "disabled", true, false),
            (RefusalKind::Other, "odd", true, false),
        ] {
            let error = refusal(kind, Class::Installation, description);
            assert_eq!(at(fixed).needs_other_settings(&error), expected, "{error}");
        }
    }
}
