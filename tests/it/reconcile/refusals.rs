//! What keeps a run from writing.

use anyhow::Result;
use emulator::{
    dataverse::{ApplicationUser, Depth, Options, Role},
    graph::DEFAULT_CLIENT_ID,
};
use tests::{quick::user, world::QUEUE};

use super::RowWorld;

/// An environment whose one user reads so many contacts.
fn reader(depth: Depth) -> Options {
    let mut options = Options::default();
    let privileges = [("prvReadContact".to_owned(), depth)].into();
    options.seed.roles = vec![Role { name: "reader".to_owned(), privileges }];
    options.seed.application_users = vec![ApplicationUser::new(DEFAULT_CLIENT_ID, &["reader"])];
    options
}

async fn place(options: Options) -> Result<RowWorld> {
    let place = RowWorld::start(options, 2).await?;
    for number in 1..=2 {
        place.save(number, user(number), "Ada")?;
    }
    Ok(place)
}

#[track_caller]
fn assert_nothing_posted(place: &RowWorld) -> Result<()> {
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 0);
    Ok(())
}

const ALL: &str = "--apply --max-changes 100%";

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_everything_writes_nothing() -> Result<()> {
    for depth in [Depth::Basic, Depth::Local, Depth::Deep] {
        let place = place(reader(depth)).await?;
        let told = place.reconcile(&[], ALL).await?.expect(1);
        assert!(told.text.contains("prvReadContact"), "{depth:?} {}", told.text);
        assert_nothing_posted(&place)?;
    }
    let place = place(reader(Depth::Global)).await?;
    place.dataverse.secure("contact", "lastname");
    let told = place.reconcile(&[], ALL).await?.expect(1);
    assert!(told.text.contains("column security may hide lastname"), "{}", told.text);
    assert_nothing_posted(&place)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_or_with_another_organization_nothing_is_begun() -> Result<()> {
    let place = place(Options::default()).await?;
    let told = place.reconcile(&["guard.attribute = \"\""], ALL).await?.expect(1);
    assert!(told.text.contains("guard.attribute is not set"), "{}", told.text);
    let other = format!("filter.organizations = [\"{}\"]", user(7));
    let told = place.reconcile(&[&other], ALL).await?.expect(1);
    assert!(told.text.contains("filter.organizations does not name"), "{}", told.text);
    let told = place.reconcile(&["filter.operations = [\"create\"]"], ALL).await?.expect(1);
    assert!(told.text.contains("filter.operations leaves updates out"), "{}", told.text);
    assert!(place.dataverse.journal().iter().all(|entry| entry.secrets.is_empty()));
    assert_nothing_posted(&place)
}
