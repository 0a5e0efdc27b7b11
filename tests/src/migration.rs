//! Two directories while people move: changes for both, workers that are killed, a directory that is away. At the end each
//! directory must be as the changes left it; then somebody is at them behind the back of the worker, and the comparison
//! must find that and nothing else.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use emulator::{
    broker::EntityOptions,
    graph::{self, Fault, User},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use servicebus::{ConnectionString, Outgoing, Queue, amqp, clock};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::{
    message::{ContactChange, moment},
    pair::{Done, Pair, TARGETS, TOPIC, contactsync},
    quick::{contact, user},
    twins::{self, Expected, Values, twin},
    world::{Options, Worker},
};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Decides who is changed when.
    pub seed: u64,
    /// Changes posted, each to both directories. At least one for each person.
    pub changes: u32,
    /// People.
    pub people: u32,
    /// How long posting takes.
    pub posting: Duration,
    /// Worker processes that are killed, spread over that time.
    pub kills: u32,
    /// Worker processes at any time.
    pub replicas: usize,
    /// How long the second directory is away, from a quarter of the time on.
    pub away: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From the first change until nothing waited any more.
    pub took: Duration,
    /// Writes that each directory took.
    pub writes: [usize; 2],
    /// How long the comparison took after that.
    pub comparison: Duration,
    /// What is not as it must be. Empty means that nothing was lost.
    pub faults: Vec<String>,
}

/// A budget that does not matter, and waits that nobody has to bear.
const SETTINGS: &str = r#"
[guard]
attribute = "extensionAttribute15"
[link]
owner_attribute = "extensionAttribute14"
[telemetry]
log_level = "warn"
"#;

/// Locks of killed workers lapse soon.
const LOCK: Duration = Duration::from_secs(5);

impl Measure {
    /// That of the long run.
    pub const LARGE: Self = Self {
        seed: 1,
        changes: 20_000,
        people: 2_000,
        posting: Duration::from_secs(80),
        kills: 3,
        replicas: 2,
        away: Duration::from_mins(1),
    };

    /// As much as a test can bear.
    pub const SMALL: Self = Self {
        seed: 1,
        changes: 400,
        people: 60,
        posting: Duration::from_secs(4),
        kills: 1,
        replicas: 1,
        away: Duration::from_secs(2),
    };
}

/// Runs it.
pub async fn migration(measure: Measure) -> Result<Outcome> {
    let graph = graph::Options { profile: graph::Profile::B2c, ..graph::Options::default() };
    let entity = EntityOptions { lock_duration: LOCK, ..EntityOptions::default() };
    let pair = Pair::start_with(Options { graph, ..Options::default() }, entity, true).await?;
    for number in 1..=u128::from(measure.people) {
        twins::add(&pair, number, &Values::of(number, 0), false)?;
    }
    let settings = settings(&pair, measure.replicas > 1)?;
    let mut model = Model::new(measure);
    let begun = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..measure.replicas {
        workers.push(pair.world.start_worker(&settings)?);
    }
    let mut troubles = Troubles { pair: &pair, settings: &settings, workers, measure, kills: 0, away: false };
    post(&pair, &mut model, &mut troubles).await?;
    for target in TARGETS {
        pair.emptied(target).await?;
    }
    let took = begun.elapsed();
    for worker in troubles.workers {
        worker.stop().await?;
    }
    let mut faults = model.wrong(&pair);
    for target in TARGETS {
        let letters = pair.dead_letters(target)?;
        let texts = letters.iter().take(3).map(|letter| {
            let told = ["DeadLetterReason", "DeadLetterErrorDescription"]
                .map(|name| letter.message.property(name).cloned());
            format!("{told:?}")
        });
        let texts: Vec<_> = texts.collect();
        faults.extend(
            (!letters.is_empty()).then(|| format!("{} dead letters of {target}: {texts:?}", letters.len())),
        );
    }
    let writes = TARGETS.map(|target| pair.writes(target, 204));
    let begun = Instant::now();
    faults.extend(
        compared(&pair, &settings, measure.people as usize).await.err().map(|error| format!("{error:#}")),
    );
    Ok(Outcome { took, writes, comparison: begun.elapsed(), faults })
}

/// Both directories agree; then they do not, and exactly that is found.
async fn compared(pair: &Pair, settings: &std::path::Path, people: usize) -> Result<()> {
    let compare = "targets compare --settle 1s --json --list";
    let Done { code, out, err } = contactsync(settings, compare).await?;
    ensure!(code == Some(0), "all agree: {out}{err}");
    Expected::default().check(&out, people)?;
    let expected = twins::estrange(pair)?;
    let Done { code, out, err } = contactsync(settings, compare).await?;
    ensure!(code == Some(1), "they do not agree: {out}{err}");
    expected.check(&out, people - 30)
}

fn settings(pair: &Pair, leased: bool) -> Result<PathBuf> {
    let lease = if leased { "[replicas]\nlease_queue = \"lease\"\n" } else { "" };
    pair.settings_with(
        &format!("{SETTINGS}{lease}"),
        [
            "mapping.preset = \"b2c\"",
            "mapping.preset = \"external_id\"\nmapping.link_column = \"new_externalid\"",
        ],
    )
}

/// Everybody as the changes so far leave them.
struct Model {
    rng: StdRng,
    people: Vec<Values>,
    measure: Measure,
}

impl Model {
    fn new(measure: Measure) -> Self {
        let people = (1..=u128::from(measure.people)).map(|number| Values::of(number, 0)).collect();
        Self { rng: StdRng::seed_from_u64(measure.seed), people, measure }
    }

    /// The change of that number. First everybody has one, so that each user is noted with its contact.
    fn change(&mut self, step: usize) -> ContactChange {
        let place = if step < self.people.len() { step } else { self.rng.random_range(0..self.people.len()) };
        let number = place as u128 + 1;
        let new = Values::of(number, step + 1);
        let now = &mut self.people[place];
        let (one, other) = (user(number).to_string(), twin(number).to_string());
        let mut change = ContactChange::new(contact(number), moment(step * 10));
        for (link, id) in [("adx_identity_username", one), ("new_externalid", other)] {
            change = change.before(link, id.clone()).after(link, id);
        }
        // Dataverse shows in an image what was there before.
        change = change.before("emailaddress1", now.address.clone()).row(step as u64 + 1);
        if self.rng.random_bool(0.3) {
            change = change.set("emailaddress1", new.address.clone());
            now.address = new.address;
        }
        now.given_name = new.given_name;
        change.set("firstname", now.given_name.clone()).set("lastname", now.surname.clone())
    }

    /// Everybody who is not as the changes left them.
    fn wrong(&self, pair: &Pair) -> Vec<String> {
        let mut wrong = Vec::new();
        for (values, number) in self.people.iter().zip(1..) {
            for (target, id) in TARGETS.into_iter().zip([user(number), twin(number)]) {
                let found = pair.of(target).user(id);
                let what =
                    found.map_or_else(|| vec!["the whole user"], |found| differing(values, &found, target));
                wrong.extend((!what.is_empty()).then(|| format!("{target} {id}: {}", what.join(", "))));
            }
        }
        wrong
    }
}

fn differing(values: &Values, user: &User, target: &str) -> Vec<&'static str> {
    let others = user.get("otherMails");
    let listed = others.as_array().is_some_and(|list| list.iter().any(|one| *one == *values.address));
    let mail = target == TARGETS[0] || user.text("mail") == Some(&*values.address);
    let checks = [
        ("givenName", user.text("givenName") == Some(&*values.given_name)),
        ("surname", user.text("surname") == Some(&*values.surname)),
        ("mail", mail),
        ("otherMails", listed),
        ("signInEmail", user.sign_in_addresses().eq([&*values.address])),
    ];
    checks.into_iter().filter(|(_, right)| !right).map(|(name, _)| name).collect()
}

/// Posts everything over the time that it shall take, while things go wrong.
async fn post(pair: &Pair, model: &mut Model, troubles: &mut Troubles<'_>) -> Result<()> {
    let connection = ConnectionString::parse(&pair.bus.connection_string())?;
    let settings = amqp::Settings::from_connection_string(&connection, TOPIC, clock::now);
    let sender = amqp::AmqpQueue::open_without_intake(&settings)?;
    let (begun, measure) = (Instant::now(), model.measure);
    for step in 0..measure.changes {
        sleep_until(begun + measure.posting * step / measure.changes).await;
        troubles.at(step).await?;
        let message = Outgoing {
            message_id: Some(Uuid::new_v4().to_string().into()),
            content_type: Some("application/json".into()),
            body: model.change(step as usize).body().into(),
            ..Outgoing::default()
        };
        sender.send(message).await?;
    }
    sender.close().await;
    troubles.at(measure.changes).await
}

struct Troubles<'p> {
    pair: &'p Pair,
    settings: &'p std::path::Path,
    workers: Vec<Worker>,
    measure: Measure,
    kills: u32,
    away: bool,
}

impl Troubles<'_> {
    /// What is due when so many changes were posted.
    async fn at(&mut self, step: u32) -> Result<()> {
        if step >= self.measure.changes / 4 && !std::mem::replace(&mut self.away, true) {
            self.pair.second.script(Fault::status(503).always().lasting(self.measure.away));
        }
        let due = step * (self.measure.kills + 1) / self.measure.changes;
        while self.kills < due.min(self.measure.kills) {
            // The one that has been there for longest is the one that writes, as a rule.
            self.kills += 1;
            self.workers.remove(0).kill().await?;
            self.workers.push(self.pair.world.start_worker(self.settings)?);
        }
        Ok(())
    }
}
