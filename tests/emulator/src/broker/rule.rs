//! What a subscription lets in: rules with a filter each, and an action that may alter the copy.

use serde_amqp::Value;

use super::{
    Message,
    message::id_text,
    sql::{SqlAction, SqlFilter},
};

/// A named filter of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique within the subscription.
    pub name: String,
    /// Which messages it lets in.
    pub filter: Filter,
    /// What it does to the copies.
    pub action: Option<SqlAction>,
}

impl Rule {
    /// The rule that every subscription starts with: everything comes in.
    #[must_use]
    pub fn everything() -> Self {
        Self { name: "$Default".to_owned(), filter: Filter::True, action: None }
    }
}

/// Which messages a rule lets in.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every message.
    True,
    /// No message.
    False,
    /// Messages whose fields equal all the given ones.
    Correlation(Box<Correlation>),
    /// Messages of which an expression is true.
    Sql(SqlFilter),
}

/// Fields that have to be equal; what is not given is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correlation {
    /// `correlation-id`, compared as text.
    pub correlation_id: Option<String>,
    /// `message-id`, compared as text.
    pub message_id: Option<String>,
    /// `to`.
    pub to: Option<String>,
    /// `reply-to`.
    pub reply_to: Option<String>,
    /// Label, which AMQP calls subject.
    pub label: Option<String>,
    /// Session of the message.
    pub session_id: Option<String>,
    /// Session for the reply.
    pub reply_to_session_id: Option<String>,
    /// Content type.
    pub content_type: Option<String>,
    /// Application properties.
    pub properties: Vec<(String, Value)>,
}

impl Filter {
    /// Whether the filter lets `message` in.
    #[must_use]
    pub fn matches(&self, message: &Message) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Correlation(correlation) => correlation.matches(message),
            Self::Sql(filter) => filter.matches(message),
        }
    }
}

impl Correlation {
    fn matches(&self, message: &Message) -> bool {
        let properties = &message.properties;
        let correlation_id = properties.correlation_id().map(id_text);
        let message_id = message.message_id();
        let fields = [
            (&self.correlation_id, correlation_id.as_deref()),
            (&self.message_id, message_id.as_deref()),
            (&self.to, properties.to()),
            (&self.reply_to, properties.reply_to()),
            (&self.label, properties.subject()),
            (&self.session_id, properties.session_id()),
            (&self.reply_to_session_id, properties.reply_to_session_id()),
            (&self.content_type, properties.content_type()),
        ];
        fields.iter().all(|(wanted, found)| wanted.as_deref().is_none_or(|wanted| Some(wanted) == *found))
            && self
                .properties
                .iter()
                .all(|(name, wanted)| message.property(name).is_some_and(|found| same(wanted, found)))
    }
}

/// Whether two property values are equal; whole numbers compare across their widths.
fn same(left: &Value, right: &Value) -> bool {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn whole(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Ubyte(number) => i128::from(*number),
        Value::Ushort(number) => i128::from(*number),
        Value::Uint(number) => i128::from(*number),
        Value::Ulong(number) => i128::from(*number),
        Value::Byte(number) => i128::from(*number),
        Value::Short(number) => i128::from(*number),
        Value::Int(number) => i128::from(*number),
        Value::Long(number) => i128::from(*number),
        _ => return None,
    })
}
