//! What expressions say about a message. What is not there makes a comparison unknown, as in SQL.

use std::cmp::Ordering;

use serde_amqp::Value;

use super::expression::{Comparison, Condition, Operand, Property, Statement};
use crate::broker::{Message, message::id_text};

/// True, false or unknown.
pub(super) fn truth(condition: &Condition, message: &Message) -> Option<bool> {
    match condition {
        Condition::Or(left, right) => match (truth(left, message), truth(right, message)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Condition::And(left, right) => match (truth(left, message), truth(right, message)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Condition::Not(inner) => truth(inner, message).map(|truth| !truth),
        Condition::Compare(left, comparison, right) => {
            let order = compare(&value(left, message)?, &value(right, message)?)?;
            Some(holds(*comparison, order))
        }
        Condition::Like(operand, pattern) => match value(operand, message)? {
            Plain::Text(text) => Some(like(&text, pattern)),
            Plain::Number(_) | Plain::Bool(_) => None,
        },
        Condition::In(operand, items) => {
            let found = value(operand, message)?;
            let mut same = items.iter().filter_map(|item| compare(&found, &value(item, message)?));
            Some(same.any(Ordering::is_eq))
        }
        Condition::IsNull(operand) => Some(value(operand, message).is_none()),
        Condition::Exists(property) => Some(property_value(property, message).is_some()),
        Condition::Value(operand) => match value(operand, message)? {
            Plain::Bool(truth) => Some(truth),
            Plain::Text(_) | Plain::Number(_) => None,
        },
    }
}

/// A value that can be compared.
enum Plain {
    Text(String),
    Number(f64),
    Bool(bool),
}

fn value(operand: &Operand, message: &Message) -> Option<Plain> {
    match operand {
        Operand::Text(text) => Some(Plain::Text(text.clone())),
        Operand::Number(number) => Some(Plain::Number(*number)),
        Operand::Bool(truth) => Some(Plain::Bool(*truth)),
        Operand::Property(property) => plain(&property_value(property, message)?),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the language itself compares numbers of different kinds")]
fn plain(value: &Value) -> Option<Plain> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => Plain::Bool(*truth),
        Value::Float(number) => Plain::Number(f64::from(number.0)),
        Value::Double(number) => Plain::Number(number.0),
        Value::Ubyte(number) => Plain::Number(f64::from(*number)),
        Value::Ushort(number) => Plain::Number(f64::from(*number)),
        Value::Uint(number) => Plain::Number(f64::from(*number)),
        Value::Byte(number) => Plain::Number(f64::from(*number)),
        Value::Short(number) => Plain::Number(f64::from(*number)),
        Value::Int(number) => Plain::Number(f64::from(*number)),
        Value::Ulong(number) => Plain::Number(*number as f64),
        Value::Long(number) => Plain::Number(*number as f64),
        other => Plain::Text(id_text(other)),
    })
}

fn property_value(property: &Property, message: &Message) -> Option<Value> {
    let fields = &message.properties;
    let text = |text: Option<&str>| text.map(Value::from);
    match property {
        Property::User(name) => message.property(name).cloned(),
        Property::System(name) => match name.as_str() {
            "messageid" => fields.message_id().cloned(),
            "correlationid" => fields.correlation_id().cloned(),
            "label" | "subject" => text(fields.subject()),
            "to" => text(fields.to()),
            "replyto" => text(fields.reply_to()),
            "contenttype" => text(fields.content_type()),
            "sessionid" => text(fields.session_id()),
            "replytosessionid" => text(fields.reply_to_session_id()),
            _ => None,
        },
    }
}

fn compare(left: &Plain, right: &Plain) -> Option<Ordering> {
    match (left, right) {
        (Plain::Text(left), Plain::Text(right)) => Some(left.cmp(right)),
        (Plain::Number(left), Plain::Number(right)) => left.partial_cmp(right),
        (Plain::Bool(left), Plain::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// Whether a text fits a pattern in which `%` stands for any text and `_` for one character.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Positions in the text at which the pattern read so far can end.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            if wanted == '%' {
                next[at] = ends[at] || (at > 0 && next[at - 1]);
            } else if at > 0 {
                next[at] = ends[at - 1] && (wanted == '_' || text[at - 1] == wanted);
            }
        }
        ends = next;
    }
    ends[text.len()]
}

/// Carries out one statement of an action.
pub(super) fn apply(statement: &Statement, message: &mut Message) {
    match statement {
        Statement::Set(property, operand) => {
            let value = match operand {
                Operand::Text(text) => Value::from(text.as_str()),
                Operand::Number(number) => Value::from(*number),
                Operand::Bool(truth) => Value::Bool(*truth),
                Operand::Property(from) => property_value(from, message).unwrap_or_default(),
            };
            set(property, value, message);
        }
        Statement::Remove(Property::User(name)) => message.remove_property(name),
        Statement::Remove(property @ Property::System(_)) => set(property, Value::Null, message),
    }
}

fn set(property: &Property, value: Value, message: &mut Message) {
    match property {
        Property::User(name) => message.set_property(name, value),
        Property::System(name) => {
            message.encoded = None;
            message.properties.set_named(name, value);
        }
    }
}
