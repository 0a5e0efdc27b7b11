//! Secrets where people put them by mistake, and the files that are made for them.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::{Said, command, said};

/// What a key of Service Bus looks like: 32 bytes in base64.
const KEY: &str = "Zk9sJr7bAHNSq2U8vX1mT4cWd0eYh6LpQfGi3oRnKwE=";
const SLASHED: &str = "ZJr/AHNS+b2U8vX1mT4c/d0eYh6LpQfGi3oRnKw+E/s=";

/// Fails if a text repeats a part of a secret.
#[track_caller]
fn assert_silent(what: &str, said: &Said, secret: &str) {
    let told = said.all();
    for start in 0..secret.len().saturating_sub(8) {
        let part = &secret[start..start + 8];
        assert!(!told.contains(part), "{what} repeats {part}: {told}");
    }
}

async fn try_all(folder: &Path, what: &str, variable: &str, value: &str, secret: &str) -> Result<()> {
    for arguments in [
        &["run"][..],
        &["check"],
        &["check", "--list"],
        &["check", "--json"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["config", "show", "--changed"],
        &["dead-letters", "list"],
        &["status"],
        &["health"],
    ] {
        let mut command = command(folder, arguments)?;
        let said =
            said(command.env(variable, value).env("CONTACTSYNC__GRAPH__CONNECT_TIMEOUT", "1s")).await?;
        assert_silent(&format!("{arguments:?} with {what}"), &said, secret);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_place_of_a_connection_string_is_not_repeated() -> Result<()> {
    let folder = TempDir::new()?;
    let variable = "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING";
    for key in [KEY, SLASHED] {
        for value in [
            key.to_owned(),
            format!("SharedAccessKey {key}"),
            format!("Endpoint=sb://ns.example/;SharedAccessKeyName=n;{key}"),
            format!("Endpoint={key};SharedAccessKeyName=n;SharedAccessKey={key}"),
            format!("Endpoint=sb://n:{key}@ns.example;SharedAccessKeyName=n;SharedAccessKey={key}"),
            format!(
                "Endpoint=sb://ns.example;SharedAccessKeyName=n;SharedAccessKey={key};EntityPath=q;{key}={key}"
            ),
        ] {
            try_all(folder.path(), &value, variable, &value, key).await?;
        }
        let file = folder.path().join("connection-string");
        std::fs::write(&file, format!("{key}\n"))?;
        let name = file.to_str().expect("a path of text");
        try_all(folder.path(), "a file", &format!("{variable}_FILE"), name, key).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_place_of_another_setting_is_not_repeated() -> Result<()> {
    let folder = TempDir::new()?;
    let whole = format!("Endpoint=sb://ns.example/;SharedAccessKeyName=n;SharedAccessKey={SLASHED}");
    for (variable, value) in [
        ("CONTACTSYNC__SERVICE_BUS__NAMESPACE", whole.as_str()),
        ("CONTACTSYNC__SERVICE_BUS__QUEUE", &whole),
        ("CONTACTSYNC__IDENTITY__CERTIFICATE_FILE", &whole),
        ("CONTACTSYNC__GRAPH__CA_FILE", &whole),
        ("CONTACTSYNC__IDENTITY__CLIENT_SECRET", SLASHED),
        ("CONTACTSYNC__TELEMETRY__OTLP_HEADERS", SLASHED),
        ("CONTACTSYNC__GRAPH__ROOT", &format!("https://me:{SLASHED}@graph.example")),
        ("CONTACTSYNC__IDENTITY__AUTHORITY", &format!("https://{SLASHED}@login.example")),
        ("CONTACTSYNC__SERVICE_BUS__ADMIN_URL", &format!("https://me:{KEY}@ns.example")),
        ("CONTACTSYNC__TELEMETRY__OTLP_ENDPOINT", &format!("https://otlp.example/v1?key={KEY}")),
        ("CONTACTSYNC__TELEMETRY__OTLP_ENDPOINT", &format!("https://me:{KEY}@otlp.example")),
    ] {
        let secret = if value.contains(KEY) { KEY } else { SLASHED };
        try_all(folder.path(), variable, variable, value, secret).await?;
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_made_for_secrets_is_its_owners_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new()?;
    let mode = |name: &str| -> Result<u32> {
        Ok(std::fs::metadata(folder.path().join(name))?.permissions().mode() & 0o777)
    };
    said(&mut command(folder.path(), &["config", "init"])?).await?.ended(0);
    assert_eq!(mode("contactsync.toml")?, 0o600);
    let old = folder.path().join("old.toml");
    std::fs::write(&old, "")?;
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644))?;
    said(&mut command(folder.path(), &["config", "init", "--force", "old.toml"])?).await?.ended(0);
    assert_eq!(mode("old.toml")?, 0o600);
    Ok(())
}
