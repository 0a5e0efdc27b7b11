//! Files that import each other cannot be read one after the other, moved, or tested alone.

use std::fmt::Write;

use tests::source_tree::{Arrows, SourceTree, circles};

use super::{check_known, check_none, tree};

const KNOWN_IN_THE_SERVICE_BUS_CLIENT: &[&str] = &[
    "worker/servicebus/src/amqp/wall.rs",
    "worker/servicebus/src/amqp/wall/frame.rs",
    "worker/servicebus/src/amqp/wall/ledger.rs",
];

const KNOWN_IN_THE_WORKER: &[&str] = &[
    "worker/src/operate/replay/supply.rs",
    "worker/src/operate/replay/taking.rs",
    "worker/src/settings/bus.rs",
    "worker/src/settings/check/access.rs",
    "worker/src/settings/check/budget.rs",
    "worker/src/settings/check/mapping.rs",
    "worker/src/settings/check/mod.rs",
    "worker/src/settings/check/order.rs",
    "worker/src/settings/check/times.rs",
    "worker/src/settings/cloud.rs",
    "worker/src/settings/identity.rs",
    "worker/src/settings/mapping.rs",
    "worker/src/settings/mod.rs",
    "worker/src/settings/observing.rs",
    "worker/src/settings/parts.rs",
    "worker/src/settings/proxy.rs",
    "worker/src/settings/reader.rs",
    "worker/src/settings/secrets.rs",
    "worker/src/settings/sections.rs",
    "worker/src/settings/source.rs",
];

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

fn check(package: &str, known: &[&str]) {
    let arrows = within(tree(), package);
    let circles = circles(&arrows);
    let is_known = |circle: &&Vec<String>| circle.iter().all(|file| known.contains(&file.as_str()));
    let new: Vec<_> =
        circles.iter().filter(|circle| !is_known(circle)).map(|circle| told(&arrows, circle)).collect();
    check_none(&new, "move what both sides of a circle need into a file below them");
    check_known(&circles.into_iter().flatten().collect(), known, "these files are in a circle of imports");
}

#[test]
fn no_files_of_the_core_import_each_other() {
    check("shared", &[]);
}

#[test]
fn no_files_of_the_service_bus_client_import_each_other() {
    check("servicebus", KNOWN_IN_THE_SERVICE_BUS_CLIENT);
}

#[test]
fn no_files_of_the_worker_import_each_other() {
    check("worker", KNOWN_IN_THE_WORKER);
}

#[test]
fn no_files_of_the_emulator_import_each_other() {
    check("emulator", &[]);
}
