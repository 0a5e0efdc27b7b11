//! Why a body could not be decoded, and where.

use std::fmt;

/// A body that could not be decoded. Says where and what was expected, and never quotes the body: keys and
/// values alike can be personal data, so the path is made of contract names and positions only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}{}{path}", At(*offset))]
pub struct Error {
    /// What is wrong.
    pub problem: DecodeProblem,
    /// Where in the body, in bytes from its start; inside a wrapper, from the start of what it wraps. `None` if the
    /// body was read to its end and then found wanting.
    pub offset: Option<usize>,
    /// The members and items that lead there.
    pub path: Path,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// There is nothing to decode.
    #[error("body is empty")]
    Empty,
    /// The first bytes belong to none of the three formats.
    #[error("body is neither JSON nor XML nor .NET binary XML")]
    UnknownFormat,
    /// Something else than the contract asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The body ends inside of something.
    #[error("body ends too early")]
    Truncated,
    /// There is more after the document.
    #[error("body goes on after the end of the document")]
    Trailing,
    /// Bytes that are no text in the encoding of the format.
    #[error("text is not valid {0}")]
    Encoding(&'static str),
    /// A contract member occurs twice.
    #[error("member is given twice")]
    Duplicate,
    /// What every event must carry is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Two places that must name the same record name different ones.
    #[error("PrimaryEntityId and the target name different records")]
    IdsDisagree,
    /// XML with a document type declaration.
    #[error("document type declarations are refused")]
    Doctype,
    /// A prefix that no declaration in scope binds.
    #[error("namespace prefix is not declared")]
    UnboundPrefix,
    /// Binary XML that refers to a string table, which Dataverse does not use.
    #[error("dictionary string {0} is used, but no dictionary was agreed")]
    Dictionary(u32),
    /// One of the limits of [`limits`](super::limits) was reached.
    #[error("more than {limit} {what}")]
    Limit {
        /// What there was too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// A member of the contract.
    Member(&'static str),
    /// An item of a list, counted from zero.
    Item(usize),
}

/// The way from the root of a document to a place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Innermost step first, because errors collect it on their way out.
    steps: Vec<PathStep>,
}

impl Path {
    /// The steps from the root inwards.
    pub fn steps(&self) -> impl Iterator<Item = PathStep> + '_ {
        self.steps.iter().rev().copied()
    }
}

/// An offset in an error text.
struct At(Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |offset| write!(f, " at byte {offset}"))
    }
}

/// How many steps of a long path are shown at either end.
const SHOWN: usize = 6;

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = SHOWN..self.steps.len().saturating_sub(SHOWN);
        for (position, step) in self.steps().enumerate() {
            if hidden.contains(&position) {
                if position == SHOWN {
                    f.write_str("…")?;
                }
                continue;
            }
            match (position, step) {
                (0, PathStep::Member(name)) => write!(f, " in {name}")?,
                (_, PathStep::Member(name)) => write!(f, ".{name}")?,
                (0, PathStep::Item(index)) => write!(f, " in [{index}]")?,
                (_, PathStep::Item(index)) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Error {
    /// A problem at a place whose path is not known yet.
    pub(super) fn new(problem: DecodeProblem, offset: usize) -> Self {
        Self { problem, offset: Some(offset), path: Path::default() }
    }

    /// A problem of the document as a whole.
    pub(super) fn of_document(problem: DecodeProblem) -> Self {
        Self { problem, offset: None, path: Path::default() }
    }

    /// Puts one step in front of the path, on the way out of a member or an item.
    #[must_use]
    pub(super) fn inside(mut self, step: PathStep) -> Self {
        self.path.steps.push(step);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_a_fragment_that_leads_to_the_place() {
        let error = Error::new(DecodeProblem::Expected("a GUID"), 812)
            .inside(PathStep::Member("Id"))
            .inside(PathStep::Member("value"))
            .inside(PathStep::Item(3))
            .inside(PathStep::Member("InputParameters"));
        assert_eq!(error.to_string(), "expected a GUID at byte 812 in InputParameters[3].value.Id");
    }

    #[test]
    fn an_error_at_the_root_has_no_path() {
        assert_eq!(
            Error::new(DecodeProblem::Trailing, 7).to_string(),
            format!("{} at byte 7", DecodeProblem::Trailing)
        );
        assert_eq!(
            Error::of_document(DecodeProblem::Missing("MessageName")).to_string(),
            "MessageName is missing"
        );
    }

    #[test]
    fn a_very_long_path_is_shortened_in_the_middle() {
        let error = (0..90)
            .fold(Error::of_document(DecodeProblem::Truncated), |error, _| error.inside(PathStep::Item(1)));
        assert_eq!(error.to_string(), format!("body ends too early in {0}…{0}", "[1]".repeat(6)));
    }
}
