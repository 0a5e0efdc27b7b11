//! A mix of messages, and what must come of it.

use std::collections::BTreeMap;

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::message::{ContactChange, moment};

/// One message to be posted.
#[derive(Clone, Debug)]
pub struct Posting {
    /// Its body.
    pub body: Vec<u8>,
    /// Its content type.
    pub content_type: &'static str,
}

/// A user as the directory must show it at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Mail address.
    pub mail: String,
    /// First name.
    pub given_name: String,
    /// Last name; `None` when emptied.
    pub surname: Option<String>,
}

/// Messages and what must come of them.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Users that exist before, with their values.
    pub before: BTreeMap<Uuid, Person>,
    /// The same users after everything.
    pub after: BTreeMap<Uuid, Person>,
    /// What is posted, in order.
    pub postings: Vec<Posting>,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<&'static str, usize>,
}

/// What a mix is made of.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Portal users.
    pub users: usize,
    /// Changes of these users.
    pub changes: usize,
    /// Changes of contacts without a portal user.
    pub strangers: usize,
    /// Sign-ins, which change no mapped column.
    pub sign_ins: usize,
    /// Bodies that nobody can read.
    pub garbage: usize,
    /// Changes of users that do not exist.
    pub ghosts: usize,
    /// Changes whose link is no object id.
    pub bad_links: usize,
    /// Changes with a value that Graph would refuse.
    pub bad_values: usize,
}

impl Mix {
    /// Nothing but changes of portal users.
    #[must_use]
    pub const fn updates(users: usize, changes: usize) -> Self {
        Self { users, changes, strangers: 0, sign_ins: 0, garbage: 0, ghosts: 0, bad_links: 0, bad_values: 0 }
    }

    /// What the demo shows.
    pub const DEMO: Self = Self {
        users: 60,
        changes: 240,
        strangers: 40,
        sign_ins: 30,
        garbage: 2,
        ghosts: 1,
        bad_links: 1,
        bad_values: 1,
    };
}

const FIRST: [&str; 12] =
    ["Ada", "Bao", "Chiara", "Dmitri", "Elif", "Femi", "Grace", "Hana", "Iñaki", "Jürgen", "Kofi", "Łucja"];
const LAST: [&str; 10] =
    ["Lovelace", "Nguyễn", "Rossi", "Ivanov", "Yılmaz", "Okafor", "Hopper", "Sato", "Etxeberria", "O'Neill"];

impl Scenario {
    /// A mix, the same for the same seed. Messages of different contacts are shuffled; those of one contact
    /// keep their order but for every eighth, which arrives before its predecessor.
    #[must_use]
    pub fn mixed(mix: Mix, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut scenario = Self::default();
        let users: Vec<_> = (0..mix.users).map(|index| (id(&mut rng), id(&mut rng), index)).collect();
        for &(user, _, index) in &users {
            scenario.before.insert(user, person(index, 0));
        }
        scenario.after.clone_from(&scenario.before);
        let mut slots: Vec<_> = (0..mix.changes).collect();
        slots.shuffle(&mut rng);
        for step in 0..mix.changes {
            let (user, contact, index) = users[rng.random_range(0..users.len())];
            let changed = scenario.change(&mut rng, user, contact, index, step + 1);
            scenario.postings.push(json_posting(&changed));
        }
        for step in (8..scenario.postings.len()).step_by(8) {
            scenario.postings.swap(step - 1, step);
        }
        scenario.add_needless(mix, &users, &mut rng);
        scenario.add_poison(mix, &users, &mut rng);
        scenario
    }

    /// A change of one to three columns. The value carries its version, so that a stale one is seen.
    fn change(
        &mut self,
        rng: &mut impl Rng,
        user: Uuid,
        contact: Uuid,
        index: usize,
        version: usize,
    ) -> ContactChange {
        let person = person(index, version);
        let mut change = ContactChange::new(contact, moment(version));
        let after = self.after.entry(user).or_default();
        let which = rng.random_range(1..8_u8);
        if which & 1 != 0 {
            change = change.set("emailaddress1", person.mail.clone());
            after.mail.clone_from(&person.mail);
        }
        if which & 2 != 0 {
            change = change.set("firstname", person.given_name.clone());
            after.given_name.clone_from(&person.given_name);
        }
        if which & 4 != 0 {
            let surname = person.surname.filter(|_| !rng.random_bool(0.1));
            change = change.set("lastname", surname.clone().map_or(Value::Null, Value::from));
            after.surname = surname;
        }
        // Half of the steps are registered with an image, half of the changes carry the link themselves.
        if rng.random_bool(0.5) {
            change.after("adx_identity_username", user.to_string())
        } else {
            change.set("adx_identity_username", user.to_string().to_uppercase())
        }
    }

    fn add_needless(&mut self, mix: Mix, users: &[(Uuid, Uuid, usize)], rng: &mut impl Rng) {
        for step in 0..mix.strangers {
            let change = ContactChange::new(id(rng), moment(step))
                .set("firstname", "Nobody")
                .after("adx_identity_username", Value::Null);
            self.insert(json_posting(&change), rng);
        }
        for step in 0..mix.sign_ins {
            let (user, contact, _) = users[step % users.len()];
            let change = ContactChange::new(contact, moment(step))
                .set("adx_identity_lastsuccessfullogin", "/Date(1710408412000)/")
                .after("adx_identity_username", user.to_string());
            self.insert(json_posting(&change), rng);
        }
    }

    fn add_poison(&mut self, mix: Mix, users: &[(Uuid, Uuid, usize)], rng: &mut impl Rng) {
        for step in 0..mix.garbage {
            let body = if step % 2 == 0 { b"{\"InputParameters\":[".to_vec() } else { b"hello".to_vec() };
            self.poison(Posting { body, content_type: "application/json" }, "BodyUndecodable", rng);
        }
        for _ in 0..mix.ghosts {
            let change = ContactChange::new(id(rng), moment(0))
                .set("firstname", "Ghost")
                .set("adx_identity_username", id(rng).to_string());
            self.poison(json_posting(&change), "UserNotFound", rng);
        }
        for _ in 0..mix.bad_links {
            let change = ContactChange::new(id(rng), moment(0))
                .set("firstname", "Local")
                .set("adx_identity_username", "local.user@example.com");
            self.poison(json_posting(&change), "UserLinkInvalid", rng);
        }
        for step in 0..mix.bad_values {
            let (user, contact, _) = users[step % users.len()];
            let change = ContactChange::new(contact, moment(0))
                .set("firstname", "x".repeat(65))
                .set("adx_identity_username", user.to_string());
            self.poison(json_posting(&change), "ValueInvalid", rng);
        }
    }

    fn poison(&mut self, posting: Posting, reason: &'static str, rng: &mut impl Rng) {
        *self.dead_letters.entry(reason).or_default() += 1;
        self.insert(posting, rng);
    }

    fn insert(&mut self, posting: Posting, rng: &mut impl Rng) {
        self.postings.insert(rng.random_range(0..=self.postings.len()), posting);
    }
}

/// A name, and by which change it was written.
fn told(name: &str, version: usize) -> String {
    if version == 0 { name.to_owned() } else { format!("{name} (change {version})") }
}

/// A person whose values tell by which version they were written.
fn person(index: usize, version: usize) -> Person {
    let (first, last) = (FIRST[index % FIRST.len()], LAST[index % LAST.len()]);
    Person {
        mail: format!("user{index}.v{version}@example.com"),
        given_name: told(first, version),
        surname: Some(told(last, version)),
    }
}

impl Person {
    /// The values as Graph keeps them.
    #[must_use]
    pub fn properties(&self) -> [(&'static str, Value); 3] {
        [
            ("mail", json!(self.mail)),
            ("givenName", json!(self.given_name)),
            ("surname", self.surname.as_ref().map_or(Value::Null, |name| json!(name))),
        ]
    }
}

fn json_posting(change: &ContactChange) -> Posting {
    Posting { body: change.body(), content_type: "application/json" }
}

fn id(rng: &mut impl Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}
