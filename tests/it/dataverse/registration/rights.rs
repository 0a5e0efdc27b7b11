//! Who may register, and with which key.

use anyhow::Result;
use emulator::{
    dataverse::{ApplicationUser, Depth, Role},
    graph,
};
use serde_json::json;

use super::{Ground, text};

fn role(privileges: &[&str]) -> Role {
    let privileges = privileges.iter().map(|name| ((*name).to_owned(), Depth::Global)).collect();
    Role { name: "small".to_owned(), privileges }
}

/// What is documented for `verify`.
const VERIFY: [&str; 9] = [
    "prvReadServiceEndpoint",
    "prvReadSdkMessage",
    "prvReadSdkMessageFilter",
    "prvReadSdkMessageProcessingStep",
    "prvReadSdkMessageProcessingStepImage",
    "prvReadAsyncOperation",
    "prvReadEntity",
    "prvReadAttribute",
    "prvReadOrganization",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_role_is_enough_and_what_is_missing_is_named() -> Result<()> {
    let ground = Ground::new().await?;
    let user = ApplicationUser::new(graph::DEFAULT_CLIENT_ID, &["small"]);
    ground.place.dataverse.set_role(&role(&VERIFY));
    ground.place.dataverse.set_application_user(&user);
    let (code, told) = ground.told(&["verify"]).await?;
    assert_eq!((code, &told["missingPrivileges"]), (Some(1), &json!([])), "{told:#}");
    let refused = ground.run(&["register", "--apply"]).await?;
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("prvCreateServiceEndpoint"), "{said}");
    assert!(
        text(&refused.stdout).contains("lacks prvCreateSdkMessageProcessingStep"),
        "{}",
        text(&refused.stdout)
    );

    let tables = ["ServiceEndpoint", "SdkMessageProcessingStep", "SdkMessageProcessingStepImage"];
    let writes: Vec<_> = ["Create", "Write", "Delete"]
        .iter()
        .flat_map(|verb| tables.iter().map(move |table| format!("prv{verb}{table}")))
        .collect();
    let all: Vec<_> = VERIFY.into_iter().chain(writes.iter().map(String::as_str)).collect();
    ground.place.dataverse.set_role(&role(&all));
    let told = ground.register().await?;
    assert_eq!(told["missingPrivileges"], json!([]));
    let (code, _) = ground.told(&["unregister", "--apply"]).await?;
    assert_eq!(code, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_form_or_queue_is_refused_before_anything_is_written() -> Result<()> {
    let ground = Ground::new().await?;
    for (key, why) in [
        ("c2hvcnQ=", "44 characters"),
        ("Endpoint=sb://other.example/;SharedAccessKeyName=a;SharedAccessKey=b", "Dataverse would post to"),
    ] {
        let file = ground.place.world.folder().join("key");
        std::fs::write(&file, key)?;
        let name = file.to_str().expect("text");
        let refused = ground.run(&["register", "--apply", "--key-file", name]).await?;
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(why), "{said}");
        assert!(!said.contains(key), "a key is shown to nobody");
    }
    assert!(ground.place.dataverse.journal().iter().all(|entry| entry.method == "GET"));
    Ok(())
}
