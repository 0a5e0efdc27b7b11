//! `contactsync apply`: what a pre image keeps back is written, and the guard is heeded unless it is overruled.

use anyhow::Result;
use serde_json::{Value as Json, json};
use tests::world::{DEAD_LETTERS, Options, World};

use super::{GUARDED, at, attribute, captured, change, clock, contact, names, told, user, world};
use crate::replay::{Dead, assert_untouched, bury, contactsync, ids};

/// A contact that is saved again: the pre image shows the same name.
fn saved_again(second: usize) -> Vec<u8> {
    at(second).set("firstname", "Ada").before("firstname", "Ada").after("lastname", "King").body()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_be_written_and_writes_nothing() -> Result<()> {
    let world = world("Old", "King").await?;
    let body = saved_again(1);
    let job: serde_json::Value = serde_json::from_slice(&body)?;
    captured(&world, "contact.json", &body)?;
    let done = contactsync(&world.layered(&[GUARDED])?, "apply contact.json").await?.expect(0);
    let expected = format!(
        "contact     {}, Update\njob         {}\nversion     {}, no row version\nuser        {}\nwrite       givenName = \"Ada\"\n\
         write       surname = \"King\"; the user has it already\n\nNothing was written; --yes writes it.\n",
        contact(1),
        job["OperationId"].as_str().unwrap_or_default(),
        clock(1),
        user(1)
    );
    assert_eq!(done.out, expected);
    assert_eq!(world.patches().len(), 0);
    let unguarded = contactsync(&world.settings("")?, "apply contact.json").await?.expect(0);
    assert!(unguarded.out.contains("no guard    a newer value would be overwritten"), "{}", unguarded.out);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn saving_again_is_written_although_the_pre_image_shows_the_same() -> Result<()> {
    let world = world("Old", "Old").await?;
    captured(&world, "contact.json", &saved_again(1))?;
    // The usual way has nothing to do.
    let plan = contactsync(&world.settings("")?, "plan contact.json").await?.expect(0);
    assert!(plan.out.contains("by the pre image; contactsync apply writes it all the same"), "{}", plan.out);
    for layers in [&[][..], &[GUARDED]] {
        let told = told(&world, layers, "apply contact.json --yes").await?;
        assert_eq!(told["changes"][0]["written"], true, "{told:#}");
        assert_eq!(names(&world)?, ("Ada".to_owned(), "King".to_owned()));
    }
    let mark = told(&world, &[GUARDED], &format!("guard show --user {}", user(1))).await?;
    assert_eq!(mark["versions"].as_array().map(Vec::len), Some(2), "{mark:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_change_has_set_stays_unless_it_is_overruled() -> Result<()> {
    let world = world("", "").await?;
    captured(&world, "new.json", &at(60).set("firstname", "New").body())?;
    captured(&world, "between.json", &at(30).set("firstname", "Between").body())?;
    captured(&world, "old.json", &at(1).set("firstname", "Old").set("lastname", "King").body())?;
    let guarded = world.layered(&[GUARDED])?;
    contactsync(&guarded, "apply new.json --yes").await?.expect(0);
    let done = contactsync(&guarded, "apply old.json --yes").await?.expect(0);
    let kept = format!(
        "keep        givenName = \"Old\"; a newer change has set it ({}, no row version)\n",
        clock(60)
    );
    assert!(done.out.contains(&kept) && done.out.contains("\nWritten.\n"), "{}", done.out);
    assert!(done.out.contains("--overrule writes it all the same"), "{}", done.out);
    assert_eq!(names(&world)?, ("New".to_owned(), "King".to_owned()));

    let dry = told(&world, &[GUARDED], "apply old.json --overrule").await?;
    assert_eq!(dry["changes"][0]["properties"][0]["state"], "overruled", "{dry:#}");
    assert_eq!(names(&world)?.0, "New");
    let done = contactsync(&guarded, "apply old.json --overrule --yes").await?.expect(0);
    assert!(done.out.contains("givenName = \"Old\"; over a newer change ("), "{}", done.out);
    assert_eq!(names(&world)?, ("Old".to_owned(), "King".to_owned()));
    // The mark says no less than before, so what lies between is kept out as it was.
    contactsync(&guarded, "apply between.json --yes").await?.expect(0);
    assert_eq!(names(&world)?.0, "Old");
    let mark = told(&world, &[GUARDED], &format!("guard show --user {}", user(1))).await?;
    let shown = mark["versions"].as_array().into_iter().flatten().find(|one| one["property"] == "givenName");
    assert_eq!(shown.map(|one| one["at"].clone()), Some(json!(clock(60))), "{mark:#}");
    assert!(attribute(&world)?.is_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_written_and_stays_until_it_is_purged() -> Result<()> {
    let world = world("Old", "Old").await?;
    bury(&world, &[Dead::new("m-1", saved_again(1), "GraphRefused")])?;
    let settings = world.layered(&[GUARDED])?;
    let dry = contactsync(&settings, "apply --dead-letter 1").await?.expect(0);
    assert!(dry.out.contains("write       givenName\n") && !dry.out.contains("Ada"), "{}", dry.out);
    let values = contactsync(&settings, "apply --dead-letter 1 --values").await?.expect(0);
    assert!(values.out.contains("givenName = \"Ada\""), "{}", values.out);
    assert_eq!(world.patches().len(), 0);

    let done = contactsync(&settings, "apply --dead-letter 1 --yes").await?.expect(0);
    assert_eq!(names(&world)?, ("Ada".to_owned(), "King".to_owned()));
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-1"]);
    assert_untouched(&world)?;
    let purge = "dead-letters purge --sequence 1 --yes";
    assert!(done.out.contains(purge), "{}", done.out);
    contactsync(&settings, purge).await?.expect(0);
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 0);
    let gone = contactsync(&settings, "apply --dead-letter 1").await?.expect(1);
    assert!(gone.err.contains("there is no dead letter 1; contactsync dead-letters list"), "{}", gone.err);
    Ok(())
}

/// One message about two contacts.
fn both() -> Vec<u8> {
    let body = at(1).set("adx_identity_username", user(1).to_string()).set("firstname", "Ada").body();
    let mut context: Json = serde_json::from_slice(&body).expect("JSON");
    let first = context["InputParameters"][0]["value"].clone();
    let mut second = first.clone();
    second["Id"] = json!(contact(2));
    for attribute in second["Attributes"].as_array_mut().expect("a list") {
        match attribute["key"].as_str() {
            Some("contactid") => attribute["value"] = json!(contact(2)),
            Some("adx_identity_username") => attribute["value"] = json!(user(2)),
            _ => {}
        }
    }
    let collection = json!({
        "__type": "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Entities": [first, second], "EntityName": "contact",
    });
    context["MessageName"] = json!("UpdateMultiple");
    context["InputParameters"] = json!([{"key": "Targets", "value": collection}]);
    serde_json::to_vec(&context).expect("serializes")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_contacts_one_has_to_be_chosen() -> Result<()> {
    let world = world("Old", "Old").await?;
    captured(&world, "both.json", &both())?;
    let settings = world.settings("")?;
    let several = contactsync(&settings, "apply both.json --yes").await?.expect(1);
    let listed = format!("choose one with --contact: {}, {}", contact(1), contact(2));
    assert!(several.err.contains("about 2 contacts") && several.err.contains(&listed), "{}", several.err);
    let other = contactsync(&settings, &format!("apply both.json --contact {}", contact(3))).await?.expect(1);
    assert!(other.err.contains(&format!("not about contact {}", contact(3))), "{}", other.err);
    contactsync(&settings, &format!("apply both.json --contact {} --yes", contact(1))).await?.expect(0);
    assert_eq!(names(&world)?.0, "Ada");
    assert_eq!(world.patches().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_says_why_and_what_to_do() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let settings = world.settings("")?;
    captured(&world, "ghost.json", &at(1).set("firstname", "Ada").body())?;
    let ghost = contactsync(&settings, "apply ghost.json --yes").await?.expect(1);
    assert!(
        ghost.out.contains("correct the link of the contact\n\nIt cannot be written.\n"),
        "{}",
        ghost.out
    );
    let long = change(1, 0).set("firstname", "x".repeat(300));
    captured(&world, "long.json", &long.body())?;
    let long = contactsync(&settings, "apply long.json").await?.expect(1);
    assert!(long.out.contains("dead letter ValueInvalid\n"), "{}", long.out);
    captured(
        &world,
        "unlinked.json",
        &at(1).set("adx_identity_username", "").set("firstname", "Ada").body(),
    )?;
    let nobody = contactsync(&settings, "apply unlinked.json --yes").await?.expect(0);
    assert!(
        nobody.out.contains("its link column is empty\n\nThere is nothing to write.\n"),
        "{}",
        nobody.out
    );
    contactsync(&settings, "apply").await?.expect(2);
    contactsync(&settings, "apply ghost.json --dead-letter 1").await?.expect(2);
    contactsync(&world.settings("[pool]\nconcurrency = 0\n")?, "apply ghost.json").await?.expect(78);
    assert_eq!(world.patches().len(), 0);
    Ok(())
}
