//! What a replica does as one of several that agree on who writes, joined as the worker's pipeline does it.

use std::time::Duration;

use rand::RngExt;
use shared::{
    gate::State,
    lease::{Budget, Clocks, Fence, LeaseEvent, Role},
    monotonic_time::MonotonicTime,
};

use super::{
    directory::{Flight, Writer},
    event::Event,
    model::Broken,
    seat::{SeatNews, ToPipeline},
    shape::Remedy,
    world::{TROUBLE, World},
};

/// Nobody waits longer for a call to Graph.
const CALL: Duration = Duration::from_secs(30);
/// After everything that goes wrong is over, and the last replica is back, somebody is able to write within 45 seconds.
const AIM: Duration = Duration::from_secs(60 + 20 + 45);
const GOODBYE: Duration = Duration::from_secs(5);

impl World {
    /// Takes the role that this replica has now, and leaves a sign of life.
    pub(super) fn take_role(&mut self, writer: Writer) {
        let now = self.now;
        self.follow_role(writer);
        let Some((_, clocks)) = self.seat(writer) else { return };
        let Some(replica) = self.alive(writer) else { return };
        let unable = matches!(replica.engine().state(clocks.monotonic), State::Paused | State::BreakerOpen);
        let budget = replica.budget(now);
        let Some((seat, _)) = self.seat(writer) else { return };
        seat.alive = clocks.monotonic;
        seat.unable_since = unable.then(|| seat.unable_since.unwrap_or(clocks.monotonic));
        if seat.told.is_some_and(|told| clocks.monotonic - told < Duration::from_secs(1)) {
            return;
        }
        seat.told = Some(clocks.monotonic);
        seat.lease.budget(budget, clocks);
        if seat.unable_since.is_some_and(|since| seat.lease.should_give_way(since, clocks)) {
            seat.news.push_back(ToPipeline::GiveWay);
            self.tell_pipeline(writer, 1);
        }
        self.keep(writer);
    }

    /// Takes the role, as the pipeline does before it hears how a call has ended.
    pub(super) fn follow_role(&mut self, writer: Writer) {
        let now = self.now;
        let Some((seat, clocks)) = self.seat(writer) else { return };
        let role = seat.role_at(clocks);
        if std::mem::replace(&mut seat.role, role) == role {
            return;
        }
        if let Some(replica) = self.alive(writer) {
            replica.tell(now, |engine, _| engine.set_role(role));
        }
    }

    /// The pipeline hears of a change.
    pub(super) fn told(&mut self, writer: Writer) -> Result<(), Broken> {
        let now = self.now;
        let guarded = self.shape.guard;
        let Some((seat, _)) = self.seat(writer) else { return Ok(()) };
        match seat.news.pop_front() {
            Some(ToPipeline::Lease(LeaseEvent::Entered { term, looks_until, budget, unclean, .. })) => {
                seat.term = term;
                self.report.takeovers += 1;
                self.report.unclean += u64::from(unclean);
                let Some(replica) = self.alive(writer) else { return Ok(()) };
                replica.tell(now, |engine, time| {
                    if let Some(Budget { rate, tokens }) = budget {
                        engine.take_over_budget(rate, tokens, time);
                    }
                    if looks_until > time && guarded {
                        engine.look_again_until(looks_until);
                    }
                });
            }
            Some(ToPipeline::Lease(LeaseEvent::Lost(_))) => {
                self.report.lost += 1;
                let cut_off = self.abandon(writer);
                if let Some((seat, clocks)) = self.seat(writer) {
                    seat.lease.given_back(cut_off, clocks);
                }
            }
            Some(ToPipeline::GiveWay) => {
                self.yielded = now;
                let cut_off = self.abandon(writer);
                let Some(replica) = self.alive(writer) else { return Ok(()) };
                let budget = replica.budget(now);
                if let Some((seat, clocks)) = self.seat(writer) {
                    seat.lease.give_way(cut_off, budget, clocks);
                }
            }
            Some(ToPipeline::Lease(LeaseEvent::Left)) if seat.leaving => return self.left(writer),
            // The role says it all.
            Some(ToPipeline::Lease(_)) | None => {}
        }
        self.keep(writer);
        self.turn_at(writer, now);
        Ok(())
    }

    /// Cuts off what is under way and gives everything back. Tells whether a call was cut off.
    fn abandon(&mut self, writer: Writer) -> bool {
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return false };
        let cut_off = !replica.writing.is_empty();
        replica.writing.clear();
        replica.tell(now, |engine, _| {
            engine.set_role(Role::Standby);
            engine.abandon();
        });
        if let Some((seat, _)) = self.seat(writer) {
            seat.role = Role::Standby;
        }
        self.cut_off(writer);
        cut_off
    }

    /// Nobody waits any more for the calls of this replica. A write among them may still take effect, and late.
    pub(super) fn cut_off(&mut self, writer: Writer) {
        let now = self.now;
        for scheduled in std::mem::take(&mut self.events) {
            let mut scheduled = scheduled;
            match &*scheduled.0.event {
                Event::Begin(flight) if flight.writer == writer => continue,
                Event::Answer(by, ..) | Event::Verified(by, ..) | Event::Probed(by, ..) if *by == writer => {
                    continue;
                }
                Event::Effect(flight) if flight.writer == writer => {
                    let latest = flight.begun + CALL;
                    if self.rng.random_bool(0.7) && now < latest {
                        scheduled.0.at = now + (latest - now).mul_f64(self.rng.random());
                    }
                }
                _ => {}
            }
            self.events.push(scheduled);
        }
    }

    /// Asks the lease whether a write may be started, at the last moment.
    pub(super) fn begin(&mut self, mut flight: Box<Flight>) -> Result<(), Broken> {
        let (now, writer) = (self.now, flight.writer);
        let without = self.shape.without == Some(Remedy::Fence);
        let Some((seat, clocks)) = self.seat(writer) else { return Ok(()) };
        let fence = seat.published.0;
        let term = fence.term().unwrap_or(seat.term);
        if !fence.holds(clocks) && !without {
            self.report.not_begun += 1;
            let user = flight.write.user;
            let Some(replica) = self.alive(writer) else { return Ok(()) };
            replica.writing.remove(&user);
            replica.tell(now, |engine, time| engine.write_not_begun(user, time));
            self.turn_at(writer, now);
            return Ok(());
        }
        self.check_start(writer, term)?;
        flight.begun = now;
        self.send(*flight);
        Ok(())
    }

    /// No two replicas start writes at the same time, and terms grow.
    fn check_start(&mut self, writer: Writer, term: u64) -> Result<(), Broken> {
        let others = self.replicas.iter().flatten().filter(|replica| replica.life != writer.1);
        let open = |(fence, clocks): (Fence, Clocks)| fence.holds(clocks).then(|| fence.term()).flatten();
        let mut fences =
            others.filter_map(|other| Some((other.seat.as_ref()?.published.0, other.clock.clocks(self.now))));
        if let Some(other) = fences.find_map(open) {
            return Err(Broken::TwoWriters(term, other));
        }
        if let Some((last, by)) = self.started.replace((term, writer))
            && (last > term || (last == term && by != writer))
        {
            return Err(Broken::Term(last, term));
        }
        Ok(())
    }

    /// Nothing is under way any more, or not awaited: the lease is given back, so that another replica writes at once.
    pub(super) fn say_goodbye(&mut self, writer: Writer) {
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return };
        let cut_off = !replica.writing.is_empty();
        let budget = replica.budget(now);
        let Some((seat, clocks)) = self.seat(writer) else { return };
        if !std::mem::replace(&mut seat.leaving, true) {
            seat.lease.leave(cut_off, budget, clocks);
            self.plan(now + GOODBYE, Event::Seat(writer, SeatNews::GoodbyeOver));
            self.keep(writer);
        }
    }

    /// It has given back everything, the session too, unless it could not say so.
    fn left(&mut self, writer: Writer) -> Result<(), Broken> {
        let now = self.now;
        let Some((seat, _)) = self.seat(writer) else { return Ok(()) };
        let (unclosed, link) = (seat.unclosed, seat.last_link);
        if !unclosed && self.session.is_held_by(link, now) {
            return Err(Broken::SessionLeft(link));
        }
        self.report.stops += 1;
        self.cut_off(writer);
        self.gone(writer.0);
        Ok(())
    }

    /// The process ends without a goodbye. Often its connections end with it, at once or nearly.
    pub(super) fn vanish(&mut self, writer: Writer) {
        let ends = self.soon(1_000);
        let silent = self.rng.random_bool(0.3);
        if let Some((seat, _)) = self.seat(writer)
            && !(silent || seat.cut)
        {
            let (link, request) = (seat.link, seat.request);
            self.plan(ends, Event::Detached(link));
            self.plan(ends, Event::Detached(request));
        }
        self.cut_off(writer);
        self.gone(writer.0);
    }

    /// Somebody is able to write, from some time after the last fault on.
    pub(super) fn check_aim(&mut self) -> Result<(), Broken> {
        let now = self.now;
        let yielded = now - self.yielded < AIM && self.yielded > MonotonicTime::START;
        let writes = self.replicas.iter().flatten().any(|replica| {
            replica.seat.as_ref().is_some_and(|seat| seat.published.0.holds(replica.clock.clocks(now)))
        });
        if !writes && !yielded {
            return Err(Broken::NobodyWrites(now));
        }
        self.plan(now + AIM, Event::Aim);
        Ok(())
    }

    pub(super) fn aim(&mut self) {
        self.plan(MonotonicTime::after_start(TROUBLE) + AIM, Event::Aim);
    }
}
