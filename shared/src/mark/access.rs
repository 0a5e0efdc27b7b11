//! A mark as people read and edit it.

use super::{Mark, key};
use crate::{property::Property, version::Version};

impl Mark {
    /// What stands before the mark, and belongs to somebody else.
    #[must_use]
    pub fn foreign(&self) -> &str {
        &self.foreign
    }

    /// Whether no version is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Every version, under the hash of its property's name.
    #[must_use]
    pub fn versions(&self) -> impl ExactSizeIterator<Item = (&str, Version)> {
        self.versions.iter().map(|(key, version)| (key.as_str(), *version))
    }

    /// The version that was noted for a property.
    #[must_use]
    pub fn version(&self, property: &Property) -> Option<Version> {
        self.versions.get(&key(property)).copied()
    }

    /// Takes the version under this hash out; whether there was one.
    pub fn forget(&mut self, hash: &str) -> bool {
        self.versions.remove(hash).is_some()
    }

    /// The attribute's text after something was taken out; `None` if it is to be emptied.
    #[must_use]
    pub fn rest(&self, max: usize) -> Option<String> {
        let foreign = (!self.foreign.is_empty()).then(|| self.foreign.clone());
        if self.is_empty() { foreign } else { self.write(max).or(foreign) }
    }
}

/// The hash under which a mark keeps a property.
#[must_use]
pub fn hash_of(property: &Property) -> String {
    key(property)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::version::{Realm, RowVersion};

    fn property(name: &str) -> Property {
        Property::named(name).expect("known")
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_and_the_text_of_somebody_else() {
        let (at, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(1).expect("small"));
        for foreign in ["", "loyalty=gold;"] {
            let mut mark = Mark::read(foreign);
            let mail = Version { row: Some(RowVersion { number: 7, realm: Realm::UNKNOWN }), at };
            mark.note(&property("mail"), mail);
            mark.note(&property("surname"), Version::at(later));
            assert_eq!(mark.foreign(), foreign);
            assert_eq!(mark.version(&property("mail")), Some(mail));
            assert_eq!(mark.version(&property("city")), None);
            assert_eq!(mark.versions().len(), 2);
            assert!(mark.forget(&hash_of(&property("mail"))) && !mark.forget(&hash_of(&property("city"))));
            let rest = mark.rest(1024).expect("the surname is left");
            assert!(rest.starts_with(foreign) && Mark::read(&rest) == mark, "{rest}");
            assert!(mark.forget(&hash_of(&property("surname"))) && mark.is_empty());
            assert_eq!(mark.rest(1024).as_deref(), (!foreign.is_empty()).then_some(foreign));
        }
    }
}
