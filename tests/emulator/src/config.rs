//! The official emulator's `Config.json`, unchanged: entities by name, with `//` comments allowed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value as Json;
use thiserror::Error;

use crate::{
    broker::{Correlation, EntityOptions, Filter, Rule, SqlAction, SqlError, SqlFilter},
    bus::{Entity, Subscription},
    duration::{lifetime, parse_duration},
};

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is not of the expected form.
    #[error("understand the configuration as JSON")]
    Json(#[from] serde_json::Error),
    /// A duration is not written as ISO 8601 wants it.
    #[error("'{0}' is not an ISO 8601 duration such as PT1M")]
    Duration(String),
    /// A filter or action is not understood.
    #[error("understand the expression of rule '{rule}'")]
    Sql {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        #[source]
        source: SqlError,
    },
}

/// Reads the entities from a file.
pub fn read(path: &Path) -> Result<Vec<(String, Entity)>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    parse(&text)
}

/// Reads the entities from the text of a file.
pub fn parse(text: &str) -> Result<Vec<(String, Entity)>, Error> {
    let file: File = serde_json::from_str(&without_comments(text))?;
    let mut entities = Vec::new();
    for namespace in file.user_config.namespaces {
        for Named { name, properties } in namespace.queues {
            entities.push((name, Entity::Queue(properties.options()?)));
        }
        for topic in namespace.topics {
            let options = topic.properties.options()?;
            let subscriptions = topic.subscriptions.into_iter().map(SubscriptionEntry::convert);
            let subscriptions = subscriptions.collect::<Result<_, Error>>()?;
            entities.push((topic.name, Entity::Topic(options, subscriptions)));
        }
    }
    Ok(entities)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    user_config: UserConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UserConfig {
    namespaces: Vec<Namespace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Namespace {
    #[serde(default)]
    queues: Vec<Named>,
    #[serde(default)]
    topics: Vec<TopicEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TopicEntry {
    name: String,
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    subscriptions: Vec<SubscriptionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SubscriptionEntry {
    name: String,
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    rules: Vec<RuleEntry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Properties {
    dead_lettering_on_message_expiration: bool,
    default_message_time_to_live: Option<String>,
    duplicate_detection_history_time_window: Option<String>,
    forward_dead_lettered_messages_to: String,
    forward_to: String,
    lock_duration: Option<String>,
    max_delivery_count: Option<u32>,
    requires_duplicate_detection: bool,
    requires_session: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleEntry {
    name: String,
    #[serde(default)]
    properties: RuleProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RuleProperties {
    correlation_filter: Option<CorrelationEntry>,
    sql_filter: Option<SqlEntry>,
    action: Option<SqlEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SqlEntry {
    sql_expression: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CorrelationEntry {
    content_type: Option<String>,
    correlation_id: Option<String>,
    label: Option<String>,
    message_id: Option<String>,
    reply_to: Option<String>,
    reply_to_session_id: Option<String>,
    session_id: Option<String>,
    to: Option<String>,
    properties: serde_json::Map<String, Json>,
}

impl Properties {
    /// The official emulator's defaults where nothing is given.
    fn options(self) -> Result<EntityOptions, Error> {
        let duration = |text: Option<String>, default: Duration| match text {
            None => Ok(default),
            Some(text) => parse_duration(&text).ok_or(Error::Duration(text)),
        };
        let window = duration(self.duplicate_detection_history_time_window, Duration::from_secs(20))?;
        let target = |name: String| (!name.is_empty()).then_some(name);
        Ok(EntityOptions {
            lock_duration: duration(self.lock_duration, Duration::from_mins(1))?,
            max_delivery_count: self.max_delivery_count.unwrap_or(3),
            default_ttl: lifetime(duration(self.default_message_time_to_live, Duration::from_hours(1))?),
            dead_letter_on_expiry: self.dead_lettering_on_message_expiration,
            duplicate_window: self.requires_duplicate_detection.then_some(window),
            requires_session: self.requires_session,
            forward_to: target(self.forward_to),
            forward_dead_letters_to: target(self.forward_dead_lettered_messages_to),
            ..EntityOptions::default()
        })
    }
}

impl SubscriptionEntry {
    fn convert(self) -> Result<Subscription, Error> {
        let rules = self.rules.into_iter().map(RuleEntry::convert).collect::<Result<_, Error>>()?;
        Ok(Subscription { name: self.name, options: self.properties.options()?, rules })
    }
}

impl RuleEntry {
    fn convert(self) -> Result<Rule, Error> {
        let RuleProperties { correlation_filter, sql_filter, action } = self.properties;
        let sql = |source| Error::Sql { rule: self.name.clone(), source };
        let filter = match (correlation_filter, sql_filter) {
            (Some(correlation), _) => Filter::Correlation(Box::new(correlation.convert())),
            (None, Some(entry)) => Filter::Sql(SqlFilter::parse(&entry.sql_expression).map_err(sql)?),
            (None, None) => Filter::True,
        };
        let action = action.map(|entry| SqlAction::parse(&entry.sql_expression)).transpose().map_err(sql)?;
        Ok(Rule { name: self.name.clone(), filter, action })
    }
}

impl CorrelationEntry {
    fn convert(self) -> Correlation {
        Correlation {
            correlation_id: self.correlation_id,
            message_id: self.message_id,
            to: self.to,
            reply_to: self.reply_to,
            label: self.label,
            session_id: self.session_id,
            reply_to_session_id: self.reply_to_session_id,
            content_type: self.content_type,
            properties: self.properties.into_iter().map(|(name, value)| (name, amqp(&value))).collect(),
        }
    }
}

fn amqp(value: &Json) -> serde_amqp::Value {
    match value {
        Json::Bool(truth) => serde_amqp::Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => serde_amqp::Value::Long(whole),
            None => serde_amqp::Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => serde_amqp::Value::String(text.clone()),
        other => serde_amqp::Value::String(other.to_string()),
    }
}

/// The text with everything from `//` to the end of a line blanked, except inside strings.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut in_string = false;
    while let Some(character) = characters.next() {
        if in_string && character == '\\' {
            out.push(character);
            out.extend(characters.next());
            continue;
        }
        if character == '"' {
            in_string = !in_string;
        }
        if !in_string && character == '/' && characters.peek() == Some(&'/') {
            while characters.next_if(|next| *next != '\n').is_some() {}
            continue;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
      "UserConfig": { // the only namespace
        "Namespaces": [ { "Name": "sbemulatorns",
          "Queues": [ { "Name": "queue.1", "Properties": {
            "DeadLetteringOnMessageExpiration": true, "DefaultMessageTimeToLive": "PT1H",
            "DuplicateDetectionHistoryTimeWindow": "PT20S", "ForwardDeadLetteredMessagesTo": "",
            "ForwardTo": "", "LockDuration": "PT30S", "MaxDeliveryCount": 5,
            "RequiresDuplicateDetection": true, "RequiresSession": false } } ],
          "Topics": [ { "Name": "topic.1", "Properties": {}, "Subscriptions": [
            { "Name": "s1", "Rules": [ { "Name": "r", "Properties": { "FilterType": "Correlation",
              "CorrelationFilter": { "Label": "http://x", "Properties": { "a": 1 } } } } ] },
            { "Name": "s2", "Rules": [ { "Name": "r", "Properties": { "FilterType": "Sql",
              "SqlFilter": { "SqlExpression": "sys.MessageId = '1'" },
              "Action": { "SqlExpression": "SET sys.To = 'Entity'" } } } ] } ] } ] } ],
        "Logging": { "Type": "File" } } }"#;

    #[test]
    fn the_official_form_is_understood() -> Result<(), Error> {
        let entities = parse(FILE)?;
        let Some((name, Entity::Queue(queue))) = entities.first() else { panic!("no queue: {entities:?}") };
        assert_eq!(name, "queue.1");
        assert_eq!(queue.lock_duration, Duration::from_secs(30));
        assert_eq!(queue.duplicate_window, Some(Duration::from_secs(20)));
        assert_eq!((queue.max_delivery_count, queue.forward_to.clone()), (5, None));
        let Some((_, Entity::Topic(_, subscriptions))) = entities.get(1) else { panic!("no topic") };
        let Filter::Correlation(filter) = &subscriptions[0].rules[0].filter else { panic!("no filter") };
        // The slashes inside the string are no comment.
        assert_eq!(filter.label.as_deref(), Some("http://x"));
        assert!(subscriptions[1].rules[0].action.is_some());
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| parse(text).err().map(|error| error.to_string());
        let lock = FILE.replace("PT30S", "30 s");
        assert_eq!(error(&lock), Some("'30 s' is not an ISO 8601 duration such as PT1M".to_owned()));
        let sql = FILE.replace("sys.MessageId = '1'", "sys.MessageId =");
        assert_eq!(error(&sql), Some("understand the expression of rule 'r'".to_owned()));
        assert!(error("{}").is_some());
    }
}
