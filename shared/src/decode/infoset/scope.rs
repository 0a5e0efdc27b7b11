//! Elements, and the namespace declarations that give their names a meaning.

use std::borrow::Cow;

use crate::decode::{
    error::{DecodeProblem, Error},
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
    pub(in crate::decode) value: Cow<'a, str>,
}

#[derive(Debug)]
struct Declaration<'a> {
    depth: usize,
    key: u64,
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
    pub(in crate::decode) fn count(&mut self) -> Result<(), DecodeProblem> {
        self.items += 1;
        if self.items <= limits::ITEMS { Ok(()) } else { Err(limit("values", limits::ITEMS)) }
    }

    /// Opens an element that declares nothing.
    pub(in crate::decode) fn enter(&mut self) -> Result<(), DecodeProblem> {
        self.count()?;
        self.depth += 1;
        if self.depth <= limits::DEPTH { Ok(()) } else { Err(limit("nested elements", limits::DEPTH)) }
    }

    /// Notes a declaration of the element that is opened next.
    pub(in crate::decode) fn declare(
        &mut self,
        prefix: &'a str,
        uri: Cow<'a, str>,
    ) -> Result<(), DecodeProblem> {
        if self.declarations.len() == limits::NAMESPACES {
            return Err(limit("namespace declarations in scope", limits::NAMESPACES));
        }
        let (depth, namespace) = (self.depth + 1, Namespace::of(&uri));
        self.declarations.push(Declaration { depth, key: key(prefix), prefix, namespace, uri });
        Ok(())
    }

    /// Opens an element whose declarations were noted before.
    pub(in crate::decode) fn open(
        &mut self,
        prefix: &str,
        name: &'a str,
        attributes: &mut Vec<Attribute<'a>>,
    ) -> Result<Element<'a>, DecodeProblem> {
        self.enter()?;
        let mut element = Element {
            namespace: self.resolve(prefix)?.and_then(|found| found.namespace),
            name,
            ty: None,
            nil: false,
        };
        for attribute in attributes.drain(..) {
            // An attribute without a prefix is in no namespace.
            if attribute.prefix.is_empty() || attribute.prefix == "xml" {
                continue;
            }
            if self.resolve(attribute.prefix)?.and_then(|found| found.namespace) != Some(Namespace::Instance)
            {
                continue;
            }
            match attribute.name {
                "type" => element.ty = Some(self.type_ref(attribute.value)?),
                "nil" => element.nil = matches!(attribute.value.trim_ascii(), "true" | "1"),
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

    /// The declaration in force for a prefix; none for the absence of both.
    fn resolve(&self, prefix: &str) -> Result<Option<&Declaration<'a>>, DecodeProblem> {
        let wanted = key(prefix);
        let same = |declaration: &&Declaration<'_>| {
            declaration.key == wanted && (prefix.len() < 8 || declaration.prefix == prefix)
        };
        match self.declarations.iter().rev().find(same) {
            None if !prefix.is_empty() => Err(DecodeProblem::UnboundPrefix),
            found => Ok(found),
        }
    }

    /// A qualified name in a value, where the default namespace applies too.
    fn type_ref(&self, written: Cow<'a, str>) -> Result<TypeRef<'a>, DecodeProblem> {
        let (prefix, name) = match written {
            Cow::Borrowed(written) => {
                let (prefix, name) = split(written.trim_ascii());
                (Cow::Borrowed(prefix), Cow::Borrowed(name))
            }
            Cow::Owned(written) => {
                let (prefix, name) = split(written.trim_ascii());
                (Cow::Owned(prefix.to_owned()), Cow::Owned(name.to_owned()))
            }
        };
        let (known, uri) = match self.resolve(&prefix)? {
            Some(found) => (found.namespace, found.uri.clone()),
            None => (None, Cow::Borrowed("")),
        };
        Ok(TypeRef { namespace: known, name: TypeName { namespace: uri, name } })
    }
}

/// Length and first letters of a prefix in one word. Prefixes have a letter or none, for which a call to compare
/// memory costs more than everything else about an element.
fn key(prefix: &str) -> u64 {
    prefix.bytes().take(7).fold(prefix.len() as u64, |key, byte| key << 8 | u64::from(byte))
}

/// Splits a qualified name into prefix and local name.
pub(in crate::decode) fn split(name: &str) -> (&str, &str) {
    // Names are short: looking at each byte costs less than calling a search.
    match name.bytes().position(|byte| byte == b':') {
        Some(colon) => (&name[..colon], &name[colon + 1..]),
        None => ("", name),
    }
}

fn limit(what: &'static str, limit: usize) -> DecodeProblem {
    DecodeProblem::Limit { what, limit }
}

/// Puts a place to a problem.
pub(in crate::decode) fn at(offset: usize) -> impl Fn(DecodeProblem) -> Error {
    move |problem| Error::new(problem, offset)
}
