//! The section `[notify]`: who is told when something is wrong, and by which channels.

pub(super) mod channel;
mod fields;
mod secret_url;
pub(super) mod variables;

use std::{path::PathBuf, time::Duration};

use jiff::civil::Time;
use reqwest::Url;
use shared::notices::NoticeTiming;
use toml::Value;

use self::variables::CHANNEL;
use super::{cloud::Cloud, identity, reader::Reader, source::Surroundings};
use crate::identity::Identity;

pub use self::{
    channel::{ChannelWay, Mailing, NotifyChannel, SmtpAuth, SmtpServer, SmtpTls, WebhookKey},
    secret_url::SecretUrl,
};

/// Whom to tell, and how often.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The ways to tell somebody; none to tell nobody.
    pub channels: Vec<NotifyChannel>,
    /// What the installation is called; `None` for the name of its queue.
    pub environment: Option<Box<str>>,
    /// The status page, as those who are told reach it.
    pub page_url: Option<Url>,
    /// Waits before and between notices.
    pub timing: NoticeTiming,
    /// A message that waits longer than this is told of; zero not to.
    pub oldest_message: Duration,
    /// The time of the daily digest, in UTC.
    pub digest: Option<Time>,
    /// Where what was told is kept over a restart.
    pub state_file: Option<PathBuf>,
    /// Who the worker is towards the mail service, if a channel asks for tokens.
    pub identity: Option<Identity>,
}

pub(super) fn notify(r: &Reader<'_>, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Notify> {
    r.section(|r| {
        let channels = channels(r);
        let identity = channels
            .iter()
            .any(NotifyChannel::needs_tokens)
            .then(|| identity::notify_identity(r, cloud, around))
            .flatten();
        let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
        Notify {
            channels,
            environment: r.optional("notify.environment").map(Into::into),
            page_url: link(r, "notify.page_url"),
            timing: NoticeTiming {
                group_wait: r.duration("notify.group_wait", Duration::ZERO, Duration::from_hours(1)),
                group_interval: r.duration("notify.group_interval", second, day),
                repeat_interval: r.duration("notify.repeat_interval", second, 7 * day),
            },
            oldest_message: r.duration("notify.oldest_message", Duration::ZERO, 30 * day),
            digest: digest(r),
            state_file: r.optional("notify.state_file").map(PathBuf::from),
            identity,
        }
    })
}

/// An address that people follow. It may be one of a network that has no TLS, and holds no secret.
pub(super) fn link(r: &Reader<'_>, key: &str) -> Option<Url> {
    let text = r.optional(key)?;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        Some(url) if url.username().is_empty() && url.password().is_none() => Some(url),
        Some(_) => {
            r.wrong(key, "must hold no user name and no password: it is sent to everybody who is told")
        }
        None => r.wrong(key, "must be an address that people can open, such as https://contactsync.example"),
    }
}

fn digest(r: &Reader<'_>) -> Option<Time> {
    const KEY: &str = "notify.digest";
    let text = r.optional(KEY)?;
    let time = text.split_once(':').and_then(|(hour, minute)| {
        let two = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
        Time::new(two(hour)?, two(minute)?, 0, 0).ok()
    });
    time.or_else(|| {
        r.wrong(KEY, "must be a time of the day in UTC such as \"07:30\", or empty for no digest")
    })
}

fn channels(r: &Reader<'_>) -> Vec<NotifyChannel> {
    let entries = r.value(CHANNEL).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut channels: Vec<NotifyChannel> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match channel::read(entry) {
            Ok(channel) if channels.iter().any(|other| other.name == channel.name) => {
                let text = format!(
                    "is called as another one; give each channel a name of its own: {}",
                    channel.name
                );
                r.note_entry(CHANNEL, &format!("{CHANNEL}, entry {}", index + 1), &text);
            }
            Ok(channel) => channels.push(channel),
            Err((name, mistakes)) => {
                let place = name.map_or_else(
                    || format!("{CHANNEL}, entry {}", index + 1),
                    |name| format!("{CHANNEL} {name}"),
                );
                for mistake in mistakes {
                    r.note_entry(CHANNEL, &place, &mistake);
                }
            }
        }
    }
    channels
}
