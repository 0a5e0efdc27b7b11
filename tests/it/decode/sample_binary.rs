//! The sample in .NET binary XML, with the records that Microsoft's writer chooses.

use super::sample::{Node, Text};

/// A `MultiByteInt31`.
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7F).expect("seven bits") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
    bytes
}

fn name(text: &str) -> Vec<u8> {
    [length(text.len()), text.as_bytes().to_vec()].concat()
}

/// Bytes behind a record type and a length, in the smallest record that fits.
fn counted(records: [u8; 3], bytes: &[u8]) -> Vec<u8> {
    let head = if let Ok(length) = u8::try_from(bytes.len()) {
        vec![records[0], length]
    } else if let Ok(length) = u16::try_from(bytes.len()) {
        [&[records[1]][..], &length.to_le_bytes()].concat()
    } else {
        let length = i32::try_from(bytes.len()).expect("less than 2 GB");
        [&[records[2]][..], &length.to_le_bytes()].concat()
    };
    [head, bytes.to_vec()].concat()
}

fn int(number: i64) -> Vec<u8> {
    match number {
        0 => vec![0x80],
        1 => vec![0x82],
        _ => {
            if let Ok(number) = i8::try_from(number) {
                [&[0x88][..], &number.to_le_bytes()].concat()
            } else if let Ok(number) = i16::try_from(number) {
                [&[0x8A][..], &number.to_le_bytes()].concat()
            } else if let Ok(number) = i32::try_from(number) {
                [&[0x8C][..], &number.to_le_bytes()].concat()
            } else {
                [&[0x8E][..], &number.to_le_bytes()].concat()
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whether anything is lost is what is asked")]
fn double(number: f64) -> Vec<u8> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        int(number as i64)
    } else if f64::from(number as f32).to_bits() == number.to_bits() {
        [&[0x90][..], &(number as f32).to_le_bytes()].concat()
    } else {
        [&[0x92][..], &number.to_le_bytes()].concat()
    }
}

fn chars(text: &str) -> Vec<u8> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    match text {
        "0" => vec![0x80],
        "1" => vec![0x82],
        // The writer's buffer makes it prefer UTF-16 for long text outside of Latin.
        _ if text.len() > 512 && utf16.len() < text.len() => counted([0xB6, 0xB8, 0xBA], &utf16),
        _ => counted([0x98, 0x9A, 0x9C], text.as_bytes()),
    }
}

/// Text in one record or two, none of which ends its element.
fn text(text: &Text) -> Vec<u8> {
    match text {
        Text::Chars(text) => chars(text),
        Text::Int(number) => int(*number),
        Text::Double(number) => double(*number),
        Text::Bool(value) => vec![if *value { 0x86 } else { 0x84 }],
        Text::Decimal(digits, scale) => {
            let sign = if *digits < 0 { 0x80 } else { 0 };
            [&[0x94, 0, 0, *scale, sign, 0, 0, 0, 0][..], &digits.unsigned_abs().to_le_bytes()].concat()
        }
        Text::Date(ticks, utc) => {
            let ticks = u64::try_from(*ticks).expect("a date of .NET");
            [&[0x96][..], &(ticks | u64::from(*utc) << 62).to_le_bytes()].concat()
        }
        Text::Bytes(bytes) => {
            let whole = bytes.len() / 3 * 3;
            let records = [0x9E, 0xA0, 0xA2];
            [counted(records, &bytes[..whole]), counted(records, &bytes[whole..])].concat()
        }
    }
}

pub(super) fn to_binary(node: &Node) -> Vec<u8> {
    let (prefix, local) = &node.name;
    let mut bytes = match prefix.as_bytes() {
        [] => vec![0x40],
        [letter] => vec![0x5E + letter - b'a'],
        _ => panic!("prefixes have one letter here"),
    };
    bytes.extend(name(local));
    for (attribute, value) in &node.attributes {
        bytes.push(0x26 + b'i' - b'a');
        bytes.extend(name(attribute));
        bytes.extend(if value == "true" { vec![0x86] } else { chars(value) });
    }
    for (prefix, uri) in &node.namespaces {
        bytes.extend(if prefix.is_empty() { vec![0x08] } else { [&[0x09][..], &name(prefix)].concat() });
        bytes.extend(name(uri));
    }
    node.children.iter().for_each(|child| bytes.extend(to_binary(child)));
    match &node.text {
        // An empty text is no record at all.
        Some(Text::Chars(text)) if text.is_empty() => bytes.push(0x01),
        // The odd record behind a text record also ends the element.
        Some(Text::Chars(text)) => {
            let mut record = chars(text);
            record[0] += 1;
            bytes.extend(record);
        }
        Some(other) => {
            bytes.extend(text(other));
            bytes.push(0x01);
        }
        None => bytes.push(0x01),
    }
    bytes
}
