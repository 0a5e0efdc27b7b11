//! What must hold for any body whatever.

use serde::de::IgnoredAny;
use shared::decode::{self, Format, View};

/// Does with a body all that can be done, and compares what two ways of doing it say.
pub fn decode(body: &[u8], content_type: &str) {
    let Ok(payload) = decode::open(body, Some(content_type)) else { return };
    let message = payload.message();
    let Ok(context) = payload.context() else {
        return;
    };
    if payload.format() == Format::Json {
        // The reader must not be more lenient than the library it stands beside.
        serde_json::from_slice::<IgnoredAny>(payload.body()).expect("what we read as JSON is JSON");
    }
    for view in [View::Full, View::Json] {
        let shown = serde_json::to_vec(&context.shown(view)).expect("whatever decodes can be shown");
        // A body of a megabyte of zeros in a list is the worst case.
        assert!(shown.len() < 64 * body.len() + 4096, "{} bytes shown for {}", shown.len(), body.len());
    }
    if let Ok(message) = message {
        assert_eq!(context.message_name.text(), Some(&*message.name));
    }
}
