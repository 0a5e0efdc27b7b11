//! .NET binary XML ([MC-NBFX]) without a dictionary.

use super::{
    infoset::{self, Sink},
    number::ticks,
};
use crate::dataverse::pipeline::node::{Members, Node};

/// Record types. Those of text, plus 1, also end the element.
mod record {
    pub(super) const END: u8 = 0x01;
    pub(super) const XMLNS: u8 = 0x08;
    pub(super) const XMLNS_WITH_PREFIX: u8 = 0x09;
    pub(super) const ATTRIBUTE_I: u8 = 0x2e;
    pub(super) const ELEMENT: u8 = 0x40;
    pub(super) const ELEMENT_A: u8 = 0x5e;
    pub(super) const ZERO: u8 = 0x80;
    pub(super) const ONE: u8 = 0x82;
    pub(super) const FALSE: u8 = 0x84;
    pub(super) const TRUE: u8 = 0x86;
    pub(super) const INT_8: u8 = 0x88;
    pub(super) const INT_16: u8 = 0x8a;
    pub(super) const INT_32: u8 = 0x8c;
    pub(super) const INT_64: u8 = 0x8e;
    pub(super) const FLOAT: u8 = 0x90;
    pub(super) const DOUBLE: u8 = 0x92;
    pub(super) const DATE_TIME: u8 = 0x96;
    pub(super) const CHARS_8: u8 = 0x98;
    pub(super) const UNICODE_CHARS_8: u8 = 0xb6;
}

/// The longest text, in UTF-16 units, whose record surely also ends its element.
const MOST_UNITS: usize = 85;

pub(super) fn write(context: &Members) -> Vec<u8> {
    let mut binary = Binary::default();
    infoset::write(&mut binary, context);
    binary.out
}

#[derive(Default)]
struct Binary {
    out: Vec<u8>,
    /// Where the text record stands that was written last, if nothing came after it.
    text: Option<usize>,
}

impl Sink for Binary {
    fn open(&mut self, prefix: Option<char>, name: &str) {
        self.text = None;
        match prefix.and_then(letter) {
            None => self.out.push(record::ELEMENT),
            Some(letter) => self.out.push(record::ELEMENT_A + letter),
        }
        self.string(name);
    }

    fn declare(&mut self, prefix: Option<char>, namespace: &str) {
        match prefix {
            None => self.out.push(record::XMLNS),
            Some(prefix) => {
                self.out.push(record::XMLNS_WITH_PREFIX);
                self.string(prefix.encode_utf8(&mut [0; 4]));
            }
        }
        self.string(namespace);
    }

    fn nil(&mut self) {
        self.out.push(record::ATTRIBUTE_I);
        self.string("nil");
        self.out.push(record::TRUE);
    }

    fn kind(&mut self, name: &str) {
        self.out.push(record::ATTRIBUTE_I);
        self.string("type");
        self.characters(name);
    }

    fn content(&mut self, scalar: &Node) {
        let start = self.out.len();
        match scalar {
            Node::Bool(truth) => self.out.push(if *truth { record::TRUE } else { record::FALSE }),
            Node::Int(number) => self.whole(i64::from(*number)),
            Node::Long(number) => self.whole(*number),
            Node::Double(number) => self.double(*number),
            Node::Text(text) => self.characters(text),
            Node::Guid(id) => self.characters(&id.to_string()),
            Node::Moment(moment) => self.date_time(ticks(*moment) | 1 << 62),
            Node::Reading(moment) => self.date_time(ticks(*moment)),
            Node::Nil | Node::Members(_) | Node::Typed(..) | Node::Pairs(..) => {}
        }
        // Whether .NET can still end the element with longer text depends on the fill of its buffer; mostly it cannot.
        let long = matches!(scalar, Node::Text(text) if text.encode_utf16().nth(MOST_UNITS).is_some());
        self.text = (self.out.len() > start && !long).then_some(start);
    }

    fn close(&mut self, _prefix: Option<char>, _name: &str) {
        match self.text.take() {
            Some(text) => self.out[text] += 1,
            None => self.out.push(record::END),
        }
    }
}

impl Binary {
    /// A name: its length, 7 bits a byte, and UTF-8.
    fn string(&mut self, text: &str) {
        let mut length = text.len();
        loop {
            let low = u8::try_from(length & 0x7f).unwrap_or_default();
            length >>= 7;
            self.out.push(if length > 0 { low | 0x80 } else { low });
            if length == 0 {
                break;
            }
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Text: `0` and `1` have records of their own, and UTF-16 is taken where UTF-8 would be more than twice the units.
    fn characters(&mut self, text: &str) {
        match text {
            "" => {}
            "0" => self.out.push(record::ZERO),
            "1" => self.out.push(record::ONE),
            _ if text.len() / 2 <= text.encode_utf16().count() => {
                self.sized(record::CHARS_8, text.as_bytes());
            }
            _ => {
                let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                self.sized(record::UNICODE_CHARS_8, &units);
            }
        }
    }

    /// A record with the shortest length in front: of 8, 16 or 32 bits.
    fn sized(&mut self, record: u8, bytes: &[u8]) {
        if let Ok(length) = u8::try_from(bytes.len()) {
            self.out.extend([record, length]);
        } else if let Ok(length) = u16::try_from(bytes.len()) {
            self.out.push(record + 2);
            self.out.extend(length.to_le_bytes());
        } else {
            self.out.push(record + 4);
            self.out.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_le_bytes());
        }
        self.out.extend_from_slice(bytes);
    }

    /// A whole number, in the fewest bytes.
    fn whole(&mut self, number: i64) {
        if let Ok(number) = i8::try_from(number) {
            match number {
                0 => self.out.push(record::ZERO),
                1 => self.out.push(record::ONE),
                _ => self.fixed(record::INT_8, &number.to_le_bytes()),
            }
        } else if let Ok(number) = i16::try_from(number) {
            self.fixed(record::INT_16, &number.to_le_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.fixed(record::INT_32, &number.to_le_bytes());
        } else {
            self.fixed(record::INT_64, &number.to_le_bytes());
        }
    }

    /// A number with decimals, as a whole one or with 32 bits where that loses nothing.
    fn double(&mut self, number: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "only what comes back the same is taken")]
        let short = number as f32;
        if f64::from(short).to_bits() != number.to_bits() {
            return self.fixed(record::DOUBLE, &number.to_le_bytes());
        }
        match format!("{number:.0}").parse::<i64>() {
            Ok(whole) if number.fract() == 0.0 => self.whole(whole),
            _ => self.fixed(record::FLOAT, &short.to_le_bytes()),
        }
    }

    fn date_time(&mut self, value: u64) {
        self.fixed(record::DATE_TIME, &value.to_le_bytes());
    }

    fn fixed(&mut self, record: u8, bytes: &[u8]) {
        self.out.push(record);
        self.out.extend_from_slice(bytes);
    }
}

/// The place of a prefix in the alphabet.
fn letter(prefix: char) -> Option<u8> {
    u8::try_from(u32::from(prefix) - u32::from('a')).ok()
}
