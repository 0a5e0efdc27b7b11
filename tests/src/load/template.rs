//! Bodies by the ten thousand: a fixture in one of the three formats, cut where a message differs from the next.

use jiff::Timestamp;
use uuid::Uuid;

/// Form of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// XML.
    Xml,
    /// .NET binary XML.
    Binary,
}

impl Format {
    /// The media type that Dataverse gives it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Binary => "application/msbin1",
        }
    }

    const fn fixture(self) -> &'static [u8] {
        match self {
            Self::Json => include_bytes!("../../fixtures/contexts/contact-update-portal-identity.json"),
            Self::Xml => include_bytes!("../../fixtures/contexts/contact-update-portal-identity.xml"),
            Self::Binary => include_bytes!("../../fixtures/contexts/contact-update-portal-identity.msbin1"),
        }
    }

    /// A text as it stands in a body. None of ours needs an escape.
    fn text(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Json => [b"\"", text, b"\""].concat(),
            Self::Xml => [b">", text, b"<"].concat(),
            Self::Binary => binary_text(text),
        }
    }
}

/// A text record of .NET binary XML that also ends its element, in the smallest form that fits.
fn binary_text(text: &[u8]) -> Vec<u8> {
    let head = if let Ok(length) = u8::try_from(text.len()) {
        vec![0x99, length]
    } else if let Ok(length) = u16::try_from(text.len()) {
        [&[0x9b][..], &length.to_le_bytes()].concat()
    } else {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        [&[0x9d][..], &length.to_le_bytes()].concat()
    };
    [&head, text].concat()
}

/// What a message says that others do not.
#[derive(Clone, Debug)]
pub struct Values<'v> {
    /// Which message of the run it is; decides about its version.
    pub number: usize,
    /// The contact.
    pub contact: Uuid,
    /// The user's object id, or nothing for a contact that is no portal user.
    pub link: &'v str,
    /// `emailaddress1`.
    pub mail: &'v str,
    /// `firstname`.
    pub given_name: &'v str,
    /// `lastname`.
    pub surname: &'v str,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Link,
    Contact,
    Mail,
    GivenName,
    Surname,
    Filler,
    Moment,
}

/// The texts of the fixture that are replaced.
const TEXTS: [(Field, &str); 6] = [
    (Field::Link, "6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10"),
    (Field::Contact, "03d0d059-3dcf-41f2-9e20-57b85dbff932"),
    (Field::Mail, "ada@example.org"),
    (Field::GivenName, "Ada"),
    (Field::Surname, "Lovelace"),
    (Field::Filler, "3f1f2d4e-0000-4a4a-8b8b-1234567890ab"),
];

/// The moment of the fixture: 2024-03-14T09:26:53Z, in milliseconds since 1970.
const MOMENT: i64 = 1_710_408_413_000;
/// The same in ticks of .NET, of which there are 10,000 in a millisecond.
const TICKS: u64 = 0x08dc_4408_e27c_6c80;

/// A cut fixture.
#[derive(Clone, Debug)]
pub struct Template {
    format: Format,
    /// What stands before each field.
    parts: Vec<(Vec<u8>, Field)>,
    tail: Vec<u8>,
    filler: Vec<u8>,
}

impl Template {
    /// A body of this format, with so many bytes of text in a column that no mapping knows.
    #[must_use]
    pub fn new(format: Format, filler: usize) -> Self {
        let mut marks: Vec<_> =
            TEXTS.map(|(field, text)| (field, format.text(text.as_bytes()))).into_iter().collect();
        marks.push((Field::Moment, moment_mark(format)));
        let (fixture, mut parts, mut from, mut at) = (format.fixture(), Vec::new(), 0, 0);
        while at < fixture.len() {
            match marks.iter().find(|(_, mark)| fixture[at..].starts_with(mark)) {
                Some((field, mark)) => {
                    parts.push((fixture[from..at].to_vec(), *field));
                    at += mark.len();
                    from = at;
                }
                None => at += 1,
            }
        }
        Self { format, parts, tail: fixture[from..].to_vec(), filler: vec![b'x'; filler.max(1)] }
    }

    /// The body of one message.
    #[must_use]
    pub fn body(&self, values: &Values<'_>) -> Vec<u8> {
        let contact = values.contact.to_string();
        let mut body = Vec::with_capacity(8_192 + self.filler.len());
        for (before, field) in &self.parts {
            body.extend_from_slice(before);
            let text = match field {
                Field::Link => values.link.as_bytes(),
                Field::Contact => contact.as_bytes(),
                Field::Mail => values.mail.as_bytes(),
                Field::GivenName => values.given_name.as_bytes(),
                Field::Surname => values.surname.as_bytes(),
                Field::Filler => &self.filler,
                Field::Moment => {
                    body.extend(moment(self.format, values.number));
                    continue;
                }
            };
            body.extend(self.format.text(text));
        }
        body.extend_from_slice(&self.tail);
        body
    }
}

fn moment_mark(format: Format) -> Vec<u8> {
    match format {
        Format::Json => MOMENT.to_string().into_bytes(),
        Format::Xml => b"2024-03-14T09:26:53".to_vec(),
        // Without the highest byte, which holds the kind of time.
        Format::Binary => TICKS.to_le_bytes()[..7].to_vec(),
    }
}

/// The moment of the fixture and as many milliseconds: the later message carries the newer version.
fn moment(format: Format, number: usize) -> Vec<u8> {
    let millis = MOMENT + i64::try_from(number).unwrap_or(i64::MAX);
    match format {
        Format::Json => millis.to_string().into_bytes(),
        Format::Xml => {
            let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
            at.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string().into_bytes()
        }
        Format::Binary => (TICKS + 10_000 * number as u64).to_le_bytes()[..7].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        engine::intake::{DecodedBody, changes},
        ids::UserId,
    };

    use super::*;

    #[test]
    fn a_message_says_the_same_in_every_format() {
        let user = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
        let values = Values {
            number: 4_711,
            contact: Uuid::from_u128(7),
            link: &user.to_string(),
            mail: "ada+4711@example.org",
            given_name: "Ada#4711",
            surname: "Lovelace#4711",
        };
        for filler in [1, 300, 70_000] {
            let read = [Format::Json, Format::Xml, Format::Binary].map(|format| {
                let body = Template::new(format, filler).body(&values);
                assert!(body.len() > filler);
                match changes(&body, Some(format.content_type()), false) {
                    Ok(DecodedBody::Changes(changes, _)) => changes,
                    other => panic!("{format:?}: {other:?}"),
                }
            });
            let text = |column: &str| format!("{:?}", read[0][0].columns.get(column));
            assert_eq!(read[0], read[1]);
            assert_eq!(read[1], read[2]);
            assert!(text("firstname").contains("Ada#4711") && text("emailaddress1").contains("+4711@"));
            assert!(
                UserId::parse(&user.to_string()).is_some() && text("adx_identity_username").contains("0123")
            );
            let at = read[0][0].version.expect("a version").at;
            assert_eq!(at.as_millisecond(), MOMENT + 4_711);
        }
    }
}
