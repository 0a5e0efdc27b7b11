//! The one integration binary.

mod bus;

mod decode;

mod delivery;

mod demo;

mod simulation;

mod tidy;
