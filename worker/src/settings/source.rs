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
    names,
    problem::SettingsProblem,
    secrets,
};
use crate::text_file;

/// Every key with its default, as the user reads it.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");

/// How the names of our variables begin.
pub(super) const PREFIX: &str = "CONTACTSYNC__";
const FILE_SUFFIX: &str = "_FILE";

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
    /// What stands in it, as far as it is TOML.
    pub(super) table: Table,
    /// Why it is none.
    not_toml: Option<SettingsProblem>,
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
    /// What stands in its entry of the file.
    pub(super) table: Table,
    /// Its variables: how each is called, and what is left of that without the beginning that names the target.
    pub(super) variables: Vec<(String, String, String)>,
}

impl Sources {
    pub(super) fn of(file: Option<(&Path, &str)>, environment: Vec<(String, String)>) -> Self {
        let around = Surroundings::of(&environment);
        let Some((path, text)) = file else { return Self { environment, around, ..Self::default() } };
        let name: Box<str> = path.display().to_string().into();
        let (table, not_toml) = match text.parse::<Table>() {
            Ok(table) => (table, None),
            Err(error) => (Table::new(), Some(SettingsProblem::new(&name, &not_toml(&error, text)))),
        };
        Self { file: name, table, not_toml, environment, around }
    }

    /// Puts the layers together: the defaults, the file, the environment; over them, what one of several targets has of its
    /// own. A variable that counts for all of them does not win over what stands with one, or two targets could become one
    /// by a variable that somebody forgot.
    pub(super) fn layers(&self, overlay: Option<&Overlay>) -> Layers {
        let defaults: Table = DEFAULTS.parse().unwrap_or_default();
        let entries =
            flatten(&defaults).into_iter().map(|(key, value)| (key, SourcedValue::of_default(value)));
        let mut layers = Layers { entries: entries.collect(), outdated: Vec::new(), problems: Vec::new() };
        layers.problems.extend(self.not_toml.clone());
        layers.set_table(&self.table, &SettingOrigin::File(self.file.clone()));
        for (variable, text) in &self.environment {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                layers.set_variable(variable, name, text.clone());
            }
        }
        if let Some(overlay) = overlay {
            layers.lay_over(overlay, &self.file);
        }
        from_webhook(&mut layers.entries, &self.around);
        layers
    }
}

impl Layers {
    fn set_table(&mut self, table: &Table, origin: &SettingOrigin) {
        for (key, value) in flatten(table) {
            self.set(&key, Ok(value), origin, None);
        }
    }

    /// Lays what a target has of its own over the settings of all.
    fn lay_over(&mut self, overlay: &Overlay, file: &str) {
        let origin = SettingOrigin::File(format!("{file}, target {}", overlay.name).into());
        self.set_table(&overlay.table, &origin);
        for (variable, name, text) in &overlay.variables {
            self.set_variable(variable, name, text.clone());
        }
    }

    /// Sets what a variable is for; `name` is what it is called without the beginning that all have.
    fn set_variable(&mut self, variable: &str, name: &str, text: String) {
        let key = name.to_ascii_lowercase().replace("__", ".");
        let origin = SettingOrigin::Environment(variable.into());
        // `connection.ca_file` ends like a file reference and is none, so keys that exist come first.
        let exists = self.entries.contains_key(&key) || names::is_old(&key);
        let reference = key.strip_suffix(&FILE_SUFFIX.to_ascii_lowercase()).filter(|_| !exists);
        let Some(key_of_file) = reference else {
            self.set(&key, Err(text), &origin, None);
            return;
        };
        // What is no setting needs no file either.
        if names::instead(key_of_file).is_some() {
            return self.set(key_of_file, Err(text), &origin, None);
        }
        match text_file::read(Path::new(&text)) {
            Ok(content) => self.set(key_of_file, Err(content), &origin, Some(PathBuf::from(text))),
            Err(error) => {
                let told = format!("the file it names {}", shared::reason::chain(&error));
                self.problems.push(SettingsProblem::new(variable, &told));
            }
        }
    }

    /// Sets a key to a typed value, or to text that has to be read as what the key wants. `file` held the text.
    fn set(
        &mut self,
        key: &str,
        value: Result<Value, String>,
        origin: &SettingOrigin,
        file: Option<PathBuf>,
    ) {
        if let Some(instead) = names::instead(key) {
            self.note_outdated(origin, &format!("{key} is no longer a setting: {instead}; remove it"));
            return;
        }
        let renamed = names::new_name(key);
        let Some(entry) = self.entries.get_mut(renamed.unwrap_or(key)) else {
            let text = unknown(key, self.entries.keys());
            self.problems.push(SettingsProblem::new(&place_of_unknown(key, origin), &text));
            return;
        };
        let typed = match value {
            Ok(value) => coerce(&entry.value, value),
            Err(text) => read(&entry.value, text),
        };
        let wrong = match typed {
            Some(value) if key.ends_with("_file") && is_content(&value) => {
                "must be the path of a file; what stands in such a file stands there".to_owned()
            }
            Some(value) => {
                let old_name = renamed.map(|_| key.into());
                let replaced =
                    std::mem::replace(entry, SourcedValue { value, origin: origin.clone(), file, old_name });
                self.note_renamed(key, renamed, origin, &replaced);
                return;
            }
            None => format!("must be {}", kind(&entry.value)),
        };
        self.problems.push(SettingsProblem::new(&place(key, origin), &wrong));
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

    /// Says it once, wherever it was said last.
    fn note_outdated(&mut self, origin: &SettingOrigin, text: &str) {
        self.outdated.retain(|said| *said.text != *text);
        self.outdated.push(SettingsProblem::new(&origin.to_string(), text));
    }
}

/// Fills in what workload identity brings, where nobody has said otherwise.
fn from_webhook(entries: &mut Entries, around: &Surroundings) {
    let is_workload = |entries: &Entries, section: &str| {
        let kind = entries.get(&format!("{section}.kind"));
        kind.is_some_and(|entry| entry.value.as_str() == Some("workload"))
    };
    for section in ["identity", "service_bus.identity", "dataverse.identity"] {
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
        .filter(|(name, _)| name.starts_with(PREFIX) || FOREIGN.contains(&name.as_str()))
        .collect()
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

/// Where a name stands that nobody knows. It is told only if it can be that of a setting: whoever puts a secret where a
/// name belongs shall not find it in a log.
fn place_of_unknown(key: &str, origin: &SettingOrigin) -> String {
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-');
    match origin {
        _ if key.len() <= 60 && key.bytes().all(is_name) => place(key, origin),
        SettingOrigin::Environment(_) => format!("a variable that begins with {PREFIX}"),
        SettingOrigin::File(_) | SettingOrigin::Default => place("a name", origin),
    }
}

fn place(key: &str, origin: &SettingOrigin) -> String {
    match origin {
        SettingOrigin::Default => key.to_owned(),
        SettingOrigin::File(path) => format!("{key} in {path}"),
        SettingOrigin::Environment(variable) => variable.to_string(),
    }
}

fn unknown<'k>(key: &str, known: impl Iterator<Item = &'k String> + Clone) -> String {
    // In TOML, what stands below a section belongs to it.
    let last = key.rsplit('.').next().unwrap_or(key);
    if last != key && known.clone().any(|known| known == last) {
        return format!("there is no such setting; {last} stands above all sections");
    }
    let nearest =
        known.map(|known| (strsim::jaro_winkler(key, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness > 0.8 => {
            format!("there is no such setting; did you mean {known}?")
        }
        _ => "there is no such setting; `contactsync config show` shows them all".to_owned(),
    }
}

/// The parser's message without the excerpt: the line may hold a secret.
fn not_toml(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    format!("line {line} is not valid TOML: {}", error.message())
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
