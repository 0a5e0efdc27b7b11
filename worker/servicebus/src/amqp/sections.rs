//! The sections of an encoded message, found without decoding any of them.
//!
//! Each section announces its length, so one that is damaged or nested without end hides no other.

use super::scan::{Encoded, check, described, split};
use crate::message::Damage;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Sections<'a> {
    pub(super) header: Option<Encoded<'a>>,
    pub(super) delivery_annotations: Option<Encoded<'a>>,
    pub(super) annotations: Option<Encoded<'a>>,
    pub(super) properties: Option<Encoded<'a>>,
    pub(super) application_properties: Option<Encoded<'a>>,
    footer: Option<Encoded<'a>>,
    pub(super) body: Body<'a>,
    /// The first thing that is wrong.
    pub(super) damage: Option<Damage>,
}

/// The body as it is encoded.
#[derive(Debug, Default)]
pub(super) enum Body<'a> {
    #[default]
    Empty,
    /// Runs of bytes.
    Data(Vec<&'a [u8]>),
    Sequence,
    Value(Encoded<'a>),
}

impl<'a> Sections<'a> {
    /// Finds the sections and looks at each down to the bottom. What is found is kept even if it is damaged.
    pub(super) fn of(encoded: &'a [u8]) -> Self {
        let mut sections = Self::default();
        let mut rest = encoded;
        while !rest.is_empty() {
            match described(&mut rest) {
                Ok((descriptor, value)) => {
                    let whole = check(value).map(drop);
                    if let Err(damage) = whole.and(sections.add(descriptor, value)) {
                        sections.damage.get_or_insert(damage);
                    }
                }
                // Nobody knows where the next one begins.
                Err(damage) => {
                    sections.damage.get_or_insert(damage);
                    break;
                }
            }
        }
        sections
    }

    fn add(&mut self, descriptor: Encoded<'a>, mut value: &'a [u8]) -> Result<(), Damage> {
        let value = split(&mut value)?;
        let (place, fits) = match kind(descriptor).ok_or(Damage::Section)? {
            Kind::Header => (&mut self.header, value.is_list()),
            Kind::DeliveryAnnotations => (&mut self.delivery_annotations, value.is_map()),
            Kind::Annotations => (&mut self.annotations, value.is_map()),
            Kind::Properties => (&mut self.properties, value.is_list()),
            Kind::ApplicationProperties => (&mut self.application_properties, value.is_map()),
            Kind::Footer => (&mut self.footer, value.is_map()),
            Kind::Data => {
                let bytes = value.binary().ok_or(Damage::Section)?;
                match &mut self.body {
                    Body::Data(runs) => runs.push(bytes),
                    body @ Body::Empty => *body = Body::Data(vec![bytes]),
                    Body::Sequence | Body::Value(_) => return Err(Damage::Section),
                }
                return Ok(());
            }
            Kind::Sequence => {
                let fits = value.is_list() && matches!(self.body, Body::Empty | Body::Sequence);
                self.body = Body::Sequence;
                return fits.then_some(()).ok_or(Damage::Section);
            }
            Kind::Value => {
                let fits = matches!(self.body, Body::Empty);
                self.body = Body::Value(value);
                return fits.then_some(()).ok_or(Damage::Section);
            }
        };
        if !fits || place.is_some() {
            return Err(Damage::Section);
        }
        *place = Some(value);
        Ok(())
    }
}

enum Kind {
    Header,
    DeliveryAnnotations,
    Annotations,
    Properties,
    ApplicationProperties,
    Data,
    Sequence,
    Value,
    Footer,
}

/// Which section a descriptor, a number or a name, stands for.
fn kind(descriptor: Encoded<'_>) -> Option<Kind> {
    Some(match (descriptor.unsigned(), descriptor.text()) {
        (Some(0x70), _) | (_, Some("amqp:header:list")) => Kind::Header,
        (Some(0x71), _) | (_, Some("amqp:delivery-annotations:map")) => Kind::DeliveryAnnotations,
        (Some(0x72), _) | (_, Some("amqp:message-annotations:map")) => Kind::Annotations,
        (Some(0x73), _) | (_, Some("amqp:properties:list")) => Kind::Properties,
        (Some(0x74), _) | (_, Some("amqp:application-properties:map")) => Kind::ApplicationProperties,
        (Some(0x75), _) | (_, Some("amqp:data:binary")) => Kind::Data,
        (Some(0x76), _) | (_, Some("amqp:amqp-sequence:list")) => Kind::Sequence,
        (Some(0x77), _) | (_, Some("amqp:amqp-value:*")) => Kind::Value,
        (Some(0x78), _) | (_, Some("amqp:footer:map")) => Kind::Footer,
        _ => return None,
    })
}
