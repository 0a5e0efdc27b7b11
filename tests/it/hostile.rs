//! What people and services do who want to stop, fool or bleed the worker.

mod broker;
mod mutation;
mod words;
