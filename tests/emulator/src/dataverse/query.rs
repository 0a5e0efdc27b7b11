//! The options of a query, held against the table that is asked.

use super::{
    call::Call,
    filter::{self, Judge},
    refusal::Refusal,
    schema::{self, Collection, Column, Table},
};

/// The raw options of a URL, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options(Vec<(String, String)>);

/// The options that a list understands.
const KNOWN: [&str; 8] =
    ["$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken", "$deltatoken"];

/// More rows are never on one page.
pub(crate) const LARGEST_PAGE: usize = 5000;

impl Options {
    /// The options of a call; `+` is a blank, and `$` may come as `%24`.
    pub(crate) fn of(call: &Call) -> Self {
        let query = call.uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// Everything but the option that says where to go on, to tell one query from another.
    pub(crate) fn fingerprint(&self) -> String {
        let kept = self.0.iter().filter(|(key, _)| key != "$skiptoken");
        kept.map(|(key, value)| format!("{key}={value}&")).collect()
    }

    /// Refuses what Dataverse does not have, `$skip` above all.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let unknown = self.0.iter().find(|(key, _)| key.starts_with('$') && !KNOWN.contains(&key.as_str()));
        match unknown {
            Some((key, _)) => Err(Refusal::query(format!("The query parameter {key} is not supported"))),
            None => Ok(()),
        }
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

/// What follows a navigation.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    One(&'static Column, &'static Table),
    Many(&'static Collection, &'static Table),
}

/// One navigation of `$expand`, with the columns wanted behind it.
#[derive(Clone, Debug)]
pub(crate) struct Expansion {
    pub(crate) name: String,
    pub(crate) way: Way,
    pub(crate) selected: Option<Vec<&'static Column>>,
}

/// A query that makes sense for its table.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) table: &'static Table,
    pub(crate) selected: Option<Vec<&'static Column>>,
    pub(crate) filter: Option<Judge>,
    /// Columns, and whether the order is from high to low.
    pub(crate) order: Vec<(&'static Column, bool)>,
    pub(crate) top: Option<usize>,
    pub(crate) count: bool,
    pub(crate) expanded: Vec<Expansion>,
}

impl Query {
    /// Understands the options. `may_filter` refuses columns that this caller must not ask about.
    pub(crate) fn new(
        table: &'static Table,
        options: &Options,
        may_filter: &dyn Fn(&Column) -> Result<(), Refusal>,
    ) -> Result<Self, Refusal> {
        options.check()?;
        let alias = |name: &str| options.get(name).map(str::to_owned);
        let filter = match options.get("$filter") {
            None => None,
            Some(text) => Some(Judge::new(filter::parse(text, &alias)?, table, may_filter)?),
        };
        let order = options.get("$orderby").map(|text| order(table, text)).transpose()?;
        let number = |text: &str| {
            text.parse::<usize>().map_err(|_| Refusal::query(format!("Invalid value '{text}' for $top.")))
        };
        Ok(Self {
            table,
            selected: options.get("$select").map(|text| select(table, text)).transpose()?,
            filter,
            order: order.unwrap_or_default(),
            top: options.get("$top").map(number).transpose()?,
            count: options.is_true("$count"),
            expanded: options.get("$expand").map(|text| expand(table, text)).transpose()?.unwrap_or_default(),
        })
    }
}

fn select(table: &'static Table, text: &str) -> Result<Vec<&'static Column>, Refusal> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| table.property(name).ok_or_else(|| Refusal::unknown_property(table.name, name)))
        .collect()
}

fn order(table: &'static Table, text: &str) -> Result<Vec<(&'static Column, bool)>, Refusal> {
    let one = |text: &str| {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let column = table.property(name).ok_or_else(|| Refusal::unknown_property(table.name, name))?;
        match (words.next(), words.next()) {
            (None | Some("asc"), None) => Ok((column, false)),
            (Some("desc"), None) => Ok((column, true)),
            _ => Err(Refusal::query(format!("Syntax error in the order '{text}'."))),
        }
    };
    text.split(',').map(one).collect()
}

/// Commas inside brackets belong to the navigation before them.
fn expand(table: &'static Table, text: &str) -> Result<Vec<Expansion>, Refusal> {
    let (mut depth, mut pieces) = (0_u32, vec![String::new()]);
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                pieces.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces.iter().map(|piece| expansion(table, piece.trim())).collect()
}

fn expansion(table: &'static Table, text: &str) -> Result<Expansion, Refusal> {
    let inside = text.strip_suffix(')').and_then(|rest| rest.split_once('('));
    let (name, options) = inside.unwrap_or((text, ""));
    let unknown = || Refusal::unknown_property(table.name, name);
    let way = if let Some((column, to)) = table.navigation(name) {
        Way::One(column, schema::table(to).ok_or_else(unknown)?)
    } else {
        let collection = table.collection(name).ok_or_else(unknown)?;
        Way::Many(collection, schema::table(collection.table).ok_or_else(unknown)?)
    };
    let to = match way {
        Way::One(_, to) | Way::Many(_, to) => to,
    };
    let mut selected = None;
    for option in options.split(';').filter(|option| !option.trim().is_empty()) {
        match option.trim().split_once('=') {
            Some(("$select", columns)) => selected = Some(select(to, columns)?),
            _ => {
                return Err(Refusal::query(format!(
                    "The option '{option}' is not supported inside $expand."
                )));
            }
        }
    }
    Ok(Expansion { name: name.to_owned(), way, selected })
}
