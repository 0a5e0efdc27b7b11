//! How often messages showed the link.

/// How often the link was seen, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes that needed a link.
    pub looked_at: u64,
    /// With the object id of a user.
    pub linked: u64,
    /// With an empty link, also created without one.
    pub empty: u64,
    /// With something that is no object id.
    pub no_id: u64,
    /// With a link that means no user of this directory and is passed over.
    pub foreign: u64,
    /// Without the column, though an image came along.
    pub not_in_image: u64,
    /// Without the column and without an image.
    pub no_image: u64,
}

impl Counts {
    /// Changes that do not have the link column at all.
    pub(super) fn without_link(&self) -> u64 {
        self.not_in_image + self.no_image
    }

    /// Changes that were passed over, or could not be told whose they are, while no link was seen in an image.
    #[must_use]
    pub fn without_user(&self) -> u64 {
        // Once it was seen in targets the column is the right one, and only images that lack it are in doubt.
        if self.linked > 0 { self.not_in_image } else { self.looked_at }
    }
}
