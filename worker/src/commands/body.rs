//! Reading a captured body from a file or from standard input.

use std::{fs::File, io::Read, path::Path};

use anyhow::Context;
use bytes::Bytes;
use servicebus::Message;
use shared::decode::limits;

/// A message with this body, as if it had come from the queue.
pub(super) fn message(file: &Path, content_type: Option<&str>) -> anyhow::Result<Message> {
    let body = read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Message {
        content_type: content_type.map(Into::into),
        body: Ok(Bytes::from(body)),
        ..Message::default()
    })
}

/// A body, or so much of it as shows that it is too long.
pub(super) fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = limits::LENGTH as u64 + 1;
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut body)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut body)?;
    }
    Ok(body)
}
