//! Several targets: each entry `[[target]]` of the file lays settings of its own over those of all, so that each target
//! has a complete set, which is read and checked like that of an installation with one.

use std::path::Path;

use shared::target::{Addressee, TargetName};
use toml::Value;

use super::{
    bus::{Bus, MessageSource},
    parts::{Parts, Settings},
    problem::{SettingsProblem, SettingsProblems},
    source::{Layers, Overlay, PREFIX, Sources, Surroundings},
};
use crate::identity::{Credential, Identity};

/// Where the entries stand.
const KEY: &str = "target";
/// How variables of a target go on after what all variables of ours begin with.
const VARIABLE: &str = "TARGET__";
/// Sections that count for the whole process.
pub(super) const OF_PROCESS: [&str; 4] = ["http", "journal", "notify", "telemetry"];

/// Which target is meant cannot be told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetChoiceError {
    /// None of the targets has this name.
    #[error("there is no target {0}; the settings have {1}")]
    Unknown(Box<str>, Box<str>),
    /// There are several.
    #[error("the settings have several targets: {0}; say which one is meant by --target NAME")]
    Open(Box<str>),
    /// There is but one, and it has no name.
    #[error("the settings have no [[target]] to choose from; leave --target out")]
    None,
}

/// The settings of all targets, as far as they can be used.
pub struct Targets {
    /// One for each target; exactly one, without a name, if the file has no `[[target]]`.
    pub each: Vec<Parts>,
    /// What is wrong with the targets as a whole.
    pub problems: Vec<SettingsProblem>,
}

/// The layers of each target, before sections are read from them.
pub(super) struct Stacks {
    pub(super) each: Vec<(Option<Addressee>, Layers)>,
    pub(super) problems: Vec<SettingsProblem>,
    around: Surroundings,
}

impl Stacks {
    pub(super) fn of(
        file: Option<(&Path, &str)>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, SettingsProblem> {
        let mut sources = Sources::of(file, environment)?;
        let mut problems = Vec::new();
        let entries = sources.table.remove(KEY);
        let (variables, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut sources.environment)
            .into_iter()
            .partition(|(variable, _)| own_part(variable).is_some());
        sources.environment = rest;
        let mut overlays =
            entries.map_or_else(Vec::new, |entries| overlays(entries, &sources, &mut problems));
        share_out(variables, &mut overlays, &mut problems);
        let mut each: Vec<_> = overlays
            .iter()
            .map(|overlay| (Some(addressee(overlay, &overlays)), sources.layers(Some(overlay))))
            .collect();
        if each.is_empty() {
            each.push((None, sources.layers(None)));
        }
        Ok(Self { each, problems, around: sources.around })
    }

    /// The layers of the one that is meant.
    pub(super) fn choose(mut self, name: Option<&str>) -> Result<Layers, TargetChoiceError> {
        let own =
            |(target, _): &(Option<Addressee>, Layers)| target.as_ref().map(|target| target.own.clone());
        let place = choose(&self.each.iter().map(own).collect::<Vec<_>>(), name)?;
        let mut layers = self.each.swap_remove(place).1;
        layers.problems.append(&mut self.problems);
        Ok(layers)
    }
}

impl Targets {
    /// Reads the settings of every target, so that all mistakes are told at once. Fails if the file is no TOML.
    pub fn of(
        file: Option<(&Path, &str)>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, SettingsProblems> {
        let Stacks { each, mut problems, around } = Stacks::of(file, environment)?;
        let each: Vec<_> =
            each.into_iter().map(|(target, layers)| Parts::read(layers, &around, target)).collect();
        problems.extend(collisions(&each));
        Ok(Self { each, problems })
    }

    /// Only the one that is meant: that of this name, or the only one there is.
    pub fn only(mut self, name: Option<&str>) -> Result<Self, TargetChoiceError> {
        let names: Vec<_> = self.each.iter().map(|parts| parts.target.clone()).collect();
        let place = choose(&names, name)?;
        self.each = vec![self.each.swap_remove(place)];
        Ok(self)
    }

    /// The settings of each, if nothing is wrong with any.
    pub fn finish(mut self) -> Result<Vec<Settings>, SettingsProblems> {
        let problems = self.take_problems();
        if !problems.is_empty() {
            return Err(SettingsProblems(problems));
        }
        self.each.into_iter().map(Parts::finish).collect()
    }

    /// Everything that is wrong: what all have in common once, the rest with the name of the target.
    pub fn take_problems(&mut self) -> Vec<SettingsProblem> {
        let mut told = std::mem::take(&mut self.problems);
        let of_each: Vec<_> = self.each.iter_mut().map(|parts| std::mem::take(&mut parts.problems)).collect();
        for (parts, problems) in self.each.iter().zip(&of_each) {
            for problem in problems {
                let common = of_each.iter().all(|others| others.contains(problem));
                let problem = match &parts.target {
                    Some(name) if !common => problem.clone().of_target(name),
                    _ => problem.clone(),
                };
                if !told.contains(&problem) {
                    told.push(problem);
                }
            }
        }
        told
    }
}

impl SettingsProblem {
    /// The same with the name of the target whose it is, where its place does not tell.
    fn of_target(self, name: &TargetName) -> Self {
        let variable = format!("{PREFIX}{VARIABLE}{}__", in_variables(name));
        let in_file = format!("target {name} in ");
        let is_told = self.position.as_ref().is_some_and(|position| position.starts_with(&in_file));
        if is_told || self.place.starts_with(&variable) {
            return self;
        }
        Self { place: format!("{} of target {name}", self.place).into(), ..self }
    }
}

/// The place of the one that is meant among these.
fn choose(names: &[Option<TargetName>], wanted: Option<&str>) -> Result<usize, TargetChoiceError> {
    let list = || names.iter().flatten().map(TargetName::as_str).collect::<Vec<_>>().join(", ");
    match (wanted, names) {
        (None, [_]) => Ok(0),
        (None, _) => Err(TargetChoiceError::Open(list().into())),
        (Some(_), [None]) => Err(TargetChoiceError::None),
        (Some(wanted), names) => names
            .iter()
            .position(|name| name.as_ref().is_some_and(|name| name.as_str() == wanted))
            .ok_or_else(|| TargetChoiceError::Unknown(wanted.into(), list().into())),
    }
}

fn addressee(overlay: &Overlay, all: &[Overlay]) -> Addressee {
    let others = all.iter().map(|other| &other.name).filter(|name| **name != overlay.name);
    Addressee { own: overlay.name.clone(), others: others.cloned().collect() }
}

/// What is left of a variable's name behind what those of targets begin with.
fn own_part(variable: &str) -> Option<&str> {
    variable.strip_prefix(PREFIX)?.strip_prefix(VARIABLE)
}

/// A name as it stands in variables.
fn in_variables(name: &TargetName) -> String {
    name.as_str().to_ascii_uppercase().replace('-', "_")
}

/// The entries of the file that can be used.
fn overlays(entries: Value, sources: &Sources, problems: &mut Vec<SettingsProblem>) -> Vec<Overlay> {
    let place = format!("{KEY} in {}", sources.file);
    let mut wrong = |text: &str| problems.push(SettingsProblem::new(&place, text));
    let mut overlays: Vec<Overlay> = Vec::new();
    let Value::Array(entries) = entries else {
        wrong("must be written as [[target]], with two brackets, once for each target");
        return overlays;
    };
    for (index, entry) in entries.into_iter().enumerate() {
        let number = index + 1;
        let Value::Table(mut table) = entry else {
            wrong(&format!("entry {number} must be a section [[target]]"));
            continue;
        };
        let name = table.remove("name");
        let Some(name) = name.as_ref().and_then(Value::as_str).and_then(TargetName::parse) else {
            wrong(&format!(
                "entry {number} must have a name of lower-case letters, digits and single hyphens, such as name = \"b2c\""
            ));
            continue;
        };
        if overlays.iter().any(|other| other.name == name) {
            wrong(&format!("entry {number} is also called {name}; give each target a name of its own"));
            continue;
        }
        for section in OF_PROCESS {
            if table.remove(section).is_some() {
                wrong(&format!(
                    "{section} of target {name} counts for the whole process; set it above all targets"
                ));
            }
        }
        overlays.push(Overlay { name, number: index, table, variables: Vec::new() });
    }
    overlays
}

/// Gives each target its variables.
fn share_out(
    variables: Vec<(String, String)>,
    overlays: &mut [Overlay],
    problems: &mut Vec<SettingsProblem>,
) {
    let names = overlays.iter().map(|overlay| overlay.name.to_string()).collect::<Vec<_>>().join(", ");
    for (variable, text) in variables {
        let own = own_part(&variable).unwrap_or_default();
        let found = overlays.iter_mut().find_map(|overlay| {
            let rest = own.strip_prefix(&in_variables(&overlay.name))?.strip_prefix("__")?.to_owned();
            Some((overlay, rest))
        });
        match found {
            Some((_, rest))
                if OF_PROCESS.iter().any(|section| {
                    rest.split("__").next().is_some_and(|first| first.eq_ignore_ascii_case(section))
                }) =>
            {
                let text = "counts for the whole process; leave TARGET and the name out";
                problems.push(SettingsProblem::new(&variable, text));
            }
            Some((overlay, rest)) => overlay.variables.push((variable, rest, text)),
            None => {
                let known = if names.is_empty() {
                    "the settings file has no [[target]]".to_owned()
                } else {
                    format!("the settings file has {names}")
                };
                let place = format!("a variable that begins with {PREFIX}{VARIABLE}");
                problems.push(SettingsProblem::new(&place, &format!("is for no target: {known}")));
            }
        }
    }
}

/// What two targets must not have in common.
fn collisions(each: &[Parts]) -> Vec<SettingsProblem> {
    let pairs =
        each.iter().enumerate().flat_map(|(place, one)| each[..place].iter().map(move |other| (one, other)));
    pairs.flat_map(|(one, other)| between(one, other)).flatten().collect()
}

fn between(one: &Parts, other: &Parts) -> [Option<SettingsProblem>; 3] {
    let (Some(own), Some(former)) = (&one.target, &other.target) else { return [const { None }; 3] };
    let problem = |key: &str, text: String| SettingsProblem::new(&format!("{key} of target {own}"), &text);
    let intake = one.bus.as_ref().zip(other.bus.as_ref()).and_then(|(bus, others)| {
        let place = |bus: &Bus| (bus.authority(), bus.source.address().to_ascii_lowercase());
        (place(bus) == place(others)).then(|| {
            let (key, kind) = match &bus.source {
                MessageSource::Queue(_) => ("service_bus.queue", "queue"),
                MessageSource::Subscription { .. } => ("service_bus.subscription", "subscription"),
            };
            let text = format!(
                "is also that of target {former}, so each change would reach only one of the two; make a {kind} for each"
            );
            problem(key, text)
        })
    });
    let quota = one.identity.as_ref().zip(other.identity.as_ref()).filter(|(identity, others)| {
        let root = |parts: &Parts| parts.graph.as_ref().map(|graph| graph.root.clone());
        writer(identity) == writer(others) && root(one) == root(other)
    });
    let quota = quota.map(|_| {
        let text = format!(
            "is in the same tenant as that of target {former}, so both would write to one directory by one quota without \
             knowing of each other; name the app and tenant of the other directory"
        );
        problem("identity.client_id", text)
    });
    let lease = |parts: &Parts| parts.replicas.as_ref().and_then(|replicas| replicas.lease_queue.clone());
    let address = |parts: &Parts| parts.bus.as_ref().map(|bus| bus.source.address());
    let is_intake = |lease: Option<Box<str>>, intake: Option<Box<str>>| {
        lease.zip(intake).is_some_and(|(lease, intake)| lease.eq_ignore_ascii_case(&intake))
    };
    let leased = is_intake(lease(one), address(other)) || is_intake(lease(other), address(one));
    let leased = leased.then(|| {
        let text = format!("is used beside a queue that target {former} or {own} takes messages from; make another one, with sessions");
        problem("replicas.lease_queue", text)
    });
    [intake, quota, leased]
}

/// Who writes, as Graph counts.
fn writer(identity: &Identity) -> String {
    match (identity.credential.app(), &identity.credential) {
        (Some(app), _) => format!("{} {}", app.tenant, app.client_id).to_ascii_lowercase(),
        (None, Credential::Managed { identity, .. }) => format!("{identity:?}"),
        (None, _) => String::new(),
    }
}
