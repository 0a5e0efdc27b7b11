//! What the manifests list is used, and is what the package may know.

use std::{collections::BTreeSet, process::Command};

use tests::binary::workspace;

use super::{check_none, source_tree::SourceTree, tree};

/// Libraries whose name in code is not that of the package.
const OTHER_NAMES: &[(&str, &str)] = &[("rustls-webpki", "webpki")];

/// Dependencies that no code names, and why they are there.
const UNNAMED: &[(&str, &str, &str)] =
    &[("tests", "futures-executor", "the demo is to have the features that tests give it")];

fn listed<'t>(tree: &'t SourceTree, package: usize, kind: &str) -> BTreeSet<&'t str> {
    let manifest = &tree.packages[package].manifest;
    let own = manifest.get(kind).and_then(|list| list.as_table());
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let targets = targets.into_iter().flat_map(|targets| targets.values());
    let targets = targets.filter_map(|target| target.get(kind)?.as_table());
    own.into_iter().chain(targets).flat_map(|list| list.keys()).map(String::as_str).collect()
}

/// The first names of all paths in the code of a package: those of its product, or of its tests as well.
fn first_names(tree: &SourceTree, package: usize, with_tests: bool) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for module in tree.modules.iter().filter(|module| module.package == package) {
        let imports = module.imports.iter().map(|import| (&import.path, import.test));
        let mentions = module.mentions.iter().filter(|mention| mention.path.len() > 1);
        let mentions = mentions.map(|mention| (&mention.path, mention.test));
        let paths = imports.chain(mentions).filter(|(_, test)| with_tests || !(*test || module.test));
        found.extend(
            paths.filter_map(|(path, _)| path.iter().find(|name| !name.is_empty())).map(String::as_str),
        );
    }
    found
}

#[test]
fn every_dependency_is_named_by_the_code_that_lists_it() {
    let tree = tree();
    let mut idle = Vec::new();
    for (package, of) in tree.packages.iter().enumerate() {
        // The tests are the product of the package that is called so.
        for (kind, with_tests) in
            [("dependencies", of.name == "tests"), ("dev-dependencies", true), ("build-dependencies", false)]
        {
            let names = first_names(tree, package, with_tests);
            for dependency in listed(tree, package, kind) {
                let other = OTHER_NAMES.iter().find(|(listed, _)| *listed == dependency);
                let name = other.map_or_else(|| dependency.replace('-', "_"), |(_, name)| (*name).to_owned());
                let known = UNNAMED.iter().any(|(by, what, _)| (*by, *what) == (&*of.name, dependency));
                if names.contains(&*name) == known {
                    idle.push(format!("{}/Cargo.toml: {dependency} of [{kind}]", of.folder));
                }
            }
        }
    }
    check_none(&idle, "no code names these (or code names them, and they are listed as unnamed)");
}

#[test]
fn every_version_of_the_workspace_is_taken_by_a_package() {
    let tree = tree();
    let workspace: toml::Table = super::read("Cargo.toml").parse().expect("a manifest");
    let versions = workspace["workspace"]["dependencies"].as_table().expect("a table");
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let taken: BTreeSet<_> = (0..tree.packages.len())
        .flat_map(|package| kinds.map(|kind| listed(tree, package, kind)))
        .flatten()
        .collect();
    let idle: Vec<_> = versions.keys().filter(|name| !taken.contains(name.as_str())).cloned().collect();
    check_none(&idle, "no package takes these from Cargo.toml");
}

/// Every package that a command builds, with version and features: `name version features`.
fn built(selected: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "--no-dedupe", "--format", "{p} {f}"])
        .args(selected)
        .current_dir(workspace())
        .output()
        .expect("cargo starts");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).expect("text").lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Otherwise whoever tries the two commands of the README builds most dependencies twice.
#[test]
fn the_demo_and_its_worker_are_built_from_what_the_tests_are_built_from() {
    let tests = built(&["--workspace"]);
    for selected in [&["--package", "tests"][..], &["--package", "tests", "--package", "worker"]] {
        let alone = built(&[selected, &["--edges", "normal,build"]].concat());
        assert!(alone.len() > 100, "the list is too short: {alone:?}");
        let others: Vec<_> = alone.difference(&tests).cloned().collect();
        check_none(
            &others,
            "the tests need these with other features; name those features in tests/Cargo.toml",
        );
    }
}
