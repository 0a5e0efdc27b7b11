//! Secrets, keys, clouds, and whose messages count.

use servicebus::NamespaceCredential;

use super::{
    caution::{self, Caution},
    finding::{Finding, Severity},
    rule::Rule,
};
use crate::{
    identity::{Credential, Identity},
    settings::{
        Access, MessageSource, Namespace, Parts, SettingOrigin, cloud_of,
        secrets::{SECRETS, Secret},
    },
};

pub(super) const RULES: [Rule; 10] = [
    |parts, _| cloud(parts),
    |parts, _| namespace_of_other_cloud(parts),
    |parts, _| root_key(parts),
    |parts, _| signature(parts),
    |parts, _| plain_text(parts),
    |parts, _| entity_path(parts),
    |parts, _| any_organization(parts),
    |parts, _| topic(parts),
    |parts, _| health(parts),
    |parts, _| person(parts),
];

fn cloud(parts: &Parts) -> Option<Finding> {
    let (graph, identity) = (parts.graph.as_ref()?, parts.identity.as_ref()?);
    let (of_graph, of_login) = (cloud_of(graph.root.host_str()?)?, cloud_of(identity.authority.host_str()?)?);
    (of_graph.authority != of_login.authority).then(|| {
        Finding::new(
            Severity::Error,
            "identity.authority",
            format!(
                "{} belongs to another cloud than {}, and tokens do not cross clouds",
                identity.authority.host_str().unwrap_or_default(),
                graph.root.host_str().unwrap_or_default()
            ),
            "set cloud, and leave identity.authority and graph.root empty",
        )
    })
}

/// The namespace of Service Bus, if that is where messages come from.
fn namespace(parts: &Parts) -> Option<&Namespace> {
    parts.bus.as_ref()?.service_bus()
}

fn namespace_of_other_cloud(parts: &Parts) -> Option<Finding> {
    let Namespace { access, endpoint, .. } = namespace(parts)?;
    let Access::Entra { audience, .. } = access else { return None };
    let of_namespace = cloud_of(&endpoint.host)?;
    let known = cloud_of(audience.strip_prefix("https://")?)?;
    (known.audience != of_namespace.audience).then(|| {
        Finding::new(
            Severity::Error,
            "service_bus.namespace",
            format!("{} belongs to another cloud than its tokens, which are for {audience}", endpoint.host),
            "set cloud to that of the namespace",
        )
    })
}

/// Secrets that stand where more than the worker reads them.
pub(super) fn secrets(parts: &Parts) -> impl Iterator<Item = Finding> {
    SECRETS.iter().filter_map(|secret| misplaced(parts, secret))
}

fn misplaced(parts: &Parts, secret: &Secret) -> Option<Finding> {
    let key = secret.key;
    let entry = parts.entries.get(key)?;
    if entry.value.as_str()?.is_empty() || entry.file.is_some() {
        return None;
    }
    let place = match &entry.origin {
        SettingOrigin::Default => return None,
        SettingOrigin::File(_) => "in the settings file",
        SettingOrigin::Environment(_) => {
            "in the environment, which child processes and crash reports carry along"
        }
    };
    let variable = format!("CONTACTSYNC__{}_FILE", key.to_uppercase().replace('.', "__"));
    Some(Finding::new(
        Severity::Note,
        key,
        format!(
            "the secret stands {place}{}",
            if secret.read_anew { ", and can be replaced only by a restart" } else { "" }
        ),
        &format!("put it into a file of its own and name that file in {variable}"),
    ))
}

fn root_key(parts: &Parts) -> Option<Finding> {
    let Namespace { access, endpoint, .. } = namespace(parts)?;
    let NamespaceCredential::Key(key) = access.shared()? else { return None };
    (&*key.name == "RootManageSharedAccessKey" && !endpoint.is_loopback()).then(|| {
        Finding::new(
            Severity::Warning,
            "service_bus.connection_string",
            "RootManageSharedAccessKey may change and delete everything in the namespace",
            "make a rule of the queue with the rights Listen and Send, and use its connection string",
        )
    })
}

fn signature(parts: &Parts) -> Option<Finding> {
    let Access::Shared(credential) = &namespace(parts)?.access else { return None };
    matches!(credential, NamespaceCredential::Signature(_)).then(|| {
        Finding::new(
            Severity::Warning,
            "service_bus.connection_string",
            "a SharedAccessSignature ends by itself, and the worker cannot renew it",
            "use the key of a rule, or set service_bus.namespace to sign in with Entra",
        )
    })
}

fn plain_text(parts: &Parts) -> Option<Finding> {
    let endpoint = &namespace(parts)?.endpoint;
    (!endpoint.tls).then(|| {
        Finding::new(
            Severity::Note,
            "service_bus",
            format!("{} is spoken to in plain text", endpoint.authority()),
            "use this for a local Service Bus only",
        )
    })
}

fn entity_path(parts: &Parts) -> Option<Finding> {
    let Caution { what, remedy } = caution::entity_path(parts.bus.as_ref()?)?;
    Some(Finding::new(Severity::Warning, "service_bus.connection_string", what, &remedy))
}

fn any_organization(parts: &Parts) -> Option<Finding> {
    parts.planner.as_ref()?.organizations.is_empty().then(|| {
        Finding::new(
            Severity::Note,
            "filter.organizations",
            "messages of every Dataverse organization are accepted",
            "list the id of yours, so that nobody posts changes of another environment by mistake",
        )
    })
}

fn topic(parts: &Parts) -> Option<Finding> {
    let MessageSource::Subscription { topic, name } = &parts.bus.as_ref()?.source else { return None };
    // Of several targets each gets copies of its own back, which a filter on attempts would keep out.
    let remedy = match &parts.target {
        None => format!("give all but {name} the filter NOT EXISTS([contactsync-attempt])"),
        Some(target) => format!(
            "give {name} the filter NOT EXISTS([contactsync-for-target]) OR [contactsync-for-target] = '{target}', and \
             those of no target NOT EXISTS([contactsync-attempt])"
        ),
    };
    Some(Finding::new(
        Severity::Note,
        "service_bus.topic",
        format!("what has to come back later is sent to {topic} again, where other subscriptions see it"),
        &remedy,
    ))
}

/// A worker that works in the name of a person.
fn person(parts: &Parts) -> Option<Finding> {
    let is_cli = |identity: &Identity| matches!(identity.credential, Credential::Cli { .. });
    let at_bus = namespace(parts).and_then(|namespace| match &namespace.access {
        Access::Entra { identity, .. } => Some(&**identity),
        Access::Shared(_) | Access::Stored(_) => None,
    });
    let found = [("identity.kind", parts.identity.as_ref()), ("service_bus.identity.kind", at_bus)];
    let (key, _) = found.into_iter().find(|(_, identity)| identity.is_some_and(is_cli))?;
    Some(Finding::new(
        Severity::Warning,
        key,
        "cli is whoever is signed in by az login: a worker works in the name of that person, and stops when the session ends",
        "use it for commands at a desk, and secret, certificate, workload or managed for run",
    ))
}

fn health(parts: &Parts) -> Option<Finding> {
    const KEY: &str = "http.listen";
    match parts.http.as_ref()?.listen {
        None => Some(Finding::new(
            Severity::Note,
            KEY,
            "nothing answers questions for health and metrics",
            "set it to 127.0.0.1:9464, or in a pod or container to 0.0.0.0:9464",
        )),
        Some(address) if address.ip().is_loopback() => None,
        Some(address) => Some(Finding::new(
            Severity::Note,
            KEY,
            format!("health, metrics and status are shown to everybody who reaches {address}"),
            "let the probes and the collector of metrics reach it, and nobody else",
        )),
    }
}
