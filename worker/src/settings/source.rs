//! Where settings come from: the defaults, one file, the environment. The only place that knows the
//! environment.
//!
//! The embedded defaults name every key and, by their values, its type; so unknown keys and wrong types are
//! found here, for file and environment alike.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use shared::target::TargetName;
use toml::{Table, Value};

use super::{
    entry::{Entries, SettingOrigin, SourcedValue},
    lines::{self, Lines},
    names,
    notify::variables::{self, CHANNEL, UnknownChannel},
    problem::SettingsProblem,
    secrets,
};
use crate::text_file;

/// Whether nobody has asked for text without colours (<https://no-color.org>).
#[must_use]
pub fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|wish| wish.is_empty())
}

/// Every key with its default, as the user reads it.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");

/// How the names of our variables begin.
pub(super) const PREFIX: &str = "CONTACTSYNC__";
const FILE_SUFFIX: &str = "_FILE";

/// How variables begin that somebody may have meant for us.
const NEARLY: &str = "CONTACTSYNC_";

/// Milliseconds between two exports of metrics, by the specification of OpenTelemetry.
pub(super) const EXPORT_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// Variables that are not ours, but that others set for us: by the webhook of workload identity, by the node,
/// for everybody who goes through a proxy, and for everybody who exports metrics.
const FOREIGN: [&str; 12] = [
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    EXPORT_INTERVAL,
];

/// Keys of an identity that the webhook of workload identity fills in.
const WEBHOOK: [(&str, &str); 3] = [
    ("tenant", "AZURE_TENANT_ID"),
    ("client_id", "AZURE_CLIENT_ID"),
    ("token_file", "AZURE_FEDERATED_TOKEN_FILE"),
];

/// What the environment says that is not a setting of ours.
#[derive(Debug, Default)]
pub(super) struct Surroundings(BTreeMap<String, String>);

impl Surroundings {
    pub(super) fn of(environment: &[(String, String)]) -> Self {
        let foreign =
            environment.iter().filter(|(name, value)| !name.starts_with(PREFIX) && !value.is_empty());
        Self(foreign.cloned().collect())
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The layers put together, and what is to be said about them.
pub(super) struct Layers {
    /// Every key.
    pub(super) entries: Entries,
    /// Names of the last release, and what to do about them.
    pub(super) outdated: Vec<SettingsProblem>,
    /// What cannot be used and was left out.
    pub(super) problems: Vec<SettingsProblem>,
}

/// File and environment, before anything is made of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Name of the file.
    pub(super) file: Box<str>,
    /// What stands in it.
    pub(super) table: Table,
    /// Where it stands there.
    lines: Lines,
    /// The environment, as far as it is meant for us.
    pub(super) environment: Vec<(String, String)>,
    /// What it says that is not a setting of ours.
    pub(super) around: Surroundings,
}

/// What one of several targets lays over the settings of all.
#[derive(Debug)]
pub(super) struct Overlay {
    /// Its name.
    pub(super) name: TargetName,
    /// Which entry of the list it is, counted from 0.
    pub(super) number: usize,
    /// What stands in its entry of the file.
    pub(super) table: Table,
    /// Its variables: how each is called, and what is left of that without the beginning that names the target.
    pub(super) variables: Vec<(String, String, String)>,
}

impl Sources {
    /// Fails if the file is no TOML: what could be said of the rest would follow from that alone.
    pub(super) fn of(
        file: Option<(&Path, &str)>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, SettingsProblem> {
        let around = Surroundings::of(&environment);
        let Some((path, text)) = file else { return Ok(Self { environment, around, ..Self::default() }) };
        let file: Box<str> = path.display().to_string().into();
        match text.parse::<Table>() {
            Ok(table) => Ok(Self { file, table, lines: Lines::of(text), environment, around }),
            Err(error) => Err(not_toml(&file, &error, text)),
        }
    }

    /// Puts the layers together: the defaults, the file, the environment; over them, what one of several targets has of its
    /// own. A variable that counts for all of them does not win over what stands with one, or two targets could become one
    /// by a variable that somebody forgot.
    pub(super) fn layers(&self, overlay: Option<&Overlay>) -> Layers {
        let defaults: Table = DEFAULTS.parse().unwrap_or_default();
        let entries =
            flatten(&defaults).into_iter().map(|(key, value)| (key, SourcedValue::of_default(value)));
        let mut layers = Layers { entries: entries.collect(), outdated: Vec::new(), problems: Vec::new() };
        layers.set_table(&self.table, &SettingOrigin::File(self.file.clone()), &|key| self.lines.line(key));
        for (variable, text) in &self.environment {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                layers.set_variable(variable, name, text.clone());
            }
        }
        if let Some(overlay) = overlay {
            layers.lay_over(overlay, self);
        }
        from_webhook(&mut layers.entries, &self.around);
        layers.note_misspelt(&self.around);
        layers
    }
}

impl Layers {
    fn set_table(&mut self, table: &Table, origin: &SettingOrigin, line: &dyn Fn(&str) -> Option<usize>) {
        for (key, value) in flatten(table) {
            let line = line(&key);
            self.set(&key, Given::Typed(value, line), origin);
        }
    }

    /// Lays what a target has of its own over the settings of all.
    fn lay_over(&mut self, overlay: &Overlay, sources: &Sources) {
        let origin = SettingOrigin::File(format!("target {} in {}", overlay.name, sources.file).into());
        let line = |key: &str| sources.lines.line(&format!("target.{}.{key}", overlay.number));
        self.set_table(&overlay.table, &origin, &line);
        for (variable, name, text) in &overlay.variables {
            self.set_variable(variable, name, text.clone());
        }
    }

    /// Sets what a variable is for; `name` is what it is called without the beginning that all have.
    fn set_variable(&mut self, variable: &str, name: &str, text: String) {
        let key = name.to_ascii_lowercase().replace("__", ".");
        let origin = SettingOrigin::Environment(variable.into());
        if let Some(place) = key.strip_prefix(CHANNEL).and_then(|rest| rest.strip_prefix('.')) {
            return self.set_channel(variable, place, text);
        }
        // `connection.ca_file` ends like a file reference and is none, so keys that exist come first.
        let exists = self.entries.contains_key(&key) || names::is_old(&key);
        let reference = key.strip_suffix(&FILE_SUFFIX.to_ascii_lowercase()).filter(|_| !exists);
        let Some(key_of_file) = reference else {
            self.set(&key, Given::Text(text, None), &origin);
            return;
        };
        // What is no setting needs no file either.
        if names::instead(key_of_file).is_some() {
            return self.set(key_of_file, Given::Text(text, None), &origin);
        }
        match text_file::read(Path::new(&text)) {
            Ok(content) => self.set(key_of_file, Given::Text(content, Some(PathBuf::from(text))), &origin),
            Err(error) => {
                let told = format!("the file it names {}", shared::reason::chain(&error));
                self.problems.push(SettingsProblem::new(variable, &told).meant(key_of_file));
            }
        }
    }

    /// Sets a key of one of the channels of the list that was read by now.
    fn set_channel(&mut self, variable: &str, place: &str, text: String) {
        let Some(list) = self.entries.get_mut(CHANNEL) else { return };
        if let Err(UnknownChannel { known }) = variables::lay_over(&mut list.value, place, text) {
            let names = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let told = format!("is for no channel: the settings file has {names}");
            self.problems.push(SettingsProblem::new(variable, &told));
        }
    }

    /// Sets a key to what was given for it, if that can be used.
    fn set(&mut self, key: &str, given: Given, origin: &SettingOrigin) {
        if let Some(instead) = names::instead(key) {
            self.note_outdated(origin, &format!("{key} is no longer a setting: {instead}; remove it"));
            return;
        }
        let renamed = names::new_name(key);
        let name = renamed.unwrap_or(key);
        let line = given.line();
        let Some(entry) = self.entries.get_mut(name) else {
            self.problems.push(unknown(key, origin, line, self.entries.keys()));
            return;
        };
        let kind = kind(&entry.value);
        let wrong = match given.read_as(&entry.value) {
            Ok((value, _)) if key.ends_with("_file") && is_content(&value) => {
                "must be the path of a file; what stands in such a file stands there".to_owned()
            }
            Ok((value, file)) => {
                let old_name = renamed.map(|_| key.into());
                let set = SourcedValue { value, origin: origin.clone(), file, line, old_name };
                let replaced = std::mem::replace(entry, set);
                self.note_renamed(key, renamed, origin, &replaced);
                return;
            }
            Err(found) => format!("must be {kind}{found}"),
        };
        let problem = SettingsProblem::new(place(key, origin), &wrong).meant(name);
        self.problems.push(problem.at(file_position(origin, line)));
    }

    /// Says that a key was set by its old name, or by its old name and its new one.
    fn note_renamed(
        &mut self,
        key: &str,
        renamed: Option<&str>,
        origin: &SettingOrigin,
        replaced: &SourcedValue,
    ) {
        if let Some(new) = renamed {
            let text = format!("{key} is now {new}; the next release does not know the old name");
            self.note_outdated(origin, &text);
        }
        let (new, old) = match (renamed, replaced.old_name.as_deref()) {
            (Some(new), None) => (new, key),
            (None, Some(old)) => (key, old),
            _ => return,
        };
        if replaced.origin != SettingOrigin::Default {
            let text = format!("cannot be used together with {old}, its old name; leave the old one out");
            self.problems.push(SettingsProblem::new(new, &text));
        }
    }

    /// Says which variables would set something if they were written as ours are. Others may begin alike: Kubernetes sets
    /// `CONTACTSYNC_SERVICE_HOST` for a service of that name.
    fn note_misspelt(&mut self, around: &Surroundings) {
        for name in around.0.keys().filter(|name| name.starts_with(NEARLY)) {
            let bare = |name: &str| name.replace('_', "").to_ascii_uppercase();
            let meant = self.entries.keys().map(|key| variable_of(key)).find(|variable| {
                let given = bare(name);
                given == bare(variable) || given == bare(&format!("{variable}{FILE_SUFFIX}"))
            });
            if let Some(variable) = meant {
                let file = if name.ends_with(FILE_SUFFIX) { FILE_SUFFIX } else { "" };
                let text = format!(
                    "is not read; the variable is called {variable}{file}, with two underscores at each step"
                );
                self.outdated.push(SettingsProblem::new(name, &text));
            }
        }
    }

    /// Says it once, wherever it was said last.
    fn note_outdated(&mut self, origin: &SettingOrigin, text: &str) {
        self.outdated.retain(|said| *said.text != *text);
        self.outdated.push(SettingsProblem::new(&origin.to_string(), text));
    }
}

/// What somebody gave for a key.
enum Given {
    /// A value of TOML, and the line it stands in.
    Typed(Value, Option<usize>),
    /// Text that has to be read as what the key wants, and the file that held it.
    Text(String, Option<PathBuf>),
}

impl Given {
    fn line(&self) -> Option<usize> {
        match self {
            Self::Typed(_, line) => *line,
            Self::Text(..) => None,
        }
    }

    /// The value in the type of the default, and the file that held it; or what was found instead, as the end of a sentence.
    fn read_as(self, default: &Value) -> Result<(Value, Option<PathBuf>), String> {
        match self {
            Self::Typed(value, _) => {
                // What it is, never the value: somebody may have put a secret there.
                let found = format!(", and is {}", kind(&value));
                coerce(default, value).map(|value| (value, None)).ok_or(found)
            }
            Self::Text(text, file) => read(default, text).map(|value| (value, file)).ok_or_else(String::new),
        }
    }
}

/// Fills in what workload identity brings, where nobody has said otherwise.
fn from_webhook(entries: &mut Entries, around: &Surroundings) {
    let is_workload = |entries: &Entries, section: &str| {
        let kind = entries.get(&format!("{section}.kind"));
        kind.is_some_and(|entry| entry.value.as_str() == Some("workload"))
    };
    for section in ["identity", "service_bus.identity", "dataverse.identity", "notify.identity"] {
        if is_workload(entries, section) {
            for (key, variable) in WEBHOOK {
                fill(entries, &format!("{section}.{key}"), variable, around);
            }
        }
    }
    // The webhook tells the cloud of the cluster. Who names a cloud means that of the users.
    let cloud_is_open = entries.get("cloud").is_some_and(|entry| entry.origin == SettingOrigin::Default);
    if is_workload(entries, "identity") && cloud_is_open {
        fill(entries, "identity.authority", "AZURE_AUTHORITY_HOST", around);
    }
}

fn fill(entries: &mut Entries, key: &str, variable: &str, around: &Surroundings) {
    let unset = |entry: &&mut SourcedValue| entry.value.as_str() == Some("");
    if let (Some(entry), Some(value)) = (entries.get_mut(key).filter(unset), around.get(variable)) {
        let origin = SettingOrigin::Environment(variable.into());
        *entry = SourcedValue { origin, ..SourcedValue::of_default(Value::from(value)) };
    }
}

/// The process environment, as far as it is meant for us.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(NEARLY) || FOREIGN.contains(&name.as_str()))
        .collect()
}

/// Where the program of this process is.
pub fn this_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The arguments of the process, its own name first.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// Whether a value is what stands in a file of secrets, and not its path, which is told in errors.
fn is_content(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().contains(['\n', '\r']) || secrets::has_key(text))
}

fn coerce(default: &Value, value: Value) -> Option<Value> {
    match (default, value) {
        #[expect(clippy::cast_precision_loss, reason = "rates are small numbers")]
        (Value::Float(_), Value::Integer(whole)) => Some(Value::Float(whole as f64)),
        (default, value) => (default.type_str() == value.type_str()).then_some(value),
    }
}

fn read(default: &Value, text: String) -> Option<Value> {
    match default {
        Value::String(_) => Some(Value::String(text)),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::Array(_) => match format!("value = {text}").parse::<Table>() {
            Ok(mut table) => table.remove("value").filter(Value::is_array),
            // A plain list is what people write into an environment file.
            Err(_) => Some(Value::Array(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect(),
            )),
        },
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn kind(default: &Value) -> &'static str {
    match default {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list in brackets",
        Value::Datetime(_) | Value::Table(_) => "of another kind",
    }
}

/// Where the name stands that is wrong: a variable is named itself.
fn place<'n>(key: &'n str, origin: &'n SettingOrigin) -> &'n str {
    match origin {
        SettingOrigin::Default | SettingOrigin::File(_) => key,
        SettingOrigin::Environment(variable) => variable,
    }
}

/// What is said beside a place that is not a variable.
fn file_position(origin: &SettingOrigin, line: Option<usize>) -> Option<String> {
    match origin {
        SettingOrigin::File(_) => origin.position(line),
        SettingOrigin::Default | SettingOrigin::Environment(_) => None,
    }
}

/// What is said of a name that nobody knows. It is told only if it can be that of a setting: whoever puts a secret where a
/// name belongs shall not find it in a log.
fn unknown<'k>(
    key: &str,
    origin: &SettingOrigin,
    line: Option<usize>,
    known: impl Iterator<Item = &'k String> + Clone,
) -> SettingsProblem {
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-');
    let hidden = format!("a variable that begins with {PREFIX}");
    let place = match origin {
        _ if key.len() <= 60 && key.bytes().all(is_name) => place(key, origin),
        SettingOrigin::Environment(_) => &hidden,
        SettingOrigin::File(_) | SettingOrigin::Default => "a name",
    };
    let problem = |text: &str| SettingsProblem::new(place, text).at(file_position(origin, line));
    // In TOML, what stands below a section belongs to it.
    let last = key.rsplit('.').next().unwrap_or(key);
    if last != key && known.clone().any(|known| known == last) {
        return problem(&format!("there is no such setting; {last} stands above all sections"));
    }
    let nearest =
        known.map(|known| (strsim::jaro_winkler(key, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness > 0.8 => {
            let name = match origin {
                SettingOrigin::Environment(_) => variable_of(known),
                SettingOrigin::File(_) | SettingOrigin::Default => known.clone(),
            };
            problem(&format!("there is no such setting; did you mean {name}?")).meant(known)
        }
        _ => problem("there is no such setting; `contactsync config show` shows them all"),
    }
}

/// The variable by which a key is set.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// The parser's message without the excerpt: the line may hold a secret.
fn not_toml(file: &str, error: &toml::de::Error, text: &str) -> SettingsProblem {
    let (line, column) = lines::position(text, error.span().map_or(0, |span| span.start));
    let message = format!("is not valid TOML: {}", error.message());
    SettingsProblem::new(&format!("{file}:{line}:{column}"), &message)
}

/// `section.key` for every key; arrays are values.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(keys) => {
                let keys = flatten(keys);
                flat.extend(keys.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => flat.push((name.clone(), value.clone())),
        }
    }
    flat
}
