//! Which service endpoints are ours: those that post to the queue of the settings, or that have our name.

use super::{Client, Error, rows::ServiceEndpoint};
use crate::settings::Bus;

/// What an endpoint is called if nobody names it otherwise.
pub(crate) const NAME: &str = "contactsync";
/// Most endpoints that are looked at. Environments have a handful, of Microsoft's and of other products.
const MOST: usize = 1_000;

/// Where messages have to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Host of the namespace, without a port.
    pub(crate) host: Box<str>,
    /// Queue or topic.
    pub(crate) entity: Box<str>,
}

/// By what an endpoint is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It posts to the queue of the settings.
    Address,
    /// It has our name, and posts somewhere else.
    NameOnly,
}

impl Destination {
    /// Where the worker of these settings takes messages from, as far as Dataverse is concerned; `None` if that is no
    /// namespace of Service Bus.
    #[must_use]
    pub(crate) fn of(bus: &Bus) -> Option<Self> {
        let host = bus.service_bus()?.endpoint.host.clone();
        Some(Self { host, entity: bus.source.target().into() })
    }

    /// By what an endpoint is ours, if it is.
    #[must_use]
    pub(crate) fn matches(&self, endpoint: &ServiceEndpoint) -> Option<Match> {
        let path = endpoint.path.as_deref().unwrap_or_default().trim_matches('/');
        let here = host(endpoint.address.as_deref().unwrap_or_default()).eq_ignore_ascii_case(&self.host)
            && path.eq_ignore_ascii_case(&self.entity);
        let named = endpoint.name.as_deref().is_some_and(|name| name.trim().eq_ignore_ascii_case(NAME));
        if here { Some(Match::Address) } else { named.then_some(Match::NameOnly) }
    }

    /// All of ours, those that post to the queue first.
    pub(crate) async fn endpoints(&self, client: &Client) -> Result<Vec<(ServiceEndpoint, Match)>, Error> {
        let query = format!("{}?$select={}", ServiceEndpoint::SET, ServiceEndpoint::COLUMNS);
        let all: Vec<ServiceEndpoint> = client.rows(&query, MOST).await?;
        let ours = all.into_iter().filter_map(|endpoint| {
            let by = self.matches(&endpoint)?;
            Some((endpoint, by))
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by_key(|(_, by)| *by == Match::NameOnly);
        Ok(ours)
    }
}

/// The host of an address such as `sb://NAME.servicebus.windows.net:5671/`.
pub(super) fn host(address: &str) -> &str {
    let rest = address.trim().split_once("://").map_or(address.trim(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[track_caller]
    fn check(name: &str, address: &str, path: &str, expected: Option<Match>) {
        let destination = Destination { host: "ns.servicebus.windows.net".into(), entity: "contacts".into() };
        let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        let endpoint = ServiceEndpoint {
            id: Uuid::nil(),
            name: some(name),
            contract: Some(ServiceEndpoint::QUEUE),
            address: some(address),
            path: some(path),
        };
        assert_eq!(destination.matches(&endpoint), expected, "{name} {address} {path}");
    }

    #[test]
    fn an_endpoint_is_ours_by_address_and_queue_however_they_are_written_or_else_by_name() {
        for address in [
            "sb://ns.servicebus.windows.net/",
            "sb://NS.ServiceBus.Windows.net",
            "https://ns.servicebus.windows.net:443/",
            "ns.servicebus.windows.net",
        ] {
            check("anything", address, "contacts", Some(Match::Address));
            check("contactsync", address, "/Contacts", Some(Match::Address));
            check("anything", address, "contacts2", None);
        }
        check("ContactSync ", "sb://other.servicebus.windows.net/", "contacts", Some(Match::NameOnly));
        check("contactsync", "", "", Some(Match::NameOnly));
        check("", "", "", None);
        check("x", "sb://ns.servicebus.windows.net.evil.example/", "contacts", None);
    }
}
