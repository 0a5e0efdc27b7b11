//! Row by row: what happens to one replica, and what follows.

use super::*;

pub(super) fn at(seconds: f64) -> Clocks {
    let wall = Timestamp::from_second(1_790_000_000).expect("a time");
    Clocks {
        monotonic: MonotonicTime::after_start(Duration::from_secs_f64(seconds.max(0.0))),
        wall: wall + jiff::SignedDuration::from_secs_f64(seconds),
    }
}

pub(super) fn wait(seconds: f64) -> Step<LeaseAction> {
    Step::Wait(Some(at(seconds).monotonic))
}

pub(super) fn holder(name: &str) -> Holder {
    Holder { name: name.into(), settings: "9f3a".into(), version: "0.9.0".into() }
}

pub(super) fn budget(rate: f64) -> Budget {
    Budget { rate, tokens: 4.0 }
}

/// The record that another replica left, written at that time.
pub(super) fn left_by_another(clean: bool, seconds: f64) -> LeaseRecord {
    LeaseRecord {
        term: 16,
        holder: holder("other"),
        since: at(0.0).wall,
        clean,
        budget: Some(budget(10.0)),
        at: at(seconds).wall,
        others: Map::new(),
    }
}

pub(super) fn start() -> Lease {
    Lease::new(LeasePolicy::default(), holder("us"), at(0.0))
}

pub(super) fn events(lease: &mut Lease) -> Vec<LeaseEvent> {
    std::iter::from_fn(|| lease.event()).collect()
}

/// Answers everything well at once; returns what was written.
pub(super) fn answer(lease: &mut Lease, state: Option<&str>, now: Clocks) -> Vec<LeaseRecord> {
    let mut written = Vec::new();
    while let Step::Do(action) = lease.next(now) {
        match action {
            LeaseAction::Accept => lease.accepted(Accepted::Granted, now, 0.5),
            LeaseAction::ReadRecord => {
                lease.record_read(LeaseAnswer::Answered(state.map(str::as_bytes)), now);
            }
            LeaseAction::WriteRecord(record) => {
                written.push(record);
                lease.record_written(LeaseAnswer::Answered(()), now);
            }
            LeaseAction::Renew => lease.renewed(LeaseAnswer::Answered(()), now),
            LeaseAction::Close => lease.closed(),
        }
    }
    written
}

/// A holder since the start, and its record.
pub(super) fn holding() -> (Lease, String) {
    let mut lease = start();
    let clean = left_by_another(true, 0.0).to_json();
    let record = answer(&mut lease, Some(&clean), at(0.0)).remove(0);
    assert_eq!((lease.role(at(0.0)), lease.term()), (Role::Writer, Some(17)));
    events(&mut lease);
    (lease, record.to_json())
}

pub(super) fn send(lease: &mut Lease, action: &LeaseAction, now: Clocks) {
    assert_eq!(lease.next(now), Step::Do(action.clone()));
}

#[test]
fn a_standby_asks_about_every_two_seconds_and_is_silent_about_it() {
    for (jitter, later) in [(0.0, 1.5), (0.5, 2.0), (1.0, 2.5)] {
        let mut lease = start();
        send(&mut lease, &LeaseAction::Accept, at(0.0));
        assert_eq!(lease.next(at(0.0)), Step::Wait(None), "one request at a time");
        lease.accepted(Accepted::HeldByAnother, at(0.0), jitter);
        assert_eq!(lease.next(at(0.0)), wait(later));
        assert_eq!((lease.role(at(0.0)), lease.held_by_another()), (Role::Standby, Some(at(0.0).monotonic)));
        assert_eq!((lease.event(), lease.fence(), lease.term()), (None, Fence::Shut, None));
    }
}

#[test]
fn a_fault_of_the_installation_is_told_and_asked_about_ever_less_often() {
    let mut lease = start();
    let mut now = 0.0;
    for pause in [4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        lease.alive(at(now));
        send(&mut lease, &LeaseAction::Accept, at(now));
        lease.accepted(Accepted::Refused("no sessions".into()), at(now), 1.0);
        assert_eq!(lease.next(at(now)), wait(now + pause));
        assert_eq!(lease.fault(), Some("no sessions"));
        now += pause;
    }
    lease.alive(at(now));
    send(&mut lease, &LeaseAction::Accept, at(now));
    lease.accepted(Accepted::Granted, at(now), 1.0);
    assert_eq!((lease.fault(), lease.role(at(now))), (None, Role::Entering));
}

#[test]
fn who_finds_a_goodbye_writes_at_once() {
    let mut lease = start();
    let clean = left_by_another(true, -2.0);
    let written = answer(&mut lease, Some(&clean.to_json()), at(0.0));
    assert_eq!((written.len(), written[0].term, written[0].clean), (1, 17, false));
    let [LeaseEvent::Entered { term: 17, predecessor, budget, unclean: false, looks_until, .. }, rest @ ..] =
        &events(&mut lease)[..]
    else {
        panic!("a term of a successor")
    };
    assert_eq!(*budget, Some(Budget { rate: 10.0, tokens: 24.0 }), "and two seconds of its rate");
    assert_eq!((predecessor, *looks_until), (&Some(Box::new(clean)), MonotonicTime::START));
    assert_eq!(rest, [LeaseEvent::Holding]);
    assert!(lease.fence().holds(at(0.0)) && !lease.fence().holds(at(10.0)));
}

#[test]
fn who_finds_none_waits_and_then_looks_twice() {
    let later = "{\"v\":2,\"term\":16,\"x\":1}";
    let unclean = left_by_another(false, -2.0).to_json();
    for (state, term) in [(&*unclean, 17), (later, 17), ("no JSON", 1)] {
        let mut lease = start();
        send(&mut lease, &LeaseAction::Accept, at(0.0));
        // The quiet time counts from the grant, the lease from the request.
        lease.accepted(Accepted::Granted, at(1.0), 0.0);
        answer(&mut lease, Some(state), at(1.0));
        let told = events(&mut lease);
        let [LeaseEvent::Entered { quiet_until, looks_until, budget, unclean: true, .. }] = &told[..] else {
            panic!("{state}: {told:?}")
        };
        assert_eq!((*quiet_until, *looks_until), (at(11.25).monotonic, at(41.25).monotonic), "{state}");
        assert!(budget.is_none_or(|budget| budget.tokens <= 1.0));
        for second in [3.0, 6.0, 9.0] {
            lease.alive(at(second));
            answer(&mut lease, None, at(second));
        }
        assert_eq!((lease.role(at(11.2)), lease.term()), (Role::Entering, Some(term)), "{state}");
        assert!(!lease.fence().holds(at(11.2)) && lease.fence().holds(at(11.25)));
        lease.next(at(11.25));
        assert_eq!((events(&mut lease), lease.role(at(11.25))), (vec![LeaseEvent::Holding], Role::Writer));
    }
}

#[test]
fn three_renewals_without_an_answer_make_doubt_and_more_lose_the_lease() {
    let (mut lease, _) = holding();
    for (second, doubts) in [(3.0, 0), (6.0, 0), (9.0, 0), (12.0, 1), (15.0, 0), (18.0, 0)] {
        lease.alive(at(second));
        send(&mut lease, &LeaseAction::Renew, at(second));
        let told = events(&mut lease);
        assert_eq!(told, vec![LeaseEvent::Doubting(DoubtCause::Unanswered); doubts], "at {second} s");
        lease.renewed(LeaseAnswer::Unanswered, at(second + 2.9));
    }
    lease.next(at(20.0));
    assert_eq!(events(&mut lease), [LeaseEvent::Lost(DoubtCause::Unanswered)]);
}

#[test]
fn an_answer_ends_a_doubt_and_counts_from_its_request() {
    let (mut lease, _) = holding();
    lease.alive(at(9.0));
    send(&mut lease, &LeaseAction::Renew, at(9.0));
    assert_eq!((lease.role(at(9.9)), lease.role(at(10.0))), (Role::Writer, Role::Doubting));
    assert_eq!(lease.next(at(10.0)), wait(20.0));
    lease.renewed(LeaseAnswer::Answered(()), at(11.0));
    let told = [LeaseEvent::Doubting(DoubtCause::Unanswered), LeaseEvent::Resumed];
    assert_eq!((events(&mut lease), lease.term()), (told.to_vec(), Some(17)));
    assert!(lease.fence().holds(at(18.9)) && !lease.fence().holds(at(19.0)));
    assert_eq!(lease.fence().left(at(18.0)), Duration::from_secs(1));
}

#[test]
fn who_slept_looks_at_both_clocks_first() {
    let (monotonic, wall) = (at(60.0).monotonic, at(60.0).wall);
    for now in [Clocks { monotonic, ..at(1.0) }, Clocks { wall, ..at(1.0) }] {
        let (mut lease, _) = holding();
        assert!(!lease.fence().holds(now), "even before anybody asks the lease");
        send(&mut lease, &LeaseAction::Close, now);
        let [LeaseEvent::Doubting(_), LeaseEvent::Lost(_)] = events(&mut lease)[..] else {
            panic!("the lease is lost by {now:?}")
        };
    }
    let (mut lease, _) = holding();
    lease.alive(at(3.0));
    let forward = Clocks { wall: at(15.0).wall, ..at(3.0) };
    send(&mut lease, &LeaseAction::Renew, forward);
    lease.renewed(LeaseAnswer::Answered(()), forward);
    assert_eq!(events(&mut lease).len(), 2, "a clock set forward is a doubt until the next renewal");
    let back = Clocks { wall: at(0.0).wall, ..at(13.0) };
    assert!(!lease.fence().holds(back), "one that is set back is not believed");
}

#[test]
fn a_link_that_ends_is_replaced_at_once_and_the_record_decides() {
    let other = left_by_another(false, 0.0).to_json();
    for (state, resumes) in [(None, true), (Some(&*other), false), (Some("damaged"), false)] {
        let (mut lease, own) = holding();
        let own_of_another_term = own.replace("\"term\":17", "\"term\":18");
        lease.link_ended(at(4.0));
        assert_eq!(events(&mut lease), [LeaseEvent::Doubting(DoubtCause::LinkEnded)]);
        assert_eq!((lease.fence(), lease.role(at(4.0))), (Fence::Shut, Role::Doubting));
        send(&mut lease, &LeaseAction::Accept, at(4.0));
        lease.accepted(Accepted::Granted, at(4.1), 0.0);
        assert_eq!(lease.fence(), Fence::Shut, "not before the record was read");
        answer(&mut lease, Some(state.unwrap_or(&own)), at(4.2));
        let told = if resumes { LeaseEvent::Resumed } else { LeaseEvent::Lost(DoubtCause::HeldByAnother) };
        assert_eq!(events(&mut lease), [told]);
        assert_eq!(lease.term(), resumes.then_some(17));
        if resumes {
            assert!(lease.fence().holds(at(13.9)) && !lease.fence().holds(at(14.0)), "from the attach on");
            lease.link_ended(at(5.0));
            answer(&mut lease, Some(&own_of_another_term), at(5.0));
            assert_eq!(lease.term(), None, "of another term is not ours");
        }
    }
}

#[test]
fn a_session_that_another_has_taken_is_lost_at_once() {
    let (mut lease, _) = holding();
    lease.link_ended(at(4.0));
    send(&mut lease, &LeaseAction::Accept, at(4.0));
    lease.accepted(Accepted::HeldByAnother, at(4.1), 0.5);
    let told = [LeaseEvent::Doubting(DoubtCause::LinkEnded), LeaseEvent::Lost(DoubtCause::HeldByAnother)];
    assert_eq!(events(&mut lease), told);
    assert_eq!(lease.next(at(9.0)), Step::Wait(None), "all must be given back first");
    lease.given_back(false, at(9.0));
    send(&mut lease, &LeaseAction::Accept, at(9.0));
}

#[test]
fn a_refused_renewal_is_doubt_at_once_and_the_link_goes() {
    let (mut lease, own) = holding();
    send(&mut lease, &LeaseAction::Renew, at(3.0));
    lease.renewed(LeaseAnswer::Lost, at(3.1));
    assert_eq!(lease.fence(), Fence::Shut);
    send(&mut lease, &LeaseAction::Close, at(3.1));
    lease.closed();
    answer(&mut lease, Some(&own), at(3.2));
    assert_eq!(events(&mut lease), [LeaseEvent::Doubting(DoubtCause::LockLost), LeaseEvent::Resumed]);
}

#[test]
fn links_that_end_again_and_again_are_not_replaced_in_a_hurry() {
    let (mut lease, _) = holding();
    lease.link_ended(at(4.0));
    send(&mut lease, &LeaseAction::Accept, at(4.0));
    lease.accepted(Accepted::Granted, at(4.1), 0.0);
    lease.link_ended(at(4.1));
    assert_eq!(lease.next(at(4.1)), wait(4.5));
}

#[test]
fn a_renewal_is_no_look_at_the_record() {
    let (mut lease, own) = holding();
    lease.link_ended(at(1.0));
    send(&mut lease, &LeaseAction::Accept, at(1.0));
    lease.link_ended(at(1.0));
    assert_eq!(lease.next(at(1.0)), wait(20.0), "that of the old link ends no attach by a new one");
    lease.accepted(Accepted::Granted, at(1.1), 0.0);
    send(&mut lease, &LeaseAction::ReadRecord, at(1.1));
    lease.record_read(LeaseAnswer::Unanswered, at(4.0));
    send(&mut lease, &LeaseAction::Renew, at(4.0));
    lease.renewed(LeaseAnswer::Answered(()), at(4.0));
    assert_eq!((lease.fence(), lease.role(at(4.0))), (Fence::Shut, Role::Doubting));
    answer(&mut lease, Some(&own), at(5.0));
    assert_eq!(events(&mut lease), [LeaseEvent::Doubting(DoubtCause::LinkEnded), LeaseEvent::Resumed]);
}

#[test]
fn who_comes_back_to_its_own_record_waits_only_if_calls_were_cut_off() {
    for (cut_off, role) in [(false, Role::Writer), (true, Role::Entering)] {
        let (mut lease, own) = holding();
        lease.alive(at(30.0));
        answer(&mut lease, None, at(30.0));
        lease.given_back(cut_off, at(30.5));
        let written = answer(&mut lease, Some(&own), at(30.5));
        assert_eq!((lease.term(), written[0].term), (Some(18), 18), "each acquisition is a term");
        assert_eq!(lease.role(at(30.5)), role);
    }
}

#[test]
fn the_quiet_time_outlives_a_link_that_ends_while_entering() {
    let mut lease = start();
    let unclean = left_by_another(false, 0.0).to_json();
    send(&mut lease, &LeaseAction::Accept, at(0.0));
    lease.accepted(Accepted::Granted, at(0.0), 0.0);
    send(&mut lease, &LeaseAction::ReadRecord, at(0.0));
    lease.record_read(LeaseAnswer::Answered(Some(unclean.as_bytes())), at(0.0));
    let Step::Do(LeaseAction::WriteRecord(record)) = lease.next(at(0.0)) else { panic!("a new record") };
    // It is written, but nobody hears of it.
    lease.link_ended(at(0.1));
    assert_eq!((lease.event(), lease.term()), (None, None));
    answer(&mut lease, Some(&record.to_json()), at(0.6));
    assert_eq!(lease.role(at(9.9)), Role::Entering);
    assert!(!lease.fence().holds(at(9.9)), "whoever was before may write until then");
}

#[test]
fn a_stuck_pipeline_loses_the_lease() {
    let (mut lease, _) = holding();
    for second in [3.0, 6.0, 9.0] {
        answer(&mut lease, None, at(second));
    }
    // The last sign of life was at the start.
    assert_eq!(lease.next(at(12.0)), wait(19.0));
    lease.next(at(19.0));
    send(&mut lease, &LeaseAction::Close, at(29.0));
    lease.closed();
    let cause = DoubtCause::NoSignOfLife;
    assert_eq!(events(&mut lease), [LeaseEvent::Doubting(cause), LeaseEvent::Lost(cause)]);
    lease.given_back(true, at(29.0));
    answer(&mut lease, None, at(29.0));
    assert_eq!(lease.next(at(40.0)), Step::Wait(None), "and does not ask for it");
    lease.alive(at(41.0));
    send(&mut lease, &LeaseAction::Accept, at(41.0));
}

#[test]
fn the_record_follows_a_falling_rate_and_keeps_what_others_put_there() {
    let mut lease = start();
    let clean = left_by_another(true, 0.0).to_json().replace("{\"at\"", "{\"beacon\":[7],\"at\"");
    let first = answer(&mut lease, Some(&clean), at(0.0)).remove(0);
    assert!(first.to_json().contains("\"beacon\":[7]"));
    // The first record tells the predecessor's rate, 10.
    let cases = [
        (20.0, 1.0, None),
        (9.0, 2.0, None),
        (8.0, 59.0, None),
        (7.0, 60.0, Some(7.0)),
        (9.0, 120.0, None),
        (6.0, 121.0, Some(6.0)),
    ];
    for (rate, now, expected) in cases {
        let now = at(now);
        lease.alive(now);
        // Renewed in time, which is not what this is about.
        lease.sure_since = now;
        lease.budget(budget(rate), now);
        let written = answer(&mut lease, None, now);
        let rates: Vec<_> = written.iter().filter_map(|record| Some(record.budget?.rate)).collect();
        assert_eq!(rates, Vec::from_iter(expected), "at {now:?}");
        assert!(written.iter().all(|record| record.to_json().contains("\"beacon\":[7]")));
    }
}
