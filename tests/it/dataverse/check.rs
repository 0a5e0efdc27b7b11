//! `dataverse check` reports each refusal as what it is.

use anyhow::Result;
use emulator::{
    dataverse::{Answer, ApplicationUser, Depth, Fault, Limit, Options},
    graph::DEFAULT_CLIENT_ID,
};
use uuid::Uuid;

use super::{Place, Told, reader};

const CHECK: [&str; 2] = ["dataverse", "check"];

async fn check(place: &Place, layers: &[&str]) -> Result<Told> {
    place.run(layers, &CHECK).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_can_be_read_is_told_so_and_nothing_is_written() -> Result<()> {
    let place = Place::start(reader(Some(Depth::Global))).await?;
    let organization = place.dataverse.options().organization;
    let listed =
        format!("filter.organizations = [\"{organization}\"]\ndataverse.environment = \"production\"");
    let told = check(&place, &[&listed]).await?;
    assert_eq!(
        told.results(),
        [
            ("dataverse host", "ok"),
            ("clock of dataverse", "ok"),
            ("tenant of dataverse", "ok"),
            ("token for dataverse", "ok"),
            ("application user", "ok"),
            ("organization", "ok"),
            ("role", "ok"),
            ("columns", "ok"),
            ("read of contacts", "ok"),
            ("change tracking", "ok"),
        ],
        "{:#} {}",
        told.document,
        told.aside
    );
    assert_eq!((told.code, &told.document["ok"]), (Some(0), &true.into()));
    told.says("application user", "ok", &[&organization.to_string()]);
    assert!(place.dataverse.journal().iter().all(|entry| entry.method == "GET"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_looks_at_dataverse_too_where_it_is_set() -> Result<()> {
    let place = Place::start(reader(Some(Depth::Local))).await?;
    let told = place.run(&[], &["check", "--online"]).await?;
    assert_eq!(told.code, Some(1));
    told.says("role", "failed", &["own business unit"]);
    told.says("service bus", "ok", &[]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_nobody_in_the_environment_belongs_to_is_told_what_to_make() -> Result<()> {
    let mut options = Options::default();
    options.seed.application_users = Vec::new();
    let place = Place::start(options).await?;
    let told = check(&place, &[]).await?;
    assert_eq!(told.code, Some(1));
    told.says("token for dataverse", "ok", &[]);
    told.says("application user", "failed", &["0x80072560", "New app user"]);
    told.says("role", "skipped", &[]);

    let disabled = ApplicationUser { disabled: true, ..ApplicationUser::new(DEFAULT_CLIENT_ID, &[]) };
    place.dataverse.set_application_user(&disabled);
    check(&place, &[]).await?.says("application user", "failed", &["0x80040225", "activate"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_is_told_without_a_credential() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    let (theirs, ours) = (place.world.graph.tenant().id.to_string(), Uuid::from_u128(7).to_string());
    let told = check(&place, &[&format!("dataverse.identity.tenant = \"{ours}\"")]).await?;
    assert_eq!(told.code, Some(1));
    told.says("tenant of dataverse", "failed", &[&theirs, &ours]);
    told.says("token for dataverse", "failed", &["dataverse.identity"]);
    told.says("application user", "skipped", &[]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_depth_that_would_hide_contacts_is_found() -> Result<()> {
    for (depth, result, part, code) in [
        (None, "failed", "prvReadContact is missing", 1),
        (Some(Depth::Basic), "warning", "depth User", 0),
        (Some(Depth::Local), "failed", "own business unit", 1),
        (Some(Depth::Deep), "failed", "own business unit", 1),
    ] {
        let place = Place::start(reader(depth)).await?;
        let told = check(&place, &[]).await?;
        told.says("role", result, &[part, "Organization"]);
        assert_eq!(told.code, Some(code), "{depth:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_change_contacts_may_do_too_much() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    let told = check(&place, &[]).await?;
    told.says("role", "warning", &["prvWriteContact", "take these privileges away"]);
    assert_eq!(told.code, Some(0));
    assert_eq!(place.run(&[], &["dataverse", "check", "--strict"]).await?.code, Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_secured_or_not_there_are_found() -> Result<()> {
    let place = Place::start(reader(Some(Depth::Global))).await?;
    place.dataverse.secure("contact", "lastname");
    let told = check(&place, &["mapping.link_column = \"new_user\""]).await?;
    assert_eq!(told.code, Some(1));
    told.says("columns", "failed", &["no column new_user"]);
    told.says("columns", "failed", &["lastname is secured"]);
    told.says("read of contacts", "skipped", &[]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_taken_for_its_original() -> Result<()> {
    let mut options = reader(Some(Depth::Global));
    "CustomerTest".clone_into(&mut options.kind);
    let place = Place::start(options).await?;
    let other = format!("filter.organizations = [\"{}\"]", Uuid::from_u128(9));
    let told = check(&place, &[&other, "dataverse.environment = \"production\""]).await?;
    assert_eq!(told.code, Some(1));
    told.says("organization", "failed", &["filter.organizations does not list it"]);
    told.says("organization", "failed", &["no production environment"]);
    check(&place, &[]).await?.says("organization", "warning", &["nothing says that it is meant"]);
    assert_eq!(check(&place, &["dataverse.environment = \"sandbox\""]).await?.code, Some(0));

    let jobs = place.run(&[&other], &["dataverse", "jobs"]).await?;
    assert_eq!(jobs.code, Some(1));
    assert!(jobs.aside.contains("filter.organizations does not accept"), "{}", jobs.aside);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_are_not_tracked_are_a_note() -> Result<()> {
    let place = Place::start(reader(Some(Depth::Global))).await?;
    place.dataverse.set_change_tracking("contact", false);
    let told = check(&place, &[]).await?;
    told.says("change tracking", "note", &["Track changes"]);
    assert_eq!(told.code, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_broken_connections_are_waited_out() -> Result<()> {
    let place = Place::start(reader(Some(Depth::Global))).await?;
    place.dataverse.script(Fault::throttled(Limit::Requests, 0).path("WhoAmI"));
    place.dataverse.script(Fault::new(Answer::Reset).path("EntityDefinitions"));
    let told = check(&place, &[]).await?;
    assert_eq!(told.code, Some(0), "{:#} {}", told.document, told.aside);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_answers_and_nothing_that_is_set_are_told_at_once() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    let told = check(&place, &["dataverse.url = \"http://127.0.0.1:1\""]).await?;
    assert_eq!(told.code, Some(1));
    told.says("dataverse host", "failed", &["refuses the connection"]);

    let unset = "dataverse.url = \"\"\ndataverse.identity.tenant = \"\"\ndataverse.identity.client_id = \"\"";
    let told = check(&place, &[unset]).await?;
    assert_eq!(told.code, Some(78));
    assert!(told.aside.contains("dataverse.url: is required for this"), "{}", told.aside);
    Ok(())
}
