//! The local Dataverse before the product: what it posts is what the product reads, and arrives where it should.

mod failures;
mod formats;
mod path;
