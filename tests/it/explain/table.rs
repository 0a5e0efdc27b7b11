//! What Dataverse says, beside the journal, the queues and the directory.

use anyhow::Result;
use emulator::{
    ca::Ca,
    dataverse::{Answer, Dataverse, Fault, Options},
};
use serde_json::{Value, json};
use tests::{explained, organization};

use super::{contact, renamed, settings, text, user, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_the_contact_is_told_without_its_values() -> Result<()> {
    let world = world(1).await?;
    let dataverse = Dataverse::start(Options::default(), &Ca::new()?, &world.graph).await?;
    let own = organization::settings(&world, &dataverse);
    let settings = settings(&world, &[&own])?;
    let columns = json!({"adx_identity_username": user(1), "firstname": "Ada", "lastname": null});
    let Value::Object(columns) = columns else { unreachable!("an object") };
    let saved = dataverse.write_contact(contact(1), &columns);
    saved.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    world.post_changes(&[renamed(1, 1, "Old")]).await?;

    let (code, out, err) = explained::run(&settings, &[&contact(1).to_string(), "--json"]).await?;
    let told: Value = serde_json::from_str(&out).map_err(|error| anyhow::anyhow!("{error}: {out}{err}"))?;
    let row = &told["dataverse"]["contact"];
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(
        row["links"],
        json!([{"column": "adx_identity_username", "holds": "user", "user": user(1).to_string()}])
    );
    assert!(row["rowVersion"].is_u64() && row["modifiedOn"].is_string(), "{row}");
    assert_eq!(row["state"], 0);
    let names = |member: &str| row[member].as_array().cloned().unwrap_or_default();
    assert!(
        names("filled").contains(&json!("firstname")) && names("empty").contains(&json!("lastname")),
        "{row}"
    );
    assert!(!out.contains("Ada"), "{out}");

    let told = text(&settings, contact(1), &[]).await?;
    assert!(told.contains("Dataverse\n") && told.contains("active; row version"), "{told}");
    let nobody = text(&settings, contact(2), &[]).await?;
    assert!(nobody.contains("no contact has this id, or it was deleted"), "{nobody}");
    dataverse.script(
        Fault::new(Answer::Error { status: 403, code: 0x8004_0220, message: "no".to_owned() }).always(),
    );
    let told = text(&settings, contact(1), &[]).await?;
    assert!(
        told.contains("not known: ") && told.contains("Queue\n"),
        "the rest is told all the same: {told}"
    );
    Ok(())
}
