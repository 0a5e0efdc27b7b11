//! What operators see of a worker, by its real binary.

mod catalogue;
mod health;
mod logs;
mod metrics;
mod next_try;
mod privacy;
mod support_bundle;
mod traces;

use tests::{
    PATIENCE,
    message::ContactChange,
    quick::{QUICK, contact, renamed, user, world},
};

/// A change that gives that user a first name with `at` in it.
fn change(number: u128, at: usize) -> ContactChange {
    renamed(number, at, &format!("Ada {at}"))
}
