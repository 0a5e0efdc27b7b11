//! Messages on a line each, as they are come upon: a queue of any length is listed in little memory.

use std::fmt::Display;

use jiff::Timestamp;
use shared::ids::SequenceNumber;

/// What stands above the first line: number, time, columns of ids, and what the line ends with.
pub(super) fn heading(ids: &[&str], last: &str) -> String {
    format!("Number  Since (UTC)       {}{last}\n", columns(ids))
}

/// A message.
pub(super) fn row<I: AsRef<str>>(
    number: SequenceNumber,
    since: Option<Timestamp>,
    ids: &[I],
    last: &str,
) -> String {
    let since = since.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    format!("{:>6}  {since:16}  {}{last}\n", number.0, columns(ids))
}

/// The only one of a message, or how many of that name there are.
pub(super) fn only<T: Display>(ids: &[T], many: &str) -> String {
    match ids {
        [] => "?".to_owned(),
        [one] => one.to_string(),
        several => format!("{} {many}", several.len()),
    }
}

fn columns<I: AsRef<str>>(ids: &[I]) -> String {
    ids.iter().fold(String::new(), |text, id| format!("{text}{:36}  ", id.as_ref()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn columns_stand_below_their_headings_and_fit_a_narrow_terminal() {
        let id = Uuid::from_u128(7);
        let heading = heading(&["Contact"], "What");
        let since = Timestamp::from_second(1_800_000_000).ok();
        let row = row(SequenceNumber(20), since, &[only(&[id], "contacts")], "jobTitle blanked");
        assert_eq!(heading.find("What"), row.find("jobTitle"));
        assert_eq!(heading.find("Contact"), row.find("00000000"));
        assert_eq!(row, format!("    20  2027-01-15 08:00  {id}  jobTitle blanked\n"));
        assert!(row.trim_end().chars().count() <= 80, "{row}");
        assert_eq!(
            (only::<Uuid>(&[], "contacts"), only(&[id, id], "contacts")),
            ("?".into(), "2 contacts".into())
        );
    }
}
