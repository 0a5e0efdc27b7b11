//! Values that belong to somebody else, and what becomes of the changes that travelled with them.

use anyhow::Result;
use emulator::graph::{Fault, Identity, User};
use serde_json::json;

use super::{B2C, PATIENCE, QUICK, assert_tally, b2c_world, change, contact, run, user, world};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_merged_write_only_the_change_with_the_taken_sign_in_address_is_refused() -> Result<()> {
    let world = b2c_world([
        User::new(user(1)).with_identity(Identity::email("ada@example.com")),
        User::new(user(2)).with_identity(Identity::email("taken@example.com")),
    ])
    .await?;
    let changes = [
        change(1, 1).set("firstname", "Ada"),
        change(1, 2)
            .before("adx_identity_username", user(1).to_string())
            .set("emailaddress1", "taken@example.com"),
        change(1, 3).set("lastname", "King"),
    ];
    let log = run(&world, &[B2C], &changes).await?;
    assert_eq!(world.reasons()?, ["IdentityConflict"], "{log}");
    let letter = &world.letters()?[0];
    assert!(letter.body.contains("taken@example.com"), "another change was taken out: {letter:?}");
    assert!(!letter.description.contains("taken@example.com"), "personal data: {letter:?}");
    let ada = world.user(user(1))?;
    assert_eq!((ada.text("givenName"), ada.text("surname")), (Some("Ada"), Some("King")));
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["ada@example.com"]);
    assert_eq!(ada.get("otherMails"), json!([]), "nothing of the refused change may stand");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_while_a_write_is_under_way_are_merged_and_only_the_guilty_one_pays() -> Result<()>
{
    let world = world(1).await?;
    world.graph.add_user(User::new(user(2)).with("mail", "taken@example.com"))?;
    world.graph.script(Fault::hold().patches());
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let changes: Vec<_> = (1..=20)
        .map(|at| match at {
            11 => change(1, at).set("emailaddress1", "taken@example.com"),
            _ => change(1, at).set("firstname", format!("Ada {at}")).set("jobtitle", "none"),
        })
        .collect();
    world.post_changes(&changes).await?;
    // The first write is under way until all the others wait.
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_held_messages 20\n")).await?;
    world.graph.release();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, ["IdentityConflict"], "{log}");
    assert!(world.letters()?[0].is_about(contact(1)));
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada 20"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_graph_refuses_although_we_did_not_expect_it_names_code_and_property() -> Result<()> {
    let mapping = r#"
        [mapping]
        preset = "custom"
        rows = [
            { column = "firstname", property = "givenName" },
            { column = "jobtitle", property = "extension_0123456789abcdef0123456789abcdef_undefined" },
        ]"#;
    let world = world(1).await?;
    let changes = [change(1, 1).set("firstname", "Ada"), change(1, 2).set("jobtitle", "Countess")];
    let log = run(&world, &[mapping], &changes).await?;
    assert_eq!(world.reasons()?, ["GraphRefused"], "{log}");
    let letter = &world.letters()?[0];
    assert!(letter.description.contains("400 Request_BadRequest"), "{letter:?}");
    assert!(!letter.description.contains("Countess"), "{letter:?}");
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"));
    assert_tally(&log, "1 dead-lettered");
    Ok(())
}
