//! The scenarios, and what is wanted of each.

use std::time::Duration;

use super::{
    figures::Figures,
    mix::Mix,
    run::{Quota, Run},
    takeover::Cause,
    template::Format,
};

/// Which scenarios are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// A little of everything, in seconds: shows that it works, and no figure worth comparing.
    Quick,
    /// All of them, as the table in `tests/README.md` has them.
    All,
}

/// Users of the scenario at the real quota.
const REAL_USERS: usize = 150;

/// A run of this name and meaning.
fn run(key: &str, what: &str, mix: Mix) -> Run {
    Run { key: key.to_owned(), what: what.to_owned(), mix, ..Run::default() }
}

fn mix(messages: usize, users: usize) -> Mix {
    Mix { messages, users, ..Mix::default() }
}

impl Profile {
    /// Its runs, in order. What concerns starting and memory is [`super::start`]'s.
    #[must_use]
    pub fn runs(self) -> Vec<Run> {
        match self {
            Self::Quick => quick(),
            Self::All => all(),
        }
    }

    /// Why replicas take over from one another.
    #[must_use]
    pub const fn takeovers(self) -> &'static [Cause] {
        match self {
            Self::Quick => &[Cause::Stop],
            Self::All => &Cause::ALL,
        }
    }

    /// Messages in the long queue of [`super::start`].
    #[must_use]
    pub const fn waiting(self) -> usize {
        match self {
            Self::Quick => 5_000,
            Self::All => super::start::WAITING,
        }
    }
}

fn quick() -> Vec<Run> {
    let soiled = Mix { strangers: 0.2, poison: 0.02, skew: 1.0, ..mix(1_000, 100) };
    let tenfold = Quota { scale: 10.0, burst: 100 };
    vec![
        run("a", "different users", mix(2_000, 2_000)),
        run("c", "few users", Mix { skew: 1.0, ..mix(2_000, 100) }),
        run("m", "strangers and poison", soiled),
        Run { workers: 2, quota: Some(tenfold), ..run("d", "quota, two replicas", mix(1_000, 100)) },
        Run { rate: Some(50.0), ..run("e", "a trickle", mix(100, 100)) },
        run("h-xml", "XML", Mix { format: Format::Xml, ..mix(1_000, 1_000) }),
        run("h-binary", "binary XML", Mix { format: Format::Binary, ..mix(1_000, 1_000) }),
    ]
}

fn all() -> Vec<Run> {
    let latency = Duration::from_millis(80);
    let quota = Some(Quota { scale: 10.0, burst: 300 });
    let formats = [Format::Json, Format::Binary, Format::Xml].map(|format| {
        let name = format!("{format:?}").to_lowercase();
        run(&format!("h-{name}"), &name, Mix { format, ..mix(20_000, 20_000) })
    });
    let shared = Mix { skew: 0.8, ..mix(8_000, 1_000) };
    let replicas = [1, 2, 4].map(|workers| Run {
        workers,
        quota,
        latency: Duration::from_millis(20),
        ..run(&format!("i-{workers}"), "fixed quota", shared)
    });
    let scarce = Run { quota, latency: Duration::from_millis(20), ..run("d", "quota", mix(12_000, 1_200)) };
    let real = Run {
        quota: Some(Quota { scale: 1.0, burst: 25 }),
        latency: Duration::from_millis(200),
        usual: true,
        ..run("j", "the real quota", Mix { skew: 1.0, ..mix(3_000, REAL_USERS) })
    };
    let trickle =
        Run { rate: Some(50.0), latency: Duration::from_millis(20), ..run("e", "a trickle", mix(500, 500)) };
    let fresh = Run {
        rate: Some(4.0),
        replayed: 5_000,
        quota: Some(Quota { scale: 1.0, burst: 25 }),
        latency: Duration::from_millis(50),
        usual: true,
        ..run("n", "beside 5,000 replayed", mix(120, 120))
    };
    let different = run("a", "different users", mix(20_000, 20_000));
    let few = run("c", "few users", Mix { skew: 1.0, ..mix(20_000, 1_000) });
    let kept = |run: &Run| Run { key: format!("{}-kept", run.key), journal: true, ..run.clone() };
    let mut runs = vec![
        different.clone(),
        kept(&different),
        Run { latency, concurrency: 200, ..run("b", "80 ms latency", mix(10_000, 10_000)) },
        few.clone(),
        kept(&few),
        Run { key: "d-1".to_owned(), ..scarce.clone() },
        Run { key: "d-2".to_owned(), workers: 2, ..scarce.clone() },
        Run { key: "d-4".to_owned(), workers: 4, ..scarce },
        trickle.clone(),
        Run { key: "e-3".to_owned(), workers: 3, ..trickle },
        run("g", "190 KB", Mix { filler: 187_000, ..mix(2_000, 2_000) }),
    ];
    runs.extend(formats);
    runs.extend(replicas);
    runs.extend([real, fresh]);
    runs
}

/// What is wanted of a run, and what it is; nothing where only the comparison with other workers says.
#[must_use]
pub fn aim(run: &Run, figures: &Figures, others: &[(Run, Figures)]) -> Option<String> {
    let other = |key: &str| others.iter().find(|(run, _)| run.key == key).map(|(_, figures)| figures);
    let said = |wanted: &str, is: f64, met: bool| {
        Some(format!("{:9} {is:8.3} {} {wanted}", run.key, if met { "meets" } else { "MISSES" }))
    };
    match run.key.as_str() {
        "b" => {
            #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
            let possible = run.concurrency as f64 / run.latency.as_secs_f64();
            let share = figures.rate() / possible;
            said("0.9 of concurrency ÷ latency", share, share >= 0.9)
        }
        "a-kept" | "c-kept" => {
            let share = figures.cpu_ms() / other(&run.key[..1])?.cpu_ms();
            said("1.05 × the processor time without a journal", share, share <= 1.05)
        }
        "c" => {
            let share = figures.changes_per_write();
            said("more than 1 change for each write", share, share > 1.0)
        }
        "d-1" | "d-2" | "d-4" => {
            let slowness = figures.took.as_secs_f64() / run.least_time(1_300).as_secs_f64();
            said("1.10 × the time of 1,300 writes, 0.5 % of calls 429", slowness, {
                slowness <= 1.1 && figures.throttled_share() <= 0.005
            })
        }
        "j" => {
            let slowness = figures.took.as_secs_f64() / run.least_time(REAL_USERS).as_secs_f64();
            said("1.15 × the time of a write for each user, no call 429", slowness, {
                slowness <= 1.15 && figures.throttled_share() <= 0.0
            })
        }
        "e" | "e-3" => {
            // With a guard, which several replicas have, a look goes before the write.
            let calls = if run.workers > 1 { 2.0 } else { 1.0 };
            let above = figures.delay_ms(0.99) - calls * run.latency.as_secs_f64() * 1e3;
            said("10 ms above Graph's latency at p99", above, above <= 10.0)
        }
        "n" => {
            let late = figures.delay_ms(0.99);
            said("1000 ms at p99 beside a replay, at the real quota", late, late < 1_000.0)
        }
        "g" => {
            let speed = figures.megabytes_per_cpu_second();
            said("150 MB for each second of the worker's processor time", speed, speed >= 150.0)
        }
        "h-binary" | "h-xml" => {
            let share = figures.rate() / other("h-json")?.rate();
            let wanted = if run.key == "h-xml" { 0.5 } else { 0.8 };
            said(&format!("{wanted} of JSON's rate"), share, share >= wanted)
        }
        "i-2" | "i-4" => {
            let gain = figures.rate() / other("i-1")?.rate();
            said("0.98 of the rate of one replica, 0.5 % of calls 429", gain, {
                gain >= 0.98 && figures.throttled_share() <= 0.005
            })
        }
        _ => None,
    }
}
