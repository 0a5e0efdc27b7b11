//! One form for what can be written in several: module files, test modules, imports.

use std::collections::{BTreeMap, BTreeSet};

use tests::{
    binary::workspace,
    source_tree::{Module, Reach},
};

use super::{check_known, tree};

const KNOWN_BESIDE_THEIR_FOLDER: &[&str] = &[
    "worker/servicebus/src/amqp/scan.rs",
    "worker/servicebus/src/amqp/wall.rs",
    "worker/servicebus/src/amqp/wire.rs",
    "worker/src/commands/apply.rs",
    "worker/src/commands/check.rs",
    "worker/src/commands/check/online.rs",
    "worker/src/commands/dead_letters.rs",
    "worker/src/commands/replay.rs",
    "worker/src/envelope/copies.rs",
    "worker/src/graph/http.rs",
    "worker/src/settings/tests.rs",
];

const KNOWN_TO_BE_PLACED: &[&str] = &[];

const KNOWN_TO_SCATTER_IMPORTS: &[&str] = &[
    "worker/servicebus/src/amqp/arrival.rs",
    "worker/servicebus/src/amqp/claims.rs",
    "worker/servicebus/src/amqp/connection.rs",
    "worker/servicebus/src/amqp/dispatch.rs",
    "worker/servicebus/src/amqp/faults.rs",
    "worker/servicebus/src/amqp/intake.rs",
    "worker/servicebus/src/amqp/link.rs",
    "worker/servicebus/src/amqp/management.rs",
    "worker/servicebus/src/amqp/mod.rs",
    "worker/servicebus/src/amqp/outgoing.rs",
    "worker/servicebus/src/amqp/queue.rs",
    "worker/servicebus/src/amqp/receiver.rs",
    "worker/servicebus/src/amqp/rpc.rs",
    "worker/servicebus/src/amqp/scan/tests.rs",
    "worker/servicebus/src/amqp/sender.rs",
    "worker/servicebus/src/amqp/sessions.rs",
    "worker/servicebus/src/amqp/settings.rs",
    "worker/servicebus/src/amqp/settler.rs",
    "worker/servicebus/src/amqp/slot.rs",
    "worker/servicebus/src/amqp/transport.rs",
    "worker/servicebus/src/amqp/tunnel.rs",
    "worker/servicebus/src/amqp/untrusted.rs",
    "worker/servicebus/src/amqp/wall.rs",
    "worker/servicebus/src/amqp/wall/frame.rs",
    "worker/servicebus/src/amqp/wall/ledger.rs",
    "worker/servicebus/src/amqp/wall/performative.rs",
    "worker/servicebus/src/amqp/wall/tests.rs",
    "worker/servicebus/src/amqp/websocket.rs",
    "worker/servicebus/src/amqp/wire.rs",
    "worker/servicebus/src/amqp/wire/tests.rs",
    "worker/servicebus/src/connection_string.rs",
    "worker/servicebus/src/delivery.rs",
    "worker/servicebus/src/error.rs",
    "worker/servicebus/src/message.rs",
    "worker/servicebus/src/sas.rs",
    "worker/src/commands/apply.rs",
    "worker/src/commands/dead_letters.rs",
];

fn files(wrong: impl Fn(&Module) -> bool) -> BTreeSet<String> {
    tree().modules.iter().filter(|module| wrong(module)).map(|module| module.file.clone()).collect()
}

#[test]
fn a_module_with_parts_is_the_mod_rs_of_their_folder() {
    let beside = |module: &Module| {
        let stem = module.file.strip_suffix(".rs").expect("a Rust file");
        tree().parent(module).is_some() && !module.inline && workspace().join(stem).is_dir()
    };
    check_known(&files(beside), KNOWN_BESIDE_THEIR_FOLDER, "x.rs beside x/: make it x/mod.rs");
}

#[test]
fn a_module_is_the_file_of_its_name() {
    check_known(&files(|module| module.placed.is_some()), KNOWN_TO_BE_PLACED, "#[path] leads to these");
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
        KNOWN_TO_SCATTER_IMPORTS,
        "one use for all that is imported of one crate (`cargo +nightly fmt -- --config imports_granularity=Crate`)",
    );
}
