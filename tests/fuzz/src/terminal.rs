//! Words of others on their way to a terminal.

use serde_json::Value;
use shared::shown::{self, Shown};

use crate::texts;

/// Nothing that commands a terminal or hides from the eye goes out, and what is left says the same.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for out in
        [shown::shown(&text), Shown(&text).to_string().into(), shown::brief(&text, 50), shown::id(&text)]
    {
        assert!(!out.chars().any(commands), "{out:?} commands");
    }
    assert!(!shown::lines(&text).chars().any(|c| c != '\n' && commands(c)));
    assert!(shown::brief(&text, 50).chars().count() < 50 * 10 + 30, "not brief");
    let visible = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    if !text.chars().any(commands) && !text.chars().any(shown::is_hidden) {
        assert_eq!(shown::shown(&text), text, "escaped without need");
    }
    assert!(visible(&shown::shown(&text)).len() >= visible(&text.replace(shown::is_hidden, "")).len());
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let document = serde_json::to_string(&value).expect("JSON");
        let out = shown::json(&document);
        assert!(!out.chars().any(commands), "{out:?} commands");
        // Not the value itself: a number of many digits is another one once it was written.
        let same = serde_json::from_str::<Value>(&document).ok();
        assert_eq!(serde_json::from_str::<Value>(&out).ok(), same, "it says something else");
    }
}

/// By ranges of our own, so that a fault of the tables does not hide itself.
fn commands(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Titles of windows, directions, lines, things that are not there, and letters of everybody.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "\u{1b}]0;title\u{7}\u{1b}[2J\r\nline\u{9b}31m\u{7f}",
        "\u{202e}txt.exe\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}\u{fe0f}",
        "Zoë Müller 漢字 \u{1f469}\u{200d}\u{1f4bb} عربي",
        "{\"a\\u001b\":\"\u{202e}\u{9b}\",\"b\":[1,\"\u{2028}\"]}",
        "9999996000000001814952975",
        "00112233-4455-6677-8899-aabbccddeeff",
    ])
}
