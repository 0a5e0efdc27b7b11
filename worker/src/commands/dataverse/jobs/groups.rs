//! Jobs that failed alike, together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::shown::brief;

use crate::dataverse::{Code, Job, JobCode, JobState};

/// As much of the words of the platform as is shown, in characters. They hold addresses of queues and ids.
const LONGEST_WORDS: usize = 300;

/// Jobs of one step that stand alike, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The place of the step.
    pub(super) step: usize,
    /// Where they stand.
    pub(super) state: JobState,
    /// Why.
    pub(super) code: Option<Code>,
    /// How many there are.
    pub(super) count: usize,
    /// When the oldest of their changes was made.
    pub(super) oldest: Timestamp,
    /// When the newest was.
    pub(super) newest: Timestamp,
    /// What the platform says of the newest one, cut.
    pub(super) example: Option<String>,
}

impl Group {
    /// What the code means, and what to do.
    pub(super) fn explanation(&self) -> JobCode {
        match (self.state, self.code) {
            (JobState::Ready, None) => JobCode {
                meaning: "it has not begun",
                remedy: "see whether the environment is in administration mode, or its background operations are off",
            },
            (JobState::Failed, None) => JobCode {
                meaning: "it failed without a code",
                remedy: "see the job in the Power Platform admin center: the environment, Settings, System jobs",
            },
            (_, code) => JobCode::of(code),
        }
    }
}

/// Groups them, the most jobs first.
pub(super) fn groups(jobs: &[(usize, Job)]) -> Vec<Group> {
    let mut groups = BTreeMap::<_, Group>::new();
    for (step, job) in jobs {
        let (state, code, created) = (job.state(), job.code(), job.created);
        let example = || job.words().map(|words| brief(words.trim(), LONGEST_WORDS).into_owned());
        let group = groups.entry((*step, state, code)).or_insert_with(|| Group {
            step: *step,
            state,
            code,
            count: 0,
            oldest: created,
            newest: created,
            example: example(),
        });
        group.count += 1;
        group.oldest = group.oldest.min(created);
        if created > group.newest {
            (group.newest, group.example) = (created, example());
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn job(status: i64, code: Option<i64>, second: i64, message: &str) -> Job {
        let created = Timestamp::from_second(1_800_000_000 + second).expect("in range").to_string();
        serde_json::from_value(json!({
            "asyncoperationid": Uuid::new_v4(), "statuscode": status, "errorcode": code, "message": message,
            "createdon": created,
        }))
        .expect("a job")
    }

    #[test]
    fn what_failed_alike_is_one_group_and_its_newest_job_is_the_example() {
        let key = Some(-2_146_954_990);
        let jobs = [
            (0, job(31, key, 5, "five")),
            (0, job(31, key, 9, "nine\u{1b}[2J")),
            (0, job(31, key, 1, "one")),
            (0, job(10, key, 1, "waits")),
            (1, job(31, key, 1, "another step")),
            (1, job(0, None, 1, "")),
            (1, job(31, Some(0), 2, " ")),
        ];
        let groups = groups(&jobs);
        let first = &groups[0];
        assert_eq!((first.step, first.state, first.count), (0, JobState::Failed, 3));
        assert_eq!(first.newest.as_second() - first.oldest.as_second(), 8);
        assert_eq!(first.example.as_deref(), Some("nine\\u{1b}[2J"));
        assert_eq!(first.explanation().meaning, "the endpoint has no key");
        assert_eq!(groups.len(), 5);
        let meanings: Vec<_> = groups.iter().map(|group| group.explanation().meaning).collect();
        assert!(meanings.contains(&"it has not begun") && meanings.contains(&"it failed without a code"));
    }

    proptest! {
        #[test]
        fn every_job_is_counted_once_between_oldest_and_newest(
            jobs in prop::collection::vec((0..3_usize, prop_oneof![Just(31), Just(10), Just(0)], 0..3_i64, 0..100_i64), 0..40),
        ) {
            let jobs: Vec<_> = jobs.into_iter().map(|(step, status, code, at)| (step, job(status, Some(code), at, ""))).collect();
            let groups = groups(&jobs);
            prop_assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), jobs.len());
            for (step, job) in &jobs {
                let held = groups.iter().any(|group| {
                    (group.step, group.state, group.code) == (*step, job.state(), job.code())
                        && (group.oldest..=group.newest).contains(&job.created)
                });
                prop_assert!(held);
            }
            prop_assert!(groups.is_sorted_by(|a, b| a.count >= b.count));
        }
    }
}
