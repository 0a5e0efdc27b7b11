//! How fast, by what is known: canaries first, then a ramp, and an end when too much fails again.

use std::{fmt, str::FromStr};

/// Outcomes that must be known before a share of them means anything, where no canary says otherwise.
const SAMPLE: u64 = 10;

/// A share of the whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Share(f64);

impl Share {
    /// What a canary tolerates if nobody says otherwise.
    pub(crate) const USUAL: Self = Self(0.2);

    /// It as a part of one.
    pub(crate) const fn fraction(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 0.2 and 20 are both meant by somebody, so that the sign has to say it.
        let number = text.trim().strip_suffix('%').ok_or("must be a share with its sign, such as 20%")?;
        let number: f64 = number.trim().parse().map_err(|_| "is not a share such as 20%")?;
        if (0.0..=100.0).contains(&number) {
            Ok(Self(number / 100.0))
        } else {
            Err("must be from 0% to 100%")
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
    }
}

/// What an operator asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pacing {
    /// Messages a second once everything is well.
    pub rate: f64,
    /// How many go first and are waited for.
    pub canary: Option<u64>,
    /// The share that may fail again.
    pub tolerance: Option<Share>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Copies begun.
    pub begun: u64,
    /// Copies whose outcome is known: applied, or needed no write.
    pub well: u64,
    /// Copies that became dead letters again.
    pub failed: u64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// Send the next, this many a second.
    Send(f64),
    /// Wait for what became of the canaries.
    Wait,
    /// Too many failed again.
    Abort,
}

impl Pacing {
    /// Whether outcomes matter at all.
    #[must_use]
    pub(crate) fn watches(&self) -> bool {
        self.canary.is_some() || self.tolerance.is_some()
    }

    /// What may be done now.
    #[must_use]
    pub(crate) fn turn(&self, seen: Seen) -> Turn {
        if self.fails(seen) {
            return Turn::Abort;
        }
        let Some(canary) = self.canary else { return Turn::Send(self.rate) };
        if seen.begun < canary {
            return Turn::Send(self.rate);
        }
        if seen.well + seen.failed < canary {
            return Turn::Wait;
        }
        // An eighth, a quarter and a half of the rate, for as many messages as there were canaries.
        let steps = (seen.begun - canary) / canary;
        let part = match steps {
            0 => 8.0,
            1 => 4.0,
            2 => 2.0,
            _ => 1.0,
        };
        Turn::Send(self.rate / part)
    }

    /// Too many have failed, whatever becomes of the rest of the sample.
    fn fails(&self, seen: Seen) -> bool {
        let tolerance = self.tolerance.or(self.canary.map(|_| Share::USUAL));
        let Some(Share(tolerance)) = tolerance else { return false };
        let of = (seen.well + seen.failed).max(self.canary.unwrap_or(SAMPLE));
        #[expect(clippy::cast_precision_loss, reason = "far fewer messages than a double counts exactly")]
        let (failed, of) = (seen.failed as f64, of as f64);
        failed > tolerance * of
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pacing(canary: Option<u64>, tolerance: Option<&str>) -> Pacing {
        Pacing { rate: 80.0, canary, tolerance: tolerance.map(|share| share.parse().expect("a share")) }
    }

    #[track_caller]
    fn check(pacing: Pacing, (begun, well, failed): (u64, u64, u64), expected: Turn) {
        assert_eq!(pacing.turn(Seen { begun, well, failed }), expected, "{begun} {well} {failed}");
    }

    #[test]
    fn canaries_are_waited_for_and_then_the_rate_doubles_step_by_step() {
        let canary = pacing(Some(10), None);
        check(canary, (0, 0, 0), Turn::Send(80.0));
        check(canary, (9, 5, 0), Turn::Send(80.0));
        check(canary, (10, 9, 0), Turn::Wait);
        check(canary, (10, 8, 2), Turn::Send(10.0));
        check(canary, (19, 10, 0), Turn::Send(10.0));
        check(canary, (20, 10, 0), Turn::Send(20.0));
        check(canary, (30, 10, 0), Turn::Send(40.0));
        check(canary, (40, 10, 0), Turn::Send(80.0));
        check(canary, (4_000, 10, 0), Turn::Send(80.0));
    }

    #[test]
    fn too_many_failures_end_it_as_soon_as_nothing_can_make_up_for_them() {
        check(pacing(Some(10), None), (5, 0, 2), Turn::Send(80.0));
        check(pacing(Some(10), None), (5, 0, 3), Turn::Abort);
        check(pacing(Some(10), Some("50%")), (10, 0, 5), Turn::Wait);
        check(pacing(None, Some("20%")), (500, 0, 2), Turn::Send(80.0));
        check(pacing(None, Some("20%")), (500, 0, 3), Turn::Abort);
        check(pacing(None, Some("20%")), (500, 80, 20), Turn::Send(80.0));
        check(pacing(None, Some("20%")), (500, 79, 21), Turn::Abort);
        check(pacing(None, Some("0%")), (1, 0, 1), Turn::Abort);
        check(pacing(None, None), (500, 0, 500), Turn::Send(80.0));
    }

    #[test]
    fn shares_are_read_with_their_sign() {
        assert_eq!("20%".parse(), Ok(Share::USUAL));
        assert_eq!("12.5 %".parse::<Share>().map(|share| share.to_string()), Ok("12.5 %".into()));
        for text in ["", "many", "101%", "-1%", "20", "0.2", "%"] {
            text.parse::<Share>().expect_err(text);
        }
    }

    proptest! {
        #[test]
        fn the_rate_is_never_exceeded_and_no_more_than_the_canaries_go_untold(
            rate in 0.1_f64..1_000.0,
            canary in 1_u64..50,
            outcomes in prop::collection::vec(prop::option::of(any::<bool>()), 0..300),
        ) {
            let pacing = Pacing { rate, canary: Some(canary), tolerance: None };
            let mut seen = Seen::default();
            let mut slowest = 0.0;
            for outcome in outcomes {
                match outcome {
                    Some(true) if seen.well + seen.failed < seen.begun => seen.well += 1,
                    Some(false) if seen.well + seen.failed < seen.begun => seen.failed += 1,
                    _ => match pacing.turn(seen) {
                        Turn::Send(now) => {
                            prop_assert!(now <= rate && now > 0.0);
                            if seen.begun >= canary {
                                prop_assert!(now >= slowest, "the ramp only climbs");
                                slowest = now;
                            }
                            seen.begun += 1;
                        }
                        Turn::Wait => prop_assert!(seen.begun >= canary),
                        Turn::Abort => {
                            prop_assert!(seen.failed * 5 > canary.max(seen.well + seen.failed));
                            break;
                        }
                    },
                }
                prop_assert!(seen.begun <= canary || seen.well + seen.failed >= canary);
            }
        }
    }
}
