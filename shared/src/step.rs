//! What comes of asking a decider what to do next.

use crate::monotonic_time::MonotonicTime;

/// The answer of something that decides and does nothing itself.
///
/// Whatever holds a decision up reports until when, at the moment it does so. There is no second rule that works out
/// when to ask again, and so none that could disagree with the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<D> {
    /// Do this, and ask again.
    Do(D),
    /// Nothing before that time, if nothing else happens; without a time, nothing before something happens.
    Wait(Option<MonotonicTime>),
}

/// The earliest of several times at which something may be done, as far as there is one.
pub(crate) fn earliest<const N: usize>(times: [Option<MonotonicTime>; N]) -> Option<MonotonicTime> {
    times.into_iter().flatten().min()
}
