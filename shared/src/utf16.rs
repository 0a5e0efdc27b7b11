//! Lengths as Graph counts them: in UTF-16 units, of which an emoji takes two.

/// The length of a text.
#[must_use]
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest beginning of a text that is no longer than `max`. It never ends inside of a surrogate pair, nor
/// between a letter and its accents or the parts of one emoji, unless not even one of these fits.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > max
    });
    let Some((end, _)) = end else { return text };
    let whole = (1..=end).rev().find(|&at| text.is_char_boundary(at) && is_between(text, at));
    &text[..whole.unwrap_or(end)]
}

/// Whether what stands before and after this place would be seen as two.
fn is_between(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at(at);
    !before.ends_with(JOINER) && !after.starts_with(continues)
}

const JOINER: char = '\u{200d}';

/// What is drawn onto the character before it. Not all that Unicode names, but what occurs in names and emoji.
fn continues(character: char) -> bool {
    matches!(character,
        JOINER
        // Accents and other marks.
        | '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        // Variants, skin tones and the tags of flags.
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cut_text_fits_and_splits_nothing() {
        let (family, accented) = ("\u{1f469}\u{200d}\u{1f467}", "e\u{301}");
        for (text, max, expected) in [
            ("Ada", 3, "Ada"),
            ("Ada", 2, "Ad"),
            ("Ada", 0, ""),
            ("a\u{1f600}b", 2, "a"),
            ("a\u{1f600}b", 3, "a\u{1f600}"),
            (&format!("x{accented}"), 2, "x"),
            (&format!("x{family}"), 3, "x"),
            (&format!("x{family}"), 4, "x"),
            (&format!("x{family}"), 6, &format!("x{family}")),
            ("\u{1f44d}\u{1f3fd}", 3, "\u{1f44d}"),
        ] {
            assert_eq!(cut(text, max), expected, "{text} at {max}");
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_is_a_beginning_that_fits_and_loses_no_more_than_it_must(
            text in "[a\u{301}\u{1f600}\u{200d}ü ]{0,12}", max in 0_usize..20,
        ) {
            let cut = cut(&text, max);
            prop_assert!(text.starts_with(cut) && length(cut) <= max);
            prop_assert_eq!(cut == text, length(&text) <= max);
        }
    }
}
