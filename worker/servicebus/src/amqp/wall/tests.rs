//! What passes and what does not.

use std::sync::Arc;

use bytes::Bytes;
use fe2o3_amqp_types::{
    definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode},
    messaging::{Message, Source, Target, TargetArchetype, message::__private::Deserializable},
    performatives::{Attach, Begin, Disposition, Flow, Transfer},
};
use proptest::prelude::*;

use super::*;
use crate::{amqp::scan::check, message::Damage};

fn frame(performative: &impl serde::Serialize) -> Vec<u8> {
    let body = serde_amqp::to_vec(performative).expect("encodes");
    let length = u32::try_from(body.len() + 8).expect("fits");
    [&length.to_be_bytes()[..], &[2, 0, 0, 1], &body].concat()
}

fn attach(role: Role, limit: Option<u64>, name: &str) -> Attach {
    let target = Target::builder().address("reply").build();
    Attach {
        name: name.to_owned(),
        handle: Handle(300),
        role,
        snd_settle_mode: SenderSettleMode::default(),
        rcv_settle_mode: ReceiverSettleMode::default(),
        source: Some(Box::new(Source::builder().address("contacts").build())),
        target: Some(Box::new(TargetArchetype::Target(target))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: Some(0),
        max_message_size: limit,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

fn begin() -> Begin {
    Begin {
        remote_channel: Some(1),
        next_outgoing_id: 0,
        incoming_window: 5_000,
        outgoing_window: 5_000,
        handle_max: Handle(255),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

/// A conversation in which no message comes.
fn conversation(name: &str, limit: u64) -> Vec<u8> {
    [
        b"AMQP\x03\x01\x00\x00AMQP\x00\x01\x00\x00".to_vec(),
        vec![0, 0, 0, 8, 2, 0, 0, 0],
        frame(&begin()),
        frame(&attach(Role::Sender, Some(limit), name)),
        frame(&attach(Role::Receiver, Some(limit), name)),
        frame(&attach(Role::Sender, None, name)),
    ]
    .concat()
}

/// What passes of a stream that comes in pieces, and what ended it.
fn pass(examined: &mut Examined, bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Result<(), Breach>) {
    let (mut seen, mut rest) = (Vec::new(), bytes);
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        let came = examined.came(piece);
        examined.take(&mut seen);
        if came.is_err() {
            return (seen, came);
        }
        rest = more;
    }
    (seen, Ok(()))
}

fn transfer(number: u32, more: bool, payload: &[u8]) -> Vec<u8> {
    let transfer = Transfer {
        handle: Handle(300),
        delivery_id: Some(number),
        delivery_tag: Some(number.to_be_bytes().to_vec().into()),
        message_format: None,
        settled: None,
        more,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
    };
    let mut frame = frame(&transfer);
    frame.extend_from_slice(payload);
    let length = u32::try_from(frame.len()).expect("fits");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

fn flow(credit: u32) -> Vec<u8> {
    frame(&Flow {
        next_incoming_id: None,
        incoming_window: 5_000,
        next_outgoing_id: 0,
        outgoing_window: 5_000,
        handle: Some(Handle(300)),
        delivery_count: Some(0),
        link_credit: Some(credit),
        available: None,
        drain: false,
        echo: false,
        properties: None,
    })
}

/// A stream on which a link is attached, with credit, and the messages of the link.
fn receiving(credit: u32) -> (Examined, Arc<Shelf>) {
    let shelves = Shelves::default();
    let shelf = shelves.put_up("in");
    let mut examined = Examined::new(shelves);
    examined.sent(b"AMQP\x00\x01\x00\x00");
    examined.sent(&frame(&begin()));
    examined.sent(&frame(&attach(Role::Receiver, None, "in")));
    examined.came(&frame(&attach(Role::Sender, None, "in"))).expect("is sound");
    // In pieces, as a stream takes it.
    for byte in flow(credit) {
        examined.sent(&[byte]);
    }
    examined.take(&mut Vec::new());
    (examined, shelf)
}

/// What is made of transfers that have passed, by way of the library: the messages.
fn messages(mut passed: &[u8], shelf: &Shelf) -> Vec<Bytes> {
    let (mut messages, mut payload) = (Vec::new(), Vec::new());
    while let Some(length) = passed.first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("fits");
        let (frame, rest) = passed.split_at(length);
        passed = rest;
        let performative = &frame[8..8 + check(&frame[8..]).expect("sound")];
        let transfer: Transfer = serde_amqp::from_slice(performative).expect("a transfer");
        payload.extend_from_slice(&frame[8 + performative.len()..]);
        if !transfer.more {
            let message: Deserializable<Message<Numbered>> =
                serde_amqp::from_slice(&std::mem::take(&mut payload)).expect("a message of bytes");
            messages.push(shelf.take(message.0.body).expect("it is there"));
        }
    }
    messages
}

proptest! {
    #[test]
    fn what_is_no_message_passes_as_it_is_however_the_bytes_are_cut(
        name in "[a-z]{1,300}",
        limit in 256_u64..u64::MAX,
        cuts in proptest::collection::vec(1_usize..200, 1..50),
    ) {
        let bytes = conversation(&name, limit);
        let (seen, ended) = pass(&mut Examined::default(), &bytes, &cuts);
        prop_assert_eq!(seen, bytes);
        prop_assert_eq!(ended, Ok(()));
    }

    #[test]
    fn whatever_a_transfer_carries_comes_out_as_it_was(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
        cuts in proptest::collection::vec(1_usize..200, 1..50),
    ) {
        let last = pieces.len() - 1;
        let frames: Vec<u8> =
            pieces.iter().enumerate().flat_map(|(at, piece)| transfer(7, at < last, piece)).collect();
        let (mut examined, shelf) = receiving(1);
        let (seen, ended) = pass(&mut examined, &frames, &cuts);
        prop_assert_eq!(ended, Ok(()));
        prop_assert_eq!(messages(&seen, &shelf), [pieces.concat()]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), sent: bool) {
        let mut examined = Examined::default();
        if sent {
            examined.sent(&bytes);
        } else {
            let _ended = pass(&mut examined, &bytes, &[100]);
        }
    }

    #[test]
    fn no_performative_makes_it_panic(code: u8, tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let length = u32::try_from(tail.len() + 12).expect("fits");
        let bytes = [&length.to_be_bytes()[..], &[2, 0, 0, 1, 0x00, 0x53, code, 0xc0], &tail].concat();
        let (mut examined, _shelf) = receiving(1);
        examined.sent(&bytes);
        let _ended = pass(&mut examined, &bytes, &[100]);
    }
}

#[test]
fn a_message_goes_past_the_library_whatever_limit_the_service_has_announced() {
    let largest = usize::try_from(LARGEST_FRAME).expect("fits");
    let payload = vec![7; largest - transfer(1, false, &[]).len()];
    let (mut examined, shelf) = receiving(1);
    let (seen, ended) = pass(&mut examined, &transfer(1, false, &payload), &[10_000]);
    assert_eq!(ended, Ok(()));
    assert!(seen.len() < 100, "the library would close the link over {} bytes", seen.len());
    assert_eq!(messages(&seen, &shelf), [payload]);
}

#[test]
fn messages_that_the_library_lost_or_that_nobody_takes_are_not_kept() {
    let (mut examined, shelf) = receiving(3);
    let (mut seen, _) = pass(&mut examined, &transfer(1, false, b"one"), &[100]);
    examined.came(&transfer(2, false, b"two")).expect("asked for");
    examined.take(&mut Vec::new());
    let (third, _) = pass(&mut examined, &transfer(3, false, b"three"), &[100]);
    seen.extend(third);
    assert_eq!(messages(&seen, &shelf), [&b"one"[..], b"three"]);
    assert!(!format!("{shelf:?}").contains("two"));

    let (mut examined, shelf) = receiving(1);
    drop(shelf);
    let (seen, ended) = pass(&mut examined, &transfer(1, false, b"message"), &[100]);
    assert_eq!(ended, Ok(()));
    assert!(!format!("{examined:?}").contains("message") && !seen.is_empty(), "the link is gone");
}

#[test]
fn frames_that_cannot_be_are_refused_before_they_are_there() {
    let head = |length: u32, offset: u8| [&length.to_be_bytes()[..], &[offset, 0, 0, 0]].concat();
    for (bytes, expected) in [
        (vec![0, 0, 0, 4], Breach::Size(4)),
        (vec![0; 8], Breach::Size(0)),
        (head(7, 2), Breach::Size(7)),
        (0xffff_fff0_u32.to_be_bytes().to_vec(), Breach::Size(0xffff_fff0)),
        (head(LARGEST_FRAME + 1, 2), Breach::Size(LARGEST_FRAME + 1)),
        (head(8, 0), Breach::Offset(0)),
        (head(8, 1), Breach::Offset(4)),
        (head(8, 255), Breach::Offset(1_020)),
    ] {
        assert_eq!(Examined::default().came(&bytes), Err(expected), "{bytes:02x?}");
    }
}

#[test]
fn performatives_are_looked_at_down_to_the_bottom() {
    let open = |fields: &[u8]| {
        let length = u32::try_from(fields.len() + 11).expect("fits");
        [&length.to_be_bytes()[..], &[2, 0, 0, 0, 0x00, 0x53, 0x10], fields].concat()
    };
    let deep = [&[0x00, 0x53, 0x01].repeat(50_000)[..], &[0x40]].concat();
    for (bytes, expected) in [
        (open(&deep), Damage::Deep),
        (open(&[0xb1, 0x7f, 0xff, 0xff, 0xff]), Damage::Length),
        (open(&[0x40]), Damage::Constructor),
        (open(&[0xff]), Damage::Constructor),
    ] {
        assert_eq!(Examined::default().came(&bytes), Err(Breach::Damaged(expected)));
    }
}

#[test]
fn no_more_messages_come_than_were_asked_for() {
    let (mut examined, _shelf) = receiving(2);
    examined.came(&transfer(1, false, b"one")).expect("asked for");
    examined.came(&transfer(2, true, b"tw")).expect("asked for");
    examined.came(&transfer(2, false, b"o")).expect("the rest of it");
    assert_eq!(examined.came(&transfer(3, false, b"three")), Err(Breach::Uncalled));
    let (mut examined, _shelf) = receiving(0);
    assert_eq!(examined.came(&transfer(1, false, b"one")), Err(Breach::Uncalled));
}

#[test]
fn a_second_attach_does_not_begin_a_new_account() {
    let (mut examined, _shelf) = receiving(1);
    let again = Attach { initial_delivery_count: Some(0x8000_0001), ..attach(Role::Sender, None, "in") };
    examined.came(&frame(&again)).expect("the library's matter");
    examined.came(&transfer(1, false, b"one")).expect("asked for");
    assert_eq!(examined.came(&transfer(2, false, b"two")), Err(Breach::Uncalled));
}

#[test]
fn a_message_in_pieces_comes_to_an_end() {
    let (mut examined, _shelf) = receiving(1);
    let pieces = transfer(1, true, b"").repeat(1_000);
    let ended = (0..200).find_map(|_| {
        let came = examined.came(&pieces);
        examined.take(&mut Vec::new());
        came.err()
    });
    assert_eq!(ended, Some(Breach::Endless));
    let (mut examined, _shelf) = receiving(1);
    let piece = transfer(1, true, &vec![0; 200_000]);
    let ended = (0..400).find_map(|_| {
        let came = examined.came(&piece);
        examined.take(&mut Vec::new());
        came.err()
    });
    assert_eq!(ended, Some(Breach::Endless));
}

#[test]
fn one_disposition_is_not_about_billions_of_messages() {
    let disposition = |last| {
        frame(&Disposition {
            role: Role::Receiver,
            first: 0,
            last: Some(last),
            settled: true,
            state: None,
            batchable: false,
        })
    };
    Examined::default().came(&disposition(5_000)).expect("usual");
    assert_eq!(Examined::default().came(&disposition(u32::MAX)), Err(Breach::Disposition(u32::MAX)));
}
