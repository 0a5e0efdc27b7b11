//! Text as wide as the terminal: a terminal breaks lines in the middle of words, and takes columns apart.
//!
//! Lines of the log are not fitted. A terminal joins what it has broken itself when a line is copied, searched for or its window
//! made wider; what we break stays broken, and one event is one line for whoever filters.

use std::borrow::Cow;

use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use shared::shown::lines;

/// Below this, a line that is broken is no easier to read.
const NARROWEST: usize = 40;
/// So much room a last column has, or what follows does not begin below it: an id and what stands around it.
const LAST_COLUMN: usize = 38;

/// A table of ours with these headings, and no wider than that.
pub(super) fn table<'h>(headings: impl IntoIterator<Item = &'h str>, width: Option<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(headings);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// Lines that are too long, broken between words. What follows stands below the last column, if that is far enough to the
/// left, or else below the beginning. Tables are left as they are.
pub(super) fn fit(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let text = lines(text);
    let Some(width) = width.filter(|width| *width >= NARROWEST) else { return text };
    let is_long = |line: &str| line.chars().count() > width && !line.starts_with(['┌', '│', '╞', '└']);
    if !text.lines().any(is_long) {
        return text;
    }
    let mut fitted = String::with_capacity(text.len() + 64);
    for whole in text.split_inclusive('\n') {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        if is_long(line) {
            break_within(&mut fitted, line, last_column(line, width), width);
        } else {
            fitted.push_str(line);
        }
        fitted.push_str(&whole[line.len()..]);
    }
    fitted.into()
}

/// Where the last column begins that leaves room to its right, by the gaps of two blanks and more.
fn last_column(line: &str, width: usize) -> usize {
    let (mut column, mut blanks, mut is_margin) = (0, 0, true);
    for (place, character) in line.chars().enumerate() {
        if place + LAST_COLUMN > width {
            break;
        }
        if character == ' ' {
            blanks += 1;
            continue;
        }
        if is_margin || blanks >= 2 {
            column = place;
        }
        (blanks, is_margin) = (0, false);
    }
    column
}

/// Appends a line, broken between words where it is too long; what follows begins at `column`. The end of the line is left
/// to others.
pub(super) fn break_line(text: &mut String, line: &str, column: usize, width: Option<usize>) {
    let room = width.filter(|width| *width >= NARROWEST.max(column * 2)).unwrap_or(usize::MAX);
    break_within(text, line, column, room);
}

fn break_within(text: &mut String, line: &str, column: usize, room: usize) {
    let lead = line.len() - line.trim_start().len();
    let (mut at, mut is_first) = (lead, true);
    text.push_str(&line[..lead]);
    // By single blanks, so that columns keep their width.
    for word in line[lead..].split(' ') {
        let length = word.chars().count();
        if !is_first && at + 1 + length > room {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', column));
            at = column;
        } else if !is_first {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += length;
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(line: &str, column: usize, width: Option<usize>) -> String {
        let mut text = String::new();
        break_line(&mut text, line, column, width);
        text
    }

    #[test]
    fn long_lines_break_between_words_and_keep_their_columns() {
        let line = "warning  pool.grace: is shorter than what a write may take, so that a restart waits";
        assert_eq!(broken(line, 9, None), line);
        assert_eq!(
            broken(line, 9, Some(50)),
            "warning  pool.grace: is shorter than what a write\n         may take, so that a restart waits"
        );
        // Too narrow for it to help, and a word that is too long for any line.
        assert_eq!(broken(line, 9, Some(20)), line);
        let word = "x".repeat(60);
        assert_eq!(broken(&word, 0, Some(50)), word);
    }

    #[test]
    fn what_follows_stands_below_the_last_column_that_leaves_room() {
        let text = "head\n  write 1   begins; two messages are merged into it, and more words follow\n\n\
                    plain words that say one thing after another until the line is full\n";
        let expected = "head\n  write 1   begins; two messages are merged into it,\n            and more words follow\n\n\
                        plain words that say one thing after another until the\nline is full\n";
        assert_eq!(fit(text, Some(55)), expected);
        assert_eq!(fit(text, None), text);
        assert_eq!(fit(text, Some(200)), text);
        // A column too far to the right is none to go on below.
        let far = format!("{:40}  far to the right are some more words", "left");
        assert_eq!(fit(&far, Some(60)), format!("{:40}  far to the right\nare some more words", "left"));
        let framed = format!("│ {} │\n", "cell ".repeat(20));
        assert_eq!(fit(&framed, Some(60)), framed);
    }

    #[test]
    fn a_table_is_no_wider_than_it_may_be() {
        let mut made = table(["Author", "What", "Since"], Some(50));
        made.add_row(["user 7e0f2a11-3c5d-4e6f-8a9b-0c1d2e3f4a5b", "jobTitle blanked", "2026-11-30 04:48"]);
        let text = made.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
    }
}
