//! Every command is shown what others have written, and nothing of it commands the terminal or fakes a line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::Value as Json;
use servicebus::{ApplicationValue, Outgoing};
use tests::{
    message::moment,
    quick::{GUARDED, user},
    tame::{ASCII_POISON, POISON, assert_tame},
    world::{Options, World},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Said, bury, command, contactsync, letter, post, said};
use crate::replay::change;

/// What a command said, if it may reach a terminal.
#[track_caller]
fn tame(what: &str, said: Said) -> Said {
    assert_tame(&format!("{what}, standard output,"), &said.out);
    assert_tame(&format!("{what}, standard error,"), &said.err);
    said
}

/// The body of a change whose value is poison.
fn body() -> Vec<u8> {
    change(1, moment(1_000)).set("firstname", POISON).body()
}

/// A message that is poison all over.
fn poisoned(reason: &str) -> Outgoing {
    let text = || ApplicationValue::from(POISON);
    let properties = [
        ("DeadLetterReason", ApplicationValue::from(reason)),
        ("DeadLetterErrorDescription", text()),
        ("contactsync-code", text()),
        ("contactsync-target", text()),
        ("contactsync-replay-id", text()),
        (POISON, text()),
        ("symbol", ApplicationValue::Symbol(ASCII_POISON.into())),
    ];
    Outgoing {
        message_id: Some(POISON.into()),
        correlation_id: Some(POISON.into()),
        content_type: Some(ASCII_POISON.into()),
        subject: Some(POISON.into()),
        ..letter(&body(), &properties)
    }
}

/// A world with dead letters of poison: the first with a reason of poison, the second with one of ours.
async fn world() -> Result<(World, PathBuf)> {
    let world = World::start(Options::default()).await?;
    let mark = serde_json::json!({"extensionAttribute15": format!("{POISON} somebody else's")});
    world.graph.add_user(User::new(user(1)).with("onPremisesExtensionAttributes", mark))?;
    for reason in [Some(POISON), Some("GraphRefused")] {
        post(&world, vec![poisoned("")]).await?;
        bury(&world, reason)?;
    }
    let settings = world.layered(&[GUARDED])?;
    Ok((world, settings))
}

/// Runs a command on that world. What it shows of the poison must have passed the gate; if it must show some, that it
/// does is the proof that it was there to be let out.
async fn check(settings: &std::path::Path, arguments: &str, code: i32, shows: bool) -> Result<Said> {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let said = tame(arguments, contactsync(settings, &words).await?.ended(code));
    assert!(!shows || said.all().contains("PWNED"), "{arguments} shows nothing of it: {}", said.all());
    if words.contains(&"--json") {
        // One document, or one a line.
        let whole = serde_json::from_str::<Json>(&said.out).is_ok();
        let lines = said.out.lines().all(|line| serde_json::from_str::<Json>(line).is_ok());
        assert!(whole || lines, "{arguments} prints no JSON: {}", said.out);
    }
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_taken_out_and_put_back_without_their_commands() -> Result<()> {
    let (_world, settings) = world().await?;
    for (arguments, code, shows) in [
        ("dead-letters list", 0, true),
        ("dead-letters list --json", 0, true),
        ("dead-letters list --by reason,age", 0, true),
        ("dead-letters show 1", 0, true),
        ("dead-letters show 1 --values", 0, true),
        ("dead-letters show 1 --values --json", 0, true),
        ("dead-letters show 2 --json", 0, true),
        ("dead-letters show 3", 1, false),
        ("dead-letters purge --sequence 1", 1, false),
        ("dead-letters export letters.jsonl", 0, false),
        ("status", 0, false),
        ("status --json", 0, false),
        ("apply --dead-letter 1 --values", 0, true),
        ("apply --dead-letter 1 --values --json", 0, true),
        ("replay --dry-run", 0, true),
        ("replay --dry-run --json", 0, true),
        ("replay --dry-run --online --from letters.jsonl", 0, true),
        ("replay --sequence 1 --audit audit.jsonl", 0, true),
        ("run --dry-run --once --values", 0, true),
        ("run --dry-run --once --values --json", 0, true),
        ("replay --sequence 2 --json", 0, false),
        ("replay --from letters.jsonl --sequence 1", 0, true),
    ] {
        check(&settings, arguments, code, shows).await?;
    }
    let audit = std::fs::read_to_string(settings.with_file_name("audit.jsonl"))?;
    assert_tame("the audit", &audit);
    assert!(audit.contains("PWNED"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_dead_letters_are_told_without_their_commands() -> Result<()> {
    for form in ["", " --json"] {
        let (_world, settings) = world().await?;
        check(&settings, &format!("dead-letters purge --sequence 1 --yes --no-export{form}"), 0, true)
            .await?;
        check(&settings, &format!("dead-letters purge --sequence 2 --yes{form}"), 0, false).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_a_user_is_told_without_what_stands_before_it() -> Result<()> {
    let (_world, settings) = world().await?;
    for form in ["show", "show --json", "clear"] {
        let (verb, rest) = form.split_once(' ').unwrap_or((form, ""));
        check(&settings, &format!("guard {verb} --user {} {rest}", user(1)), 0, false).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn captured_bodies_and_names_of_files_are_told_without_their_commands() -> Result<()> {
    let (world, settings) = world().await?;
    let name = format!("{POISON}.json").replace('/', "");
    std::fs::write(world.folder().join(&name), body())?;
    std::fs::write(world.folder().join("bent.json"), format!("{{\"{POISON}\": "))?;
    let commands: [(&[&str], i32, bool); 16] = [
        (&["plan"], 0, true),
        (&["plan", "--json"], 0, true),
        (&["decode"], 0, true),
        (&["decode", "--view", "json"], 0, true),
        (&["check", "--message"], 0, false),
        (&["check", "--json", "--message"], 0, false),
        (&["apply"], 0, true),
        (&["apply", "--json"], 0, true),
        (&["send"], 0, true),
        (&["send", "--json", "--content-type", ASCII_POISON], 0, true),
        (&["send", "--content-type", ASCII_POISON], 0, true),
        (&["replay", "--from"], 1, true),
        (&["replay", "--dry-run", "--from"], 1, false),
        (&["config", "init"], 1, true),
        (&["config", "init", "--force"], 0, true),
        (&["man"], 1, true),
    ];
    for (arguments, code, shows) in commands {
        let what = arguments.join(" ");
        let said = tame(&what, contactsync(&settings, &[arguments, &[&name]].concat()).await?.ended(code));
        assert!(!shows || said.all().contains("PWNED"), "{what} shows nothing of it: {}", said.all());
    }
    let folder = world.folder().to_str().context("a path of text")?;
    let said = tame("map test", contactsync(&settings, &["map", "test", folder]).await?.ended(1));
    assert!(said.out.contains("PWNED"), "{}", said.out);
    for _ in 0..2 {
        let export = ["dead-letters", "export", &format!("{POISON}.jsonl")];
        let said = tame("export", contactsync(&settings, &export).await?.ended(0));
        assert!(said.out.contains("PWNED"), "{}", said.out);
    }
    for arguments in [
        &["plan"][..],
        &["decode"],
        &["apply"],
        &["send"],
        &["check", "--message"],
        &["replay", "--unguarded", "--from"],
    ] {
        let missing = format!("{POISON}missing");
        let said = contactsync(&settings, &[arguments, &[&missing]].concat()).await?.ended(1);
        assert!(tame("a missing file", said).err.contains("PWNED"));
        let bent = contactsync(&settings, &[arguments, &["bent.json"]].concat()).await?;
        assert!(!tame("a bent file", bent).all().contains("PWNED"), "what cannot be read is not repeated");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_and_settings_are_told_without_their_commands() -> Result<()> {
    let (world, settings) = world().await?;
    for arguments in [
        &[POISON][..],
        &["run", POISON],
        &["--config", POISON, "run"],
        &["--config", POISON, "config", "show"],
        &["dead-letters", "list", "--older-than", POISON],
        &["dead-letters", "list", "--sequence", POISON],
        &["dead-letters", "list", "--by", POISON],
        &["guard", "show", "--user", POISON],
        &["replay", "--rate", POISON],
        &["status", "--worker", POISON],
        &["completions", POISON],
    ] {
        let said = said(&mut command(world.folder(), arguments)?).await?;
        assert!(matches!(said.code, Some(1 | 2 | 78)), "{arguments:?}");
        tame(&format!("{arguments:?}"), said);
    }
    for arguments in [&["--help"][..], &["help"], &["run", "--help"], &["--version"]] {
        let said = said(command(world.folder(), arguments)?.env("CONTACTSYNC_CONFIG", POISON)).await?;
        tame("help", said);
    }
    let code = |character: char| format!("\\U{:08X}", u32::from(character));
    let poison = format!("\"{}\"", POISON.chars().map(code).collect::<String>());
    let layers = [
        format!("[mapping]\nlink_column = {poison}\n"),
        format!("[service_bus]\nqueue = {poison}\n"),
        format!("[telemetry]\nlog_level = {poison}\n"),
        format!("[mapping]\npreset = \"custom\"\nrows = [{{ column = {poison}, property = {poison} }}]\n"),
        format!("[{poison}]\n{poison} = 1\n"),
    ];
    for layer in &layers {
        let bad = world.layered(&[GUARDED, layer])?;
        for arguments in [
            &["config", "show"][..],
            &["config", "show", "--json"],
            &["check"],
            &["check", "--list"],
            &["check", "--json"],
            &["dead-letters", "list"],
        ] {
            tame(&format!("{arguments:?}"), contactsync(&bad, arguments).await?);
        }
    }
    let shown = contactsync(&world.layered(&[GUARDED, &layers[0]])?, &["config", "show"]).await?;
    assert!(shown.out.contains("PWNED"));
    let named = settings.with_file_name(format!("{POISON}.toml"));
    std::fs::write(&named, "[pool]\nmegabytes = 0\n")?;
    let said = contactsync(&named, &["check"]).await?;
    assert!(tame("the name of the settings", said).all().contains("pool.megabytes"));
    Ok(())
}

/// A neighbour that answers every request with poison.
async fn neighbour() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let text = if request.contains("/status.json") {
                let check =
                    serde_json::json!({"name": POISON, "ok": false, "says": POISON, "remedy": POISON});
                serde_json::json!({"version": POISON, "state": POISON, "queue": POISON, "checks": [check],
                    "warnings": [check], "deadLetters": {POISON: 1}})
                .to_string()
            } else {
                POISON.to_owned()
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_who_poses_as_the_worker_commands_nothing() -> Result<()> {
    let (world, _) = world().await?;
    let port = neighbour().await?;
    let settings = world.layered(&[&format!("[http]\nlisten = \"127.0.0.1:{port}\"\n")])?;
    for (arguments, shows) in [("status", true), ("status --json", true), ("health", false)] {
        let words: Vec<_> = arguments.split_whitespace().collect();
        let said = contactsync(&settings, &words).await?;
        let said = match arguments {
            // Its text is of several lines, so a line of it is no fake one of ours.
            "health" => Said { out: said.out.replace("\nFAKE LINE", "\n"), ..said },
            _ => said,
        };
        let said = tame(arguments, said.ended(0));
        assert!(!shows || said.out.contains("PWNED"), "{}", said.out);
    }
    // A password in the address is not told.
    let url = format!("http://me:s3cret@127.0.0.1:{port}/");
    let said = contactsync(&settings, &["status", "--worker", &url]).await?.ended(0);
    assert!(!said.all().contains("s3cret"), "{}", said.out);
    let json: Json =
        serde_json::from_str(&contactsync(&settings, &["status", "--json", "--worker", &url]).await?.out)?;
    let told = json["workerUrl"].as_str().context("an address")?;
    assert_eq!(told, format!("http://(hidden)@127.0.0.1:{port}/status.json"));
    Ok(())
}
