//! Whether people can be told by the channels of `[notify]`.

use super::finding::{Finding, Severity};
use crate::settings::{
    ChannelWay, NotifyChannel, Parts, SmtpAuth,
    notify::{channel::SECRETS, variables::CHANNEL},
};

/// Everything there is to say about channels.
pub(super) fn channels(parts: &Parts) -> impl Iterator<Item = Finding> {
    let channels = parts.notify.as_ref().map(|notify| notify.channels.as_slice()).unwrap_or_default();
    let twice = (!channels.is_empty()).then(|| {
        Finding::new(
            Severity::Note,
            CHANNEL,
            "where Prometheus' Alertmanager sends the alerts of deploy/prometheus, people are told twice",
            "keep one of the two",
        )
    });
    twice.into_iter().chain(channels.iter().filter_map(channel)).chain(in_the_open(parts))
}

fn channel(channel: &NotifyChannel) -> Option<Finding> {
    let place = format!("{CHANNEL} {}", channel.name);
    let warning = |what: &str, remedy| Some(Finding::new(Severity::Warning, &place, what, remedy));
    match &channel.way {
        ChannelWay::Teams(url)
            if url.host().ends_with(".office.com") || url.host() == "outlook.office365.com" =>
        {
            warning(
                "the address is one of an Office 365 connector, which Microsoft withdraws",
                "make a flow of Workflows with the trigger \"When a Teams webhook request is received\", and use its address",
            )
        }
        ChannelWay::Smtp { server, .. }
            if server.host.ends_with(".office365.com") && matches!(server.auth, SmtpAuth::Password(..)) =>
        {
            warning(
                "Exchange Online ends signing in with a password for SMTP: off by default from the end of 2026 on",
                "leave password out and set [notify.identity], or use a channel of kind \"graph\"",
            )
        }
        ChannelWay::Webhook { keys, .. } if keys.is_empty() => Some(Finding::new(
            Severity::Note,
            &place,
            "without a key the receiver cannot tell that events come from contactsync",
            "set key_file, with whsec_ and base64 of 32 random bytes in it",
        )),
        _ => None,
    }
}

/// Secrets that stand in the settings file.
fn in_the_open(parts: &Parts) -> Option<Finding> {
    let list = parts.entries.get(CHANNEL)?.value.as_array()?;
    let tables = list.iter().filter_map(toml::Value::as_table);
    let keys = SECRETS.into_iter().filter(|key| {
        tables
            .clone()
            .any(|table| table.get(*key).and_then(toml::Value::as_str).is_some_and(|text| !text.is_empty()))
    });
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then(|| {
        Finding::new(
            Severity::Note,
            CHANNEL,
            format!("{} of a channel stands in the settings file or in the environment", keys.join(" and ")),
            "put it into a file of its own and name that file in url_file, password_file or key_file",
        )
    })
}
