//! The SQL-like language of rules: filters that let messages in and actions that change the copies.
//!
//! Comparison, `LIKE`, `IN`, `IS NULL`, `EXISTS`, `AND`, `OR`, `NOT`, and `SET` and `REMOVE`. No arithmetic.

mod eval;
mod expression;
mod parse;
mod token;

use super::Message;

pub use self::expression::SqlError;
use self::expression::{Condition, Statement};

/// A filter expression.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlFilter {
    /// As it was written.
    pub text: String,
    condition: Condition,
}

impl SqlFilter {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        Ok(Self { text: text.to_owned(), condition: parse::condition(text)? })
    }

    /// Whether it is true of a message; what is unknown is not true.
    #[must_use]
    pub fn matches(&self, message: &Message) -> bool {
        eval::truth(&self.condition, message) == Some(true)
    }
}

/// An action: statements in order.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlAction {
    /// As it was written.
    pub text: String,
    statements: Vec<Statement>,
}

impl SqlAction {
    /// Reads statements, separated by semicolons.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        Ok(Self { text: text.to_owned(), statements: parse::statements(text)? })
    }

    /// Carries the statements out.
    pub fn apply(&self, message: &mut Message) {
        for statement in &self.statements {
            eval::apply(statement, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_amqp::Value;

    use super::*;

    fn message() -> Message {
        let mut message = Message::default();
        message.properties.set_message_id("123456".into());
        message.properties.set_subject("it's".to_owned());
        message.set_property("userProp1", "value1".into());
        message.set_property("count", Value::Int(7));
        message.set_property("odd name", Value::Bool(true));
        message
    }

    fn check(expression: &str, expected: bool) {
        match SqlFilter::parse(expression) {
            Ok(filter) => assert_eq!(filter.matches(&message()), expected, "{expression}"),
            Err(error) => panic!("{expression}: {error}"),
        }
    }

    #[test]
    fn filters_say_what_the_service_would_say() {
        check("sys.MessageId = '123456' AND userProp1 = 'value1'", true);
        check("sys.Label = 'it''s'", true);
        check("1=1", true);
        check("1=0", false);
        check("count > 6 and count <= 7.0", true);
        check("user.count <> 7", false);
        check("[odd name]", true);
        check("NOT (count in (1, 2)) or missing = 1", true);
        check("userProp1 LIKE 'val%' AND userProp1 NOT LIKE '_'", true);
        check("missing IS NULL and count is not null", true);
        check("EXISTS(count) AND NOT EXISTS(missing)", true);
        check("missing = 1", false);
        check("NOT missing = 1", false);
        check("count != 7 OR true", true);
    }

    #[test]
    fn broken_expressions_are_refused_with_the_place() {
        for (expression, at) in [("a =", 3), ("a = 'x", 4), ("(a = 1", 6), ("a = 1 b", 6), ("a ~ 1", 2)] {
            let error = SqlFilter::parse(expression).err();
            assert_eq!(error.map(|error| error.at), Some(at), "{expression}");
        }
    }

    #[test]
    fn actions_set_and_remove_properties() -> Result<(), SqlError> {
        let mut message = message();
        SqlAction::parse("SET sys.To = 'Entity'; SET copy = count; REMOVE userProp1")?.apply(&mut message);
        assert_eq!(message.properties.to(), Some("Entity"));
        assert_eq!(message.property("copy"), Some(&Value::Int(7)));
        assert_eq!(message.property("userProp1"), None);
        Ok(())
    }
}
