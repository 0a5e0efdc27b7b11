//! Small files with one value in them: a secret, a token, a connection string.
//!
//! They are written by editors, shells and `kubectl`, which add line ends, marks and encodings of their own. What
//! surrounds a value is dropped; what would change it is refused in words that say how to save the file.

use std::{io, path::Path};

/// The mark with which some editors begin a file in UTF-8.
const MARK: &str = "\u{feff}";
const SAVE: &str =
    "save it as UTF-8; in PowerShell with `Set-Content -Encoding utf8`, in Notepad with \"Save as\"";

/// The value in a file cannot be read. No variant holds any of its text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such file, or it may not be read.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// Windows writes files so, if nobody tells it otherwise.
    #[error("is saved as UTF-16; {SAVE}")]
    Utf16,
    /// It is in no encoding that we know.
    #[error("holds bytes that are not UTF-8, so it is in another encoding or no text at all; {SAVE}")]
    NotText,
    /// There is nothing in it.
    #[error("is empty; write the value into it")]
    Empty,
}

/// The value in a file, without a mark and without blanks and line ends around it.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    value(&std::fs::read(path).map_err(Error::Unreadable)?)
}

fn value(bytes: &[u8]) -> Result<String, Error> {
    // Without a mark, every other byte of what is mostly ASCII is zero; and no value holds one.
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0) {
        return Err(Error::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotText)?;
    // Whoever joins files puts marks in the middle of blanks.
    let surrounding = |character: char| character.is_whitespace() || MARK.contains(character);
    match text.trim_matches(surrounding) {
        "" => Err(Error::Empty),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let read = value(bytes);
        match (&read, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{error}"),
            _ => panic!("{read:?} instead of {expected:?}"),
        }
    }

    fn utf16(text: &str, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(encode).collect()
    }

    #[test]
    fn what_editors_and_shells_put_around_a_value_is_dropped() {
        for text in [
            "s3cret",
            "s3cret\n",
            "s3cret\r\n",
            "\n\n s3cret \t\r\n\n",
            "\u{feff}s3cret",
            "\u{feff}\r\n s3cret\u{feff}\n",
            "\u{a0}s3cret\u{a0}",
        ] {
            check(text.as_bytes(), Ok("s3cret"));
        }
        check("two words = one value;\n".as_bytes(), Ok("two words = one value;"));
    }

    #[test]
    fn another_encoding_is_refused_in_words_and_never_guessed() {
        for encode in [u16::to_le_bytes, u16::to_be_bytes] {
            check(&utf16("\u{feff}s3cret", encode), Err("is saved as UTF-16; save it as UTF-8"));
            check(&utf16("s3cret\r\n", encode), Err("is saved as UTF-16; save it as UTF-8"));
        }
        check(b"\xff\xfe", Err("is saved as UTF-16"));
        check(b"caf\xe9", Err("holds bytes that are not UTF-8"));
    }

    #[test]
    fn a_file_with_nothing_in_it_is_a_mistake() {
        for text in ["", "\n", " \r\n\t", "\u{feff}", "\u{feff}\n"] {
            check(text.as_bytes(), Err("is empty"));
        }
    }
}
