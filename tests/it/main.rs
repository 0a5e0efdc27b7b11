//! The one integration binary.

mod bus;

mod decode;

mod delivery;

mod demo;

mod resilience;

mod simulation;

mod tidy;
