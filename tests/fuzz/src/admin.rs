//! Answers of the management interface.

use std::time::Duration;

use servicebus::admin::{Status, fuzz as admin};

use crate::texts;

/// What is read stands in the answer, and an answer that cannot be used says so in words of ours.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match admin::description(&text) {
        Ok(description) => {
            assert!(text.contains("Description"), "a description out of nothing");
            let properties = description.properties;
            let names = [properties.forward_to, properties.forward_dead_letters_to];
            let status = if let Status::Other(text) = properties.status { Some(text) } else { None };
            for name in names.into_iter().chain([status]).flatten() {
                assert!(name.len() <= text.len(), "longer than the answer");
            }
            for time in [properties.default_ttl, properties.auto_delete_on_idle].into_iter().flatten() {
                assert!(time < Duration::from_hours(24 * 3_650_000), "this is for ever");
            }
        }
        Err(words) => assert!(words.len() < 80, "not in words of ours: {words}"),
    }
}

/// A queue, a subscription, nothing, and what a document type could do.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom"><title type="text">contacts</title><content type="application/xml"><QueueDescription xmlns="x" xmlns:i="y"><LockDuration>PT1M30.5S</LockDuration><MaxSizeInMegabytes>1024</MaxSizeInMegabytes><RequiresDuplicateDetection>false</RequiresDuplicateDetection><RequiresSession>false</RequiresSession><DefaultMessageTimeToLive>P10675199DT2H48M5.4775807S</DefaultMessageTimeToLive><DeadLetteringOnMessageExpiration>true</DeadLetteringOnMessageExpiration><DuplicateDetectionHistoryTimeWindow>PT10M</DuplicateDetectionHistoryTimeWindow><MaxDeliveryCount>10</MaxDeliveryCount><SizeInBytes>7</SizeInBytes><Status>Active</Status><ForwardTo>https://ns/a&amp;b&#x63;</ForwardTo><AuthorizationRules><AuthorizationRule><Status>rule</Status></AuthorizationRule></AuthorizationRules><CountDetails xmlns:d="z"><d:ActiveMessageCount> 7 </d:ActiveMessageCount><d:DeadLetterMessageCount>1</d:DeadLetterMessageCount><d:ScheduledMessageCount>2</d:ScheduledMessageCount><d:TransferMessageCount>0</d:TransferMessageCount><d:TransferDeadLetterMessageCount>0</d:TransferDeadLetterMessageCount></CountDetails><AutoDeleteOnIdle>P1D</AutoDeleteOnIdle></QueueDescription></content></entry>"#,
        "<entry><content><SubscriptionDescription><Status><![CDATA[Receive]]>Disabled</Status><!-- a --></SubscriptionDescription></content></entry>",
        "<feed xmlns='http://www.w3.org/2005/Atom'><title>Publicly Listed Services</title></feed>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<Error><Code>401</Code><Detail>Unauthorized</Detail></Error>",
    ])
}
