//! `kind = "cli"`: whoever is signed in to the Azure CLI, which is played by a script here.

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::fs::PermissionsExt,
        path::{Path, PathBuf},
    };

    use anyhow::{Context, Result};
    use emulator::graph::{DEFAULT_CLIENT_ID, DEFAULT_SECRET};
    use serde_json::{Value, json};
    use tests::{PATIENCE, binary, client::http_client, quick::QUICK, world::World};

    use super::super::world;

    const AT_DESK: &str = "identity.kind = \"cli\"\nidentity.tenant = \"\"\nidentity.client_id = \"\"\n\
                           identity.client_secret = \"\"";

    /// A token of the local authority, as the CLI prints it.
    async fn token(world: &World) -> Result<Value> {
        let url = format!("{}/{}/oauth2/v2.0/token", world.graph.http_url(), world.graph.tenant().id);
        let scope = format!("{}/.default", world.graph.http_url());
        let form = format!(
            "grant_type=client_credentials&client_id={DEFAULT_CLIENT_ID}&client_secret={DEFAULT_SECRET}&scope={scope}"
        );
        let request = http_client()?.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = serde_json::from_str(&request.body(form).send().await?.text().await?)?;
        let token = answer["access_token"].as_str().with_context(|| format!("a token: {answer}"))?;
        let expires = servicebus::clock::now().as_second() + 3_000;
        Ok(json!({ "accessToken": token, "expires_on": expires, "tokenType": "Bearer" }))
    }

    /// A folder with an `az` in it that does this.
    fn az(world: &World, script: &str) -> Result<PathBuf> {
        let folder = world.folder().join("bin");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("az");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(folder)
    }

    /// The search path of this process, with a folder before all others.
    #[expect(clippy::disallowed_methods, reason = "the script itself finds its tools by it")]
    fn with_path(folder: &Path) -> Result<String> {
        Ok(format!("{}:{}", folder.display(), std::env::var("PATH")?))
    }

    async fn contactsync(world: &World, folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let path = with_path(folder)?;
        let mut command = binary::command()?;
        command.args(arguments).arg("--config").arg(world.layered(&[QUICK, AT_DESK])?).env("PATH", path);
        let output = command.kill_on_drop(true).output().await?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((output.status.code(), text.concat()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_person_who_is_signed_in_needs_no_secret_of_an_app() -> Result<()> {
        let world = world(&[]).await?;
        let seen = world.folder().join("asked");
        // Without a program that a bare machine may lack: both are built into the shell.
        let script = format!("echo \"$@\" >> '{}'; printf %s '{}'", seen.display(), token(&world).await?);
        let folder = az(&world, &script)?;
        let user = tests::quick::user(1).to_string();
        let (code, told) = contactsync(&world, &folder, &["guard", "show", "--user", &user]).await?;
        assert_eq!(code, Some(1), "no guard is set: {told}");
        let (code, told) = contactsync(&world, &folder, &["check", "--online", "--user", &user]).await?;
        assert!(told.contains("ok       call to graph") && told.contains("az login"), "{code:?} {told}");
        let asked = std::fs::read_to_string(&seen)?;
        assert!(asked.starts_with("account get-access-token -o json --scope http://127.0.0.1"), "{asked}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_not_signed_in_is_told_how_to() -> Result<()> {
        let world = world(&[]).await?;
        let folder = az(&world, "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1")?;
        let (_, told) = contactsync(&world, &folder, &["check", "--online"]).await?;
        assert!(told.contains("az gave no token; sign in with az login"), "{told}");
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_works_for_a_person_says_so() -> Result<()> {
        let world = world(&[]).await?;
        let folder = az(&world, "exit 1")?;
        let path = with_path(&folder)?;
        let worker = world.start_worker_with(&world.layered(&[QUICK, AT_DESK])?, &[("PATH", &path)])?;
        world
            .until(PATIENCE, "a warning", |_| {
                let log = worker.log()?;
                Ok((log.contains("in the name of whoever is signed in by az login"), log))
            })
            .await?;
        worker.kill().await
    }
}
