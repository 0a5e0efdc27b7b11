//! Which dead letters are meant: reasons that there are, nothing by mistake, and all of them only when somebody says so.

use anyhow::Result;
use tests::world::{DEAD_LETTERS, QUEUE};

use super::{queue_alone, world};
use crate::replay::{assert_untouched, contactsync};

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_one_that_there_is_and_a_filter_that_nothing_meets_is_told() -> Result<()> {
    let world = world(&["UserNotFound", "UserNotFound", "GraphRefused"]).await?;
    let settings = queue_alone(&world)?;
    let found = contactsync(&settings, "dead-letters list --reason usernotfound").await?.expect(0).out;
    assert!(found.contains("2 dead letters\n"), "{found}");
    let none = contactsync(&settings, "dead-letters list --reason WrongEntity").await?.expect(0).out;
    assert_eq!(none, "None of the 3 dead letters that were looked at match.\n");
    for command in ["dead-letters list", "replay", "dead-letters purge"] {
        let wrong = contactsync(&settings, &format!("{command} --reason UserNotFond")).await?.expect(2);
        assert!(wrong.err.contains("'UserNotFound'"), "{}", wrong.err);
    }
    let nothing = contactsync(&settings, "replay --reason WrongEntity").await?.expect(0);
    assert_eq!(nothing.out, "None of the 3 dead letters that were looked at match.\n");
    let preview = contactsync(&settings, "dead-letters purge --reason GraphRefused").await?.expect(0);
    assert_eq!(preview.out, "1 dead letter would be removed; --yes does it.\n");
    let bash = contactsync(&settings, "completions bash").await?.expect(0).out;
    assert!(bash.contains("UserNotFound") && bash.contains("MaxDeliveryCountExceeded"));
    assert_untouched(&world)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_put_back_only_if_somebody_says_all() -> Result<()> {
    let world = world(&["UserNotFound", "GraphRefused"]).await?;
    let settings = queue_alone(&world)?;
    for arguments in ["replay", "replay --json", "replay --abort-if-failing 20%"] {
        let refused = contactsync(&settings, arguments).await?.expect(2);
        assert!(refused.err.contains("such as --reason, or --all"), "{}", refused.err);
    }
    for share in ["2", "0.2"] {
        let refused =
            contactsync(&settings, &format!("replay --all --abort-if-failing {share}")).await?.expect(2);
        assert!(refused.err.contains("must be a share with its sign, such as 20%"), "{}", refused.err);
    }
    let nowhere = contactsync(&settings, "replay --all --audit /nowhere/audit").await?.expect(1);
    assert!(nowhere.err.starts_with("contactsync: cannot write /nowhere/audit"), "{}", nowhere.err);
    assert_untouched(&world)?;
    let done = contactsync(&settings, "replay --all").await?.expect(0);
    assert!(!done.out.contains("replayed "), "a line for each only if asked for: {}", done.out);
    assert_eq!((world.bus.counts(QUEUE)?.active, world.bus.counts(DEAD_LETTERS)?.active), (2, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dead_letter_has_a_line_with_its_number_and_contact() -> Result<()> {
    let world = world(&["UserNotFound", "", "GraphRefused"]).await?;
    let settings = queue_alone(&world)?;
    let each = contactsync(&settings, "dead-letters list --each").await?.expect(0).out;
    let lines: Vec<_> = each.lines().collect();
    assert_eq!(lines.len(), 5, "{each}");
    assert!(lines.iter().all(|line| line.chars().count() <= 90), "{each}");
    let contact = tests::quick::contact(2).to_string();
    assert!(
        lines[2].contains("     2  ") && lines[2].contains(&contact) && lines[2].ends_with("(none given)")
    );
    assert_eq!(lines[4], "3 dead letters");
    let json = contactsync(&settings, "dead-letters list --each --json --reason none").await?.expect(0).out;
    let one: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!((&one["sequence"], &one["contacts"][0]), (&2.into(), &contact.into()));
    let shown = contactsync(&settings, "dead-letters show 1").await?.expect(0).out;
    for told in ["contactsync explain UserNotFound", "contactsync replay --sequence 1"] {
        assert!(shown.contains(told), "{shown}");
    }
    assert_eq!(shown.matches("in a test").count(), 1, "the description stands there once: {shown}");
    Ok(())
}
