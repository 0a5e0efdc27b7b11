//! Text XML: no declaration, no blanks, and references to characters that XML 1.0 forbids.

use std::fmt::Write as _;

use super::{
    infoset::{self, Sink},
    number::{double, reading},
};
use crate::dataverse::pipeline::node::{Members, Node};

pub(super) fn write(context: &Members) -> String {
    let mut text = Text::default();
    infoset::write(&mut text, context);
    text.out
}

#[derive(Default)]
struct Text {
    out: String,
    /// Whether the tag that was written last still lacks its end.
    begun: bool,
}

impl Text {
    fn finish_tag(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.out.push('>');
        }
    }

    fn name(&mut self, prefix: Option<char>, name: &str) {
        if let Some(prefix) = prefix {
            self.out.push(prefix);
            self.out.push(':');
        }
        self.out.push_str(name);
    }
}

impl Sink for Text {
    fn open(&mut self, prefix: Option<char>, name: &str) {
        self.finish_tag();
        self.out.push('<');
        self.name(prefix, name);
        self.begun = true;
    }

    fn declare(&mut self, prefix: Option<char>, namespace: &str) {
        self.out.push_str(" xmlns");
        if let Some(prefix) = prefix {
            self.out.push(':');
            self.out.push(prefix);
        }
        // Writing to a text cannot fail.
        write!(self.out, "=\"{namespace}\"").ok();
    }

    fn nil(&mut self) {
        self.out.push_str(" i:nil=\"true\"");
    }

    fn kind(&mut self, name: &str) {
        write!(self.out, " i:type=\"{name}\"").ok();
    }

    fn content(&mut self, scalar: &Node) {
        let text = spelled(scalar);
        if text.is_empty() {
            return;
        }
        self.finish_tag();
        escape(&mut self.out, &text);
    }

    fn close(&mut self, prefix: Option<char>, name: &str) {
        if std::mem::take(&mut self.begun) {
            self.out.push_str("/>");
            return;
        }
        self.out.push_str("</");
        self.name(prefix, name);
        self.out.push('>');
    }
}

fn spelled(scalar: &Node) -> String {
    match scalar {
        Node::Bool(truth) => truth.to_string(),
        Node::Int(number) => number.to_string(),
        Node::Long(number) => number.to_string(),
        Node::Double(number) => double(*number),
        Node::Text(text) => text.clone(),
        Node::Guid(id) => id.to_string(),
        Node::Moment(moment) => format!("{}Z", reading(*moment)),
        Node::Reading(moment) => reading(*moment).to_string(),
        Node::Nil | Node::Members(_) | Node::Typed(..) | Node::Pairs(..) => String::new(),
    }
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\t' | '\n' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                write!(out, "&#x{:X};", u32::from(character)).ok();
            }
            plain => out.push(plain),
        }
    }
}
