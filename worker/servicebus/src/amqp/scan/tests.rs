//! What the scan lets pass, against the library's encoder and decoder.

use proptest::prelude::*;
use serde_amqp::{
    Value,
    described::Described,
    descriptor::Descriptor,
    from_slice,
    primitives::{self as prim, Array, OrderedMap},
    to_vec,
};

use super::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Ubyte),
        any::<u16>().prop_map(Value::Ushort),
        prop_oneof![Just(0), any::<u32>()].prop_map(Value::Uint),
        prop_oneof![Just(0), 0_u64..256, any::<u64>()].prop_map(Value::Ulong),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        prop_oneof![-128..128, any::<i32>()].prop_map(Value::Int),
        prop_oneof![-128_i64..128, any::<i64>()].prop_map(Value::Long),
        any::<f32>().prop_map(|number| Value::Float(number.into())),
        any::<f64>().prop_map(|number| Value::Double(number.into())),
        any::<char>().prop_map(Value::Char),
        any::<i64>().prop_map(|millis| Value::Timestamp(prim::Timestamp::from_milliseconds(millis))),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(bytes.into())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(bytes.into())),
        prop_oneof!["[a-zß☃]{0,20}", "[a-z]{250,300}"].prop_map(Value::String),
        "[a-z-]{0,20}".prop_map(|text| Value::Symbol(text.into())),
    ]
}

/// Keys of maps. The library's encoder panics over some others, which nobody uses.
fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{0,20}".prop_map(Value::String),
        "[a-z-]{0,20}".prop_map(|text| Value::Symbol(text.into())),
        any::<u64>().prop_map(Value::Ulong),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(8, 200, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec((key(), inner.clone()), 0..8)
                .prop_map(|pairs| Value::Map(pairs.into_iter().collect::<OrderedMap<_, _>>())),
            (any::<u64>(), inner.clone()).prop_map(|(code, value)| Value::Described(Box::new(Described {
                descriptor: Descriptor::Code(code),
                value
            }))),
            ("[a-z:]{1,20}", inner).prop_map(|(name, value)| Value::Described(Box::new(Described {
                descriptor: Descriptor::Name(name.into()),
                value
            }))),
            prop::collection::vec(any::<i64>(), 0..8)
                .prop_map(|numbers| Value::Array(Array(numbers.into_iter().map(Value::Long).collect()))),
            prop::collection::vec("[a-z]{0,9}", 1..8).prop_map(|names| Value::Array(Array(
                names.into_iter().map(|name| Value::Symbol(name.into())).collect()
            ))),
        ]
    })
}

/// A change of some bytes.
fn mutate(bytes: &mut Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) {
    for (place, how, byte) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = place.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            _ => bytes[at] ^= 1 << (byte % 8),
        }
    }
}

/// On a stack as small as musl gives to threads; without optimizations everything takes several times as much.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let size = if cfg!(debug_assertions) { 512 * 1024 } else { 128 * 1024 };
    let thread = std::thread::Builder::new().stack_size(size).spawn(work).expect("a thread");
    thread.join().expect("no panic")
}

proptest! {
    #[test]
    fn whatever_the_library_encodes_is_accepted(value in any_value(), tail in any::<[u8; 3]>()) {
        let mut encoded = to_vec(&value).expect("encodes");
        let length = encoded.len();
        encoded.extend(tail);
        prop_assert_eq!(check(&encoded), Ok(length), "{:?}", value);
        let mut rest = &encoded[..];
        split(&mut rest).expect("is found");
        prop_assert_eq!(rest, tail);
    }

    #[test]
    fn whatever_is_accepted_can_be_decoded_by_the_library_on_a_small_stack(
        value in any_value(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        let mut encoded = to_vec(&value).expect("encodes");
        mutate(&mut encoded, &changes);
        if let Ok(length) = check(&encoded) {
            encoded.truncate(length);
            on_a_small_stack(move || drop(from_slice::<Value>(&encoded)));
        }
    }

    #[test]
    fn scalars_are_read_as_the_library_reads_them(value in scalar()) {
        let encoded = to_vec(&value).expect("encodes");
        let read = split(&mut &encoded[..]).expect("is found");
        match value {
            Value::Ubyte(number) => prop_assert_eq!(read.unsigned(), Some(number.into())),
            Value::Ushort(number) => prop_assert_eq!(read.unsigned(), Some(number.into())),
            Value::Uint(number) => prop_assert_eq!(read.signed(), Some(number.into())),
            Value::Ulong(number) => prop_assert_eq!(read.unsigned(), Some(number)),
            Value::Byte(number) => prop_assert_eq!(read.signed(), Some(number.into())),
            Value::Short(number) => prop_assert_eq!(read.signed(), Some(number.into())),
            Value::Int(number) => prop_assert_eq!(read.signed(), Some(number.into())),
            Value::Long(number) => prop_assert_eq!(read.signed(), Some(number)),
            Value::Timestamp(time) => prop_assert_eq!(read.signed(), Some(time.milliseconds())),
            Value::Bool(yes) => prop_assert_eq!(read.bool(), Some(yes)),
            Value::Uuid(id) => prop_assert_eq!(read.uuid(), Some(Uuid::from_bytes(*id.as_inner()))),
            Value::Binary(bytes) => prop_assert_eq!(read.binary(), Some(bytes.as_slice())),
            Value::String(text) => prop_assert_eq!(read.text(), Some(&*text)),
            Value::Symbol(text) => prop_assert_eq!(read.text(), Some(text.as_str())),
            _ => {}
        }
    }

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let length = check(&bytes).unwrap_or_default();
        prop_assert!(length <= bytes.len());
        let mut rest = &bytes[..];
        if let Ok(found) = split(&mut rest) {
            prop_assert!(found.items().count() <= bytes.len());
        }
    }
}

/// Puts a value into another.
type Outer = fn(&[u8]) -> Vec<u8>;

/// A value within others: each `outer` makes one level.
fn nested(levels: usize, outer: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..levels).fold(vec![0x50, 7], |inner, _| outer(&inner))
}

fn list(inner: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inner.len() + 4).expect("small").to_be_bytes();
    [&[0xd0], &size[..], &[0, 0, 0, 1], inner].concat()
}

fn map(inner: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inner.len() + 7).expect("small").to_be_bytes();
    [&[0xd1], &size[..], &[0, 0, 0, 2, 0xa3, 1, b'k'], inner].concat()
}

fn described_as_one(inner: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, 0x01], inner].concat()
}

/// An array of one, which holds the contents of the inner one.
fn array(inner: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inner.len() + 4).expect("small").to_be_bytes();
    [&[0xf0], &size[..], &[0, 0, 0, 1], inner].concat()
}

#[test]
fn so_many_levels_are_let_pass_and_no_more() {
    let shapes: [Outer; 4] = [list, map, described_as_one, array];
    for (shape, outer) in shapes.into_iter().enumerate() {
        assert!(check(&nested(DEEPEST, outer)).is_ok(), "{shape}");
        for levels in [DEEPEST + 1, 2_000] {
            assert_eq!(check(&nested(levels, outer)), Err(Damage::Deep), "{shape}, {levels} levels");
        }
        let deepest = nested(DEEPEST, outer);
        on_a_small_stack(move || drop(from_slice::<Value>(&deepest)));
    }
}

#[test]
fn a_hundred_thousand_levels_are_skipped_without_a_word() {
    let deep = [[0x00, 0x53, 0x01].repeat(100_000), vec![0x40, 0x41]].concat();
    assert_eq!(check(&deep), Err(Damage::Deep));
    let mut rest = &deep[..];
    split(&mut rest).expect("its end is found");
    assert_eq!(rest, [0x41]);
}

#[test]
fn what_is_announced_has_to_be_there() {
    for (bytes, expected) in [
        (&[][..], Damage::CutOff),
        (&[0x71, 0, 0], Damage::CutOff),
        (&[0xb1, 0xff, 0xff, 0xff, 0xff, b'a'], Damage::Length),
        (&[0xa3, 2, b'a'], Damage::Length),
        (&[0xb0, 0, 0], Damage::CutOff),
        (&[0xd0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x40], Damage::Length),
        // A hundred items in one byte.
        (&[0xc0, 2, 100, 0x40], Damage::Length),
        // A list that is longer than its items, and one that is shorter.
        (&[0xc0, 3, 1, 0x40, 0x40], Damage::Length),
        (&[0xc0, 2, 2, 0x40, 0x40], Damage::Length),
        (&[0xc0, 3, 1, 0x71, 0], Damage::CutOff),
        // Millions of nulls out of nothing.
        (&[0xf0, 0, 0, 0, 5, 0x05, 0, 0, 0, 0x40], Damage::Length),
        // Numbers that are not there.
        (&[0xe0, 10, 2, 0x81, 0, 0, 0, 0, 0, 0, 0, 1], Damage::Length),
        (&[0xc1, 2, 1, 0x40], Damage::Odd),
        (&[0xa1, 1, 0xff], Damage::Text),
        (&[0xa3, 1, 0xff], Damage::Text),
        (&[0x73, 0, 0x11, 0, 0], Damage::Value),
        (&[0x56, 2], Damage::Value),
        (&[0xff], Damage::Constructor),
        (&[0x00, 0x40, 0x40], Damage::Constructor),
        (&[0x00, 0x00, 0x53, 1, 0x40, 0x40], Damage::Constructor),
    ] {
        assert_eq!(check(bytes), Err(expected), "{bytes:02x?}");
    }
}
