//! An entry that changes the status of an entity and nothing else.
//!
//! An update replaces the whole description: what it leaves out goes back to its default. So the service's own words are sent
//! back, in its order, which counts, with another status.

use quick_xml::{
    Reader, Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

use super::xml::Unusable;

/// What the service counts and notes by itself, and is not told.
const TOLD_ONLY: [&str; 6] =
    ["SizeInBytes", "MessageCount", "CountDetails", "CreatedAt", "UpdatedAt", "AccessedAt"];
const STATUS: &str = "Status";
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// The entry to send back so that the entity which `text` describes gets this status.
pub(super) fn with_status(text: &str, status: &str) -> Result<Vec<u8>, Unusable> {
    let broken = |_| Unusable::Broken("it is not well-formed XML");
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new(Vec::new());
    write(&mut writer, Event::Start(BytesStart::new("entry").with_attributes([("xmlns", ATOM)])))?;
    write(
        &mut writer,
        Event::Start(BytesStart::new("content").with_attributes([("type", "application/xml")])),
    )?;
    let mut kept = Kept::default();
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Eof => break,
            // A document type could define entities that grow without bound; the service sends none.
            Event::DocType(_) => return Err(Unusable::Broken("it has a document type")),
            event => kept.take(event, status, &mut writer)?,
        }
    }
    match (kept.depth, kept.described, kept.changed) {
        (0, true, true) => {}
        (0, true, false) => return Err(Unusable::Broken("it tells no status")),
        (0, false, _) => return Err(Unusable::Empty),
        _ => return Err(Unusable::Broken("it breaks off")),
    }
    write(&mut writer, Event::End(BytesEnd::new("content")))?;
    write(&mut writer, Event::End(BytesEnd::new("entry")))?;
    Ok(writer.into_inner())
}

fn write(writer: &mut Writer<Vec<u8>>, event: Event<'_>) -> Result<(), Unusable> {
    writer.write_event(event).map_err(|_| Unusable::Broken("it cannot be written again"))
}

/// How far into the description the reader is.
#[derive(Default)]
struct Kept {
    /// Open elements from the description on.
    depth: usize,
    /// The depth of the element that is left out, while one is.
    left_out: Option<usize>,
    described: bool,
    changed: bool,
}

impl Kept {
    fn take(&mut self, event: Event<'_>, status: &str, writer: &mut Writer<Vec<u8>>) -> Result<(), Unusable> {
        match event {
            Event::Start(start) => self.open(start, status, writer),
            Event::End(end) => self.close(end, writer),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => Ok(()),
            event if self.depth > 0 && self.left_out.is_none() => write(writer, event),
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        start: BytesStart<'_>,
        status: &str,
        writer: &mut Writer<Vec<u8>>,
    ) -> Result<(), Unusable> {
        let name: &str = start.local_name().into_inner();
        let describes = matches!(name, "QueueDescription" | "SubscriptionDescription");
        let (is_status, told_only) = (name == STATUS, TOLD_ONLY.contains(&name));
        if self.depth == 0 && !describes {
            return Ok(());
        }
        self.described = true;
        self.depth += 1;
        if self.left_out.is_some() {
            return Ok(());
        }
        let own = self.depth == 2;
        if own && told_only {
            self.left_out = Some(self.depth);
            return Ok(());
        }
        write(writer, Event::Start(start))?;
        if own && is_status {
            self.changed = true;
            write(writer, Event::Text(BytesText::new(status)))?;
            self.left_out = Some(self.depth);
        }
        Ok(())
    }

    fn close(&mut self, end: BytesEnd<'_>, writer: &mut Writer<Vec<u8>>) -> Result<(), Unusable> {
        if self.depth == 0 {
            return Ok(());
        }
        let left_out = self.left_out;
        if left_out == Some(self.depth) {
            self.left_out = None;
        }
        self.depth -= 1;
        // The end of the status is written, as its start was; that of what is only told is not.
        let name: &str = end.local_name().into_inner();
        match left_out {
            Some(depth) if depth == self.depth + 1 && name == STATUS => write(writer, Event::End(end)),
            Some(_) => Ok(()),
            None => write(writer, Event::End(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "<?xml version=\"1.0\"?><entry xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">contacts</title>\
        <content type=\"application/xml\"><QueueDescription xmlns=\"x\" xmlns:i=\"y\"><LockDuration>PT1M</LockDuration>\
        <AuthorizationRules><AuthorizationRule i:type=\"Sas\"><Status>kept</Status><KeyName>a&amp;b</KeyName></AuthorizationRule></AuthorizationRules>\
        <SizeInBytes>9</SizeInBytes><Status>Active</Status><UserMetadata/><CountDetails><d:ActiveMessageCount xmlns:d=\"z\">7</d:ActiveMessageCount></CountDetails>\
        <CreatedAt>2026-01-01T00:00:00Z</CreatedAt><AutoDeleteOnIdle>P1D</AutoDeleteOnIdle></QueueDescription></content></entry>";

    #[test]
    fn everything_is_sent_back_but_the_status_and_what_the_service_counts_itself() {
        let entry = with_status(ENTRY, "ReceiveDisabled").expect("an entry");
        let expected = "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
            <QueueDescription xmlns=\"x\" xmlns:i=\"y\"><LockDuration>PT1M</LockDuration><AuthorizationRules>\
            <AuthorizationRule i:type=\"Sas\"><Status>kept</Status><KeyName>a&amp;b</KeyName></AuthorizationRule></AuthorizationRules>\
            <Status>ReceiveDisabled</Status><UserMetadata/><AutoDeleteOnIdle>P1D</AutoDeleteOnIdle></QueueDescription></content></entry>";
        assert_eq!(String::from_utf8(entry).expect("text"), expected);
    }

    #[test]
    fn what_is_not_a_description_is_never_sent_back() {
        assert_eq!(with_status("<feed/>", "Active"), Err(Unusable::Empty));
        for text in [
            "<a><b></a>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
            "<QueueDescription><Status>Active</Status>",
            "<QueueDescription><LockDuration>PT1M</LockDuration></QueueDescription>",
        ] {
            assert!(matches!(with_status(text, "Active"), Err(Unusable::Broken(_))), "{text}");
        }
        for cut in 0..ENTRY.len() {
            let cut = &ENTRY[..cut];
            assert!(
                with_status(cut, "Active").is_err()
                    || cut.ends_with("</QueueDescription>")
                    || cut.contains("</content>"),
                "{cut}"
            );
        }
    }
}
