//! What is told of a link that is not seen: names of columns and counts, never values.

use std::fmt;

use super::counts::Counts;

/// So many names are told; more would hide the ones that matter.
const TOLD: usize = 12;

/// Why it is certain that the settings or the images are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The link column holds values that are no text, so it can hold no object id.
    NoText,
    /// The link column holds the contact's own id.
    OwnId,
    /// The link column is not there, or always empty, and another one that looks like a link is there.
    AnotherColumn,
    /// The link column is there, and never holds an object id.
    NeverAnId,
    /// Many changes came, and not one with an image or the link.
    NoImage,
    /// A change set the link, and the post image of the same message does not show it.
    PostImageLacks,
    /// Contacts that have signed in come without the link in their images.
    SignedIn,
    /// Images show empty columns, and never the link.
    EmptiesShown,
}

impl Why {
    /// Whether the images of the step are to be mended rather than the setting.
    #[must_use]
    pub const fn is_about_images(self) -> bool {
        match self {
            Self::NoText | Self::OwnId | Self::AnotherColumn | Self::NeverAnId => false,
            Self::NoImage | Self::PostImageLacks | Self::SignedIn | Self::EmptiesShown => true,
        }
    }
}

/// What was looked at, and what it carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The link column of the settings.
    pub column: Box<str>,
    /// What was seen of it.
    pub counts: Counts,
    /// The other column that is most likely the link.
    pub likeliest: Option<Box<str>>,
    /// Other columns that the messages carry, the most frequent first.
    pub carried: Vec<Box<str>>,
}

impl Report {
    /// The reason alone, in words.
    #[must_use]
    pub fn because(&self, why: Why) -> String {
        let column = &self.column;
        let what = match why {
            Why::NoText => "is no column of text, so it cannot hold the object id of a user",
            Why::OwnId => "is the id of the contact itself, not the object id of a user",
            Why::AnotherColumn => {
                let other = self.likeliest.as_deref().unwrap_or("another column that looks like the link");
                return format!(
                    "{column} never holds a user, while {other} of the same contacts holds GUIDs"
                );
            }
            Why::NeverAnId => "holds text that is never an object id (a GUID)",
            Why::NoImage => "is in no change, and none of them comes with an image",
            Why::PostImageLacks => {
                "is not in the post image: a change has set it, and the image of the same message does not show it"
            }
            Why::SignedIn => "is in no image, also not of contacts that have signed in to the portal",
            Why::EmptiesShown => "is in no image, though the images show other columns that are empty",
        };
        format!("{column} {what}")
    }

    /// The whole in words; without a reason, that nothing is certain.
    #[must_use]
    pub fn told(&self, why: Option<Why>) -> String {
        Told { report: self, why }.to_string()
    }

    /// How the column looked in the changes.
    fn looked(&self) -> String {
        let Counts { linked, empty, no_id, foreign, not_in_image, no_image, .. } = self.counts;
        let parts = [
            (linked, "with a user, but never in an image"),
            (empty, "with it empty"),
            (no_id, "with something that is no object id"),
            (foreign, "with a link that link.on_foreign ignores"),
            (not_in_image, "with an image that does not show it"),
            (no_image, "without it and without an image"),
        ];
        let told =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        told.collect::<Vec<_>>().join(", ")
    }
}

struct Told<'r> {
    report: &'r Report,
    why: Option<Why>,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { column, counts, likeliest, carried } = self.report;
        match self.why {
            Some(why) => f.write_str(&self.report.because(why))?,
            None if counts.linked > 0 => write!(f, "{column} is in no image yet, only in what changes set")?,
            None => write!(f, "no message has shown a contact with a user in {column} yet")?,
        }
        write!(f, "; looked at {} changes that needed it", counts.looked_at)?;
        if counts.looked_at > 0 {
            write!(f, " ({})", self.report.looked())?;
        }
        let names: Vec<_> = carried.iter().take(TOLD).map(|name| &**name).collect();
        if !names.is_empty() {
            write!(f, "; the messages carry {}", names.join(", "))?;
        }
        if carried.len() > TOLD {
            write!(f, " and {} more", carried.len() - TOLD)?;
        }
        let about_images = self.why.is_some_and(Why::is_about_images) || counts.linked > 0;
        match likeliest {
            Some(other) if !about_images => {
                write!(f, "; the likeliest link is {other}: set mapping.link_column = \"{other}\"")
            }
            _ => Ok(()),
        }
    }
}
