//! Who is let in at `http.listen`, and for how long.
//!
//! Anybody in reach may connect, and liveness must be answered all the same: a worker that seems dead is restarted. So
//! nobody waits at the door. Whoever is one too many is let in, and one who has his answer, or has not asked for long,
//! goes.

use std::{
    cmp::Reverse,
    future::Future,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::{AbortHandle, yield_now},
    time::{Instant, sleep},
};

/// Connections at once, but for those who have only just come. More than a few probes and browsers there are not.
const CONNECTIONS: usize = 64;
/// Connections at once from one address, so that one neighbour does not shorten the visits of all others.
const OF_ONE: usize = 16;
/// Connections at once, whoever they are. A system gives a process a thousand files as a rule.
const MOST: usize = 256;
/// How long somebody may take to ask.
const NEW: Duration = Duration::from_secs(1);

/// Connections that the system keeps until they are let in. With the few that are usual, a burst would leave no room
/// for a probe, which would try again only after a second.
const WAITING: u32 = 1_024;

/// Begins to listen.
pub(super) fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a worker can follow another one at once; elsewhere it would let two have one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Whether somebody has had an answer.
pub(super) type Answered = Arc<AtomicBool>;

/// Lets in whoever comes, until the process ends.
pub(super) async fn watch<C>(listener: TcpListener, converse: impl Fn(TcpStream, Answered) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let mut guests = Guests::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let (peer, now) = (Peer::of(address), Instant::now());
                guests.forget(|guest: &Guest| guest.task.is_finished());
                while let Some(one) = guests.one_too_many(peer, |guest| guest.may_go(now)) {
                    one.task.abort();
                }
                let answered = Answered::default();
                let task = tokio::spawn(converse(stream, Arc::clone(&answered))).abort_handle();
                guests.admit(peer, Guest { task, answered, since: now });
                // Whoever was let in gets an answer before the next ones come, however many there are.
                yield_now().await;
            }
            Err(error) => {
                // Out of file handles, as a rule; that passes, and asking at once would only burn time.
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Guest {
    task: AbortHandle,
    answered: Answered,
    since: Instant,
}

impl Guest {
    fn may_go(&self, now: Instant) -> bool {
        self.answered.load(Ordering::Relaxed) || now.duration_since(self.since) > NEW
    }
}

/// An address as far as it tells one neighbour from another: whoever has one address of IPv6 has a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peer(IpAddr);

impl Peer {
    fn of(address: SocketAddr) -> Self {
        Self(match address.ip().to_canonical() {
            IpAddr::V6(ip) if !ip.is_loopback() => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            ip => ip,
        })
    }
}

/// Who is inside, in the order in which they came.
#[derive(Debug)]
struct Guests<T>(Vec<(Peer, T)>);

impl<T> Default for Guests<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Guests<T> {
    fn forget(&mut self, gone: impl Fn(&T) -> bool) {
        self.0.retain(|(_, guest)| !gone(guest));
    }

    /// Who has to go before somebody from this address comes in: the one who has been there longest of the address that
    /// has the most.
    fn one_too_many(&mut self, coming: Peer, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let crowd = self.0.iter().filter(|(peer, _)| *peer == coming).count() >= OF_ONE;
        if !crowd && self.0.len() < CONNECTIONS {
            return None;
        }
        let overfull = self.0.len() >= MOST;
        let mut counts: Vec<(Peer, usize)> = Vec::new();
        for (peer, _) in &self.0 {
            match counts.iter_mut().find(|(known, _)| known == peer) {
                Some((_, count)) => *count += 1,
                None => counts.push((*peer, 1)),
            }
        }
        let of = |peer: Peer| counts.iter().find(|(known, _)| *known == peer).map_or(0, |(_, count)| *count);
        let candidates = self.0.iter().enumerate().filter(|(_, (peer, guest))| {
            let concerned = !crowd || *peer == coming;
            overfull || concerned && may_go(guest)
        });
        let (oldest, _) = candidates.min_by_key(|(_, (peer, _))| Reverse(of(*peer)))?;
        Some(self.0.remove(oldest).1)
    }

    fn admit(&mut self, peer: Peer, guest: T) {
        self.0.push((peer, guest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(SocketAddr::new(address.parse().expect("an address"), 1))
    }

    #[test]
    fn one_neighbour_shortens_his_own_visits_and_nobody_elses() {
        let mut guests = Guests::default();
        guests.admit(peer("10.0.0.1"), 1_000);
        for number in 0..200 {
            let gone = guests.one_too_many(peer("10.0.0.2"), |_| true);
            assert_eq!(gone, (number >= OF_ONE).then(|| number - OF_ONE));
            guests.admit(peer("10.0.0.2"), number);
        }
        assert_eq!(guests.0.len(), OF_ONE + 1);
        assert_eq!(guests.0[0].1, 1_000);
    }

    #[test]
    fn many_neighbours_lose_the_oldest_of_those_who_have_the_most() {
        let mut guests = Guests::default();
        guests.admit(peer("10.0.1.1"), 1_000);
        for number in 0..CONNECTIONS - 1 {
            let from = peer(&format!("10.0.0.{}", number % 7));
            assert_eq!(guests.one_too_many(from, |_| true), None);
            guests.admit(from, number);
        }
        for number in 0..100 {
            let gone = guests.one_too_many(peer(&format!("10.0.2.{number}")), |_| true).expect("it is full");
            assert_ne!(gone, 1_000, "he has one only, as the newcomer");
            guests.admit(peer(&format!("10.0.2.{number}")), number + 2_000);
            if number == 50 {
                break;
            }
        }
        assert_eq!(guests.0.len(), CONNECTIONS);
    }

    #[test]
    fn who_has_only_just_come_stays_as_long_as_there_is_room_at_all() {
        let mut guests = Guests::default();
        for number in 0..MOST {
            assert_eq!(guests.one_too_many(peer("10.0.0.1"), |_| false), None);
            guests.admit(peer("10.0.0.1"), number);
        }
        assert_eq!(guests.one_too_many(peer("10.0.0.1"), |_| false), Some(0));
        // When they have had their answers, all go that are too many.
        let mut gone = 0;
        while guests.one_too_many(peer("10.0.0.1"), |_| true).is_some() {
            gone += 1;
        }
        assert_eq!(gone, MOST - OF_ONE);
    }

    #[test]
    fn who_is_gone_takes_no_place() {
        let mut guests = Guests::default();
        (0..CONNECTIONS).for_each(|number| guests.admit(peer(&format!("10.0.0.{number}")), number));
        guests.forget(|number| number % 2 == 0);
        assert_eq!(guests.0.len(), CONNECTIONS / 2);
        assert_eq!(guests.one_too_many(peer("10.0.1.1"), |_| true), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_neighbour() {
        assert_eq!(peer("2001:db8:0:1::1"), peer("2001:db8:0:1:ffff::2"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_ne!(peer("::1"), peer("::2"));
    }
}
