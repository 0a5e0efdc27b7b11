//! Real processes under everything at once: replicas killed, connections dropped, Graph failing at random,
//! locks lapsing, tokens refused. At the end nothing may be lost.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::ensure;
use emulator::{
    faults::{Action, Point, Rule},
    graph::{Fault, RetryAfter},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    audit::{Findings, audit},
    explained::{self, Comparison, Recorder, Seen},
    scenario::{Mix, Scenario},
    world::{LEASED, Options, QUEUE, Worker, World},
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
    /// What the audit found.
    pub findings: Findings,
    /// How what `explain` tells agrees with what the services have seen.
    pub explained: Comparison,
    /// What stands in the journals, in logs or in stories that is somebody's.
    pub personal: Vec<String>,
    /// Processes killed.
    pub kills: usize,
    /// Other faults set off.
    pub faults: usize,
    /// Replicas started again that had ended by themselves, because they were not let in when they started.
    pub restarts: usize,
    /// From the first message to the empty queue.
    pub took: Duration,
}

/// The guard is on, because memory is lost here all the time; delays are short, because nobody wants to wait.
const SETTINGS: &str = r#"
[connection]
request_timeout = "2s"
[guard]
attribute = "extensionAttribute15"
[throttle]
writes_per_second = 2000.0
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
/// Time between two faults.
const TICK: Duration = Duration::from_millis(250);
/// Calls that the local Graph remembers, so that all of them can be held against the journals.
const REMEMBERED: usize = 4_000_000;
/// What values of users, and nothing else, hold: see [`Scenario`].
const VALUES: [&str; 2] = [" (change ", "@example.com"];
/// How `run` ends when it is not let in and retrying cannot help.
const NOT_LET_IN: i32 = 78;
/// How long the login host refuses everybody at most.
const REFUSAL: Duration = Duration::from_secs(10);

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
    // A crash and a lapsed lock each cost one delivery of everything that was held, as they do in the cloud.
    // Nobody's replicas die every second, so here a message may be delivered more often than the usual ten times.
    let mut options = Options { lock: LOCK, max_delivery_count: 1_000, ..Options::default() };
    options.graph.journal_capacity = REMEMBERED;
    let world = World::start(options).await?;
    let recorder = Recorder::start(&world);
    world.add_users(&scenario)?;
    world.post(&scenario, |_| {}).await?;
    let (layer, folder) = explained::kept(&world)?;
    world.graph.set_latency(Duration::from_millis(5));

    let mut storm = Storm {
        rng: StdRng::seed_from_u64(measure.seed),
        settings: world.layered(&[SETTINGS, LEASED, &layer])?,
        world: &world,
        replicas: Vec::new(),
        kills: 0,
        faults: 0,
        restarts: 0,
        refused: false,
        logs: String::new(),
    };
    for _ in 0..measure.replicas {
        storm.replicas.push(world.start_worker(&storm.settings)?);
    }
    let started = Instant::now();
    let mut ticks = 0_u32;
    while started.elapsed() < measure.trouble {
        storm.tick(ticks, measure.trouble).await?;
        ticks += 1;
        sleep(TICK).await;
    }
    world.graph.clear_faults();
    world.bus.faults().clear();
    storm.start_again()?;
    world.drained(crate::PATIENCE).await?;
    let took = started.elapsed();
    storm.start_again()?;
    let Storm { settings, mut logs, replicas, kills, faults, restarts, .. } = storm;
    for replica in replicas {
        logs += &replica.stop().await?;
    }
    let findings = audit(&world, &scenario)?;
    let seen = recorder.end(&world)?;
    let explained = ask(&settings, &seen, &scenario).await?;
    let personal = personal(&scenario, &explained::all_files(&folder)?, &[&logs, &explained.text]);
    Ok(Outcome { findings, explained, personal, kills, faults, restarts, took })
}

/// Asks what happened to each contact, and so of each message that names one. A write is in the story of its contact.
async fn ask(settings: &Path, seen: &Seen, scenario: &Scenario) -> anyhow::Result<Comparison> {
    let contacts = scenario.postings.iter().filter_map(|posting| contact_of(&posting.body));
    Comparison::of(settings, seen, contacts.collect::<BTreeSet<_>>()).await
}

/// Values in what is kept or told, and ids in what is kept.
fn personal(scenario: &Scenario, kept: &str, told: &[&str]) -> Vec<String> {
    let contacts = scenario.postings.iter().filter_map(|posting| contact_of(&posting.body));
    let ids: BTreeSet<_> = contacts.chain(scenario.before.keys().copied()).collect();
    let is_kept =
        |id: &Uuid| [id.to_string(), id.simple().to_string()].iter().any(|form| kept.contains(form));
    let named = ids.into_iter().filter(is_kept).map(|id| format!("the journal names {id}"));
    let texts = told.iter().copied().chain([kept]);
    let values = texts.flat_map(|text| VALUES.map(|value| (value, text.matches(value).count())));
    let values = values.filter(|(_, count)| *count > 0);
    named.chain(values.map(|(value, count)| format!("{value:?} is told {count} times"))).collect()
}

fn contact_of(body: &[u8]) -> Option<Uuid> {
    let message = shared::decode::decode(body, None).ok()?;
    message.changes().first().map(|change| change.contact.0)
}

struct Storm<'w> {
    rng: StdRng,
    settings: PathBuf,
    world: &'w World,
    replicas: Vec<Worker>,
    kills: usize,
    faults: usize,
    restarts: usize,
    /// Whether the login host has had its turn.
    refused: bool,
    /// Of replicas that were killed.
    logs: String,
}

impl Storm<'_> {
    /// A quarter of a second of it: each fourth kills a replica, and the one before leaves writes that took effect without an
    /// answer; every one sets something else off, and a third into the trouble the login host refuses everybody for a while.
    async fn tick(&mut self, number: u32, trouble: Duration) -> anyhow::Result<()> {
        self.start_again()?;
        if number.is_multiple_of(4) {
            self.kill_one().await?;
        } else if (number + 1).is_multiple_of(4) {
            self.world.graph.script(Fault::hang().but_applied().patches().times(3));
        }
        if TICK * number >= trouble / 3 && !std::mem::replace(&mut self.refused, true) {
            // A client secret that has run out: whoever starts now, or is refused by Graph, gets no token.
            let refusal = Fault::token_error(7_000_222).lasting((trouble / 3).min(REFUSAL));
            self.world.graph.script(refusal);
        }
        self.strike()
    }

    /// Sets off one fault.
    fn strike(&mut self) -> anyhow::Result<()> {
        self.faults += 1;
        match self.rng.random_range(0..6) {
            0 => self.world.bus.drop_connections(),
            1 => drop(self.world.bus.lapse_locks(QUEUE, None)?),
            2 => {
                let refuse = Action::Refuse("amqp:unauthorized-access".to_owned());
                self.world.bus.faults().add(Rule::new(Point::Token, refuse).times(3));
            }
            3 => {
                let busy = Action::Refuse("com.microsoft:server-busy".to_owned());
                self.world.bus.faults().add(Rule::new(Point::Request, busy).times(2));
            }
            _ => drop(self.world.graph.script(self.graph_fault())),
        }
        Ok(())
    }

    /// Starts replicas again that have ended, as whoever runs them does. Only one that was not let in at its start may end.
    fn start_again(&mut self) -> anyhow::Result<()> {
        for at in 0..self.replicas.len() {
            let Some(status) = self.replicas[at].ended()? else { continue };
            self.restarts += 1;
            let next = self.world.start_worker(&self.settings)?;
            let log = std::mem::replace(&mut self.replicas[at], next).log()?;
            ensure!(status.code() == Some(NOT_LET_IN), "a replica ended by itself with {status}:\n{log}");
            self.logs += &log;
        }
        Ok(())
    }

    async fn kill_one(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        let which = self.rng.random_range(0..self.replicas.len());
        let next = self.world.start_worker(&self.settings)?;
        let killed = std::mem::replace(&mut self.replicas[which], next);
        self.logs += &killed.log()?;
        killed.kill().await
    }

    fn graph_fault(&mut self) -> Fault {
        let times = self.rng.random_range(1..20);
        let fault = match self.rng.random_range(0..8) {
            0 => Fault::status(429).retry_after(RetryAfter::Text("0.3".to_owned())),
            1 => Fault::status(500),
            2 => Fault::status(503),
            3 => Fault::reset(),
            4 => Fault::reset_after_apply(),
            5 => Fault::unauthorized(),
            6 => Fault::delay(2 * TICK),
            _ => Fault::status(504).but_applied(),
        };
        fault.patches().times(times)
    }
}
