//! A made-up change, and writers that spell it in each of the three formats. They share nothing with the decoder.

use std::fmt::Write as _;

use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

const XRM: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const XRM71: &str = "http://schemas.microsoft.com/xrm/7.1/Contracts";
const XRM90: &str = "http://schemas.microsoft.com/xrm/9.0/Contracts";
const PAIRS: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The value of a column.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Text(String),
    Bool(bool),
    Int(i32),
    Long(i64),
    /// Digits and how many of them stand behind the point.
    Decimal(i64, u8),
    Money(i64, u8),
    Double(f64),
    Guid(Uuid),
    /// Milliseconds since 1970 in UTC.
    Date(i64),
    Choice(i32),
    Choices(Vec<i32>),
    Lookup(Uuid),
    Bytes(Vec<u8>),
}

/// A record: columns, and display texts by column.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) columns: Vec<(String, Cell)>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) row_version: Option<u32>,
}

/// One change of a contact.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) message: &'static str,
    pub(super) contact: Uuid,
    pub(super) organization: Uuid,
    pub(super) target: Record,
    pub(super) before: Option<Record>,
    pub(super) after: Option<Record>,
    /// When it was recorded, in seconds since 1970.
    pub(super) created: i64,
    pub(super) depth: i32,
}

fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9 .@<>&\"']{0,40}",
        Just("0".to_owned()),
        Just("]]>".to_owned()),
        Just("\r\n\t\0\u{1}\u{85}\u{2028}\u{FFFE}\u{1F600}".to_owned()),
        Just("x".repeat(70_000)),
    ];
    // Nothing in JSON tells such a text from a date.
    pieces.prop_filter("looks like a date", |text| !text.starts_with("/Date("))
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Null),
        text().prop_map(Cell::Text),
        any::<bool>().prop_map(Cell::Bool),
        any::<i32>().prop_map(Cell::Int),
        (-2..3).prop_map(Cell::Int),
        any::<i64>().prop_map(Cell::Long),
        (any::<i64>(), 0..12_u8).prop_map(|(digits, scale)| Cell::Decimal(digits, scale)),
        (any::<i64>(), 0..5_u8).prop_map(|(digits, scale)| Cell::Money(digits, scale)),
        any::<i32>().prop_map(|number| Cell::Double(f64::from(number) / 64.0)),
        any::<u128>().prop_map(|id| Cell::Guid(Uuid::from_u128(id))),
        (-62_135_596_800_000..=253_402_300_799_999_i64).prop_map(Cell::Date),
        any::<i32>().prop_map(Cell::Choice),
        vec(any::<i32>(), 0..4).prop_map(Cell::Choices),
        any::<u128>().prop_map(|id| Cell::Lookup(Uuid::from_u128(id))),
        vec(any::<u8>(), 0..300).prop_map(Cell::Bytes),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (vec(("[a-f]{1,2}", cell()), 0..12), vec(("[a-f]{1,2}", "[a-z]{0,9}"), 0..4), option::of(any::<u32>()))
        .prop_map(|(columns, labels, row_version)| Record { columns, labels, row_version })
}

pub(super) fn sample() -> impl Strategy<Value = Sample> {
    let message = prop_oneof![Just("Create"), Just("Update")];
    let ids = (1..u128::MAX, 1..u128::MAX);
    (message, ids, record(), option::of(record()), option::of(record()), 0..4_000_000_000_i64, 1..9_i32)
        .prop_map(|(message, (contact, organization), target, before, after, created, depth)| Sample {
            message,
            contact: Uuid::from_u128(contact),
            organization: Uuid::from_u128(organization),
            target,
            before,
            after,
            created,
            depth,
        })
}

/// Digits with a point in them.
fn decimal(digits: i64, scale: u8) -> String {
    let scale = usize::from(scale);
    let number = digits.unsigned_abs().to_string();
    let mut number = format!("{number:0>width$}", width = scale + 1);
    if scale > 0 {
        number.insert(number.len() - scale, '.');
    }
    if digits < 0 { format!("-{number}") } else { number }
}

// JSON.

/// A string as the serializer writes it, with every slash escaped.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON").replace('/', "\\/")
}

fn json_type(name: &str) -> String {
    format!("\"__type\":{}", quoted(&format!("{name}:{XRM}")))
}

fn json_list<T>(items: &[T], write: impl FnMut(&T) -> String) -> String {
    format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(","))
}

fn json_pair(key: &str, value: &str) -> String {
    format!("{{\"key\":{},\"value\":{value}}}", quoted(key))
}

fn json_cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Text(text) => quoted(text),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::Long(number) => number.to_string(),
        Cell::Decimal(digits, scale) => decimal(*digits, *scale),
        Cell::Double(number) => number.to_string(),
        Cell::Guid(id) => quoted(&id.to_string()),
        Cell::Date(millis) => format!("\"\\/Date({millis})\\/\""),
        Cell::Choice(number) => format!("{{{},\"Value\":{number}}}", json_type("OptionSetValue")),
        Cell::Choices(numbers) => json_list(numbers, |number| json_cell(&Cell::Choice(*number))),
        Cell::Money(digits, scale) => {
            format!("{{{},\"Value\":{}}}", json_type("Money"), decimal(*digits, *scale))
        }
        Cell::Lookup(id) => format!(
            "{{{},\"Id\":\"{id}\",\"KeyAttributes\":[],\"LogicalName\":\"account\",\"Name\":null,\"RowVersion\":null}}",
            json_type("EntityReference")
        ),
        Cell::Bytes(bytes) => json_list(bytes, u8::to_string),
    }
}

fn json_record(sample: &Sample, record: &Record, ty: &str) -> String {
    format!(
        "{{{ty}\"Attributes\":{},\"EntityState\":null,\"FormattedValues\":{},\"Id\":\"{}\",\"KeyAttributes\":[],\
         \"LogicalName\":\"contact\",\"RelatedEntities\":[],\"RowVersion\":{}}}",
        json_list(&record.columns, |(name, cell)| json_pair(name, &json_cell(cell))),
        json_list(&record.labels, |(name, label)| json_pair(name, &quoted(label))),
        sample.contact,
        record.row_version.map_or("null".to_owned(), |version| format!("\"{version}\"")),
    )
}

pub(super) fn to_json(sample: &Sample) -> Vec<u8> {
    let target = json_record(sample, &sample.target, &format!("{},", json_type("Entity")));
    let images = |image: &Option<Record>| {
        image.as_ref().map_or(String::new(), |image| json_pair("Image", &json_record(sample, image, "")))
    };
    format!(
        "{{\"Depth\":{},\"InputParameters\":[{}],\"MessageName\":\"{}\",\"OperationCreatedOn\":\"\\/Date({}000+0000)\\/\",\
         \"OrganizationId\":\"{}\",\"ParentContext\":null,\"PostEntityImages\":[{}],\"PreEntityImages\":[{}],\
         \"PrimaryEntityId\":\"{}\",\"PrimaryEntityName\":\"contact\"}}",
        sample.depth,
        json_pair("Target", &target),
        sample.message,
        sample.created,
        sample.organization,
        images(&sample.after),
        images(&sample.before),
        sample.contact,
    )
    .into_bytes()
}

// The infoset of the two XML formats.

/// An element, whose children are either elements or one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Prefix and local name.
    pub(super) name: (&'static str, String),
    /// Attributes, all with the prefix `i`.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// Declarations, which come after the attributes that use them.
    pub(super) namespaces: Vec<(&'static str, &'static str)>,
    pub(super) children: Vec<Node>,
    pub(super) text: Option<Text>,
}

/// Text with what binary XML would write for it.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Chars(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Decimal(i64, u8),
    /// 100 ns steps since the year 1, and whether they are known to be in UTC.
    Date(i64, bool),
    Bytes(Vec<u8>),
}

fn node(name: &str) -> Node {
    match name.split_once(':') {
        Some((_, name)) => Node { name: ("a", name.to_owned()), ..Node::default() },
        None => Node { name: ("", name.to_owned()), ..Node::default() },
    }
}

fn leaf(name: &str, text: Text) -> Node {
    Node { text: Some(text), ..node(name) }
}

fn chars(name: &str, text: impl Into<String>) -> Node {
    leaf(name, Text::Chars(text.into()))
}

fn parent(name: &str, children: Vec<Node>) -> Node {
    Node { children, ..node(name) }
}

fn nil(name: &str) -> Node {
    Node { attributes: vec![("nil", "true".to_owned())], ..node(name) }
}

impl Node {
    fn typed(mut self, name: &str) -> Self {
        self.attributes.push(("type", name.to_owned()));
        self
    }

    fn declaring(mut self, prefix: &'static str, uri: &'static str) -> Self {
        self.namespaces.push((prefix, uri));
        self
    }

    fn simple(self, name: &str) -> Self {
        self.typed(&format!("b:{name}")).declaring("b", SCHEMA)
    }
}

fn date(millis: i64, utc: bool) -> Text {
    Text::Date((millis + 62_135_596_800_000) * 10_000, utc)
}

fn cell_node(cell: &Cell) -> Node {
    let value = |text| leaf("a:value", text);
    match cell {
        Cell::Null => nil("a:value"),
        Cell::Text(text) => value(Text::Chars(text.clone())).simple("string"),
        Cell::Bool(it) => value(Text::Bool(*it)).simple("boolean"),
        Cell::Int(number) => value(Text::Int((*number).into())).simple("int"),
        Cell::Long(number) => value(Text::Int(*number)).simple("long"),
        Cell::Decimal(digits, scale) => value(Text::Decimal(*digits, *scale)).simple("decimal"),
        Cell::Double(number) => value(Text::Double(*number)).simple("double"),
        Cell::Guid(id) => chars("a:value", *id).typed("b:guid").declaring("b", SERIALIZATION),
        Cell::Date(millis) => value(date(*millis, true)).simple("dateTime"),
        Cell::Bytes(bytes) => value(Text::Bytes(bytes.clone())).simple("base64Binary"),
        Cell::Choice(number) => {
            parent("a:value", vec![leaf("Value", Text::Int((*number).into()))]).typed("OptionSetValue")
        }
        Cell::Choices(numbers) => {
            let item = |number: &i32| Node {
                name: ("b", "OptionSetValue".to_owned()),
                ..parent("", vec![leaf("Value", Text::Int((*number).into()))])
            };
            let items = numbers.iter().map(item).collect();
            parent("a:value", items).typed("b:OptionSetValueCollection").declaring("b", XRM90)
        }
        Cell::Money(digits, scale) => {
            parent("a:value", vec![leaf("Value", Text::Decimal(*digits, *scale))]).typed("Money")
        }
        Cell::Lookup(id) => parent(
            "a:value",
            vec![
                chars("Id", *id),
                node("KeyAttributes").declaring("b", XRM71),
                chars("LogicalName", "account"),
                nil("Name"),
                nil("RowVersion"),
            ],
        )
        .typed("EntityReference"),
    }
}

fn record_node(sample: &Sample, record: &Record) -> Node {
    let pair = |key: &String, value| {
        parent("KeyValuePairOfstringanyType", vec![chars("a:key", key.as_str()), value])
    };
    let column = |(name, cell): &(String, Cell)| pair(name, cell_node(cell));
    let label = |(name, label): &(String, String)| {
        parent(
            "KeyValuePairOfstringstring",
            vec![chars("a:key", name.as_str()), chars("a:value", label.as_str())],
        )
    };
    parent(
        "a:value",
        vec![
            parent("Attributes", record.columns.iter().map(column).collect()),
            nil("EntityState"),
            parent("FormattedValues", record.labels.iter().map(label).collect()),
            chars("Id", sample.contact),
            node("KeyAttributes").declaring("b", XRM71),
            chars("LogicalName", "contact"),
            node("RelatedEntities"),
            record
                .row_version
                .map_or_else(|| nil("RowVersion"), |version| chars("RowVersion", version.to_string())),
        ],
    )
}

pub(super) fn to_node(sample: &Sample) -> Node {
    let image = |name: &str, record: &Option<Record>| {
        let pair = |record| {
            let children = vec![chars("a:key", "Image"), record_node(sample, record)];
            parent("KeyValuePairOfstringEntitygUGIFE1S", children)
        };
        parent(name, record.iter().map(pair).collect()).declaring("a", PAIRS)
    };
    let target = record_node(sample, &sample.target).typed("Entity");
    let target = parent("KeyValuePairOfstringanyType", vec![chars("a:key", "Target"), target]);
    let members = vec![
        leaf("Depth", Text::Int(sample.depth.into())),
        parent("InputParameters", vec![target]).declaring("a", PAIRS),
        chars("MessageName", sample.message),
        leaf("OperationCreatedOn", date(sample.created * 1000, false)),
        chars("OrganizationId", sample.organization),
        nil("ParentContext"),
        image("PostEntityImages", &sample.after),
        image("PreEntityImages", &sample.before),
        chars("PrimaryEntityId", sample.contact),
        chars("PrimaryEntityName", "contact"),
    ];
    parent("RemoteExecutionContext", members).declaring("", XRM).declaring("i", INSTANCE)
}

// XML text.

/// Text with a reference for whatever cannot stand for itself.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            _ if character.is_control() => {
                write!(escaped, "&#x{:X};", u32::from(character)).expect("a string takes it");
            }
            _ => escaped.push(character),
        }
        escaped
    })
}

impl Text {
    fn to_xml(&self) -> String {
        match self {
            Self::Chars(text) => escaped(text),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Decimal(digits, scale) => decimal(*digits, *scale),
            Self::Date(ticks, utc) => {
                // By way of a library, so that the decoder's own calendar is checked against it.
                let first = jiff::civil::date(1, 1, 1);
                let day = first
                    .checked_add(jiff::Span::new().days(ticks / 864_000_000_000))
                    .expect("a day of .NET");
                let second = ticks / 10_000_000 % 86_400;
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                let fraction = ticks % 10_000_000;
                let zone = if *utc { "Z" } else { "" };
                format!("{day}T{hour:02}:{minute:02}:{second:02}.{fraction:07}{zone}")
            }
            Self::Bytes(bytes) => base64(bytes),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes.chunks(3).fold(String::new(), |mut text, group| {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
        text
    })
}

pub(super) fn to_xml(node: &Node) -> String {
    let (prefix, local) = &node.name;
    let name = if prefix.is_empty() { local.clone() } else { format!("{prefix}:{local}") };
    let mut xml = format!("<{name}");
    for (attribute, value) in &node.attributes {
        write!(xml, " i:{attribute}=\"{value}\"").expect("a string takes it");
    }
    for (prefix, uri) in &node.namespaces {
        let attribute = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        write!(xml, " {attribute}=\"{uri}\"").expect("a string takes it");
    }
    if node.children.is_empty() && node.text.is_none() {
        return xml + "/>";
    }
    xml.push('>');
    node.children.iter().for_each(|child| xml.push_str(&to_xml(child)));
    xml.push_str(&node.text.as_ref().map_or(String::new(), Text::to_xml));
    xml + "</" + &name + ">"
}
