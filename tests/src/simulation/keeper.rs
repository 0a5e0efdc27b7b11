//! Carries out what the lease of a replica asks for, as the worker's shell does, against a session in virtual time.

use std::time::Duration;

use rand::RngExt;
use shared::{
    lease::{Accepted, Clocks, LeaseAction, LeaseAnswer, LeasePolicy},
    monotonic_time::MonotonicTime,
    step::Step,
};

use super::{
    directory::Writer,
    event::Event,
    model::Broken,
    seat::{Answer, Seat, SeatNews, ToPipeline},
    world::{TROUBLE, World},
};

/// How often the keeper looks even if nothing happens.
const BEAT: Duration = Duration::from_secs(1);
/// How long the shell waits for an attach, for the end of a link, and for all other answers.
const ATTACH: Duration = Duration::from_secs(5);
const DETACH: Duration = Duration::from_secs(2);

impl World {
    pub(super) fn seat_news(&mut self, writer: Writer, news: SeatNews) -> Result<(), Broken> {
        let now = self.now;
        let jitter = self.rng.random();
        let Some((seat, clocks)) = self.seat(writer) else { return Ok(()) };
        match news {
            SeatNews::Wake(number) if number == seat.wake => {}
            SeatNews::Answered { request, answer } if request == seat.request => {
                seat.request = 0;
                match &answer {
                    Answer::Accepted(Accepted::Granted) => {
                        (seat.link, seat.last_link, seat.unclosed) = (request, request, false);
                    }
                    Answer::Closed => seat.link = 0,
                    _ => {}
                }
                answer.report(&mut seat.lease, clocks, jitter);
            }
            SeatNews::TimedOut { request, action } if request == seat.request => {
                seat.unclosed |= action == LeaseAction::Close;
                if action == LeaseAction::Accept
                    && let Some(way) = self.travels(writer)
                {
                    // If it is granted later, that link must be closed.
                    self.plan(now + way, Event::Detached(request));
                }
                let answer = Answer::none(&action);
                return self.seat_news(writer, SeatNews::Answered { request, answer });
            }
            SeatNews::LinkEnded(link) if link == seat.link && link != 0 => {
                (seat.link, seat.request) = (0, 0);
                seat.lease.link_ended(clocks);
            }
            SeatNews::Told => return self.told(writer),
            SeatNews::GoodbyeOver => {
                self.report.stops += 1;
                self.vanish(writer);
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.keep(writer);
        Ok(())
    }

    /// Begins what the lease asks for, publishes what has changed, and plans when to look again.
    pub(super) fn keep(&mut self, writer: Writer) {
        let now = self.now;
        let until = loop {
            let Some((seat, clocks)) = self.seat(writer) else { return };
            seat.lease.alive(Clocks { monotonic: seat.alive, ..clocks });
            match seat.lease.next(clocks) {
                Step::Do(action) => self.ask(writer, action),
                Step::Wait(until) => break until,
            }
        };
        // A busy process wakes up late.
        let late = self.soon(200) - now;
        let Some((seat, clocks)) = self.seat(writer) else { return };
        seat.published = (seat.lease.fence(), seat.lease.role(clocks));
        seat.wake += 1;
        let wake = SeatNews::Wake(seat.wake);
        let before = seat.news.len();
        while let Some(event) = seat.lease.event() {
            seat.news.push_back(ToPipeline::Lease(event));
        }
        let told = seat.news.len() - before;
        let Some(replica) = self.alive(writer) else { return };
        let at = until.map_or(now + BEAT, |until| replica.clock.real(until).min(now + BEAT));
        self.plan(at.max(now) + Duration::from_millis(1) + late, Event::Seat(writer, wake));
        self.tell_pipeline(writer, told);
    }

    /// The pipeline hears of so many changes, a little later.
    pub(super) fn tell_pipeline(&mut self, writer: Writer, changes: usize) {
        for _ in 0..changes {
            let at = self.soon(50);
            self.plan(at, Event::Seat(writer, SeatNews::Told));
        }
    }

    /// Sends a request of the lease to the service.
    fn ask(&mut self, writer: Writer, action: LeaseAction) {
        let now = self.now;
        self.requests += 1;
        let request = self.requests;
        let way = self.travels(writer);
        let Some((seat, _)) = self.seat(writer) else { return };
        seat.request = request;
        let link = seat.link;
        let patience = match action {
            LeaseAction::Accept => ATTACH,
            LeaseAction::Close => DETACH,
            _ => LeasePolicy::default().answer_within,
        };
        self.plan(
            now + patience,
            Event::Seat(writer, SeatNews::TimedOut { request, action: action.clone() }),
        );
        if let Some(way) = way {
            self.plan(now + way, Event::Asked { writer, request, link, action });
        }
    }

    /// The service gets a request, and answers it.
    pub(super) fn asked(&mut self, writer: Writer, request: u64, link: u64, action: &LeaseAction) {
        let now = self.now;
        let has = self.session.is_held_by(link, now);
        let answer = match action {
            LeaseAction::Accept if self.session.accept(request, now) => Answer::Accepted(Accepted::Granted),
            LeaseAction::ReadRecord if has => Answer::Read(LeaseAnswer::Answered(self.session.state.clone())),
            LeaseAction::WriteRecord(record) if has => {
                self.session.state = Some(record.to_json().into_bytes());
                Answer::Written(LeaseAnswer::Answered(()))
            }
            LeaseAction::Renew if self.session.renew(link, now) => Answer::Renewed(LeaseAnswer::Answered(())),
            LeaseAction::Close => {
                self.session.close(link);
                Answer::Closed
            }
            _ => Answer::lost(action),
        };
        if let Some(way) = self.travels(writer) {
            self.plan(now + way, Event::Seat(writer, SeatNews::Answered { request, answer }));
        }
    }

    /// How long something is on its way between a replica and the session, if it arrives.
    fn travels(&mut self, writer: Writer) -> Option<Duration> {
        let trouble = self.now < MonotonicTime::after_start(TROUBLE);
        let (lost, late) = (self.rng.random_bool(0.03), self.rng.random_bool(0.05));
        let way = self.rng.random_range(if late && trouble { 1_000..4_000 } else { 1..30 });
        let cut = self.seat(writer).is_some_and(|(seat, _)| seat.cut);
        (!(cut || lost && trouble)).then(|| Duration::from_millis(way))
    }

    pub(super) fn seat(&mut self, writer: Writer) -> Option<(&mut Seat, Clocks)> {
        let now = self.now;
        let replica = self.alive(writer)?;
        let clocks = replica.clock.clocks(now);
        Some((replica.seat.as_mut()?, clocks))
    }
}
