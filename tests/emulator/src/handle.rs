//! What others may do to a connection from outside: give it orders, wake it, make it silent.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::broker::Target;

/// An order from outside to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// End without a word.
    Cut,
    /// Detach the data links of an entity, or all of them, with a condition.
    Detach {
        /// Which; all if absent.
        target: Option<Target>,
        /// The AMQP condition.
        condition: &'static str,
    },
    /// Close in good form, with a condition.
    Close(&'static str),
}

/// A connection as others see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handle {
    orders: Arc<Mutex<Vec<Order>>>,
    pub(crate) wake: Arc<Notify>,
    silent: Arc<AtomicBool>,
    container: Arc<OnceLock<Arc<str>>>,
}

impl Handle {
    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give(&self, order: Order) {
        self.orders().push(order);
        self.wake.notify_one();
    }

    /// Takes the orders that came in.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut *self.orders())
    }

    /// Completes when there are orders or news from the broker.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// From now on nothing is read from the client and nothing is written to it; or it is again.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire)
    }

    /// The client's container id; empty until it has opened the connection.
    pub(crate) fn container(&self) -> Arc<str> {
        self.container.get().cloned().unwrap_or_default()
    }

    /// Notes the container id. A client that opens twice keeps the first one.
    pub(crate) fn set_container(&self, container: &str) {
        self.container.get_or_init(|| container.into());
    }
}
