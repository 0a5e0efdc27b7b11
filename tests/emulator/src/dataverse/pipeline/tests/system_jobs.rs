//! What becomes of system jobs, with a bus that is there, refuses or is gone.

use uuid::Uuid;

use super::organization::*;
use crate::{
    broker::{EntityOptions, EntityStatus},
    dataverse::{
        pipeline::{LARGEST, RETRIES, code},
        value::{Row, Value},
        written::{Message, Written},
    },
    faults::{Action, Point, Rule},
    sas,
};

fn is_failed(jobs: &[(Uuid, Row)]) -> bool {
    jobs.iter().all(|(_, row)| state(row) == (Some(&Value::Choice(3)), Some(&Value::Choice(31))))
}

fn is_waiting(jobs: &[(Uuid, Row)]) -> bool {
    jobs.iter().all(|(_, row)| state(row) == (Some(&Value::Choice(1)), Some(&Value::Choice(10))))
}

fn error(row: &Row) -> u32 {
    match row.get("errorcode") {
        Some(Value::Int(code)) => code.cast_unsigned(),
        other => panic!("an error code: {other:?}"),
    }
}

#[tokio::test]
async fn a_job_that_succeeds_deletes_itself_if_its_step_says_so() {
    let world = World::start().await;
    world.commit(&update("Augusta"));
    world.jobs_that("the job is gone", <[_]>::is_empty).await;
    assert_eq!(world.posted(), 1);
    let step = id("sdkmessageprocessingstep", Message::Update);
    world.set("sdkmessageprocessingstep", step, "asyncautodelete", Value::Bool(false));
    world.commit(&update("Augusta"));
    let done = (Some(&Value::Choice(3)), Some(&Value::Choice(30)));
    let jobs = world.jobs_that("it stays", |jobs| jobs.iter().all(|(_, row)| state(row) == done)).await;
    assert_eq!(jobs[0].1["regardingobjectid"], named_contact());
    assert_eq!(world.posted(), 2);
}

fn named_contact() -> Value {
    Value::Lookup { table: "contact".to_owned(), id: CONTACT, name: Some("Augusta Lovelace".to_owned()) }
}

#[tokio::test]
async fn the_message_says_what_messages_of_dataverse_say() {
    let world = World::start().await;
    world.commit(&update("Augusta"));
    world.jobs_that("the job is gone", <[_]>::is_empty).await;
    let contents = world.bus.contents("contacts").expect("the queue");
    let message = &contents[0].message;
    assert_eq!(message.properties.content_type(), Some("application/json"));
    let property = |name: &str| {
        let name = format!("http://schemas.microsoft.com/xrm/2011/Claims/{name}");
        message.property(&name).map(crate::broker::id_text)
    };
    assert_eq!(property("EntityLogicalName").as_deref(), Some("contact"));
    assert_eq!(property("RequestName").as_deref(), Some("Update"));
    assert_eq!(property("Organization").as_deref(), Some("org.crm4.dynamics.com"));
    assert_eq!(property("InitiatingUser"), Some(USER.to_string()));
    assert!(message.property("MessageMaxSizeExceeded").is_none());
}

#[tokio::test]
async fn each_way_to_fail_has_its_code() {
    let cases = [
        ("no key", "saskey", Value::Null, code::CREDENTIALS_MISSING),
        ("a wrong key", "saskey", text("another"), code::NO_TOKEN),
        ("an unknown policy", "saskeyname", text("nobody"), code::NO_TOKEN),
        ("no such queue", "path", text("nowhere"), code::POST_FAILED),
        ("access control service", "authtype", Value::Choice(1), code::ACS_RETIRED),
    ];
    for (case, column, value, expected) in cases {
        let world = World::start().await;
        world.set("serviceendpoint", ENDPOINT, column, value);
        world.commit(&update("Augusta"));
        let jobs = world.jobs_that(case, is_failed).await;
        assert_eq!(error(&jobs[0].1), expected, "{case}");
        assert_eq!(world.posted(), 0, "{case}");
    }
}

#[tokio::test]
async fn a_policy_that_may_not_send_gives_no_token() {
    let world = World::start().await;
    world.bus.set_rules(vec![sas::Rule { claims: sas::Claims::LISTEN, ..sas::Rule::default() }]);
    world.commit(&update("Augusta"));
    let jobs = world.jobs_that("it fails", is_failed).await;
    assert_eq!(error(&jobs[0].1), code::NO_TOKEN);
}

#[tokio::test]
async fn a_queue_that_is_switched_off_fails_the_post() {
    let world = World::start().await;
    world.bus.broker(|broker, _| {
        let queue = broker.resolve("contacts").expect("the queue");
        broker
            .set_options(queue, EntityOptions { status: EntityStatus::Disabled, ..EntityOptions::default() })
            .expect("it is there");
    });
    world.commit(&update("Augusta"));
    let jobs = world.jobs_that("it fails", is_failed).await;
    assert_eq!(error(&jobs[0].1), code::POST_FAILED);
}

#[tokio::test]
async fn a_context_that_is_too_large_is_cut_and_then_fails() {
    let world = World::start().await;
    let mut written = update("Augusta");
    written.target.insert("description".to_owned(), text(&"x".repeat(LARGEST)));
    world.commit(&written);
    world.jobs_that("it is posted", <[_]>::is_empty).await;
    let contents = world.bus.contents("contacts").expect("the queue");
    assert!(contents[0].message.property("MessageMaxSizeExceeded").is_some());

    let tag = Some("x".repeat(LARGEST));
    world.commit(&Written { tag, ..written });
    let jobs = world.jobs_that("it fails", is_failed).await;
    assert_eq!(error(&jobs[0].1), code::TOO_LARGE);
    assert_eq!(world.posted(), 1);
}

#[tokio::test]
async fn a_network_error_is_tried_again_until_it_is_enough() {
    let world = World::start().await;
    world.set("serviceendpoint", ENDPOINT, "namespaceaddress", text("sb://localhost:1/"));
    world.commit(&update("Augusta"));
    let jobs = world.jobs_that("it fails in the end", is_failed).await;
    assert_eq!(error(&jobs[0].1), code::NETWORK);
    assert_eq!(jobs[0].1["retrycount"], Value::Int(i32::try_from(RETRIES).unwrap_or(0)));
}

#[tokio::test]
async fn a_bus_that_comes_back_gets_the_message() {
    let world = World::start().await;
    world
        .bus
        .faults()
        .add(Rule::new(Point::Send, Action::Refuse("com.microsoft:server-busy".to_owned())).times(3));
    world.commit(&update("Augusta"));
    world.jobs_that("it succeeds", <[_]>::is_empty).await;
    assert_eq!(world.posted(), 1);
}

#[tokio::test]
async fn a_post_whose_confirmation_is_lost_is_posted_again() {
    let world = World::start().await;
    world.bus.faults().add(Rule::new(Point::Sent, Action::Disconnect));
    world.commit(&update("Augusta"));
    world.jobs_that("it succeeds", <[_]>::is_empty).await;
    assert_eq!(world.posted(), 2);
}

#[tokio::test]
async fn nothing_runs_while_background_operations_are_off() {
    let world = World::start().await;
    world.pipeline.set_background_operations(false);
    world.commit(&update("Augusta"));
    // The job of another pipeline that runs beside it has been through meanwhile.
    let other = World::start().await;
    other.commit(&update("Augusta"));
    other.jobs_that("the other one is done", <[_]>::is_empty).await;
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 1);
    assert_eq!(state(&jobs[0].1), (Some(&Value::Choice(0)), Some(&Value::Choice(0))));
    world.pipeline.set_background_operations(true);
    world.jobs_that("it is done", <[_]>::is_empty).await;
    assert_eq!(world.posted(), 1);
}

#[tokio::test]
async fn a_waiting_job_that_is_resumed_runs_at_once() {
    let world = World::start_with_retry(std::time::Duration::from_hours(1)).await;
    world.bus.faults().add(Rule::new(Point::Send, Action::Disconnect));
    world.commit(&update("Augusta"));
    let jobs = world.jobs_that("it waits", is_waiting).await;
    assert_eq!(error(&jobs[0].1), code::NETWORK);
    world.set("asyncoperation", jobs[0].0, "statecode", Value::Choice(0));
    world.set("asyncoperation", jobs[0].0, "statuscode", Value::Choice(0));
    let resumed = Written { table: "asyncoperation".to_owned(), id: jobs[0].0, ..update("Augusta") };
    world.commit(&resumed);
    world.jobs_that("it is done", <[_]>::is_empty).await;
    assert_eq!(world.posted(), 1);
}
