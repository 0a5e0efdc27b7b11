//! The endpoint: where messages go, in which form, and with what right.

use serde_json::json;
use shared::ids::OrganizationId;
use uuid::Uuid;

use super::{
    super::{
        desired::Desired,
        deviation::{Deviation, DeviationKind, Repair},
        found::{EndpointRow, Found},
    },
    within,
};

/// Before the id of the organization, in the description of an endpoint.
const MARK: &str = "Registered by contactsync for organization ";
/// Longest description.
const LONGEST: usize = 2_000;

/// Shared access key.
const SAS_KEY: i64 = 2;
/// Managed identity, which needs no key.
const MANAGED_IDENTITY: i64 = 9;

/// Our endpoint: the one of our name, else the only one that posts to our queue, which somebody made by hand. Several of
/// the name are nobody's choice but a person's.
pub(in super::super) fn ours<'f>(
    desired: &Desired,
    endpoints: &'f [EndpointRow],
) -> Result<Option<&'f EndpointRow>, Vec<&'f EndpointRow>> {
    let named: Vec<_> = endpoints.iter().filter(|one| one.is_named(&desired.name)).collect();
    if !named.is_empty() {
        return single(named);
    }
    single(endpoints.iter().filter(|one| one.is_bus() && one.posts_to(desired)).collect())
}

fn single(mut rows: Vec<&EndpointRow>) -> Result<Option<&EndpointRow>, Vec<&EndpointRow>> {
    if rows.len() > 1 { Err(rows) } else { Ok(rows.pop()) }
}

pub(super) fn ambiguous(desired: &Desired, several: &[&EndpointRow]) -> Deviation {
    let told: Vec<_> = several.iter().map(|one| one.title()).collect();
    let what = format!("{} endpoints could be ours: {}", told.len(), told.join(", "));
    Deviation::new(DeviationKind::EndpointAmbiguous, format!("endpoint {}", desired.name), what)
        .by_hand("remove those that are not used, or say by --endpoint NAME which one is meant")
}

pub(super) fn missing(desired: &Desired) -> Deviation {
    let what = format!(
        "no endpoint posts to {} at {}: no change arrives",
        desired.destination.entity, desired.destination.host
    );
    Deviation::new(DeviationKind::EndpointMissing, format!("endpoint {}", desired.name), what)
        .repaired(Repair::MakeEndpoint, "makes it")
}

/// The organization that an endpoint was registered for; a copy of an environment brings the original's along.
fn registered_for(endpoint: &EndpointRow) -> Option<OrganizationId> {
    let (_, rest) = endpoint.description.as_deref()?.split_once(MARK)?;
    Uuid::try_parse(rest.get(..36)?).ok().map(OrganizationId)
}

/// What the description of an endpoint becomes, so that a copy of it can be told.
pub(in super::super) fn mark(before: Option<&str>, organization: OrganizationId) -> String {
    let own = format!("{MARK}{organization}.");
    let before = before.unwrap_or_default();
    let kept = match before.split_once(MARK) {
        // The mark is as long as it is, whoever it names.
        Some((start, rest)) => format!("{start}{own}{}", rest.get(37..).unwrap_or_default()),
        None if before.trim().is_empty() => own.clone(),
        None => format!("{} {own}", before.trim_end()),
    };
    if kept.chars().count() > LONGEST { own } else { kept }
}

pub(super) fn compare(desired: &Desired, endpoint: &EndpointRow, found: &Found) -> Vec<Deviation> {
    let title = endpoint.title();
    let mut deviations = columns(desired, endpoint, &title);
    deviations.extend(access(endpoint, &title));
    deviations.extend(owner(endpoint, found, &title));
    within(endpoint.grasp(), &title, deviations)
}

/// One rule for each column that has a right value.
fn columns(desired: &Desired, endpoint: &EndpointRow, title: &str) -> Vec<Deviation> {
    use DeviationKind as Kind;

    let mut deviations = Vec::new();
    let mut rule = |is_right: bool, kind, what: String, column, value, remedy: &str| {
        if !is_right {
            let repair = Repair::SetEndpoint(endpoint.id, (column, value));
            deviations.push(Deviation::new(kind, title, what).repaired(repair, remedy));
        }
    };
    let address = endpoint.namespaceaddress.as_deref().unwrap_or("nowhere");
    let path = endpoint.path.as_deref().unwrap_or("nothing");
    rule(
        endpoint.is_at(desired),
        Kind::WrongNamespace,
        format!("posts to {address}, and the worker takes from {}", desired.destination.host),
        "namespaceaddress",
        json!(desired.address()),
        "sets the address; give it the key of that namespace, too",
    );
    rule(
        endpoint.has_path(desired),
        Kind::WrongQueue,
        format!("posts to {path}, and the worker takes from {}", desired.destination.entity),
        "path",
        json!(desired.destination.entity),
        "sets the queue; give it the key of a policy of that queue, too",
    );
    rule(
        endpoint.contract == Some(desired.contract.number()),
        Kind::WrongContract,
        format!(
            "is {}, and {} is wanted",
            contract(endpoint.contract),
            contract(Some(desired.contract.number()))
        ),
        "contract",
        json!(desired.contract.number()),
        "sets the contract; where Dataverse refuses that: unregister --apply, then register",
    );
    rule(
        endpoint.namespaceformat == Some(2),
        Kind::WrongAddressForm,
        "names its namespace and not its address".into(),
        "namespaceformat",
        json!(2),
        "sets the form",
    );
    rule(
        endpoint.connectionmode == Some(1),
        Kind::WrongConnectionMode,
        "uses the federated mode, which Service Bus has given up".into(),
        "connectionmode",
        json!(1),
        "sets the normal mode",
    );
    rule(
        matches!(endpoint.messageformat, Some(1..=3)),
        Kind::FormatUnsupported,
        "posts in a format that the worker does not know".into(),
        "messageformat",
        json!(2),
        "sets JSON",
    );
    rule(
        matches!(endpoint.messagecharset, None | Some(0 | 1)),
        Kind::CharsetUnsupported,
        "posts in Windows-1252, in which names of most languages cannot be written".into(),
        "messagecharset",
        json!(0),
        "sets UTF-8",
    );
    rule(
        endpoint.userclaim == Some(1),
        Kind::UserClaim,
        "sends who made a change along with each message, which nobody reads".into(),
        "userclaim",
        json!(1),
        "sets none",
    );
    deviations
}

fn contract(number: Option<i64>) -> String {
    let name = match number {
        Some(1) => "a one-way relay",
        Some(2) => "a queue of the old relay",
        Some(3) => "a REST relay",
        Some(4) => "a two-way relay",
        Some(5) => "a topic",
        Some(6) => "a queue",
        Some(7) => "an event hub",
        Some(8) => "a webhook",
        Some(other) => return format!("of contract {other}"),
        None => "of no contract",
    };
    name.to_owned()
}

fn access(endpoint: &EndpointRow, title: &str) -> Option<Deviation> {
    match (endpoint.authtype, endpoint.issaskeyset) {
        (Some(SAS_KEY), Some(true)) => None,
        (Some(SAS_KEY), _) => Some(
            Deviation::new(
                DeviationKind::KeyMissing,
                title,
                "has no key, as after an import or a copy: each job fails with 0x80081112",
            )
            .repaired(Repair::GiveKey(endpoint.id), "sets it"),
        ),
        (Some(MANAGED_IDENTITY), _) => Some(
            Deviation::new(
                DeviationKind::ManagedIdentity,
                title,
                "posts with a managed identity, which nobody has tried with a queue here",
            )
            .by_hand(
                "see that it has Azure Service Bus Data Sender on the queue, and try it with verify --fire",
            ),
        ),
        (other, _) => {
            let other = other.map_or_else(|| "nothing".to_owned(), |other| format!("type {other}"));
            let what =
                format!("proves itself by {other}, and a shared access key (type {SAS_KEY}) is wanted");
            Some(
                Deviation::new(DeviationKind::WrongAccess, title, what)
                    .repaired(Repair::GiveKey(endpoint.id), "sets a key"),
            )
        }
    }
}

/// Whose endpoint it is. A copy of an environment posts to the queue of the original until somebody stops it.
fn owner(endpoint: &EndpointRow, found: &Found, title: &str) -> Option<Deviation> {
    let repair = || {
        let description = mark(endpoint.description.as_deref(), found.organization.organization_id);
        Repair::SetEndpoint(endpoint.id, ("description", json!(description)))
    };
    match registered_for(endpoint) {
        Some(owner) if owner == found.organization.organization_id => None,
        Some(owner) => Some(
            Deviation::new(
                DeviationKind::OtherOrganization,
                title,
                format!(
                    "was registered for organization {owner}, and this is {}: this environment is a copy, and posts to \
                     the queue of the other",
                    found.organization.organization_id
                ),
            )
            .repaired(
                repair(),
                "--allow-shared-queue takes it over, if both are meant to post there; otherwise name the queue of this \
                 environment in the settings, or run unregister --apply here",
            ),
        ),
        None => Some(
            Deviation::new(
                DeviationKind::EndpointUnmarked,
                title,
                "does not say which organization it was registered for, so that a copy of it could not be told",
            )
            .repaired(repair(), "notes it in its description"),
        ),
    }
}
