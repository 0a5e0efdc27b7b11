//! `multipart/mixed`: a batch on the wire. Lines may end in LF on the way in; they end in CRLF on the way out.

use hyper::{
    Method, Uri,
    header::{HeaderMap, HeaderName, HeaderValue},
};

/// One part.
#[derive(Debug)]
pub(crate) enum Part {
    One(Item),
    ChangeSet(Vec<Item>),
}

/// A request inside a batch.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: Option<String>,
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The boundary of a content type, quoted or not.
pub(crate) fn boundary(mime: &str) -> Option<String> {
    let (kind, parameters) = mime.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let find = |one: &str| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    };
    parameters.split(';').find_map(find).filter(|boundary| !boundary.is_empty())
}

/// Takes a batch apart, or says what is wrong with it.
pub(crate) fn parse(body: &str, boundary: &str) -> Result<Vec<Part>, String> {
    let text = body.replace("\r\n", "\n");
    let pieces = pieces(&text, boundary)?;
    pieces.iter().map(|piece| part(piece)).collect()
}

/// The texts between the delimiters, up to the closing one.
fn pieces(text: &str, boundary: &str) -> Result<Vec<String>, String> {
    let (open, close) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut pieces: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.split('\n') {
        if line.trim_end() == close {
            return Ok(pieces);
        }
        if line.trim_end() == open {
            pieces.push(String::new());
            inside = true;
        } else if inside && let Some(piece) = pieces.last_mut() {
            piece.push_str(line);
            piece.push('\n');
        }
    }
    Err(format!("The closing delimiter of '{boundary}' is missing."))
}

fn part(piece: &str) -> Result<Part, String> {
    let (headers, body) = split(piece);
    let mime = value(&headers, "content-type").unwrap_or_default();
    if let Some(inner) = boundary(mime) {
        let items = pieces(body, &inner)?;
        let items = items.iter().map(|piece| item(piece)).collect::<Result<_, _>>()?;
        return Ok(Part::ChangeSet(items));
    }
    item(piece).map(Part::One)
}

fn item(piece: &str) -> Result<Item, String> {
    let (outer, request) = split(piece);
    let mime = value(&outer, "content-type").unwrap_or_default();
    if !mime.trim().to_ascii_lowercase().starts_with("application/http") {
        return Err(format!("A part has the content type '{mime}' in place of application/http."));
    }
    let request = request.trim_start_matches('\n');
    let (first, rest) = request.split_once('\n').unwrap_or((request, ""));
    let mut words = first.split_whitespace();
    let method = words.next().and_then(|method| method.parse().ok());
    let (Some(method), Some(target)) = (method, words.next()) else {
        return Err(format!("'{first}' is no request line."));
    };
    let (lines, body) = split(rest);
    let mut headers = HeaderMap::new();
    for (name, value) in &lines {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let id = value(&outer, "content-id").map(str::to_owned);
    Ok(Item { id, method, target: target.to_owned(), headers, body: body.trim().to_owned() })
}

type Lines<'a> = Vec<(&'a str, &'a str)>;

/// Header lines, and what follows the first empty line.
fn split(text: &str) -> (Lines<'_>, &str) {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            lines.push((name.trim(), value.trim()));
        }
    }
    (lines, rest)
}

fn value<'a>(lines: &Lines<'a>, name: &str) -> Option<&'a str> {
    lines.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

impl Item {
    /// The URL to carry out: absolute, from the root of the host, or relative to the root of the Web API.
    pub(crate) fn uri(&self, root_path: &str, reference: Option<&str>) -> Result<Uri, String> {
        let target = reference.unwrap_or(&self.target);
        let target = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/")).to_owned(),
            None if target.starts_with("/api/") => target.to_owned(),
            None => format!("{root_path}/{}", target.trim_start_matches('/')),
        };
        target.parse().map_err(|_| format!("'{}' is no URL.", self.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_line_and_both_forms_of_boundary_are_read() {
        for end in ["\r\n", "\n"] {
            let lines = [
                "",
                "--b",
                "Content-Type: application/http",
                "",
                "GET contacts?$top=1 HTTP/1.1",
                "Accept: application/json",
                "",
                "",
                "--b",
                "Content-Type: multipart/mixed; boundary=\"c\"",
                "",
                "--c",
                "Content-Type: application/http",
                "Content-ID: 1",
                "",
                "POST /api/data/v9.2/contacts HTTP/1.1",
                "",
                "{}",
                "--c--",
                "",
                "--b--",
                "",
            ];
            let parts = parse(&lines.join(end), "b").unwrap();
            let [Part::One(get), Part::ChangeSet(set)] = parts.as_slice() else { panic!("{parts:?}") };
            assert_eq!((get.method.as_str(), get.body.as_str()), ("GET", ""));
            assert_eq!(get.uri("/api/data/v9.2", None).unwrap(), "/api/data/v9.2/contacts?$top=1");
            assert_eq!((set[0].id.as_deref(), set[0].body.as_str()), (Some("1"), "{}"));
        }
        assert_eq!(boundary("multipart/mixed; boundary=\"a\"").as_deref(), Some("a"));
        assert_eq!(boundary("multipart/mixed;boundary=a; charset=utf-8").as_deref(), Some("a"));
        assert_eq!(boundary("application/json"), None);
    }

    #[test]
    fn a_batch_without_its_end_is_refused() {
        assert!(parse("--b\nContent-Type: application/http\n\nGET x HTTP/1.1\n", "b").is_err());
    }
}
