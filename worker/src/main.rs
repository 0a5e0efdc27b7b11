//! `contactsync`, the command line.

use std::process::ExitCode;

/// A message is some seventy small allocations that live for milliseconds, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    worker::cli::main()
}
