//! The name of a type means one thing, wherever in the product it stands.

use std::{collections::BTreeMap, collections::BTreeSet};

use super::{
    check_none,
    source_tree::{Kind, Reach},
    tree,
};

/// Names that several modules may have, because the module says whose they are.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Error", "one a module boundary: graph::Error, identity::Error"),
    ("Args", "what one command takes on the command line: commands::run::Args"),
    ("Command", "which of its subcommands a command was given: commands::guard::Command"),
];

#[test]
fn a_type_has_its_name_for_itself() {
    let tree = tree();
    let mut places: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let packages = ["shared", "servicebus", "worker"].into_iter().filter(|name| tree.has_package(name));
    for module in packages.flat_map(|name| tree.product(tree.package(name))) {
        let types = module.definitions.iter().filter(|item| item.kind == Kind::Type && !item.test);
        for item in types.filter(|item| item.reach >= Reach::Crate) {
            places.entry(&item.name).or_default().insert(format!("{}:{}", module.file, item.line));
        }
    }
    let several = |name: &str| places.get(name).is_some_and(|places| places.len() > 1);
    let stale = SHARED_NAMES.iter().filter(|(name, _)| !several(name));
    let stale: Vec<_> = stale.map(|(name, _)| (*name).to_owned()).collect();
    check_none(&stale, "take these off the list of names that several types share");
    let listed = |name: &str| SHARED_NAMES.iter().any(|(listed, _)| *listed == name);
    let twice = places.iter().filter(|(name, places)| places.len() > 1 && !listed(name));
    let twice = twice.map(|(name, places)| {
        format!("{name}: {}", places.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    });
    check_none(&twice.collect::<Vec<_>>(), "these names mean several things; rename all but one");
}
