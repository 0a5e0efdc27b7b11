//! `contactsync plan` with several bodies and `map test`: what they say, and how they end.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use emulator::graph::{Identity, User};
use serde_json::{Value, json};
use tests::{
    binary::workspace,
    message::{ContactChange, moment},
    quick::{contact, user},
};

use super::{USER, contactsync, text};

/// No queue, no directory and no secret: planning needs none.
const SETTINGS: &str = r#"
[mapping]
preset = "custom"
rows = [
    { column = "firstname", property = "givenName" },
    { column = "customertypecode", property = "jobTitle", choices = { "1" = "Gold" } },
]
"#;

fn linked() -> ContactChange {
    ContactChange::new(contact(1), moment(1)).after("adx_identity_username", USER.to_string())
}

fn ada() -> Vec<u8> {
    linked().set("firstname", "Ada").body()
}

/// A folder with settings and captured bodies.
fn folder(bodies: &[(&str, Vec<u8>)]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("contactsync.toml"), SETTINGS)?;
    fs::create_dir(folder.path().join("captured"))?;
    for (name, body) in bodies {
        fs::write(folder.path().join("captured").join(name), body)?;
    }
    Ok(folder)
}

/// Runs a command; its exit code and what it said.
async fn run(folder: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let output = contactsync(folder, arguments, &[]).await?;
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    Ok((output.status.code().unwrap_or(-1), said))
}

#[tokio::test]
async fn plan_fails_if_one_of_its_bodies_cannot_be_planned() -> Result<()> {
    let needless = linked().set("telephone1", "1").body();
    let unlinked = ContactChange::new(contact(1), moment(1)).set("firstname", "Ada").body();
    let folder =
        folder(&[("a.json", ada()), ("n.json", needless), ("u.json", unlinked), ("x.json", b"x".to_vec())])?;
    for (files, code) in [
        (&["a.json"][..], 0),
        (&["n.json"], 0),
        (&["u.json"], 1),
        (&["x.json"], 1),
        (&["missing.json"], 1),
        (&["a.json", "n.json"], 0),
        (&["u.json", "a.json"], 1),
    ] {
        let files: Vec<_> = files.iter().map(|file| format!("captured/{file}")).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        for form in [&["plan"][..], &["plan", "--json"]] {
            let (seen, said) = run(folder.path(), &[form, &files].concat()).await?;
            assert_eq!(seen, code, "{form:?} {files:?}: {said}");
        }
    }
    let both = ["plan", "--json", "--values", "captured/u.json", "captured/a.json"];
    let (_, said) = run(folder.path(), &both).await?;
    let told: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(told[0]["file"], "captured/u.json");
    assert_eq!(told[0]["changes"][0]["deadLetter"]["reason"], "UserLinkUnknown");
    assert_eq!(told[1]["changes"][0]["write"]["set"], json!({ "givenName": "Ada" }));
    Ok(())
}

#[tokio::test]
async fn a_body_is_held_against_what_is_expected_of_it() -> Result<()> {
    let option =
        json!({"__type": "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": 1});
    let gold = linked().set("customertypecode", option).body();
    let folder = folder(&[("ada.json", ada()), ("gold.json", gold), ("bad.json", b"x".to_vec())])?;
    let place = folder.path().join("captured");
    let test = |more: &'static [&'static str]| [&["map", "test", "captured"][..], more].concat();

    let (code, said) = run(folder.path(), &test(&[])).await?;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing is expected of it; write what is found with --update"), "{said}");
    assert_eq!(run(folder.path(), &test(&["--update"])).await?.0, 0);
    let expected = fs::read_to_string(place.join("ada.expected.json"))?;
    let expected: Value = serde_json::from_str(&expected)?;
    assert_eq!(
        expected["changes"][0]["write"],
        json!({ "user": USER.to_string(), "set": { "givenName": "Ada" } })
    );
    let bad: Value = serde_json::from_str(&fs::read_to_string(place.join("bad.expected.json"))?)?;
    assert_eq!(bad, json!({ "deadLetter": { "reason": "BodyUndecodable" } }));
    let (code, said) = run(folder.path(), &test(&[])).await?;
    assert_eq!((code, said.contains("3 bodies, 0 not as expected")), (0, true), "{said}");
    // What plan says with values is an expectation as it is.
    let (_, plan) = run(folder.path(), &["plan", "--json", "--values", "captured/ada.json"]).await?;
    fs::write(place.join("ada.expected.json"), plan)?;
    assert_eq!(run(folder.path(), &test(&[])).await?.0, 0);

    // Another mapping makes something else of them.
    fs::write(folder.path().join("contactsync.toml"), SETTINGS.replace("Gold", "Silver"))?;
    let (code, said) = run(folder.path(), &test(&[])).await?;
    assert_eq!(code, 1, "{said}");
    let line = said.lines().find(|line| line.contains("jobTitle")).unwrap_or_default();
    assert!(
        ["gold.json", "FAILED", "\"Gold\"", "\"Silver\""].iter().all(|part| line.contains(part)),
        "{said}"
    );
    let (code, said) = run(folder.path(), &test(&["--json"])).await?;
    let told: Value = serde_json::from_str(&said)?;
    assert_eq!((code, &told["ok"]), (1, &json!(false)));
    assert_eq!(
        told["bodies"],
        json!([
            { "file": "ada.json", "good": true, "written": false },
            { "file": "bad.json", "good": true, "written": false },
            { "file": "gold.json", "good": false, "written": false,
                "differences": [{ "what": "jobTitle", "expected": "Gold", "found": "Silver" }] },
        ])
    );
    fs::write(folder.path().join("contactsync.toml"), "[mapping]\npreset = \"none\"\n")?;
    assert_eq!(run(folder.path(), &test(&[])).await?.0, 78);
    Ok(())
}

#[tokio::test]
async fn an_expectation_that_says_nothing_is_no_agreement() -> Result<()> {
    for (name, expected, why) in [
        ("ada.expected.json", "{", "the expectation is no JSON"),
        ("ada.expected.json", r#"{"chnages": []}"#, "the document has the key chnages"),
        ("ada.expected.json", "{}", "it expects nothing at all"),
        ("eve.expected.json", "{}", "there is no body of that name"),
    ] {
        let folder = folder(&[("ada.json", ada()), (name, expected.into())])?;
        let (code, said) = run(folder.path(), &["map", "test", "captured"]).await?;
        assert!(code == 1 && said.contains(why), "{code}: {said}");
    }
    let empty = folder(&[])?;
    let (code, said) = run(empty.path(), &["map", "test", "captured"]).await?;
    assert!(code == 1 && said.contains("holds no body"), "{code}: {said}");
    Ok(())
}

#[tokio::test]
async fn one_change_in_three_formats_shares_its_expectation() -> Result<()> {
    let fixture = |ending: &str| {
        fs::read(workspace().join(format!("tests/fixtures/contexts/contact-update-images.{ending}")))
    };
    let bodies = [("c.json", fixture("json")?), ("c.xml", fixture("xml")?), ("c.bin", fixture("msbin1")?)];
    let folder = folder(&bodies)?;
    let (code, said) = run(folder.path(), &["map", "test", "captured", "--update"]).await?;
    assert!(code == 0 && said.matches("as expected  ").count() >= 2, "{code}: {said}");
    let (code, said) = run(folder.path(), &["map", "test", "captured"]).await?;
    assert!(code == 0 && said.contains("3 bodies, 0 not as expected"), "{code}: {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_online_tells_what_is_so_and_names_who_has_a_wanted_address() -> Result<()> {
    let world = super::world().await?;
    let (holder, deleted) = (user(2), user(3));
    for (id, address) in
        [(USER, "ada@example.com"), (holder, "taken@example.com"), (deleted, "gone@example.com")]
    {
        let local = User::new(id).with("givenName", "Ada").with_identity(Identity::email(address));
        world.graph.add_user(local)?;
    }
    world.graph.delete_user(deleted);
    let settings = world.layered(&[r#"mapping.preset = "b2c""#])?;
    let settings = settings.to_str().context("a path of text")?;
    let plan = async |address: &str, extra: &[&str]| -> Result<(i32, String)> {
        let body = ContactChange::new(contact(1), moment(1))
            .before("adx_identity_username", USER.to_string())
            .set("firstname", "Ada")
            .set("emailaddress1", address);
        let file = world.folder().join("body.json");
        fs::write(&file, body.body())?;
        let file = file.to_str().context("a path of text")?;
        run(world.folder(), &[&["plan", "--config", settings, file], extra].concat()).await
    };
    for (address, who) in [("taken@example.com", holder), ("gone@example.com", deleted)] {
        let (code, said) = plan(address, &["--online"]).await?;
        assert!(
            code == 1 && said.contains("IdentityConflict") && said.contains(&who.to_string()),
            "{code}: {said}"
        );
        assert_eq!(said.contains("deleted user"), who == deleted, "{said}");
        assert!(said.contains("Graph has givenName already"), "{said}");
    }
    let (code, said) = plan("new@example.com", &["--online", "--json"]).await?;
    let told: Value = serde_json::from_str(&said)?;
    let writes = told["online"]["writes"].as_array().context("writes")?;
    assert!(code == 0 && writes.iter().all(|write| write.get("deadLetter").is_none()), "{code}: {said}");
    assert_eq!(plan("taken@example.com", &[]).await?.0, 0, "without a network nobody knows");
    assert_eq!(world.patches().len(), 0);
    Ok(())
}

#[tokio::test]
async fn one_body_is_told_as_one() -> Result<()> {
    let folder = folder(&[("ada.json", ada())])?;
    let (_, said) = run(folder.path(), &["map", "test", "captured"]).await?;
    assert!(said.contains("\n1 body, 1 not as expected."), "{said}");
    Ok(())
}
