//! The spans of a message reach a receiver of OTLP, each in its place.

use anyhow::{Context, Result};
use emulator::graph::Fault;
use opentelemetry_proto::tonic::{common::v1::any_value::Value, metrics::v1::metric::Data, trace::v1::Span};
use servicebus::{ApplicationValue, Outgoing, Queue};
use tests::world::{QUEUE, World};

use super::{PATIENCE, QUICK, change, world};
use crate::otlp::Receiver;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == key)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

async fn post(world: &World, number: u128, diagnostic_id: Option<&str>) -> Result<()> {
    let sender = world.sender()?;
    let mut message = Outgoing {
        message_id: Some(format!("m-{number}").into()),
        correlation_id: Some("5f6f4f37-0000-4000-8000-000000000001".into()),
        content_type: Some("application/json".into()),
        body: change(number, 1).body().into(),
        ..Outgoing::default()
    };
    if let Some(id) = diagnostic_id {
        message.properties.set("Diagnostic-Id", ApplicationValue::from(id));
    }
    sender.send(message).await?;
    sender.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_trace_below_its_senders_span() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = world(1).await?;
    post(&world, 1, Some(&format!("00-{TRACE}-{SENDER}-01"))).await?;
    let worker = world.start_worker(&world.layered(&[QUICK, &receiver.settings()])?)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    let spans = receiver.spans();
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).with_context(|| format!("no span {name}: {spans:?}"))
    };
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
    let root = find("process")?;
    assert_eq!(hex(&root.parent_span_id), SENDER);
    for part in ["receive", "decode", "plan", "apply", "settle"] {
        assert_eq!(find(part)?.parent_span_id, root.span_id, "{part}");
    }
    let call = find("PATCH")?;
    assert_eq!(call.parent_span_id, find("apply")?.span_id);
    assert!(attribute(call, "graph.request_id").is_some_and(|id| !id.is_empty()), "{call:?}");
    assert_eq!(attribute(call, "http.response.status_code").as_deref(), Some("204"));
    assert_eq!(attribute(root, "outcome").as_deref(), Some("applied"));
    assert_eq!(attribute(root, "messaging.destination.name").as_deref(), Some(QUEUE));
    assert_eq!(
        attribute(root, "messaging.message.conversation_id").as_deref(),
        Some("5f6f4f37-0000-4000-8000-000000000001")
    );
    let ordered = ["receive", "decode", "plan", "apply", "settle"]
        .map(|name| find(name).map(|span| span.start_time_unix_nano));
    let ordered: Vec<_> = ordered.into_iter().collect::<Result<_>>()?;
    assert!(ordered.is_sorted(), "{ordered:?}");
    assert!(spans.iter().all(|span| span.end_time_unix_nano >= span.start_time_unix_nano));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_write_is_linked_with_every_message_in_it() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = world(2).await?;
    // The first write is under way until the three that merge wait.
    world.graph.script(Fault::hold().patches());
    world.post_changes(&[change(2, 1)]).await?;
    world.post_changes(&[change(1, 1), change(1, 2), change(1, 3)]).await?;
    let layers = [QUICK, "pool.concurrency = 1", &receiver.settings()];
    let mut worker = world.start_worker(&world.layered(&layers)?)?;
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_held_messages 4\n")).await?;
    world.graph.release();
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    let spans = receiver.spans();
    let merged = spans
        .iter()
        .filter(|span| span.name == "apply" && attribute(span, "changes").as_deref() == Some("3"));
    let merged: Vec<_> = merged.collect();
    assert_eq!(merged.len(), 1, "{spans:?}");
    let roots: Vec<_> = spans.iter().filter(|span| span.name == "process").collect();
    assert_eq!(roots.len(), 4);
    assert!(roots.iter().any(|root| root.span_id == merged[0].parent_span_id));
    for link in &merged[0].links {
        let root = roots.iter().find(|root| root.span_id == link.span_id).context("a link to a message")?;
        assert_eq!(root.trace_id, link.trace_id);
        assert!(root.links.iter().any(|back| back.span_id == merged[0].span_id), "{root:?}");
    }
    assert_eq!(merged[0].links.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_does_not_sample_is_followed() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = world(1).await?;
    post(&world, 1, Some(&format!("00-{TRACE}-{SENDER}-00"))).await?;
    let worker = world.start_worker(&world.layered(&[QUICK, &receiver.settings()])?)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(receiver.spans(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_reach_the_receiver_under_the_names_of_opentelemetry_and_with_its_key() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = world(1).await?;
    post(&world, 1, None).await?;
    let worker = world.start_worker(&world.layered(&[QUICK, &receiver.settings()])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let metrics = receiver.metrics();
    let Some(Data::Sum(sum)) = &metrics["messaging.client.consumed.messages"].data else {
        panic!("{metrics:?}")
    };
    assert!(sum.is_monotonic);
    assert_eq!(sum.data_points.len(), 1);
    let Some(Data::Histogram(times)) = &metrics["http.client.request.duration"].data else {
        panic!("{metrics:?}")
    };
    assert!(times.data_points.iter().all(|point| point.count == point.bucket_counts.iter().sum::<u64>()));
    assert!(
        times.data_points.iter().all(|point| point.bucket_counts.len() == point.explicit_bounds.len() + 1)
    );
    assert_eq!(metrics["http.client.request.duration"].unit, "s");
    let (keys, unreadable) = receiver.keys();
    assert!(unreadable == 0 && !keys.is_empty() && keys.iter().all(|key| key == "secret key"), "{keys:?}");
    assert!(!log.contains("secret key"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_costs_no_message() -> Result<()> {
    let world = world(1).await?;
    post(&world, 1, None).await?;
    // Nobody listens on the reserved port 1.
    let layer = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\ntrace_ratio = 1.0\n";
    let worker = world.start_worker(&world.layered(&[QUICK, layer])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert!(log.contains("1 applied in 1 writes"), "{log}");
    Ok(())
}
