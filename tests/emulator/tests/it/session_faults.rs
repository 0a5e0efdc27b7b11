//! What befalls the holder of a session: the network is gone, the lock is lost early; and what the journal tells.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    broker::{Event as Broker, Holder},
    bus::ServiceBus,
    journal::Event,
};
use serde_amqp::Value;

use crate::{
    admin::{authority, call},
    client::{Client, DETACH, TRANSFER},
    sessions::{ASK, Ask, connect_as, locked_until, lost, session_link, start, status},
};

const CANNOT_BE_LOCKED: &str = "com.microsoft:session-cannot-be-locked";

/// Asks for the session `x` and returns the condition of the refusal, if it is refused.
async fn take(client: &mut Client, handle: u32) -> Result<Option<String>> {
    let attach = client.attach(&session_link(handle, "x".into(), 1_000)).await?;
    if attach.field(5) != &Value::Null {
        return Ok(None);
    }
    Ok(Some(client.expect(DETACH).await?.condition(2)))
}

fn operations(bus: &ServiceBus, connection: u64) -> usize {
    let of = |event: &Event| matches!(event, Event::Request { connection: by, .. } if *by == connection);
    bus.journal().count(of)
}

#[tokio::test]
async fn a_silent_client_holds_its_session_until_the_lock_lapses() -> Result<()> {
    let bus = start().await?;
    let (mut first, mut second) = (connect_as(&bus, "first").await?, connect_as(&bus, "second").await?);
    assert_eq!(take(&mut first, 1).await?, None);
    let silenced = bus.silence_container("first");
    assert_eq!(silenced, [bus.session_holder("s", "x")?.expect("it is held").connection]);
    first.drop_unread();
    ASK.send(&mut first).await?;
    assert_eq!(take(&mut second, 1).await?.as_deref(), Some(CANNOT_BE_LOCKED));
    assert_eq!(operations(&bus, silenced[0]), 0, "the renewal was not read");
    bus.skip_time(Duration::from_mins(1));
    assert_eq!(take(&mut second, 1).await?, None);
    assert!(!first.drop_unread(), "the silent client was told something");
    let until = locked_until(&bus);
    bus.skip_time(Duration::from_secs(1));
    // The network is back: only now does the first one learn of all that, and its renewal comes far too late.
    bus.restore_connections();
    assert_eq!(first.news().await?.condition(2), "com.microsoft:session-lock-lost");
    assert_eq!(status(&first.until(TRANSFER).await?), lost());
    assert_eq!(locked_until(&bus), until);
    Ok(())
}

#[tokio::test]
async fn a_silent_client_that_goes_away_is_not_missed() -> Result<()> {
    let bus = start().await?;
    let (mut first, mut second) = (connect_as(&bus, "first").await?, connect_as(&bus, "second").await?);
    assert_eq!(take(&mut first, 1).await?, None);
    assert_eq!(bus.silence_holder("s", "y")?, None);
    let silent = bus.silence_holder("s", "x")?.expect("it is held");
    drop(first);
    for handle in 1..20 {
        assert_eq!(take(&mut second, handle).await?.as_deref(), Some(CANNOT_BE_LOCKED));
    }
    assert!(bus.connections().contains(&silent));
    // Cut by the service, it is gone, and so is what it held.
    bus.drop_connections();
    let of = |event: &Event| matches!(event, Event::Broker(Broker::SessionReleased { .. }));
    bus.journal().wait_for("the release", of).await?;
    assert_eq!(take(&mut connect_as(&bus, "third").await?, 1).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_freed_session_is_had_at_once_and_its_old_link_is_not_told() -> Result<()> {
    let bus = start().await?;
    let (mut first, mut second) = (connect_as(&bus, "first").await?, connect_as(&bus, "second").await?);
    assert_eq!(take(&mut first, 1).await?, None);
    assert_eq!(bus.free_session("s", "x")?.map(|holder| holder.container), Some("first".into()));
    assert_eq!(bus.free_session("s", "x")?, None);
    assert_eq!(take(&mut second, 1).await?, None);
    let until = locked_until(&bus);
    bus.skip_time(Duration::from_secs(1));
    for operation in ["renew-session-lock", "set-session-state", "get-session-state"] {
        for link in [None, Some("link-1")] {
            Ask { operation, link, ..ASK }.send(&mut first).await?;
            // What comes is the answer, not a detach.
            let answer = first.news().await?;
            assert_eq!((answer.code, status(&answer)), (TRANSFER, lost()), "{operation} {link:?}");
        }
    }
    assert_eq!(locked_until(&bus), until);
    assert_eq!(ASK.of(&mut second).await?, (200, None));
    Ok(())
}

#[tokio::test]
async fn a_freed_session_may_be_had_again_on_the_same_connection() -> Result<()> {
    let bus = start().await?;
    let mut client = connect_as(&bus, "first").await?;
    assert_eq!(take(&mut client, 1).await?, None);
    bus.free_session("s", "x")?;
    assert_eq!(take(&mut client, 2).await?, None);
    for (link, answer) in [(None, (200, None)), (Some("link-2"), (200, None)), (Some("link-1"), lost())] {
        assert_eq!(Ask { link, ..ASK }.of(&mut client).await?, answer, "{link:?}");
    }
    // The end of the old link takes nothing from the new one.
    client.write(DETACH, vec![Value::Uint(1), Value::Bool(true)], &[]).await?;
    client.until(DETACH).await?;
    assert_eq!(ASK.of(&mut client).await?, (200, None));
    bus.skip_time(Duration::from_mins(1));
    let detach = client.news().await?;
    assert_eq!((detach.number(0), detach.condition(2).as_str()), (2, "com.microsoft:session-lock-lost"));
    Ok(())
}

#[tokio::test]
async fn both_faults_are_there_over_http() -> Result<()> {
    let bus = start().await?;
    let (mut first, mut second) = (connect_as(&bus, "first").await?, connect_as(&bus, "second").await?);
    let post = async |action: &str| {
        let path = format!("/$emulator/{action}");
        anyhow::Ok(call(&authority(&bus), "POST", &path, "", "").await?.0)
    };
    assert_eq!(post("free-session?address=s&session=x").await?, 404);
    assert_eq!(post("silence?address=s&session=x").await?, 404);
    assert_eq!(post("silence?container=nobody").await?, 404);
    assert_eq!((post("silence").await?, post("free-session?address=s").await?), (400, 400));
    assert_eq!(take(&mut first, 1).await?, None);
    assert_eq!(post("free-session?address=s&session=x").await?, 204);
    assert_eq!(take(&mut second, 1).await?, None);
    assert_eq!(post("silence?address=s&session=x").await?, 204);
    assert_eq!(post("silence?container=first").await?, 204);
    ASK.send(&mut second).await?;
    let silenced = |event: &Event| matches!(event, Event::Silenced { .. });
    assert_eq!(bus.journal().count(silenced), 2);
    assert_eq!(post("restore").await?, 204);
    assert_eq!(status(&second.expect(TRANSFER).await?), (200, None));
    Ok(())
}

#[tokio::test]
async fn the_journal_tells_what_became_of_a_session_and_by_whom() -> Result<()> {
    let bus = start().await?;
    let (mut first, mut second) = (connect_as(&bus, "first").await?, connect_as(&bus, "second").await?);
    take(&mut first, 1).await?;
    take(&mut second, 3).await?;
    ASK.of(&mut first).await?;
    let state = Value::Binary(b"mine".to_vec().into());
    Ask { operation: "set-session-state", state, ..ASK }.of(&mut first).await?;
    first.write(DETACH, vec![Value::Uint(1), Value::Bool(true)], &[]).await?;
    first.until(DETACH).await?;
    take(&mut second, 3).await?;
    bus.free_session("s", "x")?;
    take(&mut first, 2).await?;
    bus.skip_time(Duration::from_mins(1));
    let opened = |container: &str| {
        bus.journal().all().into_iter().find_map(|event| match event {
            Event::Opened { connection, container: by } if by == container => Some(connection),
            _ => None,
        })
    };
    let (one, two) = (opened("first"), opened("second"));
    let by = |holder: &Holder| {
        let known = if &*holder.container == "first" { one } else { two };
        assert_eq!(Some(holder.connection), known);
        format!("{} {}", holder.container, holder.link)
    };
    let told: Vec<String> = bus
        .journal()
        .all()
        .iter()
        .filter_map(|event| {
            let Event::Broker(event) = event else { return None };
            Some(match event {
                Broker::SessionAccepted { holder, .. } => format!("accepted by {}", by(holder)),
                Broker::SessionRefused { holder, held_by, .. } => {
                    format!("refused to {}, held by {}", by(holder), by(held_by))
                }
                Broker::SessionRenewed { holder, .. } => format!("renewed by {}", by(holder)),
                Broker::SessionStateSet { holder, state, .. } => {
                    format!("set by {} to {} bytes", by(holder), state.iter().flatten().count())
                }
                Broker::SessionReleased { holder, .. } => format!("released by {}", by(holder)),
                Broker::SessionFreed { holder, .. } => format!("taken from {}", by(holder)),
                Broker::SessionLapsed { holder, .. } => format!("lapsed of {}", by(holder)),
                _ => return None,
            })
        })
        .collect();
    let expected = [
        "accepted by first link-1",
        "refused to second link-3, held by first link-1",
        "renewed by first link-1",
        "set by first link-1 to 4 bytes",
        "released by first link-1",
        "accepted by second link-3",
        "taken from second link-3",
        "accepted by first link-2",
        "lapsed of first link-2",
    ];
    assert_eq!(told, expected);
    Ok(())
}
