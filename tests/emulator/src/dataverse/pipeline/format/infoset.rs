//! The elements and attributes of a context, in the order in which .NET's `DataContractSerializer` writes them.
//!
//! Text XML and binary XML are two spellings of these.

use crate::dataverse::pipeline::node::{Members, Node, Pairs};

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const CONTRACTS_71: &str = "http://schemas.microsoft.com/xrm/7.1/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";

const ROOT: &str = "RemoteExecutionContext";

/// Something that elements are written to.
pub(super) trait Sink {
    /// Begins an element.
    fn open(&mut self, prefix: Option<char>, name: &str);
    /// Declares a namespace on the element that was just begun.
    fn declare(&mut self, prefix: Option<char>, namespace: &str);
    /// `i:nil="true"` on it.
    fn nil(&mut self);
    /// `i:type="..."` on it.
    fn kind(&mut self, name: &str);
    /// A scalar as the content of it. Empty text is no content.
    fn content(&mut self, scalar: &Node);
    /// Ends an element.
    fn close(&mut self, prefix: Option<char>, name: &str);
}

/// Writes a whole context.
pub(super) fn write(sink: &mut impl Sink, context: &Members) {
    let mut writer = Writer { sink, scope: Vec::new() };
    writer.sink.open(None, ROOT);
    writer.sink.declare(None, CONTRACTS);
    writer.sink.declare(Some('i'), INSTANCE);
    writer.members(context);
    writer.sink.close(None, ROOT);
}

struct Writer<'a, S> {
    sink: &'a mut S,
    /// The namespaces that have a prefix here, in the order of the prefixes `a`, `b`, `c`.
    scope: Vec<&'static str>,
}

impl<S: Sink> Writer<'_, S> {
    fn members(&mut self, members: &Members) {
        for (name, value) in members {
            self.element(None, name, value, false);
        }
    }

    /// An element of the default namespace, or of the one with this prefix.
    fn element(&mut self, prefix: Option<char>, name: &str, value: &Node, any: bool) {
        let outer = self.scope.len();
        self.sink.open(prefix, name);
        match value {
            Node::Nil => self.sink.nil(),
            Node::Members(members) => self.members(members),
            Node::Typed(contract, members) => {
                self.sink.kind(contract);
                self.members(members);
            }
            Node::Pairs(kind, pairs) => self.pairs(*kind, pairs),
            scalar => {
                if any {
                    self.scalar_kind(scalar);
                }
                self.sink.content(scalar);
            }
        }
        self.sink.close(prefix, name);
        self.scope.truncate(outer);
    }

    /// The type of a scalar, whose prefix is declared after its use.
    fn scalar_kind(&mut self, scalar: &Node) {
        let (namespace, name) = match scalar {
            Node::Bool(_) => (SCHEMA, "boolean"),
            Node::Int(_) => (SCHEMA, "int"),
            Node::Long(_) => (SCHEMA, "long"),
            Node::Double(_) => (SCHEMA, "double"),
            Node::Moment(_) | Node::Reading(_) => (SCHEMA, "dateTime"),
            Node::Guid(_) => (SERIALIZATION, "guid"),
            _ => (SCHEMA, "string"),
        };
        let prefix = letter(self.scope.len());
        self.sink.kind(&format!("{prefix}:{name}"));
        self.declare(namespace);
    }

    fn pairs(&mut self, kind: Pairs, pairs: &[(String, Node)]) {
        let item = match kind {
            Pairs::Any | Pairs::Keys => "KeyValuePairOfstringanyType",
            Pairs::Images => "KeyValuePairOfstringEntitygUGIFE1S",
            Pairs::Texts => "KeyValuePairOfstringstring",
            Pairs::Related => "KeyValuePairOfRelationshipEntityCollectionX_PsK4FkN",
        };
        // The items of keys have a namespace of their own, which is declared first.
        let item_prefix = (kind == Pairs::Keys).then(|| self.declare(CONTRACTS_71));
        let generic = self.declare(GENERIC);
        for (key, value) in pairs {
            self.sink.open(item_prefix, item);
            self.sink.open(Some(generic), "key");
            self.sink.content(&Node::Text(key.clone()));
            self.sink.close(Some(generic), "key");
            self.element(Some(generic), "value", value, matches!(kind, Pairs::Any | Pairs::Keys));
            self.sink.close(item_prefix, item);
        }
    }

    /// The prefix of a namespace, which is declared if it has none yet.
    fn declare(&mut self, namespace: &'static str) -> char {
        if let Some(index) = self.scope.iter().position(|known| *known == namespace) {
            return letter(index);
        }
        let prefix = letter(self.scope.len());
        self.sink.declare(Some(prefix), namespace);
        self.scope.push(namespace);
        prefix
    }
}

/// The prefix of the namespace at this place. There are never more than three at once.
fn letter(index: usize) -> char {
    char::from(b'a' + u8::try_from(index).unwrap_or_default())
}
