//! One connection to a namespace, and the namespace that makes connections anew as needed.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use fe2o3_amqp::{Connection as Wire, sasl_profile::SaslProfile, session::SessionHandle};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    claims::{Claims, Issuer},
    connector::Connector,
    faults::ErrorContext,
    recovery::Failure,
    sessions::Sessions,
    settings::{Settings, Timing},
    wall::{LARGEST_FRAME, Shelves, Wall},
};
use crate::{
    error::Error,
    times::{ClockReading, Times},
    token::TokenSource,
};

const OPENING: &str = "opening the connection";
/// Silence after which the peer counts as dead. The library announces half of it, so a healthy peer sends
/// something at least twice in that time.
const IDLE: Duration = Duration::from_mins(1);
/// After a failed attempt others are turned away for this long instead of each trying on its own.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// One open connection.
pub(super) struct Connection {
    sessions: Arc<Sessions>,
    /// How tokens name the namespace.
    resource_root: Box<str>,
    claims: Arc<Claims>,
    renewal: JoinHandle<()>,
}

impl Connection {
    async fn open(namespace: &Namespace) -> Result<Self, Failure> {
        let host = namespace.connector.authority();
        let doing = ErrorContext { what: OPENING, host: &host };
        let stream = namespace.connector.open().await.map_err(Failure::connection)?;
        let shelves = Shelves::default();
        // "amqp" because TLS, if any, is inside the stream already.
        let opening = Wire::builder()
            .container_id(format!("contactsync-{}", Uuid::new_v4()))
            .hostname(namespace.connector.host())
            .scheme("amqp")
            .max_frame_size(LARGEST_FRAME)
            .idle_time_out(u32::try_from(IDLE.as_millis()).unwrap_or(u32::MAX))
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(Wall::new(stream, &host, shelves.clone()));
        // The library is not to end us over what the other side says.
        let opened = AssertUnwindSafe(opening).catch_unwind().await;
        let opened = opened.map_err(|_| doing.connection_ended("the protocol library failed"))?;
        let handle = opened.map_err(|error| doing.open(error))?;
        let sessions = Arc::new(Sessions::new(host, handle, shelves));
        let claims = Arc::new(Claims::new(Arc::clone(&sessions), namespace.issuer()));
        let renewal = tokio::spawn(renew(Arc::clone(&claims)));
        let resource_root = namespace.resource_root.clone();
        Ok(Self { sessions, resource_root, claims, renewal })
    }

    /// Host and port, for messages.
    pub(super) fn host(&self) -> &str {
        self.sessions.host()
    }

    /// What links need.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// A new session.
    pub(super) async fn session(&self) -> Result<SessionHandle<()>, Failure> {
        self.sessions.begin().await
    }

    /// Makes sure that we may use the address.
    pub(super) async fn authorize(&self, address: &str) -> Result<(), Failure> {
        self.claims.ensure(&self.resource(address)).await
    }

    /// Forgets a token that the service no longer takes.
    pub(super) async fn invalidate(&self, address: &str) {
        self.claims.invalidate(&self.resource(address)).await;
    }

    fn resource(&self, address: &str) -> String {
        format!("{}{address}", self.resource_root)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(claims: Arc<Claims>) {
    loop {
        sleep(claims.renew().await).await;
    }
}

/// A namespace: what is needed to connect to it, and the connection if there is one.
pub(super) struct Namespace {
    connector: Connector,
    resource_root: Box<str>,
    tokens: Arc<dyn TokenSource>,
    pub(super) clock: fn() -> Timestamp,
    pub(super) times: Arc<Times>,
    pub(super) timing: Timing,
    current: Mutex<Current>,
    /// Ends attempts that are under way, so that closing does not wait for them.
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct Current {
    connection: Option<Arc<Connection>>,
    /// The latest attempt, if it failed.
    failed: Option<(Instant, Failure)>,
}

impl Namespace {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let endpoint = settings.endpoint.clone();
        Ok(Self {
            resource_root: format!("sb://{}/", endpoint.host).into(),
            connector: Connector::new(endpoint, settings.way.clone(), settings.ca_file.as_deref())?,
            tokens: Arc::clone(&settings.tokens),
            clock: settings.clock,
            times: Arc::clone(&settings.times),
            timing: settings.timing,
            current: Mutex::default(),
            closed: watch::Sender::new(false),
        })
    }

    fn issuer(&self) -> Issuer {
        Issuer {
            tokens: Arc::clone(&self.tokens),
            clock: self.clock,
            times: Arc::clone(&self.times),
            limit: self.timing.request,
        }
    }

    /// How long the locks of the queue hold.
    pub(super) fn lock_length(&self) -> Duration {
        self.times.lock_length(ClockReading::by(self.clock))
    }

    /// The connection, made if there is none. Callers that come while it is being made wait for it.
    pub(super) async fn connect(&self) -> Result<Arc<Connection>, Failure> {
        let current = self.current.lock().await;
        self.connect_in(current).await
    }

    /// The same for those who do not mind being turned away with the failure of an attempt that was made just now, so that
    /// many who need a connection at once do not queue up to fail one after the other.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let current = self.current.lock().await;
        if let Some((at, failure)) = &current.failed
            && at.elapsed() < AFTER_FAILURE
        {
            return Err(failure.clone());
        }
        self.connect_in(current).await
    }

    async fn connect_in(&self, mut current: MutexGuard<'_, Current>) -> Result<Arc<Connection>, Failure> {
        if *self.closed.borrow() {
            return Err(Failure::connection(Error::Closed));
        }
        if let Some(connection) = &current.connection
            && !connection.sessions.is_closed().await
        {
            return Ok(Arc::clone(connection));
        }
        current.connection = None;
        let limit = self.timing.connect;
        let mut closed = self.closed.subscribe();
        let opened = tokio::select! {
            opened = timeout(limit, Connection::open(self)) => opened,
            _ = closed.wait_for(|closed| *closed) => return Err(Failure::connection(Error::Closed)),
        };
        let timed_out = || Failure::connection(Error::Timeout { doing: OPENING, after: limit });
        match opened.unwrap_or_else(|_| Err(timed_out())) {
            Ok(connection) => {
                current.failed = None;
                let connection = Arc::new(connection);
                current.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(failure) => {
                current.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Puts a connection away that turned out to be useless, unless it was replaced already.
    pub(super) async fn discard(&self, connection: &Arc<Connection>) {
        let mut current = self.current.lock().await;
        if current.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            current.connection = None;
        }
    }

    /// Closes the connection; no other will be made.
    pub(super) async fn close(&self) {
        self.closed.send_replace(true);
        let mut current = self.current.lock().await;
        if let Some(connection) = current.connection.take() {
            connection.sessions.close(self.timing.close).await;
        }
    }
}
