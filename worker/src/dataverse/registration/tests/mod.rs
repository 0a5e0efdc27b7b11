//! The rules against a registration that is broken in every way, and the repair of all of them at once.

mod broken;
mod laws;
mod roles;
mod world;
