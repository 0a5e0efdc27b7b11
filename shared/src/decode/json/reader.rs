//! A pull reader for JSON text (RFC 8259), strict except where Microsoft's serializer makes it impossible.
//!
//! Written by hand because of what the contract needs and a serde visitor cannot give: the literal of a number
//! (scale and digits beyond 2^53 matter, and the type decides only later), text with unpaired surrogates, the
//! offset of an error, and one pass over values whose kind is not known in advance. The tests compare it with
//! `serde_json` on what both must accept, refuse and understand alike.

use std::borrow::Cow;

use crate::decode::{
    error::{DecodeProblem, Error},
    limits,
};

/// What a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

/// A string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    /// The text as written.
    pub(super) text: &'a str,
    /// Whether it holds escapes.
    pub(super) escaped: bool,
}

/// A cursor in a JSON document.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    items: usize,
    reread: usize,
    weight: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, items: 0, reread: 0, weight: 0 }
    }

    /// How many bytes the values take that were read so far.
    pub(super) fn weight(&mut self) -> &mut usize {
        &mut self.weight
    }

    pub(super) fn fail(&self, problem: DecodeProblem) -> Error {
        Error::new(problem, self.at)
    }

    #[cold]
    fn expected<T>(&self, what: &'static str) -> Result<T, Error> {
        let problem =
            if self.at < self.text.len() { DecodeProblem::Expected(what) } else { DecodeProblem::Truncated };
        Err(self.fail(problem))
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// Takes a byte if it comes next, after blanks.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn demand(&mut self, byte: u8, what: &'static str) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { self.expected(what) }
    }

    pub(super) fn peek(&mut self) -> Result<Kind, Error> {
        self.blanks();
        match self.byte() {
            Some(b'"') => Ok(Kind::Text),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::List),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Bool),
            _ => self.expected("a JSON value"),
        }
    }

    /// Takes a null if one comes next.
    pub(super) fn null(&mut self) -> Result<bool, Error> {
        self.blanks();
        match self.byte() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Error> {
        self.blanks();
        match self.byte() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => self.expected("true or false"),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Error> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        let cut = word.as_bytes().starts_with(rest);
        Err(self.fail(if cut { DecodeProblem::Truncated } else { DecodeProblem::Expected("a JSON value") }))
    }

    /// The literal of a number.
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
        self.blanks();
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { self.expected("a number") }
    }

    /// A string, escapes unresolved.
    pub(super) fn raw(&mut self) -> Result<Raw<'a>, Error> {
        self.demand(b'"', "a string")?;
        let start = self.at;
        self.plain();
        let escaped = self.byte() != Some(b'"');
        if escaped {
            self.escapes()?;
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(Raw { text, escaped })
    }

    /// Steps over what stands for itself in a string.
    #[inline]
    fn plain(&mut self) {
        self.at += plain_length(&self.text.as_bytes()[self.at..]);
    }

    /// Steps over the rest of a string, from its first escape on, to its closing quote.
    fn escapes(&mut self) -> Result<(), Error> {
        loop {
            match self.byte() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return self.expected("an escaped control character"),
            }
            self.plain();
        }
    }

    /// Steps over an escape, so that resolving it later cannot fail.
    fn escape(&mut self) -> Result<(), Error> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.expected("four hexadecimal digits");
                    }
                }
                self.at += 1;
            }
            _ => return self.expected("an escape"),
        }
        Ok(())
    }

    /// A string; `None` if it holds half of a surrogate pair.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        self.raw().map(Raw::resolve)
    }

    /// Counts one more value.
    #[inline]
    fn count(&mut self) -> Result<(), Error> {
        self.items += 1;
        if self.items <= limits::ITEMS {
            return Ok(());
        }
        Err(self.fail(DecodeProblem::Limit { what: "values", limit: limits::ITEMS }))
    }

    fn enter(&mut self, byte: u8, what: &'static str) -> Result<(), Error> {
        self.demand(byte, what)?;
        self.depth += 1;
        if self.depth <= limits::DEPTH {
            return Ok(());
        }
        Err(self.fail(DecodeProblem::Limit { what: "nested values", limit: limits::DEPTH }))
    }

    /// Reads an object. The visitor takes the value of each member.
    pub(super) fn object(
        &mut self,
        mut visit: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.enter(b'{', "an object")?;
        if !self.take(b'}') {
            loop {
                let key = self.key()?;
                visit(self, &key)?;
                if self.take(b'}') {
                    break;
                }
                self.demand(b',', "a comma or the end of the object")?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The name of a member, with the colon behind it.
    fn key(&mut self) -> Result<Cow<'a, str>, Error> {
        self.count()?;
        self.blanks();
        let start = self.at;
        let Some(key) = self.text()? else {
            return Err(Error::new(DecodeProblem::Encoding("Unicode"), start));
        };
        self.demand(b':', "a colon")?;
        Ok(key)
    }

    /// Reads a list. The visitor takes each item.
    pub(super) fn list(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.enter(b'[', "a list")?;
        if !self.take(b']') {
            loop {
                self.count()?;
                visit(self)?;
                if self.take(b']') {
                    break;
                }
                self.demand(b',', "a comma or the end of the list")?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self.peek()? {
            Kind::Null => self.null().map(drop),
            Kind::Bool => self.boolean().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Text => self.raw().map(drop),
            // Recursion is bounded by the limit of depth, like everywhere else.
            Kind::List => self.list(Self::skip),
            Kind::Object => self.object(|reader, _| reader.skip()),
        }
    }

    /// The string of a member of the object that comes next, wherever in it; nothing is taken.
    ///
    /// The serializer writes `__type` first, and then this looks at a few bytes. Looking further is paid for from
    /// a budget, because nested objects could otherwise be read once more for every level above them.
    pub(super) fn find(&mut self, wanted: &str) -> Result<Option<Raw<'a>>, Error> {
        let (start, items, depth) = (self.at, self.items, self.depth);
        self.enter(b'{', "an object")?;
        let mut found = None;
        let mut more = !self.take(b'}');
        while more {
            let key = self.key()?;
            if key == wanted {
                found = (self.peek()? == Kind::Text).then(|| self.raw()).transpose()?;
                break;
            }
            self.skip()?;
            more = !self.take(b'}');
            if more {
                self.demand(b',', "a comma or the end of the object")?;
            }
        }
        self.reread += self.at - start;
        if self.reread > self.text.len().saturating_mul(limits::REREAD) {
            let what = "times the length of the body read to find the types of objects";
            return Err(self.fail(DecodeProblem::Limit { what, limit: limits::REREAD }));
        }
        (self.at, self.items, self.depth) = (start, items, depth);
        Ok(found)
    }

    /// Makes sure that nothing but blanks is left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fail(DecodeProblem::Trailing)) }
    }
}

/// How many bytes of a string stand for themselves: all up to a quote, a backslash or a control character.
///
/// Most strings end within a few bytes, for which sixteen at a time are fastest. A message of the largest size is
/// mostly one long note, though, and for that a vectorized search pays.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    const SHORT: usize = 48;
    let (blocks, _) = bytes.as_chunks();
    for (index, block) in blocks.iter().take(SHORT / 16).enumerate() {
        let special = specials(u128::from_le_bytes(*block));
        if special != 0 {
            return index * 16 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = bytes.len().min(SHORT) / 16 * 16;
    plain + plain_length_of_many(&bytes[plain..])
}

/// The same, for long texts and at the end of the document.
#[inline(never)]
fn plain_length_of_many(bytes: &[u8]) -> usize {
    let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let plain = &bytes[..end];
    let lowest = plain.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte));
    if lowest < 0x20 { plain.iter().position(|byte| *byte < 0x20).unwrap_or(end) } else { end }
}

/// Sets the top bit of each byte that is a quote, a backslash or a control character. A byte behind (above) such a
/// one may be marked wrongly, because the subtractions borrow from it; the lowest mark is always right.
#[inline]
const fn specials(block: u128) -> u128 {
    const EACH: u128 = u128::MAX / 255;
    // Turning one bit over exchanges the quote with the blank, and so puts it right behind the control characters.
    let low = (block ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
    let backslash = (block ^ (EACH * 0x5C)).wrapping_sub(EACH);
    (low | backslash) & !block & (EACH * 0x80)
}

impl<'a> Raw<'a> {
    /// The text meant; `None` if it holds half of a surrogate pair.
    #[inline]
    pub(super) fn resolve(self) -> Option<Cow<'a, str>> {
        if self.escaped { self.unescape().map(Cow::Owned) } else { Some(Cow::Borrowed(self.text)) }
    }

    fn unescape(self) -> Option<String> {
        let mut resolved = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            resolved.push_str(&rest[..at]);
            let (character, length) = resolve_escape(&rest.as_bytes()[at + 1..])?;
            resolved.push(character);
            rest = &rest[at + 1 + length..];
        }
        resolved.push_str(rest);
        Some(resolved)
    }

    /// Whether this means a text, which must itself hold no backslash; only `\/` counts as an escape.
    pub(super) fn means(self, plain: &str) -> bool {
        if !self.escaped {
            return self.text == plain;
        }
        let mut written = self.text.as_bytes();
        for byte in plain.bytes() {
            if let [b'\\', rest @ ..] = written
                && byte == b'/'
            {
                written = rest;
            }
            match written {
                [first, rest @ ..] if *first == byte => written = rest,
                _ => return false,
            }
        }
        written.is_empty()
    }
}

/// The character of an escape and the length of the escape behind its backslash.
fn resolve_escape(escape: &[u8]) -> Option<(char, usize)> {
    let character = match *escape.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(escape.get(1..5)?)?;
            if !(0xD800..0xE000).contains(&high) {
                return char::from_u32(high).map(|character| (character, 5));
            }
            let low =
                escape.get(5..11).filter(|next| next.starts_with(b"\\u")).and_then(|next| hex(&next[2..]))?;
            let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
            return char::decode_utf16(pair).next()?.ok().map(|character| (character, 11));
        }
        other => char::from(other),
    };
    Some((character, 1))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| Some(number * 16 + char::from(digit).to_digit(16)?))
}
