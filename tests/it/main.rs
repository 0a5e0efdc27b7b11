//! The one integration binary.

mod bus;

mod dataverse;

mod decode;

mod by_hand;

mod check;

mod clocks;

mod delivery;

mod deploy;

mod demo;

mod explain;

mod hostile;

mod identity;

mod graph;

mod planning;

mod queue_counts;

mod read_back;

mod reconcile;

mod replay;

mod replicas;

mod resilience;

mod sending;

mod memory;

mod simulation;

mod targets;

mod telemetry;

mod tidy;
