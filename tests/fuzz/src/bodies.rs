//! Bodies of messages, in the three forms.

use std::{fs, path::Path};

use serde_json::value::RawValue;
use shared::decode::{self, Format, View};

/// Bodies announced as `application/json`.
pub(crate) fn json(body: &[u8]) {
    decode(body, "application/json");
}

/// Bodies announced as `application/xml`.
pub(crate) fn xml(body: &[u8]) {
    decode(body, "application/xml");
}

/// Bodies announced as `application/msbin1`.
pub(crate) fn binary(body: &[u8]) {
    decode(body, "application/msbin1");
}

/// Does with a body all that can be done, and compares what two ways of doing it say.
fn decode(body: &[u8], content_type: &str) {
    let Ok(payload) = decode::open(body, Some(content_type)) else { return };
    let message = payload.message();
    let Ok(context) = payload.context() else {
        return;
    };
    if payload.format() == Format::Json {
        // The reader must not be more lenient than the library it stands beside.
        serde_json::from_slice::<&RawValue>(payload.body()).expect("what we read as JSON is JSON");
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

/// The fixtures of one form.
pub(crate) fn seeds(extension: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/contexts"));
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == extension));
    paths.retain(|path| !path.to_string_lossy().contains(".expected"));
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}
