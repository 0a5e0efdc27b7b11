//! What was read so far, in a file: the key of the hashes, and for each page its users and where the list goes on.
//!
//! No value of a person is in it. But who can read it has the key, and can try values that are easy to guess, so nobody
//! else may read it; and the id of a user is in it as it is. Each page is one line, written at once, so a run that is killed
//! loses the line that it was writing.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::{
    comparison::{DirectoryUsers, ReadUser, Side, UserFacets},
    hash_key::HashKey,
    ids::UserId,
};
use uuid::Uuid;

use crate::private_file;

/// Older states are refused: what was read long before the other directory differs because time has passed.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of a line. A page of users with full lists is not nearly as long.
const LONGEST_LINE: u64 = 64 << 20;
/// Version of the form.
const FORM: u32 = 1;

/// What a state is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateHeader {
    /// The version of contactsync.
    pub(crate) contactsync: Box<str>,
    /// Names of the targets.
    pub(crate) targets: [Box<str>; 2],
    /// Where their users are.
    pub(crate) tenants: [Box<str>; 2],
    /// Fingerprints of their settings.
    pub(crate) settings: [Box<str>; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    comparison: u32,
    /// In milliseconds since 1970.
    begun: i64,
    key: Box<str>,
    of: StateHeader,
}

/// One line behind the first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageLine {
    directory: u8,
    read_to: ReadTo,
    unlinked: u64,
    kept_out: u64,
    users: Vec<Box<str>>,
}

/// A page as it is kept.
#[derive(Debug)]
pub(super) struct KeptPage {
    read_to: ReadTo,
    pub(super) unlinked: u64,
    pub(super) kept_out: u64,
    pub(super) users: Vec<ReadUser>,
}

/// How far the list of a directory was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadTo {
    /// Nothing that counts was read.
    #[default]
    Beginning,
    /// The page at this link is next.
    Link(Box<str>),
    /// All of it was read.
    End,
}

impl KeptPage {
    /// A page of nobody yet; the next one is at this link, if there is one.
    pub(super) fn leading_to(next: Option<Box<str>>) -> Self {
        let read_to = next.map_or(ReadTo::End, ReadTo::Link);
        Self { read_to, unlinked: 0, kept_out: 0, users: Vec::new() }
    }

    /// None of the pages before counts any more.
    pub(super) fn anew() -> Self {
        Self { read_to: ReadTo::Beginning, ..Self::leading_to(None) }
    }
}

/// A state cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be had.
    #[error(transparent)]
    File(private_file::Error),
    /// It cannot be read or written.
    #[error("the file cannot be read or written")]
    Io(#[source] io::Error),
    /// Somebody else uses it.
    #[error("another comparison uses the file at this moment; name another one")]
    Busy,
    /// It is something else.
    #[error("the file is no state of a comparison, and stays as it is; name another one")]
    Other,
    /// It is of another comparison.
    #[error("the state is of a comparison with {what}; remove the file to begin anew, or name another one")]
    Foreign {
        /// What is not the same.
        what: String,
    },
    /// It is too old.
    #[error("the state was begun at {0}, more than a day ago; remove the file to begin anew")]
    Old(Timestamp),
    /// A line is not as it was written.
    #[error("line {0} of the state is damaged; remove the file to begin anew")]
    Damaged(usize),
}

/// What was read so far.
pub(crate) struct ComparisonState {
    file: Option<(File, PathBuf)>,
    /// The key of its hashes.
    pub(super) key: HashKey,
    /// Since when it is read.
    pub(super) begun: Timestamp,
    pub(super) directories: [DirectoryUsers; 2],
    pub(super) read_to: [ReadTo; 2],
}

impl ComparisonState {
    /// Begins one that is kept nowhere.
    pub(crate) fn in_memory(now: Timestamp) -> Self {
        Self {
            file: None,
            key: HashKey::new(rand::random()),
            begun: now,
            directories: Default::default(),
            read_to: Default::default(),
        }
    }

    /// Goes on with the state of a file, or begins one there. `properties` is how many are read of a user in each directory.
    pub(crate) fn open(
        path: &Path,
        header: &StateHeader,
        properties: [usize; 2],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut file = private_file::open(path).map_err(Error::File)?;
        file.try_lock().map_err(|_| Error::Busy)?;
        let mut state = Self::in_memory(now);
        let whole = state.read(&file, header, properties)?;
        file.set_len(whole).map_err(Error::Io)?;
        file.seek(SeekFrom::End(0)).map_err(Error::Io)?;
        if whole == 0 {
            let beginning = Beginning {
                comparison: FORM,
                begun: now.as_millisecond(),
                key: BASE64.encode(state.key.bytes()).into(),
                of: header.clone(),
            };
            write(&mut file, &beginning)?;
        }
        state.file = Some((file, path.to_owned()));
        Ok(state)
    }

    /// Reads what is there. Returns where its last whole line ends; 0 if there is nothing.
    fn read(&mut self, file: &File, header: &StateHeader, properties: [usize; 2]) -> Result<u64, Error> {
        let now = self.begun;
        let mut reader = BufReader::new(file);
        let (mut line, mut end) = (Vec::new(), 0);
        for number in 1.. {
            line.clear();
            let read =
                (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(Error::Io)? as u64;
            let whole = line.ends_with(b"\n");
            match (number, whole) {
                // The first line is short: if it was cut off, that is all there is.
                (1, false) if read == 0 || may_begin(&line) => return Ok(0),
                (1, false) => return Err(Error::Other),
                (1, true) => self.resume(&line, header, now)?,
                (_, false) if read < LONGEST_LINE => return Ok(end),
                (_, false) => return Err(Error::Damaged(number)),
                (_, true) => {
                    let (side, page) = parse(&line, properties).ok_or(Error::Damaged(number))?;
                    self.add(side, page);
                }
            }
            end += read;
        }
        Ok(end)
    }

    fn resume(&mut self, line: &[u8], header: &StateHeader, now: Timestamp) -> Result<(), Error> {
        let beginning: Beginning = serde_json::from_slice(line).map_err(|_| Error::Other)?;
        let key = BASE64.decode(&*beginning.key).ok().and_then(|key| key.try_into().ok());
        let key: [u8; 32] = key.filter(|_| beginning.comparison == FORM).ok_or(Error::Other)?;
        if let Some(what) = differing(&beginning.of, header) {
            return Err(Error::Foreign { what });
        }
        let begun = Timestamp::from_millisecond(beginning.begun).map_err(|_| Error::Other)?;
        if now.duration_since(begun) > OLDEST {
            return Err(Error::Old(begun));
        }
        (self.key, self.begun) = (HashKey::new(key), begun);
        Ok(())
    }

    /// Takes a page in, and keeps it before anybody relies on it.
    pub(super) fn take_in(&mut self, side: Side, page: KeptPage) -> Result<(), Error> {
        if let Some((file, _)) = &mut self.file {
            write(file, &line_of(side, &page))?;
        }
        self.add(side, page);
        Ok(())
    }

    fn add(&mut self, side: Side, page: KeptPage) {
        let directory = &mut self.directories[side.index()];
        if page.read_to == ReadTo::Beginning {
            *directory = DirectoryUsers::default();
        }
        directory.unlinked += page.unlinked;
        directory.kept_out += page.kept_out;
        page.users.into_iter().for_each(|user| directory.add(user));
        self.read_to[side.index()] = page.read_to;
    }

    /// Since when it is read.
    pub(crate) const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Takes the file away, once what it was kept for is told.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.file.map_or(Ok(()), |(_, path)| std::fs::remove_file(path))
    }
}

/// What two comparisons do not have in common, in words.
fn differing(there: &StateHeader, here: &StateHeader) -> Option<String> {
    if there.targets != here.targets {
        let [one, other] = &there.targets;
        return Some(format!("other targets ({one} and {other}, in this order)"));
    }
    if there.contactsync != here.contactsync {
        return Some(format!("version {} of contactsync", there.contactsync));
    }
    let place =
        |one: &[Box<str>; 2], other: &[Box<str>; 2]| (0..2).find(|place| one[*place] != other[*place]);
    if let Some(place) = place(&there.tenants, &here.tenants) {
        return Some(format!("another tenant in target {}", here.targets[place]));
    }
    let place = place(&there.settings, &here.settings)?;
    Some(format!(
        "other settings of target {} (cloud, filter, graph, guard, identity, link or mapping)",
        here.targets[place]
    ))
}

/// Whether a line that was cut off can be the beginning of a first one.
fn may_begin(line: &[u8]) -> bool {
    let beginning = format!("{{\"comparison\":{FORM},\"begun\":");
    let common = line.len().min(beginning.len());
    line[..common] == beginning.as_bytes()[..common]
}

fn write(file: &mut File, line: &impl Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| Error::Io(error.into()))?;
    bytes.push(b'\n');
    file.write_all(&bytes).map_err(Error::Io)
}

fn line_of(side: Side, page: &KeptPage) -> PageLine {
    let user = |user: &ReadUser| {
        let bytes = [&user.contact[..], user.user.0.as_bytes(), user.facets.bytes()].concat();
        BASE64.encode(bytes).into()
    };
    PageLine {
        directory: u8::from(side == Side::Second),
        read_to: page.read_to.clone(),
        unlinked: page.unlinked,
        kept_out: page.kept_out,
        users: page.users.iter().map(user).collect(),
    }
}

fn parse(line: &[u8], properties: [usize; 2]) -> Option<(Side, KeptPage)> {
    let PageLine { directory, read_to, unlinked, kept_out, users } = serde_json::from_slice(line).ok()?;
    let side = *Side::BOTH.get(usize::from(directory))?;
    let user = |text: &str| {
        let bytes = BASE64.decode(text).ok()?;
        let (contact, rest) = bytes.split_first_chunk()?;
        let (user, facets) = rest.split_first_chunk()?;
        let facets = UserFacets::parse(facets, properties[side.index()])?;
        Some(ReadUser { contact: *contact, user: UserId(Uuid::from_bytes(*user)), facets })
    };
    let users = users.iter().map(|text| user(text)).collect::<Option<_>>()?;
    Some((side, KeptPage { read_to, unlinked, kept_out, users }))
}

#[cfg(test)]
mod tests;
