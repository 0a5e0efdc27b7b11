//! What may reach a terminal: text that a person sees as it is.
//!
//! Written down here once more, and not asked of the worker, so that the two can disagree.

/// Commands of terminals, a line that looks like one of ours, and what turns or hides what stands around it.
pub const POISON: &str = "\x1b]0;PWNED\x07\x1b[2J\r\nFAKE LINE\u{9b}31m\u{202e}live\u{2066}\u{2028}\u{200b}\u{7f}\u{85}\u{ad}\u{e0041}\u{fe0f}\t";

/// The same where only ASCII can be said.
pub const ASCII_POISON: &str = "\x1b]0;PWNED\x07\x1b[2J\r\nFAKE LINE\x7f\t";

/// The first character that commands a terminal or is not there to the eye, or the first line that somebody else began.
#[must_use]
pub fn wild(text: &str) -> Option<String> {
    if let Some(line) = text.lines().find(|line| line.trim_start().starts_with("FAKE LINE")) {
        return Some(line.to_owned());
    }
    let found = text.chars().find(|character| *character != '\n' && is_wild(*character));
    found.map(|character| character.escape_unicode().to_string())
}

fn is_wild(character: char) -> bool {
    let unseen = [
        0xad..=0xad,
        0x61c..=0x61c,
        0x115f..=0x1160,
        0x180b..=0x180f,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0x3164..=0x3164,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xfff9..=0xfffb,
        0x1_d173..=0x1_d17a,
        0xe_0000..=0xe_0fff,
    ];
    character.is_control() || unseen.iter().any(|range| range.contains(&u32::from(character)))
}

/// Fails if a text may not reach a terminal.
///
/// # Panics
/// If it may not.
#[track_caller]
pub fn assert_tame(what: &str, text: &str) {
    if let Some(found) = wild(text) {
        panic!("{what} lets {found:?} out: {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wild_is_found_and_what_people_read_is_not() {
        for character in POISON.chars().filter(|c| !c.is_alphanumeric() && !" ;[]".contains(*c) && *c != '\n')
        {
            assert!(wild(&character.to_string()).is_some(), "{character:?}");
        }
        assert!(wild("ours\nFAKE LINE").is_some());
        assert_eq!(wild("Zoë 漢字 \\u{1b}[2J\\u{a}FAKE LINE │ … €\n"), None);
    }
}
