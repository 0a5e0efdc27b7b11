//! Elements, and the namespace declarations that give their names a meaning.

use std::borrow::Cow;

use crate::decode::{
    error::{Error, Problem},
    limits,
    namespace::Namespace,
    value::TypeName,
};

/// An element that begins.
#[derive(Clone, Debug, Default)]
pub(in crate::decode) struct Element<'a> {
    /// Namespace, if it is one that means something here.
    pub(in crate::decode) namespace: Option<Namespace>,
    /// Local name.
    pub(in crate::decode) name: &'a str,
    /// Type the element says it has.
    pub(in crate::decode) ty: Option<TypeRef<'a>>,
    /// Whether it says that it is null.
    pub(in crate::decode) nil: bool,
}

/// A type by its qualified name.
#[derive(Clone, Debug)]
pub(in crate::decode) struct TypeRef<'a> {
    /// Namespace, if it is one that means something here.
    pub(in crate::decode) namespace: Option<Namespace>,
    /// The name in full.
    pub(in crate::decode) name: TypeName<'a>,
}

/// An attribute or declaration as written.
#[derive(Debug)]
pub(in crate::decode) struct Attribute<'a> {
    /// Prefix, empty for none.
    pub(in crate::decode) prefix: &'a str,
    /// Local name.
    pub(in crate::decode) name: &'a str,
    /// Value.
    pub(in crate::decode) value: Cow<'a, str>,
}

#[derive(Debug)]
struct Declaration<'a> {
    depth: usize,
    prefix: &'a str,
    namespace: Option<Namespace>,
    uri: Cow<'a, str>,
}

/// The open elements: how many there are, what they declare, and what was read so far.
#[derive(Debug, Default)]
pub(in crate::decode) struct Frame<'a> {
    depth: usize,
    items: usize,
    declarations: Vec<Declaration<'a>>,
}

impl<'a> Frame<'a> {
    /// How many elements are open.
    pub(in crate::decode) fn depth(&self) -> usize {
        self.depth
    }

    /// Counts one more piece of a document.
    pub(in crate::decode) fn count(&mut self) -> Result<(), Problem> {
        self.items += 1;
        if self.items <= limits::ITEMS { Ok(()) } else { Err(limit("values", limits::ITEMS)) }
    }

    /// Opens an element that declares nothing.
    pub(in crate::decode) fn enter(&mut self) -> Result<(), Problem> {
        self.count()?;
        self.depth += 1;
        if self.depth <= limits::DEPTH { Ok(()) } else { Err(limit("nested elements", limits::DEPTH)) }
    }

    /// Notes a declaration of the element that is opened next.
    pub(in crate::decode) fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>) -> Result<(), Problem> {
        if self.declarations.len() == limits::NAMESPACES {
            return Err(limit("namespace declarations in scope", limits::NAMESPACES));
        }
        let (depth, namespace) = (self.depth + 1, Namespace::of(&uri));
        self.declarations.push(Declaration { depth, prefix, namespace, uri });
        Ok(())
    }

    /// Opens an element whose declarations were noted before.
    pub(in crate::decode) fn open(
        &mut self,
        prefix: &str,
        name: &'a str,
        attributes: &mut Vec<Attribute<'a>>,
    ) -> Result<Element<'a>, Problem> {
        self.enter()?;
        let mut element = Element { namespace: self.resolve(prefix)?.0, name, ty: None, nil: false };
        for attribute in attributes.drain(..) {
            // An attribute without a prefix is in no namespace.
            if attribute.prefix.is_empty() || attribute.prefix == "xml" {
                continue;
            }
            if self.resolve(attribute.prefix)?.0 != Some(Namespace::Instance) {
                continue;
            }
            match attribute.name {
                "type" => element.ty = Some(self.type_ref(attribute.value)?),
                "nil" => element.nil = matches!(attribute.value.trim(), "true" | "1"),
                _ => {}
            }
        }
        Ok(element)
    }

    /// Closes the innermost element; `false` if there is none.
    pub(in crate::decode) fn close(&mut self) -> bool {
        if self.depth == 0 {
            return false;
        }
        while self.declarations.last().is_some_and(|declaration| declaration.depth >= self.depth) {
            self.declarations.pop();
        }
        self.depth -= 1;
        true
    }

    fn resolve(&self, prefix: &str) -> Result<(Option<Namespace>, Cow<'a, str>), Problem> {
        match self.declarations.iter().rev().find(|declaration| declaration.prefix == prefix) {
            Some(found) => Ok((found.namespace, found.uri.clone())),
            None if prefix.is_empty() => Ok((None, Cow::Borrowed(""))),
            None => Err(Problem::UnboundPrefix),
        }
    }

    /// A qualified name in a value, where the default namespace applies too.
    fn type_ref(&self, written: Cow<'a, str>) -> Result<TypeRef<'a>, Problem> {
        let (prefix, name) = match written {
            Cow::Borrowed(written) => {
                let (prefix, name) = split(written.trim());
                (Cow::Borrowed(prefix), Cow::Borrowed(name))
            }
            Cow::Owned(written) => {
                let (prefix, name) = split(written.trim());
                (Cow::Owned(prefix.to_owned()), Cow::Owned(name.to_owned()))
            }
        };
        let (known, uri) = self.resolve(&prefix)?;
        Ok(TypeRef { namespace: known, name: TypeName { namespace: uri, name } })
    }
}

/// Splits a qualified name into prefix and local name.
pub(in crate::decode) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

fn limit(what: &'static str, limit: usize) -> Problem {
    Problem::Limit { what, limit }
}

/// Puts a place to a problem.
pub(in crate::decode) fn at(offset: usize) -> impl Fn(Problem) -> Error {
    move |problem| Error::new(problem, offset)
}
