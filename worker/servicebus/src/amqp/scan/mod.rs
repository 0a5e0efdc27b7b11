//! A look over encoded bytes before anybody takes them apart.
//!
//! The protocol library decodes by recursion, without a limit of depth, and sets memory aside for lengths before
//! the bytes are there. So whoever may send a message could end this process by nesting a footer deep enough.
//! Nothing from outside reaches the library before it passed [`check`], which walks a value with a stack of fixed
//! size: it is no deeper than [`DEEPEST`], no length or count goes beyond what is there, maps are pairs, text is
//! text. [`split`] finds the end of a value without looking into it, so that what lies beside something damaged
//! can still be read; [`Encoded`] reads scalars off what was found.

use uuid::Uuid;

use crate::message::Damage;

#[cfg(test)]
mod tests;

/// Levels of lists, maps, arrays and described values within each other. What Service Bus and its clients write
/// has fewer than ten; Microsoft's own clients stop at 32 too.
pub(super) const DEEPEST: usize = 32;

/// What follows a constructor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A length of so many bytes, and the bytes.
    Variable(usize),
    /// Size and count of so many bytes each, and the items.
    Compound(usize),
    /// The same with one constructor for all items.
    Array(usize),
}

impl Shape {
    fn of(code: u8) -> Result<Self, Damage> {
        Ok(match code {
            0x40..=0x45 => Self::Fixed(0),
            0x50..=0x56 => Self::Fixed(1),
            0x60 | 0x61 => Self::Fixed(2),
            0x70..=0x74 => Self::Fixed(4),
            0x80..=0x84 => Self::Fixed(8),
            0x94 | 0x98 => Self::Fixed(16),
            0xa0 | 0xa1 | 0xa3 => Self::Variable(1),
            0xb0 | 0xb1 | 0xb3 => Self::Variable(4),
            0xc0 | 0xc1 => Self::Compound(1),
            0xd0 | 0xd1 => Self::Compound(4),
            0xe0 => Self::Array(1),
            0xf0 => Self::Array(4),
            _ => return Err(Damage::Constructor),
        })
    }

    /// The fewest bytes of a value behind its constructor.
    fn least(self) -> usize {
        match self {
            Self::Fixed(width) | Self::Variable(width) => width,
            Self::Compound(width) | Self::Array(width) => 2 * width,
        }
    }
}

fn is_map(code: u8) -> bool {
    matches!(code, 0xc1 | 0xd1)
}

/// Takes bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Damage> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(Damage::Length)?;
    *bytes = rest;
    Ok(taken)
}

fn byte(bytes: &mut &[u8]) -> Result<u8, Damage> {
    let (first, rest) = bytes.split_first().ok_or(Damage::CutOff)?;
    *bytes = rest;
    Ok(*first)
}

fn number(bytes: &mut &[u8], width: usize) -> Result<u32, Damage> {
    let taken = take(bytes, width).map_err(|_| Damage::CutOff)?;
    Ok(taken.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn length(bytes: &mut &[u8], width: usize) -> Result<usize, Damage> {
    usize::try_from(number(bytes, width)?).map_err(|_| Damage::Length)
}

/// A descriptor: a number or a symbol. The standard allows any value, but nobody uses another.
fn descriptor<'a>(bytes: &mut &'a [u8]) -> Result<Encoded<'a>, Damage> {
    let code = byte(bytes)?;
    if !matches!(code, 0x44 | 0x53 | 0x80 | 0xa3 | 0xb3) {
        return Err(Damage::Constructor);
    }
    let descriptor = contents(code, bytes)?;
    plausible(code, descriptor.contents)?;
    Ok(descriptor)
}

/// The contents behind a constructor, not looked into.
fn contents<'a>(code: u8, bytes: &mut &'a [u8]) -> Result<Encoded<'a>, Damage> {
    let (count, contents) = match Shape::of(code)? {
        Shape::Fixed(width) => (0, take(bytes, width).map_err(|_| Damage::CutOff)?),
        Shape::Variable(width) => {
            let length = length(bytes, width)?;
            (0, take(bytes, length)?)
        }
        Shape::Compound(width) | Shape::Array(width) => {
            let size = length(bytes, width)?;
            let mut inner = take(bytes, size)?;
            (number(&mut inner, width)?, inner)
        }
    };
    Ok(Encoded { code, count, contents })
}

/// Whether a value without items is one of its type.
fn plausible(code: u8, contents: &[u8]) -> Result<(), Damage> {
    match code {
        0x56 if !matches!(contents, [0 | 1]) => Err(Damage::Value),
        0x73 => {
            let scalar = contents.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            char::from_u32(scalar).map(drop).ok_or(Damage::Value)
        }
        0xa1 | 0xb1 | 0xa3 | 0xb3 => std::str::from_utf8(contents).map(drop).map_err(|_| Damage::Text),
        _ => Ok(()),
    }
}

/// One level of items that are still to come.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Bytes behind the level's last one.
    behind: usize,
    /// Items to come.
    left: u32,
    /// Whether the items have to fill it.
    exact: bool,
    /// The constructor of all items, in an array.
    element: Option<u8>,
}

/// The levels that are open. The first is what the value stands in.
struct Levels {
    open: [Level; DEEPEST + 1],
    depth: usize,
}

impl Levels {
    fn push(&mut self, level: Level) -> Result<(), Damage> {
        *self.open.get_mut(self.depth).ok_or(Damage::Deep)? = level;
        self.depth += 1;
        Ok(())
    }

    fn last(&mut self) -> Option<&mut Level> {
        self.open.get_mut(self.depth.checked_sub(1)?)
    }
}

/// Walks the value at the front down to its last item. Returns its length.
pub(super) fn check(bytes: &[u8]) -> Result<usize, Damage> {
    let mut rest = bytes;
    let mut levels = Levels { open: [Level::default(); DEEPEST + 1], depth: 0 };
    levels.push(Level { left: 1, ..Level::default() })?;
    loop {
        let Some(level) = levels.last() else { return Ok(bytes.len() - rest.len()) };
        if level.left == 0 {
            if level.exact && rest.len() != level.behind {
                return Err(Damage::Length);
            }
            levels.depth -= 1;
            continue;
        }
        level.left -= 1;
        let (behind, element) = (level.behind, level.element);
        // Only what belongs to the level can be read in it.
        let mut inner = &rest[..rest.len() - behind];
        let code = element.map_or_else(|| byte(&mut inner), Ok)?;
        let inside = match code {
            0 => {
                descriptor(&mut inner)?;
                Some(Level { behind, left: 1, exact: false, element: None })
            }
            _ => open(code, &mut inner, behind)?,
        };
        rest = &rest[rest.len() - behind - inner.len()..];
        if let Some(inside) = inside {
            levels.push(inside)?;
        }
    }
}

/// Reads a value without items, or the head of one with items, which become a level of their own.
fn open(code: u8, bytes: &mut &[u8], behind: usize) -> Result<Option<Level>, Damage> {
    let shape = Shape::of(code)?;
    let before = *bytes;
    let value = contents(code, bytes)?;
    let (mut items, count) = (value.contents, value.count);
    let element = match shape {
        Shape::Fixed(_) | Shape::Variable(_) => {
            plausible(code, items)?;
            return Ok(None);
        }
        Shape::Compound(_) => None,
        Shape::Array(_) if items.is_empty() && count == 0 => return Ok(None),
        Shape::Array(_) => {
            let mut element = byte(&mut items)?;
            if element == 0 {
                descriptor(&mut items)?;
                element = byte(&mut items)?;
            }
            Some(element)
        }
    };
    // Items cost a byte at least, so that nobody is asked to make millions of values out of nothing.
    let least = match element {
        None => 1,
        Some(element) => Shape::of(element)?.least().max(1),
    };
    let counted = usize::try_from(count).ok().and_then(|count| count.checked_mul(least));
    if counted.is_none_or(|counted| counted > items.len()) {
        return Err(Damage::Length);
    }
    if is_map(code) && !count.is_multiple_of(2) {
        return Err(Damage::Odd);
    }
    let behind = behind + bytes.len();
    // Back to the first item.
    *bytes = &before[before.len() - bytes.len() - items.len()..];
    Ok(Some(Level { behind, left: count, exact: true, element }))
}

/// A value that was found in bytes: its constructor and what follows, not looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    /// The constructor; 0 for a described value, which then is its whole contents.
    pub(super) code: u8,
    count: u32,
    contents: &'a [u8],
}

/// Cuts the value at the front off, without looking into it: its length tells where it ends.
pub(super) fn split<'a>(bytes: &mut &'a [u8]) -> Result<Encoded<'a>, Damage> {
    let whole = *bytes;
    let mut code = byte(bytes)?;
    if code != 0 {
        return contents(code, bytes);
    }
    while code == 0 {
        descriptor(bytes)?;
        code = byte(bytes)?;
    }
    contents(code, bytes)?;
    Ok(Encoded { code: 0, count: 0, contents: &whole[..whole.len() - bytes.len()] })
}

/// Cuts the described value at the front off: its descriptor, and the value without it.
pub(super) fn described<'a>(bytes: &mut &'a [u8]) -> Result<(Encoded<'a>, &'a [u8]), Damage> {
    if byte(bytes)? != 0 {
        return Err(Damage::Constructor);
    }
    let descriptor = descriptor(bytes)?;
    let value = *bytes;
    split(bytes)?;
    Ok((descriptor, &value[..value.len() - bytes.len()]))
}

impl<'a> Encoded<'a> {
    pub(super) fn is_list(self) -> bool {
        matches!(self.code, 0x45 | 0xc0 | 0xd0)
    }

    pub(super) fn is_map(self) -> bool {
        is_map(self.code)
    }

    pub(super) fn is_string(self) -> bool {
        matches!(self.code, 0xa1 | 0xb1)
    }

    pub(super) fn is_null(self) -> bool {
        self.code == 0x40
    }

    /// Items of a list, keys and values of a map.
    pub(super) fn count(self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Its bytes, without constructor and length.
    pub(super) fn contents(self) -> &'a [u8] {
        self.contents
    }

    /// The items of a list, or keys and values of a map, as far as they can be found.
    pub(super) fn items(self) -> impl Iterator<Item = Encoded<'a>> {
        let mut rest = if self.is_list() || self.is_map() { self.contents } else { &[] };
        (0..self.count).map_while(move |_| split(&mut rest).ok())
    }

    /// The pairs of a map, as far as they can be found.
    pub(super) fn pairs(self) -> impl Iterator<Item = (Encoded<'a>, Encoded<'a>)> {
        let mut items = self.items();
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    /// How many timestamps a list or an array holds.
    pub(super) fn timestamps(self) -> usize {
        match (self.code, self.contents) {
            (0xe0 | 0xf0, [0x83, ..]) => self.count(),
            _ => self.items().filter(|item| item.code == 0x83).count(),
        }
    }

    /// Text or a symbol.
    pub(super) fn text(self) -> Option<&'a str> {
        match self.code {
            0xa1 | 0xb1 | 0xa3 | 0xb3 => std::str::from_utf8(self.contents).ok(),
            _ => None,
        }
    }

    /// Whether it is this text or symbol.
    pub(super) fn is(self, text: &str) -> bool {
        matches!(self.code, 0xa1 | 0xb1 | 0xa3 | 0xb3) && self.contents == text.as_bytes()
    }

    pub(super) fn binary(self) -> Option<&'a [u8]> {
        matches!(self.code, 0xa0 | 0xb0).then_some(self.contents)
    }

    pub(super) fn uuid(self) -> Option<Uuid> {
        (self.code == 0x98).then(|| Uuid::from_slice(self.contents).ok())?
    }

    pub(super) fn bool(self) -> Option<bool> {
        match (self.code, self.contents) {
            (0x41, _) | (0x56, [1]) => Some(true),
            (0x42, _) | (0x56, [0]) => Some(false),
            _ => None,
        }
    }

    /// A number without a sign, of any width.
    pub(super) fn unsigned(self) -> Option<u64> {
        match self.code {
            0x43 | 0x44 => Some(0),
            0x50 | 0x52 | 0x53 | 0x60 | 0x70 | 0x80 => Some(self.bits()),
            _ => None,
        }
    }

    /// A whole number of any width; a timestamp is one too.
    pub(super) fn signed(self) -> Option<i64> {
        let width = u32::try_from(self.contents.len()).ok()? * 8;
        match self.code {
            0x51 | 0x54 | 0x55 | 0x61 | 0x71 | 0x81 | 0x83 => {
                // The sign is that of the highest bit that is there.
                let unused = 64 - width;
                Some(self.bits().cast_signed() << unused >> unused)
            }
            _ => i64::try_from(self.unsigned()?).ok(),
        }
    }

    /// The bytes as a number.
    pub(super) fn bits(self) -> u64 {
        self.contents.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
