//! What a body may cost us, all of it in one place.
//!
//! Dataverse posts at most 192 KB. The limits leave generous room above what it can produce and bound what a
//! hostile or broken sender can make us allocate, recurse into or wait for.

/// Bytes of a body, before and after a wrapper is removed. Twice the sender's limit in UTF-16, with room for
/// escaping inside a string wrapper.
pub const LENGTH: usize = 1 << 20;

/// Containers (objects, lists, elements) inside each other. Dataverse stops at a context depth of 8, and eight
/// parents with a deep insert inside the innermost need about 40.
pub const DEPTH: usize = 64;

/// Values, list items and members of one message, skipped ones included. A 192 KB message cannot hold more,
/// because each takes at least two bytes.
pub const ITEMS: usize = 400_000;

/// Bytes that the values of one message may take when they are read. A value takes up to 400 times what the shortest
/// spelling of it does, an empty record for example; of what Dataverse sends it takes less than its spelling as a rule.
pub const MEMORY: usize = 16 << 20;

/// Records in one list, and with that the contacts, and the writes to Graph, of one message. What Dataverse writes of a
/// record takes 300 bytes and more, so its 192 KB hold fewer. More would use up the write budget of a whole tenant for
/// minutes.
pub const RECORDS: usize = 1_000;

/// Bytes that may be read a second time, as a multiple of the body's length. JSON objects whose `__type` is
/// not their first member need it; Dataverse always writes it first.
pub const REREAD: usize = 4;

/// Legacy wrappers inside each other.
pub const WRAPPERS: usize = 4;

/// Namespace declarations in scope at one element. Microsoft's serializer keeps fewer than ten.
pub const NAMESPACES: usize = 64;
