//! What a connection may use, and what a token has to look like for that.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    broker::{Time, entity_path},
    sas::{self, Claims, Rule, covers},
};

/// Decides about an Entra access token: how long it is good for, or nothing if it is refused.
type EntraCheck = Arc<dyn Fn(&str) -> Option<Duration> + Send + Sync>;

/// What is done with tokens that are not shared access signatures.
#[derive(Clone, Default)]
pub enum Entra {
    /// They are refused, as by a namespace without role assignments.
    #[default]
    Refused,
    /// Anything that looks like a JSON web token is good for an hour.
    AnyJwt,
    /// Somebody else decides, for example the local token endpoint.
    Checked(EntraCheck),
}

impl Entra {
    /// Lets `check` decide: it returns how long a token is still good for, or nothing.
    pub fn checked(check: impl Fn(&str) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self::Checked(Arc::new(check))
    }

    fn lifetime(&self, token: &str) -> Option<Duration> {
        match self {
            Self::Refused => None,
            Self::AnyJwt => (token.split('.').count() == 3).then_some(Duration::from_hours(1)),
            Self::Checked(check) => check(token),
        }
    }
}

impl fmt::Debug for Entra {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "Refused",
            Self::AnyJwt => "AnyJwt",
            Self::Checked(_) => "Checked",
        })
    }
}

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Access {
    /// Shared access policies.
    pub rules: Vec<Rule>,
    /// Entra tokens.
    pub entra: Entra,
    /// Whether links need a token at all. Only hand-written test clients do without.
    pub enforced: bool,
}

impl Default for Access {
    /// The one rule of the official emulator, and no Entra.
    fn default() -> Self {
        Self { rules: vec![Rule::default()], entra: Entra::default(), enforced: true }
    }
}

/// A right that was proved.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    path: String,
    claims: Claims,
    /// None for rights that last as long as the connection.
    pub(crate) expires: Option<Time>,
}

impl Access {
    /// Checks a token for an audience. The refusal is text for the answer.
    pub(crate) fn check(&self, token: &str, audience: &str, now: Time) -> Result<Grant, String> {
        let path = entity_path(audience);
        if sas::is_sas(token) {
            let verified = sas::verify(token, &self.rules, now).map_err(|refusal| refusal.to_string())?;
            if !covers(&verified.path, &path) {
                return Err(sas::Refusal::Audience.to_string());
            }
            return Ok(Grant { path, claims: verified.claims, expires: Some(verified.expires) });
        }
        match self.entra.lifetime(token) {
            Some(lifetime) => Ok(Grant { path, claims: Claims::ALL, expires: Some(now + lifetime) }),
            None => Err("InvalidToken: the access token is not accepted here.".to_owned()),
        }
    }

    /// Checks rule name and key as SASL PLAIN gives them; the right lasts as long as the connection.
    pub(crate) fn check_plain(&self, name: &str, key: &str) -> Option<Grant> {
        let rule = self.rules.iter().find(|rule| rule.name == name && rule.key == key)?;
        let path = rule.entity.as_deref().map(entity_path).unwrap_or_default();
        Some(Grant { path, claims: rule.claims, expires: None })
    }
}

/// What somebody wants to do with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Send,
    Listen,
    /// Either of them, as on the management node.
    Any,
}

/// The rights of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    grants: Vec<Grant>,
}

impl Rights {
    /// Adds a right; an older one for the same path is replaced.
    pub(crate) fn add(&mut self, grant: Grant) {
        self.grants.retain(|known| known.path != grant.path);
        self.grants.push(grant);
    }

    /// Whether an address may be used now.
    pub(crate) fn allow(&self, address: &str, wanted: Use, now: Time) -> bool {
        let path = entity_path(address);
        self.grants.iter().any(|grant| {
            let claims = grant.claims;
            let claimed = match wanted {
                Use::Send => claims.send,
                Use::Listen => claims.listen,
                Use::Any => claims.send || claims.listen,
            };
            claimed && grant.expires.is_none_or(|at| at > now) && covers(&grant.path, &path)
        })
    }

    /// When the next right lapses.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.grants.iter().filter_map(|grant| grant.expires).min()
    }

    /// Forgets rights that have lapsed; whether there were any.
    pub(crate) fn expire(&mut self, now: Time) -> bool {
        let before = self.grants.len();
        self.grants.retain(|grant| grant.expires.is_none_or(|at| at > now));
        self.grants.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);

    fn grant(path: &str, claims: Claims, expires: i64) -> Grant {
        Grant { path: path.to_owned(), claims, expires: Some(Time::from_millis(expires)) }
    }

    #[test]
    fn a_right_covers_its_entity_and_what_is_below_until_it_lapses() {
        let mut rights = Rights::default();
        rights.add(grant("q", Claims::LISTEN, 2_000_000));
        assert!(rights.allow("amqps://host/Q/$DeadLetterQueue", Use::Listen, NOW));
        assert!(rights.allow("q/$management", Use::Any, NOW));
        assert!(!rights.allow("q", Use::Send, NOW));
        assert!(!rights.allow("other", Use::Listen, NOW));
        assert!(rights.expire(Time::from_millis(2_000_000)));
        assert!(!rights.allow("q", Use::Listen, NOW));
    }

    #[test]
    fn a_new_token_for_the_same_path_replaces_the_old_one() {
        let mut rights = Rights::default();
        rights.add(grant("q", Claims::ALL, 1_500_000));
        rights.add(grant("q", Claims::ALL, 3_000_000));
        assert_eq!(rights.next_expiry(), Some(Time::from_millis(3_000_000)));
    }

    #[test]
    fn entra_tokens_are_refused_unless_somebody_vouches_for_them() {
        let with = |entra| Access { entra, ..Access::default() };
        let good = |access: &Access, token| access.check(token, "sb://host/q", NOW).is_ok();
        assert!(!good(&with(Entra::Refused), "a.b.c"));
        assert!(good(&with(Entra::AnyJwt), "a.b.c"));
        assert!(!good(&with(Entra::AnyJwt), "abc"));
        let checked = with(Entra::checked(|token| (token == "x").then_some(Duration::from_mins(1))));
        assert!(good(&checked, "x"));
        assert!(!good(&checked, "a.b.c"));
    }
}
