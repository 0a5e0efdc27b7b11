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
    /// Reads what directories tell about each of these ids, all of them in one reading. With a target, only what is told of
    /// that one.
    pub(crate) fn of_each(
        directories: &[impl AsRef<Path>],
        ids: &[Uuid],
        target: Option<&str>,
    ) -> Result<Vec<Self>, Error> {
        let mut stories: Vec<_> = ids.iter().map(|_| Self::default()).collect();
        for directory in directories {
            add(&mut stories, directory.as_ref(), ids, target)?;
        }
        for (story, id) in stories.iter_mut().zip(ids) {
            story.events.sort_by_key(|event| event.at);
            story.know(*id);
        }
        Ok(stories)
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

/// Adds what a directory tells to the story of each id.
fn add(stories: &mut [Story], directory: &Path, ids: &[Uuid], target: Option<&str>) -> Result<(), Error> {
    let key = TagKey::read(directory)?;
    let failed = |error| Error::Read(directory.to_owned(), error);
    let mut each: Vec<_> = ids.iter().map(|id| (Matching::new(&key, *id, target), Vec::new())).collect();
    let learning = read(directory, |place, _, entry| {
        for (matching, _) in &mut each {
            matching.learn(place, &entry);
        }
    });
    learning.map_err(failed)?;
    let reading = read(directory, |place, at, entry| {
        for (matching, events) in &mut each {
            matching.take(place, at, &entry, events);
        }
    });
    let reading = reading.map_err(failed)?;
    for (story, (mut matching, mut events)) in stories.iter_mut().zip(each) {
        matching.end(&mut events);
        story.reading = story.reading.and(reading);
        story.events.append(&mut events);
        story.kinds.extend(matching.kinds());
        story.keys.push(key.clone());
    }
    Ok(())
}
