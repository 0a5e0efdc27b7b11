//! Files that import each other cannot be read one after the other, moved, or tested alone.

use std::fmt::Write;

use super::{
    check_none,
    source_tree::{Arrows, SourceTree, circles},
    tree,
};

/// The arrows between files of one package.
fn within(tree: &SourceTree, package: &str) -> Arrows {
    let folder = format!("{}/src/", tree.packages[tree.package(package)].folder);
    let mut arrows = tree.arrows();
    arrows.retain(|from, _| from.starts_with(&folder));
    arrows
}

/// The circle with what ties it.
fn told(arrows: &Arrows, circle: &[String]) -> String {
    let mut text = format!("{} files:\n", circle.len());
    for from in circle {
        for (to, names) in arrows.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            writeln!(text, "    {from} -> {to}: {names}").expect("text grows");
        }
    }
    text
}

fn check(package: &str) {
    let arrows = within(tree(), package);
    let circles: Vec<_> = circles(&arrows).iter().map(|circle| told(&arrows, circle)).collect();
    check_none(&circles, "move what both sides of a circle need into a file below them");
}

#[test]
fn no_files_of_the_core_import_each_other() {
    check("shared");
}

#[test]
fn no_files_of_the_service_bus_client_import_each_other() {
    check("servicebus");
}

#[test]
fn no_files_of_the_worker_import_each_other() {
    check("worker");
}

#[test]
fn no_files_of_the_emulator_import_each_other() {
    check("emulator");
}
