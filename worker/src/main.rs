//! `contactsync`, the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    worker::cli::main()
}
