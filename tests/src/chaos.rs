//! Real processes under everything at once: replicas killed, connections dropped, Graph failing at random,
//! locks lapsing, tokens refused. At the end nothing may be lost.

use std::{path::PathBuf, time::Duration};

use emulator::{
    faults::{Action, Point, Rule},
    graph::{Entry, Fault, Kind, RetryAfter},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::{
    audit::{Fault as Finding, Findings, audit},
    scenario::{Mix, Scenario},
    world::{Options, QUEUE, Worker, World},
};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// How long things go wrong.
    pub trouble: Duration,
    /// Decides what goes wrong when.
    pub seed: u64,
    /// Changes posted.
    pub messages: usize,
    /// Users they are spread over.
    pub users: usize,
    /// Worker processes.
    pub replicas: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the audit found, without what [`Outcome::crossed`] explains.
    pub findings: Findings,
    /// Users whose value differs because two replicas had calls for them under way at the same moment.
    pub crossed: usize,
    /// Processes killed.
    pub kills: usize,
    /// Other faults set off.
    pub faults: usize,
    /// From the first message to the empty queue.
    pub took: Duration,
}

/// The guard is on, because memory is lost here all the time; delays are short, because nobody wants to wait.
const SETTINGS: &str = r#"
[guard]
attribute = "extensionAttribute15"
verify_after = "2s"
[throttle]
writes_per_second = 2000.0
burst = 200.0
first_probe = "50ms"
longest_probe = "500ms"
[retry]
tries = 8
first_delay = "20ms"
longest_delay = "500ms"
first_return = "1s"
longest_return = "2s"
not_found_grace = "2s"
[telemetry]
log_level = "warn"
"#;

const LOCK: Duration = Duration::from_secs(5);

/// Runs it.
pub async fn chaos(measure: Measure) -> anyhow::Result<Outcome> {
    let mix = Mix {
        users: measure.users,
        changes: measure.messages,
        strangers: measure.messages / 20,
        sign_ins: measure.messages / 20,
        garbage: 5,
        ghosts: 3,
        bad_links: 3,
        bad_values: 3,
    };
    let scenario = Scenario::mixed(mix, measure.seed);
    let world = World::loaded(Options { lock: LOCK, ..Options::default() }, &scenario).await?;
    world.graph.set_latency(Duration::from_millis(5));

    let mut storm = Storm {
        rng: StdRng::seed_from_u64(measure.seed),
        settings: world.layered(&[SETTINGS])?,
        world: &world,
        replicas: Vec::new(),
        kills: 0,
        faults: 0,
    };
    for _ in 0..measure.replicas {
        storm.replicas.push(world.start_worker(&storm.settings)?);
    }
    let started = Instant::now();
    while started.elapsed() < measure.trouble {
        storm.strike().await?;
        sleep(Duration::from_millis(250)).await;
    }
    let (kills, faults) = (storm.kills, storm.faults);
    world.graph.clear_faults();
    world.bus.faults().clear();
    world.drained(Duration::from_mins(3)).await?;
    let took = started.elapsed();
    for replica in storm.replicas {
        replica.stop().await?;
    }
    let (findings, crossed) = explained(&world, audit(&world, &scenario)?);
    Ok(Outcome { findings, crossed, kills, faults, took })
}

struct Storm<'w> {
    rng: StdRng,
    settings: PathBuf,
    world: &'w World,
    replicas: Vec<Worker>,
    kills: usize,
    faults: usize,
}

impl Storm<'_> {
    /// Sets off one fault.
    async fn strike(&mut self) -> anyhow::Result<()> {
        self.faults += 1;
        match self.rng.random_range(0..10) {
            0..=3 => return self.kill_one().await,
            4 => self.world.bus.drop_connections(),
            5 => drop(self.world.bus.lapse_locks(QUEUE, None)?),
            6 => {
                let refuse = Action::Refuse("amqp:unauthorized-access".to_owned());
                self.world.bus.faults().add(Rule::new(Point::Token, refuse).times(3));
            }
            7 => {
                let busy = Action::Refuse("com.microsoft:server-busy".to_owned());
                self.world.bus.faults().add(Rule::new(Point::Request, busy).times(2));
            }
            _ => drop(self.world.graph.script(self.graph_fault())),
        }
        Ok(())
    }

    async fn kill_one(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        let which = self.rng.random_range(0..self.replicas.len());
        let next = self.world.start_worker(&self.settings)?;
        std::mem::replace(&mut self.replicas[which], next).kill().await
    }

    fn graph_fault(&mut self) -> Fault {
        let times = self.rng.random_range(1..20);
        let fault = match self.rng.random_range(0..6) {
            0 => Fault::status(429).retry_after(RetryAfter::Text("0.3".to_owned())),
            1 => Fault::status(500),
            2 => Fault::status(503),
            3 => Fault::reset(),
            4 => Fault::reset_after_apply(),
            _ => Fault::status(504).but_applied(),
        };
        fault.patches().times(times)
    }
}

/// Takes out of the findings what the one known gap explains: of two calls for one user that were under way at
/// the same moment in two replicas, the later write wins, whichever change is newer.
fn explained(world: &World, mut findings: Findings) -> (Findings, usize) {
    let journal = world.graph.journal();
    let before = findings.faults.len();
    findings.faults.retain(|fault| match fault {
        Finding::User { id, .. } => !crossed(journal.iter().filter(|entry| entry.user == Some(*id))),
        _ => true,
    });
    let crossed = before - findings.faults.len();
    (findings, crossed)
}

/// Whether somebody looked at the user between another one's look and write. Each replica looks and writes in
/// turn, so two looks without a write between them are of two replicas (or of one that was killed).
fn crossed<'e>(entries: impl Iterator<Item = &'e Entry>) -> bool {
    let mut looks = 0;
    for entry in entries.filter(|entry| entry.kind == Kind::Graph) {
        match entry.method.as_str() {
            "GET" => looks += 1,
            "PATCH" if entry.applied => {
                if looks > 1 {
                    return true;
                }
                looks = 0;
            }
            _ => {}
        }
    }
    false
}
