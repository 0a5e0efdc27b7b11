//! `contactsync guard show` and `clear`.

use anyhow::Result;
use emulator::graph::User;
use serde_json::{Value as Json, json};
use tests::world::{Options, World};

use super::{GUARDED, at, attribute, captured, clock, names, told, user};
use crate::replay::contactsync;

const FOREIGN: &str = "loyalty=gold;";

/// A user whose attribute holds text of somebody else, and behind it a mark of two properties.
async fn marked(foreign: &str) -> Result<World> {
    let world = World::start(Options::default()).await?;
    let theirs = json!({ "extensionAttribute15": foreign });
    let theirs = if foreign.is_empty() { json!({}) } else { theirs };
    world.graph.add_user(User::new(user(1)).with("onPremisesExtensionAttributes", theirs))?;
    captured(&world, "new.json", &at(60).set("firstname", "New").body())?;
    captured(&world, "older.json", &at(30).set("lastname", "King").body())?;
    for file in ["new.json", "older.json"] {
        contactsync(&world.layered(&[GUARDED])?, &format!("apply {file} --yes")).await?.expect(0);
    }
    Ok(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_shown_by_names_and_versions_without_what_belongs_to_somebody_else() -> Result<()> {
    let world = marked(FOREIGN).await?;
    let settings = world.layered(&[GUARDED])?;
    let shown = contactsync(&settings, &format!("guard show --user {}", user(1))).await?.expect(0).out;
    for line in [
        format!("user        {}\n", user(1)),
        "attribute   extensionAttribute15\n".to_owned(),
        "before it   13 characters of somebody else's, which stay\n".to_owned(),
        format!("version     givenName: {}, no row version\n", clock(60)),
        format!("version     surname: {}, no row version\n", clock(30)),
    ] {
        assert!(shown.contains(&line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("gold"), "{shown}");
    let told = told(&world, &[GUARDED], &format!("guard show --user {}", user(1))).await?;
    assert_eq!(
        (&told["foreignCharacters"], &told["attribute"]),
        (&json!(13), &json!("extensionAttribute15"))
    );
    assert_eq!(told["versions"].as_array().map(Vec::len), Some(2), "{told:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_is_a_dry_run_first_and_then_leaves_what_belongs_to_somebody_else() -> Result<()> {
    for foreign in [FOREIGN, ""] {
        let world = marked(foreign).await?;
        let settings = world.layered(&[GUARDED])?;
        let before = attribute(&world)?;
        let clear = format!("guard clear --user {}", user(1));
        let dry = contactsync(&settings, &clear).await?.expect(0).out;
        assert!(dry.contains("take out    givenName: ") && dry.contains("--yes takes it out"), "{dry}");
        assert_eq!(attribute(&world)?, before);

        let one =
            contactsync(&settings, &format!("{clear} --property givenName --property city --yes")).await?;
        let one = one.expect(0).out;
        assert!(one.contains("not there   city\n") && one.contains("\nTaken out.\n"), "{one}");
        // An older change of the first name counts again, and one of the last name still does not.
        captured(&world, "old.json", &at(1).set("firstname", "Old").set("lastname", "Old").body())?;
        contactsync(&settings, "apply old.json --yes").await?.expect(0);
        assert_eq!(names(&world)?, ("Old".to_owned(), "King".to_owned()));

        let told = told(&world, &[GUARDED], &format!("{clear} --yes")).await?;
        assert_eq!(
            (&told["written"], &told["versions"][1]["hash"].is_string()),
            (&json!(true), &true),
            "{told:#}"
        );
        let expected = if foreign.is_empty() { Json::Null } else { json!(foreign) };
        assert_eq!(attribute(&world)?, expected);
        let again = contactsync(&settings, &format!("{clear} --yes")).await?.expect(0).out;
        assert!(again.contains("There is nothing to take out."), "{again}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_or_a_user_it_says_so() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let show = format!("guard show --user {}", user(1));
    let off = contactsync(&world.settings("")?, &show).await?.expect(1);
    assert!(off.err.contains("guard.attribute is not set, so no marks are kept; set it"), "{}", off.err);
    let guarded = world.layered(&[GUARDED])?;
    let ghost = contactsync(&guarded, &show).await?.expect(1);
    assert!(ghost.err.contains("see that the user exists in the tenant"), "{}", ghost.err);
    let clear = format!("guard clear --user {} --property givenname", user(1));
    let misspelt = contactsync(&guarded, &clear).await?.expect(2);
    assert!(misspelt.err.contains("spell it as Graph does"), "{}", misspelt.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mark_is_told_and_what_nobody_maps_is_shown_by_its_hash() -> Result<()> {
    for (text, told) in [
        ("cs1|nonsense", "mark        none that can be read\n"),
        ("cs1|kxzd5hs0:zzzz", "version     unknown, hash zzzz: "),
        ("cs1|kxzd5hs0.5:O0abzzzz", "version     unknown, hash zzzz: row version 5, "),
    ] {
        let world = World::start(Options::default()).await?;
        let marked = json!({ "extensionAttribute15": text });
        world.graph.add_user(User::new(user(1)).with("onPremisesExtensionAttributes", marked))?;
        let show = format!("guard show --user {}", user(1));
        let shown = contactsync(&world.layered(&[GUARDED])?, &show).await?.expect(0).out;
        assert!(shown.contains(told), "{told} is not in\n{shown}");
    }
    Ok(())
}
