//! What stands between a lease and the service: it does what the lease asks for, and reports back.

use super::*;

impl Answer {
    /// There was none in time.
    fn none(action: &LeaseAction) -> Self {
        match action {
            LeaseAction::Accept => Self::Accepted(Accepted::Unanswered),
            LeaseAction::ReadRecord => Self::Read(LeaseAnswer::Unanswered),
            LeaseAction::WriteRecord(_) => Self::Written(LeaseAnswer::Unanswered),
            LeaseAction::Renew => Self::Renewed(LeaseAnswer::Unanswered),
            LeaseAction::Close => Self::Closed,
        }
    }

    fn report(self, lease: &mut Lease, now: Clocks, jitter: f64) {
        match self {
            Self::Accepted(answer) => lease.accepted(answer, now, jitter),
            Self::Read(answer) => lease.record_read(answer.as_deref(), now),
            Self::Written(answer) => lease.record_written(answer, now),
            Self::Renewed(answer) => lease.renewed(answer, now),
            Self::Closed => lease.closed(),
        }
    }
}

impl World {
    pub(super) fn happens(&mut self, which: usize, process: u64, happening: Happening) -> Verdict {
        match happening {
            Happening::Arrives { request, link, action } => {
                let answer = self.serve(which, request, link, action);
                if let Some(travels) = self.travels(which) {
                    let alive = self.replicas[which].process == process;
                    if alive {
                        self.plan(self.now + travels, which, Happening::Answered { request, answer });
                    }
                }
                Ok(())
            }
            Happening::Abandoned { link } => {
                self.broker.close(link);
                Ok(())
            }
            Happening::Fault(fault) => {
                self.strikes(which, fault);
                Ok(())
            }
            Happening::Heal { reset } => {
                self.heals(which, reset);
                Ok(())
            }
            Happening::Unstuck => {
                self.replicas[which].stuck = false;
                Ok(())
            }
            Happening::Thaw => self.thaws(which, process),
            Happening::Start => self.starts(which),
            Happening::Alive => self.lives(which),
            _ if self.replicas[which].process != process => Ok(()),
            happening if self.replicas[which].frozen => {
                self.replicas[which].inbox.push_back(happening);
                Ok(())
            }
            happening => self.reaches(which, happening),
        }
    }

    fn starts(&mut self, which: usize) -> Verdict {
        let replica = &mut self.replicas[which];
        if replica.lease.is_some() || replica.frozen {
            return Ok(());
        }
        replica.process += 1;
        (replica.link, replica.request, replica.told_to_write) = (0, 0, false);
        let name = format!("r{which}/{}", replica.process);
        let holder = Holder { name, settings: String::new(), version: "1".into() };
        let mut policy = LeasePolicy::default();
        if self.twist == Twist::NoQuiet {
            policy.quiet = Duration::ZERO;
        }
        replica.lease = Some(Lease::new(policy, holder, replica.machine.clocks(self.now)));
        self.poll(which)
    }

    fn lives(&mut self, which: usize) -> Verdict {
        self.plan(self.now + SECOND, which, Happening::Alive);
        let replica = &mut self.replicas[which];
        if replica.stuck || replica.frozen {
            return Ok(());
        }
        let now = replica.machine.clocks(self.now);
        let Some(lease) = &mut replica.lease else { return Ok(()) };
        lease.alive(now);
        self.poll(which)
    }

    /// Something reaches a process that runs.
    fn reaches(&mut self, which: usize, happening: Happening) -> Verdict {
        let replica = &mut self.replicas[which];
        let now = replica.machine.clocks(self.now);
        let Some(lease) = &mut replica.lease else { return Ok(()) };
        match happening {
            Happening::Wake { poll } if poll == replica.poll => {}
            Happening::Answered { request, answer } if request == replica.request => {
                replica.request = 0;
                match &answer {
                    Answer::Accepted(Accepted::Granted) => replica.link = request,
                    Answer::Closed => replica.link = 0,
                    _ => {}
                }
                answer.report(lease, now, self.chance.part());
            }
            Happening::TimedOut { request, action } if request == replica.request => {
                if action == LeaseAction::Accept
                    && let Some(travels) = self.travels(which)
                {
                    self.plan(self.now + travels, which, Happening::Abandoned { link: request });
                }
                let answer = Answer::none(&action);
                return self.reaches(which, Happening::Answered { request, answer });
            }
            Happening::LinkEnded { link } if link == replica.link && link != 0 => {
                (replica.link, replica.request) = (0, 0);
                lease.link_ended(now);
            }
            Happening::GivenBack => lease.given_back(self.chance.one_in(3), now),
            _ => return Ok(()),
        }
        self.poll(which)
    }

    /// The service gets a request.
    fn serve(&mut self, which: usize, request: u64, link: u64, action: LeaseAction) -> Answer {
        let has = self.broker.has(link, self.now);
        match action {
            LeaseAction::Accept => Answer::Accepted(if self.broker.accept(request, which, self.now) {
                self.note(which, || "is granted".into());
                Accepted::Granted
            } else {
                Accepted::HeldByAnother
            }),
            LeaseAction::ReadRecord if has => Answer::Read(LeaseAnswer::Answered(self.broker.state.clone())),
            LeaseAction::ReadRecord => Answer::Read(LeaseAnswer::Lost),
            LeaseAction::WriteRecord(record) if has => {
                let record = record.to_json();
                self.note(which, || record.clone());
                self.broker.state = Some(record.into_bytes());
                Answer::Written(LeaseAnswer::Answered(()))
            }
            LeaseAction::WriteRecord(_) => Answer::Written(LeaseAnswer::Lost),
            LeaseAction::Renew if self.broker.renew(link, self.now) => {
                Answer::Renewed(LeaseAnswer::Answered(()))
            }
            LeaseAction::Renew => Answer::Renewed(LeaseAnswer::Lost),
            LeaseAction::Close => {
                self.broker.close(link);
                Answer::Closed
            }
        }
    }

    /// The shell of a replica: does what the lease asks for and hears what it tells.
    pub(super) fn poll(&mut self, which: usize) -> Verdict {
        loop {
            let replica = &mut self.replicas[which];
            let Some(lease) = replica.lease.as_mut().filter(|_| !replica.frozen) else { return Ok(()) };
            let now = replica.machine.clocks(self.now);
            let step = lease.next(now);
            let events: Vec<_> = std::iter::from_fn(|| lease.event()).collect();
            for event in events {
                self.hears(which, &event)?;
            }
            match step {
                Step::Do(action) => self.sends(which, action),
                Step::Wait(until) => {
                    let replica = &mut self.replicas[which];
                    replica.poll += 1;
                    let poll = replica.poll;
                    if let Some(until) = until {
                        // A busy process wakes up late.
                        let late = if self.twist == Twist::Peace { 0 } else { self.chance.below(SECOND) };
                        let at = self.replicas[which].machine.real(until, self.now).max(self.now + 1) + late;
                        self.plan(at, which, Happening::Wake { poll });
                    }
                    return Ok(());
                }
            }
        }
    }

    fn sends(&mut self, which: usize, action: LeaseAction) {
        self.count += 1;
        let request = self.count;
        let patience = match action {
            LeaseAction::Accept => 5 * SECOND,
            LeaseAction::Close => 2 * SECOND,
            _ => 3 * SECOND,
        };
        let replica = &mut self.replicas[which];
        assert_eq!(replica.request, 0, "one request at a time");
        replica.request = request;
        let link = replica.link;
        if action != LeaseAction::Accept {
            assert_ne!(link, 0, "{action:?} needs a link");
        }
        if let Some(travels) = self.travels(which) {
            let action = action.clone();
            self.plan(self.now + travels, which, Happening::Arrives { request, link, action });
        }
        self.plan(self.now + patience, which, Happening::TimedOut { request, action });
    }

    fn hears(&mut self, which: usize, event: &LeaseEvent) -> Verdict {
        self.note(which, || format!("{event:?}"));
        let peace = self.twist == Twist::Peace;
        let replica = &mut self.replicas[which];
        let now = replica.machine.clocks(self.now).monotonic;
        match event {
            LeaseEvent::Entered { unclean, quiet_until, looks_until, .. } => {
                self.unclean += usize::from(*unclean);
                if peace && (*unclean || *quiet_until > now || *looks_until > now) {
                    return Err(format!("r{which} found no goodbye"));
                }
            }
            LeaseEvent::Holding => replica.told_to_write = true,
            LeaseEvent::Resumed => {
                replica.told_to_write = true;
                self.resumed += 1;
            }
            LeaseEvent::Doubting(_) => replica.told_to_write = false,
            LeaseEvent::Lost(_) => {
                replica.told_to_write = false;
                self.lost += 1;
                let after = self.chance.below(SECOND / 2);
                self.plan(self.now + after, which, Happening::GivenBack);
            }
            LeaseEvent::Left => {
                replica.told_to_write = false;
                let link = replica.link;
                (replica.lease, replica.process) = (None, replica.process + 1);
                if peace && self.broker.has(link, self.now) {
                    return Err(format!("r{which} left and has the session"));
                }
                let after = self.chance.within(1, 8 * SECOND);
                self.plan(self.now + after, which, Happening::Start);
            }
        }
        Ok(())
    }
}
