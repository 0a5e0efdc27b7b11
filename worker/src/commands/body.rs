//! Reading a captured body from a file or from standard input.

use std::{fs::File, io::Read, path::Path};

use shared::decode::limits;

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
