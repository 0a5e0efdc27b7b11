//! A text with columns in it: `{firstname} {lastname}`.

use std::fmt;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Column(Box<str>),
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace is alone.
    #[error("a brace at character {0} has no partner; write a column as {{firstname}}")]
    Unbalanced(usize),
    /// What stands between braces is no name of a column.
    #[error("{{{0}}} is not the logical name of a column (lower-case letters, digits and _)")]
    NotAColumn(Box<str>),
}

impl Template {
    /// Parses it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + open;
            let unbalanced = TemplateError::Unbalanced(text[..at].chars().count() + 1);
            if rest[open..].starts_with('}') {
                return Err(unbalanced);
            }
            let Some(length) = rest[open..].find('}') else { return Err(unbalanced) };
            let name = &rest[open + 1..open + length];
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                return Err(TemplateError::NotAColumn(name.into()));
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].into()));
            }
            parts.push(Part::Column(name.into()));
            rest = &rest[open + length + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts))
    }

    /// The columns in it, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Column(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// The text, with the columns' values put in. Empty columns leave no double or outer blanks behind.
    /// `None` if every column is empty.
    pub(super) fn fill<E>(
        &self,
        mut value: impl FnMut(&str) -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        let (mut text, mut filled) = (String::new(), false);
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Column(name) => {
                    if let Some(value) = value(name)? {
                        filled = true;
                        text.push_str(&value);
                    }
                }
            }
        }
        Ok(filled.then(|| text.split_whitespace().collect::<Vec<_>>().join(" ")))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Column(name) => write!(f, "{{{name}}}"),
        })
    }
}
