//! The documents that commands print for machines: members in one style, listed in `deploy/json.md`, which this test
//! keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{
    PATIENCE,
    binary::workspace,
    message::moment,
    quick::{GUARDED, QUICK, contact},
    world::World,
};

use super::world;
use crate::replay::{change, contactsync};

/// Where the list in the page begins; what stands above is written by hand.
const BEGIN: &str = "<!-- From here on the test of the command line writes this page. -->\n";

/// Objects whose members are named by data: columns, properties, reasons, outcomes.
const BY_DATA: [&str; 10] = [
    "properties",
    "set",
    "deadLettersByReason",
    "outcomes",
    "needless",
    "columns",
    "after",
    "before",
    "clockSkewSeconds",
    "sinceSuccessSeconds",
];
/// What is known sooner or later, so that it depends on the moment whether it is.
const BY_TIME: [&str; 4] = ["history.", "clockSkewSeconds.", "queueNow.", "sinceSuccessSeconds."];

/// Members and what they hold, by their path.
#[derive(Default)]
struct Members(BTreeMap<String, BTreeSet<&'static str>>);

impl Members {
    fn add(&mut self, path: &str, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(items) => {
                for item in items {
                    self.add(&format!("{path}[]"), item);
                }
                "list"
            }
            Value::Object(members) => {
                let name = path.rsplit('.').next().unwrap_or_default();
                for (member, value) in members {
                    let by_data = BY_DATA.contains(&name)
                        || path == "settings"
                        || member.starts_with(|first: char| first.is_ascii_uppercase());
                    let member = if by_data { "*" } else { member };
                    self.add(&format!("{path}{}{member}", if path.is_empty() { "" } else { "." }), value);
                }
                "object"
            }
        };
        if !path.is_empty() {
            let by_time =
                BY_TIME.iter().any(|start| path.starts_with(start)) && matches!(kind, "null" | "number");
            let kind = if by_time { "null, number" } else { kind };
            self.0.entry(path.to_owned()).or_default().insert(kind);
        }
    }

    fn text(&self) -> String {
        let width = self.0.keys().map(String::len).max().unwrap_or_default();
        let line = |(path, kinds): (&String, &BTreeSet<&str>)| {
            // What holds others is shown by them, unless it is empty.
            let holds = self.0.keys().any(|other| {
                other.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
            });
            let kinds: Vec<_> = kinds.iter().copied().collect();
            (!holds).then(|| format!("{path:width$}  {}\n", kinds.join(", ")))
        };
        self.0.iter().filter_map(line).collect()
    }

    /// Members that are not named as all others are.
    fn strangers(&self) -> Vec<&str> {
        let is_camel = |name: &str| {
            name == "*"
                || name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.chars().all(|c| c.is_ascii_alphanumeric())
        };
        let names = self.0.keys().flat_map(|path| path.split('.')).map(|name| name.trim_end_matches("[]"));
        names.filter(|name| !is_camel(name)).collect()
    }
}

/// Runs a command, and lists what it prints: one document, or one a line.
async fn listed(settings: &Path, arguments: &str) -> Result<(String, Members)> {
    let done = contactsync(settings, arguments).await?;
    ensure!(matches!(done.code, Some(0 | 1)), "{arguments}: {}{}", done.out, done.err);
    Ok((arguments.to_owned(), members(&done.out).with_context(|| format!("{arguments}: {}", done.err))?))
}

fn members(text: &str) -> Result<Members> {
    let mut members = Members::default();
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    ensure!(!documents.is_empty(), "nothing was printed");
    for document in documents {
        // What comes now and then, by the clock, is no part of the list.
        if !matches!(document["event"].as_str(), Some("waiting" | "progress")) {
            members.add("", &document);
        }
    }
    Ok(members)
}

async fn all(world: &World) -> Result<Vec<(String, Members)>> {
    let settings = world.layered(&[QUICK, GUARDED])?;
    let first = contact(1);
    let mut found = Vec::new();
    std::fs::write(
        world.folder().join("body.json"),
        change(1, moment(3_000)).set("firstname", "Grace").body(),
    )?;
    for arguments in [
        "check --json",
        "check --online --json",
        "send --json body.json",
        "plan --json --values body.json",
        "run --dry-run --once --json",
        "dead-letters list --json",
        "dead-letters list --each --json",
        "dead-letters show 1 --json",
        "replay --dry-run --json",
        "replay --json --reason UserNotFound",
        "dead-letters purge --json --yes --export purged.jsonl --reason WrongEntity",
        &format!("explain {first} --json"),
        "explain UserNotFound --json",
        &format!("guard show --json --user {}", tests::quick::user(1)),
        "apply --json body.json",
    ] {
        found.push(listed(&settings, arguments).await?);
    }
    let exported = contactsync(&settings, "dead-letters export letters.jsonl").await?.expect(0);
    let file = std::fs::read_to_string(world.folder().join("letters.jsonl"));
    found.push(("dead-letters export FILE.jsonl".into(), members(&file.context(exported.out)?)?));
    let mut worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let known = ["\"applied\":", "\"queueNow\":{"];
    worker.page_until("/status.json", |page| known.iter().all(|part| page.text.contains(part))).await?;
    found.push(("/status.json of a worker".into(), members(&worker.page("/status.json").await?.text)?));
    worker.stop().await?;
    found.push(listed(&settings, "status --json --worker http://127.0.0.1:1/").await?);
    let shown = contactsync(&settings, "config show --json --changed").await?.expect(0).out;
    let settings: Value = serde_json::from_str(&shown)?;
    let mut members = Members::default();
    members.add("settings", &settings);
    found.push(("config show --json".into(), members));
    Ok(found)
}

/// What is printed by commands that need more than one service is held to the style where it is written.
#[test]
fn no_member_is_named_in_another_style() {
    let mut found = Vec::new();
    let mut folders: Vec<_> = ["commands", "operate", "preview", "status_page", "settings/check"]
        .map(|name| workspace().join("worker/src").join(name))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.ends_with("tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("a file");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                found.extend(
                    members_with_underscores(code)
                        .into_iter()
                        .map(|name| format!("{}: {name}", path.display())),
                );
            }
        }
    }
    assert!(found.is_empty(), "members are camelCase: {found:?}");
}

/// Names in quotes, in front of a colon or set by index, with an underscore in them.
fn members_with_underscores(code: &str) -> Vec<&str> {
    let parts: Vec<_> = code.split('"').collect();
    let is_member = |name: &str, behind: &str| {
        let is_name = name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_name && (behind.starts_with(':') || behind.starts_with("] ="))
    };
    let pairs = parts.windows(2).skip(1);
    pairs.filter_map(|pair| is_member(pair[0], pair[1]).then_some(pair[0])).collect()
}

#[test]
fn a_member_in_another_style_is_found() {
    let code = r#"json!({ "good": 1, "notSo": 2, "bad_one": 3 }); told["worse_one"] = 4; map.get("a_key")"#;
    assert_eq!(members_with_underscores(code), ["bad_one", "worse_one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_json_lists_what_commands_print() -> Result<()> {
    let world = world(&["UserNotFound", "WrongEntity", "GraphRefused"]).await?;
    let (first, id) = (contact(1).to_string(), tests::quick::user(1).to_string());
    let mut parts = Vec::new();
    for (command, members) in all(&world).await? {
        let strangers = members.strangers();
        assert!(strangers.is_empty(), "{command}: {strangers:?} are not named like all others");
        let command = command.replace(&first, "CONTACT").replace(&id, "USER");
        parts.push(format!("\n## `{command}`\n\n```text\n{}```\n", members.text()));
    }
    let page = parts.concat();
    let path = workspace().join("deploy/json.md");
    let kept = std::fs::read_to_string(&path)?;
    let (by_hand, list) = kept.split_once(BEGIN).context("the page has lost its mark")?;
    if list != page {
        // Left as it should be, so that the only thing to do is to look at it and commit it.
        std::fs::write(&path, format!("{by_hand}{BEGIN}{page}"))?;
        panic!("deploy/json.md was not up to date; it has been written anew, commit it");
    }
    Ok(())
}
