//! What an administrator finds among the system jobs when nothing arrives.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    dataverse::{
        pipeline::{code, format::Format},
        value::{Row, Value},
    },
    faults::{Action, Point, Rule},
};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tests::{
    PATIENCE,
    organization::{ENDPOINT, Organization, UPDATE_STEP},
    quick::contact,
    world::{Options, QUEUE, World},
};
use uuid::Uuid;

struct Broken {
    world: World,
    organization: Organization,
}

impl Broken {
    /// A registered organization whose endpoint says this instead.
    async fn start(endpoint: Json) -> Result<Self> {
        let world = World::start(Options::default()).await?;
        let organization = Organization::start(&world).await?;
        organization.register(&world, Format::Json)?;
        organization.write("serviceendpoints", ENDPOINT, endpoint)?;
        Ok(Self { world, organization })
    }

    async fn job(&self, state: i32, status: i32) -> Result<(Uuid, Row)> {
        let wanted = |row: &Row| {
            row.get("statecode") == Some(&Value::Choice(state))
                && row.get("statuscode") == Some(&Value::Choice(status))
        };
        Ok(self.organization.dataverse.wait_for_row("asyncoperation", PATIENCE, wanted).await?)
    }
}

fn error(row: &Row) -> u32 {
    match row.get("errorcode") {
        Some(Value::Int(code)) => code.cast_unsigned(),
        other => panic!("an error code: {other:?}"),
    }
}

#[tokio::test]
async fn each_fault_of_an_endpoint_fails_the_job_with_its_code() -> Result<()> {
    let cases = [
        (json!({"saskey": null}), code::CREDENTIALS_MISSING),
        (json!({"saskey": "another"}), code::NO_TOKEN),
        (json!({"path": "nowhere"}), code::POST_FAILED),
        (json!({"namespaceaddress": "sb://localhost:1/"}), code::NETWORK),
    ];
    for (endpoint, expected) in cases {
        let broken = Broken::start(endpoint.clone()).await?;
        broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
        let (_, job) = broken.job(3, 31).await?;
        assert_eq!(error(&job), expected, "{endpoint}");
        assert_eq!(broken.world.bus.counts(QUEUE)?.active, 0);
        let words = format!("{:?} {:?}", job.get("message"), job.get("friendlymessage"));
        assert!(!words.contains("another") && !words.contains("Byron"), "{words}");
    }
    Ok(())
}

#[tokio::test]
async fn a_waiting_job_is_resumed_by_the_web_api() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let organization = Organization::start_with_retry(&world, Duration::from_hours(1)).await?;
    let broken = Broken { world, organization };
    broken.organization.register(&broken.world, Format::Json)?;
    let busy = Action::Refuse("com.microsoft:server-busy".to_owned());
    broken.world.bus.faults().add(Rule::new(Point::Send, busy));
    broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
    let (job, row) = broken.job(1, 10).await?;
    assert_eq!((error(&row), row.get("retrycount")), (code::COMMUNICATION, Some(&Value::Int(1))));
    assert_eq!(broken.world.bus.counts(QUEUE)?.active, 0);

    let resume = json!({"statecode": 0, "statuscode": 0});
    broken.organization.request(Method::PATCH, &format!("asyncoperations({job})"), Some(&resume)).await?;
    broken.organization.dataverse.wait_for_rows("asyncoperation", PATIENCE, <[_]>::is_empty).await?;
    assert_eq!(broken.world.bus.counts(QUEUE)?.active, 1);
    Ok(())
}

#[tokio::test]
async fn while_background_operations_are_off_jobs_stay_ready() -> Result<()> {
    let broken = Broken::start(json!({})).await?;
    broken.organization.dataverse.set_background_operations(false);
    broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
    broken.job(0, 0).await?;
    assert_eq!(broken.world.bus.counts(QUEUE)?.active, 0);
    broken.organization.dataverse.set_background_operations(true);
    broken.organization.dataverse.wait_for_rows("asyncoperation", PATIENCE, <[_]>::is_empty).await?;
    assert_eq!(broken.world.bus.counts(QUEUE)?.active, 1);
    Ok(())
}

#[tokio::test]
async fn a_step_that_does_not_fire_leaves_no_job() -> Result<()> {
    let broken = Broken::start(json!({})).await?;
    let columns = json!({"filteringattributes": "firstname,lastname"});
    broken.organization.write("sdkmessageprocessingsteps", UPDATE_STEP, columns)?;
    broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
    broken.organization.change(contact(1), &json!({"jobtitle": "Countess"})).await?;
    broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
    broken.organization.dataverse.wait_for_rows("asyncoperation", PATIENCE, <[_]>::is_empty).await?;
    // The creation and the second change, which set the same value again.
    assert_eq!(broken.world.bus.counts(QUEUE)?.active, 2);
    Ok(())
}

#[tokio::test]
async fn a_job_that_failed_cannot_be_resumed() -> Result<()> {
    let broken = Broken::start(json!({"saskey": null})).await?;
    broken.organization.change(contact(1), &json!({"lastname": "Byron"})).await?;
    let (job, _) = broken.job(3, 31).await?;
    let path = format!("asyncoperations({job})");
    let resume = json!({"statecode": 0, "statuscode": 0});
    let refused = broken.organization.request(Method::PATCH, &path, Some(&resume)).await;
    let words = refused.expect_err("it is dead").to_string();
    assert!(words.contains("0x80044162"), "{words}");
    broken.organization.request(Method::DELETE, &path, None).await?;
    assert!(broken.organization.dataverse.rows("asyncoperation").is_empty());
    Ok(())
}
