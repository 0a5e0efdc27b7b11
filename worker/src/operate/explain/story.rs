//! All that is told about one id, in order.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{event::StoryEvent, matching::Matching};
use crate::journal::{Id, KeyError, Reading, Tag, TagKey, read};

/// The journal of a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file, or the directory, cannot be read.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
}

/// What was told about one id, in order.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// What was read.
    pub(crate) reading: Reading,
    /// As what the id is known: `contact`, `user`, `job`.
    pub(crate) kinds: BTreeSet<&'static str>,
    /// What happened, oldest first.
    pub(crate) events: Vec<StoryEvent>,
    /// Users by their tags, as far as somebody knows which ids they have.
    names: HashMap<Tag, Uuid>,
    keys: Vec<TagKey>,
}

impl Story {
    /// Reads what directories tell about an id. With a target, only what is told of that one.
    pub(crate) fn of(
        directories: &[impl AsRef<Path>],
        id: Uuid,
        target: Option<&str>,
    ) -> Result<Self, Error> {
        let mut story = Self::default();
        for directory in directories {
            story.add(directory.as_ref(), id, target)?;
        }
        story.events.sort_by_key(|event| event.at);
        story.know(id);
        Ok(story)
    }

    fn add(&mut self, directory: &Path, id: Uuid, target: Option<&str>) -> Result<(), Error> {
        let key = TagKey::read(directory)?;
        let failed = |error| Error::Read(directory.to_owned(), error);
        let mut matching = Matching::new(&key, id, target);
        read(directory, |place, _, entry| matching.learn(place, &entry)).map_err(failed)?;
        let mut events = Vec::new();
        let reading = read(directory, |place, at, entry| matching.take(place, at, entry, &mut events));
        self.reading = self.reading.and(reading.map_err(failed)?);
        matching.end(&mut events);
        self.events.extend(events);
        self.kinds.extend(matching.kinds());
        self.keys.push(key);
        Ok(())
    }

    /// Takes in that there is a user of this id, who may be meant by a tag.
    pub(crate) fn know(&mut self, user: Uuid) {
        for key in &self.keys {
            self.names.insert(key.tag(Id::User(user)), user);
        }
    }

    /// The user of a tag, if somebody knows him.
    pub(super) fn name(&self, tag: Tag) -> Option<String> {
        self.names.get(&tag).map(Uuid::to_string)
    }
}
