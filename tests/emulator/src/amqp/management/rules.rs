//! Rules of subscriptions.

use serde_amqp::Value;

use super::{Done, Operation, Result, missing};
use crate::{
    amqp::{
        condition::{self, Failure},
        value::{described, entries, entry, map, string, text},
    },
    broker::{Correlation, Filter, Rule, SqlAction, SqlError, SqlFilter},
};

/// Descriptor codes of a rule and its parts.
const RULE: u64 = 0x0000_0137_0000_0004;
const NO_ACTION: u64 = 0x0000_0137_0000_0005;
const SQL_ACTION: u64 = 0x0000_0137_0000_0006;
const SQL_FILTER: u64 = 0x0000_0137_0000_0006;
const TRUE_FILTER: u64 = 0x0000_0137_0000_0007;
const FALSE_FILTER: u64 = 0x0000_0137_0000_0008;
const CORRELATION_FILTER: u64 = 0x0000_0137_0000_0009;

impl Operation<'_> {
    pub(super) fn add_rule(&mut self) -> Result {
        let name = self.text("rule-name").ok_or_else(|| missing("rule-name"))?.to_owned();
        let description = self.need("rule-description")?;
        let filter = read_filter(description)?;
        let action = match entry(description, "sql-rule-action").and_then(expression) {
            None | Some("") => None,
            Some(text) => Some(SqlAction::parse(text).map_err(bad_expression)?),
        };
        self.broker.add_rule(self.target, Rule { name, filter, action })?;
        Ok(Done::Body(Vec::new()))
    }

    pub(super) fn remove_rule(&mut self) -> Result {
        let name = self.text("rule-name").ok_or_else(|| missing("rule-name"))?.to_owned();
        self.broker.remove_rule(self.target, &name)?;
        Ok(Done::Body(Vec::new()))
    }

    pub(super) fn enumerate_rules(&mut self) -> Result {
        let (skip, top) = (self.count("skip")?, self.count("top")?);
        let rules = self.broker.rules(self.target)?;
        let page: Vec<Value> = rules.iter().skip(skip).take(top).map(describe).collect();
        if page.is_empty() {
            return Ok(Done::Nothing);
        }
        Ok(Done::Body(vec![("rules", Value::List(page))]))
    }
}

fn read_filter(description: &Value) -> Result<Filter> {
    if let Some(filter) = entry(description, "correlation-filter") {
        return Ok(Filter::Correlation(Box::new(read_correlation(filter))));
    }
    let Some(filter) = entry(description, "sql-filter") else { return Ok(Filter::True) };
    let text = expression(filter).ok_or_else(|| missing("expression"))?;
    Ok(Filter::Sql(SqlFilter::parse(text).map_err(bad_expression)?))
}

fn expression(map: &Value) -> Option<&str> {
    entry(map, "expression").and_then(text)
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for map_err")]
fn bad_expression(error: SqlError) -> Failure {
    Failure::new(condition::ARGUMENT_ERROR, error.to_string())
}

fn read_correlation(filter: &Value) -> Correlation {
    let field = |name| entry(filter, name).and_then(text).map(str::to_owned);
    Correlation {
        correlation_id: field("correlation-id"),
        message_id: field("message-id"),
        to: field("to"),
        reply_to: field("reply-to"),
        label: field("label"),
        session_id: field("session-id"),
        reply_to_session_id: field("reply-to-session-id"),
        content_type: field("content-type"),
        properties: entry(filter, "properties").cloned().map(entries).unwrap_or_default(),
    }
}

fn describe(rule: &Rule) -> Value {
    let filter = match &rule.filter {
        Filter::True => described(TRUE_FILTER, Value::List(Vec::new())),
        Filter::False => described(FALSE_FILTER, Value::List(Vec::new())),
        Filter::Sql(filter) => described(SQL_FILTER, Value::List(vec![string(&filter.text)])),
        Filter::Correlation(correlation) => described(CORRELATION_FILTER, list_correlation(correlation)),
    };
    let action = match &rule.action {
        None => described(NO_ACTION, Value::List(Vec::new())),
        Some(action) => described(SQL_ACTION, Value::List(vec![string(&action.text)])),
    };
    let rule = Value::List(vec![filter, action, string(&rule.name)]);
    map([(string("rule-description"), described(RULE, rule))])
}

fn list_correlation(correlation: &Correlation) -> Value {
    let text = |field: &Option<String>| field.as_deref().map_or(Value::Null, string);
    let properties = correlation.properties.iter().map(|(name, value)| (string(name), value.clone()));
    Value::List(vec![
        text(&correlation.correlation_id),
        text(&correlation.message_id),
        text(&correlation.to),
        text(&correlation.reply_to),
        text(&correlation.label),
        text(&correlation.session_id),
        text(&correlation.reply_to_session_id),
        text(&correlation.content_type),
        map(properties),
    ])
}
