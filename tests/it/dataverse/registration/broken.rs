//! Registrations that are broken in Dataverse, named over the wire and put right.

use anyhow::Result;
use emulator::{
    ca::Ca,
    dataverse::{self, Dataverse},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Ground, Place, kinds};

/// A set, how its row is found, what is written to it, and what that is called.
type Case = (&'static str, fn(&Ground) -> Result<Uuid>, fn() -> Value, &'static str);

const ENDPOINTS: &str = "serviceendpoints";
const STEPS: &str = "sdkmessageprocessingsteps";
const IMAGES: &str = "sdkmessageprocessingstepimages";

const CASES: &[Case] = &[
    (STEPS, |at| at.step("Update"), || json!({"statecode": 1, "statuscode": 2}), "step-disabled"),
    (STEPS, |at| at.step("Update"), || json!({"filteringattributes": null}), "filter-empty"),
    (STEPS, |at| at.step("Update"), || json!({"filteringattributes": "firstname"}), "filter-lacks-link"),
    (STEPS, |at| at.step("Create"), || json!({"asyncautodelete": false}), "step-keeps-jobs"),
    (STEPS, |at| at.step("Update"), || json!({"supporteddeployment": 1}), "step-deployment"),
    (STEPS, |at| at.step("Update"), || json!({"sdkmessagefilterid": null}), "step-every-table"),
    (IMAGES, |at| at.image("Update", "PostImage"), || json!({"attributes": null}), "image-all-columns"),
    (
        IMAGES,
        |at| at.image("Update", "PostImage"),
        || json!({"attributes": "adx_identity_passwordhash,firstname"}),
        "image-secret",
    ),
    (IMAGES, |at| at.image("Create", "PostImage"), || json!({"attributes": "firstname"}), "image-lacks-link"),
    (IMAGES, |at| at.image("Update", "PostImage"), || json!({"imagetype": 0}), "image-missing"),
    (ENDPOINTS, Ground::endpoint, || json!({"path": "other"}), "wrong-queue"),
    (ENDPOINTS, Ground::endpoint, || json!({"namespaceaddress": "sb://x.example/"}), "wrong-namespace"),
    (ENDPOINTS, Ground::endpoint, || json!({"contract": 5}), "wrong-contract"),
    (ENDPOINTS, Ground::endpoint, || json!({"userclaim": 3}), "user-claim"),
    (ENDPOINTS, Ground::endpoint, || json!({"authtype": 3}), "wrong-access"),
    (ENDPOINTS, Ground::endpoint, || json!({"description": null}), "endpoint-unmarked"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_named_and_put_right() -> Result<()> {
    let ground = Ground::new().await?;
    ground.register().await?;
    for (set, find, columns, kind) in CASES {
        ground.write(set, find(&ground)?, &columns())?;
        let found = ground.kinds().await?;
        assert!(found.iter().any(|one| one == kind), "{kind}: {found:?}");
        let told = ground.register().await?;
        assert_eq!(kinds(&told), [""; 0], "{kind}: {told:#}");
    }
    for (message, gone) in [("Create", "step-missing"), ("Update", "step-missing")] {
        let step = ground.step(message)?;
        ground
            .place
            .dataverse
            .delete(STEPS, step)
            .map_err(|refusal| anyhow::anyhow!("{}", refusal.message))?;
        assert_eq!(ground.kinds().await?, [gone], "{message}");
        ground.register().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_environment_is_told_and_not_taken_over_unasked() -> Result<()> {
    let original = Ground::new().await?;
    original.register().await?;
    let options = dataverse::Options {
        organization: Uuid::from_u128(0xc0),
        kind: "CustomerTest".to_owned(),
        ..dataverse::Options::default()
    };
    let Place { world, dataverse } = original.place;
    let copy: Dataverse = dataverse.start_copy(options, &Ca::new()?, &world.graph).await?;
    let place = Place { world, dataverse: copy };
    let settings = place.world.settings(&place.layer())?;
    let ground = Ground { place, settings };
    let (code, told) = ground.told(&["verify"]).await?;
    assert_eq!((code, kinds(&told)), (Some(1), vec!["other-organization".into(), "not-production".into()]));
    let refused = ground.run(&["register", "--apply"]).await?;
    let said = super::text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("--allow-shared-queue"), "{said}");
    let (code, told) = ground.told(&["register", "--apply", "--allow-shared-queue"]).await?;
    assert_eq!((code, kinds(&told)), (Some(0), vec!["not-production".to_owned()]), "{told:#}");
    Ok(())
}
