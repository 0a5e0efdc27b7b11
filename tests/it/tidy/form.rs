//! One form for what can be written in several: module files, test modules, imports.

use std::collections::{BTreeMap, BTreeSet};

use tests::binary::workspace;

use super::{
    check_known,
    source_tree::{Module, Reach},
    tree,
};

fn files(wrong: impl Fn(&Module) -> bool) -> BTreeSet<String> {
    tree().modules.iter().filter(|module| wrong(module)).map(|module| module.file.clone()).collect()
}

#[test]
fn a_module_with_parts_is_the_mod_rs_of_their_folder() {
    let beside = |module: &Module| {
        let stem = module.file.strip_suffix(".rs").expect("a Rust file");
        tree().parent(module).is_some() && !module.inline && workspace().join(stem).is_dir()
    };
    check_known(&files(beside), &[], "x.rs beside x/: make it x/mod.rs");
}

#[test]
fn a_module_is_the_file_of_its_name() {
    check_known(&files(|module| module.placed.is_some()), &[], "#[path] leads to these");
}

#[test]
fn tests_are_found_in_modules_named_so() {
    let outermost = |module: &Module| module.test && tree().parent(module).is_some_and(|parent| !parent.test);
    check_known(
        &files(|module| outermost(module) && module.name != "tests"),
        &[],
        "#[cfg(test)] modules are called tests, inline or as a file; what only tests need stands in them",
    );
}

#[test]
fn imports_of_one_crate_stand_in_one_use() {
    let scattered = |module: &Module| {
        let mut seen: BTreeMap<(&str, Reach, bool, usize), usize> = BTreeMap::new();
        module.imports.iter().any(|import| {
            let root = import.path.first().map_or("", String::as_str);
            let key = (root, import.reach, import.test, import.body);
            *seen.entry(key).or_insert(import.line) != import.line
        })
    };
    check_known(
        &files(scattered),
        &[],
        "one use for all that is imported of one crate (`cargo +nightly fmt -- --config imports_granularity=Crate`)",
    );
}
