//! What documents lead to: files, headings, commands, scripts.

use std::{collections::BTreeMap, path::Path};

use clap::{Command, CommandFactory};
use tests::binary::workspace;
use worker::cli::Cli;

use super::read;

/// Every document of the repository, by its path.
fn documents() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![workspace().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir()
                && !["target", "node_modules", ".git", "fixtures"].map(Into::into).contains(&name)
            {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(workspace()).expect("inside").display().to_string();
                found.insert(name.clone(), read(&name));
            }
        }
    }
    assert!(found.len() > 15, "the walk finds too little: {:?}", found.keys());
    found
}

/// Text without its blocks of code, and those blocks.
fn parts(text: &str) -> (String, Vec<&str>) {
    let (mut prose, mut blocks) = (String::new(), Vec::new());
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 0 { prose.push_str(part) } else { blocks.push(part) }
    }
    (prose, blocks)
}

/// The name by which a heading is linked.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Places of links in Markdown.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

#[test]
fn links_between_documents_lead_to_a_file_and_a_heading() {
    let documents = documents();
    let mut offenders = Vec::new();
    let mut seen = 0;
    for (name, text) in &documents {
        let (prose, _) = parts(text);
        for link in links(&prose).filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(name).parent().expect("a folder");
            let target = if file.is_empty() { name.into() } else { folder.join(file) };
            let target = normal(&target);
            seen += 1;
            if !workspace().join(&target).exists() {
                offenders.push(format!("{name}: {link} leads nowhere"));
            } else if !heading.is_empty() {
                let text = documents.get(&target).map(|text| parts(text).0).unwrap_or_default();
                let known =
                    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                if !known {
                    offenders.push(format!("{name}: {link} names no heading"));
                }
            }
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
    assert!(seen > 50, "the search finds too little: {seen}");
}

/// A path without `..` and `.`.
fn normal(path: &Path) -> String {
    let mut kept = Vec::new();
    for part in path.iter().map(|part| part.to_string_lossy()) {
        match part.as_ref() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(part.into_owned()),
        }
    }
    kept.join("/")
}

/// What is wrong with a command line, if anything is.
fn mistake(command: &Command, line: &str) -> Option<String> {
    let mut command = command;
    // What follows is a comment or for the shell, and an option in brackets is for people.
    let words = line.split_whitespace().take_while(|word| !["|", ">", "&&", "||", ";", "\\"].contains(word));
    for word in words.take_while(|word| !word.starts_with('#')) {
        let word = word.trim_matches(['[', ']', '"', '`', ',', '.', ';', ')', '\'']);
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or_default();
            let known = command.get_arguments().any(|argument| {
                argument.get_long() == Some(name)
                    || argument.get_all_aliases().unwrap_or_default().contains(&name)
            });
            if !name.is_empty() && !known && !["help", "version"].contains(&name) {
                return Some(format!("{} has no --{name}", command.get_name()));
            }
        } else if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        } else if command.has_subcommands() && !word.starts_with('-') {
            return Some(format!("{} has no {word}", command.get_name()));
        }
    }
    None
}

#[test]
fn commands_in_documents_are_commands_of_the_program() {
    let mut command = Cli::command();
    command.build();
    let mut offenders = Vec::new();
    let mut seen = 0;
    for (name, text) in documents().into_iter().filter(|(name, _)| name != "CHANGELOG.md") {
        let (prose, blocks) = parts(&text);
        let lines = blocks.into_iter().flat_map(str::lines).map(str::trim);
        // In prose, what is in backticks and has an argument.
        let spans = prose.split('`').skip(1).step_by(2).filter(|span| span.contains(' '));
        for line in lines.chain(spans) {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let asked = line.strip_prefix("contactsync ").or_else(|| {
                let (_, inside) = line.rsplit_once("/contactsync ")?;
                (line.starts_with("kubectl exec") || line.starts_with("az containerapp")).then_some(inside)
            });
            let Some(asked) = asked else { continue };
            // A sentence of the log or of an answer, such as "contactsync 0.1.0" or "contactsync: …".
            if asked.starts_with(|c: char| !c.is_ascii_lowercase()) {
                continue;
            }
            seen += 1;
            offenders.extend(mistake(&command, asked).map(|why| format!("{name}: {line}: {why}")));
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
    assert!(seen > 60, "the search finds too little: {seen}");
}

#[test]
fn scripts_and_tasks_in_documents_are_there() {
    let tasks: toml::Table = read(".cargo/config.toml").parse().expect("TOML");
    let tasks = tasks["alias"].as_table().expect("aliases");
    let usual = [
        "add", "bench", "build", "check", "clippy", "deny", "doc", "fmt", "install", "nextest", "run", "test",
    ];
    let mut offenders = Vec::new();
    let mut seen = 0;
    for (name, text) in documents().into_iter().filter(|(name, _)| name != "CHANGELOG.md") {
        let (prose, blocks) = parts(&text);
        let spans = prose.split('`').skip(1).step_by(2);
        for line in blocks.into_iter().flat_map(str::lines).chain(spans).map(str::trim) {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            if first == "cargo" {
                let task = words.next().unwrap_or_default().trim_end_matches(['.', ',']);
                seen += 1;
                if !tasks.contains_key(task) && !usual.contains(&task) && !task.starts_with(['-', '+']) {
                    offenders.push(format!("{name}: {line}: there is no such task"));
                }
            } else if let Some(path) = script(first) {
                seen += 1;
                let folder = Path::new(&name).parent().expect("a folder");
                let places = [workspace().join(path), workspace().join(folder).join(path)];
                if !places.iter().any(|place| place.exists()) {
                    offenders.push(format!("{name}: {path} is not there"));
                }
            }
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
    assert!(seen > 30, "the search finds too little: {seen}");
}

/// A script of the repository, if the word is the path of one.
fn script(word: &str) -> Option<&str> {
    let known = ["deploy/", "tests/", ".ci/"].iter().any(|folder| word.starts_with(folder));
    let shell = Path::new(word).extension().is_some_and(|extension| extension == "sh");
    (known && (shell || word.ends_with("/run"))).then_some(word)
}

/// Built-in roles of Azure, as Microsoft lists them.
const ROLES: [(&str, &str); 4] = [
    ("Azure Service Bus Data Receiver", "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"),
    ("Azure Service Bus Data Sender", "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"),
    ("AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d"),
    ("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6"),
];

#[test]
fn roles_are_those_of_their_ids() {
    let (bicep, guide) = (read("deploy/bicep/main.bicep"), read("deploy/README.md"));
    let given: Vec<_> =
        bicep.lines().filter_map(|line| line.strip_prefix("var ")?.split_once(" = '")).collect();
    for (role, id) in ROLES {
        // dataReceiver of Azure Service Bus Data Receiver.
        let words = role.strip_prefix("Azure Service Bus ").unwrap_or(role).replace(' ', "");
        let name = words[..1].to_lowercase() + &words[1..];
        assert!(
            given.contains(&(name.as_str(), &format!("{id}'"))),
            "{role} is not {id} in Bicep: {given:?}"
        );
        assert!(guide.contains(role) || role.starts_with("Key Vault"), "the guide does not name {role}");
    }
    // Whoever may manage the queue may take its messages away.
    assert!(!guide.contains("--role \"Azure Service Bus Data Owner\""));
    assert!(guide.contains("\"Actions\": [\"Microsoft.ServiceBus/namespaces/queues/read\"]"), "KEDA's role");
}

#[test]
fn the_readme_says_with_what_it_is_built() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let oldest = manifest["workspace"]["package"]["rust-version"].as_str().expect("text");
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = read(document);
        assert!(text.contains(&format!("Rust {oldest}")) && text.contains("C compiler"), "{document}");
    }
}
