//! `$filter`: what is asked of a row.
//!
//! Own code, because no library on crates.io parses OData filters and is maintained; the part that Dataverse answers
//! is small.

mod matches;
mod parse;

use std::fmt;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

pub(crate) use matches::Judge;
pub(crate) use parse::parse;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(String, Operator, Literal),
    Text(Function, String, String),
    In(String, Vec<String>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    Contains,
    StartsWith,
    EndsWith,
}

/// A value as a filter writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    Guid(Uuid),
    Moment(Timestamp),
}

impl Operator {
    pub(crate) const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl Function {
    pub(crate) const ALL: [Self; 3] = [Self::Contains, Self::StartsWith, Self::EndsWith];

    fn word(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
        }
    }
}

/// Name of the function that takes many values at once.
const IN: &str = "Microsoft.Dynamics.CRM.In";

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(left, right) => write!(f, "({left} and {right})"),
            Self::Or(left, right) => write!(f, "({left} or {right})"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Compare(column, operator, value) => write!(f, "{column} {} {value}", operator.word()),
            Self::Text(function, column, text) => write!(f, "{}({column},{})", function.word(), quoted(text)),
            Self::In(column, values) => {
                write!(f, "{IN}(PropertyName={},PropertyValues={})", quoted(column), json!(values))
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Guid(id) => write!(f, "{id}"),
            Self::Moment(at) => write!(f, "{at}"),
        }
    }
}
