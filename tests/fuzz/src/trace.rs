//! The span that a sender names.

use std::sync::Arc;

use jiff::Timestamp;
use servicebus::{ApplicationProperties, ApplicationValue, Message, MessagingSystem};
use worker::telemetry::trace::Tracer;

use crate::texts;

/// A sender is followed only where it wrote what the standard says.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (tracer, _spans) = Tracer::new(0.0, MessagingSystem::SERVICE_BUS);
    let tracer = Arc::new(tracer);
    for name in ["traceparent", "Diagnostic-Id"] {
        let properties: ApplicationProperties =
            [(name, ApplicationValue::Text(text.as_ref().into()))].into_iter().collect();
        let message = Message { properties, ..Message::default() };
        let Some(begun) = tracer.begin(&message, Timestamp::UNIX_EPOCH) else { continue };
        let hex = format!("{:032x}", u128::from_be_bytes(begun.context.trace));
        assert!(text.to_ascii_lowercase().contains(&hex), "a trace that the sender did not name");
        assert_ne!(begun.context.trace, [0; 16]);
        assert_ne!(begun.context.span, [0; 8]);
        // Two digits, 32, 16 and two, with a dash between; a later version of the standard may say more.
        assert!(text.trim().len() >= 55);
    }
}

/// What clients write.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "cc-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01-more",
        "|old.style.1",
    ])
}
