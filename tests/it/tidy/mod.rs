//! Rules of the tree that no compiler keeps.

mod circles;
mod dependencies;
mod form;
mod layers;
mod names;
mod source_tree;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use shared::reason::DeadLetterReason;
use tests::binary::workspace;

use self::source_tree::SourceTree;

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The workspace, parsed once for all tests of this process.
fn tree() -> &'static SourceTree {
    static TREE: LazyLock<SourceTree> = LazyLock::new(SourceTree::read);
    &TREE
}

/// Every Rust file of ours, with its path in the workspace.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["shared", "worker", "tests"].map(|name| workspace().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(workspace()).expect("inside").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(found.len() > 50, "the walk finds too little");
    found
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(manifest).parse().expect("a manifest");
    let table = manifest["dependencies"].as_table().expect("a table");
    table.keys().cloned().collect()
}

#[track_caller]
fn check_none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// Fails for what breaks a rule and is not known to, and for what is known to and no longer does.
#[track_caller]
fn check_known(found: &BTreeSet<String>, known: &[&str], rule: &str) {
    let new: Vec<_> = found.iter().filter(|found| !known.contains(&found.as_str())).cloned().collect();
    check_none(&new, rule);
    let mended: Vec<_> =
        known.iter().filter(|known| !found.contains(**known)).map(|known| (*known).to_owned()).collect();
    check_none(&mended, "these keep the rule now; take them off its list of known offenders");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    check_none(&silent, "these files do not open with //!");
}

#[test]
fn no_file_outgrows_what_a_reader_holds_in_the_head() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    check_none(&long, "split these along the path of the data");
}

#[test]
fn the_core_depends_on_nothing_that_acts() {
    let pure = [
        "base64",
        "foldhash",
        "icu_properties",
        "jiff",
        "lru",
        "memchr",
        "rust_iso3166",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "uuid",
    ];
    let pure: BTreeSet<_> = pure.map(str::to_owned).into();
    let found = dependencies("shared/Cargo.toml");
    assert_eq!(found, pure, "is what is new free of I/O, clock and runtime? Then add it here");
}

#[test]
fn one_place_knows_each_outside_thing() {
    let rules: [(&str, &[&str]); 7] = [
        ("fe2o3_amqp", &["worker/servicebus/src/amqp/", "tests/"]),
        (
            "reqwest::",
            &[
                "worker/src/dataverse/channel.rs",
                "worker/src/dataverse/client.rs",
                "worker/src/dataverse/answer.rs",
                "worker/src/dataverse/error.rs",
                "worker/src/dataverse/page.rs",
                "worker/src/graph/http",
                "worker/src/graph/error.rs",
                "worker/src/identity/",
                "worker/servicebus/src/admin/",
                "worker/servicebus/src/http.rs",
                "worker/src/http_client.rs",
                "worker/src/telemetry/otlp/",
                "worker/src/notify/channel/",
                "worker/src/settings/",
                "tests/",
            ],
        ),
        ("lettre::", &["worker/src/notify/channel/smtp.rs", "tests/it/tidy/"]),
        ("client::legacy", &["tests/it/tidy/"]),
        ("std::env::", &["worker/src/settings/source.rs", "worker/build.rs", "tests/"]),
        ("stdout().lock()", &["worker/src/commands/terminal.rs", "tests/"]),
        ("stderr().lock()", &["worker/src/commands/terminal.rs", "tests/"]),
    ];
    let mut offenders = Vec::new();
    for (name, text) in sources() {
        for (word, places) in &rules {
            if text.contains(word) && !places.iter().any(|place| name.starts_with(place)) {
                offenders.push(format!("{name} knows {word}"));
            }
        }
    }
    check_none(&offenders, "only one place knows each outside thing");
}

/// Other programs may be started; the worker's own only by the one helper that keeps the environment away from it.
#[test]
fn only_one_place_starts_the_worker() {
    let others = [
        "\"sh\"",
        "\"chromium\"",
        "\"promtool\"",
        "\"prometheus\"",
        "\"git\"",
        "env!(\"CARGO\")",
        "env!(\"CARGO_BIN_EXE_demo\")",
        "&this_program",
    ];
    let start = concat!("Command::", "new(");
    let mut offenders = Vec::new();
    for (name, text) in sources().into_iter().filter(|(name, _)| name != "tests/src/binary.rs") {
        let started = text.split(start).skip(1);
        let unknown =
            started.filter(|rest| !others.iter().any(|other| rest.starts_with(&format!("{other})"))));
        offenders.extend(unknown.map(|rest| format!("{name}: {start}{}", rest.lines().next().unwrap_or(""))));
    }
    check_none(&offenders, "start the worker by tests::binary::command(), and name other programs here");
}

#[test]
fn the_pipeline_sees_only_the_seams() {
    let mut offenders = Vec::new();
    for (name, text) in sources() {
        let inner = name.starts_with("worker/src/run/");
        if inner
            && ["servicebus::amqp", "GraphClient", "crate::commands"].iter().any(|word| text.contains(word))
        {
            offenders.push(name.clone());
        }
        if name.starts_with("worker/servicebus/") && (text.contains("graph::") || text.contains("worker::")) {
            offenders.push(name);
        }
    }
    check_none(&offenders, "these reach past Queue and Directory");
}

#[test]
fn every_dead_letter_reason_has_its_entry_in_the_runbook() {
    let runbook = read("deploy/runbook.md");
    let (_, section) = runbook.split_once("\n## Dead letters\n").expect("a section about dead letters");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let told: BTreeSet<_> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: BTreeSet<_> = DeadLetterReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(told, known);
}

#[test]
fn settings_named_in_the_documents_exist() {
    let defaults: toml::Table = read("worker/config.default.toml").parse().expect("toml");
    let known = |key: &str| {
        let (section, key) = key.split_once('.').expect("section.key");
        defaults.get(section).and_then(|section| section.get(key)).is_some()
    };
    let sections: Vec<_> = defaults.keys().map(|section| format!("{section}.")).collect();
    let mut offenders = Vec::new();
    for document in ["README.md", "deploy/operating.md", "deploy/runbook.md", "ARCHITECTURE.md"] {
        let text = read(document);
        let words = text.split('`').skip(1).step_by(2);
        for word in words.filter(|word| sections.iter().any(|section| word.starts_with(section.as_str()))) {
            if !word.contains(".rs") && !known(word) {
                offenders.push(format!("{document} names {word}"));
            }
        }
    }
    check_none(&offenders, "there are no such settings");
}

#[test]
fn the_readme_and_continuous_integration_run_the_same_commands() {
    let (readme, run) = (read("README.md"), read(".ci/run"));
    for command in ["cargo demo", "cargo test --workspace"] {
        assert!(readme.lines().any(|line| line == command), "the README does not give {command}");
        assert!(
            run.lines().any(|line| line.trim() == format!("step {command}")),
            ".ci/run does not call {command}"
        );
    }
}

#[test]
fn documents_name_files_that_exist() {
    let mut offenders = Vec::new();
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "deploy/README.md",
        "deploy/operating.md",
        "deploy/runbook.md",
    ];
    for document in documents {
        let text = read(document);
        let path = |word: &&str| {
            let ours = ["shared/", "worker/", "tests/", "deploy/"].iter().any(|root| word.starts_with(root));
            ours && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
        };
        let missing = text.split('`').skip(1).step_by(2).filter(path);
        let missing = missing.filter(|path| !workspace().join(path).exists());
        offenders.extend(missing.map(|path| format!("{document}: {path}")));
    }
    check_none(&offenders, "there are no such files");
}

/// The names in a cell of a table that lead nowhere from a path before them in the cell, nor from a folder above it.
fn lost_names(cell: &str) -> Vec<&str> {
    // A setting has a dot in its name too.
    let endings = [".html", ".json", ".md", ".rs", ".sh", ".toml"];
    let (mut before, mut lost): (Vec<&Path>, Vec<&str>) = (Vec::new(), Vec::new());
    for word in cell.split('`').skip(1).step_by(2) {
        let plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter));
        let is_path = plain && (word.contains('/') || endings.iter().any(|ending| word.ends_with(ending)));
        if ["shared/", "worker/", "tests/", "deploy/"].iter().any(|root| word.starts_with(root)) {
            before.push(Path::new(word));
        } else if is_path && !word.starts_with('/') {
            // The last one above a path is the workspace itself.
            let mut folders =
                before.iter().flat_map(|path| path.ancestors()).filter(|path| path.parent().is_some());
            if !folders.any(|folder| workspace().join(folder).join(word).exists()) {
                lost.push(word);
            }
        }
    }
    lost
}

#[test]
fn names_in_a_cell_lead_somewhere_from_the_paths_before_them() {
    let cell = "`shared/src/plan`: `letters.rs`, `plan/letters.rs`, `identities.rs`, `letter.rs`, `worker/nowhere.rs`";
    assert_eq!(lost_names(cell), ["letter.rs"]);
    assert_eq!(lost_names("`letters.rs` in `shared/src/plan`; `/status.json`, `link.match`"), ["letters.rs"]);
    let text = read("ARCHITECTURE.md");
    let cells = text.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split(" | "));
    let lost: Vec<_> = cells.flat_map(lost_names).map(str::to_owned).collect();
    check_none(&lost, "there are no such files below the paths that stand before these names");
}
