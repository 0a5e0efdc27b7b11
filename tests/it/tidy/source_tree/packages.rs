//! Finds the packages of the workspace, their crates, and the file of each module.

use std::fs;

use super::{Module, Package, SourceTree, syntax};

/// Reads the text of a file whose path is relative to the workspace.
fn text(tree: &SourceTree, path: &str) -> String {
    fs::read_to_string(tree.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest(tree: &SourceTree, folder: &str) -> toml::Table {
    let path = format!("{folder}/Cargo.toml");
    text(tree, path.trim_start_matches('/')).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(super) fn read(tree: &mut SourceTree) {
    let members = manifest(tree, "")["workspace"]["members"].as_array().expect("a list of members").clone();
    for folder in members.iter().map(|member| member.as_str().expect("a folder").to_owned()) {
        let manifest = manifest(tree, &folder);
        let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
        let package = tree.packages.len();
        let library = name.replace('-', "_");
        tree.packages.push(Package { name, folder: folder.clone(), manifest });
        for (file, test) in crates(tree, &tree.packages[package]) {
            let root = add(tree, package, None, "", &file, test);
            if file == format!("{folder}/src/lib.rs") {
                tree.libraries.insert(library.clone(), root);
            }
            module(tree, root);
        }
    }
}

/// The root file of each crate of a package, and whether it is one of tests.
fn crates(tree: &SourceTree, package: &Package) -> Vec<(String, bool)> {
    let folder = &package.folder;
    let mut found = Vec::new();
    let mut add = |path: String, test: bool| {
        let path = format!("{folder}/{path}");
        if tree.folder.join(&path).is_file() && !found.iter().any(|(known, _)| *known == path) {
            found.push((path, test));
        }
    };
    for usual in ["src/lib.rs", "src/main.rs", "build.rs"] {
        add(usual.to_owned(), false);
    }
    for (kind, usual, test) in [
        ("bin", "src/bin", false),
        ("test", "tests", true),
        ("bench", "benches", true),
        ("example", "examples", true),
    ] {
        for target in package.manifest.get(kind).and_then(|list| list.as_array()).into_iter().flatten() {
            let name = target["name"].as_str().expect("a name");
            let path = target.get("path").and_then(|path| path.as_str());
            add(path.map_or_else(|| format!("{usual}/{name}.rs"), str::to_owned), test);
        }
    }
    // Found by Cargo without being listed.
    for file in fs::read_dir(tree.folder.join(folder).join("examples")).into_iter().flatten().flatten() {
        add(format!("examples/{}", file.file_name().display()), true);
    }
    found
}

/// Adds a module that has no content yet.
pub(super) fn add(
    tree: &mut SourceTree,
    package: usize,
    parent: Option<usize>,
    name: &str,
    file: &str,
    test: bool,
) -> usize {
    let place = tree.modules.len();
    tree.modules.push(Module {
        package,
        root: parent.map_or(place, |parent| tree.modules[parent].root),
        parent,
        name: name.to_owned(),
        file: file.to_owned(),
        inline: false,
        test,
        placed: None,
        children: std::collections::BTreeMap::new(),
        definitions: Vec::new(),
        imports: Vec::new(),
        mentions: Vec::new(),
    });
    if let Some(parent) = parent {
        tree.modules[parent].children.insert(name.to_owned(), place);
    }
    place
}

/// Parses the file of a module, and those of the modules that it declares.
pub(super) fn module(tree: &mut SourceTree, module: usize) {
    let file = tree.modules[module].file.clone();
    let parsed = syn::parse_file(&text(tree, &file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    syntax::read(tree, module, &parsed);
}

/// The file of a module that `parent` declares without a body.
pub(super) fn file_of(tree: &SourceTree, parent: usize, name: &str, placed: Option<&str>) -> String {
    let file = &tree.modules[parent].file;
    let (folder, stem) = file.rsplit_once('/').expect("in a folder");
    if let Some(placed) = placed {
        return format!("{folder}/{placed}");
    }
    // Modules stand beside `mod.rs` and beside the root of a crate, and else in the folder named after the file.
    let mut folder = folder.to_owned();
    let crate_root = tree.modules[tree.modules[parent].root].file == *file;
    if stem != "mod.rs" && !crate_root {
        folder = format!("{folder}/{}", stem.trim_end_matches(".rs"));
    }
    let mut inner = Vec::new();
    let mut above = Some(parent);
    while let Some(module) = above.map(|place| &tree.modules[place]).filter(|module| module.inline) {
        inner.push(module.name.clone());
        above = module.parent;
    }
    for part in inner.iter().rev() {
        folder = format!("{folder}/{part}");
    }
    let candidates = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
    let found = candidates.iter().find(|path| tree.folder.join(path).is_file());
    found
        .unwrap_or_else(|| {
            panic!("{file} declares {name}, and neither {} is there", candidates.join(" nor "))
        })
        .clone()
}
