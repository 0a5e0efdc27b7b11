//! Which messages are meant: filters that all have to agree.

use servicebus::Message;
use shared::{
    ids::{ContactId, UserId},
    mass_change::{Author, ChangeKind, Stream},
    plan::Planner,
    property::Property,
};
use uuid::Uuid;

use crate::{envelope::HeldAside, preview::Subjects};

/// Filters. One that is given several times matches any of its values; different ones must all match.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which messages (filters combine; one given twice matches either)")]
pub(crate) struct HeldFilter {
    /// Only changes by this author: the id of a user of Dataverse or of a run of reconcile, or "unknown".
    #[arg(long, value_name = "GUID", value_parser = by)]
    by: Vec<By>,
    /// Only what is held for this property of users, by Graph's name, for example mail.
    #[arg(long, value_name = "PROPERTY", value_parser = property)]
    property: Vec<Property>,
    /// Only what is held because values are blanked, or because they are rewritten.
    #[arg(long, value_name = "blanked|rewritten", value_parser = kind)]
    kind: Option<ChangeKind>,
    /// Only changes of this contact.
    #[arg(long, value_name = "GUID")]
    contact: Vec<Uuid>,
    /// Only changes of this user.
    #[arg(long, value_name = "GUID", value_parser = user)]
    user: Vec<UserId>,
}

/// An author as a person names him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Id(Uuid),
    Author(Author),
}

impl By {
    fn is(self, author: Author) -> bool {
        match self {
            Self::Id(id) => author.id() == Some(id),
            Self::Author(named) => named == author,
        }
    }
}

impl HeldFilter {
    /// Whether it leaves anything out.
    #[must_use]
    pub(crate) fn is_selective(&self) -> bool {
        !self.by.is_empty() || !self.property.is_empty() || self.kind.is_some() || !self.is_of_whole_streams()
    }

    /// Whether all messages of a stream are meant as long as one is.
    #[must_use]
    pub(crate) fn is_of_whole_streams(&self) -> bool {
        self.contact.is_empty() && self.user.is_empty()
    }

    /// Whether a message is meant.
    #[must_use]
    pub(crate) fn matches(&self, message: &Message, held: &HeldAside, planner: &Planner) -> bool {
        let unnamed = self.property.is_empty() && self.kind.is_none() && self.is_by(held.author);
        let meant =
            held.streams.iter().any(|stream| self.is_of(stream)) || (held.streams.is_empty() && unnamed);
        // The last filter, because it decodes the body.
        meant && self.is_about(message, planner)
    }

    /// The streams of a message that are meant.
    pub(crate) fn streams(&self, held: &HeldAside) -> Vec<Stream> {
        held.streams.iter().filter(|stream| self.is_of(stream)).cloned().collect()
    }

    fn is_by(&self, author: Author) -> bool {
        self.by.is_empty() || self.by.iter().any(|by| by.is(author))
    }

    fn is_of(&self, stream: &Stream) -> bool {
        self.is_by(stream.author)
            && (self.property.is_empty() || self.property.contains(&stream.property))
            && self.kind.is_none_or(|kind| kind == stream.kind)
    }

    fn is_about(&self, message: &Message, planner: &Planner) -> bool {
        if self.is_of_whole_streams() {
            return true;
        }
        let subjects = Subjects::of(message, planner);
        let contact = self.contact.iter().any(|id| subjects.contacts.contains(&ContactId(*id)));
        let user = self.user.iter().any(|id| subjects.users.contains(id));
        (self.contact.is_empty() || contact) && (self.user.is_empty() || user)
    }
}

fn by(text: &str) -> Result<By, &'static str> {
    let author = Author::parse(text).map(By::Author);
    let id = || Uuid::try_parse(text).ok().map(By::Id);
    author.or_else(id).ok_or("must be the id of a user of Dataverse or of a run, or \"unknown\"")
}

fn property(text: &str) -> Result<Property, &'static str> {
    Property::named(text)
        .ok_or("is no property that contactsync writes; spell it as Graph does, such as givenName")
}

fn kind(text: &str) -> Result<ChangeKind, &'static str> {
    let known = ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or("must be blanked or rewritten")
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("must be the object id of a user, a GUID")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use jiff::Timestamp;
    use shared::mapping::Mapping;

    use super::*;

    const AUTHOR: &str = "00000000-0000-0000-0000-000000000007";

    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct FilterLine {
        #[command(flatten)]
        filter: HeldFilter,
    }

    fn filter(arguments: &str) -> HeldFilter {
        FilterLine::try_parse_from(arguments.split_whitespace()).expect("arguments").filter
    }

    fn held(streams: &[(&str, ChangeKind)]) -> HeldAside {
        let author = Author::User(AUTHOR.parse().expect("a GUID"));
        let stream = |(name, kind): &(&str, ChangeKind)| Stream {
            author,
            property: Property::named(name).expect("known"),
            kind: *kind,
        };
        HeldAside { since: Timestamp::UNIX_EPOCH, author, streams: streams.iter().map(stream).collect() }
    }

    #[test]
    fn every_filter_that_is_given_has_to_agree_about_one_stream() {
        let both = held(&[("mail", ChangeKind::Blanked), ("givenName", ChangeKind::Rewritten)]);
        let nothing = held(&[]);
        let planner = Planner::new(Mapping::preset_default());
        for (arguments, of_both, of_nothing, streams) in [
            ("", true, true, 2),
            ("--property mail", true, false, 1),
            ("--property mail --kind rewritten", false, false, 0),
            ("--property mail --property givenName --kind rewritten", true, false, 1),
            ("--by 00000000-0000-0000-0000-000000000007", true, true, 2),
            ("--by run:00000000-0000-0000-0000-000000000007", false, false, 0),
            ("--by unknown", false, false, 0),
            ("--contact 00000000-0000-0000-0000-000000000001", false, false, 2),
        ] {
            let filter = filter(arguments);
            let matches = |held| filter.matches(&Message::default(), held, &planner);
            let found = (matches(&both), matches(&nothing), filter.streams(&both).len());
            assert_eq!(found, (of_both, of_nothing, streams), "{arguments}");
            assert_eq!(filter.is_selective(), !arguments.is_empty(), "{arguments}");
        }
    }
}
