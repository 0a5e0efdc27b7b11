//! `targets compare` against two local Graphs: what it finds, what it survives, and what it never tells.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use emulator::graph::{Fault, RetryAfter};
use serde_json::{Map, Value as Json, json};
use tests::{
    PATIENCE, binary,
    pair::{Done, Pair, contactsync},
    quick::user,
    twins::{self, MARKER, Values, twin},
};

const PEOPLE: usize = 2_200;
const COMPARE: &str = "targets compare --settle 0s --json --list";

/// Two directories of these people, all linked and alike, and settings that find a user by its attribute.
async fn alike(people: usize) -> Result<(Pair, PathBuf)> {
    let pair = Pair::start(true).await?;
    for number in 1..=people as u128 {
        twins::add(&pair, number, &Values::of(number, 1), true)?;
    }
    let settings = pair.settings_with(
        "[link]\nrules = [{ attribute = \"extensionAttribute14\" }]",
        ["mapping.preset = \"b2c\"", "mapping.preset = \"external_id\""],
    )?;
    Ok((pair, settings))
}

/// Whether what was told, or kept, holds nothing of anybody.
#[track_caller]
fn tells_nothing(what: &str, text: &str) {
    let text = text.to_lowercase();
    for value in [MARKER.to_lowercase().as_str(), "@example.com"] {
        assert!(!text.contains(value), "{value} of somebody in {what}: {text}");
    }
}

/// Pages of users that a directory was asked for.
fn pages(pair: &Pair, target: &str) -> usize {
    let journal = pair.of(target).journal();
    journal.iter().filter(|entry| entry.path.starts_with("/v1.0/users?")).count()
}

/// Calls of the list of users from the second page on.
fn later_pages(fault: Fault) -> Fault {
    Fault { path: Some("skiptoken".to_owned()), ..fault.method("GET") }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_differences_made_behind_its_back_are_found() -> Result<()> {
    let (pair, settings) = alike(PEOPLE).await?;
    let done = contactsync(&settings, COMPARE).await?;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    twins::Expected::default().check(&done.out, PEOPLE)?;

    let expected = twins::estrange(&pair)?;
    // A list that is given up in its middle, and a directory that is asked too much.
    pair.second.script(later_pages(Fault::status(400).code("Directory_ExpiredPageToken")));
    pair.world.graph.script(Fault::status(429).retry_after(RetryAfter::Text("0.2".to_owned())).method("GET"));
    let done = contactsync(&settings, COMPARE).await?;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    expected.check(&done.out, PEOPLE - 30)?;
    assert!(done.err.contains("it is read from its beginning"), "{}", done.err);
    tells_nothing("what was printed", &format!("{}{}", done.out, done.err));

    let done = contactsync(&settings, "targets compare external-id b2c --settle 0s --list").await?;
    let lines = [
        "compared: mail, otherMails, signInEmail, givenName, surname\n".to_owned(),
        format!("\n{} agree\n24 differ: mail 4, otherMails 4, givenName 10, surname 6\n", PEOPLE - 30),
        "\n3 of external-id are missing in b2c\n3 of b2c are missing in external-id\n".to_owned(),
        format!("\ndiffer: external-id {}, b2c {}: givenName\n", twin(1), user(1)),
        format!("\nmissing in external-id: b2c {}\n", user(25)),
    ];
    for line in lines {
        assert!(done.out.contains(&line), "{line}\nis not in\n{}", done.out);
    }
    tells_nothing("the text", &done.out);
    let looks =
        pair.second.journal().into_iter().filter(|entry| entry.path.contains("/users")).collect::<Vec<_>>();
    assert!(looks.iter().all(|entry| entry.method == "GET" && entry.low_priority), "it reads, and yields");
    Ok(())
}

/// A comparison that is held up in the middle of the second directory, and killed there.
async fn killed(pair: &Pair, settings: &Path, state: &Path) -> Result<()> {
    let hold = pair.second.script(Fault { skip: 1, ..later_pages(Fault::hold()) });
    let mut command = binary::command()?;
    command.args(COMPARE.split_whitespace()).arg("--config").arg(settings).arg("--state").arg(state);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    pair.world
        .until(PATIENCE, "the comparison is held up", |_| {
            Ok((pair.second.held() == 1, format!("fault {hold}, {} held", pair.second.held())))
        })
        .await?;
    child.kill().await?;
    pair.second.release();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_and_tells_the_same() -> Result<()> {
    let (pair, settings) = alike(PEOPLE).await?;
    let expected = twins::estrange(&pair)?;
    let state = pair.world.folder().join("compare.state");
    killed(&pair, &settings, &state).await?;
    let kept = std::fs::read_to_string(&state)?;
    assert!(kept.lines().count() >= 5, "a line for the beginning and each page");
    tells_nothing("the state", &kept);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(&state)?.mode() & 0o777, 0o600);
    }

    let before = ["b2c", "external-id"].map(|target| pages(&pair, target));
    let done = contactsync(&settings, &format!("{COMPARE} --state {}", state.display())).await?;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    expected.check(&done.out, PEOPLE - 30)?;
    let after = ["b2c", "external-id"].map(|target| pages(&pair, target));
    assert_eq!(after[0], before[0] + 3, "three questions of the second look and no page again");
    assert!(after[1] > before[1], "{before:?} {after:?}");
    assert!(!state.exists(), "it is told, and gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_does_not_fit_is_refused_in_words() -> Result<()> {
    let (pair, settings) = alike(PEOPLE).await?;
    let state = pair.world.folder().join("compare.state");
    killed(&pair, &settings, &state).await?;
    let before = std::fs::read(&state)?;
    let other = pair.settings_with(
        "[link]\nrules = [{ attribute = \"extensionAttribute14\" }]",
        ["mapping.preset = \"b2c\"", "mapping.preset = \"default\""],
    )?;
    let done = contactsync(&other, &format!("{COMPARE} --state {}", state.display())).await?;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{}", done.err);
    assert!(done.err.contains("other settings of target external-id"), "{}", done.err);
    assert_eq!(std::fs::read(&state)?, before);
    Ok(())
}

/// While the second directory is being read, a person is changed in both. The first look finds a difference.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_under_way_is_no_difference() -> Result<()> {
    let (pair, settings) = alike(20).await?;
    pair.second.script(Fault { path: Some("top=999".to_owned()), ..Fault::hold().method("GET") });
    let comparison = tokio::spawn({
        let settings = settings.clone();
        async move { contactsync(&settings, COMPARE).await }
    });
    pair.world
        .until(PATIENCE, "the second directory is asked", |_| Ok((pair.second.held() == 1, String::new())))
        .await?;
    let name = || Map::from_iter([("givenName".to_owned(), json!("Grace"))]);
    pair.world.graph.write_user(user(5), name());
    pair.second.write_user(twin(5), name());
    assert!(pair.world.graph.purge_user(user(6)) && pair.second.purge_user(twin(6)));
    pair.second.release();
    let done = comparison.await??;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    let told: Json = serde_json::from_str(&done.out)?;
    assert_eq!((&told["agree"], &told["lookedAgain"]), (&19.into(), &true.into()), "{told:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_said_and_has_an_exit_code_of_its_own() -> Result<()> {
    let (pair, settings) = alike(1).await?;
    let check = |done: Done, words: &str| {
        assert_eq!((done.code, &*done.out), (Some(2), ""), "{}", done.err);
        assert!(done.err.contains(words), "{words}: {}", done.err);
    };
    check(contactsync(&settings, "targets compare b2c nobody").await?, "there is no target nobody");
    check(contactsync(&settings, "targets compare b2c").await?, "name two targets");
    check(contactsync(&settings, "targets compare --target b2c").await?, "no two [[target]]");
    let apart = pair.settings_with("", ["", "mapping.link_column = \"new_externalid\""])?;
    check(contactsync(&apart, "targets compare").await?, "Set link.owner_attribute in both");
    let refused =
        std::fs::read_to_string(&settings)?.replace("client_secret = \"", "client_secret = \"wrong-");
    let wrong = pair.world.folder().join("wrong.toml");
    std::fs::write(&wrong, refused)?;
    check(contactsync(&wrong, "targets compare").await?, "the users of target b2c cannot be read");
    // Nobody is linked: that is not to agree.
    let unlinked =
        pair.settings_with("[link]\nrules = [{ attribute = \"extensionAttribute3\" }]", ["", ""])?;
    let done = contactsync(&unlinked, "targets compare").await?;
    assert_eq!(done.code, Some(2), "{}", done.out);
    assert!(done.out.contains("1 of b2c name no contact"), "{}", done.out);
    let json = contactsync(&unlinked, "targets compare --json").await?;
    let told: Json = serde_json::from_str(&json.out).context("JSON")?;
    assert_eq!(told["withoutContact"]["external-id"], 1);
    Ok(())
}

/// Nobody reads faster than the share that is given.
#[tokio::test(flavor = "multi_thread")]
async fn reading_keeps_to_its_share() -> Result<()> {
    let (pair, settings) = alike(PEOPLE).await?;
    // 1.75 units a second: a page of two units every 1.14 seconds.
    let done = contactsync(&settings, "targets compare --share 0.5%").await?;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    let journal = pair.second.journal();
    let asked = journal.iter().filter(|entry| entry.path.starts_with("/v1.0/users?"));
    let times: Vec<_> = asked.map(|entry| entry.at_ms).collect();
    assert_eq!(times.len(), 3);
    let least = Duration::from_millis(1_100);
    assert!(times.windows(2).all(|pair| Duration::from_millis(pair[1] - pair[0]) >= least), "{times:?}");
    Ok(())
}
