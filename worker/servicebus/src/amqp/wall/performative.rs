//! What a frame asks for, read without the library.

use crate::{
    amqp::scan::{Encoded, described, split},
    message::Damage,
};

/// The performatives that matter here.
pub(super) mod code {
    pub(crate) const ATTACH: u64 = 0x12;
    pub(crate) const FLOW: u64 = 0x13;
    pub(crate) const TRANSFER: u64 = 0x14;
    pub(crate) const DISPOSITION: u64 = 0x15;
    pub(crate) const DETACH: u64 = 0x16;
    pub(crate) const END: u64 = 0x17;
}

/// A performative: its code, and its fields.
pub(super) struct Performative<'a> {
    pub(super) channel: u16,
    pub(super) code: u64,
    fields: Encoded<'a>,
}

impl<'a> Performative<'a> {
    /// Reads what stands at the front of a body.
    pub(super) fn of(channel: u16, body: &'a [u8]) -> Result<Self, Damage> {
        let (descriptor, mut fields) = described(&mut &*body)?;
        let fields = split(&mut fields)?;
        // Of performatives that are named by a symbol the library knows all, and we none; so they are none.
        let code = descriptor.unsigned().filter(|_| fields.is_list()).ok_or(Damage::Constructor)?;
        Ok(Self { channel, code, fields })
    }

    /// The field at a place; nothing if it is left out.
    pub(super) fn field(&self, at: usize) -> Option<Encoded<'a>> {
        self.fields.items().nth(at).filter(|value| !value.is_null())
    }

    pub(super) fn number(&self, at: usize) -> Option<u32> {
        u32::try_from(self.field(at)?.unsigned()?).ok()
    }

    pub(super) fn flag(&self, at: usize) -> bool {
        self.field(at).and_then(Encoded::bool).unwrap_or(false)
    }
}
