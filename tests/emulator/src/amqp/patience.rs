//! What the service puts up with: connections without token or link, idle links, lapsed tokens.

use tokio::time::Instant;

use super::{
    condition::{self, Failure},
    connection::Connection,
    ended::Ended,
    link::Link,
};
use crate::access::Use;

impl Connection {
    /// When patience with something on this connection runs out.
    pub(crate) fn patience_end(&self) -> Option<Instant> {
        let patience = &self.hub.settings.patience;
        let token = self.lacks_token().then(|| self.opened + patience.token);
        let idle = self.data_links().map(|(_, _, link)| link.last_used + patience.idle_link).min();
        let expiry = self.rights.next_expiry().map(|at| self.hub.instant(at));
        [token, self.linkless_end(), idle, expiry].into_iter().flatten().min()
    }

    fn lacks_token(&self) -> bool {
        self.hub.access().enforced && !self.proved
    }

    fn linkless_end(&self) -> Option<Instant> {
        let linked = self.sessions.values().any(|session| !session.links.is_empty());
        if linked || !self.pending.is_empty() {
            return None;
        }
        let patience = &self.hub.settings.patience;
        Some(match self.last_link {
            Some(since) => since + patience.no_link,
            None => self.opened + patience.first_link,
        })
    }

    fn data_links(&self) -> impl Iterator<Item = (u16, u32, &Link)> {
        self.sessions.iter().flat_map(|(channel, session)| {
            let links = session.links.iter().filter(|(_, link)| link.is_data());
            links.map(|(handle, link)| (*channel, *handle, link))
        })
    }

    /// Ends what patience has run out with.
    pub(crate) fn lose_patience(&mut self, now: Instant) -> Result<(), Ended> {
        if self.lacks_token() && self.opened + self.hub.settings.patience.token <= now {
            return Err(Ended::NoToken);
        }
        if self.linkless_end().is_some_and(|end| end <= now) {
            self.close(&Failure::new(
                condition::CONNECTION_FORCED,
                "The connection was inactive for more than the allowed period of time.",
            ));
        }
        self.detach_idle(now);
        self.expire_rights();
        Ok(())
    }

    fn detach_idle(&mut self, now: Instant) {
        let limit = self.hub.settings.patience.idle_link;
        let idle: Vec<(u16, u32)> = self
            .data_links()
            .filter(|(_, _, link)| link.last_used + limit <= now)
            .map(|(channel, handle, _)| (channel, handle))
            .collect();
        let text = format!("IdleTimerExpired: Idle timeout: {}.", clock_text(limit.as_secs()));
        for (channel, handle) in idle {
            self.force_detach(channel, handle, &Failure::new(condition::DETACH_FORCED, &*text));
        }
    }

    /// Detaches links whose right has lapsed.
    pub(crate) fn expire_rights(&mut self) {
        let now = self.hub.now();
        if !self.rights.expire(now) {
            return;
        }
        let lost: Vec<(u16, u32)> = self
            .data_links()
            .filter(|(_, _, link)| {
                let wanted = if link.takes() { Use::Send } else { Use::Listen };
                !self.rights.allow(&link.address, wanted, now)
            })
            .map(|(channel, handle, _)| (channel, handle))
            .collect();
        for (channel, handle) in lost {
            let text = "ExpiredToken: The token is expired.";
            self.force_detach(channel, handle, &Failure::new(condition::UNAUTHORIZED, text));
        }
    }
}

/// Seconds as hours, minutes and seconds.
fn clock_text(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
