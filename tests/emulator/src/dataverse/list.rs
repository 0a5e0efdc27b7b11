//! Lists: filtered, ordered, counted, page by page; and what changed since a token.

use std::{cmp::Ordering, ops::Bound};

use hyper::StatusCode;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{
    access::{Depth, Verb},
    paging::{Place, encode},
    present::context_columns,
    query::{LARGEST_PAGE, Query},
    refusal::Refusal,
    reply::Reply,
    schema::{Column, Table},
    state::{Asked, State, second},
    tracking::{Change, Token, changes},
    value::{Row, Value},
};
use crate::clock;

/// Counts end here.
const LARGEST_COUNT: usize = 5000;

/// What a page has to say beside its rows.
struct Page {
    context: String,
    rows: Vec<Json>,
    next: Option<(Uuid, Place)>,
    delta: Option<Token>,
    count: Option<usize>,
}

impl State {
    pub(crate) fn list(&mut self, asked: &Asked<'_>, table: &'static Table) -> Result<Reply, Refusal> {
        let query = Query::new(table, &asked.options, &|column| asked.access.may_filter(table.name, column))?;
        let depth = asked.access.may(Verb::Read, table)?;
        let delta = asked.options.get("$deltatoken");
        let tracks = asked.preferences.track_changes || delta.is_some();
        if tracks {
            check_tracked(asked)?;
            asked.access.may_everywhere(Verb::Read, table)?;
        }
        let key = (table.set.to_owned() + "?") + &asked.options.fingerprint();
        let place =
            asked.options.get("$skiptoken").map(|cookie| self.cookies.look_up(&key, cookie)).transpose()?;
        let page = match delta {
            Some(text) => self.delta(asked, &query, text, place)?,
            None => self.page(asked, &query, depth, place, tracks)?,
        };
        let mut body = Map::new();
        body.insert("@odata.context".to_owned(), json!(page.context));
        if let Some(count) = page.count {
            body.insert("@odata.count".to_owned(), json!(count.min(LARGEST_COUNT)));
        }
        if asked.preferences.wants("Microsoft.Dynamics.CRM.totalrecordcount") {
            let total = page.count.map_or(json!(-1), |count| json!(count.min(LARGEST_COUNT)));
            body.insert("@Microsoft.Dynamics.CRM.totalrecordcount".to_owned(), total);
            let over = page.count.is_some_and(|count| count > LARGEST_COUNT);
            body.insert("@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded".to_owned(), json!(over));
        }
        let rows = page.rows.len();
        body.insert("value".to_owned(), Json::Array(page.rows));
        if let Some((first, place)) = page.next {
            let cookie = self.cookies.issue(&key, table.key, first, place);
            body.insert("@odata.nextLink".to_owned(), json!(next_link(asked, table, &cookie)));
        }
        if let Some(token) = page.delta.filter(|_| self.is_tracked(table)) {
            body.insert("@odata.deltaLink".to_owned(), json!(delta_link(asked, table, token)));
        }
        let mut reply = Reply::json(StatusCode::OK, body.into());
        reply.rows = rows;
        let applied = applied(asked);
        Ok(if applied.is_empty() { reply } else { reply.with("preference-applied", &applied) })
    }

    fn page(
        &self,
        asked: &Asked<'_>,
        query: &Query,
        depth: Depth,
        place: Option<Place>,
        tracks: bool,
    ) -> Result<Page, Refusal> {
        let table = query.table;
        let wanted = |row: &Row| {
            query.filter.as_ref().is_none_or(|filter| filter.takes(row))
                && asked.access.reaches(depth, table, row, &self.store)
        };
        let size = asked.preferences.page_size.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
        // Documented: with a page size, `$top` is passed over.
        let top = query.top.filter(|_| asked.preferences.page_size.is_none());
        let size = top.map_or(size, |top| top.min(size));
        let count = query.count.then(|| self.store.rows(table.name).filter(|(_, row)| wanted(row)).count());
        let found: Vec<(&Uuid, &Row)> = if query.order.is_empty() {
            let from = place.map_or(Bound::Unbounded, |place| Bound::Excluded(place.last));
            let rows = self.store.tables.get(table.name);
            let rows = rows.into_iter().flat_map(|rows| rows.range((from, Bound::Unbounded)));
            rows.filter(|(_, row)| wanted(row)).take(size + 1).collect()
        } else {
            let mut rows: Vec<_> = self.store.rows(table.name).filter(|(_, row)| wanted(row)).collect();
            rows.sort_by(|left, right| order(&query.order, left.1, right.1));
            let skipped = place.map_or(0, |place| place.skipped);
            rows.into_iter().skip(skipped).take(size + 1).collect()
        };
        let more = found.len() > size && top.is_none();
        let shown = found.get(..size.min(found.len())).unwrap_or_default();
        let rows = shown
            .iter()
            .map(|(_, row)| self.eye(asked).row(table, row, query.selected.as_deref(), &query.expanded))
            .map(|row| row.map(Json::from));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let since = tracks.then(|| place.and_then(|place| place.since).unwrap_or(self.store.version()));
        let next = match (more, shown.first(), shown.last()) {
            (true, Some((first, _)), Some((last, _))) => {
                let skipped = place.map_or(0, |place| place.skipped) + shown.len();
                let page = place.map_or(1, |place| place.page) + 1;
                Some((**first, Place { page, skipped, last: **last, after: None, since }))
            }
            _ => None,
        };
        let delta = since.filter(|_| next.is_none()).map(token_at);
        Ok(Page { context: context(asked, query, ""), rows, next, delta, count })
    }

    /// What changed since a token, page by page.
    fn delta(
        &self,
        asked: &Asked<'_>,
        query: &Query,
        text: &str,
        place: Option<Place>,
    ) -> Result<Page, Refusal> {
        let table = query.table;
        let token = Token::parse(text)?;
        token.check(self.token_days(), self.forgotten, clock::now())?;
        let size = asked.preferences.page_size.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
        let changes = changes(&self.store, table.name, token.version);
        let after = place.and_then(|place| place.after);
        let left: Vec<_> =
            changes.into_iter().filter(|(at, _)| after.is_none_or(|after| *at > after)).collect();
        let since = place.and_then(|place| place.since).unwrap_or(self.store.version());
        let mut rows = Vec::new();
        for (_, change) in left.iter().take(size) {
            rows.push(match change {
                Change::Row(_, row) => {
                    self.eye(asked).row(table, row, query.selected.as_deref(), &[])?.into()
                }
                Change::Gone(id) => json!({
                    "@odata.context": format!("{}/$metadata#{}/$deletedEntity", asked.call.root(), table.set),
                    "id": id, "reason": "deleted",
                }),
            });
        }
        let id = |change: &Change<'_>| match change {
            Change::Row(id, _) | Change::Gone(id) => *id,
        };
        let next = match (left.len() > size, left.first(), left.get(size.saturating_sub(1))) {
            (true, Some((_, first)), Some((at, last))) => {
                let page = place.map_or(1, |place| place.page) + 1;
                let place = Place { page, skipped: 0, last: id(last), after: Some(*at), since: Some(since) };
                Some((id(first), place))
            }
            _ => None,
        };
        let delta = next.is_none().then(|| token_at(since));
        Ok(Page { context: context(asked, query, "/$delta"), rows, next, delta, count: None })
    }

    /// `set/$count`: a bare number, behind the mark of UTF-8 that the real service sends.
    pub(crate) fn count(&self, asked: &Asked<'_>, table: &'static Table) -> Result<Reply, Refusal> {
        let query = Query::new(table, &asked.options, &|column| asked.access.may_filter(table.name, column))?;
        let depth = asked.access.may(Verb::Read, table)?;
        let number = match asked.options.get("$deltatoken") {
            Some(text) => {
                let token = Token::parse(text)?;
                token.check(self.token_days(), self.forgotten, clock::now())?;
                changes(&self.store, table.name, token.version).len()
            }
            None => {
                let wanted = |row: &Row| query.filter.as_ref().is_none_or(|filter| filter.takes(row));
                let rows = self.store.rows(table.name).filter(|(_, row)| wanted(row));
                rows.filter(|(_, row)| asked.access.reaches(depth, table, row, &self.store)).count()
            }
        };
        Ok(Reply::text(StatusCode::OK, "text/plain", format!("\u{feff}{}", number.min(LARGEST_COUNT))))
    }
}

fn token_at(version: i64) -> Token {
    Token { version, taken: second(clock::now()) }
}

fn context(asked: &Asked<'_>, query: &Query, end: &str) -> String {
    let columns = context_columns(query.selected.as_deref(), &query.expanded);
    format!("{}/$metadata#{}{columns}{end}", asked.call.root(), query.table.set)
}

/// What cannot be combined with change tracking.
fn check_tracked(asked: &Asked<'_>) -> Result<(), Refusal> {
    for name in ["filter", "orderby", "expand", "top"] {
        if asked.options.get(&format!("${name}")).is_some() {
            let message =
                format!("The \"{name}\" query parameter isn't supported when Change Tracking is enabled.");
            return Err(Refusal::query(message));
        }
    }
    Ok(())
}

fn applied(asked: &Asked<'_>) -> String {
    let preferences = &asked.preferences;
    let mut applied = Vec::new();
    if let Some(size) = preferences.page_size {
        applied.push(format!("odata.maxpagesize={size}"));
    }
    if preferences.track_changes {
        applied.push("odata.track-changes".to_owned());
    }
    if let Some(annotations) = &preferences.annotations {
        applied.push(format!("odata.include-annotations=\"{annotations}\""));
    }
    applied.join(",")
}

/// The options of the request as they came, without some.
fn kept_query(asked: &Asked<'_>, without: &[&str]) -> String {
    let query = asked.call.uri.query().unwrap_or_default();
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().replace("%24", "$");
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !without.contains(&name(pair).as_str()));
    kept.map(|pair| format!("{pair}&")).collect()
}

fn next_link(asked: &Asked<'_>, table: &Table, cookie: &str) -> String {
    let kept = kept_query(asked, &["$skiptoken"]);
    format!("{}/{}?{kept}$skiptoken={}", asked.call.root(), table.set, encode(cookie))
}

fn delta_link(asked: &Asked<'_>, table: &Table, token: Token) -> String {
    let kept = kept_query(asked, &["$skiptoken", "$deltatoken", "$count"]);
    format!("{}/{}?{kept}$deltatoken={}", asked.call.root(), table.set, encode(&token.text()))
}

fn order(columns: &[(&'static Column, bool)], left: &Row, right: &Row) -> Ordering {
    for (column, down) in columns {
        let value = |row: &Row| row.get(column.name).cloned().unwrap_or(Value::Null);
        let order = compare(&value(left), &value(right));
        let order = if *down { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Nothing comes before everything; texts by their letters, whatever the case.
fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left) | Value::Choice(left), Value::Int(right) | Value::Choice(right)) => left.cmp(right),
        (Value::Long(left), Value::Long(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.to_lowercase().cmp(&right.to_lowercase()),
        (
            Value::Guid(left) | Value::Lookup { id: left, .. },
            Value::Guid(right) | Value::Lookup { id: right, .. },
        ) => left.cmp(right),
        (Value::Moment(left), Value::Moment(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}
