//! The text of a filter, read from left to right.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Filter, Function, IN, Literal, Operator};
use crate::dataverse::refusal::Refusal;

/// Deeper nesting is refused, as a stack has an end.
const DEEPEST: usize = 100;

/// More conditions are refused.
const MOST_CONDITIONS: usize = 500;

/// Reads a filter; `alias` gives what stands for `@p1` elsewhere in the query.
pub(crate) fn parse(text: &str, alias: &dyn Fn(&str) -> Option<String>) -> Result<Filter, Refusal> {
    let mut reader = Reader { text, at: 0, depth: 0, conditions: 0, alias };
    let filter = reader.disjunction()?;
    reader.skip_blanks();
    if reader.at < text.len() {
        return Err(reader.error());
    }
    Ok(filter)
}

struct Reader<'a> {
    text: &'a str,
    /// Where the reader stands; always between two characters.
    at: usize,
    depth: usize,
    conditions: usize,
    alias: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn error(&self) -> Refusal {
        Refusal::query(format!("Syntax error at position {} in '{}'.", self.at, self.text))
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The word that comes next, without going past it.
    fn peek_word(&mut self) -> &str {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || "(),='[]\"".contains(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn word(&mut self) -> Result<String, Refusal> {
        let word = self.peek_word().to_owned();
        if word.is_empty() {
            return Err(self.error());
        }
        self.at += word.len();
        Ok(word)
    }

    fn is_next(&mut self, word: &str) -> bool {
        let is_it = self.peek_word() == word;
        if is_it {
            self.at += word.len();
        }
        is_it
    }

    fn sign(&mut self, sign: char) -> Result<(), Refusal> {
        self.skip_blanks();
        if !self.rest().starts_with(sign) {
            return Err(self.error());
        }
        self.at += sign.len_utf8();
        Ok(())
    }

    fn disjunction(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.conjunction()?;
        while self.is_next("or") {
            left = Filter::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.unary()?;
        while self.is_next("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refusal::query("The node count limit of the filter has been exceeded."));
        }
        let filter = if self.is_next("not") {
            Filter::Not(Box::new(self.unary()?))
        } else {
            self.skip_blanks();
            if self.rest().starts_with('(') {
                self.sign('(')?;
                let inner = self.disjunction()?;
                self.sign(')')?;
                inner
            } else {
                self.condition()?
            }
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Filter, Refusal> {
        self.conditions += 1;
        if self.conditions > MOST_CONDITIONS {
            let message = "Number of conditions in query exceeded maximum limit.";
            return Err(Refusal::bad_request(0x8004_430c, message));
        }
        let word = self.word()?;
        if self.rest().starts_with('(') {
            return self.call(&word);
        }
        let operator = self.word()?;
        let Some(operator) = Operator::ALL.into_iter().find(|one| one.word() == operator) else {
            return Err(self.error());
        };
        let value = self.literal()?;
        Ok(Filter::Compare(word, operator, value))
    }

    fn call(&mut self, name: &str) -> Result<Filter, Refusal> {
        self.sign('(')?;
        let filter = if name == IN {
            self.membership()?
        } else {
            let Some(function) = Function::ALL.into_iter().find(|one| one.word() == name) else {
                return Err(Refusal::query(format!("An unknown function with name '{name}' was found.")));
            };
            let column = self.word()?;
            self.sign(',')?;
            let text = self.argument()?;
            Filter::Text(function, column, text)
        };
        self.sign(')')?;
        Ok(filter)
    }

    fn membership(&mut self) -> Result<Filter, Refusal> {
        self.named("PropertyName")?;
        let column = self.argument()?;
        self.sign(',')?;
        self.named("PropertyValues")?;
        self.skip_blanks();
        let list = if self.rest().starts_with('@') { self.alias()? } else { self.list()? };
        let values = serde_json::from_str::<Vec<String>>(&list).map_err(|_| self.error())?;
        Ok(Filter::In(column, values))
    }

    fn named(&mut self, parameter: &str) -> Result<(), Refusal> {
        if !self.is_next(parameter) {
            return Err(self.error());
        }
        self.sign('=')
    }

    /// A text, or the alias of one.
    fn argument(&mut self) -> Result<String, Refusal> {
        self.skip_blanks();
        if !self.rest().starts_with('@') {
            return self.quoted();
        }
        let stands = self.alias()?;
        let mut inner = Reader { text: &stands, at: 0, depth: 0, conditions: 0, alias: self.alias };
        inner.quoted().map_err(|_| self.error())
    }

    fn alias(&mut self) -> Result<String, Refusal> {
        let name = self.word()?;
        (self.alias)(&name)
            .ok_or_else(|| Refusal::query(format!("The parameter alias '{name}' has no value.")))
    }

    /// A list in JSON up to its bracket.
    fn list(&mut self) -> Result<String, Refusal> {
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Vec<String>>();
        let Some(Ok(list)) = values.next() else { return Err(self.error()) };
        let length = values.byte_offset();
        self.at += length;
        Ok(serde_json::json!(list).to_string())
    }

    fn quoted(&mut self) -> Result<String, Refusal> {
        self.skip_blanks();
        if !self.rest().starts_with('\'') {
            return Err(self.error());
        }
        self.at += 1;
        let mut value = String::new();
        loop {
            let Some(end) = self.rest().find('\'') else { return Err(self.error()) };
            value.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('\'') {
                return Ok(value);
            }
            value.push('\'');
            self.at += 1;
        }
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        self.skip_blanks();
        match self.rest().chars().next() {
            Some('\'') => return self.quoted().map(Literal::Text),
            Some('@') => {
                let stands = self.alias()?;
                let nothing = |_: &str| None;
                let mut inner = Reader { text: &stands, at: 0, depth: 0, conditions: 0, alias: &nothing };
                return inner.literal().map_err(|_| self.error());
            }
            _ => {}
        }
        let start = self.at;
        let word = self.word()?;
        let value = match word.as_str() {
            "null" => Literal::Null,
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            word => scalar(word).ok_or_else(|| {
                self.at = start;
                self.error()
            })?,
        };
        Ok(value)
    }
}

fn scalar(word: &str) -> Option<Literal> {
    if let Ok(number) = word.parse() {
        return Some(Literal::Number(number));
    }
    // `parse` takes braces and the form without hyphens too, which OData does not.
    if word.len() == 36
        && let Ok(id) = word.parse::<Uuid>()
    {
        return Some(Literal::Guid(id));
    }
    word.parse::<Timestamp>().ok().or_else(|| crate::dataverse::json::parse_moment(word)).map(Literal::Moment)
}
