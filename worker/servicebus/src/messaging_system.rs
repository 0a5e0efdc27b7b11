//! What OpenTelemetry calls the system that a queue belongs to.

/// Names of a messaging system in metrics and traces, as OpenTelemetry's semantic conventions give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagingSystem {
    /// The value of `messaging.system`.
    pub name: &'static str,
    /// The attribute that holds how often a message was delivered.
    pub delivery_count: &'static str,
}

impl MessagingSystem {
    /// Azure Service Bus.
    pub const SERVICE_BUS: Self =
        Self { name: "servicebus", delivery_count: "messaging.servicebus.message.delivery_count" };
}
