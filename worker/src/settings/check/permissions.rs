//! Which permissions of Graph the settings need, and how what an app has compares with that.
//!
//! Source: the permission tables of "Update user", "Get user" and "Update emailAuthenticationMethod" in Microsoft's reference of Graph.

use shared::{plan::Planner, property::PropertyKind, reconcile::ReadPolicy};

/// Permissions that open who holds a directory role. Nothing but `check` uses them, and only if they are there.
pub const ROLES: [&str; 4] = [
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// The least of them.
const ROLES_ALONE: &str = ROLES[0];

const IDENTITIES: &[&str] = &["User.ManageIdentities.All"];
/// Opens also the other authentication methods, passwords among them; the narrower one is in the beta of Graph as well as in
/// newer copies of the page of v1.0.
const RESET: &[&str] = &["UserAuthMethod-Email.ReadWrite.All", RESET_USUAL];
const RESET_USUAL: &str = "UserAuthenticationMethod.ReadWrite.All";
const READ: &[&str] = &[
    "User.Read.All",
    "User.ReadUpdate.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const WRITE: &[&str] = &["User.ReadUpdate.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
const MAIL: &[&str] = &["User-Mail.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
const PHONE: &[&str] = &["User-Phone.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
const ENABLE: &[&str] = &["User.EnableDisableAccount.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];

/// Permissions by how much they open, the most first. What is not listed opens something that contactsync never
/// touches, and comes before them all.
const BY_POWER: [&str; 11] = [
    RESET_USUAL,
    "UserAuthMethod-Email.ReadWrite.All",
    "Directory.ReadWrite.All",
    "Directory.Read.All",
    "User.ReadWrite.All",
    "User.ManageIdentities.All",
    "User.ReadUpdate.All",
    "User.EnableDisableAccount.All",
    "User-Phone.ReadWrite.All",
    "User-Mail.ReadWrite.All",
    "User.Read.All",
];

/// Something that the settings ask the app to do, and the permissions of which one is enough, the least first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What is done.
    pub what: Box<str>,
    /// One of these is enough.
    pub any_of: &'static [&'static str],
}

/// How the permissions of an app compare with the needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Needs that no permission serves.
    pub missing: Vec<Need>,
    /// Permissions without which every need would be served all the same.
    pub excessive: Vec<Box<str>>,
}

impl Need {
    /// The permission to ask for: the one that most installations have, if it is enough.
    #[must_use]
    pub fn usual(&self) -> &'static str {
        let usual = ["User.ReadWrite.All", RESET_USUAL].into_iter().find(|usual| self.any_of.contains(usual));
        usual.unwrap_or(self.any_of[0])
    }

    fn is_served(&self, roles: &[&str]) -> bool {
        self.any_of.iter().any(|role| roles.contains(role))
    }
}

/// What these settings need.
#[must_use]
pub fn needs(planner: &Planner, reading: &ReadPolicy) -> Vec<Need> {
    let properties = planner
        .mapping
        .rows()
        .iter()
        .map(|row| &row.property)
        .chain(&reading.guard)
        .chain(&reading.terms.owner);
    let mut needs: Vec<(&'static [&'static str], Vec<&str>)> = Vec::new();
    for property in properties {
        let any_of = match (property.rules().kind, property.name()) {
            (PropertyKind::SignIn, _) => IDENTITIES,
            (PropertyKind::Reset, _) => RESET,
            (_, "otherMails") => MAIL,
            (_, "businessPhones" | "mobilePhone") => PHONE,
            (_, "accountEnabled") => ENABLE,
            _ => WRITE,
        };
        match needs.iter_mut().find(|(known, _)| *known == any_of) {
            Some((_, names)) => names.push(property.name()),
            None => needs.push((any_of, vec![property.name()])),
        }
    }
    let writes = needs.into_iter().map(|(any_of, names)| (any_of, format!("writing {}", names.join(", "))));
    let all = writes.chain([(READ, "reading users, to find out whether a fault is over".to_owned())]);
    all.map(|(any_of, what)| Need { what: what.into(), any_of }).collect()
}

/// Compares what an app may do with what it has to.
#[must_use]
pub fn compare<'r>(roles: impl IntoIterator<Item = &'r str>, needs: &[Need]) -> Comparison {
    let mut kept: Vec<&str> = roles.into_iter().filter(|role| *role != ROLES_ALONE).collect();
    let (served, missing): (Vec<&Need>, Vec<&Need>) = needs.iter().partition(|need| need.is_served(&kept));
    let mut by_power = kept.clone();
    by_power.sort_by_key(|role| (BY_POWER.iter().position(|known| known == role), *role));
    let mut excessive = Vec::new();
    for role in by_power {
        let rest: Vec<&str> = kept.iter().copied().filter(|other| *other != role).collect();
        if served.iter().all(|need| need.is_served(&rest)) {
            excessive.push(role.into());
            kept = rest;
        }
    }
    Comparison { missing: missing.into_iter().cloned().collect(), excessive }
}

#[cfg(test)]
mod tests {
    use shared::{mapping::Mapping, property::Property};

    use super::*;

    fn of(mapping: Mapping) -> Vec<Need> {
        needs(&Planner::new(mapping), &ReadPolicy::default())
    }

    #[track_caller]
    fn check(mapping: Mapping, roles: &[&str], missing: &[&str], excessive: &[&str]) {
        let found = compare(roles.iter().copied(), &of(mapping));
        let names: Vec<_> = found.missing.iter().map(|need| &*need.what).collect();
        assert_eq!(names, missing);
        let names: Vec<_> = found.excessive.iter().map(|role| &**role).collect();
        assert_eq!(names, excessive);
    }

    #[test]
    fn the_usual_permissions_are_enough_and_nothing_too_much() {
        check(Mapping::preset_default(), &["User.ReadWrite.All"], &[], &[]);
        for both in [Mapping::preset_b2c(), Mapping::preset_external_id()] {
            check(both, &["User.ManageIdentities.All", "User.ReadWrite.All"], &[], &[]);
        }
    }

    #[test]
    fn narrower_permissions_are_enough() {
        let narrow = ["User.ReadUpdate.All", "User-Mail.ReadWrite.All", "User.ManageIdentities.All"];
        check(Mapping::preset_b2c(), &narrow, &[], &[]);
        check(
            Mapping::preset_b2c(),
            &[narrow.as_slice(), &["User.ReadWrite.All"]].concat(),
            &[],
            &["User.ReadWrite.All"],
        );
    }

    #[test]
    fn what_is_missing_is_told_by_what_it_is_for() {
        let reading = "reading users, to find out whether a fault is over";
        check(Mapping::preset_default(), &[], &["writing mail, givenName, surname", reading], &[]);
        check(Mapping::preset_b2c(), &["User.ReadWrite.All"], &["writing signInEmail"], &[]);
        check(
            Mapping::preset_external_id(),
            &["User.ManageIdentities.All", "User.ReadUpdate.All"],
            &["writing otherMails"],
            &[],
        );
        check(
            Mapping::preset_b2c(),
            &["User.ManageIdentities.All", "User.Read.All"],
            &["writing otherMails", "writing givenName, surname"],
            &[],
        );
    }

    #[test]
    fn the_address_for_password_reset_takes_a_permission_of_its_own() {
        const RESET: &str = "UserAuthenticationMethod.ReadWrite.All";
        let follows = || Mapping::preset_b2c().with_reset().expect("an address to follow");
        let usual = ["User.ManageIdentities.All", "User.ReadWrite.All"];
        check(follows(), &usual, &["writing resetEmail"], &[]);
        check(follows(), &[&usual[..], &[RESET]].concat(), &[], &[]);
        check(follows(), &[&usual[..], &["UserAuthMethod-Email.ReadWrite.All"]].concat(), &[], &[]);
        check(Mapping::preset_b2c(), &[&usual[..], &[RESET]].concat(), &[], &[RESET]);
        let asked = of(follows()).into_iter().find(|need| &*need.what == "writing resetEmail");
        assert_eq!(asked.map(|need| need.usual()), Some(RESET));
    }

    #[test]
    fn what_is_too_much_is_told_the_most_powerful_first() {
        check(
            Mapping::preset_default(),
            &["User.Read.All", "User.ReadWrite.All", "Mail.Send", "Directory.ReadWrite.All"],
            &[],
            &["Mail.Send", "Directory.ReadWrite.All", "User.Read.All"],
        );
        check(Mapping::preset_default(), &["Directory.ReadWrite.All"], &[], &[]);
        check(
            Mapping::preset_default(),
            &["User.ReadWrite.All", "User.ManageIdentities.All"],
            &[],
            &["User.ManageIdentities.All"],
        );
    }

    #[test]
    fn the_guard_is_written_too_and_the_usual_permission_is_named() {
        let reading = ReadPolicy { guard: Property::named("extensionAttribute15"), ..ReadPolicy::default() };
        let needs = needs(&Planner::new(Mapping::preset_b2c()), &reading);
        let told: Vec<_> = needs.iter().map(|need| (&*need.what, need.usual())).collect();
        assert_eq!(
            told,
            [
                ("writing otherMails", "User.ReadWrite.All"),
                ("writing signInEmail", "User.ManageIdentities.All"),
                ("writing givenName, surname, extensionAttribute15", "User.ReadWrite.All"),
                ("reading users, to find out whether a fault is over", "User.ReadWrite.All"),
            ]
        );
    }
}
