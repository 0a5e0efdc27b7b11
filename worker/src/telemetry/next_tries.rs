//! When what is wrong is tried again, where that is known.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

/// The next try of each check and warning, by its name.
#[derive(Debug, Default)]
pub(crate) struct NextTries(Mutex<BTreeMap<&'static str, Timestamp>>);

impl NextTries {
    /// It is tried again then; `None` if nobody knows.
    pub(crate) fn set(&self, name: &'static str, at: Option<Timestamp>) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(at) => tries.insert(name, at),
            None => tries.remove(name),
        };
    }

    /// When it is tried again. What should have happened by now is under way, or over.
    pub(super) fn of(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.get(name).copied().filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_is_told_until_its_time_has_come() {
        let at = |second| Timestamp::from_second(second).expect("small");
        let tries = NextTries::default();
        assert_eq!(tries.of("token", at(0)), None);
        tries.set("token", Some(at(9)));
        assert_eq!(tries.of("token", at(8)), Some(at(9)));
        assert_eq!(tries.of("lease", at(8)), None);
        assert_eq!(tries.of("token", at(9)), None, "it is under way");
        tries.set("token", None);
        assert_eq!(tries.of("token", at(8)), None);
    }
}
