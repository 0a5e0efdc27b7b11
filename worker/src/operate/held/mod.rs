//! What people decide about messages that are held aside because one author changes too many users alike. Nothing is kept
//! beside the queue: what is held are scheduled messages, which everybody can look at and nobody receives.

mod decision;
mod filter;

pub(crate) use self::{
    decision::{Approval, Decided, DecisionEnd, each_held, take_back},
    filter::HeldFilter,
};
