//! How long a body takes to become a `Change`, beside the time that `serde_json::Value` takes for the same JSON.
//!
//! The figures and how to read them are in `README.md` beside this file.

use std::{fs, path::Path};

use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use shared::decode;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// An update of 4 KB as the asynchronous service posts it, a create with every usual column, and an update just
/// below the sender's size limit whose bulk is one note.
const CASES: [&str; 3] =
    ["contact-update-async-auto-image", "contact-create-full", "contact-update-huge-text"];

fn main() {
    divan::main();
}

fn body(case: &str, extension: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/contexts");
    fs::read(folder.join(format!("{case}.{extension}"))).expect("a fixture can be read")
}

fn decode(bencher: Bencher, case: &str, extension: &str) {
    let body = body(case, extension);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench_local(|| decode::decode(black_box(&body), None).expect("a fixture can be decoded"));
}

#[divan::bench(args = CASES)]
fn json(bencher: Bencher, case: &str) {
    decode(bencher, case, "json");
}

#[divan::bench(args = CASES)]
fn xml(bencher: Bencher, case: &str) {
    decode(bencher, case, "xml");
}

#[divan::bench(args = CASES)]
fn binary(bencher: Bencher, case: &str) {
    decode(bencher, case, "msbin1");
}

/// The yardstick: the same JSON as a tree of owned values, from which nothing has been extracted yet.
#[divan::bench(args = CASES)]
fn json_value(bencher: Bencher, case: &str) {
    let body = body(case, "json");
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench_local(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)).expect("JSON"));
}

/// The lossless model alone, without the extraction.
#[divan::bench(args = CASES)]
fn json_context(bencher: Bencher, case: &str) {
    let body = body(case, "json");
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| {
        let payload = decode::open(black_box(&body), None).expect("JSON");
        payload.context().expect("a fixture can be decoded").depth.is_present()
    });
}
