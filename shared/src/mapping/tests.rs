//! What each conversion and each rule makes of a value.

use super::*;
use crate::{
    change::ColumnValue,
    patch::{ListElement, PropertyValue},
};

fn row(property: &str, on_null: OnNull) -> MappingRow {
    let property = Property::named(property).expect("known");
    MappingRow { on_null, ..MappingRow::new(ValueSource::Column("column".into()), property) }
}

fn of<'v>(value: &'v ColumnValue) -> impl Fn(&str) -> Option<&'v ColumnValue> {
    move |_| Some(value)
}

#[track_caller]
fn check(property: &str, value: &ColumnValue, expected: &Result<Option<PropertyValue>, Invalid>) {
    let expected = expected.clone().map_err(RowError::Invalid);
    assert_eq!(row(property, OnNull::Keep).value(of(value)), expected);
}

#[track_caller]
fn check_converted(convert: &[Convert], property: &str, from: &str, expected: &str) {
    let row = MappingRow { convert: convert.to_vec(), ..row(property, OnNull::Keep) };
    assert_eq!(row.value(of(&text(from))), Ok(Some(PropertyValue::Text(expected.into()))));
}

fn text(text: &str) -> ColumnValue {
    ColumnValue::Text(text.into())
}

fn written(text: &str) -> PropertyValue {
    PropertyValue::Text(text.into())
}

#[test]
fn the_presets_are_valid() {
    for preset in [Mapping::preset_default(), Mapping::preset_b2c()] {
        assert_eq!(Mapping::new(preset.rows().to_vec()), Ok(preset));
    }
    let targets: Vec<_> =
        Mapping::preset_b2c().rows().iter().map(|row| row.property.name().to_owned()).collect();
    assert_eq!(targets, ["otherMails", "signInEmail", "givenName", "surname"]);
}

#[test]
fn a_value_in_the_form_of_its_property_is_taken_as_it_is() {
    check("givenName", &text("Zoë"), &Ok(Some(written("Zoë"))));
    check("mail", &text("ada@example.com"), &Ok(Some(written("ada@example.com"))));
    check("otherMails", &text("ada@example.com"), &Ok(Some(ListElement::of("ada@example.com").into())));
    check("businessPhones", &text("+90 212"), &Ok(Some(ListElement::of("+90 212").into())));
    check("accountEnabled", &ColumnValue::Bool(true), &Ok(Some(PropertyValue::Bool(true))));
    check(
        "jobTitle",
        &ColumnValue::Choice { value: 2, label: Some("Buyer".into()) },
        &Ok(Some(written("Buyer"))),
    );
    check("jobTitle", &ColumnValue::Choice { value: 2, label: None }, &Ok(Some(written("2"))));
    check("usageLocation", &text("TR"), &Ok(Some(written("TR"))));
    check("preferredLanguage", &text("tr-TR"), &Ok(Some(written("tr-TR"))));
    check("extension_0123456789abcdef0123456789abcdef_tier", &text("gold"), &Ok(Some(written("gold"))));
}

#[test]
fn a_value_that_graph_would_refuse_is_found_before_the_call() {
    check("givenName", &text(&"ö".repeat(65)), &Err(Invalid::TooLong { length: 65, max: 64 }));
    check("displayName", &text("<b>"), &Err(Invalid::Forbidden));
    check("mail", &text("adä@example.com"), &Err(Invalid::NotAnAddress));
    check("mail", &text("nobody"), &Err(Invalid::NotAnAddress));
    check("mail", &text("a b@example.com"), &Err(Invalid::NotAnAddress));
    check("otherMails", &text("a@b@c"), &Err(Invalid::NotAnAddress));
    let long = format!("{}@example.com", "x".repeat(60));
    check("signInEmail", &text(&long), &Err(Invalid::TooLong { length: 72, max: 64 }));
    check(
        "usageLocation",
        &text("Turkey"),
        &Err(Invalid::NotACode { expected: "a two-letter country code" }),
    );
    check("givenName", &ColumnValue::Bool(true), &Err(Invalid::WrongKind { found: "yes/no value" }));
    check("accountEnabled", &text("on"), &Err(Invalid::WrongType { expected: "true or false" }));
    check("givenName", &ColumnValue::Unsupported("record"), &Err(Invalid::WrongKind { found: "record" }));
}

#[test]
fn conversions_are_applied_in_order() {
    check_converted(&[Convert::Trim, Convert::Lower], "mail", " Ada@Example.COM ", "ada@example.com");
    check_converted(&[Convert::Upper], "givenName", "ada", "ADA");
    for country in ["tr", "TUR", "Turkey", " Germany", "de"] {
        let code = if country.contains(['t', 'T']) { "TR" } else { "DE" };
        check_converted(&[Convert::Country], "usageLocation", country, code);
    }
    let country = MappingRow { convert: vec![Convert::Country], ..row("usageLocation", OnNull::Keep) };
    let unknown = Err(RowError::Invalid(Invalid::NotACode { expected: "a country" }));
    assert_eq!(country.value(of(&text("Atlantis"))), unknown);
}

#[test]
fn an_emptied_column_clears_keeps_or_takes_the_default() {
    for empty in [ColumnValue::Null, text(""), text(" \t")] {
        assert_eq!(row("surname", OnNull::Clear).value(of(&empty)), Ok(Some(PropertyValue::Clear)));
        assert_eq!(row("surname", OnNull::Keep).value(of(&empty)), Ok(None));
        let default = row("displayName", OnNull::Default("Portal user".into()));
        assert_eq!(default.value(of(&empty)), Ok(Some(PropertyValue::Text("Portal user".into()))));
    }
}

#[test]
fn an_unfit_value_is_rejected_cut_or_skipped() {
    let long = text(&format!("{} y", "x".repeat(63)));
    let with = |on_invalid| MappingRow { on_invalid, ..row("givenName", OnNull::Clear) };
    assert_eq!(
        with(OnInvalid::Reject).value(of(&long)),
        Err(RowError::Invalid(Invalid::TooLong { length: 65, max: 64 }))
    );
    let cut = PropertyValue::Text("x".repeat(63).into());
    assert_eq!(with(OnInvalid::Truncate).value(of(&long)), Ok(Some(cut)), "no blank is left at the end");
    assert_eq!(with(OnInvalid::Skip).value(of(&long)), Ok(None));
}

#[test]
fn lengths_are_counted_in_utf16_units_and_a_cut_text_fits() {
    let emoji = |count| "\u{1f600}".repeat(count);
    let truncated = MappingRow { on_invalid: OnInvalid::Truncate, ..row("givenName", OnNull::Clear) };
    for (given, expected) in [
        (emoji(32), emoji(32)),
        (emoji(40), emoji(32)),
        (format!("a{}", emoji(40)), format!("a{}", emoji(31))),
        ("e\u{301}".repeat(40), "e\u{301}".repeat(32)),
        (format!("{}e\u{301}", "x".repeat(63)), "x".repeat(63)),
    ] {
        assert_eq!(truncated.value(of(&text(&given))), Ok(Some(written(&expected))));
    }
    check("givenName", &text(&emoji(33)), &Err(Invalid::TooLong { length: 66, max: 64 }));
    check("displayName", &text(&emoji(129)), &Err(Invalid::TooLong { length: 258, max: 256 }));
    check("businessPhones", &text(&emoji(33)), &Err(Invalid::TooLong { length: 66, max: 64 }));
}

#[test]
fn an_unknown_country_is_rejected_or_leaves_its_property_alone() {
    let country = |on_invalid| MappingRow {
        convert: vec![Convert::Country],
        on_invalid,
        ..row("usageLocation", OnNull::Keep)
    };
    let unknown = Err(RowError::Invalid(Invalid::NotACode { expected: "a country" }));
    assert_eq!(country(OnInvalid::Reject).value(of(&text("Atlantis"))), unknown);
    assert_eq!(country(OnInvalid::Skip).value(of(&text("Atlantis"))), Ok(None));
    assert_eq!(country(OnInvalid::Skip).value(of(&text("The Netherlands"))), Ok(Some(written("NL"))));
}

#[test]
fn the_first_of_several_columns_that_is_not_empty_counts() {
    let source = ValueSource::FirstOf(vec!["mobilephone".into(), "telephone1".into()]);
    let row = MappingRow::new(source, Property::named("businessPhones").expect("known"));
    let columns = |mobile: ColumnValue, work: Option<ColumnValue>| {
        row.value(|name| if name == "mobilephone" { Some(&mobile) } else { work.as_ref() })
    };
    let single = |text: &str| Ok(Some(ListElement::of(text).into()));
    assert_eq!(columns(text("1"), None), single("1"), "later columns are not needed then");
    assert_eq!(columns(ColumnValue::Null, Some(text("2"))), single("2"));
    assert_eq!(columns(ColumnValue::Null, Some(ColumnValue::Null)), Ok(Some(ListElement::default().into())));
    assert_eq!(columns(ColumnValue::Null, None), Err(RowError::Missing("telephone1".into())));
}

#[test]
fn a_template_is_filled_and_leaves_no_stray_blanks() {
    let template = Template::parse("{firstname} {middlename} {lastname}").expect("parses");
    let row =
        MappingRow::new(ValueSource::Template(template), Property::named("displayName").expect("known"));
    let (ada, none) = (text("Ada"), ColumnValue::Null);
    let king = text("King");
    let filled = row.value(|name| match name {
        "firstname" => Some(&ada),
        "lastname" => Some(&king),
        _ => Some(&none),
    });
    assert_eq!(filled, Ok(Some(PropertyValue::Text("Ada King".into()))));
    assert_eq!(
        row.value(|name| (name == "firstname").then_some(&ada)),
        Err(RowError::Missing("middlename".into()))
    );
    let keep = MappingRow { on_null: OnNull::Keep, ..row.clone() };
    assert_eq!(keep.value(|_| Some(&none)), Ok(None), "nothing but empty columns is empty");
}

#[test]
fn a_template_that_cannot_be_parsed_is_told_where() {
    for (template, expected) in [
        ("{firstname", "a brace at character 1 has no partner; write a column as {firstname}"),
        ("ü} {x}", "a brace at character 2 has no partner; write a column as {firstname}"),
        (
            "{First Name}",
            "{First Name} is not the logical name of a column (lower-case letters, digits and _)",
        ),
        ("{}", "{} is not the logical name of a column (lower-case letters, digits and _)"),
    ] {
        assert_eq!(Template::parse(template).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_table_that_cannot_work_is_refused_with_what_to_change() {
    let told = |rows| Mapping::new(rows).unwrap_err().to_string();
    assert_eq!(told(vec![]), "the mapping has no row; map at least one contact column, or choose a preset");
    assert_eq!(
        told(vec![row("mail", OnNull::Clear)]),
        "mail cannot be emptied in Graph; give the row of column on_null = \"keep\" or a default"
    );
    assert_eq!(
        told(vec![row("surname", OnNull::Keep), row("surname", OnNull::Keep)]),
        "surname is fed by both column and column; keep one of the two rows"
    );
    assert_eq!(
        told(vec![row("employeeId", OnNull::Default("x".repeat(17).into()))]),
        "the default of employeeId is 17 characters long and Graph takes 16"
    );
    let cut = MappingRow { on_invalid: OnInvalid::Truncate, ..row("mail", OnNull::Keep) };
    assert_eq!(
        told(vec![cut]),
        "mail cannot be cut to fit; give its row on_invalid = \"reject\" or \"skip\""
    );
}

#[test]
fn a_row_with_several_columns_is_found_by_each_of_them_and_once() {
    let source = ValueSource::FirstOf(vec!["a".into(), "b".into(), "a".into()]);
    let mapping =
        Mapping::new(vec![MappingRow::new(source, Property::named("city").expect("known"))]).expect("valid");
    assert_eq!(mapping.fed_by(["a"]).count(), 1);
    assert_eq!(mapping.fed_by(["a", "b"]).count(), 1);
    assert_eq!(mapping.fed_by(["c"]).count(), 0);
}
