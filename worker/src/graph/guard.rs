//! Users who cannot be given the attribute of the guard.
//!
//! Graph refuses a whole PATCH for one property that it cannot write. The fifteen extension attributes of a user can be
//! mastered elsewhere, by a synchronisation or by Exchange, and then the guard would keep every change from that user. So
//! such a change is written without it, as if the guard were off for him. That must not happen to everybody: where the
//! attribute is refused of many and accepted of nobody, the installation is at fault.

use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::{
    ids::UserId, patch::PropertyValue, property::Property, reason::DeadLetterReason, reconcile::Body,
};

use super::answer::{GraphRefusal, Handling};

/// Users in a row who may be written without the guard.
const EXCEPTIONS: usize = 3;

pub(super) struct Guard {
    attribute: Option<Property>,
    /// Users who were refused the attribute since it was accepted of anybody.
    refused: Mutex<Vec<UserId>>,
}

impl Guard {
    pub(super) fn new(attribute: Option<Property>) -> Self {
        Self { attribute, refused: Mutex::default() }
    }

    pub(super) fn attribute(&self) -> Option<&Property> {
        self.attribute.as_ref()
    }

    /// A write was accepted.
    pub(super) fn written(&self, body: &Body) {
        if self.attribute.is_some() && self.is_in(body) {
            self.refused().clear();
        }
    }

    /// Whether the guard may be what a write was refused for.
    pub(super) fn may_be_to_blame(&self, answer: &GraphRefusal, body: &Body) -> bool {
        let refused = answer.handling() == Handling::DeadLetter(DeadLetterReason::GraphRefused);
        let named = answer.target.as_deref().is_none_or(|target| {
            let own = self.attribute.as_ref().is_some_and(|attribute| attribute.name() == target);
            own || target == "onPremisesExtensionAttributes"
        });
        refused && named && self.is_in(body)
    }

    /// The write without the attribute; `None` if nothing else is in it, or if too many were refused it.
    pub(super) fn left_out(&self, user: UserId, body: Body) -> Option<Body> {
        let mut refused = self.refused();
        if !refused.contains(&user) {
            if refused.len() >= EXCEPTIONS {
                return None;
            }
            refused.push(user);
        }
        let kept = |(property, _): &(Property, PropertyValue)| Some(property) != self.attribute.as_ref();
        let properties: Vec<_> = body.properties.into_iter().filter(kept).collect();
        let body = Body { properties, ..body };
        (body != Body::default()).then_some(body)
    }

    fn is_in(&self, body: &Body) -> bool {
        body.properties.iter().any(|(property, _)| Some(property) == self.attribute.as_ref())
    }

    fn refused(&self) -> MutexGuard<'_, Vec<UserId>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn body(names: &[&str]) -> Body {
        let property = |name: &&str| (Property::named(name).expect("known"), PropertyValue::Clear);
        Body { properties: names.iter().map(property).collect(), identities: None }
    }

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    const MARK: &str = "extensionAttribute15";

    #[test]
    fn a_few_users_are_written_without_the_guard_and_many_are_not() {
        let guard = Guard::new(Property::named(MARK));
        for n in 1..=3 {
            assert_eq!(guard.left_out(user(n), body(&["mail", MARK])), Some(body(&["mail"])));
        }
        assert_eq!(
            guard.left_out(user(1), body(&["mail", MARK])),
            Some(body(&["mail"])),
            "one of them again"
        );
        assert_eq!(guard.left_out(user(4), body(&["mail", MARK])), None);
        guard.written(&body(&["mail"]));
        assert_eq!(guard.left_out(user(4), body(&["mail", MARK])), None, "that write had no mark");
        guard.written(&body(&["mail", MARK]));
        assert_eq!(guard.left_out(user(4), body(&["mail", MARK])), Some(body(&["mail"])));
        assert_eq!(guard.left_out(user(5), body(&[MARK])), None, "nothing else is in it");
    }

    #[test]
    fn the_guard_may_be_to_blame_unless_graph_names_another_property() {
        let guard = Guard::new(Property::named(MARK));
        let refused = |target: Option<&str>| GraphRefusal {
            status: 400,
            is_graphs: true,
            code: Some("Request_BadRequest".into()),
            target: target.map(Into::into),
            ..GraphRefusal::default()
        };
        for (target, names, blamed) in [
            (None, &["mail", MARK][..], true),
            (Some(MARK), &["mail", MARK], true),
            (Some("onPremisesExtensionAttributes"), &["mail", MARK], true),
            (Some("mail"), &["mail", MARK], false),
            (None, &["mail"], false),
        ] {
            assert_eq!(guard.may_be_to_blame(&refused(target), &body(names)), blamed, "{target:?} {names:?}");
        }
        let conflict = GraphRefusal { conflict: true, ..refused(None) };
        assert!(!guard.may_be_to_blame(&conflict, &body(&["mail", MARK])));
    }
}
