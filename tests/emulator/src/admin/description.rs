//! Creating and changing entities from the Atom entry in a PUT.

use std::collections::HashMap;

use axum::http::StatusCode;
use quick_xml::{Reader, events::Event};

use super::refusal::Refusal;
use crate::{
    amqp::condition::ENTITY_DISABLED,
    broker::{EntityOptions, EntityStatus, Error},
    duration::{lifetime, parse_duration},
    handle::Order,
    hub::Hub,
};

/// Makes or changes the entity at `path`.
pub(super) fn put(hub: &Hub, path: &str, body: &str, update: bool) -> Result<(), Refusal> {
    let (kind, elements) = read(body)?;
    let old = hub.run(|broker, _| broker.options(broker.resolve(path)?).cloned());
    if update {
        let options = apply(old?, &elements)?;
        let hands_out = options.status.hands_out();
        let target = hub.run(|broker, _| {
            let target = broker.resolve(path)?;
            broker.set_options(target, options)?;
            Ok::<_, Error>(target)
        })?;
        if !hands_out {
            hub.order(&Order::Detach { target: Some(target), condition: ENTITY_DISABLED });
        }
        return Ok(());
    }
    let options = apply(EntityOptions::default(), &elements)?;
    hub.run(|broker, now| match kind.as_str() {
        "QueueDescription" => broker.add_queue(path, options, now),
        "TopicDescription" => broker.add_topic(path, options, now),
        _ => {
            let (topic, name) = split_subscription(path);
            broker.add_subscription(topic, name, options, Vec::new(), now)
        }
    })?;
    Ok(())
}

/// Topic and name of a subscription's path.
fn split_subscription(path: &str) -> (&str, &str) {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    (above.rsplit_once('/').map_or("", |(topic, _)| topic), name)
}

/// The kind of description in an entry, and its elements by name.
fn read(body: &str) -> Result<(String, HashMap<String, String>), Refusal> {
    let bad = |detail: &str| Refusal::new(StatusCode::BAD_REQUEST, detail);
    let mut reader = Reader::from_str(body);
    let mut kind = None;
    let mut open = String::new();
    let mut elements = HashMap::new();
    loop {
        match reader.read_event().map_err(|_| bad("The body is not well-formed XML."))? {
            Event::Start(start) => {
                start.local_name().as_ref().clone_into(&mut open);
                let described = matches!(
                    open.as_str(),
                    "QueueDescription" | "TopicDescription" | "SubscriptionDescription"
                );
                if described {
                    kind = Some(open.clone());
                }
            }
            Event::Text(text) if kind.is_some() => {
                let text: &str = text.as_ref();
                // A description inside a description (the default rule) does not overwrite the outer one.
                elements.entry(std::mem::take(&mut open)).or_insert_with(|| text.trim().to_owned());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok((kind.ok_or_else(|| bad("The body holds no description of an entity."))?, elements))
}

fn apply(mut options: EntityOptions, elements: &HashMap<String, String>) -> Result<EntityOptions, Refusal> {
    let bad =
        |name: &str| Refusal::new(StatusCode::BAD_REQUEST, format!("The value of {name} is not valid."));
    let text = |name: &str| elements.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let flag = |name: &str| text(name).map(|text| text.eq_ignore_ascii_case("true"));
    let duration =
        |name: &str| text(name).map(|text| parse_duration(text).ok_or_else(|| bad(name))).transpose();
    let number = |name: &str| text(name).map(|text| text.parse::<u64>().map_err(|_| bad(name))).transpose();
    if let Some(lock) = duration("LockDuration")? {
        options.lock_duration = lock;
    }
    if let Some(count) = number("MaxDeliveryCount")? {
        options.max_delivery_count = u32::try_from(count).map_err(|_| bad("MaxDeliveryCount"))?;
    }
    if let Some(megabytes) = number("MaxSizeInMegabytes")? {
        options.max_size = megabytes.saturating_mul(1024 * 1024);
    }
    if let Some(ttl) = duration("DefaultMessageTimeToLive")? {
        options.default_ttl = lifetime(ttl);
    }
    if let Some(idle) = duration("AutoDeleteOnIdle")? {
        options.auto_delete_on_idle = lifetime(idle);
    }
    options.dead_letter_on_expiry =
        flag("DeadLetteringOnMessageExpiration").unwrap_or(options.dead_letter_on_expiry);
    options.requires_session = flag("RequiresSession").unwrap_or(options.requires_session);
    if flag("RequiresDuplicateDetection") == Some(true) {
        let window = duration("DuplicateDetectionHistoryTimeWindow")?;
        options.duplicate_window = window.or(Some(std::time::Duration::from_mins(10)));
    }
    if let Some(status) = text("Status") {
        options.status = EntityStatus::parse(status).ok_or_else(|| bad("Status"))?;
    }
    options.forward_to = text("ForwardTo").map(str::to_owned).or(options.forward_to);
    let forward = text("ForwardDeadLetteredMessagesTo").map(str::to_owned);
    options.forward_dead_letters_to = forward.or(options.forward_dead_letters_to);
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_whatever_prefixes_it_uses() -> Result<(), String> {
        let body = "<a:entry xmlns:a='x'><a:content><b:QueueDescription xmlns:b='y'>\
                    <b:LockDuration>PT30S</b:LockDuration><b:MaxDeliveryCount>4</b:MaxDeliveryCount>\
                    <b:RequiresSession>true</b:RequiresSession><b:AutoDeleteOnIdle>P1D</b:AutoDeleteOnIdle>\
                    </b:QueueDescription></a:content></a:entry>";
        let (kind, elements) = read(body).map_err(|refusal| refusal.detail)?;
        let options = apply(EntityOptions::default(), &elements).map_err(|refusal| refusal.detail)?;
        assert_eq!(kind, "QueueDescription");
        assert_eq!(options.lock_duration.as_secs(), 30);
        assert_eq!(options.max_delivery_count, 4);
        assert!(options.requires_session);
        assert_eq!(options.auto_delete_on_idle, Some(std::time::Duration::from_hours(24)));
        Ok(())
    }
}
