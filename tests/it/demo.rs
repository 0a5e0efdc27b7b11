//! The demonstration ends well, and its check bites.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().expect("the demo starts")
}

#[test]
fn the_demo_loses_nothing_and_says_what_happened() {
    let output = demo(&[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["posted", "dead-lettered: BodyUndecodable", "UserNotFound", "Nothing was lost"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn the_demo_fails_when_a_message_is_dropped() {
    let output = demo(&["--drop-one"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 messages are gone without having been settled"), "{text}");
}
