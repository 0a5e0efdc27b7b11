//! A registration that is cut off, and the next run.

use std::process::Stdio;

use anyhow::Result;
use emulator::dataverse::{Answer, Fault};
use serde_json::json;

use super::{ENDPOINT, Ground, IMAGE, STEP, kinds, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_completes_what_was_cut_off_anywhere() -> Result<()> {
    let ground = Ground::new().await?;
    // The answer to one write is lost; whether it was carried out makes no difference.
    for (method, skip, apply) in
        [("POST", 0, true), ("POST", 1, true), ("POST", 2, false), ("POST", 3, true), ("POST", 5, true)]
    {
        let fault = Fault { method: Some(method.to_owned()), skip, apply, ..Fault::new(Answer::Reset) };
        ground.place.dataverse.script(fault);
        let cut = ground.run(&["register", "--apply"]).await?;
        let said = text(&cut.stderr);
        assert_eq!(cut.status.code(), Some(1), "{skip}: {said}");
        assert!(said.contains("the same command goes on from there"), "{skip}: {said}");
        ground.place.dataverse.clear_faults();
        let told = ground.register().await?;
        assert_eq!(kinds(&told), [""; 0], "{skip}: {told:#}");
        assert_eq!([ENDPOINT, STEP, IMAGE].map(|table| ground.count(table)), [1, 2, 3], "{skip}");
        let (code, _) = ground.told(&["unregister", "--apply"]).await?;
        assert_eq!(code, Some(0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_completed_by_the_next() -> Result<()> {
    let ground = Ground::new().await?;
    let hang = Fault {
        method: Some("POST".to_owned()),
        path: Some("sdkmessageprocessingstepimages".to_owned()),
        ..Fault::new(Answer::Hang)
    };
    ground.place.dataverse.script(hang);
    let mut child = ground.command(&["register", "--apply"])?.stdout(Stdio::null()).spawn()?;
    let patience = tests::PATIENCE;
    ground.place.dataverse.wait_for_entry(patience, |entry| entry.fault.is_some()).await?;
    child.kill().await?;
    ground.place.dataverse.clear_faults();
    let found = ground.kinds().await?;
    assert!(
        found.iter().any(|kind| kind == "image-missing") && found.iter().any(|kind| kind == "step-disabled")
    );
    let told = ground.register().await?;
    assert_eq!((kinds(&told).len(), &told["ok"]), (0, &json!(true)));
    assert_eq!([ENDPOINT, STEP, IMAGE].map(|table| ground.count(table)), [1, 2, 3]);
    Ok(())
}
