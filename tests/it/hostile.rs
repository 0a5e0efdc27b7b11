//! What people and services do who want to stop, fool or bleed the worker.

mod mutation;
mod words;
