//! The key of the tags. Whoever erases its file erases whom the journal is about.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use ring::hmac;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::entry::Id;
use crate::private_file;

/// Name of its file.
const FILE: &str = "journal.key";
/// Length of the key in bytes: that of the hash.
const LENGTH: usize = 32;
/// How long another replica that makes it is waited for, look by look.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(20);

/// The key is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be made.
    #[error("the key of the journal cannot be made in {0}")]
    Make(PathBuf, #[source] private_file::Error),
    /// It cannot be read.
    #[error("the key of the journal cannot be read from {0}")]
    Read(PathBuf, #[source] io::Error),
    /// It is no key.
    #[error(
        "{0} is no key of a journal; remove it, and a new one is made: what was told before then names nobody any more"
    )]
    Damaged(PathBuf),
}

/// An id under the key: the same id has the same tag, and nobody without the key can tell which id it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag([u8; 16]);

/// Makes tags of ids.
#[derive(Clone, Debug)]
pub(crate) struct TagKey(hmac::Key);

impl TagKey {
    /// A key of these bytes.
    #[must_use]
    pub(crate) fn of(bytes: &[u8; LENGTH]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Reads the key of a directory.
    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let bytes = fs::read(&path).map_err(|error| Error::Read(path.clone(), error))?;
        Ok(Self::of(&bytes.try_into().map_err(|_| Error::Damaged(path))?))
    }

    /// Reads the key of a directory, or makes one. Several replicas may do so at once: whoever makes the file has made the
    /// key.
    pub(crate) fn read_or_make(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        match private_file::create(&path) {
            Ok(mut file) => {
                let bytes: [u8; LENGTH] = rand::random();
                let written = file.write_all(&bytes).and_then(|()| file.sync_all());
                written.map_err(|error| Error::Make(path, private_file::Error::Open(error)))?;
                Ok(Self::of(&bytes))
            }
            Err(private_file::Error::Open(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::wait_for(directory)
            }
            Err(error) => Err(Error::Make(path, error)),
        }
    }

    /// Whether the key of a directory is there.
    #[must_use]
    pub(crate) fn is_there(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// The key that another one is making. If it was killed meanwhile, the rest of its file is no key.
    fn wait_for(directory: &Path) -> Result<Self, Error> {
        for _ in 1..LOOKS {
            match Self::read(directory) {
                Err(Error::Damaged(_)) => sleep(LOOK),
                read => return read,
            }
        }
        Self::read(directory)
    }

    /// The tag of an id. The kind counts: a contact and a user of the same id have different tags.
    #[must_use]
    pub(crate) fn tag(&self, id: Id) -> Tag {
        let (kind, id) = match id {
            Id::Contact(id) => (b'c', id),
            Id::User(id) => (b'u', id),
            Id::Job(id) => (b'j', id),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(id.as_bytes());
        let signed = hmac::sign(&self.0, &bytes);
        let mut tag = [0; 16];
        tag.copy_from_slice(&signed.as_ref()[..16]);
        Tag(tag)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Uuid::encode_buffer();
        serializer.serialize_str(Uuid::from_bytes(self.0).simple().encode_lower(&mut text))
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let id = Uuid::try_parse(&text).map_err(|_| de::Error::custom("is no tag"))?;
        Ok(Self(*id.as_bytes()))
    }
}
