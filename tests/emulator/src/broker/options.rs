//! How an entity is set up: what the portal, a template or `Config.json` would say.

use std::time::Duration;

/// Settings of a queue, topic or subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityOptions {
    /// How long a delivery stays locked.
    pub lock_duration: Duration,
    /// Failed deliveries after which a message is dead-lettered.
    pub max_delivery_count: u32,
    /// Cap and default of the time to live; none means endless.
    pub default_ttl: Option<Duration>,
    /// Whether expired messages are dead-lettered instead of dropped.
    pub dead_letter_on_expiry: bool,
    /// How long message ids are remembered, if duplicates are to be dropped.
    pub duplicate_window: Option<Duration>,
    /// Whether messages are received by session only.
    pub requires_session: bool,
    /// Name of the entity that gets every message instead of this one.
    pub forward_to: Option<String>,
    /// Name of the entity that gets the dead letters.
    pub forward_dead_letters_to: Option<String>,
    /// Time without use after which the service would delete the entity; told, and never done here.
    pub auto_delete_on_idle: Option<Duration>,
    /// Bytes that the entity may hold, dead letters included.
    pub max_size: u64,
    /// Largest message in bytes.
    pub max_message_size: u64,
    /// What it can be used for.
    pub status: EntityStatus,
}

/// What an entity can be used for, by the names that the management interface has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntityStatus {
    /// Everything.
    #[default]
    Active,
    /// Nothing: it refuses links and messages.
    Disabled,
    /// It takes no messages, and hands out those that it has.
    SendDisabled,
    /// It takes messages and hands none out.
    ReceiveDisabled,
}

impl EntityStatus {
    const NAMES: [(&'static str, Self); 4] = [
        ("Active", Self::Active),
        ("Disabled", Self::Disabled),
        ("SendDisabled", Self::SendDisabled),
        ("ReceiveDisabled", Self::ReceiveDisabled),
    ];

    /// The status of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, status)| *status)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, status)| *status == self).map_or("Active", |(name, _)| name)
    }

    /// Whether messages may be sent.
    #[must_use]
    pub fn takes(self) -> bool {
        matches!(self, Self::Active | Self::ReceiveDisabled)
    }

    /// Whether messages may be received.
    #[must_use]
    pub fn hands_out(self) -> bool {
        matches!(self, Self::Active | Self::SendDisabled)
    }
}

impl Default for EntityOptions {
    /// The cloud's defaults, except for the quota, which is the one of the official emulator (100 MB).
    fn default() -> Self {
        Self {
            lock_duration: Duration::from_mins(1),
            max_delivery_count: 10,
            default_ttl: None,
            dead_letter_on_expiry: false,
            duplicate_window: None,
            requires_session: false,
            forward_to: None,
            forward_dead_letters_to: None,
            auto_delete_on_idle: None,
            max_size: 100 * 1024 * 1024,
            max_message_size: 256 * 1024,
            status: EntityStatus::Active,
        }
    }
}
