//! The address for password reset.

use shared::property::Property;

use super::{GOOD, check, parse_text};

/// What it follows with these settings, and whether a row writes it.
fn follows(text: &str) -> (Option<String>, bool) {
    let settings = parse_text(&format!("{GOOD}[mapping]\n{text}\n"), &[]);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    let follows = settings.reading().reset_follows;
    let rows = settings.planner.mapping.rows().iter();
    (follows.map(|property| property.to_string()), rows.filter(|row| row.property.is_reset()).count() == 1)
}

#[test]
fn it_follows_the_address_to_sign_in_with_else_mail_else_other_mails() {
    assert_eq!(follows(""), (None, false));
    for (text, followed) in [
        ("", "mail"),
        ("preset = \"b2c\"", Property::SIGN_IN),
        ("preset = \"external_id\"", Property::SIGN_IN),
        (
            "preset = \"custom\"\nrows = [{ column = \"e\", property = \"otherMails\", on_null = \"keep\" }]",
            "otherMails",
        ),
    ] {
        assert_eq!(
            follows(&format!("{text}\nreset_email = true")),
            (Some(followed.to_owned()), true),
            "{text}"
        );
    }
}

#[test]
fn it_needs_an_address_to_follow_and_has_no_row_of_its_own() {
    check(
        "[mapping]\nreset_email = true\npreset = \"custom\"\nrows = [{ column = \"a\", property = \"city\" }]\n",
        &[],
        &["mapping.reset_email: has no address to follow; map a column to signInEmail, mail or otherMails"],
    );
    check(
        "[mapping]\npreset = \"custom\"\nrows = [{ column = \"a\", property = \"resetEmail\", on_null = \"keep\" }]\n",
        &[],
        &["mapping.rows, entry 1: resetEmail has no row of its own; set mapping.reset_email = true"],
    );
}
