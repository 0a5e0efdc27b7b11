//! People who are in both directories, each with an object id of its own, and what somebody does to them behind the back of
//! the worker.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use emulator::graph::{Identity, User};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    pair::Pair,
    quick::{contact, user},
};

/// Is in every value of everybody, so that any of them is found where none may be.
pub const MARKER: &str = "Zweitmarker";

/// The attribute that holds the contact's id in both directories.
pub const OWNER: &str = "extensionAttribute14";

/// What a person is called and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// First name.
    pub given_name: String,
    /// Last name.
    pub surname: String,
    /// Address.
    pub address: String,
}

impl Values {
    /// Those of a person after so many changes.
    #[must_use]
    pub fn of(number: u128, version: usize) -> Self {
        Self {
            given_name: format!("{MARKER} {version}"),
            surname: format!("King{MARKER} {number}"),
            address: format!("{}{number}v{version}@example.com", MARKER.to_lowercase()),
        }
    }
}

/// The object id of a person in the second directory; in the first one it is that of [`user`].
#[must_use]
pub const fn twin(number: u128) -> Uuid {
    Uuid::from_u128(0x2222_2222_2222_4333_8444_0000_0000_0000 + number)
}

/// A person in both directories, as the worker would have written it; linked with its contact if that is to be.
pub fn add(pair: &Pair, number: u128, values: &Values, linked: bool) -> Result<()> {
    let domain = pair.world.graph.tenant().domain;
    let new = |id: Uuid, domain: &str| {
        let identity = Identity {
            sign_in_type: "emailAddress".to_owned(),
            issuer: domain.to_owned(),
            issuer_assigned_id: values.address.clone(),
        };
        let person = User::new(id)
            .with("givenName", values.given_name.clone())
            .with("surname", values.surname.clone())
            .with("otherMails", json!([values.address]))
            .with_identity(identity);
        if linked {
            let attributes = json!({ OWNER: contact(number).to_string() });
            person.with("onPremisesExtensionAttributes", attributes)
        } else {
            person
        }
    };
    pair.world.graph.add_user(new(user(number), &domain))?;
    let second = new(twin(number), &pair.second.tenant().domain).with("mail", values.address.clone());
    Ok(pair.second.add_user(second)?)
}

/// What must be found after somebody was at the directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Pairs that differ, by property.
    pub by_property: BTreeMap<&'static str, usize>,
    /// Pairs that differ: the object id in the first directory, and in what.
    pub differ: BTreeMap<String, &'static str>,
    /// Users of the second directory that the first one has no like of any more.
    pub missing_in_first: Vec<String>,
    /// Users of the first directory that the second one has no like of any more.
    pub missing_in_second: Vec<String>,
}

/// Makes thirty differences behind the back of the worker, at the first thirty people.
pub fn estrange(pair: &Pair) -> Result<Expected> {
    let mut expected = Expected::default();
    for number in 1..=30 {
        let name = match number {
            1..=10 => "givenName",
            11..=16 => "surname",
            17..=20 => "otherMails",
            21..=24 => "mail",
            25..=27 => {
                ensure!(pair.second.purge_user(twin(number)), "there is no twin {number}");
                expected.missing_in_second.push(user(number).to_string());
                continue;
            }
            _ => {
                ensure!(pair.world.graph.purge_user(user(number)), "there is no user {number}");
                expected.missing_in_first.push(twin(number).to_string());
                continue;
            }
        };
        let (graph, id, value) = match name {
            "givenName" => (&pair.second, twin(number), json!(format!("{MARKER} astray"))),
            "mail" => (&pair.second, twin(number), json!(format!("other{number}@example.com"))),
            "otherMails" => (&*pair.world.graph, user(number), json!([])),
            _ => (&*pair.world.graph, user(number), Value::Null),
        };
        graph.write_user(id, Map::from_iter([(name.to_owned(), value)]));
        *expected.by_property.entry(name).or_default() += 1;
        expected.differ.insert(user(number).to_string(), name);
    }
    Ok(expected)
}

impl Expected {
    /// What `targets compare --json --list` told, against this.
    pub fn check(&self, told: &str, agree: usize) -> Result<()> {
        let told: Value = serde_json::from_str(told).with_context(|| format!("no JSON: {told}"))?;
        let [first, second] =
            [&told["targets"][0], &told["targets"][1]].map(|name| name.as_str().unwrap_or_default());
        let list = |of: &Value| -> Vec<String> {
            let all = of.as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let differences = &told["differences"];
        let differ: BTreeMap<_, _> = differences["differ"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                (one["users"][first].as_str().unwrap_or_default().to_owned(), list(&one["properties"]))
            })
            .collect();
        let wanted: BTreeMap<_, _> =
            self.differ.iter().map(|(user, name)| (user.clone(), vec![(*name).to_owned()])).collect();
        ensure!(told["agree"] == agree, "{agree} agree: {told:#}");
        ensure!(differ == wanted, "{wanted:?} differ: {told:#}");
        ensure!(told["differ"] == wanted.len(), "as many are counted: {told:#}");
        ensure!(told["differByProperty"] == json!(self.by_property), "{:?}: {told:#}", self.by_property);
        let missing = &differences["missingIn"];
        ensure!(list(&missing[first]) == self.missing_in_first, "{:?}: {told:#}", self.missing_in_first);
        ensure!(list(&missing[second]) == self.missing_in_second, "{:?}: {told:#}", self.missing_in_second);
        Ok(())
    }
}
