//! What the demo and the integration tests share: a small world of local services, messages in the shape that
//! Dataverse gives them, what must come of them, and the audit that finds what is missing.
//!
//! Reading order: [`message`] makes a body, [`scenario`] a mix of them with the expected result, [`world`]
//! starts the services and the real worker, [`steps`] acts on them and asks them, [`audit`] compares.

pub mod message;

pub mod scenario;

pub mod world;

pub mod organization;

pub mod steps;

pub mod pair;
pub mod twins;

pub mod notified;
pub mod observe;
pub mod observed;

pub mod chaos;
pub mod demo;
pub mod directories;
pub mod journey;
pub mod load;
pub mod migration;
pub mod quota;
pub mod rogue;
pub mod simulation;

pub mod advisories;
pub mod audit;

pub mod binary;
pub mod client;
pub mod explained;
pub mod mutate;
pub mod quick;
pub mod source_tree;
pub mod tame;

/// How long a test waits for what has to come. It says nothing about how quickly that should be: it is far longer than
/// a slow and busy machine takes, and is reached only when something is wrong.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_mins(10);
