//! What becomes of a write that failed, and what it says about Graph, the installation and the user.

use super::{
    InstallationFault, Lanes, Suspicion, Work,
    api::{About, Failure},
    evidence::Judgement,
    lane::Lane,
    parked::Refused,
    ready_queue::Newness,
};
use crate::{
    class::Class,
    gate::State,
    ids::UserId,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    priority::Priority,
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
};

/// How failed messages end.
pub(super) type Settled<T> = Vec<(Work<T>, Outcome)>;

impl<T> Lanes<T> {
    /// Why nothing is written, while the installation is at fault.
    #[must_use]
    pub fn fault(&self) -> Option<&InstallationFault> {
        self.fault.as_ref()
    }

    /// The write of this user was not begun after all, because this replica was not sure to be the writer any more. It
    /// waits for its turn again, and nothing is counted.
    pub fn not_begun(&mut self, user: UserId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.gate.unused();
        self.gate.replay_ended(user, false);
        self.turn_back(user);
    }

    /// Properties that Graph refuses of everybody while others are written, with what it answers.
    pub fn refused_properties(&self) -> impl Iterator<Item = (&str, &[Property])> {
        self.evidence.suspects()
    }

    /// The write of this user failed.
    pub(super) fn failed(
        &mut self,
        user: UserId,
        failure: &Failure,
        now: MonotonicTime,
        jitter: f64,
    ) -> Settled<T> {
        if let Some(suspicion) = &failure.suspicion {
            return self.suspected(user, failure, suspicion, now, jitter);
        }
        match failure.class {
            Class::Transient => self.failed_for_now(user, failure, now, jitter),
            Class::Throttled { retry_after } => {
                match self.users.get(&user).map(Lane::flying_urgency) {
                    Some(Priority::Replayed) => self.gate.replayed_throttled(retry_after, now, jitter),
                    Some(Priority::Live | Priority::Bulk) | None => {
                        self.gate.throttled(retry_after, now, jitter);
                    }
                }
                self.turn_back(user);
                Vec::new()
            }
            Class::Installation => {
                let fault =
                    InstallationFault { about: None, text: failure.dead_letter.description.as_str().into() };
                self.at_fault(user, &failure.dead_letter, fault, now, jitter)
            }
            Class::Permanent => {
                self.gate.answered(now);
                if self.take_apart(user, now) {
                    return Vec::new();
                }
                // An address that somebody else has may be his no more when his own change has been written.
                if failure.grace.is_some() && !self.is_out_of_grace(user, failure, now) {
                    return self.try_again(user, now, jitter);
                }
                self.dead(user, &failure.dead_letter, now)
            }
        }
    }

    /// Graph, or the way to it, failed in a way that may pass.
    fn failed_for_now(
        &mut self,
        user: UserId,
        failure: &Failure,
        now: MonotonicTime,
        jitter: f64,
    ) -> Settled<T> {
        // A user who may only be too new, or one whose value Graph stumbles over, says nothing about Graph's health.
        if failure.grace.is_some() {
            self.gate.answered(now);
            if self.is_out_of_grace(user, failure, now) {
                return self.refused(user, &failure.dead_letter, now);
            }
            return self.try_again(user, now, jitter);
        }
        let own = self.evidence.fails(user);
        if own {
            self.gate.undecided(now);
        } else {
            self.gate.failed(user, now, jitter);
        }
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        lane.failures += 1;
        // Others are written meanwhile: it will not pass in seconds, and trying here would only cost writes.
        if own || self.limits.retries.is_exhausted(lane.failures) {
            let well = matches!(self.gate.state(now), State::Open);
            return self.end_write(user, now, |work| later(work, &failure.dead_letter, own, well, now));
        }
        self.wait_for_another_try(user, now, jitter);
        Vec::new()
    }

    /// A refusal that may be about this user, or about everybody.
    fn suspected(
        &mut self,
        user: UserId,
        failure: &Failure,
        suspicion: &Suspicion,
        now: MonotonicTime,
        jitter: f64,
    ) -> Settled<T> {
        let trial = self.gate.state(now) == State::Trial;
        if suspicion.about == About::Way {
            self.gate.undecided(now);
        } else {
            self.gate.answered(now);
        }
        let known = trial || self.was_refused_before(user) || self.evidence.doubts(&suspicion.kind);
        let waits = failure.grace.is_some() && !known;
        if waits && !self.is_out_of_grace(user, failure, now) {
            return self.try_again(user, now, jitter);
        }
        // One value must not speak for the others that were merged with it.
        if suspicion.is_about_values() && self.take_apart(user, now) {
            return Vec::new();
        }
        let suspects = self.suspects(user, failure, suspicion);
        let Some(change) = self.first_flying(user).map(|work| (user, work.stamp.arrival)) else {
            // It only repaired, so no change is refused. The next look says what is still to be written.
            if trial {
                self.gate.pause(now, jitter);
            }
            return self.set_aside(user, &failure.dead_letter, now);
        };
        let tried = self.users.get(&user).map(|lane| lane.begun).unwrap_or_default();
        match self.evidence.refused(change, tried, suspicion, &suspects) {
            Judgement::Own if suspicion.about == About::Way => {
                self.end_write(user, now, |_| Outcome::Returned(failure.dead_letter.clone()))
            }
            Judgement::Own => self.refused(user, &failure.dead_letter, now),
            Judgement::Everybody => {
                let fault = everybody(suspicion, &suspects, &failure.dead_letter);
                self.at_fault(user, &failure.dead_letter, fault, now, jitter)
            }
            Judgement::Property => {
                let mut settled = self.set_aside(user, &failure.dead_letter, now);
                let alike = self.parked.alike(suspicion);
                settled.extend(
                    alike.into_iter().map(|refused| (refused.work, Outcome::Returned(refused.letter))),
                );
                settled
            }
            Judgement::Unclear if trial => {
                self.gate.pause(now, jitter);
                self.set_aside(user, &failure.dead_letter, now)
            }
            Judgement::Unclear if suspicion.about == About::Denial => {
                self.denied_for_now(user, failure, now, jitter)
            }
            // Others were written meanwhile, or nothing else happened: it is its own.
            Judgement::Unclear if self.was_refused_before(user) => self.dead(user, &failure.dead_letter, now),
            Judgement::Unclear => {
                self.park(user, failure, suspicion, &suspects, now);
                Vec::new()
            }
        }
    }

    /// A denial of which nothing tells yet whom it is about: never for good, because a permission that was withdrawn
    /// looks the same.
    fn denied_for_now(
        &mut self,
        user: UserId,
        failure: &Failure,
        now: MonotonicTime,
        jitter: f64,
    ) -> Settled<T> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        lane.failures += 1;
        if self.limits.retries.is_exhausted(lane.failures) {
            return self.set_aside(user, &failure.dead_letter, now);
        }
        self.wait_for_another_try(user, now, jitter);
        Vec::new()
    }

    /// The refused changes wait for what tells whose fault it is.
    fn park(
        &mut self,
        user: UserId,
        failure: &Failure,
        suspicion: &Suspicion,
        suspects: &[Property],
        now: MonotonicTime,
    ) {
        let Some(lane) = self.users.get_mut(&user) else { return };
        let refused = lane.landed();
        self.look_again(user, now);
        self.rest(user);
        for work in refused {
            self.parked.park(Refused {
                work,
                letter: failure.dead_letter.clone(),
                suspicion: suspicion.clone(),
                suspects: suspects.to_vec(),
                since: self.evidence.now(),
                until: now + self.limits.refusal_patience,
            });
        }
    }

    /// Nothing told in time whose fault some refusals were: they are tried once more, or come back later if so many were
    /// refused alike that it is the mapping's.
    pub(super) fn judge_parked(&mut self, now: MonotonicTime) -> Settled<T> {
        let mut settled = Vec::new();
        while let Some(refused) = self.parked.due(now) {
            if self.evidence.is_apart(&refused.suspicion.kind, &refused.suspects) {
                settled.push((refused.work, Outcome::Returned(refused.letter)));
            } else {
                self.try_once_more(refused.work);
            }
        }
        settled
    }

    /// A write was accepted. What was refused before it is tried once more: refused again, it is its own fault. Without
    /// that, a fault of everybody that has just ended would cost the few that it met alone.
    pub(super) fn accepted(&mut self, user: UserId, superseded: &[Property]) {
        self.fault = None;
        let Some(lane) = self.users.get(&user) else { return };
        let begun = lane.begun.place;
        let open = self.evidence.is_open() || !self.parked.is_empty();
        let properties = if open { lane.properties() } else { &[] };
        let written: Vec<_> =
            properties.iter().filter(|property| !superseded.contains(property)).cloned().collect();
        self.evidence.written(user, begun, &written);
        for refused in self.parked.written(user, begun, &written) {
            self.try_once_more(refused.work);
        }
    }

    fn try_once_more(&mut self, work: Work<T>) {
        let (user, urgency, newness) = (work.user, work.urgency, Newness::from(work.stamp));
        let lane = self.users.entry(user).or_default();
        let queued = lane.is_flying() || lane.has_waiting();
        lane.doubt(Work { refused_before: true, ..work });
        if !queued {
            self.ready.push_front(user, urgency, newness);
        }
    }

    fn was_refused_before(&self, user: UserId) -> bool {
        self.first_flying(user).is_some_and(|work| work.refused_before)
    }

    fn first_flying(&self, user: UserId) -> Option<&Work<T>> {
        self.users.get(&user).and_then(|lane| lane.flying().first())
    }

    /// The installation is at fault: nothing goes out until a probe and a write show that it is mended.
    fn at_fault(
        &mut self,
        user: UserId,
        cause: &DeadLetter,
        fault: InstallationFault,
        now: MonotonicTime,
        jitter: f64,
    ) -> Settled<T> {
        let trial = self.gate.state(now) == State::Trial;
        let refused_alike = fault.about.is_some_and(|about| about != About::Way);
        self.fault = Some(fault);
        if refused_alike {
            self.gate.pause_briefly(now, jitter);
        } else {
            self.gate.pause(now, jitter);
        }
        // A probe had succeeded, and this write was refused all the same. It may be this user's fault: set aside, it
        // cannot keep others from ending the pause.
        if trial {
            return self.set_aside(user, cause, now);
        }
        self.turn_back(user);
        Vec::new()
    }

    /// What may be to blame for a refusal of values: the property that Graph names, else all of the write.
    fn suspects(&self, user: UserId, failure: &Failure, suspicion: &Suspicion) -> Vec<Property> {
        if !suspicion.is_about_values() {
            return Vec::new();
        }
        let Some(lane) = self.users.get(&user) else { return Vec::new() };
        let all = lane.properties();
        let named = failure.dead_letter.target.as_deref();
        match all.iter().find(|property| Some(property.name()) == named) {
            Some(property) => vec![property.clone()],
            None => all.to_vec(),
        }
    }

    fn is_out_of_grace(&self, user: UserId, failure: &Failure, now: MonotonicTime) -> bool {
        let since = self.users.get(&user).and_then(|lane| lane.tried_since);
        failure.grace.is_some_and(|grace| since.is_none_or(|since| now - since >= grace))
    }

    fn try_again(&mut self, user: UserId, now: MonotonicTime, jitter: f64) -> Settled<T> {
        if let Some(lane) = self.users.get_mut(&user) {
            lane.failures += 1;
            self.wait_for_another_try(user, now, jitter);
        }
        Vec::new()
    }

    fn wait_for_another_try(&mut self, user: UserId, now: MonotonicTime, jitter: f64) {
        let Some(lane) = self.users.get_mut(&user) else { return };
        let again = now + self.limits.retries.wait(lane.failures, jitter);
        lane.turn_back();
        self.delayed.insert((again, user));
    }

    fn set_aside(&mut self, user: UserId, cause: &DeadLetter, now: MonotonicTime) -> Settled<T> {
        self.end_write(user, now, |_| Outcome::Returned(cause.clone()))
    }

    /// All that the write carried is refused for good.
    fn dead(&mut self, user: UserId, letter: &DeadLetter, now: MonotonicTime) -> Settled<T> {
        self.end_write(user, now, |_| Outcome::DeadLettered(letter.clone()))
    }

    /// A write came to nothing here: all of its messages get an outcome.
    fn end_write(
        &mut self,
        user: UserId,
        now: MonotonicTime,
        outcome: impl Fn(&Work<T>) -> Outcome,
    ) -> Settled<T> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let ended = lane.landed();
        self.look_again(user, now);
        self.rest(user);
        ended
            .into_iter()
            .map(|work| {
                let outcome = outcome(&work);
                (work, outcome)
            })
            .collect()
    }

    fn refused(&mut self, user: UserId, dead_letter: &DeadLetter, now: MonotonicTime) -> Settled<T> {
        if self.take_apart(user, now) {
            return Vec::new();
        }
        self.dead(user, dead_letter, now)
    }

    /// Takes a merged write apart. Tells whether it was one.
    fn take_apart(&mut self, user: UserId, now: MonotonicTime) -> bool {
        let Some(lane) = self.users.get_mut(&user) else { return false };
        if lane.flying_len() <= 1 {
            return false;
        }
        lane.take_apart();
        self.look_again(user, now);
        self.rest(user);
        true
    }

    fn turn_back(&mut self, user: UserId) {
        if let Some(lane) = self.users.get_mut(&user) {
            lane.turn_back();
            self.ready.push_front(user, lane.urgency(), lane.newness());
        }
    }
}

/// Another try at another time, if the message has any time left. `own` tells that others are written meanwhile, `well`
/// that nothing holds writes back: while Graph is away for everybody, no message is to blame for its age.
pub(super) fn later<T>(
    work: &Work<T>,
    cause: &DeadLetter,
    own: bool,
    well: bool,
    now: MonotonicTime,
) -> Outcome {
    if work.deadline > now || !(own || well) {
        return Outcome::Returned(cause.clone());
    }
    Outcome::DeadLettered(if own { fails_for_user(work, cause) } else { exhausted(cause) })
}

/// It was tried until the time of its message was over.
#[must_use]
pub fn exhausted(cause: &DeadLetter) -> DeadLetter {
    let text = format!("retried until its time was over; the last failure: {}", cause.description.as_str());
    DeadLetter {
        code: cause.code.clone(),
        target: cause.target.clone(),
        ..DeadLetter::new(DeadLetterReason::RetryBudgetExhausted, &text)
    }
}

/// Graph fails for this user each time, and for nobody else.
fn fails_for_user<T>(work: &Work<T>, cause: &DeadLetter) -> DeadLetter {
    // An answer of Graph has a code; without one nobody was reached, and that is no matter of one user.
    if cause.code.is_none() {
        return exhausted(cause);
    }
    let properties: Vec<_> = work.patch.iter().map(|(property, _)| property.name()).collect();
    let mail = properties.contains(&"mail");
    let hint = if mail {
        "; Azure AD B2C takes ten values of mail in the life of an account and then answers so: map the address to \
         otherMails (preset b2c)"
    } else {
        ""
    };
    let text = format!(
        "graph fails for this user each time while others are written, writing {}: {}{hint}; try the same by hand, and ask \
         Microsoft's support with the request-id",
        properties.join(", "),
        cause.description.as_str()
    );
    let single =
        if mail { Some("mail") } else { properties.first().copied().filter(|_| properties.len() == 1) };
    DeadLetter {
        code: cause.code.clone(),
        target: cause.target.clone().or_else(|| single.map(Into::into)),
        ..DeadLetter::new(DeadLetterReason::GraphFailsForUser, &text)
    }
}

/// Many were refused alike.
fn everybody(suspicion: &Suspicion, suspects: &[Property], letter: &DeadLetter) -> InstallationFault {
    let names: Vec<_> = suspects.iter().map(Property::name).collect();
    let what = match suspicion.about {
        About::Values => format!(
            "users are refused alike and nobody is written; see whether the tenant has the mapped properties ({}) and \
             whether graph.root is without a version",
            names.join(", ")
        ),
        About::User => "nobody whom the messages name is found; see whether identity.tenant is the tenant that holds the \
                        users and mapping.link_column the column with their object ids"
            .to_owned(),
        About::Denial => "several users are denied in a row and nobody is written; see to the permissions of the app".to_owned(),
        About::Way => "the answer is not graph's; see to graph.root and to the proxy, filter or gateway on the way".to_owned(),
    };
    InstallationFault {
        about: Some(suspicion.about),
        text: format!("{what}: {}", letter.description.as_str()).into(),
    }
}
