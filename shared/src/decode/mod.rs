//! Bytes to a [`Change`](crate::change::Change).
