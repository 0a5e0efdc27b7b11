//! Whether a row is what a filter asks for.

use std::cmp::Ordering;

use super::{Filter, Function, Literal, Operator};
use crate::dataverse::{
    refusal::Refusal,
    schema::{Column, Kind, Table},
    value::{Row, Value},
};

/// A filter whose names and types were held against a table.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    filter: Filter,
    table: &'static Table,
}

impl Judge {
    /// Checks a filter. `may_filter` refuses columns that this caller must not ask about.
    pub(crate) fn new(
        filter: Filter,
        table: &'static Table,
        may_filter: &dyn Fn(&Column) -> Result<(), Refusal>,
    ) -> Result<Self, Refusal> {
        check(&filter, table, may_filter)?;
        Ok(Self { filter, table })
    }

    pub(crate) fn takes(&self, row: &Row) -> bool {
        takes(&self.filter, self.table, row)
    }
}

fn check(
    filter: &Filter,
    table: &'static Table,
    may_filter: &dyn Fn(&Column) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match filter {
        Filter::And(left, right) | Filter::Or(left, right) => {
            check(left, table, may_filter)?;
            check(right, table, may_filter)
        }
        Filter::Not(inner) => check(inner, table, may_filter),
        Filter::Compare(name, _, literal) => {
            let column = column(table, name)?;
            may_filter(column)?;
            if fits(column, literal) { Ok(()) } else { Err(incompatible()) }
        }
        Filter::Text(_, name, _) => {
            let column = column(table, name)?;
            may_filter(column)?;
            if is_text(column) { Ok(()) } else { Err(incompatible()) }
        }
        Filter::In(name, _) => may_filter(listed(table, name)?),
    }
}

fn column(table: &'static Table, name: &str) -> Result<&'static Column, Refusal> {
    let readable = table.property(name).filter(|column| !column.write_only);
    readable.ok_or_else(|| Refusal::unknown_property(table.name, name))
}

/// Query functions take the logical name of a lookup, unlike the operators.
fn listed(table: &'static Table, name: &str) -> Result<&'static Column, Refusal> {
    match table.column(name) {
        Some(column) if !column.write_only => Ok(column),
        _ => column(table, name),
    }
}

fn incompatible() -> Refusal {
    Refusal::query("A binary operator with incompatible types was detected.")
}

fn is_text(column: &Column) -> bool {
    matches!(column.kind, Kind::Text(_) | Kind::Memo(_) | Kind::TableName)
}

fn fits(column: &Column, literal: &Literal) -> bool {
    match (column.kind, literal) {
        (_, Literal::Null)
        | (Kind::Text(_) | Kind::Memo(_) | Kind::TableName, Literal::Text(_))
        | (Kind::Bool | Kind::Managed, Literal::Bool(_))
        | (Kind::Int | Kind::Long | Kind::Choice(_) | Kind::State(_) | Kind::Status(_), Literal::Number(_))
        | (Kind::Moment, Literal::Moment(_))
        | (Kind::Key | Kind::Guid | Kind::Lookup(_), Literal::Guid(_)) => true,
        // Ids in quotes are taken for the sake of older clients.
        (Kind::Key | Kind::Guid | Kind::Lookup(_), Literal::Text(text)) => text.parse::<uuid::Uuid>().is_ok(),
        _ => false,
    }
}

fn takes(filter: &Filter, table: &'static Table, row: &Row) -> bool {
    match filter {
        Filter::And(left, right) => takes(left, table, row) && takes(right, table, row),
        Filter::Or(left, right) => takes(left, table, row) || takes(right, table, row),
        Filter::Not(inner) => !takes(inner, table, row),
        Filter::Compare(name, operator, literal) => {
            table.property(name).is_some_and(|column| compares(value(row, column), *operator, literal))
        }
        Filter::Text(function, name, pattern) => {
            let column = table.property(name);
            match column.map(|column| value(row, column)) {
                Some(Value::Text(text)) => is_like(text, *function, pattern),
                _ => false,
            }
        }
        Filter::In(name, values) => listed(table, name).is_ok_and(|column| {
            let own = match value(row, column) {
                Value::Null => return false,
                Value::Moment(at) => crate::dataverse::json::moment(*at),
                Value::Text(text) => text.clone(),
                other => crate::dataverse::json::write(column, other).to_string().replace('"', ""),
            };
            values.iter().any(|value| value.eq_ignore_ascii_case(&own))
        }),
    }
}

fn value<'a>(row: &'a Row, column: &Column) -> &'a Value {
    row.get(column.name).unwrap_or(&Value::Null)
}

fn compares(value: &Value, operator: Operator, literal: &Literal) -> bool {
    let order = match (value, literal) {
        (Value::Null, Literal::Null) => return operator == Operator::Eq,
        (Value::Null, _) | (_, Literal::Null) => return operator == Operator::Ne,
        _ => order(value, literal),
    };
    match operator {
        Operator::Eq => order == Some(Ordering::Equal),
        Operator::Ne => order != Some(Ordering::Equal),
        Operator::Gt => order == Some(Ordering::Greater),
        Operator::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Operator::Lt => order == Some(Ordering::Less),
        Operator::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
    }
}

fn order(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Bool(left), Literal::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left) | Value::Choice(left), Literal::Number(right)) => Some(i64::from(*left).cmp(right)),
        (Value::Long(left), Literal::Number(right)) => Some(left.cmp(right)),
        (Value::Text(left), Literal::Text(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (Value::Guid(left) | Value::Lookup { id: left, .. }, Literal::Guid(right)) => Some(left.cmp(right)),
        (Value::Guid(left) | Value::Lookup { id: left, .. }, Literal::Text(right)) => {
            right.parse().ok().map(|right| left.cmp(&right))
        }
        (Value::Moment(left), Literal::Moment(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// A match as the database makes it: case does not count, and `%`, `_` and `[…]` are wildcards.
fn is_like(text: &str, function: Function, pattern: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern = pattern.to_lowercase();
    let pattern = match function {
        Function::Contains => format!("%{pattern}%"),
        Function::StartsWith => format!("{pattern}%"),
        Function::EndsWith => format!("%{pattern}"),
    };
    like(&text, &pieces(&pattern))
}

enum Piece {
    Any,
    One,
    Of(Vec<char>),
    Just(char),
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        pieces.push(match next {
            '%' => Piece::Any,
            '_' => Piece::One,
            '[' => match rest.as_str().split_once(']') {
                Some((set, after)) => {
                    rest = after.chars();
                    Piece::Of(set.chars().collect())
                }
                None => Piece::Just('['),
            },
            other => Piece::Just(other),
        });
    }
    pieces
}

/// Goes back to the last `%` only, so that no pattern takes longer than its length times that of the text.
fn like(text: &[char], pieces: &[Piece]) -> bool {
    let (mut at, mut piece) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        let hit = match pieces.get(piece) {
            Some(Piece::Any) => {
                back = Some((piece, at));
                piece += 1;
                continue;
            }
            Some(Piece::One) => true,
            Some(Piece::Of(set)) => set.contains(&text[at]),
            Some(Piece::Just(own)) => *own == text[at],
            None => false,
        };
        if hit {
            (at, piece) = (at + 1, piece + 1);
        } else if let Some((any, from)) = back {
            back = Some((any, from + 1));
            (at, piece) = (from + 1, any + 1);
        } else {
            return false;
        }
    }
    pieces[piece..].iter().all(|left| matches!(left, Piece::Any))
}
