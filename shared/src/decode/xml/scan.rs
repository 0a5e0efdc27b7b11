//! The markup of XML text: what is a tag, a text, a reference or nothing to us. Only what Microsoft's serializers
//! write is told apart; names are not checked, except that an end tag has that of its start tag.

use memchr::{memchr, memchr2, memchr3, memmem};

use crate::decode::error::{DecodeProblem, Error};

/// What markup that is complete but makes no sense is answered with.
const ILL_FORMED: DecodeProblem = DecodeProblem::Expected("well-formed XML");

/// The next thing in the text. Comments, processing instructions and declarations are passed over.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Start(Tag<'a>),
    /// A tag that is start and end in one.
    Empty(Tag<'a>),
    /// An end tag, which matches its start tag.
    End,
    /// Text or a CDATA section.
    Text(&'a str),
    /// The name of a character or entity, without `&` and `;`.
    Reference(&'a str),
    /// There is nothing more; elements may still be open.
    Eof,
}

/// A tag that may have attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    /// Name as written.
    pub(super) name: &'a str,
    /// What stands behind the name.
    pub(super) attributes: &'a str,
    /// Where the tag begins, in bytes.
    pub(super) offset: usize,
}

/// A place in XML text, and the elements that are open there.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    open: Vec<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new() }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// A problem with what was read last.
    pub(super) fn fail(&self, problem: DecodeProblem) -> Error {
        Error::new(problem, self.at)
    }

    pub(super) fn next(&mut self) -> Result<Piece<'a>, Error> {
        loop {
            let rest = self.rest();
            match rest {
                [] => return Ok(Piece::Eof),
                [b'<', b'/', ..] => return self.end_tag(),
                [b'<', b'!', ..] => {
                    if let Some(piece) = self.declaration()? {
                        return Ok(piece);
                    }
                }
                [b'<', b'?', ..] => self.instruction()?,
                [b'<', _, ..] => return self.start_tag(),
                [b'<'] => return Err(self.fail(DecodeProblem::Truncated)),
                [b'&', ..] => return self.reference(),
                _ => {
                    let length = memchr2(b'<', b'&', rest).unwrap_or(rest.len());
                    return Ok(Piece::Text(self.take(length)));
                }
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Steps over some bytes, which begin and end with characters of ASCII or at a place where text does.
    fn take(&mut self, length: usize) -> &'a str {
        let start = self.at;
        self.at += length;
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The complaint about markup without an end.
    fn unclosed<T>(&mut self, problem: DecodeProblem) -> Result<T, Error> {
        self.at = self.text.len();
        Err(self.fail(problem))
    }

    /// Steps over a tag, brackets included.
    fn tag(&mut self) -> Result<&'a str, Error> {
        match tag_length(self.rest()) {
            Some(length) => Ok(self.take(length)),
            None => self.unclosed(DecodeProblem::Truncated),
        }
    }

    fn start_tag(&mut self) -> Result<Piece<'a>, Error> {
        let offset = self.at;
        let tag = self.tag()?;
        let inside = &tag[1..tag.len() - 1];
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let name = inside.bytes().position(is_blank).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(name);
        let tag = Tag { name, attributes, offset };
        if empty {
            return Ok(Piece::Empty(tag));
        }
        self.open.push(name);
        Ok(Piece::Start(tag))
    }

    fn end_tag(&mut self) -> Result<Piece<'a>, Error> {
        let open = self.open.pop();
        // Nearly always the tag is what it has to be, and need not be searched for its end.
        if let Some(name) = open
            && let Some(behind) = self.rest().get(2..).and_then(|rest| rest.strip_prefix(name.as_bytes()))
            && behind.first() == Some(&b'>')
        {
            self.at += name.len() + 3;
            return Ok(Piece::End);
        }
        let tag = self.tag()?;
        let found = tag[2..tag.len() - 1].trim_end_matches([' ', '\t', '\r', '\n']);
        match open {
            Some(name) if name == found => Ok(Piece::End),
            Some(_) => Err(self.fail(DecodeProblem::Expected("the matching end tag"))),
            None => Err(self.fail(ILL_FORMED)),
        }
    }

    /// A CDATA section is a piece, a comment is none, and a document type is refused.
    fn declaration(&mut self) -> Result<Option<Piece<'a>>, Error> {
        let rest = self.rest();
        let (begin, end) = match rest.get(2) {
            Some(b'[') => ("<![CDATA[", "]]>"),
            Some(b'-') => ("<!--", "-->"),
            Some(b'D' | b'd') => {
                self.at += doctype_length(rest);
                return Err(self.fail(DecodeProblem::Doctype));
            }
            _ => return Err(self.fail(ILL_FORMED)),
        };
        let Some(inside) = rest.strip_prefix(begin.as_bytes()) else {
            return self.unclosed(DecodeProblem::Truncated);
        };
        let Some(length) = memmem::find(inside, end.as_bytes()) else {
            return self.unclosed(DecodeProblem::Truncated);
        };
        self.at += begin.len();
        let inside = self.take(length);
        self.at += end.len();
        Ok(rest.starts_with(b"<![").then_some(Piece::Text(inside)))
    }

    fn instruction(&mut self) -> Result<(), Error> {
        let Some(length) = memmem::find(&self.rest()[1..], b"?>") else { return self.unclosed(ILL_FORMED) };
        self.at += length + 3;
        // One mark cannot be both ends.
        if length == 0 { Err(self.fail(ILL_FORMED)) } else { Ok(()) }
    }

    fn reference(&mut self) -> Result<Piece<'a>, Error> {
        let inside = &self.rest()[1..];
        match memchr3(b';', b'&', b'<', inside) {
            Some(length) if inside[length] == b';' => {
                self.at += 1;
                let name = self.take(length);
                self.at += 1;
                Ok(Piece::Reference(name))
            }
            Some(length) => {
                self.at += 1 + length;
                Err(self.fail(DecodeProblem::Truncated))
            }
            None => self.unclosed(DecodeProblem::Truncated),
        }
    }
}

/// The white space of XML.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The length of a tag; `None` if it does not end. A bracket in quotes does not end it.
fn tag_length(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // Names are short: looking at each byte costs less than calling a search.
        at += rest[at..].iter().position(|byte| matches!(byte, b'>' | b'"' | b'\''))? + 1;
        match rest[at - 1] {
            b'>' => return Some(at),
            quote => at += memchr(quote, &rest[at..])? + 1,
        }
    }
}

/// The length of a document type declaration up to the bracket that ends it, or to the end of the text.
fn doctype_length(rest: &[u8]) -> usize {
    let Some(mark) = memchr2(b'[', b'>', rest) else { return rest.len() };
    if rest[mark] == b'>' {
        return mark + 1;
    }
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, byte) in rest.iter().enumerate().skip(mark + 1) {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'') if depth > 0 => quote = Some(byte),
            (None, b'<') => depth += 1,
            (None, b'>') => depth = depth.saturating_sub(1),
            (None, b']') if depth == 0 => {
                return memchr(b'>', &rest[at..]).map_or(rest.len(), |end| at + end + 1);
            }
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Piece, Scanner};
    use crate::decode::error::DecodeProblem;

    /// What the text is refused with, and where.
    fn refused(text: &str) -> (DecodeProblem, usize) {
        let mut scanner = Scanner::new(text);
        loop {
            match scanner.next() {
                Ok(Piece::Eof) => panic!("{text} was accepted"),
                Ok(_) => {}
                Err(error) => return (error.problem, scanner.offset()),
            }
        }
    }

    #[test]
    fn markup_that_is_wrong_is_refused_where_it_ends() {
        let end_tag = DecodeProblem::Expected("the matching end tag");
        let cases = [
            ("<a", DecodeProblem::Truncated, 2),
            ("<", DecodeProblem::Truncated, 0),
            ("<a b='>", DecodeProblem::Truncated, 7),
            ("<a></b>", end_tag, 7),
            ("<a></ab>", end_tag, 8),
            ("<a/></a>", super::ILL_FORMED, 8),
            ("<!-- >", DecodeProblem::Truncated, 6),
            ("<![CDATA[ ]>", DecodeProblem::Truncated, 12),
            ("<?>", super::ILL_FORMED, 3),
            ("<!ELEMENT a>", super::ILL_FORMED, 0),
            ("&amp <", DecodeProblem::Truncated, 5),
            ("<!DOCTYPE a><a/>", DecodeProblem::Doctype, 12),
            ("<!DOCTYPE a [<!ENTITY b ']>'>]><a/>", DecodeProblem::Doctype, 31),
        ];
        for (text, problem, offset) in cases {
            assert_eq!(refused(text), (problem, offset), "{text}");
        }
    }

    #[test]
    fn brackets_in_quotes_and_blanks_in_end_tags_are_part_of_the_tag() {
        let mut scanner = Scanner::new("<a b='>'><![CDATA[]]]]></a\t\n >");
        assert!(
            matches!(scanner.next(), Ok(Piece::Start(tag)) if (tag.name, tag.attributes) == ("a", " b='>'"))
        );
        assert!(matches!(scanner.next(), Ok(Piece::Text("]]"))));
        assert!(matches!(scanner.next(), Ok(Piece::End)));
        assert!(matches!(scanner.next(), Ok(Piece::Eof)));
    }
}
