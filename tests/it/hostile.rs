//! What others may try against the worker, and what must come of it.

mod mutation;
