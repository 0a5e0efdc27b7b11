//! From the body of a message to a document: which format it is in, and what old senders wrapped around it.

use std::borrow::Cow;

use super::{
    binary,
    error::{DecodeProblem, Error},
    infoset::{Cursor, Tokens},
    json, limits,
    message::Format,
    namespace::Namespace,
    xml::XmlTokens,
};

/// A body with one wrapper less.
enum Layer<'b> {
    Document(Format, Cow<'b, [u8]>),
    Wrapped(Cow<'b, [u8]>),
}

/// Removes all wrappers.
pub(super) fn open<'b>(body: &'b [u8], content_type: Option<&str>) -> Result<(Format, Cow<'b, [u8]>), Error> {
    let mut body = Cow::Borrowed(body);
    for _ in 0..=limits::WRAPPERS {
        let layer = match body {
            Cow::Borrowed(body) => layer(body, content_type)?,
            Cow::Owned(body) => layer(&body, content_type)?.into_owned(),
        };
        match layer {
            Layer::Document(format, document) => return Ok((format, document)),
            Layer::Wrapped(inner) => body = inner,
        }
    }
    Err(Error::of_document(DecodeProblem::Limit {
        what: "wrappers inside each other",
        limit: limits::WRAPPERS,
    }))
}

impl Layer<'_> {
    fn into_owned(self) -> Layer<'static> {
        match self {
            Self::Document(format, document) => Layer::Document(format, Cow::Owned(document.into_owned())),
            Self::Wrapped(inner) => Layer::Wrapped(Cow::Owned(inner.into_owned())),
        }
    }
}

fn layer<'b>(body: &'b [u8], content_type: Option<&str>) -> Result<Layer<'b>, Error> {
    if body.len() > limits::LENGTH {
        return Err(Error::of_document(DecodeProblem::Limit { what: "bytes", limit: limits::LENGTH }));
    }
    if let Some(text) = from_utf16(body) {
        return text.map(|text| Layer::Wrapped(Cow::Owned(text.into_bytes())));
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let start = body.trim_ascii_start();
    match start.first() {
        None => Err(Error::of_document(DecodeProblem::Empty)),
        Some(b'{') => Ok(Layer::Document(Format::Json, Cow::Borrowed(body))),
        Some(b'"') => json::string_literal(text(body)?).map(bytes_of_text).map(Layer::Wrapped),
        // Blanks may stand before a declaration in what people send, if not in XML.
        Some(b'<') => marked_up(start, Format::Xml, XmlTokens::new(text(start)?)),
        Some(_) if is_binary(body, content_type) => {
            marked_up(body, Format::Binary, binary::BinaryTokens::new(body))
        }
        Some(_) => Err(Error::new(DecodeProblem::UnknownFormat, body.len() - start.len())),
    }
}

/// Letters can begin binary XML as well as any text, so for them the sender's word decides.
fn is_binary(body: &[u8], content_type: Option<&str>) -> bool {
    let announced = content_type.is_some_and(|name| name.to_ascii_lowercase().contains("msbin1"));
    body.first().is_some_and(|&byte| binary::does_begin(byte) || (announced && binary::can_begin(byte)))
}

/// An XML document, unless its root is a wrapper.
fn marked_up<'b, T: Tokens<'b>>(body: &'b [u8], format: Format, tokens: T) -> Result<Layer<'b>, Error> {
    let mut cursor = Cursor::new(tokens)?;
    let root = cursor.element();
    if root.namespace != Some(Namespace::Serialization) {
        return Ok(Layer::Document(format, Cow::Borrowed(body)));
    }
    let inner = match root.name {
        "string" => cursor.content()?.into_text().map(bytes_of_text),
        "base64Binary" => cursor.content()?.bytes(),
        _ => return Ok(Layer::Document(format, Cow::Borrowed(body))),
    };
    let inner =
        inner.ok_or_else(|| Error::of_document(DecodeProblem::Expected("text or bytes in the wrapper")))?;
    cursor.end()?;
    Ok(Layer::Wrapped(inner))
}

fn bytes_of_text(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The text of a body in UTF-16, which a byte order mark or a zero in the first character gives away.
fn from_utf16(body: &[u8]) -> Option<Result<String, Error>> {
    let (units, read): (_, fn([u8; 2]) -> u16) = match body {
        [0xFF, 0xFE, units @ ..] => (units, u16::from_le_bytes),
        [0xFE, 0xFF, units @ ..] => (units, u16::from_be_bytes),
        [b'{' | b'<' | b'"', 0, ..] => (body, u16::from_le_bytes),
        [0, b'{' | b'<' | b'"', ..] => (body, u16::from_be_bytes),
        _ => return None,
    };
    let (units, rest) = units.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().copied().map(read)).collect();
    let text = text.ok().filter(|_| rest.is_empty());
    Some(text.ok_or_else(|| Error::of_document(DecodeProblem::Encoding("UTF-16"))))
}

pub(super) fn text(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body)
        .map_err(|error| Error::new(DecodeProblem::Encoding("UTF-8"), error.valid_up_to()))
}
