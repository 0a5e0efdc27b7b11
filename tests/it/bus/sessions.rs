//! A named session as a lock: who has it, what is kept with it, and how its end is noticed.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use emulator::{
    access::Access,
    broker::{self, EntityOptions, EntityStatus},
    bus::{Options, ServiceBus},
    faults::{Action, Point, Rule},
    journal::Event,
    sas::{self, Claims},
};
use servicebus::{
    ConnectionString, Error, LinkState, Queue, SessionError,
    amqp::{AmqpQueue, HeldSession, SessionQueue, Settings},
    clock,
};
use tests::rogue::{Behaviour, Rogue};
use tokio::time::timeout;

use super::{PATIENCE, QUEUE, is_broker, ready, requests, settings};

/// A queue with sessions.
const LOCKS: &str = "locks";
const SESSION: &str = "contacts";
const LOCK: Duration = Duration::from_secs(30);

fn options() -> Options {
    let sessions = EntityOptions { requires_session: true, lock_duration: LOCK, ..EntityOptions::default() };
    Options::default().queue(QUEUE).queue_with(LOCKS, sessions)
}

async fn start() -> Result<ServiceBus> {
    Ok(ServiceBus::start(options()).await?)
}

/// A client with a connection of its own.
fn client(bus: &ServiceBus) -> Result<SessionQueue> {
    Ok(SessionQueue::open(&Settings { entity: LOCKS.into(), ..settings(bus)? })?)
}

async fn accept(queue: &SessionQueue) -> Result<HeldSession> {
    queue.accept(SESSION).await?.context("the session is free")
}

async fn ended(held: &HeldSession) -> Result<Arc<Error>> {
    timeout(PATIENCE, held.ended()).await.context("the end of the link was not noticed")
}

fn is_released(event: &Event) -> bool {
    is_broker(event, |event| matches!(event, broker::Event::SessionReleased { .. }))
}

fn is_lost<T>(answer: &Result<T, SessionError>) -> bool {
    matches!(answer, Err(SessionError::Lost))
}

fn is_unanswered<T>(answer: &Result<T, SessionError>) -> bool {
    matches!(answer, Err(SessionError::Unanswered(_)))
}

#[tokio::test]
async fn a_session_is_held_by_one_receiver_and_each_session_by_its_own() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    let before = clock::now();
    let held = accept(&one).await?;
    let until = held.locked_until().context("the end of the lock is told")?;
    assert!(before + LOCK <= until + Duration::from_secs(1) && until <= clock::now() + LOCK, "{until}");
    // Over the same connection too.
    for asked in [&one, &other] {
        assert!(asked.accept(SESSION).await?.is_none());
    }
    let _another = other.accept("another").await?.context("it is another session")?;
    assert!(other.accept(SESSION).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn asking_again_and_again_costs_no_connection() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    let held = accept(&one).await?;
    // More often than a connection has channels.
    for _ in 0..600 {
        assert!(other.accept(SESSION).await?.is_none());
    }
    held.close().await;
    accept(&other).await?;
    assert_eq!(bus.connections().len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_is_kept_with_a_session_outlives_its_holder() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    let held = accept(&one).await?;
    assert_eq!(held.state().await?, None);
    for state in [&b"first"[..], b"", &[0xff; 1_000]] {
        held.set_state(Some(state)).await?;
        assert_eq!(held.state().await?, Some(Bytes::copy_from_slice(state)));
    }
    held.close().await;
    let held = accept(&other).await?;
    assert_eq!(held.state().await?.as_deref(), Some(&[0xff; 1_000][..]));
    held.set_state(None).await?;
    assert_eq!(held.state().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_renewed_outlasts_its_length() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    let held = accept(&one).await?;
    let mut until = held.locked_until().context("the end of the lock is told")?;
    for _ in 0..3 {
        bus.skip_time(LOCK * 2 / 3);
        let renewed = held.renew().await?;
        assert!(renewed >= until + LOCK * 2 / 3, "{until} {renewed}");
        until = renewed;
    }
    assert!(other.accept(SESSION).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_not_renewed_is_lost_and_somebody_else_has_it() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    let first = accept(&one).await?;
    first.set_state(Some(b"mine")).await?;
    bus.skip_time(LOCK * 2);
    let second = accept(&other).await?;
    let error = ended(&first).await?.to_string();
    assert!(error.contains("com.microsoft:session-lock-lost"), "{error}");
    assert!(is_lost(&first.renew().await));
    assert!(is_lost(&first.state().await));
    assert!(is_lost(&first.set_state(Some(b"still mine")).await));
    assert_eq!(second.state().await?.as_deref(), Some(&b"mine"[..]));
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_closed_is_free_at_once_and_one_that_is_dropped_soon() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    for _ in 0..20 {
        accept(&one).await?.close().await;
        accept(&other).await?.close().await;
    }
    let mark = bus.journal().mark();
    drop(accept(&one).await?);
    bus.journal().wait_after(mark, "the session is given back", is_released).await?;
    accept(&other).await?;
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_granted_to_nobody_is_given_back() -> Result<()> {
    let bus = start().await?;
    let (one, other) = (client(&bus)?, client(&bus)?);
    for _ in 0..20 {
        let mark = bus.journal().mark();
        let granted =
            |event: &Event| is_broker(event, |event| matches!(event, broker::Event::SessionAccepted { .. }));
        tokio::select! {
            // The answer is still on its way.
            biased;
            granted = bus.journal().wait_after(mark, "the session is granted", granted) => drop(granted?),
            held = one.accept(SESSION) => drop(held?),
        }
        bus.journal().wait_after(mark, "the session is given back", is_released).await?;
    }
    accept(&other).await?;
    accept_again(&one).await
}

/// That nothing is left on the connection which stands in the way.
async fn accept_again(queue: &SessionQueue) -> Result<()> {
    queue.accept("another").await?.context("nobody has it")?.close().await;
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_link_is_noticed_and_it_is_not_attached_again() -> Result<()> {
    const LOST: &str = "com.microsoft:session-lock-lost";
    const FORCED: &str = "amqp:connection:forced";
    type Breakage = fn(&ServiceBus);
    let ways: [(Breakage, &str); 3] = [
        (ServiceBus::drop_connections, "the connection"),
        (|bus| bus.close_connections(FORCED), FORCED),
        (|bus| bus.detach_links(LOCKS, LOST).expect("there is the queue"), LOST),
    ];
    for (break_it, expected) in ways {
        let bus = start().await?;
        let queue = client(&bus)?;
        let held = accept(&queue).await?;
        held.renew().await?;
        break_it(&bus);
        let error = ended(&held).await?.to_string();
        assert!(error.contains(expected), "{error}");
        for _ in 0..3 {
            assert!(is_lost(&held.renew().await), "{expected}");
        }
        let attached = |event: &Event| matches!(event, Event::Attached { address, .. } if address == LOCKS);
        assert_eq!(bus.journal().count(attached), 1, "{expected}");
        // Whoever asks for it gets it, the same client too.
        let again = accept(&queue).await?;
        again.renew().await?;
        // What was told once stays told.
        assert!(is_lost(&held.state().await), "{expected}");
    }
    Ok(())
}

#[tokio::test]
async fn with_one_connection_for_queue_and_lock_both_notice_its_end() -> Result<()> {
    let bus = start().await?;
    let queue = AmqpQueue::open(&settings(&bus)?)?;
    ready(&queue).await?;
    let locks = queue.session_queue(LOCKS);
    let held = accept(&locks).await?;
    held.set_state(Some(b"mine")).await?;
    assert_eq!(bus.connections().len(), 1);
    let mut state = queue.state();
    state.borrow_and_update();
    bus.drop_connections();
    ended(&held).await?;
    timeout(PATIENCE, state.wait_for(|state| *state != LinkState::Ready)).await??;
    ready(&queue).await?;
    let held = accept(&locks).await?;
    assert_eq!(held.state().await?.as_deref(), Some(&b"mine"[..]));
    assert_eq!(bus.connections().len(), 1);
    queue.close().await;
    ended(&held).await?;
    assert!(is_unanswered(&locks.accept(SESSION).await));
    Ok(())
}

#[tokio::test]
async fn a_refused_renewal_is_a_lost_lock_and_a_busy_service_is_none() -> Result<()> {
    let bus = start().await?;
    let held = accept(&client(&bus)?).await?;
    let refuse = |condition: &str| Rule::new(Point::Request, Action::Refuse(condition.to_owned()));
    bus.faults().add(refuse("com.microsoft:session-lock-lost").on("renew-session-lock"));
    assert!(is_lost(&held.renew().await));
    for condition in ["com.microsoft:server-busy", "amqp:internal-error", "com.microsoft:timeout"] {
        bus.faults().add(refuse(condition));
        assert!(is_unanswered(&held.renew().await), "{condition}");
        held.renew().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_question_whose_links_have_ended_is_asked_over_new_ones() -> Result<()> {
    let bus = start().await?;
    let held = accept(&client(&bus)?).await?;
    held.renew().await?;
    for asked in [1, 3] {
        assert_eq!(requests(&bus, "renew-session-lock"), asked);
        bus.faults().add(Rule::new(Point::Request, Action::Refuse("amqp:link:detach-forced".to_owned())));
        held.renew().await?;
        assert_eq!(requests(&bus, "renew-session-lock"), asked + 2);
    }
    Ok(())
}

#[tokio::test]
async fn silence_says_nothing_and_does_not_last() -> Result<()> {
    let bus = start().await?;
    let mut settings = Settings { entity: LOCKS.into(), ..settings(&bus)? };
    settings.timing.request = Duration::from_secs(1);
    let held = accept(&SessionQueue::open(&settings)?).await?;
    for point in [Point::Request, Point::Reply] {
        let withhold = || bus.faults().add(Rule::new(point, Action::Withhold));
        withhold();
        assert!(is_unanswered(&held.renew().await));
        withhold();
        assert!(is_unanswered(&held.state().await));
        withhold();
        assert!(is_unanswered(&held.set_state(Some(b"x")).await));
        held.renew().await?;
    }
    assert!(bus.faults().is_empty());
    Ok(())
}

#[tokio::test]
async fn no_answer_is_waited_for_longer_than_three_seconds() -> Result<()> {
    let bus = start().await?;
    let held = accept(&client(&bus)?).await?;
    bus.faults().add(Rule::new(Point::Request, Action::Withhold));
    let answer = timeout(PATIENCE, held.renew()).await?;
    let Err(SessionError::Unanswered(Error::Timeout { after, .. })) = answer else { bail!("{answer:?}") };
    assert_eq!(after, Duration::from_secs(3));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_away_says_nothing() -> Result<()> {
    let bus = start().await?;
    let queue = client(&bus)?;
    let held = accept(&queue).await?;
    bus.go_away(Duration::from_hours(1));
    ended(&held).await?;
    assert!(is_unanswered(&queue.accept(SESSION).await));
    bus.come_back();
    let again = async {
        while queue.accept(SESSION).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await?;
    Ok(())
}

/// What a person is told who has to mend the installation.
#[track_caller]
fn told<T>(answer: Result<Option<T>, SessionError>) -> Result<String> {
    match answer {
        Err(SessionError::Refused { what, .. }) => Ok(what.into()),
        Err(other) => bail!("not a refusal: {other:?}"),
        Ok(_) => bail!("not refused"),
    }
}

#[tokio::test]
async fn a_fault_of_the_installation_is_told_with_its_remedy() -> Result<()> {
    let disabled =
        EntityOptions { requires_session: true, status: EntityStatus::Disabled, ..EntityOptions::default() };
    let sender = sas::Rule {
        name: "sender".to_owned(),
        key: "SENDER_KEY".to_owned(),
        claims: Claims::SEND,
        entity: None,
    };
    let narrow =
        sas::Rule { name: "narrow".to_owned(), entity: Some(QUEUE.to_owned()), ..sas::Rule::default() };
    let rules = vec![sas::Rule::default(), sender.clone(), narrow.clone()];
    let access = Access { rules, ..Access::default() };
    let bus = ServiceBus::start(Options { access, ..options() }.queue_with("disabled", disabled)).await?;
    let whole = bus.connection_string();
    for (string, entity, remedy) in [
        (whole.clone(), "no-such-queue", "create it with sessions"),
        (whole.clone(), QUEUE, "has no sessions"),
        (whole.clone(), "disabled", "set its status to active"),
        (whole.replace("SAS_KEY_VALUE", "wrong"), LOCKS, "the right to listen"),
        (bus.connection_string_for(&sender), LOCKS, "the right to listen"),
        (bus.connection_string_for(&narrow), LOCKS, "the right to listen"),
    ] {
        let settings =
            Settings::from_connection_string(&ConnectionString::parse(&string)?, entity, clock::now);
        let what = told(SessionQueue::open(&settings)?.accept(SESSION).await)?;
        assert!(what.contains(remedy) && what.contains(entity), "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_names_another_session_or_none_has_granted_nothing() -> Result<()> {
    for session in [None, Some("another".to_owned()), Some(String::new())] {
        let rogue = Rogue::start(Behaviour { session, ..Behaviour::default() }).await?;
        let parsed = ConnectionString::parse(&rogue.connection_string())?;
        let settings = Settings::from_connection_string(&parsed, LOCKS, clock::now);
        let answer = SessionQueue::open(&settings)?.accept(SESSION).await;
        assert!(matches!(answer, Err(SessionError::Unanswered(Error::Protocol { .. }))));
    }
    Ok(())
}

#[tokio::test]
async fn answers_without_what_was_asked_for_say_nothing() -> Result<()> {
    let rogue = Rogue::start(Behaviour { session: Some(SESSION.to_owned()), ..Behaviour::default() }).await?;
    let parsed = ConnectionString::parse(&rogue.connection_string())?;
    let queue = SessionQueue::open(&Settings::from_connection_string(&parsed, LOCKS, clock::now))?;
    let held = accept(&queue).await?;
    assert_eq!(held.locked_until(), None);
    assert!(is_unanswered(&held.renew().await));
    assert!(is_unanswered(&held.state().await));
    held.set_state(None).await?;
    // By that the service knows who asks, and does not take the link for idle.
    assert_eq!(rogue.seen().associated, 3);
    held.close().await;
    assert_eq!(rogue.seen().detached, 1);
    Ok(())
}
