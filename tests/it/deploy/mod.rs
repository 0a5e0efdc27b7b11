//! What lies under `deploy/`: it refers to the code by names only, and each of them has to exist.

mod advisories;
mod documents;
mod figures;
mod fit;
mod monitoring;
mod names;
mod presets;

use std::{fs, path::Path};

use tests::binary::workspace;

/// Text of a file of the workspace.
fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file that an operator reads or installs, with its path in the workspace.
fn artifacts() -> Vec<(String, String)> {
    let mut found: Vec<_> =
        ["README.md", "SECURITY.md"].map(|name| (name.to_owned(), read(name))).into_iter().collect();
    let mut folders = vec![workspace().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(workspace()).expect("inside").display().to_string();
                found.push((name, text));
            }
        }
    }
    assert!(found.len() > 20, "the walk finds too little");
    found
}

/// Whether a document is prose, in which code stands between backticks.
fn is_prose(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}
