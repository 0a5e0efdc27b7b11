//! Rules of the broker that need no wire: expiry, duplicates, forwarding, quota, sequence numbers.

use std::time::Duration;

use emulator::broker::{Broker, EntityOptions, Error, Message, Mode, Side, Target, Time, Verb, View};

const START: Time = Time::from_millis(1_000_000);

fn after(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn with(options: EntityOptions) -> Result<(Broker, Target), Error> {
    let mut broker = Broker::new(1);
    broker.add_queue("q", options, START)?;
    let queue = broker.resolve("q")?;
    Ok((broker, queue))
}

fn message(id: &str) -> Message {
    let mut message = Message::default();
    message.properties.set_message_id(id.into());
    message
}

fn reason(view: &View) -> Option<String> {
    view.message.property("DeadLetterReason").map(|value| format!("{value:?}"))
}

#[test]
fn an_expired_message_is_dropped_or_dead_lettered_as_the_queue_says() -> Result<(), Error> {
    for dead_letter_on_expiry in [false, true] {
        let ttl = Some(Duration::from_mins(1));
        let options = EntityOptions { default_ttl: ttl, dead_letter_on_expiry, ..EntityOptions::default() };
        let (mut broker, queue) = with(options)?;
        let short = Message { ttl: Some(Duration::from_secs(5)), ..message("short") };
        let long = Message { ttl: Some(Duration::from_hours(1)), ..message("long") };
        broker.send(queue, vec![short, long], START)?;
        broker.advance(after(5));
        assert_eq!(broker.counts(queue)?.active, 1);
        // The queue's own limit caps what the sender asked for.
        broker.advance(after(60));
        assert_eq!(broker.counts(queue)?.active, 0);
        let dead = broker.contents(queue.on(Side::DeadLetter))?;
        let reasons: Vec<Option<String>> = dead.iter().map(reason).collect();
        let expired = Some("String(\"TTLExpiredException\")".to_owned());
        assert_eq!(reasons, if dead_letter_on_expiry { vec![expired.clone(), expired] } else { Vec::new() });
    }
    Ok(())
}

#[test]
fn a_locked_message_does_not_expire_before_it_is_given_back() -> Result<(), Error> {
    let (mut broker, queue) =
        with(EntityOptions { lock_duration: Duration::from_mins(1), ..EntityOptions::default() })?;
    broker.send(queue, vec![Message { ttl: Some(Duration::from_secs(5)), ..message("a") }], START)?;
    let taken = broker.receive(queue, Mode::PeekLock, 1, START)?;
    broker.advance(after(30));
    assert_eq!(broker.counts(queue)?.locked, 1);
    broker.settle(queue, taken[0].token, Verb::Release, after(30))?;
    broker.advance(after(30));
    assert_eq!(broker.counts(queue)?.active, 0);
    Ok(())
}

#[test]
fn the_delivery_count_follows_the_rules_of_the_service() -> Result<(), Error> {
    let none = Vec::new;
    for (verb, expected) in [
        (Verb::Abandon { properties: none() }, 1),
        (Verb::Release, 0),
        (Verb::Defer { properties: none() }, 0),
    ] {
        let (mut broker, queue) = with(EntityOptions::default())?;
        broker.send(queue, vec![message("a")], START)?;
        let taken = broker.receive(queue, Mode::PeekLock, 1, START)?;
        broker.settle(queue, taken[0].token, verb.clone(), START)?;
        assert_eq!(broker.contents(queue)?[0].delivery_count, expected, "{verb:?}");
    }
    let (mut broker, queue) = with(EntityOptions::default())?;
    broker.send(queue, vec![message("a")], START)?;
    broker.receive(queue, Mode::PeekLock, 1, START)?;
    broker.advance(after(60));
    assert_eq!(broker.contents(queue)?[0].delivery_count, 1);
    Ok(())
}

#[test]
fn too_many_failures_lead_to_the_dead_letters_where_nothing_moves_any_more() -> Result<(), Error> {
    let (mut broker, queue) = with(EntityOptions { max_delivery_count: 2, ..EntityOptions::default() })?;
    broker.send(queue, vec![message("a")], START)?;
    for _ in 0..2 {
        let taken = broker.receive(queue, Mode::PeekLock, 1, START)?;
        broker.settle(queue, taken[0].token, Verb::Abandon { properties: Vec::new() }, START)?;
    }
    let dead = queue.on(Side::DeadLetter);
    for _ in 0..5 {
        let taken = broker.receive(dead, Mode::PeekLock, 1, START)?;
        broker.settle(dead, taken[0].token, Verb::Abandon { properties: Vec::new() }, START)?;
    }
    let left = broker.contents(dead)?;
    assert_eq!(left[0].delivery_count, 2);
    assert_eq!(reason(&left[0]).as_deref(), Some("String(\"MaxDeliveryCountExceeded\")"));
    Ok(())
}

#[test]
fn a_duplicate_is_accepted_and_dropped_within_its_window() -> Result<(), Error> {
    let window = Some(Duration::from_secs(20));
    let (mut broker, queue) = with(EntityOptions { duplicate_window: window, ..EntityOptions::default() })?;
    for (seconds, expected) in [(0, 1), (19, 1), (20, 2)] {
        broker.send(queue, vec![message("same")], after(seconds))?;
        assert_eq!(broker.counts(queue)?.active, expected, "after {seconds} s");
    }
    Ok(())
}

#[test]
fn a_scheduled_message_gets_a_new_number_when_it_appears() -> Result<(), Error> {
    let (mut broker, queue) = with(EntityOptions::default())?;
    let later = Message { scheduled: Some(after(10)), ..message("later") };
    let scheduled = broker.schedule(queue, vec![later], START)?;
    broker.send(queue, vec![message("now")], START)?;
    broker.advance(after(10));
    let taken = broker.receive(queue, Mode::PeekLock, 2, after(10))?;
    let ids: Vec<Option<String>> = taken.iter().map(|delivery| delivery.view.message.message_id()).collect();
    assert_eq!(ids, [Some("now".to_owned()), Some("later".to_owned())]);
    assert!(taken[1].view.sequence > scheduled[0]);
    assert_eq!(taken[1].view.enqueued, after(10));
    assert_eq!(
        broker.cancel_scheduled(queue, &scheduled, after(10)),
        Err(Error::MessageNotFound(scheduled[0]))
    );
    Ok(())
}

#[test]
fn a_full_queue_takes_nothing_and_a_batch_goes_in_whole_or_not_at_all() -> Result<(), Error> {
    let (mut broker, queue) = with(EntityOptions { max_size: 200, ..EntityOptions::default() })?;
    let heavy = |id| Message { encoded: Some(vec![0; 90].into()), ..message(id) };
    broker.send(queue, vec![heavy("a")], START)?;
    let full = broker.send(queue, vec![heavy("b"), heavy("c")], START);
    assert_eq!(full, Err(Error::QuotaExceeded("q".to_owned())));
    assert_eq!(broker.counts(queue)?.active, 1);
    broker.send(queue, vec![heavy("b")], START)?;
    let taken = broker.receive(queue, Mode::ReceiveAndDelete, 1, START)?;
    assert_eq!(taken.len(), 1);
    broker.send(queue, vec![heavy("c")], START)?;
    assert_eq!(broker.counts(queue)?.bytes, 180);
    Ok(())
}

#[test]
fn forwarding_follows_the_chain_and_gives_up_on_a_circle() -> Result<(), Error> {
    let mut broker = Broker::new(1);
    let to = |name: &str| EntityOptions { forward_to: Some(name.to_owned()), ..EntityOptions::default() };
    broker.add_queue("a", to("b"), START)?;
    broker.add_queue("b", to("c"), START)?;
    let dead_letters =
        EntityOptions { forward_dead_letters_to: Some("graves".into()), ..EntityOptions::default() };
    broker.add_queue("c", dead_letters, START)?;
    broker.add_queue("graves", EntityOptions::default(), START)?;
    broker.add_queue("x", to("y"), START)?;
    broker.add_queue("y", to("x"), START)?;
    let (a, c) = (broker.resolve("a")?, broker.resolve("c")?);
    broker.send(a, vec![message("m")], START)?;
    let taken = broker.receive(c, Mode::PeekLock, 1, START)?;
    let verb = Verb::DeadLetter { reason: Some("R".into()), description: None, properties: Vec::new() };
    broker.settle(c, taken[0].token, verb, START)?;
    let buried = broker.contents(broker.resolve("graves")?)?;
    assert_eq!(buried[0].dead_letter_source.as_deref(), Some("c"));
    let x = broker.resolve("x")?;
    broker.send(x, vec![message("n")], START)?;
    let lost: usize = [x, broker.resolve("y")?]
        .into_iter()
        .map(|target| broker.counts(target.on(Side::DeadLetter)).map(|counts| counts.active))
        .sum::<Result<_, _>>()?;
    assert_eq!(lost, 1);
    Ok(())
}

#[test]
fn a_removed_entity_is_gone_and_old_targets_do_no_harm() -> Result<(), Error> {
    let (mut broker, queue) = with(EntityOptions::default())?;
    broker.remove("Q")?;
    broker.add_queue("q", EntityOptions::default(), START)?;
    assert!(broker.send(queue, vec![message("a")], START).is_err());
    assert_eq!(broker.counts(broker.resolve("q")?)?.active, 0);
    Ok(())
}

#[test]
fn deleting_in_bulk_spares_what_is_held_or_set_aside() -> Result<(), Error> {
    let (mut broker, queue) = with(EntityOptions::default())?;
    broker.send(queue, vec![message("a"), message("b"), message("c"), message("d")], START)?;
    let taken = broker.receive(queue, Mode::PeekLock, 2, START)?;
    broker.settle(queue, taken[1].token, Verb::Defer { properties: Vec::new() }, START)?;
    assert_eq!(broker.delete(queue, 1, START, None, START)?, 1);
    assert_eq!(broker.delete(queue, 10, START, None, START)?, 1);
    assert_eq!(broker.contents(queue)?.len(), 2);
    Ok(())
}
