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
    error::{DecodeProblem, Error, PathStep},
    namespace::{self, Namespace},
    value::{ContextValue, ContractMember, Named, TypeName},
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
    let literal = reader.text()?.ok_or_else(|| reader.fail(DecodeProblem::Encoding("Unicode")))?;
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
        Reader::text(self)?.ok_or_else(|| self.fail(DecodeProblem::Encoding("Unicode")))
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        Reader::boolean(self)
    }

    fn int(&mut self) -> Result<i32, Error> {
        self.number()?.parse().map_err(|_| Reader::fail(self, DecodeProblem::Expected("a 32-bit integer")))
    }

    fn decimal(&mut self) -> Result<Cow<'a, str>, Error> {
        self.number().map(Cow::Borrowed)
    }

    fn guid(&mut self) -> Result<Uuid, Error> {
        let text = self.raw()?.text;
        let guid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        guid.ok_or_else(|| Reader::fail(self, DecodeProblem::Expected("a GUID")))
    }

    fn date(&mut self) -> Result<DateTime, Error> {
        date(self.raw()?)
            .ok_or_else(|| Reader::fail(self, DecodeProblem::Expected("a date of the form /Date(…)/")))
    }

    fn named(&mut self) -> Result<Named<'a>, Error> {
        if self.peek()? == Kind::Text {
            return Source::text(self).map(Named::Name);
        }
        let number = self.number()?.parse();
        number.map(Named::Number).map_err(|_| Reader::fail(self, DecodeProblem::Expected("an integer")))
    }

    fn any(&mut self) -> Result<ContextValue<'a>, Error> {
        match self.peek()? {
            Kind::Null => self.null().map(|_| ContextValue::Null),
            Kind::Bool => Reader::boolean(self).map(ContextValue::Bool),
            Kind::Number => self.number().map(|literal| ContextValue::Number(Cow::Borrowed(literal))),
            Kind::Text => self.raw().map(text_or_date),
            Kind::List => contract::list(self, Self::any).map(ContextValue::List),
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

    fn fail(&self, problem: DecodeProblem) -> Error {
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
fn text_or_date(raw: Raw<'_>) -> ContextValue<'_> {
    match date(raw) {
        Some(date) => ContextValue::DateTime(date),
        None => raw.resolve().map_or(ContextValue::IllFormedText, ContextValue::Text),
    }
}

/// An object, whose `__type` says what it is.
fn object<'a>(reader: &mut Reader<'a>) -> Result<ContextValue<'a>, Error> {
    let Some(raw) = reader.find("__type")? else { return untyped(reader) };
    if let Some(name) = contract_type(raw)
        && let Some(value) = contract::structure(reader, name)?
    {
        return Ok(value);
    }
    let Some(name) = raw.resolve() else { return Err(reader.fail(DecodeProblem::Encoding("Unicode"))) };
    match name.split_once(':') {
        Some(("KeyValuePairOfstringstring", "#System.Collections.Generic")) => {
            let pair = contract::text_pair(reader)?;
            contract::keep(reader, pair).map(ContextValue::TextPair)
        }
        Some((name, "#System.Collections.Generic")) if name.starts_with("KeyValuePairOf") => {
            let pair = contract::parameter(reader)?;
            contract::keep(reader, pair).map(ContextValue::Pair)
        }
        Some((_, "#System")) => boxed_scalar(reader),
        Some((name, space)) => {
            let namespace = Cow::Owned(namespace::of_json_type(space).into_owned());
            let name = Cow::Owned(name.to_owned());
            reader.skip()?;
            contract::keep(reader, TypeName { namespace, name }).map(ContextValue::Other)
        }
        None => {
            reader.skip()?;
            contract::keep(reader, TypeName { namespace: Cow::Borrowed(""), name }).map(ContextValue::Other)
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
fn untyped<'a>(reader: &mut Reader<'a>) -> Result<ContextValue<'a>, Error> {
    reader.skip()?;
    let (namespace, name) = (Cow::Borrowed(""), Cow::Borrowed(""));
    contract::keep(reader, TypeName { namespace, name }).map(ContextValue::Other)
}

/// A scalar with its CLR type around it. Dataverse does not write these, tools that re-serialize contexts do.
fn boxed_scalar<'a>(reader: &mut Reader<'a>) -> Result<ContextValue<'a>, Error> {
    let mut value = ContractMember::Absent;
    reader.object(|reader, name| {
        if name != "__value" {
            return reader.skip();
        }
        if value.is_present() {
            return Err(reader.fail(DecodeProblem::Duplicate).inside(PathStep::Member("__value")));
        }
        value = ContractMember::Value(reader.any()?);
        Ok(())
    })?;
    let ContractMember::Value(value) = value else {
        return Err(reader.fail(DecodeProblem::Missing("__value")));
    };
    Ok(value)
}
