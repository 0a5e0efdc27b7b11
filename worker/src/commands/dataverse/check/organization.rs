//! Whether it is the right environment. A copy carries the registration of its original and would post into the same queue.

use shared::{ids::OrganizationId, plan::Planner, reason::chain};

use crate::{
    dataverse::{Error, Organization, OrganizationType, WhoAmI},
    settings::{
        Purpose,
        check::{Probe, Severity},
    },
};

pub(super) const CHECK: &str = "organization";

pub(super) fn probes(
    planner: &Planner,
    purpose: Purpose,
    who: &WhoAmI,
    organization: Result<Organization, Error>,
) -> Vec<Probe> {
    let accepted = &planner.organizations;
    let mut probes = vec![accepts(accepted, who.organization_id)];
    match organization {
        Ok(organization) if organization.organization_id != who.organization_id => {
            let what = format!("the environment says that it is {}", organization.organization_id);
            probes.push(Probe::failed(CHECK, what, "see to dataverse.url and what stands on the way there"));
        }
        Ok(organization) => probes.extend(is_meant(&organization, purpose, !accepted.is_empty())),
        Err(error) => probes.push(Probe::found(Severity::Warning, CHECK, chain(&error), error.remedy())),
    }
    probes
}

/// Whether messages of the organization are accepted.
fn accepts(accepted: &[OrganizationId], organization: OrganizationId) -> Probe {
    if accepted.is_empty() || accepted.contains(&organization) {
        return Probe::good(CHECK, format!("messages of {organization} are accepted"));
    }
    Probe::failed(
        CHECK,
        format!("messages of {organization} are not accepted: filter.organizations does not list it"),
        "set dataverse.url to the environment that posts to the queue; or, if this one does, list its id",
    )
}

/// Whether the environment is what it has to be.
fn is_meant(organization: &Organization, purpose: Purpose, listed: bool) -> Option<Probe> {
    use OrganizationType::{NotProduction, Production, Unknown};
    let name = &organization.unique_name;
    let refused = |is: &str, wanted: &str| {
        let what = format!("{name} is {is}, and dataverse.environment asks for {wanted}");
        let remedy = "point the settings to the right environment; in a copy, disable the steps or let the endpoint post to a \
                      queue of its own before its administration mode is switched off";
        Some(Probe::failed(CHECK, what, remedy))
    };
    match (organization.organization_type, purpose) {
        (NotProduction, Purpose::Production) => refused("no production environment", "production"),
        (Production, Purpose::Sandbox) => refused("a production environment", "a sandbox"),
        (Unknown, Purpose::Production | Purpose::Sandbox) => Some(Probe::found(
            Severity::Warning,
            CHECK,
            format!("{name} does not say what it is for, so that a copy could be taken for its original"),
            "set filter.organizations",
        )),
        (NotProduction, Purpose::Any) if !listed => Some(Probe::found(
            Severity::Warning,
            CHECK,
            format!("{name} is no production environment, and nothing says that it is meant"),
            "set dataverse.environment to sandbox, and list its organization in filter.organizations",
        )),
        (NotProduction | Production | Unknown, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn result(kind: OrganizationType, purpose: Purpose, listed: bool) -> &'static str {
        let organization = Organization {
            organization_id: OrganizationId(Uuid::nil()),
            friendly_name: "Contoso".into(),
            unique_name: "contoso".into(),
            url_name: "contoso".into(),
            tenant_id: None,
            organization_type: kind,
        };
        is_meant(&organization, purpose, listed).map_or("", |probe| probe.result())
    }

    #[test]
    fn a_copy_is_not_taken_for_its_original() {
        use OrganizationType::{NotProduction, Production, Unknown};
        for (kind, any, production, sandbox) in [
            (Production, "", "", "failed"),
            (NotProduction, "", "failed", ""),
            (Unknown, "", "warning", "warning"),
        ] {
            let results = [Purpose::Any, Purpose::Production, Purpose::Sandbox]
                .map(|purpose| result(kind, purpose, true));
            assert_eq!(results, [any, production, sandbox], "{kind:?}");
        }
        assert_eq!(result(NotProduction, Purpose::Any, false), "warning");
        assert_eq!(result(Production, Purpose::Any, false), "");
    }

    #[test]
    fn only_listed_organizations_are_accepted_if_any_is() {
        let [one, other] = [1, 2].map(|n| OrganizationId(Uuid::from_u128(n)));
        assert_eq!(accepts(&[], one).result(), "ok");
        assert_eq!(accepts(&[other, one], one).result(), "ok");
        assert_eq!(accepts(&[other], one).result(), "failed");
    }
}
