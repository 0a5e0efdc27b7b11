//! The contract's cursor over elements.

use std::borrow::Cow;

use uuid::Uuid;

use super::{Element, Scalar, Token, Tokens, TypeRef};
use crate::decode::{
    contract::{self, Source},
    datetime::DateTime,
    error::{DecodeProblem, Error},
    namespace::Namespace,
    value::{ContextValue, Named, TypeName},
};

/// A cursor whose element has begun and whose content comes next.
#[derive(Debug)]
pub(in crate::decode) struct Cursor<'a, T> {
    tokens: T,
    element: Element<'a>,
    weight: usize,
}

impl<'a, T: Tokens<'a>> Cursor<'a, T> {
    /// A cursor at the root of a document.
    pub(in crate::decode) fn new(mut tokens: T) -> Result<Self, Error> {
        loop {
            match tokens.next()? {
                Token::Start(element) => return Ok(Self { tokens, element, weight: 0 }),
                Token::Text(text) if text.is_blank() => {}
                Token::Text(_) | Token::End => {
                    return Err(Error::new(DecodeProblem::Expected("an element"), tokens.offset()));
                }
            }
        }
    }

    /// The element that has begun.
    pub(in crate::decode) fn element(&self) -> &Element<'a> {
        &self.element
    }

    /// Makes sure that the document ends with what was read.
    pub(in crate::decode) fn end(mut self) -> Result<(), Error> {
        self.tokens.end()
    }

    /// All text of the element.
    pub(in crate::decode) fn content(&mut self) -> Result<Scalar<'a>, Error> {
        let mut content = match self.tokens.next()? {
            Token::Text(text) => text,
            Token::End => return Ok(Scalar::EMPTY),
            Token::Start(_) => return Err(self.fail(DecodeProblem::Expected("text"))),
        };
        loop {
            match self.tokens.next()? {
                Token::Text(text) => content = content.join(text),
                Token::End => return Ok(content),
                Token::Start(_) => return Err(self.fail(DecodeProblem::Expected("text"))),
            }
        }
    }

    /// All text of the element, as something more particular.
    fn scalar<V>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(Scalar<'a>) -> Option<V>,
    ) -> Result<V, Error> {
        let content = self.content()?;
        read(content).ok_or_else(|| self.fail(DecodeProblem::Expected(what)))
    }

    /// Takes each element inside of this one.
    fn children(&mut self, mut visit: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        loop {
            match self.tokens.next()? {
                Token::Start(element) => {
                    self.element = element;
                    visit(self)?;
                }
                Token::Text(text) if text.is_blank() => {}
                Token::Text(_) => return Err(self.fail(DecodeProblem::Expected("an element"))),
                Token::End => return Ok(()),
            }
        }
    }

    /// A value of a simple type, by the type's local name.
    fn simple(&mut self, name: &str) -> Result<Option<ContextValue<'a>>, Error> {
        Ok(Some(match name {
            "string" => self.content()?.into_text().map_or(ContextValue::IllFormedText, ContextValue::Text),
            "boolean" => ContextValue::Bool(self.boolean()?),
            "int" | "short" | "byte" | "unsignedShort" | "unsignedByte" => ContextValue::Int(self.int()?),
            "long" | "unsignedInt" => ContextValue::Long(self.scalar("a 64-bit integer", |text| text.int())?),
            "decimal" | "unsignedLong" => ContextValue::Decimal(self.decimal()?),
            "double" | "float" => {
                ContextValue::Double(self.scalar("a floating-point number", |text| text.double())?)
            }
            "dateTime" => ContextValue::DateTime(self.date()?),
            "base64Binary" => ContextValue::Bytes(self.scalar("base64", Scalar::bytes)?),
            "guid" => ContextValue::Guid(self.guid()?),
            _ => return Ok(None),
        }))
    }

    /// A value whose items all have one type, by what its name says of that type.
    fn array(&mut self, item: &str) -> Result<ContextValue<'a>, Error> {
        let read = |cursor: &mut Self| {
            if cursor.nil()? {
                return Ok(ContextValue::Null);
            }
            if item == "anyType" {
                return cursor.any();
            }
            if let Some(value) = cursor.simple(item)? {
                return Ok(value);
            }
            match contract::structure(cursor, item)? {
                Some(value) => Ok(value),
                None => cursor.other(TypeRef { namespace: None, name: no_type() }),
            }
        };
        contract::list(self, read).map(ContextValue::Array)
    }

    /// A dictionary of strings.
    fn string_map(&mut self) -> Result<ContextValue<'a>, Error> {
        let pair = |cursor: &mut Self| {
            let (mut key, mut value) = (None, None);
            cursor.members(Namespace::Arrays, |cursor, name| match name {
                "Key" => cursor.text().map(|text| key = Some(text)),
                "Value" if cursor.nil()? => Ok(()),
                "Value" => cursor.text().map(|text| value = Some(text)),
                _ => cursor.skip(),
            })?;
            Ok((key.ok_or_else(|| cursor.fail(DecodeProblem::Missing("key of a pair")))?, value))
        };
        contract::list(self, pair).map(ContextValue::StringMap)
    }

    /// A value of a type that is not modelled. Nothing but text makes it a name of an enumeration, if its type is
    /// the platform's.
    fn other(&mut self, ty: TypeRef<'a>) -> Result<ContextValue<'a>, Error> {
        let mut text = None;
        let mut inside = 0_usize;
        let mut structured = false;
        loop {
            match self.tokens.next()? {
                Token::Start(_) => (inside, structured) = (inside + 1, true),
                Token::Text(piece) if inside == 0 && !structured => {
                    text = Some(match text {
                        None => piece,
                        Some(text) => Scalar::join(text, piece),
                    });
                }
                Token::Text(_) => {}
                Token::End if inside == 0 => break,
                Token::End => inside -= 1,
            }
        }
        let platform = matches!(ty.namespace, Some(Namespace::Xrm | Namespace::Xrm71 | Namespace::Xrm90));
        match text.filter(|_| platform && !structured).and_then(Scalar::into_text) {
            Some(name) => contract::keep(self, (ty.name, name)).map(ContextValue::Enum),
            None => contract::keep(self, ty.name).map(ContextValue::Other),
        }
    }
}

fn no_type() -> TypeName<'static> {
    TypeName { namespace: Cow::Borrowed(""), name: Cow::Borrowed("") }
}

impl<'a, T: Tokens<'a>> Source<'a> for Cursor<'a, T> {
    fn nil(&mut self) -> Result<bool, Error> {
        if self.element.nil {
            self.skip()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn skip(&mut self) -> Result<(), Error> {
        self.tokens.skip()
    }

    fn text(&mut self) -> Result<Cow<'a, str>, Error> {
        self.scalar("text in whole characters", Scalar::into_text)
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        self.scalar("true or false", |text| text.boolean())
    }

    fn int(&mut self) -> Result<i32, Error> {
        self.scalar("a 32-bit integer", |text| i32::try_from(text.int()?).ok())
    }

    fn decimal(&mut self) -> Result<Cow<'a, str>, Error> {
        self.scalar("a decimal number", Scalar::decimal)
    }

    fn guid(&mut self) -> Result<Uuid, Error> {
        self.scalar("a GUID", |text| text.guid())
    }

    fn date(&mut self) -> Result<DateTime, Error> {
        self.scalar("a date", |text| text.date())
    }

    fn named(&mut self) -> Result<Named<'a>, Error> {
        self.text().map(Named::Name)
    }

    fn any(&mut self) -> Result<ContextValue<'a>, Error> {
        if self.nil()? {
            return Ok(ContextValue::Null);
        }
        let Some(ty) = self.element.ty.take() else {
            return self.other(TypeRef { namespace: None, name: no_type() });
        };
        let name = ty.name.name.clone();
        let value = match (ty.namespace, &*name) {
            (Some(Namespace::Schema), name) => self.simple(name)?,
            (Some(Namespace::Serialization), "guid") => self.simple("guid")?,
            (Some(Namespace::Xrm90), "OptionSetValueCollection") => {
                contract::list(self, contract::option_set).map(ContextValue::OptionSets).map(Some)?
            }
            (Some(Namespace::Arrays), "ArrayOfKeyValueOfstringstring") => self.string_map().map(Some)?,
            (Some(Namespace::Arrays | Namespace::Xrm), name) if name.starts_with("ArrayOf") => {
                self.array(&name["ArrayOf".len()..]).map(Some)?
            }
            (Some(Namespace::Xrm), name) => contract::structure(self, name)?,
            _ => None,
        };
        match value {
            Some(value) => Ok(value),
            None => self.other(ty),
        }
    }

    fn members(
        &mut self,
        namespace: Namespace,
        mut visit: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.children(|cursor| {
            let own = cursor.element.namespace == Some(namespace);
            let name = if own { cursor.element.name } else { "" };
            visit(cursor, name)
        })
    }

    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.children(visit)
    }

    fn weight(&mut self) -> &mut usize {
        &mut self.weight
    }

    fn fail(&self, problem: DecodeProblem) -> Error {
        Error::new(problem, self.tokens.offset())
    }
}
