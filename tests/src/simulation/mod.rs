//! Many small worlds in virtual time: replicas that crash, a queue that redelivers and reorders, a Graph that
//! throttles, fails, answers late or not at all, and for some users in some worlds answers the same for ever. For a while
//! the installation may be at fault, and the database may be restored, so that row versions start lower. The engine in
//! these worlds is the product's own; everything around it is decided by a seed, so a world that breaks a promise can be
//! seen again.
//!
//! What is promised: every message is applied, needs nothing, or is dead-lettered for a reason of its own; the
//! directory ends as the version-ordered model says; no user is written twice at once by one replica; a replica that
//! is asked to stop leaves no lock behind; no message uses up its deliveries; no fault of the installation costs a
//! message, and no user's fault stops the others; one message never becomes many.
//!
//! In worlds with a table ([`simulate_table`]) messages are those of contacts that people change, and some are lost, cut,
//! doubled and late, while others change users behind everybody's back. In half of them the row is read for a message that does not
//! say enough, by a Dataverse that is away now and then, and then no message is lost to its length. Passes hold both sides against each other, by the
//! product's own comparison, and post what differs. What is promised there: in the end every linked contact has its user as
//! it says, no older change of a contact is ever written over a newer one, and no user is written who needs it not.

mod shape;

mod world;

mod run;

mod life;

mod keeper;
mod leases;
mod mishaps;

mod calls;
mod ending;
mod locks;

mod event;

mod clock;
mod directory;
mod model;
mod queue;
mod replica;
mod seat;
mod session;

mod table;

pub use self::{
    model::Broken,
    run::simulate,
    shape::{Fault, Guilt, Remedy, Report, Shape, TableKind},
    table::{TableReport, simulate_table},
};
