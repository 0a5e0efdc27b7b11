//! The link column is data from outside. Whatever it holds, no request leaves `/v1.0/users/{guid}`.

use anyhow::Result;
use tests::world::World;
use uuid::Uuid;

use super::{B2C, GUARDED, linked, run, user, world};

fn guid() -> String {
    user(1).to_string()
}

#[track_caller]
fn assert_only_users_were_called(world: &World) {
    for call in world.calls() {
        let path = call.path.split('?').next().unwrap_or_default();
        let id = path.strip_prefix("/v1.0/users/").unwrap_or_else(|| panic!("a call went to {path}"));
        // Spelled exactly as the type prints it: nothing of the text itself got here.
        let parsed: Uuid = id.parse().unwrap_or_else(|_| panic!("a call went to {path}"));
        assert_eq!(parsed.to_string(), id);
        assert_eq!(call.user.unwrap_or(parsed), parsed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_an_object_id_that_portals_write_reach_that_user() -> Result<()> {
    let spellings = [
        guid(),
        guid().to_uppercase(),
        format!("{{{}}}", guid()),
        format!("{{{}}}", guid().to_uppercase()),
        format!("  {}  ", guid()),
        format!("{}\r\n", guid()),
        format!("\u{a0}{}\t", guid()),
    ];
    let world = world(2).await?;
    for (at, spelling) in spellings.iter().enumerate() {
        let name = format!("v{at}");
        let log = run(&world, &[], &[linked(1, at, spelling).set("firstname", name.clone())]).await?;
        assert_eq!(world.user(user(1))?.text("givenName"), Some(&*name), "{spelling:?}: {log}");
    }
    assert_eq!(world.user(user(2))?.text("givenName"), None);
    assert_only_users_were_called(&world);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_else_is_a_dead_letter_that_does_not_repeat_it_and_causes_no_call() -> Result<()> {
    let id = guid();
    let links = [
        "me".to_owned(),
        "../applications/x".to_owned(),
        format!("../applications/{id}"),
        format!("{id}/../{id}"),
        format!("{id}/authentication/methods"),
        format!("{id}?$select=id"),
        format!("{id}#"),
        format!("{id}%2f..%2fapplications"),
        format!("..%2f{id}"),
        format!("{id}\0"),
        format!("{id};{id}"),
        format!("{{{id}"),
        format!("{id}}}"),
        format!("urn:uuid:{id}"),
        id.replace('-', ""),
        id.replace('1', "１"),
        format!("https://graph.microsoft.com/v1.0/users/{id}"),
        format!("users('{id}')"),
        "$batch".to_owned(),
        "ada@contoso.onmicrosoft.com".to_owned(),
        Uuid::nil().to_string(),
        "\u{202e}".to_owned() + &id,
        "A".repeat(10 * 1024),
        id.repeat(300),
    ];
    let changes: Vec<_> =
        links.iter().enumerate().map(|(at, link)| linked(1, at, link).set("firstname", "Eve")).collect();
    let world = world(1).await?;
    let log = run(&world, &[B2C, GUARDED], &changes).await?;
    let letters = world.letters()?;
    assert_eq!(letters.len(), links.len(), "{log}");
    for letter in &letters {
        assert_eq!(letter.reason, "UserLinkInvalid");
        assert!(!letter.description.contains(&id) && letter.description.len() < 300, "{letter:?}");
    }
    assert_eq!(world.calls().len(), 0, "a call was made: {log}");
    assert!(!log.contains("applications") && !log.contains("AAAA"), "the log repeats a link: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_stay_values_whatever_they_hold() -> Result<()> {
    let world = world(2).await?;
    let hostile = [
        "\",\"accountEnabled\":false,\"x\":\"",
        "{\"$ref\":\"/v1.0/applications\"}",
        "../../me",
        "Robert'); DROP TABLE users;--",
        "a\u{0}b\r\nX-Injected: 1",
        "\u{202e}gnirts\u{feff}",
    ];
    for (at, value) in hostile.into_iter().enumerate() {
        let log = run(&world, &[], &[linked(1, at, &guid()).set("firstname", value)]).await?;
        assert_eq!(world.user(user(1))?.text("givenName"), Some(value), "{log}");
        assert!(!log.contains("X-Injected") && !log.contains("DROP TABLE"), "the log repeats a value");
    }
    let changed: Vec<_> = world.patches().iter().flat_map(|patch| patch.changes.clone()).collect();
    assert!(changed.iter().all(|change| change.property == "givenName"), "{changed:?}");
    assert_only_users_were_called(&world);
    Ok(())
}
