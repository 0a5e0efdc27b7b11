//! The Atom entry around a description, taken apart into texts by name.

use std::collections::HashMap;

use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

/// The elements of a description by their names without prefix. Those of `CountDetails` stand beside the others;
/// what is deeper (authorization rules, a subscription's default rule) is left out.
pub(super) type Elements = HashMap<String, String>;

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A well-formed document without a description: the service's other way to say "not found".
    Empty,
    /// No XML that means anything to us.
    Broken(&'static str),
}

/// The elements whose children are read, by how deep they lie below the description.
const COUNTS: &str = "CountDetails";

/// Reads the description of a queue or subscription out of an entry.
pub(super) fn elements(text: &str) -> Result<Elements, Unusable> {
    let mut reader = Reader::from_str(text);
    let mut found = Elements::new();
    // Names of the open elements from the description on; empty outside it.
    let mut open: Vec<String> = Vec::new();
    let (mut described, mut any) = (false, false);
    loop {
        match reader.read_event().map_err(|_| Unusable::Broken("it is not well-formed XML"))? {
            Event::Start(start) => {
                any = true;
                let name: &str = start.local_name().into_inner();
                let description = matches!(name, "QueueDescription" | "SubscriptionDescription");
                described |= description;
                if description || !open.is_empty() {
                    open.push(name.to_owned());
                }
            }
            Event::End(_) => drop(open.pop()),
            Event::Empty(_) => any = true,
            Event::Text(text) => keep(&mut found, &open, &text),
            Event::CData(text) => keep(&mut found, &open, &text),
            Event::GeneralRef(reference) => keep(&mut found, &open, &resolve(&reference)?),
            // A document type could define entities that grow without bound; the service sends none.
            Event::DocType(_) => return Err(Unusable::Broken("it has a document type")),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match (described, any) {
        _ if !open.is_empty() => Err(Unusable::Broken("it breaks off")),
        (true, _) => Ok(found.into_iter().map(|(name, text)| (name, text.trim().to_owned())).collect()),
        (false, true) => Err(Unusable::Empty),
        (false, false) => Err(Unusable::Broken("it is not XML")),
    }
}

fn keep(found: &mut Elements, open: &[String], text: &str) {
    let name = match open {
        [_, name] => name,
        [_, parent, name] if parent == COUNTS => name,
        _ => return,
    };
    found.entry(name.clone()).or_default().push_str(text);
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, Unusable> {
    let broken = Unusable::Broken("it has an unknown entity");
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Ok(None) => quick_xml::escape::resolve_predefined_entity(reference).map(str::to_owned).ok_or(broken),
        Err(_) => Err(broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<entry xmlns="http://www.w3.org/2005/Atom"><title type="text">contacts</title><content type="application/xml">
  <QueueDescription xmlns="x" xmlns:i="y">
    <LockDuration>PT1M</LockDuration>
    <AuthorizationRules><AuthorizationRule><KeyName>Status</KeyName><Status>rule</Status></AuthorizationRule></AuthorizationRules>
    <Status>Active</Status><ForwardTo>https://ns/a&amp;b&#x63;</ForwardTo><UserMetadata/>
    <CountDetails xmlns:d="z"><d:ActiveMessageCount> 7 </d:ActiveMessageCount></CountDetails>
  </QueueDescription></content></entry>"#;

    #[test]
    fn elements_are_found_by_name_and_only_where_they_belong() {
        let found = elements(ENTRY).expect("an entry");
        let text = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(text("LockDuration"), Some("PT1M"));
        assert_eq!(text("ActiveMessageCount"), Some("7"));
        assert_eq!(text("Status"), Some("Active"));
        assert_eq!(text("ForwardTo"), Some("https://ns/a&bc"));
        assert_eq!(text("KeyName"), None);
        assert_eq!(text("title"), None);
    }

    #[test]
    fn a_feed_without_entries_says_that_there_is_no_such_thing() {
        let feed = "<feed xmlns='http://www.w3.org/2005/Atom'><title>Publicly Listed Services</title></feed>";
        assert_eq!(elements(feed), Err(Unusable::Empty));
    }

    #[test]
    fn what_is_not_an_entry_is_refused_and_never_read_halfway() {
        for text in
            ["", "down for maintenance", "{\"a\":1}", "<a><b></a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"]
        {
            assert!(matches!(elements(text), Err(Unusable::Broken(_))), "{text}");
        }
        let cut = ENTRY.split_at(ENTRY.len() / 2).0;
        assert!(matches!(elements(cut), Err(Unusable::Broken(_))));
    }
}
