//! Entities as Atom entries and feeds, element by element in the order that clients expect.

use std::{fmt::Write as _, time::Duration};

use quick_xml::escape::escape;

use super::refusal::Refusal;
use crate::{
    broker::{Broker, Correlation, Counts, EntityOptions, Filter, Kind, Side, Target, Time},
    hub::Hub,
};

const ATOM: &str = "http://www.w3.org/2005/Atom";
const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const COUNTS: &str = "http://schemas.microsoft.com/netservices/2011/06/servicebus";

/// What .NET writes for "for ever".
const FOR_EVER: &str = "P10675199DT2H48M5.4775807S";

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    skip: usize,
    top: usize,
}

impl Page {
    pub(super) fn read(query: &str) -> Self {
        let query = query.replace("%24", "$");
        let number = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
        };
        Self { skip: number("$skip").unwrap_or(0), top: number("$top").unwrap_or(100) }
    }
}

pub(super) fn one(hub: &Hub, base: &str, path: &str) -> Result<String, Refusal> {
    Ok(hub.run(|broker, _| {
        let target = broker.resolve(path)?;
        entry(broker, base, target)
    })?)
}

/// The entities that `wanted` picks.
pub(super) fn list(hub: &Hub, base: &str, page: Page, wanted: impl Fn(&str, Kind) -> bool) -> String {
    let entries = hub.run(|broker, _| {
        let targets: Vec<Target> = broker
            .entities()
            .filter(|(name, kind, _)| wanted(name, *kind))
            .map(|(_, _, target)| target)
            .skip(page.skip)
            .take(page.top)
            .collect();
        let entries = targets.into_iter().filter_map(|target| entry(broker, base, target).ok());
        entries.collect::<String>()
    });
    feed(base, &entries)
}

fn feed(base: &str, entries: &str) -> String {
    let base = escape(base);
    format!("<feed xmlns=\"{ATOM}\"><title type=\"text\">entities</title><id>{base}</id>{entries}</feed>")
}

/// The rules of a subscription.
pub(super) fn rules(hub: &Hub, base: &str, path: &str) -> Result<String, Refusal> {
    let rules = hub.run(|broker, _| {
        let target = broker.resolve(path)?;
        broker.rules(target)
    })?;
    let mut entries = String::new();
    for rule in rules {
        let name = escape(&*rule.name).into_owned();
        let action = match &rule.action {
            None => "<Action i:type=\"EmptyRuleAction\"/>".to_owned(),
            Some(action) => format!("<Action i:type=\"SqlRuleAction\">{}</Action>", expression(&action.text)),
        };
        let body = format!(
            "<RuleDescription xmlns=\"{CONNECT}\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">\
             {}{action}<Name>{name}</Name></RuleDescription>",
            filter(&rule.filter)
        );
        entries += &wrap(base, &format!("{path}/Rules/{}", rule.name), &rule.name, &body, Time::default());
    }
    Ok(feed(base, &entries))
}

fn expression(text: &str) -> String {
    format!("<SqlExpression>{}</SqlExpression><CompatibilityLevel>20</CompatibilityLevel>", escape(text))
}

fn filter(filter: &Filter) -> String {
    let (kind, body) = match filter {
        Filter::True => ("TrueFilter", expression("1=1")),
        Filter::False => ("FalseFilter", expression("1=0")),
        Filter::Sql(filter) => ("SqlFilter", expression(&filter.text)),
        Filter::Correlation(correlation) => ("CorrelationFilter", correlation_fields(correlation)),
    };
    format!("<Filter i:type=\"{kind}\">{body}</Filter>")
}

fn correlation_fields(correlation: &Correlation) -> String {
    let fields = [
        ("CorrelationId", &correlation.correlation_id),
        ("MessageId", &correlation.message_id),
        ("To", &correlation.to),
        ("ReplyTo", &correlation.reply_to),
        ("Label", &correlation.label),
        ("SessionId", &correlation.session_id),
        ("ReplyToSessionId", &correlation.reply_to_session_id),
        ("ContentType", &correlation.content_type),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let mut xml = String::new();
    for (name, value) in given {
        write!(xml, "<{name}>{}</{name}>", escape(value)).ok();
    }
    xml
}

pub(super) fn namespace(base: &str) -> String {
    let body = format!(
        "<NamespaceInfo xmlns=\"{CONNECT}\"><CreatedTime>{0}</CreatedTime><MessagingSKU>Standard</MessagingSKU>\
         <ModifiedTime>{0}</ModifiedTime><Name>emulator</Name><NamespaceType>Messaging</NamespaceType>\
         </NamespaceInfo>",
        date(Time::default())
    );
    wrap(base, "$namespaceinfo", "emulator", &body, Time::default())
}

fn entry(broker: &Broker, base: &str, target: Target) -> Result<String, crate::broker::Error> {
    let kind = broker.kind(target)?;
    let options = broker.options(target)?;
    let created = broker.created(target)?;
    let name = broker.place(target)?.to_string();
    let main = broker.counts(target)?;
    let dead = broker.counts(target.on(Side::DeadLetter))?;
    let body = description(kind, options, created, main, dead);
    let title = if kind == Kind::Subscription { name.rsplit('/').next().unwrap_or(&name) } else { &name };
    Ok(wrap(base, &name, title, &body, created))
}

fn wrap(base: &str, path: &str, title: &str, body: &str, created: Time) -> String {
    let id = escape(format!("{base}/{path}?api-version=2021-05")).into_owned();
    let (title, date) = (escape(title), date(created));
    format!(
        "<entry xmlns=\"{ATOM}\"><id>{id}</id><title type=\"text\">{title}</title><published>{date}</published>\
         <updated>{date}</updated><author><name>emulator</name></author><link rel=\"self\" href=\"{id}\"/>\
         <content type=\"application/xml\">{body}</content></entry>"
    )
}

/// The settings and counters of an entity.
fn description(kind: Kind, options: &EntityOptions, created: Time, main: Counts, dead: Counts) -> String {
    let element = match kind {
        Kind::Queue => "QueueDescription",
        Kind::Topic => "TopicDescription",
        Kind::Subscription => "SubscriptionDescription",
    };
    let mut xml =
        format!("<{element} xmlns=\"{CONNECT}\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">");
    let bytes = main.bytes + dead.bytes;
    let total = main.active + main.deferred + main.scheduled + dead.active + dead.deferred;
    let mut elements = settings(options);
    elements.push(("SizeInBytes", bytes.to_string()));
    elements.push(("MessageCount", total.to_string()));
    elements.extend(["CreatedAt", "UpdatedAt", "AccessedAt"].map(|name| (name, date(created))));
    for name in ORDER {
        if name == "CountDetails" {
            xml += &counters(main, dead);
            continue;
        }
        let given = elements.iter().find(|(known, _)| *known == name);
        if let Some((_, value)) = given.filter(|_| has(kind, name)) {
            // Writing to a string cannot fail.
            write!(xml, "<{name}>{}</{name}>", escape(value)).ok();
        }
    }
    xml + &format!("</{element}>")
}

/// The order of the elements; some clients read them in sequence.
const ORDER: [&str; 24] = [
    "LockDuration",
    "MaxSizeInMegabytes",
    "RequiresDuplicateDetection",
    "RequiresSession",
    "DefaultMessageTimeToLive",
    "DeadLetteringOnMessageExpiration",
    "DuplicateDetectionHistoryTimeWindow",
    "MaxDeliveryCount",
    "EnableBatchedOperations",
    "SizeInBytes",
    "MessageCount",
    "IsAnonymousAccessible",
    "Status",
    "ForwardTo",
    "CreatedAt",
    "UpdatedAt",
    "AccessedAt",
    "SupportOrdering",
    "CountDetails",
    "AutoDeleteOnIdle",
    "EnablePartitioning",
    "EntityAvailabilityStatus",
    "EnableExpress",
    "ForwardDeadLetteredMessagesTo",
];

/// Whether descriptions of a kind have an element.
fn has(kind: Kind, element: &str) -> bool {
    match element {
        "LockDuration"
        | "RequiresSession"
        | "DeadLetteringOnMessageExpiration"
        | "MaxDeliveryCount"
        | "MessageCount" => kind != Kind::Topic,
        "MaxSizeInMegabytes"
        | "RequiresDuplicateDetection"
        | "DuplicateDetectionHistoryTimeWindow"
        | "EnableExpress" => kind != Kind::Subscription,
        _ => true,
    }
}

fn settings(options: &EntityOptions) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("LockDuration", duration(options.lock_duration)),
        ("MaxSizeInMegabytes", (options.max_size / (1024 * 1024)).to_string()),
        ("RequiresDuplicateDetection", options.duplicate_window.is_some().to_string()),
        ("RequiresSession", options.requires_session.to_string()),
        ("DefaultMessageTimeToLive", options.default_ttl.map_or_else(|| FOR_EVER.to_owned(), duration)),
        ("DeadLetteringOnMessageExpiration", options.dead_letter_on_expiry.to_string()),
        (
            "DuplicateDetectionHistoryTimeWindow",
            duration(options.duplicate_window.unwrap_or(Duration::from_mins(10))),
        ),
        ("MaxDeliveryCount", options.max_delivery_count.to_string()),
        ("Status", options.status.as_str().to_owned()),
        ("AutoDeleteOnIdle", options.auto_delete_on_idle.map_or_else(|| FOR_EVER.to_owned(), duration)),
    ];
    let fixed = [
        ("EnableBatchedOperations", "true"),
        ("IsAnonymousAccessible", "false"),
        ("SupportOrdering", "true"),
        ("EnablePartitioning", "false"),
        ("EntityAvailabilityStatus", "Available"),
        // The JavaScript client refuses a queue without it.
        ("EnableExpress", "false"),
    ];
    settings.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    settings.extend(options.forward_to.clone().map(|name| ("ForwardTo", name)));
    let dead = options.forward_dead_letters_to.clone();
    settings.extend(dead.map(|name| ("ForwardDeadLetteredMessagesTo", name)));
    settings
}

fn counters(main: Counts, dead: Counts) -> String {
    let mut xml = format!("<CountDetails xmlns:d2p1=\"{COUNTS}\">");
    for (name, count) in [
        ("ActiveMessageCount", main.active),
        ("DeadLetterMessageCount", dead.active + dead.deferred),
        ("ScheduledMessageCount", main.scheduled),
        ("TransferMessageCount", 0),
        ("TransferDeadLetterMessageCount", 0),
    ] {
        write!(xml, "<d2p1:{name}>{count}</d2p1:{name}>").ok();
    }
    xml + "</CountDetails>"
}

fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let mut text = String::from("PT");
    for (size, unit) in [(3_600, 'H'), (60, 'M')] {
        let count = if size == 3_600 { seconds / size } else { seconds / size % 60 };
        if count > 0 {
            write!(text, "{count}{unit}").ok();
        }
    }
    if !seconds.is_multiple_of(60) || seconds == 0 {
        write!(text, "{}S", seconds % 60).ok();
    }
    text
}

fn date(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_the_iso_way() {
        for (seconds, expected) in
            [(0, "PT0S"), (5, "PT5S"), (60, "PT1M"), (3_600, "PT1H"), (3_725, "PT1H2M5S")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
    }
}
