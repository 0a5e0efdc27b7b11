//! Nothing that a contact holds gets into what operators, monitors and support see.

use anyhow::Result;
use tests::{message::ContactChange, world::World};

use super::{PATIENCE, QUICK, change, contact, user, world};
use crate::otlp::Receiver;

pub(super) const MARKER: &str = "PrivateMarker";

/// A change whose every value is the marker, in columns that are mapped and in columns that are not.
pub(super) fn marked(change: ContactChange, at: &str) -> ContactChange {
    let text = format!("{MARKER}{at}");
    change
        .set("firstname", text.clone())
        .set("lastname", text.clone())
        .set("emailaddress1", format!("{text}@example.com"))
        .set("adx_identity_passwordhash", text.clone())
        .set("telephone1", text.clone())
        .before("firstname", format!("{text}before"))
        .after("jobtitle", text)
}

async fn seen_anywhere(world: &World) -> Result<Vec<(&'static str, String)>> {
    let receiver = Receiver::start().await?;
    let layers = [QUICK, "[telemetry]\nlog_level = \"debug\"\n", &receiver.settings()];
    let mut worker = world.start_worker(&world.layered(&layers)?)?;
    world.drained(PATIENCE).await?;
    let mut seen = Vec::new();
    for (name, path) in
        [("metrics", "/metrics"), ("readiness", "/readyz"), ("status", "/status.json"), ("page", "/")]
    {
        seen.push((name, worker.page(path).await?.text));
    }
    seen.push(("log", worker.stop().await?));
    seen.push(("traces", format!("{:?}", receiver.spans())));
    seen.push(("exported metrics", format!("{:?}", receiver.metrics())));
    let letters: Vec<_> = world
        .letters()?
        .into_iter()
        .map(|letter| format!("{} {}", letter.reason, letter.description))
        .collect();
    assert!(letters.len() >= 3, "{letters:?}");
    seen.push(("dead letters", letters.join("\n")));
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_contact_is_seen_anywhere() -> Result<()> {
    let world = world(2).await?;
    world
        .post_changes(&[
            marked(change(1, 1), "Applied"),
            // A user whom nobody knows, a link that is none, and a value that Graph would refuse.
            marked(change(99, 1), "Ghost"),
            marked(ContactChange::new(contact(3), tests::message::moment(1)), "Link")
                .set("adx_identity_username", format!("{MARKER}Link")),
            marked(change(2, 1), "TooLong").set("firstname", MARKER.repeat(100)),
        ])
        .await?;
    for (place, text) in seen_anywhere(&world).await? {
        assert!(!text.is_empty(), "{place} is empty");
        let found = text.lines().find(|line| line.contains(MARKER));
        assert_eq!(found, None, "in {place}");
    }
    // The marker went where it belongs, so the search was for something that was there.
    assert_eq!(world.user(user(1))?.text("givenName"), Some(&*format!("{MARKER}Applied")));
    Ok(())
}
