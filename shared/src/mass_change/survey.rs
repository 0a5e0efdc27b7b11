//! In which order a queue is looked through for what is held aside, and when all of it was seen.
//!
//! A copy that is held has the number of the moment at which it was made. So those of a stream that has been held for long stand
//! at the front, and those that the writer before was making when it died stand at the end, behind all that waits in between.
//! That can be very much, so both ends are looked through before the middle.

use crate::ids::SequenceNumber;

/// How much of a queue is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurveyBounds {
    /// Messages at the front that are looked through first; then, by their numbers, as many at the end.
    pub ends: u32,
    /// Messages in all. What is behind them stays unseen.
    pub all: u64,
}

/// What to ask the queue next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurveyQuestion {
    /// The messages from this number up, as many as one answer takes.
    Page(SequenceNumber),
    /// Whether there is any message from this number up.
    Any(SequenceNumber),
}

/// A look through a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    bounds: SurveyBounds,
    seen: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Front {
        next: i64,
    },
    /// The end is found by steps that grow while there is something, and then by halves. It is known closely enough once the
    /// steps are shorter than the part that is looked through.
    End {
        front: i64,
        known: i64,
        step: i64,
        grows: bool,
    },
    /// What is in front of `from` and behind `front` is looked through last.
    Tail {
        front: i64,
        from: i64,
        next: i64,
    },
    Middle {
        next: i64,
        until: i64,
    },
    Over {
        whole: bool,
    },
}

impl Survey {
    /// One that begins.
    #[must_use]
    pub const fn new(bounds: SurveyBounds) -> Self {
        Self { bounds, seen: 0, stage: Stage::Front { next: 0 } }
    }

    /// What to ask next, or `None` if the look is over.
    #[must_use]
    pub const fn question(&self) -> Option<SurveyQuestion> {
        match self.stage {
            Stage::Front { next } | Stage::Tail { next, .. } | Stage::Middle { next, .. } => {
                Some(SurveyQuestion::Page(SequenceNumber(next)))
            }
            Stage::End { known, step, .. } => {
                Some(SurveyQuestion::Any(SequenceNumber(known.saturating_add(step))))
            }
            Stage::Over { .. } => None,
        }
    }

    /// Whether the message with this number is one that the present question is about. Others were seen, or will be.
    #[must_use]
    pub const fn wants(&self, number: SequenceNumber) -> bool {
        match self.stage {
            Stage::Front { next } | Stage::Tail { next, .. } => next <= number.0,
            Stage::Middle { next, until } => next <= number.0 && number.0 < until,
            Stage::End { .. } | Stage::Over { .. } => false,
        }
    }

    /// Takes in the numbers of the messages that the present question was answered with.
    pub fn answered(&mut self, numbers: impl IntoIterator<Item = SequenceNumber>) {
        if let Stage::End { front, known, step, grows } = self.stage {
            let asked = known.saturating_add(step);
            let found = numbers.into_iter().map(|number| number.0).filter(|number| *number >= asked).max();
            self.stage = self.nearer_to_the_end(front, (known, step, grows), found);
            return;
        }
        let (mut count, mut last) = (0, None);
        for number in numbers {
            if self.wants(number) {
                count += 1;
                last = last.max(Some(number.0));
            }
        }
        self.seen += count;
        self.stage = self.behind(last);
    }

    /// Whether the look is over and every message was seen that was in the queue all the while.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Over { whole: true })
    }

    /// Messages seen so far.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Where the look goes on behind the last message of an answer, or behind an answer without any.
    fn behind(&self, last: Option<i64>) -> Stage {
        // Behind the highest number there is nothing.
        let next = last.and_then(|last| last.checked_add(1));
        let goes_on = next.filter(|_| self.seen < self.bounds.all);
        match (self.stage, goes_on) {
            (Stage::Front { .. }, Some(next)) if self.seen >= self.bounds.ends.into() => {
                Stage::End { front: next, known: next - 1, step: self.step(), grows: true }
            }
            (Stage::Front { .. }, Some(next)) => Stage::Front { next },
            (Stage::Tail { front, from, .. }, Some(next)) => Stage::Tail { front, from, next },
            (Stage::Middle { until, .. }, Some(next)) if next < until => Stage::Middle { next, until },
            (Stage::Tail { front, from, .. }, None) if next.is_none() && front < from => {
                Stage::Middle { next: front, until: from }
            }
            (Stage::Middle { .. }, Some(_)) => Stage::Over { whole: true },
            (_, None) => Stage::Over { whole: next.is_none() },
            (over, Some(_)) => over,
        }
    }

    fn nearer_to_the_end(
        &self,
        front: i64,
        (known, step, grew): (i64, i64, bool),
        found: Option<i64>,
    ) -> Stage {
        let known = found.unwrap_or(known);
        let grows = grew && found.is_some();
        let step = if grows { step.saturating_mul(2) } else { step / 2 };
        // A queue that finds something wherever it is asked has no end.
        let is_near = step < self.step() || known == i64::MAX;
        if is_near {
            let from = known.saturating_sub(self.step()).saturating_add(1).max(front);
            return Stage::Tail { front, from, next: from };
        }
        Stage::End { front, known, step, grows }
    }

    fn step(&self) -> i64 {
        i64::from(self.bounds.ends).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{
        collection::{btree_set, vec},
        prelude::*,
    };

    use super::*;

    /// What a queue with these numbers answers, `most` at a time.
    fn answer(queue: &BTreeSet<i64>, question: SurveyQuestion, most: usize) -> Vec<SequenceNumber> {
        let (from, most) = match question {
            SurveyQuestion::Page(from) => (from, most),
            SurveyQuestion::Any(from) => (from, 1),
        };
        queue.range(from.0..).take(most).copied().map(SequenceNumber).collect()
    }

    /// Looks through a queue. Returns what was seen, in order, and how much of that before the middle; and how many questions
    /// it took.
    fn look(
        queue: &BTreeSet<i64>,
        bounds: SurveyBounds,
        most: usize,
    ) -> (Survey, Vec<i64>, Option<usize>, usize) {
        let mut survey = Survey::new(bounds);
        let (mut seen, mut before_middle, mut questions) = (Vec::new(), None, 0);
        while let Some(question) = survey.question() {
            questions += 1;
            assert!(questions < 10_000, "no end at {survey:?}");
            if matches!(survey.stage, Stage::Middle { .. }) {
                before_middle.get_or_insert(seen.len());
            }
            let answer = answer(queue, question, most);
            seen.extend(answer.iter().filter(|number| survey.wants(**number)).map(|number| number.0));
            survey.answered(answer);
        }
        (survey, seen, before_middle, questions)
    }

    fn queues() -> impl Strategy<Value = BTreeSet<i64>> {
        let dense = (0_i64..1_000, 0_i64..400).prop_map(|(first, count)| (first..first + count).collect());
        // As where numbers carry a partition in their upper bits.
        let parted = vec((0_i64..4, 0_i64..300), 0..200)
            .prop_map(|parts| parts.into_iter().map(|(part, number)| (part << 48) + number).collect());
        prop_oneof![dense, parted, btree_set(0_i64..1 << 40, 0..200)]
    }

    const ALL: u64 = 1_000_000;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_message_is_seen_once_and_both_ends_before_the_middle(
            queue in queues(), ends in 1_u32..50, most in 1_usize..60,
        ) {
            let (survey, seen, before_middle, questions) = look(&queue, SurveyBounds { ends, all: ALL }, most);
            prop_assert!(survey.is_whole());
            prop_assert_eq!(survey.seen(), queue.len() as u64);
            let each: BTreeSet<_> = seen.iter().copied().collect();
            prop_assert_eq!((each.len(), &each), (seen.len(), &queue));
            // Four stages that end with an answer of nothing or a part of one, and the steps to the end and back.
            prop_assert!(questions <= queue.len() / most + 6 + 2 * 64, "{} questions", questions);
            if let Some(before) = before_middle {
                let first: BTreeSet<_> = seen[..before].iter().copied().collect();
                let front = queue.iter().take(ends as usize);
                let last = queue.last().map_or(0, |last| last - i64::from(ends));
                for number in front.chain(queue.range(last + 1..)) {
                    prop_assert!(first.contains(number), "{} is seen late", number);
                }
            }
        }

        #[test]
        fn a_short_queue_takes_no_more_questions_than_a_plain_walk(count in 0_usize..50, most in 1_usize..60) {
            let queue: BTreeSet<_> = (0_i64..).map(|number| number * 7).take(count).collect();
            let (survey, seen, _, questions) = look(&queue, SurveyBounds { ends: 51, all: ALL }, most);
            prop_assert!(survey.is_whole() && seen.len() == count);
            prop_assert_eq!(questions, count.div_ceil(most) + 1);
        }

        #[test]
        fn no_more_is_seen_than_allowed_and_what_is_left_out_is_never_called_whole(
            queue in queues(), ends in 1_u32..50, all in 1_u64..200, most in 1_usize..60,
        ) {
            let (survey, seen, ..) = look(&queue, SurveyBounds { ends, all }, most);
            prop_assert!((seen.len() as u64) < all + most as u64);
            prop_assert!(!survey.is_whole() || seen.len() == queue.len());
        }

        #[test]
        fn whatever_is_answered_a_look_comes_to_its_end(
            answers in vec(vec(any::<i64>(), 0..4), 300), ends in any::<u32>(),
        ) {
            let mut survey = Survey::new(SurveyBounds { ends, all: 500 });
            for answer in answers {
                survey.answered(answer.into_iter().map(SequenceNumber));
            }
            // From then on the queue says that there is nothing more.
            for _ in 0..200 {
                survey.answered([]);
            }
            prop_assert_eq!(survey.question(), None);
        }
    }
}
