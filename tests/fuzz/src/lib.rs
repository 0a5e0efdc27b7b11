//! What must hold for any bytes whatever, one target for each thing that reads bytes of others.
//!
//! A target is bytes to begin with and a rule that panics where it does not hold. `run.sh` lets libFuzzer look for such
//! bytes; `tests/it/hostile/mutation.rs` bends the same seeds in the ordinary tests. What was found once stands among
//! the seeds.

mod admin;
mod amqp;
mod bodies;
mod connection;
mod dataverse;
mod graph;
mod mark;
mod record;
mod settings;
mod terminal;
mod token;
mod trace;

pub use amqp::deep;

/// One thing that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, for `FUZZ_TARGET` and folders.
    pub name: &'static str,
    /// Panics if a rule is broken.
    pub check: fn(&[u8]),
    /// Bytes to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    Target { name: "json", check: bodies::json, seeds: || bodies::seeds("json") },
    Target { name: "xml", check: bodies::xml, seeds: || bodies::seeds("xml") },
    Target { name: "binary", check: bodies::binary, seeds: || bodies::seeds("msbin1") },
    Target { name: "message", check: amqp::message, seeds: amqp::seeds },
    Target { name: "peeked", check: amqp::peeked, seeds: amqp::seeds },
    Target { name: "reply", check: amqp::reply, seeds: amqp::replies },
    Target { name: "frames", check: amqp::frames, seeds: amqp::conversations },
    Target { name: "admin", check: admin::check, seeds: admin::seeds },
    Target { name: "connection", check: connection::check, seeds: connection::seeds },
    Target { name: "settings", check: settings::check, seeds: settings::seeds },
    Target { name: "graph", check: graph::check, seeds: graph::seeds },
    Target { name: "dataverse", check: dataverse::check, seeds: dataverse::seeds },
    Target { name: "token", check: token::check, seeds: token::seeds },
    Target { name: "terminal", check: terminal::check, seeds: terminal::seeds },
    Target { name: "trace", check: trace::check, seeds: trace::seeds },
    Target { name: "mark", check: mark::check, seeds: mark::seeds },
    Target { name: "record", check: record::check, seeds: record::seeds },
];

/// The target of a name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Stretches of the input that a text shows: so many characters in a row.
pub(crate) fn shown_runs(input: &str, text: &str, length: usize) -> impl Iterator<Item = String> {
    let input: Vec<char> = input.chars().collect();
    let runs = input.windows(length).map(|run| run.iter().collect::<String>());
    // Blanks and the like, many in a row, are nobody's secret.
    let told =
        |run: &String| run.chars().filter(|c| c.is_alphanumeric()).count() * 2 > length && text.contains(run);
    runs.filter(told).collect::<Vec<_>>().into_iter()
}

/// All that an error tells: itself and its causes.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let told = [error.to_string(), format!("{error:?}")].into_iter().chain(causes.map(ToString::to_string));
    told.collect::<Vec<_>>().join(" ")
}

/// Texts as bytes.
pub(crate) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
