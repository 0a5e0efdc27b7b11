//! JSON as `DataContractJsonSerializer` writes it.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use uuid::Uuid;

use self::reader::{Kind, Raw, Reader};
use super::{
    context::Context,
    contract::{self, Extent, Source},
    datetime::DateTime,
    error::{Error, PathStep, Problem},
    namespace::{self, Namespace},
    value::{Member, Named, TypeName, Value},
};

/// Namespace of the contract in a `__type`.
const XRM: &str = ":http://schemas.microsoft.com/xrm/2011/Contracts";
/// The same as the serializer writes it.
const WRITTEN_XRM: &str = ":http:\\/\\/schemas.microsoft.com\\/xrm\\/2011\\/Contracts";

pub(super) fn context(text: &str, extent: Extent) -> Result<Box<Context<'_>>, Error> {
    let mut reader = Reader::new(text);
    let context = contract::context(&mut reader, extent)?;
    reader.end()?;
    Ok(context)
}

/// The text of a document that is nothing but a string.
pub(super) fn string_literal(text: &str) -> Result<Cow<'_, str>, Error> {
    let mut reader = Reader::new(text);
    let literal = reader.text()?.ok_or_else(|| reader.fail(Problem::Encoding("Unicode")))?;
    reader.end()?;
    Ok(literal)
}

impl<'a> Source<'a> for Reader<'a> {
    fn nil(&mut self) -> Result<bool, Error> {
        self.null()
    }

    fn skip(&mut self) -> Result<(), Error> {
        Reader::skip(self)
    }

    fn text(&mut self) -> Result<Cow<'a, str>, Error> {
        Reader::text(self)?.ok_or_else(|| self.fail(Problem::Encoding("Unicode")))
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        Reader::boolean(self)
    }

    fn int(&mut self) -> Result<i32, Error> {
        self.number()?.parse().map_err(|_| Reader::fail(self, Problem::Expected("a 32-bit integer")))
    }

    fn decimal(&mut self) -> Result<Cow<'a, str>, Error> {
        self.number().map(Cow::Borrowed)
    }

    fn guid(&mut self) -> Result<Uuid, Error> {
        let text = self.raw()?.text;
        let guid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        guid.ok_or_else(|| Reader::fail(self, Problem::Expected("a GUID")))
    }

    fn date(&mut self) -> Result<DateTime, Error> {
        date(self.raw()?).ok_or_else(|| Reader::fail(self, Problem::Expected("a date of the form /Date(…)/")))
    }

    fn named(&mut self) -> Result<Named<'a>, Error> {
        if self.peek()? == Kind::Text {
            return Source::text(self).map(Named::Name);
        }
        let number = self.number()?.parse();
        number.map(Named::Number).map_err(|_| Reader::fail(self, Problem::Expected("an integer")))
    }

    fn any(&mut self) -> Result<Value<'a>, Error> {
        match self.peek()? {
            Kind::Null => self.null().map(|_| Value::Null),
            Kind::Bool => Reader::boolean(self).map(Value::Bool),
            Kind::Number => self.number().map(|literal| Value::Number(Cow::Borrowed(literal))),
            Kind::Text => self.raw().map(text_or_date),
            Kind::List => contract::list(self, Self::any).map(Value::List),
            Kind::Object => object(self),
        }
    }

    fn members(
        &mut self,
        _: Namespace,
        visit: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.object(visit)
    }

    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.list(visit)
    }

    fn weight(&mut self) -> &mut usize {
        self.weight()
    }

    fn fail(&self, problem: Problem) -> Error {
        Reader::fail(self, problem)
    }
}

/// A date, whose slashes may be escaped.
fn date(raw: Raw<'_>) -> Option<DateTime> {
    let inner = raw.text.strip_prefix("\\/").or_else(|| raw.text.strip_prefix('/'))?;
    let inner = inner.strip_suffix("\\/").or_else(|| inner.strip_suffix('/'))?;
    DateTime::parse_json(inner.strip_prefix("Date(")?)
}

/// Nothing tells a date from a text that looks like one.
fn text_or_date(raw: Raw<'_>) -> Value<'_> {
    match date(raw) {
        Some(date) => Value::DateTime(date),
        None => raw.resolve().map_or(Value::IllFormedText, Value::Text),
    }
}

/// An object, whose `__type` says what it is.
fn object<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Error> {
    let Some(raw) = reader.find("__type")? else { return untyped(reader) };
    if let Some(name) = contract_type(raw)
        && let Some(value) = contract::structure(reader, name)?
    {
        return Ok(value);
    }
    let Some(name) = raw.resolve() else { return Err(reader.fail(Problem::Encoding("Unicode"))) };
    match name.split_once(':') {
        Some(("KeyValuePairOfstringstring", "#System.Collections.Generic")) => {
            let pair = contract::text_pair(reader)?;
            contract::keep(reader, pair).map(Value::TextPair)
        }
        Some((name, "#System.Collections.Generic")) if name.starts_with("KeyValuePairOf") => {
            let pair = contract::parameter(reader)?;
            contract::keep(reader, pair).map(Value::Pair)
        }
        Some((_, "#System")) => boxed_scalar(reader),
        Some((name, space)) => {
            let namespace = Cow::Owned(namespace::of_json_type(space).into_owned());
            let name = Cow::Owned(name.to_owned());
            reader.skip()?;
            contract::keep(reader, TypeName { namespace, name }).map(Value::Other)
        }
        None => {
            reader.skip()?;
            contract::keep(reader, TypeName { namespace: Cow::Borrowed(""), name }).map(Value::Other)
        }
    }
}

/// The local name, as written, of a type in the contract's own namespace. Those are by far the most frequent ones,
/// and need no unescaping.
fn contract_type(raw: Raw<'_>) -> Option<&str> {
    // A name with a colon in it is none that the contract knows.
    if let Some(name) = raw.text.strip_suffix(WRITTEN_XRM) {
        return Some(name);
    }
    let (name, namespace) = raw.text.split_at(raw.text.find(':')?);
    Raw { text: namespace, ..raw }.means(XRM).then_some(name)
}

/// An object that does not say what it is.
fn untyped<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Error> {
    reader.skip()?;
    let (namespace, name) = (Cow::Borrowed(""), Cow::Borrowed(""));
    contract::keep(reader, TypeName { namespace, name }).map(Value::Other)
}

/// A scalar with its CLR type around it. Dataverse does not write these, tools that re-serialize contexts do.
fn boxed_scalar<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Error> {
    let mut value = Member::Absent;
    reader.object(|reader, name| {
        if name != "__value" {
            return reader.skip();
        }
        if value.is_present() {
            return Err(reader.fail(Problem::Duplicate).inside(PathStep::Member("__value")));
        }
        value = Member::Value(reader.any()?);
        Ok(())
    })?;
    let Member::Value(value) = value else { return Err(reader.fail(Problem::Missing("__value"))) };
    Ok(value)
}
