//! The XML namespaces of the contract.

use std::borrow::Cow;

/// A namespace, reduced to one of those that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// The contract.
    Xrm,
    /// Alternate keys and enumerations of platform 7.1.
    Xrm71,
    /// Multi-select choices of platform 9.0.
    Xrm90,
    /// Pairs.
    Generic,
    /// Simple types.
    Schema,
    /// `type` and `nil`.
    Instance,
    /// GUIDs and the legacy wrappers.
    Serialization,
    /// Arrays.
    Arrays,
}

const KNOWN: [(Namespace, &str); 8] = [
    (Namespace::Xrm, "http://schemas.microsoft.com/xrm/2011/Contracts"),
    (Namespace::Generic, "http://schemas.datacontract.org/2004/07/System.Collections.Generic"),
    (Namespace::Schema, "http://www.w3.org/2001/XMLSchema"),
    (Namespace::Instance, "http://www.w3.org/2001/XMLSchema-instance"),
    (Namespace::Serialization, "http://schemas.microsoft.com/2003/10/Serialization/"),
    (Namespace::Arrays, "http://schemas.microsoft.com/2003/10/Serialization/Arrays"),
    (Namespace::Xrm71, "http://schemas.microsoft.com/xrm/7.1/Contracts"),
    (Namespace::Xrm90, "http://schemas.microsoft.com/xrm/9.0/Contracts"),
];

/// What a type name in JSON puts in front of a CLR namespace.
const CLR: &str = "http://schemas.datacontract.org/2004/07/";

impl Namespace {
    /// The namespace of a URI, if it is one of ours.
    pub(super) fn of(uri: &str) -> Option<Self> {
        KNOWN.iter().find(|(_, known)| *known == uri).map(|(namespace, _)| *namespace)
    }
}

/// The namespace of a type in JSON, where `#` stands for the space of CLR types without one of their own.
pub(super) fn of_json_type(namespace: &str) -> Cow<'_, str> {
    match namespace.strip_prefix('#') {
        Some(clr) => Cow::Owned(format!("{CLR}{clr}")),
        None => Cow::Borrowed(namespace),
    }
}
