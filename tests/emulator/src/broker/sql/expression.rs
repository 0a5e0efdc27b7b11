//! Expressions and statements, as they are once read.

use thiserror::Error;

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {expected} at character {at} of the expression")]
pub struct SqlError {
    /// What should stand there.
    pub expected: &'static str,
    /// Where, counted from 0.
    pub at: usize,
}

/// Something that is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Or(Box<Condition>, Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    Like(Operand, String),
    In(Operand, Vec<Operand>),
    IsNull(Operand),
    Exists(Property),
    /// A value that is a truth value itself.
    Value(Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Number(f64),
    Bool(bool),
    Property(Property),
}

/// A property of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Property {
    /// One that AMQP or the service defines, by its name in lower case.
    System(String),
    /// An application property.
    User(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Set(Property, Operand),
    Remove(Property),
}
