//! Each command asks for the settings that it uses, and for no others.

use anyhow::Result;
use tests::{message::moment, world::DEAD_LETTERS};

use super::{queue_alone, world};
use crate::replay::{change, contactsync};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_the_queue_needs_no_right_to_write_users() -> Result<()> {
    let world = world(&["GraphRefused", "UserNotFound", "WrongEntity"]).await?;
    let settings = queue_alone(&world)?;
    std::fs::write(
        world.folder().join("body.json"),
        change(1, moment(2_000)).set("firstname", "Grace").body(),
    )?;
    for arguments in [
        "status",
        "dead-letters list",
        "dead-letters show 1",
        "dead-letters export letters.jsonl",
        "dead-letters purge --reason WrongEntity --yes",
        "replay --dry-run",
        "replay --reason GraphRefused",
        "send body.json",
        "plan body.json",
        "run --dry-run --once",
    ] {
        contactsync(&settings, arguments).await?.expect(0);
    }
    assert_eq!(world.bus.counts(DEAD_LETTERS)?.active, 1);
    // What asks Graph wants to be able to.
    for arguments in
        ["run", "replay --dry-run --online", "dead-letters show 2 --online", "apply --dead-letter 2"]
    {
        let refused = contactsync(&settings, arguments).await?.expect(78);
        assert!(refused.err.contains("identity.client_secret: is required"), "{arguments}: {}", refused.err);
    }
    Ok(())
}
