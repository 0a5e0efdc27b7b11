//! Words of others on their way to a person: terminals, logs, spans and the texts of errors.
//!
//! Senders, brokers, directories and folders choose texts that we repeat. Some characters do not show, but command:
//! they move the cursor, set the title of a window, turn the direction of writing, begin a line that looks like one of
//! ours, or are not there to the eye at all. None of them goes out as it is: [`shown`] writes them as `\u{1b}`, and
//! [`json`] as JSON writes them. What can be of any length is cut by [`brief`]; what names a message is repeated only if
//! it can be no personal data, by [`id`].

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use uuid::Uuid;

/// Whether a character commands or hides in place of showing: controls (C0, C1 and delete), signs of direction and
/// other format characters, separators of lines and paragraphs, and whatever else is not to be seen, such as selectors
/// of variants and tags.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let commands = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    commands || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// A text on one line, with nothing in it that commands or hides.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, braces)
}

/// The same for text of several lines, whose breaks are ours.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_hidden(character), braces)
}

/// The same for a document of JSON, which says the same afterwards. Its breaks are those of its layout, as the ones
/// inside of texts are escaped already.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    escaped(document, |character| character != '\n' && is_hidden(character), utf16)
}

/// A text on one line that is cut if it is long, and then tells how long it was.
#[must_use]
pub fn brief(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => shown(text),
        Some((end, _)) => format!("{}… ({} bytes)", shown(&text[..end]), text.len()).into(),
    }
}

/// What names a message: as it is if it is a GUID, which holds nothing of anybody, or else its length alone.
#[must_use]
pub fn id(text: &str) -> Cow<'_, str> {
    match Uuid::try_parse(text) {
        Ok(_) => text.into(),
        Err(_) if text.is_empty() => text.into(),
        Err(_) => format!("(no GUID, {} bytes)", text.len()).into(),
    }
}

/// Shows a value on one line, whatever its own words hold.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Escapes on the way.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&shown(text))
    }
}

fn escaped(text: &str, hides: impl Fn(char) -> bool, write: fn(&mut String, char)) -> Cow<'_, str> {
    // Nearly all that is ever shown is ASCII and needs nothing.
    let Some(first) = text.find(&hides) else { return text.into() };
    let mut whole = String::with_capacity(text.len() + 16);
    whole.push_str(&text[..first]);
    for character in text[first..].chars() {
        if hides(character) {
            write(&mut whole, character);
        } else {
            whole.push(character);
        }
    }
    whole.into()
}

fn braces(whole: &mut String, character: char) {
    whole.extend(character.escape_unicode());
}

fn utf16(whole: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a string cannot fail.
        let _infallible = write!(whole, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_commands_or_hides_is_written_out() {
        for hidden in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\x07',
            '\x1b',
            '\x7f',
            '\u{80}',
            '\u{85}',
            '\u{9b}',
            '\u{9d}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            let text = format!("a{hidden}b");
            assert_eq!(shown(&text), format!("a{}b", hidden.escape_unicode()), "{hidden:?}");
            assert_eq!(Shown(&text).to_string(), shown(&text));
        }
        assert_eq!(shown("\x1b]0;title\x07"), r"\u{1b}]0;title\u{7}");
        assert_eq!(lines("one\ntwo\r\n"), "one\ntwo\\u{d}\n");
    }

    #[test]
    fn what_people_read_stays_as_it_is() {
        for text in
            ["Zoë Weiß", "漢字かな", "Ελλάδα", "עברית", "العربية", "नमस्ते", "🎃", "a\u{a0}b", r"C:\new\{x}"]
        {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_document_of_json_says_the_same_afterwards() {
        let value = serde_json::json!({"a\u{9b}": "\u{202e}\x7f\u{e0041}\u{2028}\x1b\n", "b": "ß"});
        let document = format!("{value:#}\n");
        let safe = json(&document);
        assert!(!safe.chars().any(|c| c != '\n' && is_hidden(c)), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), value);
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        assert_eq!(brief("short", 5), "short");
        assert_eq!(brief("ééé\x1b", 2), "éé… (7 bytes)");
    }

    #[test]
    fn only_a_guid_names_a_message() {
        for guid in ["5f1f4b9a-0c0e-4d3f-8a37-3a1d8c7e9b10", "{5F1F4B9A-0C0E-4D3F-8A37-3A1D8C7E9B10}", ""] {
            assert_eq!(id(guid), guid);
        }
        assert_eq!(id("ada@example.com"), "(no GUID, 15 bytes)");
        assert_eq!(id(&"x".repeat(200_000)), "(no GUID, 200000 bytes)");
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_commands_or_hides(text in any::<String>(), most in 0_usize..50) {
            let all = [shown(&text), brief(&text, most), id(&text), Shown(&text).to_string().into()];
            for shown in all {
                prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
            }
            for several in [lines(&text), json(&text)] {
                prop_assert!(!several.chars().any(|c| c != '\n' && is_hidden(c)), "{several:?}");
            }
        }

        #[test]
        fn letters_and_digits_are_never_touched(text in "[\\p{L}\\p{N}\\p{P} ]*") {
            let visible: String = text.chars().filter(|c| !is_hidden(*c)).collect();
            prop_assert_eq!(shown(&visible), visible.as_str());
        }
    }
}
