//! One of the two directories: how it is read, and what is kept of its users.

use shared::{
    admission::Terms,
    comparison::{ContactNaming, NamedContact, ReadUser, UserFacets},
    hash_key::HashKey,
    ids::UserId,
    plan::LinkAnswer,
    property::Property,
    reconcile::Current,
    target::TargetName,
};

use crate::{
    graph::{Directory, Error, GraphClient, UserPage, UserQuery},
    operate::{
        persevere::persevere,
        read_pace::{OF_LOOK, OF_PAGE, ReadPace},
    },
};

/// A directory that is compared.
pub(crate) struct ComparedDirectory {
    name: TargetName,
    client: GraphClient,
    naming: ContactNaming,
    terms: Terms,
    properties: Vec<Property>,
    query: UserQuery,
    pace: ReadPace,
}

/// What a user is to the comparison.
pub(super) enum Regarded {
    /// It names this contact.
    Linked(NamedContact, ReadUser),
    /// It names none.
    Unlinked,
    /// The worker never writes it.
    KeptOut,
}

impl ComparedDirectory {
    /// A directory of which these properties are compared.
    pub(crate) fn new(
        name: TargetName,
        client: GraphClient,
        (naming, properties): (ContactNaming, &[Property]),
        terms: &Terms,
        pace: ReadPace,
    ) -> Self {
        let identities = naming.needs_identities().then(|| Property::named(Property::SIGN_IN)).flatten();
        let further = naming.attribute().cloned().into_iter().chain(identities);
        let query = UserQuery::new(properties.iter().cloned().chain(further), terms);
        let (terms, properties) = (terms.clone(), properties.to_vec());
        Self { name, client, naming, terms, properties, query, pace }
    }

    pub(super) const fn name(&self) -> &TargetName {
        &self.name
    }

    /// Reads the page at a link, or the first one. `None` if the link leads nowhere any more.
    pub(super) async fn page(&mut self, link: Option<&str>) -> Result<Option<UserPage>, Error> {
        let url = match link {
            None => self.client.first_page(&self.query),
            Some(link) => match self.client.below(link) {
                Some(url) => url,
                None => return Ok(None),
            },
        };
        self.pace.pass(OF_PAGE).await;
        match persevere(Some(&self.name), || self.client.users_at(&url, &self.query)).await {
            Err(error) if link.is_some() && is_expired(&error) => Ok(None),
            page => page.map(Some),
        }
    }

    /// One user, if there is one of this id.
    pub(super) async fn user(&mut self, user: UserId) -> Result<Option<Current>, Error> {
        self.pace.pass(OF_LOOK).await;
        persevere(Some(&self.name), || self.client.one_user(user, &self.query)).await
    }

    /// Who calls its contact so; `None` if nobody does, or several do.
    pub(super) async fn find(&mut self, named: &NamedContact) -> Result<Option<UserId>, Error> {
        let query = match self.naming.question(named) {
            Ok(query) => query,
            Err(user) => return Ok(user),
        };
        self.pace.pass(OF_LOOK).await;
        match persevere(Some(&self.name), || self.client.find(&query)).await? {
            LinkAnswer::User(user) => Ok(Some(user)),
            LinkAnswer::Nobody | LinkAnswer::Several(..) => Ok(None),
        }
    }

    /// What a user is, and what is kept of it.
    pub(super) fn regard(&self, key: &HashKey, user: UserId, current: &Current) -> Regarded {
        if !self.terms.let_in(&current.person) {
            return Regarded::KeptOut;
        }
        let Some(named) = self.naming.read(user, current) else { return Regarded::Unlinked };
        let facets = UserFacets::of(key, &self.properties, current);
        let contact = named.hash(key);
        Regarded::Linked(named, ReadUser { contact, user, facets })
    }
}

/// Whether a link to a page is too old. The list has to be read from its beginning then.
fn is_expired(error: &Error) -> bool {
    let code = error.answer().and_then(|answer| answer.code.as_deref());
    code.is_some_and(|code| code.eq_ignore_ascii_case("Directory_ExpiredPageToken"))
}
