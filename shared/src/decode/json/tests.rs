//! The reader beside `serde_json`: what both accept, refuse and understand.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::reader::{Kind, Reader};
use crate::decode::error::DecodeProblem;

/// Whether the reader takes a text as one document.
fn accepts(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

#[track_caller]
fn check(text: &str) {
    let library = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(accepts(text), library, "{text:?}");
}

#[test]
fn odd_documents_are_accepted_where_the_library_accepts_them() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true",
        "truefalse",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "1.",
        "1.0",
        ".5",
        "1e5",
        "1E+05",
        "1e",
        "1e+",
        "+1",
        "NaN",
        "INF",
        "\"",
        "\"\"",
        "\"\\\"",
        "\"\\u12\"",
        "\"\\u00e9\"",
        "\"\\uD800\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\\t\"",
        "[]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1",
        "]",
        "{}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1",
        "{a:1}",
        "{1:1}",
        "{\"a\":1}{}",
        " [ 1 , { \"a\" : [ ] } ] ",
        "\u{feff}1",
        "[1]x",
        "'a'",
        "\"\u{7f}\u{80}\"",
        "\"\u{0}\"",
        "1\u{a0}",
    ] {
        check(text);
    }
}

/// The kind, the offset and the text that a reader working byte by byte would give for a string.
fn spelled_out(bytes: &[u8]) -> Result<(usize, bool), usize> {
    let (mut at, mut escaped) = (1, false);
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            None | Some(..0x20) => return Err(at),
            Some(_) => at += 1,
        }
    }
}

#[track_caller]
fn check_string(text: &str) {
    let mut reader = Reader::new(text);
    match (reader.raw(), spelled_out(text.as_bytes())) {
        (Ok(raw), Ok((end, escaped))) => {
            assert_eq!((raw.text, raw.escaped), (&text[1..end], escaped), "{text:?}");
            assert_eq!(reader.fail(DecodeProblem::Trailing).offset, Some(end + 1), "{text:?}");
        }
        (Err(error), Err(at)) => assert_eq!(error.offset, Some(at), "{text:?}"),
        (ours, expected) => panic!("{ours:?} instead of {expected:?} for {text:?}"),
    }
    check(text);
}

/// Strings are read in blocks, whose ends must not show.
#[test]
fn a_string_ends_at_its_quote_wherever_in_a_block_that_stands() {
    // Beside what is special, the characters next to it in the code, and what differs from it in the top bit only.
    let pieces = [
        "\"", "\\\"", "\\\\", "\0", "\u{1f}", " ", "!", "#", "[", "]", "\u{7f}", "é", "\u{a2}", "\u{5ff}",
        "𝄞",
    ];
    for length in 0..=130 {
        for filling in ["a", " ", "é"] {
            let plain = filling.repeat(length / filling.len());
            check_string(&format!("\"{plain}\""));
            check_string(&format!("\"{plain}"));
            for at in (0..=plain.len()).filter(|at| plain.is_char_boundary(*at)) {
                // All places near the ends of a text and of its blocks; in between, one is like the other.
                let telling = length <= 50 || at % 16 <= 1 || at % 16 == 15 || plain.len() - at <= 2;
                for piece in pieces.iter().filter(|_| telling) {
                    let (before, after) = plain.split_at(at);
                    check_string(&format!("\"{before}{piece}{after}\"{{\\\u{1}"));
                    check_string(&format!("\"{before}{piece}{after}\""));
                }
            }
        }
    }
}

/// A JSON value in a random layout, and now and then a slip of the pen.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("text is JSON")),
        "\"(\\\\u[0-9a-fD]{4}|\\\\[\"/bfnrt\\\\]|[a-z ]){0,60}\"",
        "[-+.0-9eE]{0,6}",
        "[\\[\\]{}\",:a-z\\\\ ]{0,4}",
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let member = ("[a-z]{0,3}", inner.clone()).prop_map(|(name, value)| format!("\"{name}\" :{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",\t"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn random_documents_are_accepted_where_the_library_accepts_them(text in document()) {
        check(&text);
    }

    #[test]
    fn strings_mean_what_the_library_reads(text in "\"(\\\\u[0-9a-fD]{4}|\\\\uD83D\\\\uDE00|\\\\[\"/bfnrt\\\\]|[a-z é]){0,90}\"") {
        let library = serde_json::from_str::<String>(&text).ok();
        let ours = Reader::new(&text).text().expect("a string");
        // `None` on both sides is half of a surrogate pair.
        prop_assert_eq!(ours.as_deref(), library.as_deref());
    }

    #[test]
    fn a_number_is_kept_as_it_was_written(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?") {
        let mut reader = Reader::new(&number);
        prop_assert_eq!(reader.peek().expect("a number"), Kind::Number);
        prop_assert_eq!(reader.number().expect("a number"), &number);
        prop_assert!(reader.end().is_ok());
    }
}
