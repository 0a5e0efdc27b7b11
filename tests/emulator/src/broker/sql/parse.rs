//! Expressions and statements from tokens, by recursive descent.

use super::{
    expression::{Comparison, Condition, Operand, Property, SqlError, Statement},
    token::{Token, tokens},
};

/// Deepest nesting of parentheses and negations; the service has a limit too.
const DEEPEST: usize = 64;

pub(super) fn condition(text: &str) -> Result<Condition, SqlError> {
    let mut parser = Parser::new(text)?;
    let condition = parser.or()?;
    parser.finish()?;
    Ok(condition)
}

pub(super) fn statements(text: &str) -> Result<Vec<Statement>, SqlError> {
    let mut parser = Parser::new(text)?;
    let mut statements = Vec::new();
    while parser.peek().is_some() {
        statements.push(parser.statement()?);
        if !parser.sign(";") {
            break;
        }
    }
    parser.finish()?;
    Ok(statements)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, SqlError> {
        Ok(Self { tokens: tokens(text)?, next: 0, end: text.len(), depth: 0 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn expected(&self, expected: &'static str) -> SqlError {
        SqlError { expected, at: self.tokens.get(self.next).map_or(self.end, |(at, _)| *at) }
    }

    fn finish(&self) -> Result<(), SqlError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(known)) if *known == sign);
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(found);
        found
    }

    fn need(&mut self, found: bool, expected: &'static str) -> Result<(), SqlError> {
        if found { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn or(&mut self) -> Result<Condition, SqlError> {
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Condition::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Condition, SqlError> {
        let mut left = self.not()?;
        while self.keyword("and") {
            left = Condition::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Condition, SqlError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.expected("less nesting"));
        }
        let condition = if self.keyword("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.sign("(") {
            let inner = self.or()?;
            let closed = self.sign(")");
            self.need(closed, "a closing parenthesis")?;
            inner
        } else if self.keyword("exists") {
            let opened = self.sign("(");
            self.need(opened, "an opening parenthesis")?;
            let property = self.property()?;
            let closed = self.sign(")");
            self.need(closed, "a closing parenthesis")?;
            Condition::Exists(property)
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn predicate(&mut self) -> Result<Condition, SqlError> {
        let left = self.operand()?;
        if self.keyword("is") {
            let negated = self.keyword("not");
            let null = self.keyword("null");
            self.need(null, "NULL")?;
            return Ok(negate(negated, Condition::IsNull(left)));
        }
        let negated = self.keyword("not");
        if self.keyword("like") {
            let Some(Token::Text(pattern)) = self.take() else { return Err(self.expected("a pattern")) };
            return Ok(negate(negated, Condition::Like(left, pattern)));
        }
        if self.keyword("in") {
            return Ok(negate(negated, Condition::In(left, self.list()?)));
        }
        self.need(!negated, "LIKE or IN")?;
        match self.comparison() {
            Some(comparison) => Ok(Condition::Compare(left, comparison, self.operand()?)),
            None => Ok(Condition::Value(left)),
        }
    }

    fn list(&mut self) -> Result<Vec<Operand>, SqlError> {
        let opened = self.sign("(");
        self.need(opened, "an opening parenthesis")?;
        let mut items = vec![self.operand()?];
        while self.sign(",") {
            items.push(self.operand()?);
        }
        let closed = self.sign(")");
        self.need(closed, "a closing parenthesis")?;
        Ok(items)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let signs = [
            ("=", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            ("<", Comparison::Less),
            (">=", Comparison::GreaterOrEqual),
            (">", Comparison::Greater),
        ];
        signs.into_iter().find(|(sign, _)| self.sign(sign)).map(|(_, comparison)| comparison)
    }

    fn operand(&mut self) -> Result<Operand, SqlError> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let operand = Operand::Text(text.clone());
                self.next += 1;
                Ok(operand)
            }
            Some(Token::Number(number)) => {
                let operand = Operand::Number(*number);
                self.next += 1;
                Ok(operand)
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => {
                self.next += 1;
                Ok(Operand::Bool(true))
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => {
                self.next += 1;
                Ok(Operand::Bool(false))
            }
            _ => Ok(Operand::Property(self.property()?)),
        }
    }

    fn property(&mut self) -> Result<Property, SqlError> {
        let name = self.name()?;
        if !self.sign(".") {
            return Ok(Property::User(name));
        }
        let below = self.name()?;
        Ok(if name.eq_ignore_ascii_case("sys") {
            Property::System(below.to_lowercase())
        } else {
            Property::User(below)
        })
    }

    fn name(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Word(name) | Token::Name(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.expected("a value or the name of a property")),
        }
    }

    fn statement(&mut self) -> Result<Statement, SqlError> {
        if self.keyword("remove") {
            return Ok(Statement::Remove(self.property()?));
        }
        let set = self.keyword("set");
        self.need(set, "SET or REMOVE")?;
        let property = self.property()?;
        let equals = self.sign("=");
        self.need(equals, "=")?;
        Ok(Statement::Set(property, self.operand()?))
    }
}

fn negate(negated: bool, condition: Condition) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}
