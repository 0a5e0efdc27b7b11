//! The one integration binary.

mod bus;

mod dataverse;

mod decode;

mod by_hand;

mod check;

mod clocks;

mod command_line;

mod delivery;

mod deploy;

mod demo;

mod explain;

mod held;

mod hostile;

mod identity;

mod graph;

mod notify;

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

mod otlp;

mod row_world;

mod telemetry;

mod tidy;
