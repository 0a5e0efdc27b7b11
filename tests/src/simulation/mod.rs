//! Many small worlds in virtual time: replicas that crash, a queue that redelivers and reorders, a Graph that
//! throttles, fails, answers late or not at all, and for one user in some worlds fails for ever. The engine in them is the product's own; everything around it
//! is decided by a seed, so a world that breaks a promise can be seen again.
//!
//! What is promised: every message is applied, needs nothing, or is dead-lettered for a reason of its own; the
//! directory ends as the version-ordered model says; no user is written twice at once by one replica; a replica that
//! is asked to stop leaves no lock behind; no message uses up its deliveries.

mod shape;

mod world;

mod run;

mod life;

mod calls;
mod ending;

mod directory;
mod model;
mod queue;
mod replica;

pub use self::{
    model::Broken,
    run::simulate,
    shape::{Report, Shape},
};
