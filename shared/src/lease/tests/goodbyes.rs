//! Case by case: how a replica gives the lease up.

use super::{
    cases::{answer, at, budget, events, holding, left_by_another, send, start, wait},
    *,
};

#[test]
fn goodbye_is_said_if_no_call_was_cut_off_and_the_link_is_closed() {
    for cut_off in [false, true] {
        let (mut lease, _) = holding();
        lease.leave(cut_off, budget(18.2), at(1.0));
        assert_eq!((lease.fence(), lease.event()), (Fence::Shut, None));
        let written = answer(&mut lease, None, at(1.0));
        let goodbye: Vec<_> =
            written.iter().map(|record| (record.term, record.clean, record.budget)).collect();
        let expected = if cut_off { vec![] } else { vec![(17, true, Some(budget(18.2)))] };
        assert_eq!(goodbye, expected);
        assert_eq!((events(&mut lease), lease.next(at(1.0))), (vec![LeaseEvent::Left], Step::Wait(None)));
    }
}

#[test]
fn no_goodbye_is_said_while_a_predecessor_may_still_write() {
    for (second, goodbyes) in [(5.0, 0), (39.0, 0), (41.0, 1)] {
        let mut lease = start();
        answer(&mut lease, Some(&left_by_another(false, 0.0).to_json()), at(0.0));
        for renewal in 1..=14 {
            let now = at((f64::from(renewal) * 3.0).min(second));
            lease.alive(now);
            answer(&mut lease, None, now);
        }
        lease.leave(false, budget(20.0), at(second));
        assert_eq!(answer(&mut lease, None, at(second)).len(), goodbyes, "after {second} s");
        assert_eq!(events(&mut lease).last(), Some(&LeaseEvent::Left));
    }
}

#[test]
fn who_leaves_while_asking_lets_go_of_what_is_granted_late() {
    let mut lease = start();
    send(&mut lease, &LeaseAction::Accept, at(0.0));
    lease.leave(false, budget(20.0), at(0.1));
    assert_eq!((lease.next(at(0.1)), lease.event()), (Step::Wait(None), None));
    lease.accepted(Accepted::Granted, at(0.2), 0.0);
    send(&mut lease, &LeaseAction::Close, at(0.2));
    lease.closed();
    assert_eq!(lease.event(), Some(LeaseEvent::Left));
}

#[test]
fn who_cannot_write_lets_another_try_once_in_ten_minutes() {
    let (mut lease, _) = holding();
    let since = at(0.0).monotonic;
    assert!(!lease.should_give_way(since, at(119.0)));
    assert!(lease.should_give_way(since, at(120.0)));
    lease.give_way(false, budget(20.0), at(1.0));
    let goodbye = answer(&mut lease, None, at(1.0)).remove(0);
    assert!(goodbye.clean);
    assert_eq!((events(&mut lease), lease.next(at(1.0))), (vec![LeaseEvent::Left], wait(61.0)));
    lease.alive(at(61.0));
    answer(&mut lease, Some(&goodbye.to_json()), at(61.0));
    assert_eq!(lease.role(at(61.0)), Role::Writer);
    assert!(!lease.should_give_way(since, at(600.0)));
    assert!(lease.should_give_way(since, at(601.0)));
}
