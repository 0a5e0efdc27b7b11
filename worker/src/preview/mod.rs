//! What would become of a message, and what messages show about the settings, without doing anything.

pub mod judge;
pub mod message_check;
pub mod rehearsal;
pub mod waiting;
