//! What a process has used, as the system counts it. Linux only: elsewhere everything is unknown.

use std::{fs, path::Path, time::Duration};

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on a processor, of all threads.
    pub cpu: Duration,
    /// Most memory that was resident at once, in bytes.
    pub peak: u64,
    /// Memory that is resident now, in bytes.
    pub resident: u64,
}

impl Usage {
    /// Of a running process.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let folder = Path::new("/proc").join(process.to_string());
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let bytes = |name| 1024 * field(&status, name).unwrap_or(0);
        Self { cpu: cpu(&folder), peak: bytes("VmHWM:"), resident: bytes("VmRSS:") }
    }
}

/// The nanoseconds of each thread: the sum in `stat` counts in hundredths of a second.
fn cpu(folder: &Path) -> Duration {
    let Ok(threads) = fs::read_dir(folder.join("task")) else { return Duration::ZERO };
    threads
        .flatten()
        .filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
        })
        .sum()
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id());
        assert!(usage.cpu > Duration::ZERO && usage.peak >= usage.resident && usage.resident > 1 << 20);
    }
}
