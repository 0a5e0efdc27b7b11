//! Thousands of damaged messages, answers and streams through everything that reads them, in a process of its own: what
//! is looked for ends a process.

use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use servicebus::amqp::untrusted::{self, Piece};
use tests::{
    mutate::survive,
    rogue::encode::{
        FALSE, NULL, Nest, TRUE, annotations, binary, data, described, frame, int, list, long, map, symbol,
        text, uint,
    },
};

const MUTANTS: usize = 6_000;

fn message() -> Vec<u8> {
    let properties: Vec<Vec<u8>> = vec![text("id"), NULL.to_vec(), NULL.to_vec(), text("subject")];
    let properties: Vec<&[u8]> = properties.iter().map(Vec::as_slice).collect();
    let nested = Nest::Lists.deep(5);
    let application = [
        (text("depth"), int(2)),
        (text("when"), vec![0x83, 0, 0, 1, 0x9b, 0, 0, 0, 0]),
        (text("span"), [&[0x00], &symbol("com.microsoft:timespan")[..], &long(9)].concat()),
        (text("char"), vec![0x73, 0, 0, 0, b'x']),
        (text("uuid"), [&[0x98][..], &[7; 16]].concat()),
    ];
    let application: Vec<&[u8]> = application.iter().flat_map(|(name, value)| [&name[..], value]).collect();
    [
        described(0x70, &list(&[TRUE, &[0x50, 4], NULL, FALSE, &uint(3)])),
        described(0x71, &map(&[&symbol("x-opt-lock-token"), &[&[0x98][..], &[9; 16]].concat()])),
        annotations(
            7,
            &[("x-list", &nested), ("x-map", &Nest::Maps.deep(5)), ("x-array", &Nest::Arrays.deep(5))],
        ),
        described(0x73, &list(&properties)),
        described(0x74, &map(&application)),
        data(b"{\"a\":1}"),
        data(b"more"),
        described(0x78, &map(&[&symbol("x"), &Nest::Described.deep(5)])),
    ]
    .concat()
}

fn answer() -> Vec<u8> {
    let entry = map(&[&text("message"), &binary(&message())]);
    let times = [0xf0, 0, 0, 0, 21, 0, 0, 0, 2, 0x83, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
    [
        described(0x73, &list(&[NULL, NULL, NULL, NULL, NULL, &text("1")])),
        described(0x74, &map(&[&text("statusCode"), &int(200), &text("statusDescription"), &text("ok")])),
        described(0x77, &map(&[&text("messages"), &list(&[&entry, &entry]), &text("expirations"), &times])),
    ]
    .concat()
}

/// The other side's part of opening a link, before there is credit.
fn attached() -> Vec<u8> {
    let attach = list(&[&text("in"), &uint(0), FALSE, NULL, NULL, NULL, NULL, NULL, FALSE, &uint(0)]);
    [
        b"AMQP\x00\x01\x00\x00".to_vec(),
        frame(0, 0, &described(0x10, &list(&[&text("host"), NULL, &uint(65_536)])), &[]),
        frame(0, 1, &described(0x12, &attach), &[]),
    ]
    .concat()
}

fn stream() -> Vec<u8> {
    let transfer = list(&[&uint(0), &uint(1), &binary(&[7; 16]), &uint(0), FALSE, FALSE]);
    [
        frame(0, 1, &described(0x14, &transfer), &message()),
        frame(0, 1, &described(0x15, &list(&[TRUE, &uint(0), &uint(5), TRUE])), &[]),
        frame(0, 1, &described(0x13, &list(&[&uint(0), &uint(9), &uint(1), &uint(9), &uint(0)])), &[]),
    ]
    .concat()
}

/// A stream behind what comes before it, so that there is a link with credit.
fn conversation(opening: &[u8], stream: &[u8]) -> (Vec<u8>, Option<String>) {
    let attach = list(&[&text("in"), &uint(0), TRUE]);
    let flow = list(&[NULL, &uint(9), &uint(0), &uint(9), &uint(0), &uint(0), &uint(100)]);
    untrusted::stream(&[
        Piece::Sent(&frame(0, 1, &described(0x12, &attach), &[])),
        Piece::Received(opening),
        Piece::Sent(&frame(0, 1, &described(0x13, &flow), &[])),
        Piece::Received(stream),
    ])
}

/// Bytes that mean something, to be put anywhere.
const WORDS: [&[u8]; 9] = [
    &[0x00, 0x53],
    &[0xb1, 0x7f, 0xff, 0xff, 0xff],
    &[0xd0, 0xff, 0xff, 0xff, 0xff],
    &[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40],
    &[0xc1, 1, 0],
    &[0x00, 0x53, 0x78],
    &[0x00; 64],
    &[0xff],
    &[0x45],
];

fn mutant(of: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = of.to_vec();
    for _ in 0..chance.random_range(1..6) {
        let at = chance.random_range(0..bytes.len().max(1)).min(bytes.len());
        match chance.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = chance.random(),
            2 => bytes.truncate(at),
            3 => {
                let word = WORDS[chance.random_range(0..WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            4 => {
                let until = (at + chance.random_range(0..20)).min(bytes.len());
                bytes.drain(at..until);
            }
            5 => {
                let nest = Nest::ALL[chance.random_range(0..4)];
                bytes.splice(at..at, nest.deep(chance.random_range(1..3_000)));
            }
            _ => {
                // A piece of it, again.
                let until = (at + chance.random_range(0..200)).min(bytes.len());
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// What a mutant is of.
#[derive(Clone, Copy)]
enum Kind {
    Message,
    Reply,
    Stream,
    Opening,
}

/// Reads a mutant; its first byte says of what.
fn read(mutant: &[u8]) {
    let Some((kind, bytes)) = mutant.split_first() else { return };
    let reading = || match kind {
        0 => {
            drop(untrusted::message(bytes));
            drop(untrusted::peeked(bytes));
        }
        1 => drop(untrusted::reply(bytes)),
        2 => drop(conversation(&attached(), bytes)),
        _ => drop(conversation(bytes, &stream())),
    };
    std::thread::scope(|scope| {
        // As small as a thread of musl.
        let thread = std::thread::Builder::new().stack_size(128 * 1024);
        let reading = thread.spawn_scoped(scope, reading).expect("a thread");
        reading.join().expect("no panic");
    });
}

#[test]
fn no_damage_ends_the_process_or_fills_its_memory() -> Result<()> {
    let mut chance = StdRng::seed_from_u64(77);
    let kinds = [
        (Kind::Message, message()),
        (Kind::Reply, answer()),
        (Kind::Stream, stream()),
        (Kind::Opening, attached()),
    ];
    let mut inputs = Vec::with_capacity(kinds.len() * MUTANTS);
    for _ in 0..MUTANTS {
        for (kind, whole) in &kinds {
            inputs.push([&[*kind as u8], &mutant(whole, &mut chance)[..]].concat());
        }
    }
    let test = "hostile::broker::mutants::no_damage_ends_the_process_or_fills_its_memory";
    let report = survive(test, &inputs, read)?;
    let peak = report.memory >> 20;
    println!("mutants: {} tried, {} fallen, {peak} MB held", report.tried, report.fallen.len());
    ensure!(report.fallen.is_empty() && report.tried == inputs.len(), "{:?}", report.fallen);
    ensure!(peak < 150, "{peak} MB were held");
    Ok(())
}

#[test]
fn what_is_not_damaged_is_read() {
    let read = untrusted::message(&message());
    assert_eq!((read.sequence.0, read.delivery_count.0, read.properties.iter().len()), (7, 3, 5));
    assert_eq!(read.body.as_deref(), Ok(&b"{\"a\":1}more"[..]));
    assert_eq!(untrusted::reply(&answer()), Ok((2, 2)));
    let (seen, ended) = conversation(&attached(), &stream());
    // An empty section of bytes has taken the place of the message, which nobody waits for here.
    assert_eq!((seen.len(), ended), (attached().len() + stream().len() - message().len() + 5, None));
}
