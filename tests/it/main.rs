//! The one integration binary.

mod decode;

mod delivery;

mod demo;

mod tidy;
