//! The first steps of somebody new: a settings file, what is in force, and what is wrong with it.

use anyhow::Result;
use serde_json::Value;

use super::{contactsync, text, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_to_begin_with_is_written_once_and_check_says_what_is_open() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = contactsync(folder.path(), &["config", "init"], &[]).await?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = folder.path().join("contactsync.toml");
    std::fs::write(&file, "# mine\n")?;
    let again = contactsync(folder.path(), &["config", "init"], &[]).await?;
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        text(&again.stderr),
        "contactsync: contactsync.toml is there already, and may hold settings that work; --force writes over it\n"
    );
    assert_eq!(std::fs::read_to_string(&file)?, "# mine\n");
    let forced = contactsync(folder.path(), &["config", "init", "--force"], &[]).await?;
    assert!(forced.status.success());

    let checked = contactsync(folder.path(), &["check", "--json"], &[]).await?;
    assert_eq!(checked.status.code(), Some(78));
    let told: Value = serde_json::from_slice(&checked.stdout)?;
    let errors: Vec<_> = told["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| finding["place"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        errors,
        ["service_bus.connection_string", "identity.tenant", "identity.client_id", "identity.client_secret"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_is_shown_with_its_origin_and_without_its_secrets() -> Result<()> {
    let world = world().await?;
    let settings = world.settings("")?;
    let settings = settings.to_str().expect("text");
    let variables = [("CONTACTSYNC__POOL__CONCURRENCY", "7")];
    let shown =
        contactsync(world.folder(), &["config", "show", "--changed", "--config", settings], &variables)
            .await?;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let told = text(&shown.stdout);
    assert!(!told.contains(emulator::graph::DEFAULT_SECRET) && !told.contains("SAS_KEY_VALUE"), "{told}");
    let squeezed = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("pool.concurrency = 7 # CONTACTSYNC__POOL__CONCURRENCY"), "{told}");
    assert!(squeezed.contains(&format!("identity.client_secret = (hidden) # {settings}")), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_last_release_is_taken_and_told_wherever_settings_are_shown() -> Result<()> {
    let world = world().await?;
    let told = "graph.request_timeout is now connection.request_timeout";
    let settings = world.layered(&["graph.request_timeout = \"9s\""])?;
    let file = settings.to_str().expect("text");
    let shown = contactsync(world.folder(), &["config", "show", "--config", file], &[]).await?;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let squeezed = text(&shown.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("connection.request_timeout = \"9s\""), "{squeezed}");
    assert!(text(&shown.stderr).starts_with(&format!("warning: {file}: {told};")), "{}", text(&shown.stderr));
    let checked = contactsync(world.folder(), &["check", "--config", file], &[]).await?;
    assert!(
        text(&checked.stdout).contains(&format!("warning  {file}: {told};")),
        "{}",
        text(&checked.stdout)
    );
    let log = world.start_worker(&settings)?.stop().await?;
    assert_eq!(log.matches(told).count(), 1, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_fail_only_those_who_ask_for_it() -> Result<()> {
    let world = world().await?;
    let settings = world.layered(&["[pool]\ngrace = \"2s\""])?;
    let settings = settings.to_str().expect("text");
    let plain = contactsync(world.folder(), &["check", "--config", settings], &[]).await?;
    assert_eq!(plain.status.code(), Some(0), "{}", text(&plain.stdout));
    assert!(
        text(&plain.stdout).ends_with("The settings can work: 0 errors, 1 warning, 6 notes.\n"),
        "{}",
        text(&plain.stdout)
    );
    let strict = contactsync(world.folder(), &["check", "--strict", "--config", settings], &[]).await?;
    assert_eq!(strict.status.code(), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_pages_and_completions_know_every_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let written = contactsync(folder.path(), &["man", "pages"], &[]).await?;
    assert!(written.status.success(), "{}", text(&written.stderr));
    for page in ["contactsync", "contactsync-run", "contactsync-check", "contactsync-config-init"] {
        let page = std::fs::read_to_string(folder.path().join(format!("pages/{page}.1")))?;
        assert!(page.contains(".TH contactsync"), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = contactsync(folder.path(), &["completions", shell], &[]).await?;
        assert!(script.status.success());
        assert!(text(&script.stdout).contains("dry-run"), "{shell}");
    }
    Ok(())
}
