//! JSON as .NET's `DataContractJsonSerializer` writes it.

use std::fmt::Write as _;

use super::number::double;
use crate::dataverse::pipeline::node::{Members, Node};

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

pub(super) fn write(context: &Members) -> String {
    let mut out = String::new();
    // The root has no `__type`: the reader knows what it is.
    object(&mut out, None, context);
    out
}

fn object(out: &mut String, contract: Option<&str>, members: &Members) {
    out.push('{');
    if let Some(contract) = contract {
        out.push_str("\"__type\":");
        text(out, &format!("{contract}:{CONTRACTS}"));
    }
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 || contract.is_some() {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        node(out, value);
    }
    out.push('}');
}

fn node(out: &mut String, value: &Node) {
    match value {
        Node::Nil => out.push_str("null"),
        Node::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Node::Int(number) => out.push_str(&number.to_string()),
        Node::Long(number) => out.push_str(&number.to_string()),
        Node::Double(number) => out.push_str(&double(*number)),
        Node::Text(content) => text(out, content),
        Node::Guid(id) => text(out, &id.to_string()),
        Node::Moment(moment) => text(out, &format!("/Date({})/", moment.as_millisecond())),
        // The offset of a server online. Elsewhere the milliseconds are wrong by it.
        Node::Reading(moment) => text(out, &format!("/Date({}+0000)/", moment.as_millisecond())),
        Node::Members(members) => object(out, None, members),
        Node::Typed(contract, members) => object(out, Some(contract), members),
        Node::Pairs(_, pairs) => {
            out.push('[');
            for (index, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if index > 0 { ",{\"key\":" } else { "{\"key\":" });
                text(out, key);
                out.push_str(",\"value\":");
                node(out, value);
                out.push('}');
            }
            out.push(']');
        }
    }
}

/// Text in quotes. Slashes are escaped, and so are line ends of Unicode and whatever UTF-16 needs two units for.
fn text(out: &mut String, content: &str) {
    out.push('"');
    for character in content.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\0'..='\u{1f}'
            | '\u{85}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{10000}'.. => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a text cannot fail.
                    write!(out, "\\u{unit:04x}").ok();
                }
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}
