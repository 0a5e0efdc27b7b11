//! What goes wrong, and how it ends.

use super::*;

impl World {
    pub(super) fn strikes(&mut self, which: usize, fault: Fault) {
        self.note(which, || format!("{fault:?}"));
        let calm_in = CALM - self.now;
        let lasts = self.chance.within(1, 60 * SECOND).min(calm_in);
        let replica = &mut self.replicas[which];
        match fault {
            Fault::WallJump => {
                let by = [SECOND, 15 * SECOND, 3_600 * SECOND][self.chance.below(3) as usize] as i64;
                // Of two clocks one must be right: where one stops in sleep, nobody sets the other back.
                let back = !replica.stops_in_sleep && self.chance.one_in(2);
                replica.machine.set_wall(if back { -by } else { by });
            }
            Fault::Freeze if !replica.frozen && replica.lease.is_some() => {
                replica.frozen = true;
                replica.machine.suspend(replica.stops_in_sleep, self.now);
                self.plan(self.now + lasts, which, Happening::Thaw);
            }
            Fault::Cut => {
                replica.cut = true;
                let reset = self.chance.one_in(2);
                self.plan(self.now + lasts, which, Happening::Heal { reset });
            }
            Fault::LinkEnd => {
                let link = replica.link;
                self.broker.close(link);
                let after = self.chance.below(SECOND);
                self.plan(self.now + after, which, Happening::LinkEnded { link });
            }
            Fault::FreeEarly => self.broker.free(),
            Fault::Kill if !replica.frozen => {
                let link = replica.link;
                (replica.lease, replica.process) = (None, replica.process + 1);
                if self.chance.one_in(2) {
                    self.broker.close(link);
                }
                self.plan(self.now + lasts, which, Happening::Start);
            }
            Fault::Stop if !replica.frozen => {
                let now = replica.machine.clocks(self.now);
                if let Some(lease) = &mut replica.lease {
                    let cut_off = self.twist != Twist::Peace && self.chance.one_in(4);
                    lease.leave(cut_off, Budget { rate: 20.0, tokens: 1.0 }, now);
                    self.plan(self.now, which, Happening::GivenBack);
                }
            }
            Fault::Stuck => {
                replica.stuck = true;
                self.plan(self.now + lasts, which, Happening::Unstuck);
            }
            Fault::LaterVersion => self.broker.replace_by_a_later_version(),
            _ => {}
        }
    }

    pub(super) fn heals(&mut self, which: usize, reset: bool) {
        let replica = &mut self.replicas[which];
        replica.cut = false;
        if reset {
            let link = replica.link;
            self.broker.close(link);
            self.plan(self.now, which, Happening::LinkEnded { link });
        }
    }

    pub(super) fn thaws(&mut self, which: usize, process: u64) -> Verdict {
        let replica = &mut self.replicas[which];
        replica.frozen = false;
        replica.machine.suspend(false, self.now);
        let inbox = std::mem::take(&mut replica.inbox);
        self.note(which, || "thaws".into());
        if self.chance.one_in(2) {
            self.poll(which)?;
        }
        for happening in inbox {
            self.happens(which, process, happening)?;
        }
        self.poll(which)
    }
}
