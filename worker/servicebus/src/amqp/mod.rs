//! The queue over AMQP 1.0. Only this folder knows the protocol library.
//!
//! From the wire upwards: [`connector`] opens the stream, over a [`websocket`] and through a [`tunnel`] if told to;
//! [`wall`] lets pass what the library may see; [`connection`] opens AMQP on it and hands out sessions;
//! [`claims`] proves who we are over [`rpc`]; [`link`] is the receiving link, owned by the one task in
//! [`receiver`], which takes deliveries off it ([`arrival`]) and carries out what it is asked to ([`dispatch`]);
//! [`delivery_buffer`] lies between that task and the engine; [`settler`] carries settlements to the task or to
//! [`management`]; [`sender`] sends. [`recovery`] says what each failure means, [`faults`] digs the condition
//! out of the library's errors, [`reconnecting_link`] attaches links on demand. Messages are read by [`wire`], which finds their
//! [`sections`] after a [`scan`], and written by [`outgoing`].
//!
//! [`session_queue`] receives nothing: it holds a session of another queue, as a lock, over the same connection.

mod arrival;
mod claims;
mod connection;
mod connector;
mod delivery_buffer;
mod dispatch;
mod faults;
#[doc(hidden)]
pub mod fuzz;
mod link;
mod management;
mod outgoing;
mod queue;
mod receiver;
mod reconnecting_link;
mod recovery;
mod rpc;
mod scan;
mod sections;
mod sender;
mod session_queue;
mod sessions;
mod settings;
mod settler;
mod stream;
mod tunnel;
pub mod untrusted;
mod wall;
mod websocket;
mod wire;

pub use self::{
    queue::AmqpQueue,
    session_queue::{HeldSession, SessionQueue},
    settings::{Settings, Timing},
};
