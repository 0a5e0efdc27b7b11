//! Who may import whom: the picture of the house as a table, top to bottom.

use std::{collections::BTreeSet, fmt::Write};

use tests::source_tree::SourceTree;

use super::{check_known, check_none, tree};

/// The packages of the workspace, and which of the others each may depend on.
const PACKAGES: &[(&str, &[&str])] = &[
    ("tests", &["emulator", "fuzz", "servicebus", "shared", "worker"]),
    ("fuzz", &["servicebus", "shared", "worker"]),
    ("worker", &["servicebus", "shared"]),
    // For ids, and the one way in which a chain of errors is written.
    ("servicebus", &["shared"]),
    ("shared", &[]),
    ("emulator", &[]),
];

/// A folder whose parts stand in layers: each imports from layers below its own, and within a layer only from itself.
struct Table {
    folder: &'static str,
    /// From the top down. A part is a file or a folder, without `.rs`.
    layers: &'static [&'static [&'static str]],
}

const WORKER: Table = Table {
    folder: "worker/src",
    layers: &[
        &["main", "fuzz"],
        &["cli"],
        &["commands"],
        &["operate"],
        &["run"],
        &["preview"],
        &["envelope"],
        &["dataverse", "graph", "notify", "status_page"],
        &["telemetry"],
        &["journal"],
        &["settings"],
        &["identity"],
        &["duration", "http_client", "private_file", "text_file"],
    ],
};

const SERVICE_BUS: Table = Table {
    folder: "worker/servicebus/src",
    layers: &[
        &["amqp", "admin"],
        &["delivery", "peek"],
        &[
            "confirm",
            "connection_string",
            "counts",
            "link_state",
            "message",
            "messaging_system",
            "tls",
            "transport",
        ],
        &["sas"],
        &["token"],
        &["error"],
        &["times", "http"],
        &["clock", "retry"],
    ],
};

const AMQP: Table = Table {
    folder: "worker/servicebus/src/amqp",
    layers: &[
        &["fuzz"],
        &["untrusted"],
        &["queue", "dispatch"],
        &["receiver", "sender", "session_queue"],
        &["delivery_buffer", "arrival"],
        &["link"],
        &["settler"],
        &["management"],
        &["reconnecting_link"],
        &["connection"],
        &["claims"],
        &["rpc"],
        &["sessions", "connector"],
        &["faults", "websocket", "tunnel"],
        &["outgoing", "wall"],
        &["wire"],
        &["sections"],
        &["scan"],
        &["recovery", "settings", "stream"],
    ],
};

/// What still runs upwards in the worker: from, to.
const KNOWN_UPWARDS: &[&str] = &[];

impl Table {
    /// The layer and the part that a file stands in.
    fn place(&self, file: &str) -> Option<(usize, &'static str)> {
        let inside = file.strip_prefix(self.folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
        let inside = inside.strip_suffix("/mod").unwrap_or(inside);
        let within = |part: &str| {
            inside == part || inside.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'))
        };
        let places = self
            .layers
            .iter()
            .enumerate()
            .flat_map(|(layer, parts)| parts.iter().map(move |part| (layer, *part)));
        places.filter(|(_, part)| within(part)).max_by_key(|(_, part)| part.len())
    }

    fn check(&self, tree: &SourceTree, known: &[&str]) {
        let files: BTreeSet<_> =
            tree.modules.iter().filter(|module| !module.test).map(|module| &module.file).collect();
        // The file that declares the modules of the folder has no layer: it may hand on what it likes, and nothing else.
        let faces = ["lib.rs", "mod.rs"].map(|face| format!("{}/{face}", self.folder));
        let inside = |file: &str| {
            file.starts_with(&format!("{}/", self.folder)) && !faces.iter().any(|face| face == file)
        };
        let strangers: Vec<_> =
            files.iter().filter(|file| inside(file) && self.place(file).is_none()).collect();
        let strangers: Vec<_> = strangers.into_iter().map(|file| (*file).clone()).collect();
        check_none(&strangers, "give these a layer in the table of tests/it/tidy/layers.rs");
        let idle = self.layers.iter().flat_map(|parts| *parts);
        let idle = idle.filter(|part| {
            !files.iter().any(|file| self.place(file).is_some_and(|(_, found)| found == **part))
        });
        let idle: Vec<_> = idle.map(|part| (*part).to_owned()).collect();
        check_none(&idle, "take these out of the table of tests/it/tidy/layers.rs: nothing is there");

        let (mut upwards, mut new) = (BTreeSet::new(), Vec::new());
        for (from, uses) in tree.arrows() {
            let Some((layer, part)) = self.place(&from) else { continue };
            for (to, names) in uses.iter().filter(|(to, _)| inside(to)) {
                let (below, other) = self.place(to).expect("checked above");
                if below < layer || (below == layer && part != other) {
                    if !known.contains(&format!("{from} -> {to}").as_str()) {
                        let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                        new.push(format!("{from} -> {to}: {names}   ({part} may not import {other})"));
                    }
                    upwards.insert(format!("{from} -> {to}"));
                }
            }
        }
        check_none(&new, "imports run downwards only");
        check_known(&upwards, known, "imports run downwards only");
    }
}

#[test]
fn the_worker_imports_downwards_only() {
    WORKER.check(tree(), KNOWN_UPWARDS);
}

#[test]
fn the_service_bus_client_imports_downwards_only() {
    SERVICE_BUS.check(tree(), &[]);
    AMQP.check(tree(), &[]);
}

#[test]
fn packages_depend_on_packages_below_them() {
    let tree = tree();
    let ours: BTreeSet<_> = tree.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(
        PACKAGES.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(),
        ours,
        "the table of packages"
    );
    let mut wrong = String::new();
    for (name, allowed) in PACKAGES {
        let manifest = &tree.packages[tree.package(name)].manifest;
        let listed =
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| manifest.get(kind));
        let listed =
            listed.into_iter().flatten().filter_map(|list| list.as_table()).flat_map(|list| list.keys());
        let found: BTreeSet<_> = listed.map(String::as_str).filter(|name| ours.contains(name)).collect();
        if found != allowed.iter().copied().collect() {
            writeln!(wrong, "  {name} depends on {found:?}, the table allows {allowed:?}")
                .expect("text grows");
        }
    }
    assert!(wrong.is_empty(), "packages and the table of tests/it/tidy/layers.rs differ:\n{wrong}");
}

#[test]
fn only_the_service_bus_client_names_amqp() {
    let words = ["amqp", "fe2o3_amqp", "fe2o3_amqp_types", "serde_amqp"];
    // Where queues are opened; everything else gets them as `dyn Queue`.
    let wiring = "worker/src/commands/wiring.rs";
    let tree = tree();
    let mut found = BTreeSet::new();
    for module in ["worker", "shared"].into_iter().flat_map(|name| tree.product(tree.package(name))) {
        let imports = module.imports.iter().filter(|import| !import.test).map(|import| &import.path);
        // A variable may be called so.
        let mentions =
            module.mentions.iter().filter(|one| !one.test && one.path.len() > 1).map(|one| &one.path);
        if imports.chain(mentions).any(|path| path.iter().any(|name| words.contains(&name.as_str()))) {
            found.insert(module.file.clone());
        }
    }
    found.remove(wiring);
    check_known(&found, &[], "only servicebus knows AMQP, and only commands/wiring.rs opens its queues");
}
